import numpy as np
import pytest
import reference
import scipy.special
import scipy.stats
from queries.common import NAN, PARTICLES, distribution, holes

import made_tf
from made_tf.queries.subsets import Queries


def test_impute_keeps_what_is_known_and_fills_the_rest(each):
    x = holes()
    found = each.impute(x, seed=1)
    assert found.dtype == np.float32 and np.isin(found, (0, 1)).all()
    np.testing.assert_array_equal(found[~np.isnan(x)], x[~np.isnan(x)])
    np.testing.assert_array_equal(each.impute(x, seed=1), found)
    assert (each.impute(x, seed=2) != found).any()


def test_impute_does_not_depend_on_other_rows_or_pieces(each):
    x = holes()
    found = each.impute(x, seed=1)
    np.testing.assert_array_equal(each.impute(x[:7], seed=1), found[:7])
    others = x.copy()
    others[:8] = holes(seed=5)[:8]
    np.testing.assert_array_equal(each.impute(others, seed=1)[8:], found[8:])
    in_threes = Queries(each.model, each.num_orders, PARTICLES, rows_at_once=3)
    np.testing.assert_array_equal(in_threes.sample_conditional(x, seed=1)[0], found)


def test_equal_rows_get_draws_of_their_own(each):
    found = each.impute(np.repeat([[NAN, NAN, 1, NAN]], 64, axis=0))
    assert len(np.unique(found, axis=0)) > 3


def test_what_lacks_nothing_is_returned(each):
    x = np.random.default_rng(0).integers(0, 2, (9, 4))
    found = each.impute(x)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, x)


def test_more_draws_begin_with_the_same(each):
    x = holes(1, seed=3)
    x[0, 0] = NAN
    few, more = (each.sample_conditional(x, count, seed=3) for count in (2, 6))
    np.testing.assert_array_equal(more[:2], few)
    np.testing.assert_array_equal(few[0], each.impute(x, seed=3))


def test_real_values_are_imputed_around_what_is_known(normal):
    x = np.array([[NAN, NAN, 1.5], [3.1, NAN, NAN], [NAN, 2.2, 0.3]])
    found = normal.impute(x)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[~np.isnan(x)], x[~np.isnan(x)].astype(np.float32))
    # x_1 given both others is normal with the parameters of the network.
    row = np.array([[3.1, NAN, 1.2]])
    drawn = normal.sample_conditional(row, 3000, seed=2)[:, 0, 1]
    params = reference.forward(normal.model, np.array([[3.1, 0, 1.2]]))
    law = reference.conditional(normal.model.conditionals, params[0], 1, 3)
    assert scipy.stats.kstest(drawn, law.cdf).pvalue > 0.01


# The model behind.


def test_answers_follow_training(table):
    dist = distribution()
    row, late = [[NAN, 1, NAN, 1]], [[NAN, NAN, 1, NAN]]
    before = dist.log_marginal(row), dist.log_marginal(late), dist.impute(holes())
    np.testing.assert_allclose(before[0].probability, table(np.array(row[0])), atol=1e-5)
    for layer in dist.model.masked_layers():
        layer.kernel.assign(-1.5 * layer.kernel)
    after = reference.Table(dist.model)
    found = dist.log_marginal(row)
    np.testing.assert_allclose(found.probability, after(np.array(row[0])), atol=1e-5)
    assert abs(found.log_prob - before[0].log_prob) > 0.01
    estimate = dist.log_marginal(late)
    error = abs(estimate.log_prob - np.log(after(np.array(late[0]))))
    assert error < 4 * estimate.standard_error
    assert (dist.impute(holes()) != before[2]).any()


def test_answers_of_a_quantized_model():
    dist = distribution(num_masks=None)
    row = [[1, NAN, 0, NAN]]
    before = dist.log_marginal(row).log_prob
    dist.model.quantize("int8")
    order, *hidden = reference.order_of(dist.model)
    states = np.array([s for s in reference.states(dist.model) if s[0] == 1 and s[2] == 0])
    order = reference.known_first(order, [True, False, True, False])
    log_prob = dist.model.row_log_prob(
        states, dist.model(states, training=False, degrees=[np.array(order, np.int32), *hidden])
    )
    found = dist.log_marginal(row).log_prob
    np.testing.assert_allclose(found, scipy.special.logsumexp(log_prob), atol=1e-5)
    assert 0 < abs(found - before) < 0.1
    imputed = dist.impute(np.repeat(row, 8, axis=0))
    assert (imputed[:, 0] == 1).all() and np.isin(imputed, (0, 1)).all()


# Errors.

ROW = [[0, 1, NAN, NAN]]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda d: d.log_marginal([[0, 1, NAN]]), r"`x` must have the shape \[rows, 4\]"),
        (lambda d: d.log_marginal([0, 1, NAN, 1]), r"`x` must have the shape \[rows, 4\]"),
        (lambda d: d.log_marginal([[0, 1, NAN, 2]]), r"0 or 1 only. Received: x\[0, 3\]=2"),
        (lambda d: d.log_marginal([[0, np.inf, NAN, 1]]), r"Received: x\[0, 1\]=inf"),
        (lambda d: d.log_marginal([[0, 1e300, NAN, 1]]), r"Received: x\[0, 1\]=inf"),
        (lambda d: d.log_marginal([["a"] * 4]), "`x` must be numeric"),
        (lambda d: d.impute([[NAN, 1, 0.5, 1]]), r"Received: evidence\[0, 2\]=0.5"),
        (lambda d: d.impute(ROW, seed=2**31), r"`seed` must be an integer in"),
        (lambda d: d.impute(ROW, seed=0.5), r"`seed` must be an integer in"),
        (lambda d: d.log_marginal(ROW, seed=0.5), r"`seed` must be an integer in"),
        (lambda d: d.log_marginal(ROW, seed=True), r"`seed` must be an integer in"),
        (lambda d: d.sample_conditional(ROW, 0), "`num_samples` must be a positive integer"),
        (
            lambda d: d.conditional_log_prob(ROW, [[NAN, 1, 1, NAN]]),
            "`x` must be NaN where `evidence` is known. .* row 0, variable 1",
        ),
        (
            lambda d: d.conditional_log_prob(ROW, [[NAN] * 4] * 2),
            "`x` and `evidence` must have equal shapes",
        ),
        (lambda d: d.log_prob_in(np.ones((1, 4, 2)), 1), "`num_samples` must be an integer of at"),
        (lambda d: d.log_prob_in(np.ones((1, 4, 2)), seed=None), "`seed` must be an integer in"),
        (lambda d: made_tf.MADEDistribution(d.model, num_particles=1), "`num_particles` must be"),
        (lambda d: Queries(d.model, num_particles=1), "`num_particles` must be an integer of at"),
        (lambda d: Queries(d.model, num_orders=2), "`num_orders` must be at most"),
        (lambda d: Queries(d.model, rows_at_once=0), "`rows_at_once` must be a positive integer"),
    ],
)
def test_bad_questions_get_an_error_that_says_what_is_wrong(ask, message, fixed):
    with pytest.raises(ValueError, match=message):
        ask(fixed)
