"""Draws and scores for rows that know different variables, without a call for each pattern."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.models.made import MADE
from made_tf.networks.mask_sets import StackedSets
from made_tf.portable.arrays import BoolArray, FloatArray, Rows
from made_tf.portable.patterns import pieces
from made_tf.queries.evidence_first import ROWS_AT_ONCE, row_spec, split_row
from made_tf.sampling import random
from made_tf.sampling.arrangement import evidence_first
from made_tf.sampling.known import KnownValues
from made_tf.sampling.order_mixture import choose_set, each_row_by_its_set
from made_tf.sampling.row_orders import RowOrderNetwork

__all__ = ["MANY_ROWS", "SMALL_GROUP", "Groups", "ManyPatterns", "in_pieces"]

SMALL_GROUP = 8  # rows of one pattern that a call of their own is worth
MANY_ROWS = 256  # that tracing another graph is worth
_KERNELS = 16  # times fewer rows at once, since each has kernels of its own within a block

Groups = list[tuple[BoolArray, Rows]]


class ManyPatterns:
    """Exact answers for rows that put different variables first in their order.

    Args:
        model: a model of all orders.
        sets: its mask sets, over which answers are averaged.
        block_length: as in `BlockedNetwork`.
        batch_size: as in `BlockedNetwork`.
        rows_at_once: as in `EvidenceFirst`; here a fraction of it.
    """

    def __init__(
        self,
        model: MADE,
        sets: StackedSets,
        block_length: int | None = None,
        batch_size: int | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
    ):
        self._model, self._family = model, model.conditionals
        self._sets = sets
        self._rows_at_once = max(1, rows_at_once // _KERNELS)
        self._network = RowOrderNetwork(model, block_length, batch_size)
        flags = tf.TensorSpec([None, model.event_size], tf.float32)
        seeds = tf.TensorSpec([None, 2], tf.int32)
        rows = row_spec(model)
        self._draws = tf.function(self._make_draws, [seeds, flags, rows], autograph=False)
        self._scores = tf.function(self._make_scores, [rows, flags, flags], autograph=False)

    def taken_from(self, groups: Groups) -> tuple[Rows, Groups]:
        """Takes the rows that share their pattern with few others, if there are many of them.

        Args:
            groups: patterns, each with the numbers of its rows.

        Returns:
            The rows of small groups (none, if they are few), and the other groups.
        """
        small = [rows for _, rows in groups if len(rows) < SMALL_GROUP]
        if sum(map(len, small)) < MANY_ROWS:
            return np.zeros(0, np.intp), groups
        return np.concatenate(small), [group for group in groups if len(group[1]) >= SMALL_GROUP]

    def draw_by_row(self, seeds: npt.NDArray, known: BoolArray, values: FloatArray) -> FloatArray:
        """Draws what is not known: seeds `[n, 2]`, booleans `[n, D]`, rows -> `[n, D]`."""
        seeds = seeds.astype(np.int32)
        return in_pieces(self._rows_at_once, self._draws, seeds, known.astype(np.float32), values)

    def log_prob_by_row(self, values: FloatArray, known: BoolArray, asked: BoolArray) -> FloatArray:
        """Returns log p(asked | known): rows, booleans `[n, D]` -> `[n]`, in nats."""
        flags = known.astype(np.float32), asked.astype(np.float32)
        return in_pieces(self._rows_at_once, self._scores, values, *flags)

    def _make_draws(self, seeds, known, rows):
        values, vectors = split_row(self._model, rows)
        uniforms = random.row_uniforms(seeds, self._family, 1)
        own = uniforms[:, :-1]
        index = choose_set(uniforms[:, -1], self._sets.num_sets)

        def draw(rows, degrees):
            given = KnownValues(tf.gather(known, rows), tf.gather(values, rows))
            orders = evidence_first(degrees[0], given.observed)
            own_vectors = None if vectors is None else tf.gather(vectors, rows)
            uniforms = tf.gather(own, rows)
            drawn = self._network.sample_each(uniforms, orders, degrees[1:], given, own_vectors)
            return (drawn,)

        return each_row_by_its_set(index, self._sets, draw, (tf.zeros_like(values),))[0]

    def _make_scores(self, rows, known, asked):
        values, vectors = split_row(self._model, rows)
        given = KnownValues(known + asked, values)

        def score(degrees):
            orders = evidence_first(degrees[0], 2.0 * known + asked)
            return self._network.log_prob_each(orders, degrees[1:], given, asked, vectors)

        log_probs = tf.map_fn(  # [M, n]
            score, list(self._sets.tensors()), fn_output_signature=tf.float32
        )
        return tf.reduce_logsumexp(log_probs, axis=0) - np.log(np.float32(self._sets.num_sets))


def in_pieces(rows_at_once: int, function: Callable, *arrays: npt.NDArray) -> FloatArray:
    """Returns what a function gives for rows, of which it gets so many at once at most."""
    parts = zip(*(pieces(array, rows_at_once) for array in arrays), strict=True)
    found = [function(*part).numpy() for part in parts]
    return np.concatenate(found) if found else np.zeros(0, np.float32)
