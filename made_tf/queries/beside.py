"""Exact answers of models that read evidence beside their chain, whatever each row knows.

There is one mask for all questions, so that rows that know different variables are answered
together, at the price of rows that know the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from made_tf.models.made import MADE
from made_tf.networks.mask_sets import StackedSets
from made_tf.portable.arrays import BoolArray, FloatArray, Rows
from made_tf.queries.evidence_first import EvidenceFirst
from made_tf.queries.many_patterns import Groups, in_pieces
from made_tf.sampling import random
from made_tf.sampling.known import KnownValues

__all__ = ["EvidenceBeside"]


class EvidenceBeside(EvidenceFirst):
    """`EvidenceFirst` of a model that reads evidence, and `ManyPatterns` as well.

    What comes first in an order is evidence here, and what is asked for comes next. Regions are
    drawn within, as a model of one order does it.

    Args:
        model: the model, of `evidence_units`.
        *network: as of `EvidenceFirst`; there is one order alone.
    """

    def __init__(self, model: MADE, *network: Any):
        super().__init__(model, *network)
        rows = tf.TensorSpec([None, model.event_size], tf.float32)
        seeds = tf.TensorSpec([None, 2], tf.int32)
        self._scores = tf.function(model.log_prob_given, [rows, rows, rows], autograph=False)
        self._beside = tf.function(self._draw_beside, [seeds, rows, rows], autograph=False)

    def sets_for(self, *known: BoolArray) -> StackedSets:
        """Returns the order that puts these first, which a question of them goes by."""
        return self._sets.evidence_first(*known)

    def log_prob(self, values: FloatArray, asked: BoolArray, sets: StackedSets) -> FloatArray:
        """As `log_prob_under`, of any number of rows, as an array."""
        evidence = np.broadcast_to(_before(asked, sets), values.shape)
        return self.log_prob_by_row(values, evidence, np.broadcast_to(asked, values.shape))

    def log_prob_under(self, x, asked: BoolArray, sets: StackedSets):
        """Returns log p(asked | those before in the order): `[N, D]` -> `[N]`."""
        flags = (_before(asked, sets)[None], asked[None])
        return self._scores(x, *(flag.astype(np.float32) for flag in flags))

    def draw(self, seeds, known: BoolArray, values, sets: StackedSets):
        """Draws rows with known values in their places: `[n, D]`, and log-weights of zero."""
        del sets
        rows = self._beside(seeds, known[None].astype(np.float32), values)
        return rows, tf.zeros_like(rows[:, 0])

    # Of rows that know variables of their own.

    def taken_from(self, groups: Groups) -> tuple[Rows, Groups]:
        """Takes all rows: patterns are of no account."""
        numbers = [rows for _, rows in groups]
        return (np.concatenate(numbers) if numbers else np.zeros(0, np.intp)), []

    def log_prob_by_row(self, values: FloatArray, known: BoolArray, asked: BoolArray) -> FloatArray:
        """Returns log p(asked | known): rows, booleans `[n, D]` -> `[n]`, in nats."""
        arrays = values, known.astype(np.float32), asked.astype(np.float32)
        return in_pieces(self._rows_at_once, self._scores, *arrays)

    def draw_by_row(self, seeds, known: BoolArray, values: FloatArray) -> FloatArray:
        """Draws what is not known: seeds `[n, 2]`, booleans `[n, D]`, rows -> `[n, D]`."""
        arrays = seeds.astype(np.int32), known.astype(np.float32), values
        return in_pieces(self._rows_at_once, self._beside, *arrays)

    def _draw_beside(self, seeds, known, values):
        family = self._model.conditionals
        uniforms = random.row_uniforms(seeds, family)
        vectors = self._model.evidence_vectors(values, tf.broadcast_to(known, tf.shape(values)))
        given = KnownValues(known, values)
        return tf.stop_gradient(self._network.sample(uniforms, given=given, vectors=vectors))


def _before(asked: BoolArray, sets: StackedSets) -> BoolArray:
    """Returns what comes before all that is asked for, in the order of the one set: `[D]`."""
    order = sets.inputs[0]
    return order < order[asked].min(initial=len(order) + 1)
