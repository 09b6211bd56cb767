"""p(unobserved | observed) of an ensemble as a `tfd.Distribution`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from made_tf.distributions.conditional import ConditionalMADE
from made_tf.distributions.mixture_marginal import MixtureMarginal, mix_marginals
from made_tf.portable.seeds import seed_of_round
from made_tf.queries.estimate import Estimate
from made_tf.sampling import random
from made_tf.sampling.order_mixture import choose_weighted

__all__ = ["ConditionalEnsemble", "DiscreteConditionalEnsemble"]


class ConditionalEnsemble(ConditionalMADE):
    """The distribution of an ensemble's unobserved variables, given the others.

    Made by `EnsembleDistribution.condition`. The mixture of the members' conditionals, each
    weighted by how probable the evidence is under it. Shapes, and where it is exact or estimated,
    are those of `ConditionalMADE`; it is exact where all members are. A row is drawn by all
    members and taken from one: a draw costs as many times what one of a member costs.

    Args:
        queries: what answers, `made_tf.queries.mixture.MixtureQueries`.
        evidence: as in `ConditionalMADE`, like all others.
        validate_args: likewise.
        allow_nan_stats: likewise.
        name: likewise.
        context: likewise.
        estimate_seed: likewise; each member estimates from draws of its own.

    Raises:
        ValueError: as `ConditionalMADE`.
    """

    def __init__(
        self,
        queries: Any,
        evidence,
        validate_args=False,
        allow_nan_stats=True,
        name="ConditionalEnsemble",
        context=None,
        estimate_seed=0,
    ):
        super().__init__(
            queries, evidence, validate_args, allow_nan_stats, name, context, estimate_seed
        )
        self._members = [
            ConditionalMADE(
                part,
                evidence,
                context=context,
                estimate_seed=seed_of_round(estimate_seed, number),
            )
            for number, part in enumerate(queries.parts)
        ]

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        # Defined anew, as TFP wants it of each class with arguments of its own.
        return super()._parameter_properties(dtype, num_classes)

    def exact_rows(self):
        return np.all([member.exact_rows() for member in self._members], axis=0)

    def marginal(self, variable: int) -> MixtureMarginal:
        """Returns the distribution of one unobserved variable given the evidence, exactly.

        As `ConditionalMADE.marginal`; exact where it is so for all members.

        Args:
            variable: which one, counted from 0 among all of the model's.

        Raises:
            ValueError: if there is no such variable, or a row's evidence has it.
            NotImplementedError: if no order of a member gives it.
        """
        parts = [member.marginal(variable) for member in self._members]
        return mix_marginals(parts, self._log_evidence_of_members())

    def evidence_log_prob(self) -> Estimate:
        """Returns log p(evidence) of each row of the batch, in nats."""
        return Estimate.of_mixture([member.evidence_log_prob() for member in self._members])

    def log_evidence(self):
        log_probs = self._log_evidence_of_members()
        return tf.reduce_logsumexp(log_probs, axis=0) - np.log(np.float32(len(self._members)))

    def _log_evidence_of_members(self):
        """Returns log p_m(evidence) of each member m, `[M, ...]`."""
        return tf.stack([member.log_evidence() for member in self._members])

    def _log_prob(self, value):
        log_weights = tf.nn.log_softmax(self._log_evidence_of_members(), axis=0)
        terms = [
            member.log_prob(value) + log_weight
            for member, log_weight in zip(self._members, tf.unstack(log_weights), strict=True)
        ]
        return tf.reduce_logsumexp(tf.stack(terms), axis=0)

    def events_from(self, seeds, n):
        """Draws n events for each of B rows of evidence: seeds `[n B, 2]` -> `[n, B, U]`."""
        size, count = len(self._known[0]), len(self._values)
        # The first number behind those of values and order; of what members estimate it has
        # chosen among their draws, and the next one is free.
        uniforms = random.uniforms(seeds, size + 3)[:, size + 1 :]
        exact = tf.tile(tf.constant(self.exact_rows()), [n])
        uniforms = tf.where(exact, uniforms[:, 0], uniforms[:, 1])
        log_weights = tf.reshape(self._log_evidence_of_members(), [len(self._members), count])
        chosen = choose_weighted(tf.tile(tf.transpose(log_weights), [n, 1]), uniforms)
        mine = tf.reshape(chosen, [-1, count, 1])
        drawn = [member.events_from(seeds, n) for member in self._members]
        return functools.reduce(
            lambda rows, pair: tf.where(tf.equal(mine, pair[0]), pair[1], rows),
            enumerate(drawn),
            drawn[0],
        )


class DiscreteConditionalEnsemble(tfd.distribution.DiscreteDistributionMixin, ConditionalEnsemble):
    """`ConditionalEnsemble` over isolated points."""
