"""The counter-based random generator that host and device share.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
3"), written with operators that LiteRT has as builtins. The numbers are those
of `tf.random.stateless_uniform([count], seed, alg="philox")` in eager mode,
moved to the middle of their interval; TensorFlow's own operator gives others
under XLA and none in a `.tflite` file, so this one is used everywhere.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

__all__ = ["row_seeds", "uniforms"]

_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.int64)
_KEY_STEPS = np.array([0x9E3779B9, 0xBB67AE85], np.uint32).view(np.int32)
_ROUNDS = 10
# TensorFlow's way from a seed to a key and a counter: one block under this key.
_SEED_KEY = np.array([[[0x3EC8F720, 0x02461E29]]], np.uint32).view(np.int32)
_ONE_AS_BITS = np.array(0x3F800000, np.int32)  # float32 1.0: exponent 0, mantissa 0


def row_seeds(seed, num_rows):
    """Returns the seeds of the rows of one sample.

    Row i of the seed (s, 0) is keyed by (s, i). Other pairs are encrypted
    first, so that neighbours such as (s, 1) and (s, 2) share no rows.

    Args:
        seed: a pair as int32 `[2]`; an integer s stands for (s, 0).
        num_rows: n, an integer or an int32 scalar.

    Returns:
        int32 tensor `[n, 2]`. The first rows do not depend on n.
    """
    even, odd = _encrypted(tf.reshape(seed, [1, 2]))
    mixed = tf.stack([even[0, 0, 1], odd[0, 0, 1]])
    seed = tf.where(tf.equal(seed[1], 0), seed, mixed)
    rows = tf.range(num_rows, dtype=tf.int32)
    return tf.stack([tf.fill([num_rows], seed[0]), seed[1] + rows], axis=1)


def uniforms(seeds, count: int):
    """Draws uniform numbers, each row from its own seed.

    Args:
        seeds: int32 tensor `[n, 2]`.
        count: how many numbers each row gets.

    Returns:
        float32 tensor `[n, count]` of multiples of 2^-23 plus 2^-24: strictly
        between 0 and 1 and symmetric about 1/2.
    """
    even, odd = _encrypted(seeds)
    # The block's first two words are the key of the row; its last two, the high half of the
    # counter, of which the low half counts the blocks of four numbers.
    key = tf.stack([even[..., 0], odd[..., 0]], axis=-1)  # [n, 1, 2]
    num_blocks = -(-count // 4)
    blocks = np.zeros([1, num_blocks, 2], np.int32)
    blocks[..., 0] = np.arange(num_blocks)
    high = np.array([0, 1], np.int32)
    even, odd = _philox(even * high + blocks, odd * high + 0 * blocks, key)
    words = tf.reshape(tf.stack([even, odd], axis=-1), [-1, 4 * num_blocks])[:, :count]
    # The low 23 bits become a mantissa: 1 + k 2^-23, exactly.
    mantissa = tf.bitwise.right_shift(tf.bitcast(words * 512, tf.uint32), tf.constant(9, tf.uint32))
    bits = tf.bitwise.bitwise_xor(tf.bitcast(mantissa, tf.int32), _ONE_AS_BITS)
    return tf.bitcast(bits, tf.float32) - (1.0 - 2.0**-24)


def _encrypted(seeds):
    """Returns the block of each seed: int32 `[n, 2]` -> words 0, 2 and 1, 3, each `[n, 1, 2]`."""
    high_words = tf.bitwise.right_shift(seeds, tf.constant(31))  # sign extension to 64 bits
    return _philox(seeds[:, None, :], high_words[:, None, :], tf.constant(_SEED_KEY))


def _philox(even, odd, key):
    """Encrypts counters: words 0, 2 and words 1, 3, both int32 `[n, blocks, 2]`."""
    for _ in range(_ROUNDS):
        # 32 x 32 -> 64 bits, [n, blocks, 2], seen as 32-bit words: low 0, high 0, low 1, high 1.
        products = tf.cast(tf.bitcast(even, tf.uint32), tf.int64) * _MULTIPLIERS
        words = tf.reshape(tf.bitcast(products, tf.int32), [-1, even.shape[1], 4])
        high, low = tf.gather(words, [3, 1], axis=2), tf.gather(words, [2, 0], axis=2)
        even = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(high, odd), key)
        odd = low
        key = key + _KEY_STEPS
    return even, odd
