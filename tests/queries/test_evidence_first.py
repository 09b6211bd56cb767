import itertools

import numpy as np
import pytest
import reference
from queries.common import NAN, assert_exact, distribution, grid, only

import made_tf


def test_prefixes_of_a_fixed_order_are_ratios_of_enumerated_probabilities(fixed, table):
    turn = [1, 3, 0, 2]
    asked, evidence = [], []
    for start, end in itertools.combinations(range(5), 2):
        for state in table.states:
            evidence.append(only(state, turn[:start]))
            asked.append(only(state, turn[start:end]))
    found = fixed.conditional_log_prob(asked, evidence)
    assert_exact(found)
    pairs = zip(asked, evidence, strict=True)
    expected = [table(a, b) / table(b) for a, b in pairs]
    np.testing.assert_allclose(found.probability, expected, atol=1e-5)
    np.testing.assert_allclose(found.log_prob, np.log(expected), atol=1e-5)


def test_marginals_of_prefixes_are_enumerated_sums(fixed, table):
    rows = [only(state, [1, 3, 0, 2][:end]) for end in range(5) for state in table.states]
    found = fixed.log_marginal(rows)
    assert_exact(found)
    np.testing.assert_allclose(found.probability, [table(row) for row in rows], atol=1e-5)
    assert (found.log_prob[:16] == 0).all()  # of nothing


@pytest.mark.parametrize("options", [{}, {"resample": "order"}, {"family": "ragged"}])
def test_any_subset_of_a_model_of_all_orders(options, any_order):
    """All patterns of known, asked for and neither, in one call."""
    dist = any_order if not options else distribution(num_masks=None, **options)
    order, *hidden = reference.order_of(dist.model)
    states = reference.states(dist.model)
    rng = np.random.default_rng(0)
    asked, evidence, expected = [], [], []
    kinds = list(itertools.product(range(3), repeat=4))
    for kind in kinds[:: 4 if options else 1]:
        known, wanted = (np.array(kind) == number for number in range(2))
        table = reference.Table(dist.model, [reference.known_first(order, known, wanted), *hidden])
        row = states[rng.integers(len(states))]
        evidence.append(only(row, np.flatnonzero(known)))
        asked.append(only(row, np.flatnonzero(wanted)))
        expected.append(np.log(table(asked[-1], evidence[-1]) / table(evidence[-1])))
    found = dist.conditional_log_prob(asked, evidence)
    assert_exact(found)
    np.testing.assert_allclose(found.log_prob, expected, atol=1e-5)


@pytest.mark.parametrize("num_orders", [1, 3])
def test_conditionals_of_all_orders_sum_to_one(num_orders):
    dist = distribution(num_masks=None, num_orders=num_orders)
    states = reference.states(dist.model)
    for pattern in itertools.product([0, 1], repeat=4):
        if all(pattern):
            continue
        known = np.flatnonzero(pattern)
        rows = np.unique(np.where(np.isin(np.arange(4), known), states[5], states), axis=0)
        rest = np.delete(np.arange(4), known)
        found = dist.conditional_log_prob(
            [only(row, rest) for row in rows], [only(row, known) for row in rows]
        )
        assert found.probability.sum() == pytest.approx(1, abs=1e-5)


def test_several_orders_are_averaged():
    dist = distribution(num_masks=None, num_orders=3)
    known = [False, True, True, False]
    row = np.array([1, 0, 1, 0], np.float32)
    asked, evidence = only(row, [0]), only(row, [1, 2])
    parts = []
    for number in range(3):
        order, *hidden = reference.order_of(dist.model, number)
        order = reference.known_first(order, known, [True, False, False, False])
        table = reference.Table(dist.model, [order, *hidden])
        parts.append(table(asked, evidence) / table(evidence))
    assert np.ptp(parts) > 0.01  # they disagree
    found = dist.conditional_log_prob([asked], [evidence])
    np.testing.assert_allclose(found.probability, np.mean(parts), atol=1e-5)


def test_a_model_of_k_masks_uses_the_one_that_has_the_evidence_first(three):
    model = three.model
    orders = model.mask_sets.first(3).inputs
    row = np.array([1, 0, 1, 1], np.float32)
    tried = set()
    for number, order in enumerate(orders):
        turn = np.argsort(order)
        for end in range(1, 4):
            first = [set(np.argsort(other)[:end]) for other in orders]
            if first.index(set(turn[:end])) != number:
                continue  # an earlier order has them first too
            table = reference.Table(model, reference.order_of(model, number))
            evidence, asked = only(row, turn[:end]), only(row, turn[end:])
            found = three.conditional_log_prob([asked], [evidence])
            assert_exact(found)
            np.testing.assert_allclose(found.probability, table(row) / table(evidence), atol=1e-5)
            tried.add(number)
    assert tried == {0, 1, 2}


@pytest.mark.parametrize(
    "row", [[NAN, 1, NAN, 0], [NAN, NAN, NAN, NAN], [1, NAN, 0, NAN], [NAN, 0, 1, 1]]
)
def test_draws_of_a_model_of_all_orders_follow_the_conditional(row, any_order):
    order, *hidden = reference.order_of(any_order.model)
    order = reference.known_first(order, ~np.isnan(row))
    table = reference.Table(any_order.model, [order, *hidden])
    found = any_order.sample_conditional([row], 4000, seed=1)
    assert found.shape == (4000, 1, 4)
    pvalue = reference.chi_squared_pvalue(table.counts(found[:, 0]), 4000 * table.given(row))
    assert pvalue > 0.01


# Real values.


def test_densities_of_prefixes_equal_integrals(normal):
    """Variables 2, 0, 1 in turn: p(x_0 | x_2) is the integral over x_1."""
    axes, _ = grid()
    rows = np.array([[3.2, x, 1.5] for x in axes[1]], np.float32)
    densities = np.exp(reference.log_prob(normal.model, rows))
    both = densities.sum() * (axes[1][1] - axes[1][0])
    found = normal.conditional_log_prob([[3.2, NAN, NAN]], [[NAN, NAN, 1.5]])
    evidence = normal.log_marginal([[NAN, NAN, 1.5]])
    assert_exact(found)
    np.testing.assert_allclose(found.log_prob + evidence.log_prob, np.log(both), atol=1e-4)


def test_real_conditionals_of_all_orders_are_ratios_under_the_evidence_first_order():
    model = reference.small_model("normal", 3, num_masks=None, hidden_units=(9,), seed=4)
    dist = made_tf.MADEDistribution(model)
    order, *hidden = reference.order_of(model)
    for known in ([1], [0, 2], [2]):
        fixed = reference.under(
            model, [reference.known_first(order, np.isin(range(3), known)), *hidden]
        )
        row = np.array([0.3, -0.4, 1.1], np.float32)
        params = reference.forward(fixed, row[None])
        terms = reference.conditional_log_prob(model.conditionals, params, row[None])[0]
        rest = np.delete(np.arange(3), known)
        found = dist.conditional_log_prob([only(row, rest)], [only(row, known)])
        np.testing.assert_allclose(found.log_prob, terms[rest].sum(), atol=1e-5)
        np.testing.assert_allclose(
            dist.log_marginal([only(row, known)]).log_prob, terms[known].sum(), atol=1e-5
        )
