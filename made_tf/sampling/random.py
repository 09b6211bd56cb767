"""The counter-based random generator that host and device share.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
3"), written with operators that LiteRT has as builtins. The numbers are those
of `tf.random.stateless_uniform([count], seed, alg="philox")` in eager mode,
moved to the middle of their interval; TensorFlow's own operator gives others
under XLA and none in a `.tflite` file, so this one is used everywhere.

Of the builtins, integer products, casts and transpositions of `[m, 2]`
are fast, while slices with a stride and exclusive or are slow. So each of a
block's four words has a tensor of its own, of as few elements as it depends on:
rounds broadcast `[1, blocks]` against `[n, 1]` as late as they can.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from made_tf.conditionals import Conditionals

__all__ = ["member_uniforms", "philox", "row_seeds", "row_uniforms", "uniforms"]

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
# TensorFlow's way from a seed to a key and a counter: one block under this key.
_SEED_KEY = (0x3EC8F720, 0x02461E29)


def row_seeds(seed, num_rows):
    """Returns the seeds of the rows of one sample.

    Row i of the seed (s, 0) is keyed by (s, i). Other pairs are encrypted
    first, so that neighbours such as (s, 1) and (s, 2) share no rows.

    Args:
        seed: a pair as int32 `[2]`, or several, `[..., 2]`; an integer s stands for (s, 0).
        num_rows: n, an integer or an int32 scalar.

    Returns:
        int32 tensor `[..., n, 2]`. The first rows do not depend on n.
    """
    mixed = tf.reshape(_mixed(tf.reshape(seed, [-1, 2])), tf.shape(seed))
    first, start = tf.split(tf.where(tf.equal(seed[..., 1:], 0), seed, mixed), 2, axis=-1)
    numbers = start + tf.range(num_rows)  # [..., n]
    return tf.stack([tf.broadcast_to(first, tf.shape(numbers)), numbers], axis=-1)


@tf.function(input_signature=[tf.TensorSpec([None, 2], tf.int32)], autograph=False)
def _mixed(seeds):
    """Encrypts pairs; as a graph, since the operators alone would take long to start."""
    _, _, *words = _encrypted(seeds)
    return tf.concat(words, axis=1)


def row_uniforms(seeds, family: Conditionals, further: int = 0):
    """Draws what rows are made from, each row from its own seed.

    Args:
        seeds: int32 tensor `[n, 2]`.
        family: the family of the columns, which says how many uniforms each of them takes.
        further: how many more there are, for choices that concern a whole row.

    Returns:
        float32 tensor `[n, U]`: as many as `family.num_uniforms`, then those `further` ones. The
        first one of each column, and the further ones, do not depend on the family.
    """
    size, *others = (len(columns) for columns in family.columns_of_uniforms())
    if not others:
        return uniforms(seeds, size + further)
    counts = [size + further, *others]
    lengths = [-(-count // 4) for count in counts]
    # Each channel is a sequence of its own, told by the second word of the counter.
    blocks = np.concatenate([np.arange(length) for length in lengths])
    streams = np.repeat(np.arange(len(lengths)), lengths)
    numbers = _numbers(seeds, *(tf.constant(each[None], tf.int32) for each in (blocks, streams)))
    starts = 4 * (np.cumsum(lengths) - lengths)
    own = [
        numbers[:, start : start + count]
        for start, count in zip(starts, [size, *others], strict=True)
    ]
    return tf.concat([*own, *([numbers[:, size : size + further]] if further else [])], axis=1)


def member_uniforms(seeds, event_size: int):
    """Returns what chooses the members of rows of an ensemble: int32 `[n, 2]` -> float32 `[n]`.

    It is the number behind those of a row's values and of its order.
    """
    return uniforms(seeds, event_size + 2)[:, event_size + 1]


def uniforms(seeds, count: int):
    """Draws uniform numbers, each row from its own seed.

    Args:
        seeds: int32 tensor `[n, 2]`.
        count: how many numbers each row gets.

    Returns:
        float32 tensor `[n, count]` of multiples of 2^-23 plus 2^-24: strictly
        between 0 and 1 and symmetric about 1/2.
    """
    num_blocks = -(-count // 4)
    blocks = tf.range(num_blocks, dtype=tf.int32)[None, :]
    numbers = _numbers(seeds, blocks, tf.zeros([1, 1], tf.int32))
    return numbers if count == 4 * num_blocks else numbers[:, :count]


def _numbers(seeds, blocks, streams):
    """Returns the four numbers of each block, int32 `[1, B]`, of a stream: `[n, 4 B]`."""
    words = _words(seeds, blocks, streams)
    # The low 23 bits, moved to the top and seen as a signed number, are a float exactly.
    numbers = tf.cast(words * 512 - 2**31, tf.float32) * 2.0**-32 + (0.5 + 2.0**-24)
    return tf.reshape(tf.transpose(numbers, [1, 2, 0]), [-1, 4 * blocks.shape[1]])


@tf.function(
    input_signature=[tf.TensorSpec(shape, tf.int32) for shape in ([None, 2], [1, None], [1, None])],
    autograph=False,
)
def _words(seeds, blocks, streams):
    """Returns the four words of each block, `[4, n, B]`; as a graph, made once for all callers."""
    # A row's seed gives the key, and the high half of the counter, of which the low half counts
    # the blocks of four numbers.
    key_0, key_1, high_0, high_1 = _encrypted(seeds)  # each [n, 1]
    return tf.stack(philox((blocks, streams, high_0, high_1), (key_0, key_1)))


def _encrypted(seeds):
    """Returns the block of each seed: int32 `[n, 2]` -> four words `[n, 1]`."""
    pair = tf.transpose(seeds)
    low = [tf.reshape(tf.gather(pair, index), [-1, 1]) for index in (0, 1)]
    high = [tf.bitwise.right_shift(word, tf.constant(31)) for word in low]  # sign extension
    key = tuple(tf.constant(_signed(word), shape=[1, 1]) for word in _SEED_KEY)
    return philox((low[0], high[0], low[1], high[1]), key)


def philox(counter, key):
    """Encrypts counters: four int32 words under two, all of shapes that broadcast."""
    xor = tf.bitwise.bitwise_xor
    word_0, word_1, word_2, word_3 = counter
    for index in range(_ROUNDS):
        key_0, key_1 = (
            word + _signed(index * step) for word, step in zip(key, _KEY_STEPS, strict=True)
        )
        high_0, low_0 = _product(word_0, _MULTIPLIERS[0])
        high_1, low_1 = _product(word_2, _MULTIPLIERS[1])
        word_0, word_1 = xor(high_1, xor(word_1, key_0)), low_1
        word_2, word_3 = xor(high_0, xor(word_3, key_1)), low_0
    return word_0, word_1, word_2, word_3


def _product(word, multiplier: int):
    """Multiplies unsigned 32-bit numbers: the high and the low halves of the products."""
    product = tf.cast(tf.bitcast(word, tf.uint32), tf.int64) * multiplier
    halves = tf.transpose(tf.bitcast(product, tf.int32), [2, 0, 1])  # [n, k, 2] -> [2, n, k]
    low, high = tf.unstack(halves)
    return high, low


def _signed(word: int) -> int:
    """Returns the signed 32-bit number of the same low 32 bits."""
    return (word + 2**31) % 2**32 - 2**31
