import itertools

import keras
import numpy as np
import pytest
import reference
import scipy.special
import scipy.stats

import made_tf
from made_tf import queries
from made_tf.queries.estimate import Estimate
from made_tf.queries.subsets import Queries
from made_tf.queries.value_sets import allowed_sets

NAN = np.nan
PARTICLES = 200


def made(family="bernoulli", event_size=4, num_masks=1, **kwargs):
    keras.utils.set_random_seed(0)  # fixtures of the module are made before that of the test
    order = [3, 1, 4, 2] if event_size == 4 else [2, 3, 1]
    return reference.loud(
        family, event_size, num_masks=num_masks, input_order=order, hidden_units=(9,), **kwargs
    )


def distribution(*args, num_orders=None, num_particles=PARTICLES, **kwargs):
    return made_tf.MADEDistribution(
        made(*args, **kwargs), num_orders=num_orders, num_particles=num_particles
    )


@pytest.fixture(scope="module")
def fixed():
    """Order 3, 1, 4, 2: variables 1, 3, 0, 2 are generated in turn."""
    return distribution()


@pytest.fixture(scope="module")
def any_order():
    return distribution(num_masks=None)


@pytest.fixture(scope="module")
def three():
    return distribution(num_masks=3)


@pytest.fixture(scope="module")
def table(fixed):
    return reference.Table(fixed.model)


def only(row, variables):
    """The row with NaN elsewhere."""
    return np.where(np.isin(np.arange(len(row)), variables), row, NAN).astype(np.float32)


def assert_exact(estimate):
    assert (estimate.standard_error == 0).all() and np.isposinf(
        estimate.effective_sample_size
    ).all()


# Exact answers.


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
    orders = model.mask_sets.first(3)[0]
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


def test_both_parts_of_an_estimated_conditional_are_of_one_order(three):
    """Known first in the second order alone, what is asked for is not next in it."""
    orders = three.model.mask_sets.first(3)[0]
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


# Estimates: the fixed order, with evidence that is no prefix of it. Equal rows of one call have
# draws of their own, and so are repetitions.

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


def test_seeds_change_estimates_and_equal_seeds_do_not(fixed):
    row = [[NAN, NAN, 1, 0]]
    first, again, other = (fixed.log_marginal(row, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.log_prob != other.log_prob
    assert np.isfinite(fixed.conditional_log_prob(row, [[0, NAN, NAN, NAN]], 2**31 - 1)).all()


def test_estimates_do_not_depend_on_the_rows_beside_them(fixed, monkeypatch):
    rows = np.array([[NAN, NAN, 1, 0], [1, 0, 1, 1], [NAN, NAN, 1, 1], [0, NAN, 1, NAN]])
    whole = fixed.log_marginal(rows)
    others = rows.copy()
    others[:2] = [[0, NAN, 0, NAN], [NAN, NAN, 0, 0]]
    np.testing.assert_array_equal(
        np.array(fixed.log_marginal(others))[:, 2:], np.array(whole)[:, 2:]
    )
    monkeypatch.setattr(queries, "_ROWS", PARTICLES)
    np.testing.assert_allclose(fixed.log_marginal(rows), whole, rtol=1e-6)


def test_an_estimate_is_the_mean_of_weights():
    weights = np.random.default_rng(0).gamma(2.0, size=(3, 50))
    found = Estimate.of_weights(np.log(weights) - 800)  # below what float64 holds
    np.testing.assert_allclose(found.log_prob, np.log(weights.mean(1)) - 800)
    np.testing.assert_allclose(
        found.standard_error, scipy.stats.sem(weights, axis=1) / weights.mean(1)
    )
    np.testing.assert_allclose(
        found.effective_sample_size, weights.sum(1) ** 2 / (weights**2).sum(1)
    )
    assert Estimate.of_weights(np.zeros((1, 7))).effective_sample_size == 7
    one = Estimate.of_weights([[-np.inf, 0.0, -np.inf]])
    assert one.effective_sample_size == 1 and one.log_prob == pytest.approx(np.log(1 / 3))
    none = Estimate.of_weights([[-np.inf, -np.inf]])
    assert none.log_prob == -np.inf and none.effective_sample_size == 0
    assert none.probability == 0 and np.isnan(none.standard_error)


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


def test_rows_that_lack_everything_follow_the_joint(fixed, table):
    found = fixed.impute(np.full((5000, 4), NAN), seed=4)
    pvalue = reference.chi_squared_pvalue(table.counts(found), 5000 * table.probs)
    assert pvalue > 0.01


@pytest.fixture(params=["fixed", "any_order", "three"])
def each(request):
    return request.getfixturevalue(request.param)


def holes(count=15, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (count, 4)).astype(np.float64)
    x[rng.uniform(size=x.shape) < 0.5] = NAN
    return x


def test_impute_keeps_what_is_known_and_fills_the_rest(each):
    x = holes()
    found = each.impute(x, seed=1)
    assert found.dtype == np.float32 and np.isin(found, (0, 1)).all()
    np.testing.assert_array_equal(found[~np.isnan(x)], x[~np.isnan(x)])
    np.testing.assert_array_equal(each.impute(x, seed=1), found)
    assert (each.impute(x, seed=2) != found).any()


def test_impute_does_not_depend_on_other_rows_or_pieces(each, monkeypatch):
    x = holes()
    found = each.impute(x, seed=1)
    np.testing.assert_array_equal(each.impute(x[:7], seed=1), found[:7])
    others = x.copy()
    others[:8] = holes(seed=5)[:8]
    np.testing.assert_array_equal(each.impute(others, seed=1)[8:], found[8:])
    monkeypatch.setattr(queries, "_ROWS", 3)
    np.testing.assert_array_equal(each.impute(x, seed=1), found)


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


def test_a_low_effective_sample_size_warns():
    dist = distribution(num_particles=2)
    with pytest.warns(UserWarning, match="Of 2 weighted draws only .* count"):
        dist.impute([[NAN, NAN, 1, NAN]])
    dist.impute([[NAN, 1, NAN, NAN]])  # exact: no warning, which would be an error


# Sets of values.


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


# Real values.


@pytest.fixture(scope="module")
def normal():
    keras.utils.set_random_seed(0)
    return made_tf.MADEDistribution(
        reference.small_model("scaled_normal", 3, input_order=[2, 3, 1], hidden_units=(9,)),
        num_particles=2000,
    )


def grid(count=161, width=7.0):
    """Points and areas for variables 0 and 1 of `scaled_normal`."""
    axes = [np.linspace(c - s * width, c + s * width, count) for c, s in [(3, 0.5), (2, 1.5)]]
    return axes, np.prod([axis[1] - axis[0] for axis in axes])


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


def test_densities_of_late_evidence_lie_within_four_errors_of_integrals(normal):
    axes, _ = grid(401)
    rows = np.stack(np.meshgrid(axes[0], [2.5], np.linspace(-9, 11, 401)), -1).reshape(-1, 3)
    densities = np.exp(normal.model.log_prob(rows.astype(np.float32)).numpy())
    expected = densities.sum(dtype=np.float64) * (axes[0][1] - axes[0][0]) * 20 / 400
    found = normal.log_marginal([[NAN, 2.5, NAN]] * 20)
    assert (found.standard_error < 0.1).all() and (found.standard_error > 0).all()
    z = (found.log_prob - np.log(expected)) / found.standard_error
    assert (np.abs(z) < 4).all() and 0.3 < z.var() < 2.2


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
        (lambda d: d.log_marginal(np.zeros((0, 4))), "`x` must have at least one row"),
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
        (
            lambda d: d.log_prob_in(np.ones((4, 2))),
            r"`allowed` must have the shape \[queries, 4, 2\]",
        ),
        (lambda d: d.log_prob_in({0: [1]}), "`allowed` must be a list of mappings or an array"),
        (lambda d: d.log_prob_in(np.ones((1, 4, 3))), r"`allowed` must have the shape"),
        (lambda d: d.log_prob_in(np.ones((0, 4, 2))), r"`allowed` must have the shape"),
        (lambda d: d.log_prob_in(np.full((1, 4, 2), 0.5)), "`allowed` must hold 0 and 1 alone"),
        (lambda d: d.log_prob_in(np.full((1, 4, 2), NAN)), "`allowed` must hold 0 and 1 alone"),
        (lambda d: d.log_prob_in(np.ones((1, 4, 2)), 1), "`num_samples` must be an integer of at"),
        (lambda d: d.log_prob_in(np.ones((1, 4, 2)), seed=None), "`seed` must be an integer in"),
        (lambda d: made_tf.MADEDistribution(d.model, num_particles=1), "`num_particles` must be"),
        (lambda d: Queries(d.model, num_particles=1), "`num_particles` must be an integer of at"),
        (lambda d: Queries(d.model, num_orders=2), "`num_orders` must be at most"),
    ],
)
def test_bad_questions_get_an_error_that_says_what_is_wrong(ask, message, fixed):
    with pytest.raises(ValueError, match=message):
        ask(fixed)


def test_sets_of_real_values_are_refused(normal):
    with pytest.raises(ValueError, match="`conditionals` must be discrete"):
        normal.log_prob_in(np.ones((1, 3, 2)))
    with pytest.raises(ValueError, match="`conditionals` must be discrete"):
        allowed_sets(normal.model, [{0: [1]}])
    with pytest.raises(ValueError, match=r"a finite number only. Received: x\[0, 1\]=inf"):
        normal.log_marginal([[NAN, 1e300, NAN]])
