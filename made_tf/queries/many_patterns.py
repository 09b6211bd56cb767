"""Draws and scores for rows that know different variables, without a call for each pattern."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.models.made import MADE
from made_tf.networks.mask_sets import Sets
from made_tf.portable.patterns import pieces
from made_tf.sampling import random
from made_tf.sampling.arrangement import put_first
from made_tf.sampling.known import KnownValues
from made_tf.sampling.order_mixture import choose_set, each_row_by_its_set
from made_tf.sampling.row_orders import RowOrderNetwork

__all__ = ["ManyPatterns", "lonely_rows"]

_ROWS = 256  # at once: each has kernels of its own within a block
_FEW = 8  # rows of one pattern that a call of their own is not worth
_MANY = 256  # rows that tracing another graph is worth


class ManyPatterns:
    """Exact answers for rows that put different variables first in their order.

    Args:
        model: a model of all orders, without `mask_weights`.
        sets: its mask sets, over which answers are averaged.
        block_length: as in `BlockedNetwork`.
        batch_size: as in `BlockedNetwork`.
    """

    def __init__(self, model: MADE, sets: Sets, block_length, batch_size):
        self._size = size = model.event_size
        self._sets = sets
        self._network = RowOrderNetwork(model, block_length, batch_size, any_mask=True)
        rows = tf.TensorSpec([None, size], tf.float32)
        seeds = tf.TensorSpec([None, 2], tf.int32)
        self._draws = tf.function(self._make_draws, [seeds, rows, rows], autograph=False)
        self._scores = tf.function(self._make_scores, [rows] * 3, autograph=False)

    def draw(self, seeds: npt.NDArray, known: npt.NDArray, values: npt.NDArray) -> npt.NDArray:
        """Draws what is not known: seeds `[n, 2]`, booleans and values `[n, D]` -> `[n, D]`."""
        parts = [
            self._draws(*(array.astype(dtype) for array, dtype in zip(some, _DTYPES, strict=True)))
            for some in zip(
                *(pieces(array, _ROWS) for array in (seeds, known, values)), strict=True
            )
        ]
        return np.concatenate([part.numpy() for part in parts])

    def log_prob(self, values: npt.NDArray, known: npt.NDArray, asked: npt.NDArray) -> npt.NDArray:
        """Returns log p(asked | known) of rows: values and booleans `[n, D]` -> `[n]`, in nats."""
        parts = [
            self._scores(*(array.astype(np.float32) for array in some))
            for some in zip(
                *(pieces(array, _ROWS) for array in (values, known, asked)), strict=True
            )
        ]
        return np.concatenate([part.numpy() for part in parts])

    def _make_draws(self, seeds, known, values):
        uniforms = random.uniforms(seeds, self._size + 1)
        own = uniforms[:, :-1]
        index = choose_set(uniforms[:, -1], len(self._sets[0]))

        def draw(rows, degrees):
            given = KnownValues(tf.gather(known, rows), tf.gather(values, rows))
            orders = put_first(degrees[0], given.observed)
            drawn = self._network.sample_each(tf.gather(own, rows), orders, degrees[1:], given)
            return (drawn,)

        return each_row_by_its_set(index, self._sets, draw, (own,))[0]

    def _make_scores(self, values, known, asked):
        given = KnownValues(known + asked, values)

        def score(degrees):
            orders = put_first(degrees[0], 2.0 * known + asked)
            return self._network.log_prob_each(orders, degrees[1:], given, asked)

        tables = [tf.convert_to_tensor(level) for level in self._sets]
        log_probs = tf.map_fn(score, tables, fn_output_signature=tf.float32)  # [M, n]
        return tf.reduce_logsumexp(log_probs, axis=0) - np.log(np.float32(len(self._sets[0])))


_DTYPES = np.int32, np.float32, np.float32


def lonely_rows(groups: list) -> npt.NDArray[np.intp]:
    """Returns the rows of small groups, if there are many; `groups`: (pattern, rows) each."""
    small = [rows for _, rows in groups if len(rows) < _FEW]
    count = sum(len(rows) for rows in small)
    return np.concatenate(small) if count >= _MANY else np.zeros(0, np.intp)
