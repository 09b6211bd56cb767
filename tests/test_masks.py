import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from made_tf import masks


def test_the_worked_example_reproduces():
    # Rows: second hidden layer, columns: first.
    expected = [
        [1, 0, 1, 0, 0],
        [1, 0, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 0, 1, 0, 0],
        [1, 1, 1, 1, 1],
    ]
    mask = masks.degrees_to_mask([1, 2, 1, 2, 3], [1, 1, 2, 1, 3])
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask.T.astype(int), expected)


def test_masks_of_a_network_written_by_hand():
    degrees = masks.make_degrees(3, (2,), [2, 3, 1], [[1, 2]])
    hidden, output = degrees.masks()  # [in, out]
    np.testing.assert_array_equal(hidden.astype(int), [[0, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(output.astype(int), [[1, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(
        degrees.direct_mask().astype(int), [[0, 1, 0], [0, 0, 0], [1, 1, 0]]
    )


@pytest.mark.parametrize("strict", [False, True])
def test_masks_follow_the_double_loop(strict):
    rng = np.random.default_rng(3)
    below, above = rng.integers(1, 9, 7), rng.integers(1, 9, 11)
    np.testing.assert_array_equal(
        masks.degrees_to_mask(below, above, strict), reference.mask(below, above, strict)
    )


def test_the_direct_mask_is_strict():
    for order in ([1, 2, 3, 4], [3, 1, 4, 2]):
        mask = masks.make_degrees(4, (), order).direct_mask()
        assert not mask.diagonal().any()
        assert mask.sum() == 6  # every pair in one direction


def test_natural_order_counts_up():
    np.testing.assert_array_equal(masks.make_degrees(4, ()).inputs, [1, 2, 3, 4])


def test_the_generation_order_inverts_an_order_that_is_not_its_own_inverse():
    degrees = masks.make_degrees(4, (), [2, 3, 4, 1])
    assert degrees.generation_order.tolist() == [3, 0, 1, 2]
    assert degrees.inputs[degrees.generation_order].tolist() == [1, 2, 3, 4]
    assert degrees.event_size == 4


def test_a_random_order_is_a_seeded_permutation():
    orders = [masks.make_degrees(30, (), "random", seed=seed).inputs for seed in (0, 0, 1)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    assert sorted(orders[0]) == list(range(1, 31))


def test_no_seed_draws_fresh_degrees():
    first, second = (masks.make_degrees(30, (50,), "random", "random") for _ in range(2))
    assert not np.array_equal(first.inputs, second.inputs)
    assert not np.array_equal(first.hidden[0], second.hidden[0])


def test_drawing_degrees_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    masks.make_degrees(10, (20,), "random", "random", seed=3)
    masks.make_degrees(10, (20,), "random", "random")
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_random_degrees_never_fall_below_the_layer_before():
    lifted = 0
    for seed in range(50):
        layers = masks.make_degrees(10, (3, 4, 200), hidden_degrees="random", seed=seed).hidden
        lowest = 1
        for layer in layers:
            assert lowest <= layer.min()
            assert layer.max() <= 9
            lowest = layer.min()
        lifted += layers[0].min() > 1
        # The last layer is wide: it takes every value that it may.
        assert set(layers[2]) == set(range(layers[1].min(), 10))
    assert lifted > 10  # the rule had something to do


def test_layers_of_equal_width_get_different_random_degrees():
    first, second = masks.make_degrees(50, (40, 40), hidden_degrees="random", seed=0).hidden
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(("event_size", "width"), [(2, 1), (5, 4), (5, 9), (100, 99), (100, 1000)])
def test_equal_degrees_cover_all_values_where_the_layer_is_wide_enough(event_size, width):
    (layer,) = masks.make_degrees(event_size, (width,)).hidden
    values, counts = np.unique(layer, return_counts=True)
    assert values.tolist() == list(range(1, event_size))
    # Rounding halves the share of the two ends and nothing else.
    assert counts.max() - counts.min() <= np.ceil(width / (event_size - 1))


def test_equal_degrees_of_a_narrow_layer_reach_from_end_to_end():
    (layer,) = masks.make_degrees(100, (3,)).hidden
    assert layer.tolist() == [1, 50, 99]


def test_early_degrees_are_the_squares_of_an_even_spread():
    (layer,) = masks.make_degrees(10, (9,), hidden_degrees="early").hidden
    assert layer.tolist() == [1, 1, 2, 2, 3, 4, 6, 7, 9]  # 1 + i^2 / 8, to the nearest
    (wide,) = masks.make_degrees(100, (500,), hidden_degrees="early").hidden
    values, counts = np.unique(wide, return_counts=True)
    assert values.tolist() == list(range(1, 100))
    assert counts[:10].sum() > 4 * counts[-10:].sum()


@pytest.mark.parametrize("kind", ["equal", "early", "random"])
def test_one_variable_has_units_that_reach_nothing(kind):
    degrees = masks.make_degrees(1, (3, 2), hidden_degrees=kind, seed=0)
    assert [layer.tolist() for layer in degrees.hidden] == [[1, 1, 1], [1, 1]]
    assert not degrees.masks()[-1].any()
    assert not degrees.direct_mask().any()
    assert masks.unreachable(degrees) == []


def test_explicit_degrees_are_taken_as_they_are():
    degrees = masks.make_degrees(4, [2, 3], np.array([4, 2, 1, 3]), [[3, 1], np.array([2, 2, 3])])
    assert degrees.inputs.tolist() == [4, 2, 1, 3]
    assert [layer.tolist() for layer in degrees.hidden] == [[3, 1], [2, 2, 3]]


def test_unreachable_names_what_a_narrow_layer_cannot_pass_on():
    # One unit of degree 1: outputs 1..3 see variable 0, nothing else.
    narrow = masks.make_degrees(4, (1,), hidden_degrees=[[1]])
    assert masks.unreachable(narrow) == [(2, 1), (3, 1), (3, 2)]
    assert masks.unreachable(narrow, direct_connections=True) == []


def test_unreachable_counts_variables_not_places():
    # Variable 2 comes first, then 0, then 1; a unit of degree 1 passes variable 2 on.
    degrees = masks.make_degrees(3, (1,), [2, 3, 1], [[1]])
    assert masks.unreachable(degrees) == [(1, 0)]


@pytest.mark.parametrize("order", ["natural", "random"])
def test_nothing_is_unreachable_where_layers_are_wide_enough(order):
    assert masks.unreachable(masks.make_degrees(6, (5, 5), order, seed=2)) == []


configurations = st.integers(1, 8).flatmap(
    lambda D: st.tuples(
        st.just(D),
        st.lists(st.integers(1, 12), max_size=3),
        st.sampled_from(["natural", "random"]) | st.permutations(range(1, D + 1)),
        st.sampled_from(["equal", "random"]),
        st.integers(0, 99),
        st.booleans(),
    )
)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(configurations)
def test_masks_and_connectivity_follow_the_loops(configuration):
    D, widths, order, kind, seed, direct = configuration
    degrees = masks.make_degrees(D, widths, order, kind, seed)
    expected = reference.masks(degrees.inputs, degrees.hidden)
    for mask, loops in zip(degrees.masks(), expected, strict=True):
        np.testing.assert_array_equal(mask, loops)
    paths = reference.paths(degrees.inputs, degrees.hidden, direct)
    np.testing.assert_array_equal(masks.connectivity(degrees, direct), paths)
    later = degrees.inputs[:, None] > degrees.inputs[None, :]
    assert not (paths & ~later).any()
    expected = [tuple(pair) for pair in np.argwhere(later & ~paths).tolist()]
    assert masks.unreachable(degrees, direct) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event_size": 0}, r"`event_size` must be a positive integer. Received: event_size=0"),
        ({"event_size": -3}, "Received: event_size=-3"),
        ({"event_size": 2.0}, r"Received: event_size=2\.0"),
        ({"event_size": True}, "Received: event_size=True"),
        ({"hidden_units": 5}, "`hidden_units` must be a sequence. Received: hidden_units=5"),
        ({"hidden_units": "5"}, "`hidden_units` must be a sequence"),
        ({"hidden_units": (5, 0)}, "`hidden_units` must be a positive integer"),
        ({"hidden_units": (True,)}, "`hidden_units` must be a positive integer"),
        ({"hidden_units": (2.5,)}, "`hidden_units` must be a positive integer"),
        ({"input_order": "reverse"}, "`input_order` must be 'natural', 'random' or"),
        ({"input_order": [1, 2]}, r"`input_order` must be a permutation of 1\.\.3"),
        ({"input_order": [0, 1, 2]}, r"`input_order` must be a permutation of 1\.\.3"),
        ({"input_order": [1, 1, 3]}, r"`input_order` must be a permutation of 1\.\.3"),
        ({"input_order": [1.0, 2.0, 3.0]}, "`input_order` must be a sequence of integers"),
        ({"input_order": [[1, 2, 3]]}, "`input_order` must be a sequence of integers"),
        ({"input_order": 3}, "`input_order` must be a sequence of integers"),
        ({"hidden_degrees": "even"}, "`hidden_degrees` must be 'equal', 'early', 'random' or"),
        ({"hidden_degrees": 1}, "`hidden_degrees` must be a sequence"),
        ({"hidden_degrees": [[1]]}, r"widths \[2\]. Received widths: \[1\]"),
        ({"hidden_degrees": [[1, 2], [1]]}, r"Received widths: \[2, 1\]"),
        ({"hidden_degrees": [[1, 3]]}, r"must lie in 1\.\.2 for event_size=3"),
        ({"hidden_degrees": [[0, 1]]}, "Received degrees from 0 to 1"),
        ({"hidden_degrees": [[1.0, 2.0]]}, r"`hidden_degrees\[0\]` must be a sequence of int"),
        ({"hidden_degrees": [1, 2]}, r"`hidden_degrees\[0\]` must be a sequence of integers"),
        ({"hidden_degrees": [[]]}, r"`hidden_degrees\[0\]` must be a sequence of integers"),
        ({"seed": -1}, "`seed` must be an integer of at least 0. Received: seed=-1"),
        ({"seed": 1.5}, r"`seed` must be an integer of at least 0. Received: seed=1\.5"),
        ({"seed": True}, "`seed` must be an integer of at least 0. Received: seed=True"),
        ({"seed": "a"}, "`seed` must be an integer of at least 0. Received: seed='a'"),
    ],
)
def test_bad_arguments_get_an_error_that_names_them(arguments, message):
    with pytest.raises(ValueError, match=message):
        masks.make_degrees(**{"event_size": 3, "hidden_units": (2,), **arguments})
