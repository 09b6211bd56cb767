import numpy as np
import pytest
import reference
from queries.common import NAN, made, only

import made_tf
from made_tf.queries.estimate import Estimate
from made_tf.queries.value_sets import allowed_sets


@pytest.mark.parametrize(("num_masks", "block_length"), [(1, 1), (1, None), (None, 3)])
def test_sets_of_ragged_variables(num_masks, block_length):
    model = made("ragged", num_masks=num_masks)
    dist = made_tf.MADEDistribution(model, block_length)
    sets = [
        {0: [0, 2], 2: [1]},
        {1: [1, 2], 3: [0]},
        {k: [0, 1] for k in range(4)},
        {2: [0], 3: [1, 2], 0: [1]},
        {},
    ]
    allowed = allowed_sets(model, sets)
    found = dist.log_prob_in(sets, num_samples=500, seed=2)
    for ours, written_down in zip(found, dist.log_prob_in(allowed, 500, seed=2), strict=True):
        np.testing.assert_array_equal(ours, written_down)
    order, *hidden = reference.order_of(model)
    for number, query in enumerate(sets):
        first = [k in query and len(query[k]) < (3, 4, 2, 3)[k] for k in range(4)]
        if num_masks is None:
            table = reference.Table(model, [reference.known_first(order, first), *hidden])
        else:
            table = reference.Table(model)
        expected = np.log(table.within(allowed[number]))
        error = found.standard_error[number]
        assert abs(found.log_prob[number] - expected) < 4 * error + 1e-5, query
        assert found.effective_sample_size[number] <= 500.01
    assert found.log_prob[-1] == 0 and found.standard_error[-1] == 0


def test_the_errors_of_sets_are_calibrated(fixed, table):
    allowed = allowed_sets(fixed.model, [{2: [1]}, {0: [0], 2: [1]}, {3: [1], 0: [0], 2: [0]}])
    parts = [fixed.log_prob_in(allowed, 100, seed) for seed in range(100)]
    found = Estimate(*np.stack(parts, axis=1))
    expected = [table.within(query) for query in allowed]
    z = (found.log_prob - np.log(expected)) / found.standard_error
    assert (np.abs(z) < 4.5).all()
    assert (z.var(axis=0) > 0.6).all() and (z.var(axis=0) < 1.5).all()
    error = found.probability.std(axis=0) / 10
    assert (np.abs(found.probability.mean(axis=0) - expected) < 4 * error).all()


def test_a_set_of_the_first_variable_is_answered_without_error(fixed, any_order, table):
    allowed = allowed_sets(fixed.model, [{1: [1]}])
    found = fixed.log_prob_in(allowed, 10)
    np.testing.assert_allclose(found.probability, table.within(allowed[0]), atol=1e-5)
    assert found.standard_error == 0
    for variable in range(4):
        allowed = allowed_sets(any_order.model, [{variable: [0]}])
        row = only(np.zeros(4), [variable])
        np.testing.assert_allclose(
            any_order.log_prob_in(allowed, 10).log_prob,
            any_order.log_marginal([row]).log_prob,
            atol=1e-5,
        )


def test_an_empty_set_has_no_probability(fixed):
    found = fixed.log_prob_in(allowed_sets(fixed.model, [{2: []}, {2: [0]}]), 20)
    assert found.log_prob[0] == -np.inf and found.effective_sample_size[0] == 0
    assert np.isfinite(found.log_prob[1])


def test_sets_are_written_down_by_variable_and_value():
    model = made("ragged")  # 3, 4, 2 and 3 states
    found = allowed_sets(model, [{0: [2], 2: (0, 1)}, {1: np.array([0, 3])}])
    expected = np.array([[[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]] * 2)
    expected[0, 0] = [0, 0, 1, 0]
    expected[1, 1] = [1, 0, 0, 1]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    for query, received in [({4: [0]}, 4), ({2: [2]}, 2), ({-1: [0]}, -1), ({0: [0.5]}, 0.5)]:
        with pytest.raises(ValueError, match=f"`queries` must be .* Received: queries={received}"):
            allowed_sets(model, [query])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda d: d.log_prob_in(np.ones((4, 2))),
            r"`allowed` must have the shape \[queries, 4, 2\]",
        ),
        (lambda d: d.log_prob_in({0: [1]}), "`allowed` must be a list of mappings or an array"),
        (lambda d: d.log_prob_in(np.ones((1, 4, 3))), r"`allowed` must have the shape"),
        (lambda d: d.log_prob_in(np.ones((0, 4, 2))), r"`allowed` must have the shape"),
        (lambda d: d.log_prob_in(np.full((1, 4, 2), 0.5)), "`allowed` must hold 0 and 1 alone"),
        (lambda d: d.log_prob_in(np.full((1, 4, 2), NAN)), "`allowed` must hold 0 and 1 alone"),
        (lambda d: d.log_prob_in([["a"]]), "`allowed` must be a list of mappings or an array of"),
        (
            lambda d: d.log_prob_in([{4: [0]}]),
            r"`allowed` must be an integer in \[0, 4\) for a v",
        ),
        (lambda d: d.log_prob_in([{}, {2: [0, 7]}]), r"a value of variable 2 \(query 1\). .*=7"),
        (lambda d: d.log_prob_in([{0: 1}]), "`allowed` must give .* a list of values. .* 0: 1 in"),
        (lambda d: d.log_prob_in([{0: [1]}, 3]), "`allowed` must be mappings .* 3 as query 1"),
        (lambda d: allowed_sets(d.model, {0: [1]}), "`queries` must be mappings .* 0 as query 0"),
    ],
)
def test_bad_sets_get_an_error_that_says_what_is_wrong(ask, message, fixed):
    with pytest.raises(ValueError, match=message):
        ask(fixed)


def test_sets_of_real_values_are_refused(normal):
    with pytest.raises(ValueError, match="`conditionals` must be discrete"):
        normal.log_prob_in(np.ones((1, 3, 2)))
    with pytest.raises(ValueError, match="`conditionals` must be discrete"):
        allowed_sets(normal.model, [{0: [1]}])
    with pytest.raises(ValueError, match=r"a finite number only. Received: x\[0, 1\]=inf"):
        normal.log_marginal([[NAN, 1e300, NAN]])


def test_queries_of_one_order_are_answered_together_as_alone(fixed, monkeypatch):
    sets = [{1: [1]}, {3: [0]}, {1: [0], 2: [1]}, {}, {0: [1]}]
    alone = [fixed.log_prob_in([query], num_samples=50, seed=2) for query in sets]
    exact, calls = fixed.queries._exact, []
    draw = exact.draw_within

    def counted(seeds, *rest):
        calls.append(len(seeds))
        return draw(seeds, *rest)

    monkeypatch.setattr(exact, "draw_within", counted)
    together = fixed.log_prob_in(sets, num_samples=50, seed=2)
    assert sorted(calls) == [1, 150]  # the first variable of the order needs one draw
    for ours, own in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(ours, np.concatenate(own), rtol=1e-5, atol=1e-6)
