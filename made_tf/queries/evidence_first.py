"""Exact answers, under orders that put the evidence first.

Rows of a model with a context carry it behind their variables (`with_vectors`), encoded, so that
both are chosen, repeated and cut together.

Where what is known comes first in the order, the model's own conditionals are
p(x_k | what is known, ...): each answer is one pass through the network. A model
of all orders has such an order for every question; a fixed order has one for its
prefixes.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from made_tf.conditionals.regions import Region
from made_tf.masks import comes_first
from made_tf.models.made import MADE
from made_tf.networks.mask_sets import StackedSets
from made_tf.portable.arrays import BoolArray, FloatArray
from made_tf.portable.patterns import pieces
from made_tf.sampling import random
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.sampling.known import KnownRegions, KnownValues
from made_tf.sampling.order_mixture import choose_set, each_row_by_its_set

__all__ = ["ROWS_AT_ONCE", "EvidenceFirst", "row_spec", "split_row", "with_vectors"]

ROWS_AT_ONCE = 4096


class EvidenceFirst:
    """Scores and draws under mask sets that have the evidence first.

    Args:
        model: the model; its weights are read at each call.
        num_orders: M, over how many orders an answer is averaged; for a model
            of all orders.
        block_length: as in `BlockedNetwork`.
        batch_size: as in `BlockedNetwork`.
        rows_at_once: how many rows are scored at once, at most.
        own_order: whether the model's own order alone counts, of a model of all orders, too.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        model: MADE,
        num_orders: int = 1,
        block_length: int | None = None,
        batch_size: int | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
        own_order: bool = False,
    ):
        self._model = model
        self._any_order = model.any_order and not own_order
        self._rows_at_once = rows_at_once
        self._is_fixed = model.mask_sets.is_fixed
        self._sets = model.mask_sets.first(num_orders)
        if not (model.any_order or self._is_fixed or own_order):  # all that there are
            self._sets = model.mask_sets.first(model.mask_sets.num_masks or num_orders)
        self._network = BlockedNetwork(model, block_length, batch_size, any_mask=not self._is_fixed)
        observed = tf.TensorSpec([None, model.event_size], tf.float32)
        rows = row_spec(model)
        seeds = tf.TensorSpec([None, 2], tf.int32)
        allowed = tf.TensorSpec([None, model.event_size, None], tf.float32)
        region = Region(allowed, observed, observed)
        vectors = tf.TensorSpec([None, model.settings.context_size], tf.float32)
        sets = StackedSets(tf.TensorSpec([None, level.shape[1]], tf.int32) for level in self._sets)
        # Traced once, for any number of rows and any sets.
        self._terms = tf.function(self._make_terms, [rows, sets], autograph=False)
        self._draws = tf.function(self._make_draws, [seeds, observed, rows, sets], autograph=False)
        self._draws_within = tf.function(
            self._make_draws_within, [seeds, region, vectors, sets], autograph=False
        )

    @property
    def model(self) -> MADE:
        """The model."""
        return self._model

    @property
    def sets(self) -> StackedSets:
        """The mask sets from which orders are made or chosen."""
        return self._sets

    @property
    def own(self) -> StackedSets:
        """The first of them alone, for answers that no order gives exactly."""
        return self._sets.only(0)

    def sets_for(self, *known: BoolArray) -> StackedSets | None:
        """Returns mask sets in which the known variables come first; `None` if there are none.

        Args:
            *known: booleans `[D]`: what comes first, what comes next, ...
        """
        if self._any_order:
            return self._sets.evidence_first(*known)
        for number, order in enumerate(self._sets.inputs):
            if comes_first(order, *known):
                return self._sets.only(number)
        return None

    def log_prob(self, values: FloatArray, asked: BoolArray, sets: StackedSets) -> FloatArray:
        """As `log_prob_under`, of any number of rows, as an array."""
        rows = max(1, self._rows_at_once // sets.num_sets)
        parts = [self.log_prob_under(part, asked, sets).numpy() for part in pieces(values, rows)]
        return np.concatenate(parts)

    def log_prob_under(self, x, asked: BoolArray, sets: StackedSets):
        """Averages p(x_asked | those before) over sets that put these first: `[N, D]` -> `[N]`."""
        terms = self._terms(x, sets)  # [M, N, D]
        log_probs = tf.reduce_sum(tf.boolean_mask(terms, asked, axis=2), axis=2)
        return tf.reduce_logsumexp(log_probs, axis=0) - np.log(sets.num_sets).astype(np.float32)

    def draw(self, seeds, known: BoolArray, values, sets: StackedSets):
        """Draws rows with known values in their places: rows `[n, D]`, log-weights `[n]`.

        Args:
            seeds: int32 `[n, 2]`.
            known: what is known, `[D]`.
            values: rows, float32 `[n, D + W]`.
            sets: each row draws one of them first. Where the evidence comes
                first in all, rows need no weights.
        """
        observed = known[None].astype(np.float32)
        return self._draws(seeds, observed, values, sets)

    def draw_within(self, seeds, region: Region, sets: StackedSets, vectors=None):
        """Draws rows within one region of each variable: rows `[n, D]`, log-weights `[n]`.

        Args:
            seeds: int32 `[n, 2]`.
            region: what each variable may be.
            sets: each row draws one of them first.
            vectors: the rows' encoded context, `[n, W]`; `None` for a model without one.
        """
        if vectors is None:
            vectors = np.zeros((len(seeds), 0), np.float32)
        return self._draws_within(seeds, region, vectors, sets)

    def _make_terms(self, rows, sets):
        family = self._model.conditionals
        x, vectors = split_row(self._model, rows)

        def terms(degrees):
            return family.log_prob(self._model.parameters(x, vectors, degrees), x)

        if self._is_fixed:
            return terms(None)[None]
        return tf.map_fn(terms, list(sets), fn_output_signature=tf.float32)

    def _make_draws(self, seeds, observed, rows, sets):
        values, vectors = split_row(self._model, rows)
        return self._drawn(seeds, KnownValues(observed, values), sets, vectors)

    def _make_draws_within(self, seeds, region, vectors, sets):
        given = KnownRegions(Region(*region))
        return self._drawn(seeds, given, sets, vectors if vectors.shape[1] else None)

    def _drawn(self, seeds, given, sets, vectors=None):
        sets = StackedSets(sets)  # which a traced function gets as a mere tuple
        family = self._model.conditionals
        uniforms = random.row_uniforms(seeds, family, 1)
        own, choice = uniforms[:, :-1], uniforms[:, -1]
        if self._is_fixed:
            found = self._network.sample_and_log_weight(own, given, vectors=vectors)
            rows, log_weights = found
            return tf.stop_gradient(rows), log_weights
        index = choose_set(choice, tf.shape(sets.inputs)[0])

        def draw(rows, degrees):
            some = given.map(lambda part: _rows_of(part, rows))
            own_vectors = None if vectors is None else tf.gather(vectors, rows)
            return self._network.sample_and_log_weight(
                tf.gather(own, rows), some, degrees, own_vectors
            )

        like = own[:, : family.event_size], choice
        rows, log_weights = each_row_by_its_set(index, sets, draw, like)
        return tf.stop_gradient(rows), log_weights


def with_vectors(model: MADE, values, vectors):
    """Puts what a context was encoded to behind values: `[N, D]`, `[N, W]` -> rows `[N, D + W]`.

    Args:
        model: the model.
        values: an array or a tensor.
        vectors: `None` for a model without a context, whose rows are the values.

    Raises:
        ValueError: if there are vectors and no context, or the other way round.
    """
    if (vectors is None) != (model.conditioning is None):
        raise ValueError(
            "`vectors` must be given for a model with a context, and for no other. "
            f"Received: {None if vectors is None else f'vectors of shape {vectors.shape}'}"
        )
    if vectors is None:
        return values
    concat = tf.concat if tf.is_tensor(vectors) or tf.is_tensor(values) else np.concatenate
    return concat([values, vectors], axis=1)


def split_row(model: MADE, rows):
    """Returns the values `[n, D]` and the vectors `[n, W]` of rows; `None` without a context."""
    size = model.event_size
    return (rows, None) if model.conditioning is None else (rows[:, :size], rows[:, size:])


def row_spec(model: MADE) -> tf.TensorSpec:
    """Returns what rows are, any number of them."""
    return tf.TensorSpec([None, model.event_size + model.settings.context_size], tf.float32)


def _rows_of(part, rows):
    """Takes rows, of which there may be one that stands for all."""
    return tf.gather(part, tf.minimum(rows, tf.cast(tf.shape(part)[0], rows.dtype) - 1))
