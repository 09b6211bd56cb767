"""Conditionals of a model of all orders that are those of its density of whole rows."""

import pickle

import keras
import numpy as np
import pytest
import reference
import scipy.stats
from queries.common import NAN, PARTICLES, assert_exact, only

import made_tf
from made_tf.distributions.conditional import ConditionalMADE
from made_tf.queries.subsets import Queries

ROW = np.array([0, 1, 1, 0], np.float32)
SUBSETS = [[2], [0, 2], [3, 2], [1, 0, 2]]


def made(**options):
    """Weights that say about the same under all orders, as those of a trained model do."""
    keras.utils.set_random_seed(0)
    return made_tf.MADE(4, (9,), seed=0, input_order=[3, 1, 4, 2], **options)


@pytest.fixture(scope="module", params=["both", "evidence"])
def whole(request):
    model = made(num_masks=None, resample=request.param)
    return made_tf.MADEDistribution(model, num_particles=PARTICLES, of_whole_rows=True)


@pytest.fixture(scope="module")
def table(whole):
    return reference.Table(whole.model)


@pytest.mark.parametrize("known", SUBSETS)
def test_marginals_are_sums_over_whole_rows_and_errors_are_calibrated(known, whole, table):
    evidence = only(ROW, known)
    found = whole.log_marginal(np.repeat([evidence], 200, axis=0), seed=3)
    z = (found.log_prob - np.log(table(evidence))) / found.standard_error
    assert (np.abs(z) < 4.5).all()
    assert 0.7 < z.var() < 1.4
    error = found.probability.std() / np.sqrt(200)
    assert abs(found.probability.mean() - table(evidence)) < 4 * error
    assert (found.effective_sample_size > 0.3 * PARTICLES).all()


@pytest.mark.parametrize(("asked", "known"), [([0], [2]), ([1], [0, 2, 3]), ([1, 2], [3])])
def test_conditionals_are_ratios_of_sums_over_whole_rows(asked, known, whole, table):
    asked, known = only(ROW, asked), only(ROW, known)
    found = whole.conditional_log_prob([asked] * 200, [known] * 200, seed=5)
    z = (found.log_prob - np.log(table(asked, known) / table(known))) / found.standard_error
    assert (np.abs(z) < 4.5).all()
    assert 0.6 < z.var() < 1.5


def test_what_the_own_order_gives_is_exact(whole, table):
    found = whole.log_marginal([ROW, only(ROW, [1]), only(ROW, [1, 3])])
    assert_exact(found)
    expected = [table(ROW), table(only(ROW, [1])), table(only(ROW, [1, 3]))]
    np.testing.assert_allclose(found.probability, expected, atol=1e-5)
    np.testing.assert_allclose(found.log_prob[0], whole.log_prob(ROW), rtol=1e-5)


@pytest.mark.parametrize("known", SUBSETS)
def test_regions_are_sums_over_whole_rows(known, whole, table):
    row = only(ROW, known)
    asked = {variable: [int(ROW[variable])] for variable in known}
    found = whole.log_prob_in([asked], num_samples=20_000, seed=3)
    z = (found.log_prob - np.log(table(row))) / found.standard_error
    assert abs(z[0]) < 4.5 and 0 < found.standard_error[0] < 0.02


def test_draws_are_of_the_conditional_of_whole_rows(whole, table):
    known = only(ROW, [0, 2])
    drawn = whole.impute(np.repeat([known], 1500, axis=0), seed=1)
    np.testing.assert_array_equal(drawn[:, [0, 2]], np.broadcast_to(ROW[[0, 2]], (1500, 2)))
    states = [[0, a, 1, b] for a in (0, 1) for b in (0, 1)]
    counts = [(drawn == state).all(axis=1).sum() for state in states]
    expected = [table(np.array(state, np.float32)) / table(known) for state in states]
    assert scipy.stats.chisquare(counts, 1500 * np.array(expected)).pvalue > 1e-3
    conditional = whole.condition(known)
    assert not conditional.is_exact
    share = table(ROW) / table(known)
    estimate = conditional.evidence_log_prob()
    error = 4.5 * estimate.standard_error
    assert abs(conditional.log_prob(ROW[[1, 3]]) - np.log(share)) < error
    again = conditional.sample(4000, seed=2).numpy()  # of the same weighted draws
    found = np.mean((again == ROW[[1, 3]]).all(axis=1))
    assert abs(found - share) < 4.5 * (share * (1 - share) / estimate.effective_sample_size) ** 0.5
    total = sum(np.exp(conditional.log_prob(np.array(s, np.float32))) for s in np.ndindex(2, 2))
    assert abs(np.log(total)) < error


def test_a_proposal_that_is_the_conditional_leaves_no_error():
    """Of independent variables all orders say the same."""
    model = made_tf.MADE(4, (8,), num_masks=None, seed=0)
    for weight in model.trainable_variables:
        weight.assign(np.linspace(-1, 1, 4) if weight.shape == (4,) else np.zeros(weight.shape))
    dist = made_tf.MADEDistribution(model, num_particles=50, of_whole_rows=True)
    found = dist.log_marginal([only(ROW, [2]), only(ROW, [3, 0])])
    np.testing.assert_allclose(found.effective_sample_size, 50, rtol=1e-4)
    np.testing.assert_allclose(found.standard_error, 0, atol=1e-5)
    exact = made_tf.MADEDistribution(model).log_marginal([only(ROW, [2]), only(ROW, [3, 0])])
    np.testing.assert_allclose(found.log_prob, exact.log_prob, atol=1e-5)


def test_rows_are_drawn_from_their_numbers_and_after_pickling():
    model = made(num_masks=None)
    dist = made_tf.MADEDistribution(model, num_particles=40, of_whole_rows=True)
    x = np.where(np.random.default_rng(0).random((30, 4)) < 0.5, NAN, ROW)
    whole = dist.impute(x, seed=4)
    np.testing.assert_array_equal(dist.impute(x[11:], seed=4, first_row=11), whole[11:])
    again = pickle.loads(pickle.dumps(dist))
    assert again.parameters["of_whole_rows"]
    np.testing.assert_array_equal(again.impute(x, seed=4), whole)


def test_the_density_of_whole_rows_may_be_another_network_s():
    proposing, whole = made(num_masks=None), made()
    queries = Queries(proposing, num_particles=500, of_whole_rows=whole)
    table = reference.Table(whole)
    for known in ([2], [0, 2], [1, 3]):  # the last is a prefix of its order
        evidence = only(ROW, known)
        found = queries.log_marginal([evidence] * 20)
        error = np.hypot(4.5 * found.standard_error, 1e-5)
        assert (np.abs(found.log_prob - np.log(table(evidence))) < error).all()
        asked = np.where(np.isnan(evidence), ROW, NAN)
        given = queries.conditional_log_prob([asked], [evidence]).log_prob
        assert given + found.log_prob[0] == pytest.approx(np.log(table(ROW)), abs=0.2)
    assert_exact(found)
    few = Queries(proposing, num_particles=100, of_whole_rows=whole)  # enough for a row's draw
    drawn = few.sample_conditional([only(ROW, [2])] * 3000, seed=1)[0]
    counts, expected = table.counts(drawn), 3000 * table.given(only(ROW, [2]))
    assert reference.chi_squared_pvalue(counts, expected) > 1e-3


def test_with_a_context():
    keras.utils.set_random_seed(0)
    model = made_tf.MADE(3, (8,), num_masks=None, context=2, seed=0)
    contexts = np.array([[0, 1], [1, 0]], np.float32)
    dist = made_tf.MADEDistribution(model, context=contexts, num_particles=4000, of_whole_rows=True)
    rows = np.array([[NAN, 1, NAN], [NAN, 0, 1]], np.float32)
    found = dist.log_marginal(rows, seed=1)
    states = np.array(list(np.ndindex(2, 2, 2)), np.float32)
    for number, row in enumerate(rows):
        own = made_tf.MADEDistribution(model, context=contexts[number])
        agrees = (np.isnan(row) | (states == row)).all(axis=1)
        expected = np.logaddexp.reduce(np.asarray(own.log_prob(states))[agrees])
        assert abs(found.log_prob[number] - expected) < 4.5 * found.standard_error[number] + 1e-5


def test_single_columns_are_those_of_the_network_that_answers():
    proposing, whole = made(num_masks=None), made()
    for weight in whole.trainable_variables:
        weight.assign(1.5 * weight)
    queries = Queries(proposing, of_whole_rows=whole)
    evidence = only(ROW, [1])  # the first of both orders
    found = ConditionalMADE(queries, evidence)
    asked = only([0, 0, 0, 1], [3])
    whole_says = np.exp(queries.conditional_log_prob([asked], [evidence]).log_prob[0])
    assert float(found.marginal(3).mean()) == pytest.approx(whole_says, abs=1e-5)
    proposed = made_tf.MADEDistribution(proposing).condition(evidence).marginal(3).mean()
    assert abs(found.marginal(3).mean() - proposed) > 1e-4
    with pytest.raises(NotImplementedError, match="in no order of this model that counts"):
        found.marginal(2)


@pytest.mark.parametrize(
    "options", [{}, {"num_masks": 3}, {"num_masks": None, "num_orders": 2}, {"of_whole_rows": None}]
)
def test_other_models_and_other_values_are_refused(options):
    options = {"num_orders": 1, "of_whole_rows": True, "num_masks": 1, **options}
    model = made(num_masks=options.pop("num_masks"))
    with pytest.raises(ValueError, match="`of_whole_rows` must be "):
        made_tf.MADEDistribution(model, **options)


@pytest.mark.parametrize("other", [None, 1, "x", made_tf.MADE(3, (4,))])
def test_other_networks_are_checked(other):
    with pytest.raises(ValueError, match="`of_whole_rows` must be True, False, or a made_tf.MADE"):
        Queries(made(num_masks=None), of_whole_rows=other)
