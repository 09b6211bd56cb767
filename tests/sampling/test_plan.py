import itertools

import numpy as np
import pytest

from made_tf import masks
from made_tf.conditionals.layout import Layout
from made_tf.sampling.block_length import (
    RUNTIMES,
    expected_passes,
    make_plan,
    sampling_cost,
    sampling_work,
)
from made_tf.sampling.sorted_weights import Kernel


def made(event_size, hidden, block_length, input_sizes=1, parameter_sizes=1, **kwargs):
    degrees = masks.make_degrees(event_size, hidden, seed=2, **kwargs)
    ones = np.ones(event_size, np.int64)
    layout = Layout.of_sizes(ones * input_sizes, ones * parameter_sizes)
    return degrees, make_plan(degrees, layout, block_length)


@pytest.mark.parametrize("block_length", [1, 3, 7, 20, None])
def test_every_variable_is_in_one_block_in_the_order_of_generation(block_length):
    degrees, cut = made(20, (9, 5), block_length, input_order="random", hidden_degrees="random")
    blocks = [cut.block_variables(b).tolist() for b in range(cut.num_blocks)]
    assert list(itertools.chain(*blocks)) == degrees.generation_order.tolist()
    assert max(map(len, blocks)) <= (block_length or 20)


@pytest.mark.parametrize("hidden", [(), (3,), (40,), (13, 2, 17)])
def test_a_block_depends_on_itself_and_on_blocks_before_it_alone(hidden):
    degrees, cut = made(11, hidden, 4, 2, 3, input_order="random", hidden_degrees="random")
    repeat = [np.repeat(degrees.inputs, n) for n in (2, 3)]
    unit_degrees = [repeat[0], *degrees.hidden, repeat[1]]
    levels = [cut.features, *cut.hidden, cut.parameters]
    for lower, upper, below, above in zip(
        unit_degrees, unit_degrees[1:], levels, levels[1:], strict=False
    ):
        mask = masks.degrees_to_mask(lower, upper, strict=above is cut.parameters)
        staircase = mask[below.units][:, above.units]
        for b in range(cut.num_blocks):
            assert not staircase[below.offsets[b + 1] :, above.span(b, b + 1)].any()


def test_levels_hold_every_unit_once():
    _, cut = made(11, (6, 30), 4, 2, 3)
    for level, size in zip(
        [cut.features, *cut.hidden, cut.parameters], (22, 6, 30, 33), strict=True
    ):
        assert sorted(level.units) == list(range(size))
        assert level.offsets[0] == 0 and level.offsets[-1] == size


@pytest.mark.parametrize("block_length", [0, -1, 2.0, True, "4"])
def test_a_wrong_block_length_is_refused(block_length):
    with pytest.raises(ValueError, match="`block_length` must be a positive integer"):
        made(4, (5,), block_length)


def test_the_default_keeps_the_number_of_blocks_bounded():
    for event_size in (1, 16, 17, 784, 4096):
        _, cut = made(event_size, (8,), None)
        assert cut.num_blocks <= 64


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_chosen_length_has_the_lowest_cost_of_all(runtime):
    degrees, _ = made(60, (50,), None)
    ones = np.ones(60, np.int64)
    prices = RUNTIMES[runtime].prices
    for rows in (1, 32, 1000):
        chosen = make_plan(degrees, Layout.of_sizes(ones, ones), None, rows, runtime)
        others = [
            make_plan(degrees, Layout.of_sizes(ones, ones), length)
            for length in (1, 5, 10, 20, 30, 60)
        ]
        cost = sampling_cost(chosen, rows, prices)
        assert all(cost <= sampling_cost(other, rows, prices) for other in others)


def test_more_rows_take_shorter_blocks():
    degrees = masks.make_degrees(784, (500, 500))
    ones = np.ones(784, np.int64)
    counts = [
        make_plan(degrees, Layout.of_sizes(ones, ones), batch_size=n).num_blocks
        for n in (1, 32, 512)
    ]
    assert counts[0] < counts[1] < counts[2]


def test_the_family_and_the_widths_count():
    degrees = masks.make_degrees(200, (100,))
    ones = np.ones(200, np.int64)
    narrow = make_plan(degrees, Layout.of_sizes(ones, ones))
    assert make_plan(degrees, Layout.of_sizes(ones, 20 * ones)).num_blocks > narrow.num_blocks
    wide = masks.make_degrees(200, (2000,))
    assert make_plan(wide, Layout.of_sizes(ones, ones)).num_blocks > narrow.num_blocks


def test_the_work_of_one_block_is_counted_by_hand():
    _, cut = made(4, (16,), 4)
    passes = expected_passes(4, 10) + 1
    work = sampling_work(cut, 10)
    assert work.products == pytest.approx(passes * 12 * (4 * 16 + 16 * 16))  # 4 columns take 16
    assert work.operators == pytest.approx(passes * (2 * 2 + 8))
    assert work.copies == pytest.approx(passes * 10 * (16 + 4 + 4 * 4))


@pytest.mark.parametrize("length", [1, 2])
def test_what_leads_from_a_block_to_itself_is_what_the_mask_allows(length):
    degrees, cut = made(6, (9,), length, input_order="random")
    ends = cut.hidden[0], cut.parameters
    weights = np.random.default_rng(0).normal(size=[len(level.units) for level in ends])
    mask = masks.degrees_to_mask(degrees.hidden[0], degrees.inputs, strict=True)
    mask = mask[ends[0].units][:, ends[1].units]
    for block in range(cut.num_blocks):
        rows, columns = (level.span(block, block + 1) for level in ends)
        found = Kernel(weights, *ends, strict=True, transposed=False).triangle(block).weights
        expected = np.where(mask, weights, 0)[rows, columns]
        if expected.any():
            np.testing.assert_array_equal(found, expected)
        else:  # as of a single variable: there is no product
            assert found.shape == (0, expected.shape[1])
    assert expected.any() == (length > 1)


def test_a_block_of_one_real_variable_counts_no_product_with_its_own_parameters():
    degrees = masks.make_degrees(3, (6,))
    layout = Layout.of_sizes(np.ones(3), np.ones(3))
    work = sampling_work(make_plan(degrees, layout, 1, late=1.0), 10)
    # Within: from two variables to three units each. Beside: from one variable to the six units
    # of both others' blocks and from the hidden units before to the later parameters.
    assert work.products == pytest.approx(12 * 16 * (1 + 1 + 1 + 3 + 3 + 3))


def test_no_block_needs_more_passes_than_it_has_variables_and_one():
    assert all(expected_passes(length, 10**6) <= length + 1 for length in range(1, 100))


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, "4"])
def test_a_wrong_batch_size_is_refused(batch_size):
    degrees = masks.make_degrees(4, (5,))
    with pytest.raises(ValueError, match="`batch_size` must be a positive integer"):
        make_plan(degrees, Layout.of_sizes(np.ones(4), np.ones(4)), batch_size=batch_size)
