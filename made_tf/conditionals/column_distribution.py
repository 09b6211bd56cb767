"""Any family with its parameters as a `tfd.Distribution`, for families that TFP has no twin of."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

__all__ = ["column_distribution"]

_LOWEST = 2.0**-24  # uniforms lie between this and 1 minus it


def column_distribution(family: Any, params: Any) -> Any:
    """Returns independent columns as a distribution: batch shape `[N]`, event shape `[D]`.

    Args:
        family: a bound family.
        params: its parameters, `[N, P]`.
    """
    real, discrete = _kinds()
    return (discrete if np.all(family.is_discrete) else real)(family, params)


@functools.cache
def _kinds() -> tuple[Any, Any]:
    """Returns the distributions of real and of discrete columns; here alone TFP is imported."""
    import tensorflow as tf
    from tensorflow_probability import distributions as tfd
    from tensorflow_probability.python.internal import reparameterization, samplers

    class IndependentColumns(tfd.Distribution):
        """The columns of a family, given their parameters `[N, P]`."""

        def __init__(self, family, params, name="Columns"):
            parameters = dict(locals())
            self._family, self._params = family, tf.convert_to_tensor(params)
            super().__init__(
                dtype=tf.float32,
                reparameterization_type=reparameterization.NOT_REPARAMETERIZED,
                validate_args=False,
                allow_nan_stats=True,
                parameters=parameters,
                name=name,
            )

        @classmethod
        def _parameter_properties(cls, dtype, num_classes=None):
            return {}

        def _batch_shape(self):
            return self._params.shape[:1]

        def _batch_shape_tensor(self):
            return tf.shape(self._params)[:1]

        def _event_shape(self):
            return tf.TensorShape([self._family.event_size])

        def _event_shape_tensor(self):
            return tf.constant([self._family.event_size], tf.int32)

        def _log_prob(self, x):
            x = tf.broadcast_to(x, tf.broadcast_dynamic_shape(tf.shape(x), self._shape_of_one()))
            rows = tf.reshape(x, [-1, self._family.event_size])
            times = tf.shape(rows)[0] // tf.maximum(tf.shape(self._params)[0], 1)
            log_probs = self._family.log_prob(tf.tile(self._params, [times, 1]), rows)
            return tf.reshape(tf.reduce_sum(log_probs, axis=-1), tf.shape(x)[:-1])

        def _sample_n(self, n, seed=None):
            count = n * tf.shape(self._params)[0]
            uniforms = samplers.uniform([count, self._family.num_uniforms], _LOWEST, 1.0, seed=seed)
            uniforms = tf.minimum(uniforms, 1.0 - _LOWEST)
            x = self._family.sample(tf.tile(self._params, [n, 1]), uniforms)
            return tf.reshape(x, tf.concat([[n], self._shape_of_one()], axis=0))

        def _shape_of_one(self):
            return tf.concat([self._batch_shape_tensor(), self._event_shape_tensor()], axis=0)

        def _default_event_space_bijector(self):
            return None

    class DiscreteColumns(tfd.distribution.DiscreteDistributionMixin, IndependentColumns):
        """The same over isolated points."""

    return IndependentColumns, DiscreteColumns
