"""Conditionals of whole rows' density, drawn by the conditionals that a network has learned.

A model of all orders has two answers to p(what is unknown | what is known): what one pass under an
order with the evidence first says, q, and what follows from its density of whole rows under its own
order, p(x) / p(known). The second is a network's best density, but p(known) is in none of its
passes. Rows drawn from q estimate it: the mean of p(x) / q(unknown | known) is p(known), and the
nearer q comes to the conditional, the fewer rows are needed.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from made_tf.networks.mask_sets import StackedSets
from made_tf.portable.arrays import BoolArray
from made_tf.queries.particles import Particles

__all__ = ["ProposedParticles"]


class ProposedParticles(Particles):
    """`Particles` that a model of all orders draws with the evidence first."""

    def draw(self, values, known: BoolArray, seeds, sets: StackedSets | None = None):
        """As `Particles.draw`; `sets` is that of whole rows."""
        exact, size = self._evidence_first, len(known)
        values = tf.repeat(values, self.count, axis=0)
        learned = exact.own.evidence_first(known)
        rows, _ = exact.draw(seeds, known, values, learned)
        whole = tf.concat([rows, tf.cast(values[:, size:], rows.dtype)], axis=1)  # with a context
        log_weights = exact.log_prob_under(whole, np.ones(size, bool), sets or exact.own)
        if not known.all():
            log_weights -= exact.log_prob_under(whole, ~known, learned)
        shape = [-1, self.count, size]
        return tf.reshape(rows, shape), tf.reshape(log_weights, shape[:2])
