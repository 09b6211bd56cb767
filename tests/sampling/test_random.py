import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from made_tf.sampling import random

SEEDS = np.array([[7, 0], [7, 1], [-3, 5], [2**31 - 1, -(2**31)]], np.int32)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # the known-answer vectors of Random123, philox4x32 with 10 rounds
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([2**32 - 1] * 4, [2**32 - 1] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_published_vectors(counter, key, expected):
    def words(values):
        return [tf.constant(np.array([[value]], np.uint32).view(np.int32)) for value in values]

    found = np.ravel(random.philox(words(counter), words(key)))
    assert found.view(np.uint32).tolist() == expected


@pytest.mark.parametrize("count", [1, 3, 4, 5, 785])
def test_uniforms_are_those_of_tensorflow_moved_to_the_middle(count):
    found = random.uniforms(tf.constant(SEEDS), count).numpy()
    for row, seed in zip(found, SEEDS, strict=True):
        expected = tf.random.stateless_uniform([count], seed, alg="philox").numpy()
        np.testing.assert_array_equal(row.astype(np.float64), expected.astype(np.float64) + 2**-24)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_uniforms_are_the_same_in_a_graph_and_under_xla(jit_compile):
    compiled = tf.function(lambda seeds: random.uniforms(seeds, 9), jit_compile=jit_compile)
    np.testing.assert_array_equal(compiled(SEEDS), random.uniforms(tf.constant(SEEDS), 9))


def test_uniforms_lie_strictly_inside_and_are_uniform():
    seeds = random.row_seeds(tf.constant([11, 0]), 2000)
    found = random.uniforms(seeds, 50).numpy()
    assert found.min() > 0 and found.max() < 1
    assert scipy.stats.kstest(found.ravel(), "uniform").pvalue > 0.01
    correlations = np.corrcoef(found.T) - np.eye(50)
    assert np.abs(correlations).max() < 0.11  # 5 standard errors of 2000 rows


def test_the_rows_of_a_seed_do_not_depend_on_their_number():
    for seed in ([5, 0], [5, 3]):
        long, short = (random.row_seeds(tf.constant(seed), n).numpy() for n in (9, 4))
        np.testing.assert_array_equal(long[:4], short)
    rows = random.row_seeds(tf.constant([5, 0]), 4)
    np.testing.assert_array_equal(rows, [[5, 0], [5, 1], [5, 2], [5, 3]])


def test_neighbouring_seeds_share_no_rows():
    seeds = [[a, b] for a in (0, 1, -1) for b in range(-20, 20)]
    rows = np.concatenate([random.row_seeds(tf.constant(seed), 50) for seed in seeds])
    assert len(np.unique(rows, axis=0)) == len(rows)


class Columns:
    """What `row_uniforms` asks of a family."""

    def __init__(self, channels):
        self.channels = np.array(channels)
        self.event_size, self.num_uniforms = len(channels), int(np.sum(channels))

    def columns_of_uniforms(self):
        return [np.flatnonzero(self.channels > c) for c in range(self.channels.max())]


@pytest.mark.parametrize("further", [0, 1, 2])
def test_a_row_of_single_uniforms_is_drawn_as_ever(further):
    seeds = tf.constant(SEEDS)
    found = random.row_uniforms(seeds, Columns([1, 1, 1]), further)
    np.testing.assert_array_equal(found, random.uniforms(seeds, 3 + further))


@pytest.mark.parametrize("further", [0, 1])
@pytest.mark.parametrize("channels", [[2, 1, 3, 1, 2, 2], [2] * 5, [1, 3]])
def test_further_uniforms_of_columns_leave_the_first_ones_alone(channels, further):
    seeds, size = tf.constant(SEEDS), len(channels)
    found = random.row_uniforms(seeds, Columns(channels), further).numpy()
    assert found.shape == (len(SEEDS), sum(channels) + further)
    plain = random.uniforms(seeds, size + further).numpy()
    np.testing.assert_array_equal(found[:, :size], plain[:, :size])
    np.testing.assert_array_equal(found[:, sum(channels) :], plain[:, size:])
    # Those of another channel do not depend on how many columns the channels before have.
    second = found[:, size:][:, : sum(channel > 1 for channel in channels)]
    other = random.row_uniforms(seeds, Columns([2] * second.shape[1]), 0).numpy()
    np.testing.assert_array_equal(second, other[:, second.shape[1] :])


def test_channels_are_uniform_and_independent():
    seeds = random.row_seeds(tf.constant([3, 0]), 3000)
    found = random.row_uniforms(seeds, Columns([3] * 12)).numpy()
    assert len(np.unique(found[:, ::5])) > 0.99 * found[:, ::5].size
    assert scipy.stats.kstest(found.ravel(), "uniform").pvalue > 0.01
    correlations = np.corrcoef(found.T) - np.eye(36)
    assert np.abs(correlations).max() < 0.1  # 5 standard errors of 3000 rows
