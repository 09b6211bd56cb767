"""Estimates: mostly the fixed order, with evidence that is no prefix of it.

Equal rows of one call have draws of their own, and so are repetitions.
"""

import numpy as np
import pytest
import reference
from queries.common import NAN, PARTICLES, distribution, grid, only

from made_tf.queries.subsets import Queries

LATE = [[2], [0, 2], [3, 2], [1, 0]]


@pytest.fixture(scope="module")
def repeated(fixed):
    row = np.array([0, 1, 1, 0], np.float32)
    rows = {tuple(known): only(row, known) for known in LATE}
    return {
        known: (row, fixed.log_marginal(np.repeat([row], 300, axis=0), seed=3))
        for known, row in rows.items()
    }


@pytest.mark.parametrize("known", LATE)
def test_estimates_lie_within_their_errors_and_the_errors_are_calibrated(known, repeated, table):
    row, found = repeated[tuple(known)]
    expected = table(row)
    z = (found.log_prob - np.log(expected)) / found.standard_error
    assert (np.abs(z) < 4.5).all()  # of 300
    assert abs(z.mean()) < 4 / np.sqrt(300) + 0.1  # the log of a mean is a little low
    assert 0.75 < z.var() < 1.35
    error = found.probability.std() / np.sqrt(300)
    assert abs(found.probability.mean() - expected) < 4 * error  # unbiased
    assert (found.effective_sample_size <= PARTICLES).all()
    assert (found.effective_sample_size > 1).all()


def test_the_effective_sample_size_is_that_of_the_weights(fixed, repeated, table):
    """E[w]^2 / E[w^2], enumerated: only 1 is drawn before 3, and 3 is known."""
    row = only(np.array([0, 1, 1, 0]), [3])
    found = fixed.log_marginal([row] * 100)
    before = np.array([table(only(np.array([0, b, 0, 0]), [1])) for b in (0, 1)])
    weights = [table(only(np.array([0, b, 0, 0]), [1, 3])) / before[b] for b in (0, 1)]
    expected = PARTICLES * (before @ weights) ** 2 / (before @ np.square(weights))
    assert found.effective_sample_size.mean() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("asked", "evidence"), [([0], [2]), ([1], [0, 2, 3]), ([1, 2], [3]), ([2], [1]), ([2], [0])]
)
def test_estimated_conditionals(asked, evidence, fixed, table):
    row = np.array([0, 1, 1, 0], np.float32)
    asked, evidence = only(row, asked), only(row, evidence)
    found = fixed.conditional_log_prob([asked] * 200, [evidence] * 200, seed=5)
    z = (found.log_prob - np.log(table(asked, evidence) / table(evidence))) / found.standard_error
    assert (np.abs(z) < 4.5).all()
    assert 0.7 < z.var() < 1.4
    assert (found.effective_sample_size <= PARTICLES).all()


def test_both_parts_of_an_estimated_conditional_are_of_one_order(three):
    """Known first in the second order alone, what is asked for is not next in it."""
    orders = three.model.mask_sets.first(3).inputs
    turn = np.argsort(orders[1])
    assert all(order[turn[0]] != 1 for order in orders[[0, 2]])
    table = reference.Table(three.model, reference.order_of(three.model, 1))
    states = np.array([[0, 0, 0, 0], [1, 1, 1, 1]], np.float32)
    evidence = np.repeat([only(states[0], turn[:1])], 2, axis=0)
    asked = [only(state, turn[3:]) for state in states]
    assert three.queries.sets_for(~np.isnan(evidence[0]), ~np.isnan(asked[0])) is None
    found = three.conditional_log_prob(asked, evidence)
    expected = [table(row, evidence[0]) / table(evidence[0]) for row in asked]
    assert (found.standard_error > 0).all()
    error = np.abs(found.log_prob - np.log(expected))
    assert (error < 4 * found.standard_error).all()


def test_seeds_change_estimates_and_equal_seeds_do_not(fixed):
    row = [[NAN, NAN, 1, 0]]
    first, again, other = (fixed.log_marginal(row, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.log_prob != other.log_prob
    assert np.isfinite(fixed.conditional_log_prob(row, [[0, NAN, NAN, NAN]], 2**31 - 1)).all()


def test_estimates_do_not_depend_on_the_rows_beside_them(fixed):
    rows = np.array([[NAN, NAN, 1, 0], [1, 0, 1, 1], [NAN, NAN, 1, 1], [0, NAN, 1, NAN]])
    whole = fixed.log_marginal(rows)
    others = rows.copy()
    others[:2] = [[0, NAN, 0, NAN], [NAN, NAN, 0, 0]]
    beside_others = np.array(fixed.log_marginal(others))
    # Other draws would move them by about their error, some per cent; what rounding makes of
    # products of more rows differs from one processor to the next.
    np.testing.assert_allclose(beside_others[:, 2:], np.array(whole)[:, 2:], rtol=1e-6)
    one_by_one = Queries(fixed.model, 1, PARTICLES, rows_at_once=PARTICLES)
    np.testing.assert_allclose(one_by_one.log_marginal(rows), whole, rtol=1e-6)


def test_densities_of_late_evidence_lie_within_four_errors_of_integrals(normal):
    axes, _ = grid(401)
    rows = np.stack(np.meshgrid(axes[0], [2.5], np.linspace(-9, 11, 401)), -1).reshape(-1, 3)
    densities = np.exp(normal.model.log_prob(rows.astype(np.float32)).numpy())
    expected = densities.sum(dtype=np.float64) * (axes[0][1] - axes[0][0]) * 20 / 400
    found = normal.log_marginal([[NAN, 2.5, NAN]] * 20)
    assert (found.standard_error < 0.1).all() and (found.standard_error > 0).all()
    z = (found.log_prob - np.log(expected)) / found.standard_error
    assert (np.abs(z) < 4).all() and 0.3 < z.var() < 2.2


# Draws.


def test_draws_follow_the_conditional_and_a_clamp_without_weights_does_not(fixed, table):
    row = np.array([NAN, NAN, 1, NAN])
    expected = table.given(row) * 2000
    found = fixed.impute(np.repeat([row], 2000, axis=0), seed=2)
    assert reference.chi_squared_pvalue(table.counts(found), expected) > 0.01
    known = ~np.isnan(row)
    seeds = np.stack([np.full(2000, 2), np.arange(2000)], axis=1).astype(np.int32)
    values = np.repeat([np.nan_to_num(row)], 2000, axis=0).astype(np.float32)
    clamped = fixed.queries.draw(seeds, known, values, fixed.model.mask_sets.first(1))[0]
    assert (clamped.numpy()[:, 2] == 1).all()
    assert reference.chi_squared_pvalue(table.counts(clamped.numpy()), expected) < 1e-6


def test_rows_that_lack_everything_follow_the_joint(fixed, table):
    found = fixed.impute(np.full((5000, 4), NAN), seed=4)
    pvalue = reference.chi_squared_pvalue(table.counts(found), 5000 * table.probs)
    assert pvalue > 0.01


def test_a_low_effective_sample_size_warns():
    dist = distribution(num_particles=2)
    with pytest.warns(UserWarning, match="Of 2 weighted draws only .* count"):
        dist.impute([[NAN, NAN, 1, NAN]])
    dist.impute([[NAN, 1, NAN, NAN]])  # exact: no warning, which would be an error
