"""Answers of an ensemble: its members' tables by enumeration, and a member alone."""

import itertools

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

import made_tf
from made_tf.distributions.conditional_ensemble import ConditionalEnsemble

NAN = np.nan
ORDERS = ([3, 1, 4, 2], [1, 4, 2, 3], [2, 3, 1, 4])
EVIDENCE = [NAN, 2, NAN, 0]
LATE = [NAN, NAN, 1, 0]  # of the first order
PARTICLES = 300
HOLES = np.array([[NAN, 2, NAN, 0], [NAN] * 4, [1, NAN, NAN, NAN], [0, 1, 2, NAN], [1, 0, 1, 0]])


def made(family, count, **kwargs):
    keras.utils.set_random_seed(0)  # fixtures of the module are made before that of the test
    members = [
        reference.loud(family, 4, 3.0, input_order=order, hidden_units=(9,), seed=seed, **kwargs)
        for seed, order in enumerate(ORDERS[:count])
    ]
    return made_tf.EnsembleDistribution(made_tf.Ensemble(members), num_particles=PARTICLES)


@pytest.fixture(scope="module")
def any_order():
    return made("ragged", 2, num_masks=None)


@pytest.fixture(scope="module")
def fixed():
    return made("bernoulli", 2)


@pytest.fixture(scope="module")
def alone():
    """An ensemble of one member, and this member."""
    dist = made("bernoulli", 1)
    return dist, made_tf.MADEDistribution(dist.ensemble.members[0], num_particles=PARTICLES)


def tables(dist, *known):
    """Of each member, under an order that has the known variables first."""
    found = []
    for member in dist.ensemble.members:
        order, *hidden = reference.order_of(member)
        if member.any_order:
            order = reference.known_first(order, *known)
        found.append(reference.Table(member, [order, *hidden]))
    return found


def mean(parts, row):
    return np.mean([table(np.asarray(row, float)) for table in parts])


def completions(dist, evidence):
    states = reference.states(dist.ensemble.members[0])
    return states[np.all(np.isnan(evidence) | (states == evidence), axis=1)]


def test_every_conditional_is_that_of_the_mean_of_the_members_tables(any_order):
    last = reference.states(any_order.ensemble.members[0])[-1]
    patterns = list(itertools.product([True, False], repeat=4))[1::3]
    for pattern in patterns:
        evidence = np.where(pattern, last, NAN)
        parts = tables(any_order, pattern)
        given = any_order.condition(evidence)
        rows = completions(any_order, evidence)
        expected = [mean(parts, row) / mean(parts, evidence) for row in rows]
        assert given.is_exact
        np.testing.assert_allclose(given.prob(rows[:, given.unobserved]), expected, atol=1e-5)
        for estimate in (given.evidence_log_prob(), any_order.log_marginal(evidence[None])):
            np.testing.assert_allclose(estimate.probability, mean(parts, evidence), atol=1e-5)
            assert np.all(estimate.standard_error == 0)
    shares = [table(np.array(EVIDENCE)) for table in tables(any_order, ~np.isnan(EVIDENCE))]
    assert max(shares) > 2 * min(shares)  # equal weights would not do


def test_rows_that_ask_and_know_different_variables(any_order):
    rng = np.random.default_rng(0)
    rows = any_order.sample(12, seed=1).numpy()
    asked, known = rng.random((2, 12, 4)) < 0.5
    asked &= ~known
    found = any_order.conditional_log_prob(
        np.where(asked, rows, NAN), np.where(known, rows, NAN), seed=3
    )
    for number, row in enumerate(rows):
        parts = tables(any_order, known[number], asked[number])
        of_both = np.where(known[number] | asked[number], row, NAN)
        expected = mean(parts, of_both) / mean(parts, np.where(known[number], row, NAN))
        assert found.probability[number] == pytest.approx(expected, abs=1e-5)
    np.testing.assert_array_equal(found.standard_error, 0)


def test_marginals_of_one_variable(any_order):
    given = any_order.condition([EVIDENCE, [NAN, 0, NAN, 1]])
    marginal = given.marginal(2)
    for number, evidence in enumerate([EVIDENCE, [NAN, 0, NAN, 1]]):
        known = ~np.isnan(evidence)
        parts = tables(any_order, known, np.arange(4) == 2)
        whole = [np.where(np.arange(4) == 2, state, evidence) for state in marginal.states]
        expected = np.array([mean(parts, row) for row in whole]) / mean(parts, evidence)
        np.testing.assert_allclose(marginal.probs[number], expected, atol=1e-5)
        assert float(marginal.mean()[number]) == pytest.approx(expected @ marginal.states, abs=1e-4)
        drawn = marginal.sample(3000, seed=2).numpy()[:, number]
        counts = np.array([np.sum(drawn == state) for state in marginal.states])
        assert reference.chi_squared_pvalue(counts, 3000 * expected) > 0.01
    assert marginal.entropy().shape == marginal.mode().shape == (2,)


def test_moments_of_real_values():
    dist = made("scaled_normal", 2, num_masks=None)
    marginal = dist.condition([NAN, 2.0, NAN, 1.0]).marginal(0)
    x = np.linspace(-60, 60, 20_001)
    density = marginal.prob(x.astype(np.float32)).numpy().astype(np.float64)
    total, first, second = (np.trapezoid(density * x**k, x) for k in range(3))
    assert total == pytest.approx(1, abs=1e-3)
    assert float(marginal.mean()) == pytest.approx(first, rel=1e-3)
    assert float(marginal.variance()) == pytest.approx(second - first**2, rel=1e-2)
    with pytest.raises(NotImplementedError, match="no exact `mode`"):
        marginal.mode()


@pytest.mark.parametrize("how", ["condition", "impute"])
def test_draws_given_evidence_follow_the_conditional(how, any_order):
    evidence = np.array(EVIDENCE)
    if how == "impute":
        rows = any_order.impute(np.tile(evidence, (4000, 1)), seed=3)
    else:
        rows = np.tile(evidence, (4000, 1))
        rows[:, [0, 2]] = any_order.condition(evidence).sample(4000, seed=3)
    parts = tables(any_order, ~np.isnan(evidence))
    expected = np.mean([table.probs for table in parts], axis=0)
    agrees = np.all(np.isnan(evidence) | (parts[0].states == evidence), axis=1)
    expected = np.where(agrees, expected, 0) / expected[agrees].sum()
    counts = parts[0].counts(rows.astype(np.float32))
    assert reference.chi_squared_pvalue(counts, 4000 * expected) > 0.01
    equal = np.mean([table.given(evidence) for table in parts], axis=0)
    assert reference.chi_squared_pvalue(counts, 4000 * equal) < 1e-4  # of equal weights


def test_what_no_order_gives_is_estimated_with_its_error(fixed):
    parts = tables(fixed)
    given = fixed.condition(LATE)
    assert isinstance(given, ConditionalEnsemble) and not given.is_exact
    estimates = [fixed.log_marginal([LATE], seed=seed) for seed in range(15)]
    away = [
        float((each.log_prob[0] - np.log(mean(parts, LATE))) / each.standard_error[0])
        for each in estimates
    ]
    assert abs(np.mean(away)) < 1 and 0.5 < np.std(away) < 1.6  # errors of the stated size
    # The density is normalised by the estimate: the same factor for all rows.
    rows = completions(fixed, LATE)
    found = given.prob(rows[:, given.unobserved]).numpy()
    expected = [mean(parts, row) / given.evidence_log_prob().probability for row in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    # Each row of the batch has particles of its own, from which one row is drawn.
    conditional = np.array([mean(parts, row) for row in rows]) / mean(parts, LATE)
    drawn = fixed.condition([LATE] * 250).sample(seed=1).numpy()
    filled = fixed.impute([LATE] * 250, seed=1)[:, :2]
    for values in (drawn, filled):
        counts = [np.sum(np.all(values == row[:2], axis=1)) for row in rows]
        assert reference.chi_squared_pvalue(np.array(counts), 250 * conditional) > 0.01


def test_conditionals_are_estimated_with_their_errors(fixed):
    x, evidence = [[0, NAN, NAN, NAN]], [[NAN, NAN, 1, 0]]
    parts = tables(fixed)
    expected = mean(parts, [0, NAN, 1, 0]) / mean(parts, [NAN, NAN, 1, 0])
    estimates = [fixed.conditional_log_prob(x, evidence, seed=seed) for seed in range(15)]
    away = [float((e.log_prob[0] - np.log(expected)) / e.standard_error[0]) for e in estimates]
    assert abs(np.mean(away)) < 1 and 0.5 < np.std(away) < 1.6


def test_probabilities_of_sets(any_order, fixed):
    queries = [{0: [0, 2], 2: [0]}, {1: [1]}]
    found = any_order.log_prob_in(queries, num_samples=4000, seed=1)
    for number, (wanted, known) in enumerate(
        [([[0, 2], None, [0], None], [1, 0, 1, 0]), ([None, [1], None, None], [0, 1, 0, 0])]
    ):
        inside = np.ones((4, 4))
        for k, values in enumerate(wanted):
            if values is not None:
                inside[k] = np.isin(np.arange(4), values)
        expected = np.mean([t.within(inside) for t in tables(any_order, np.array(known, bool))])
        error = max(found.standard_error[number], 1e-5)
        assert abs(found.log_prob[number] - np.log(expected)) < 4 * error
        assert error < 0.05
    assert (fixed.log_prob_in([{0: [], 1: [1]}]).log_prob == -np.inf).all()


def test_rows_depend_on_their_seed_and_number_alone(any_order, fixed):
    for dist in (any_order, fixed):
        x = np.where(np.isnan(HOLES), NAN, np.minimum(HOLES, 1))
        found = dist.impute(x, seed=5)
        np.testing.assert_array_equal(found[~np.isnan(x)], x[~np.isnan(x)])
        np.testing.assert_array_equal(
            np.concatenate([dist.impute(x[:2], 5), dist.impute(x[2:], 5, first_row=2)]), found
        )
        several = dist.sample_conditional(x, 6, seed=5)
        np.testing.assert_array_equal(several[0], found)
        assert (several[1] != found).any()
        given = dist.condition(EVIDENCE if dist is any_order else LATE)
        drawn = given.sample(20, seed=3)
        np.testing.assert_array_equal(given.sample(7, seed=3), drawn[:7])
    inside = tf.function(lambda: given.sample(20, seed=3), autograph=False)
    np.testing.assert_array_equal(inside(), drawn)


def test_where_nothing_is_known_rows_are_those_of_the_ensemble(any_order, fixed):
    for dist in (any_order, fixed):
        rows = dist.sample(40, seed=6)
        np.testing.assert_array_equal(dist.condition([NAN] * 4).sample(40, seed=6), rows)
        np.testing.assert_array_equal(dist.impute(np.full((40, 4), NAN), seed=6), rows)
        log_prob = dist.condition([NAN] * 4).log_prob(rows)
        np.testing.assert_allclose(log_prob, dist.log_prob(rows), atol=1e-5)


@pytest.mark.parametrize("evidence", [[NAN, 1, NAN, 0], LATE])
def test_an_ensemble_of_one_member_answers_as_this_member(evidence, alone):
    ensemble, member = alone
    ours, theirs = ensemble.condition(evidence), member.condition(evidence)
    assert ours.is_exact == theirs.is_exact
    np.testing.assert_array_equal(ours.sample(50, seed=2), theirs.sample(50, seed=2))
    value = np.random.default_rng(0).integers(0, 2, (6, 2)).astype(np.float32)
    np.testing.assert_allclose(ours.log_prob(value), theirs.log_prob(value), atol=1e-5)
    x = np.where(np.isnan(HOLES), NAN, np.minimum(HOLES, 1))
    asked = np.where(np.isnan(x), 1, NAN)
    for ask in (
        lambda dist: dist.log_marginal(x, 3),
        lambda dist: dist.conditional_log_prob(asked, x, 3),
        lambda dist: dist.log_prob_in([{0: [1], 2: [0]}], 50, 3),
        lambda dist: dist.condition(evidence).evidence_log_prob(),
        lambda dist: dist.sample_conditional(x, 3, seed=3),
    ):
        np.testing.assert_array_equal(ask(ensemble), ask(member))


def test_members_with_a_context_answer_each_by_its_own_layers():
    keras.utils.set_random_seed(0)
    members = [
        reference.loud("bernoulli", 4, 3.0, num_masks=None, context=2, seed=seed)
        for seed in range(2)
    ]
    contexts = np.array([[1.0, -1.0], [0.5, 2.0]], np.float32)
    ensemble = made_tf.Ensemble(members)
    dist = made_tf.EnsembleDistribution(ensemble, context=contexts)
    x = np.array([[NAN, 1, NAN, 0], [1, NAN, NAN, NAN]])
    parts = [made_tf.MADEDistribution(m, context=contexts).log_marginal(x) for m in members]
    expected = np.logaddexp(*(part.log_prob for part in parts)) - np.log(2)
    assert np.abs(parts[0].log_prob - parts[1].log_prob).max() > 0.01
    np.testing.assert_allclose(dist.log_marginal(x).log_prob, expected, atol=1e-5)
    given = dist.condition(x)
    assert given.batch_shape == (2,) and given.event_shape == (4,)
    total = sum(given.prob(state[None]) for state in reference.states(members[0]))
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_slices_and_copies(any_order):
    given = any_order.condition([EVIDENCE, [NAN, 0, NAN, 1]])
    value = np.array([1, 0], np.float32)
    expected = given.log_prob(value)
    np.testing.assert_allclose(given[1].log_prob(value), expected[1], rtol=1e-5)
    np.testing.assert_allclose(given.copy(name="other").log_prob(value), expected, rtol=1e-6)


def test_gradients_reach_the_weights_of_all_members(any_order):
    given = any_order.condition(EVIDENCE)
    kernels = [m.output_layer.kernel.value for m in any_order.ensemble.members]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(given.log_prob(np.array([1, 0], np.float32)))
    gradients = tape.gradient(loss, kernels)
    assert all(np.abs(gradient).max() > 1e-6 for gradient in gradients)


def test_bad_questions_get_an_error_that_says_what_is_wrong(fixed):
    with pytest.raises(ValueError, match=r"`x` must have the shape \[rows, 4\]"):
        fixed.log_marginal([[0, 1]])
    with pytest.raises(ValueError, match="`evidence` must leave a variable unknown"):
        fixed.condition([0, 1, 1, 0])
    with pytest.raises(NotImplementedError, match="in no order of this model"):
        fixed.condition(LATE).marginal(0)
    with pytest.raises(NotImplementedError, match="exact of one unobserved variable alone"):
        fixed.condition(LATE).mean()
    with pytest.raises(ValueError, match="`num_particles`"):
        made_tf.EnsembleDistribution(fixed.ensemble, num_particles=1)
