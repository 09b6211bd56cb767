"""The seeds that TensorFlow Probability's users pass, as pairs."""

from __future__ import annotations

import hashlib
import numbers

import numpy as np
import tensorflow as tf
from tensorflow_probability.python.internal import samplers

__all__ = ["is_integer_of_tfp", "seed_pair"]

_BEYOND = 0x6D616465  # tells an integer of more than 32 bits from a pair that a user made


def seed_pair(seed):
    """Returns a seed as an int32 pair.

    An integer s of 32 bits, signed, is (s, 0). One beyond has a pair of its own, made of all its
    bits. Scalars of NumPy and of TensorFlow are integers, too.

    Args:
        seed: an integer of any size, an integer scalar or pair (array or tensor), or `None` for
            one that TensorFlow draws.

    Raises:
        ValueError: if it is anything else.
    """
    if isinstance(seed, bool):
        raise ValueError(f"`seed` must be an integer or a pair of integers. Received: seed={seed}")
    if isinstance(seed, np.ndarray | np.generic) and np.ndim(seed) == 0 and seed.dtype.kind in "iu":
        seed = int(seed)
    if isinstance(seed, numbers.Integral):
        return tf.constant(_pair_of_integer(int(seed)), tf.int32)
    if tf.is_tensor(seed) and seed.shape.rank == 0 and seed.dtype.is_integer:
        return _pair_of_scalar(seed)
    try:
        pair = samplers.sanitize_seed(seed)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`seed` must be an integer or a pair of integers. Received: seed={seed!r}"
        ) from error
    if pair.shape != [2]:
        raise ValueError(
            f"`seed` must be an integer or a pair of integers. Received: seed of shape {pair.shape}"
        )
    return pair


def is_integer_of_tfp(seed) -> bool:
    """Returns whether a seed is an integer that TFP derives from a user's: one of 512 bits."""
    return isinstance(seed, numbers.Integral) and not -(2**63) <= int(seed) < 2**64


def _pair_of_integer(seed: int) -> list[int]:
    if -(2**31) <= seed < 2**31:
        return [seed, 0]
    if not -(2**63) <= seed < 2**63:
        digest = hashlib.sha256(str(seed).encode()).digest()
        seed = int.from_bytes(digest[:8], signed=True)
    return [_signed(seed), _signed((seed >> 32) ^ _BEYOND)]


def _pair_of_scalar(seed):
    """The pair of an integer tensor, as of the integer that it will be."""
    if seed.dtype in (tf.int8, tf.int16, tf.int32, tf.uint8, tf.uint16):
        return tf.stack([tf.cast(seed, tf.int32), 0])
    low, high = tf.unstack(tf.bitcast(tf.cast(seed, tf.int64), tf.int32))
    # Of 32 bits, signed: the high half repeats the sign.
    fits = tf.equal(high, tf.bitwise.right_shift(low, 31))
    return tf.stack([low, tf.where(fits, 0, tf.bitwise.bitwise_xor(high, _BEYOND))])


def _signed(word: int) -> int:
    """Returns the signed 32-bit number of the same low 32 bits."""
    return (word + 2**31) % 2**32 - 2**31
