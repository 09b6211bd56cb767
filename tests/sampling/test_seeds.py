"""Seeds of every size and kind become pairs, small ones those of before."""

import numpy as np
import pytest
import tensorflow as tf

from made_tf.sampling.seeds import seed_pair

SMALL = (0, 7, -1, 2**31 - 1, -(2**31))
LARGE = (2**31, 2**32, 2**32 + 7, -(2**31) - 1, 2**63 - 1, -(2**63), 2**64 + 7, 10**40)


def pair(seed):
    return tuple(seed_pair(seed).numpy().tolist())


@pytest.mark.parametrize("seed", SMALL)
def test_an_integer_of_32_bits_is_the_pair_of_before(seed):
    assert pair(seed) == (seed, 0)
    for kind in (np.int64, np.array, lambda s: tf.constant(s, tf.int32), tf.constant):
        assert pair(kind(seed)) == (seed, 0)
    assert pair(tf.constant(seed, tf.int64)) == (seed, 0)


def test_larger_ones_have_pairs_of_their_own():
    pairs = [pair(seed) for seed in (*SMALL, *LARGE)]
    assert len(set(pairs)) == len(pairs)
    assert all(second != 0 for _, second in pairs[len(SMALL) :])


@pytest.mark.parametrize("seed", [s for s in LARGE if -(2**63) <= s < 2**63])
def test_a_tensor_gives_what_the_integer_gives(seed):
    assert pair(tf.constant(seed, tf.int64)) == pair(seed) == pair(np.int64(seed))
    traced = tf.function(seed_pair, input_signature=[tf.TensorSpec([], tf.int64)])
    assert tuple(traced(tf.constant(seed, tf.int64)).numpy()) == pair(seed)


def test_a_pair_stays_one():
    assert pair([3, 4]) == (3, 4)
    assert pair(tf.constant([3, -4])) == (3, -4)


@pytest.mark.parametrize("seed", [1.5, "a", [1, 2, 3], np.zeros((2, 2), np.int32), True])
def test_anything_else_is_refused(seed):
    with pytest.raises(ValueError, match="`seed` must be an integer or a pair of integers"):
        seed_pair(seed)
