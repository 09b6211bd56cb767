"""Conditionals of whole rows' density, drawn by the conditionals that a network has learned.

A model of all orders has two answers to p(what is unknown | what is known): what one pass under an
order with the evidence first says, q, and what follows from a density of whole rows, p(x) /
p(known): its own under its own order, or that of another network. That is the better density, but
p(known) is in none of its passes. Rows drawn from q estimate it: the mean of p(x) / q(unknown |
known) is p(known), and the nearer q comes to the conditional, the fewer rows are needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from made_tf.models.made import MADE
from made_tf.networks.mask_sets import StackedSets
from made_tf.portable.arrays import BoolArray
from made_tf.queries.evidence_first import ROWS_AT_ONCE, EvidenceFirst
from made_tf.queries.particles import Particles

__all__ = ["ProposedParticles", "whole_of"]


def whole_of(model: MADE, num_orders: int, of_whole_rows: Any) -> MADE | None:
    """Returns the model whose density of whole rows is asked for; `None` if there is none.

    Args:
        model: what proposes draws.
        num_orders: over how many orders its answers are averaged.
        of_whole_rows: whether it is that of the same model; or another one.

    Raises:
        ValueError: if the model cannot propose, or the other one has other columns or a context.
    """
    if of_whole_rows is False:
        return None
    if not (model.answers_all and num_orders == 1):
        raise ValueError(
            "`of_whole_rows` must be False but for one order (num_orders=1) of a model of all "
            f"orders (num_masks=None). Received: of_whole_rows={of_whole_rows!r} with "
            f"num_masks={model.settings.num_masks}, num_orders={num_orders}"
        )
    if of_whole_rows is True:
        return model
    other = of_whole_rows
    if not (isinstance(other, MADE) and other.event_size == model.event_size) or (
        other.conditioning is not None or model.conditioning is not None
    ):
        raise ValueError(
            "`of_whole_rows` must be True, False, or a made_tf.MADE of the same columns, both "
            f"without a context. Received: {other!r}"
        )
    return other


class ProposedParticles(Particles):
    """`Particles` that a model of all orders draws with the evidence first.

    Args:
        evidence_first: what draws the rows.
        whole: what says how probable whole rows are, under its own order.
        count: as in `Particles`.
        rows_at_once: likewise.
    """

    def __init__(
        self,
        evidence_first: EvidenceFirst,
        whole: EvidenceFirst,
        count: int,
        rows_at_once: int = ROWS_AT_ONCE,
    ):
        super().__init__(evidence_first, count, rows_at_once)
        self._whole = whole

    def draw(self, values, known: BoolArray, seeds, sets: StackedSets | None = None):
        """As `Particles.draw`; `sets` are of no account."""
        exact, size = self._evidence_first, len(known)
        values = tf.repeat(values, self.count, axis=0)
        learned = exact.own.evidence_first(known)
        rows, _ = exact.draw(seeds, known, values, learned)
        drawn = tf.concat([rows, tf.cast(values[:, size:], rows.dtype)], axis=1)  # with a context
        log_weights = self._whole.log_prob_under(drawn, np.ones(size, bool), self._whole.own)
        if not known.all():
            log_weights -= exact.log_prob_under(drawn, ~known, learned)
        shape = [-1, self.count, size]
        return tf.reshape(rows, shape), tf.reshape(log_weights, shape[:2])
