"""One variable given what is known of its row, of an ensemble: a mixture of its members' laws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.internal import samplers

from made_tf.distributions.marginal import Marginal, Variable
from made_tf.sampling.order_mixture import choose_weighted

__all__ = ["DiscreteMixtureMarginal", "MixtureMarginal", "mix_marginals"]


class MixtureMarginal(Variable):
    """One variable given what is known of its row: batch shape `[...]`, event shape `[]`.

    Made by `ConditionalEnsemble.marginal`. It has what the members' marginals have, but for the
    mode and the entropy of real numbers.

    Args:
        parts: the marginals of M members.
        log_weights: in proportion to the logs of their weights, `[M, ...]`.
        validate_args: as in every `tfd.Distribution`.
        allow_nan_stats: as in every `tfd.Distribution`.
        name: the name of its operations.
    """

    def __init__(
        self,
        parts: Sequence[Marginal],
        log_weights: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "MixtureMarginal",
    ):
        parameters = dict(locals())
        self._parts = tuple(parts)
        self._log_weights = tf.nn.log_softmax(log_weights, axis=0)
        super().__init__(parts[0].family, tuple(parts[0].batch_shape), parameters)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}

    def _log_prob(self, value):
        terms = [
            part.log_prob(value) + log_weight
            for part, log_weight in zip(self._parts, tf.unstack(self._log_weights), strict=True)
        ]
        return tf.reduce_logsumexp(tf.stack(terms), axis=0)

    def _sample_n(self, n, seed=None):
        own, *seeds = samplers.split_seed(seed, 1 + len(self._parts))
        shape = tf.concat([[n], self._batch_shape_tensor()], axis=0)
        drawn = [part.sample(n, seed=each) for part, each in zip(self._parts, seeds, strict=True)]
        uniforms = tf.reshape(samplers.uniform(shape, seed=own), [-1])
        log_weights = tf.reshape(self._log_weights, [len(self._parts), -1])
        chosen = choose_weighted(tf.tile(tf.transpose(log_weights), [n, 1]), uniforms)
        index = tf.reshape(chosen, [-1, 1])
        stacked = tf.reshape(tf.stack(drawn, axis=-1), [-1, len(drawn)])
        return tf.reshape(tf.gather(stacked, index, axis=1, batch_dims=1), shape)

    def _moments_of_reals(self):
        means, variances = (np.stack(each) for each in zip(*(p.moments() for p in self._parts)))  # noqa: B905
        weights = tf.exp(self._log_weights)
        mean = tf.reduce_sum(weights * means, axis=0)
        return mean, tf.reduce_sum(weights * (variances + (means - mean) ** 2), axis=0)


class DiscreteMixtureMarginal(tfd.distribution.DiscreteDistributionMixin, MixtureMarginal):
    """`MixtureMarginal` over isolated points."""


def mix_marginals(parts: Sequence[Marginal], log_weights: Any) -> MixtureMarginal:
    """Returns the mixture of marginals, of their own kind."""
    is_discrete = bool(np.all(parts[0].family.is_discrete))
    return (DiscreteMixtureMarginal if is_discrete else MixtureMarginal)(parts, log_weights)
