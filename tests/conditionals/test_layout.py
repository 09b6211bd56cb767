"""Where each column's features and parameters lie, against loops."""

import numpy as np
import pytest
import tensorflow as tf

import made_tf
from made_tf.conditionals.layout import Layout, Segments

SIZES = [2, 1, 4, 3]


def by_hand(sizes):
    """The entries of each column, counted one by one."""
    entries, number = [], 0
    for size in sizes:
        entries.append(list(range(number, number + size)))
        number += size
    return entries


@pytest.mark.parametrize("sizes", [SIZES, [1, 1, 1], [5], [3, 3]])
def test_entries_are_counted_column_after_column(sizes):
    segments, entries = Segments(np.array(sizes)), by_hand(sizes)
    assert segments.total == sum(sizes) and segments.largest == max(sizes)
    for column, own in enumerate(entries):
        assert segments.starts[column] == own[0]
        assert (segments.owners[own] == column).all()
        assert segments.ranks[own].tolist() == list(range(len(own)))
        padding = [segments.total] * (segments.largest - len(own))
        assert segments.table[column].tolist() == [*own, *padding]


@pytest.mark.parametrize("convert", [np.asarray, tf.constant])
def test_a_value_for_each_column_is_repeated_for_its_entries(convert):
    values = np.arange(8.0, dtype="float32").reshape(2, 4)
    expected = [[row[k] for k, size in enumerate(SIZES) for _ in range(size)] for row in values]
    np.testing.assert_array_equal(Segments(np.array(SIZES)).repeat(convert(values)), expected)


@pytest.mark.parametrize("sizes", [SIZES, [3, 3]])
def test_entries_are_put_side_by_side_with_padding(sizes):
    segments = Segments(np.array(sizes))
    values = np.random.default_rng(0).normal(size=(5, sum(sizes))).astype("float32")
    padded = np.asarray(segments.pad(values, -7.0))
    assert padded.shape == (5, len(sizes), max(sizes))
    for column, own in enumerate(by_hand(sizes)):
        np.testing.assert_array_equal(padded[:, column, : len(own)], values[:, own])
        assert (padded[:, column, len(own) :] == -7.0).all()


def test_known_columns_keep_their_sizes_and_unknown_ones_have_room_for_all():
    layout = Layout.of_sizes(SIZES, [1, 5, 2, 2])
    chosen = layout.select(np.array([3, 0]))
    assert chosen.features.sizes.tolist() == [3, 2]
    assert chosen.parameters.sizes.tolist() == [2, 1]
    unknown = layout.select(tf.constant([[3, 0], [1, 2]]))
    assert unknown.event_size == 2
    assert unknown.features.sizes.tolist() == [4, 4]
    assert unknown.parameters.sizes.tolist() == [5, 5]
    assert layout.padded().features.sizes.tolist() == [4] * 4


def test_a_family_is_bound_once():
    family = made_tf.Categorical([2, 3])
    with pytest.raises(ValueError, match="must know its columns first: call `bind"):
        family.in_support(np.zeros((1, 2), "float32"))
    bound = family.bind(2)
    assert bound.event_size == 2 and bound.bind(2) is bound
    with pytest.raises(ValueError, match="must have 3 columns. Received: one that is bound to 2"):
        bound.bind(3)
    with pytest.raises(ValueError, match="one entry for each of 5 variables"):
        family.bind(5)
    with pytest.raises(ValueError, match="`event_size` must be a positive integer"):
        family.bind(0)


def test_one_family_serves_models_of_different_sizes():
    family = made_tf.Normal()
    assert [made_tf.MADE(size, (8,), family).conditionals.event_size for size in (2, 5)] == [2, 5]
    with pytest.raises(ValueError, match="must know its columns first"):
        family.event_size  # noqa: B018


@pytest.mark.parametrize(
    ("family", "discrete"),
    [(made_tf.Bernoulli(), True), (made_tf.Categorical(3), True), (made_tf.Normal(), False)],
)
def test_whether_values_are_discrete_is_a_fact_of_each_column(family, discrete):
    assert family.bind(3).is_discrete.tolist() == [discrete] * 3
    assert [states is not None for states in family.bind(3).states()] == [discrete] * 3


def test_constants_of_columns_follow_a_selection():
    family = made_tf.Normal([1.0, 2.0, 3.0], 2.0).bind(3)
    columns = np.array([2, 0])
    for chosen in (family.select(columns), family.select(tf.constant(columns))):
        np.testing.assert_array_equal(chosen.constant("data_loc"), [3.0, 1.0])
        assert chosen.constant("data_scale").shape == ()  # all alike
    by_row = family.select(tf.constant([[2, 0], [1, 1]]))
    np.testing.assert_array_equal(by_row.constant("data_loc"), [[3.0, 1.0], [2.0, 2.0]])
