"""Weighted draws, where no order gives an answer exactly."""

from __future__ import annotations

import tensorflow as tf

__all__ = ["pick"]


def pick(log_weights, uniforms):
    """Chooses particles by their weights: `[N, L]`, `[N, count]` -> indices `[N, count]`."""
    weights = tf.exp(log_weights - tf.reduce_max(log_weights, axis=1, keepdims=True))
    sums = tf.cumsum(weights, axis=1)
    index = tf.searchsorted(sums / sums[:, -1:], uniforms, side="right")
    return tf.minimum(index, log_weights.shape[1] - 1)
