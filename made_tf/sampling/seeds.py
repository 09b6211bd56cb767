"""The seeds that TensorFlow Probability's users pass, as pairs."""

from __future__ import annotations

import numbers

import tensorflow as tf
from tensorflow_probability.python.internal import samplers

from made_tf.portable.arguments import integer

__all__ = ["seed_pair"]


def seed_pair(seed):
    """Returns a seed as an int32 pair: the integer s as (s, 0).

    Raises:
        ValueError: if it is neither an integer nor a pair.
    """
    if isinstance(seed, numbers.Integral):
        return tf.constant([integer("seed", seed, -(2**31), 2**31), 0], tf.int32)
    if tf.is_tensor(seed) and seed.shape.rank == 0:
        seed = tf.stack([tf.cast(seed, tf.int32), 0])
    seed = samplers.sanitize_seed(seed)
    if seed.shape != [2]:
        raise ValueError(
            f"`seed` must be an integer or a pair of integers. Received: seed of shape {seed.shape}"
        )
    return seed
