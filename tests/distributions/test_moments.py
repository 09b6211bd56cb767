"""Moments that are exact, and estimates where none is."""

import itertools

import numpy as np
import pytest
import reference
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import made_tf
from made_tf.distributions import entropy_estimate, kl_divergence_estimate


def states_of(model):
    values = model.conditionals.finite_states()
    return np.array(list(itertools.product(*values)), np.float32)


@pytest.fixture(scope="module")
def classes():
    """Four columns of 2 to 4 classes under one order."""
    return made_tf.MADEDistribution(reference.loud("ragged", 4, input_order=[2, 4, 1, 3]))


def test_a_conditional_has_the_moments_of_the_enumeration(classes):
    model = classes.model
    rows = reference.rows(model.conditionals, 3, 4)
    last = int(np.argmax(model.degrees.inputs))  # of which all that is known comes first
    evidence = rows.copy()
    evidence[:, last] = np.nan
    given = classes.condition(evidence)
    states = model.conditionals.finite_states()[last]
    filled = np.repeat(rows[:, None], len(states), axis=1)  # [N, K, D]
    filled[..., last] = states
    joint = np.exp(reference.log_prob(model, filled.reshape(-1, 4)).reshape(3, -1))
    probs = joint / joint.sum(axis=1, keepdims=True)
    mean = probs @ states
    np.testing.assert_allclose(given.probs, probs, atol=1e-5)
    np.testing.assert_allclose(given.mean(), mean[:, None], atol=1e-5)
    variance = (probs * (states - mean[:, None]) ** 2).sum(axis=1)
    np.testing.assert_allclose(given.variance(), variance[:, None], atol=1e-5)
    np.testing.assert_allclose(given.stddev(), np.sqrt(variance)[:, None], atol=1e-5)
    np.testing.assert_array_equal(given.mode(), states[probs.argmax(axis=1)][:, None])
    np.testing.assert_allclose(given.entropy(), -(probs * np.log(probs)).sum(axis=1), atol=1e-5)
    marginal = given.marginal(last)
    assert marginal.batch_shape == [3] and marginal.event_shape == []
    drawn = marginal.sample(4000, seed=3).numpy()
    counts = np.stack([(drawn == state).sum(axis=0) for state in states], axis=1)
    expected = 4000 * probs
    for row in range(3):
        degrees = len(states) - 1
        chi_squared = ((counts[row] - expected[row]) ** 2 / expected[row]).sum()
        assert chi_squared < 10.9 + 2.8 * (degrees - 1)  # beyond 99.9 % of 1, 2 or 3 degrees


def test_the_first_unobserved_variable_of_a_fixed_order(classes):
    model = classes.model
    order = np.argsort(model.degrees.inputs)
    evidence = np.full((1, 4), np.nan)
    evidence[0, order[0]] = 1
    given = classes.condition(evidence)
    whole = states_of(model)
    whole = whole[whole[:, order[0]] == 1]
    p = np.exp(reference.log_prob(model, whole))
    states = model.conditionals.finite_states()[order[1]]
    probs = [p[whole[:, order[1]] == state].sum() / p.sum() for state in states]
    np.testing.assert_allclose(given.marginal(int(order[1])).probs[0], probs, atol=1e-5)
    with pytest.raises(NotImplementedError, match=r"Fit one of all orders .* `sample\(n, seed\)`"):
        given.marginal(int(order[3]))
    with pytest.raises(ValueError, match="unobserved in all rows"):
        given.marginal(int(order[0]))
    with pytest.raises(ValueError, match="`variable`"):
        given.marginal(4)
    for name in ("mean", "stddev", "variance", "mode", "entropy"):
        with pytest.raises(NotImplementedError, match="of one unobserved variable alone"):
            getattr(given, name)()
    with pytest.raises(NotImplementedError, match=r"marginal\(k\)\.probs"):
        _ = given.probs
    assert not hasattr(given, "probs")


def test_rows_that_lack_other_variables_have_marginals_in_their_places():
    model = reference.loud("bernoulli", 4, num_masks=None)
    dist = made_tf.MADEDistribution(model, num_orders=2)
    evidence = np.array(
        [[1, np.nan, np.nan, 0], [np.nan, np.nan, 1, 0], [0, np.nan, np.nan, 1]], np.float32
    )
    found = dist.condition(evidence).marginal(1)
    for row, each in enumerate(evidence):
        asked = np.full((2, 4), np.nan)
        asked[:, 1] = 0, 1
        told = dist.conditional_log_prob(asked, np.tile(each, (2, 1)))
        np.testing.assert_allclose(found.probs[row], np.exp(told.log_prob), atol=1e-5)
    np.testing.assert_allclose(found.mean(), found.probs[:, 1], atol=1e-6)


@pytest.mark.parametrize("family", ["normal", "normal_mixture", "logistic_mixture"])
def test_moments_of_real_variables(family):
    rng = np.random.default_rng(0)
    kind = made_tf.conditionals.FAMILIES[family]
    x = rng.normal([3, -1], [2, 0.5], (200, 2)).astype(np.float32)
    model = made_tf.MADE(2, (8,), conditionals=kind.from_data(x), seed=0)
    given = made_tf.MADEDistribution(model).condition([[2.5, np.nan]])
    # By quadrature of the density, which does not know of moments.
    grid = np.linspace(-60, 60, 400_001).astype(np.float32)
    density = np.exp(given.log_prob(grid[:, None, None]).numpy()[:, 0].astype(np.float64))
    step = 120 / 400_000
    mean = (density * grid).sum() * step
    variance = (density * (grid - mean) ** 2).sum() * step
    assert given.mean().numpy()[0, 0] == pytest.approx(mean, abs=2e-3)
    assert given.variance().numpy()[0, 0] == pytest.approx(variance, rel=1e-2)
    if family == "normal":
        assert given.mode().numpy()[0, 0] == pytest.approx(grid[density.argmax()], abs=1e-3)
        entropy = -(density * np.log(np.maximum(density, 1e-300))).sum() * step
        assert given.entropy().numpy()[0] == pytest.approx(entropy, abs=1e-3)
    else:
        with pytest.raises(NotImplementedError, match="no exact `mode`: draw samples"):
            given.mode()
        with pytest.raises(NotImplementedError, match="entropy_estimate"):
            given.entropy()
    with pytest.raises(NotImplementedError, match=r"ask for `prob\(value\)`"):
        _ = given.probs


def test_a_model_of_one_variable_and_of_several(classes):
    one = made_tf.MADEDistribution(reference.small_model("bernoulli", 1))
    p = np.exp(reference.log_prob(one.model, np.ones((1, 1), np.float32)))[0]
    assert one.mean().numpy() == pytest.approx([p], abs=1e-6)
    assert one.stddev().numpy() == pytest.approx([np.sqrt(p * (1 - p))], abs=1e-6)
    assert one.mode().numpy() == [float(p > 0.5)]
    assert one.entropy().numpy() == pytest.approx(-p * np.log(p) - (1 - p) * np.log1p(-p), abs=1e-6)
    with pytest.raises(NotImplementedError, match=r"condition\(evidence\)\.marginal\(k\)"):
        classes.mean()
    with pytest.raises(NotImplementedError, match="entropy_estimate"):
        classes.entropy()
    with pytest.raises(NotImplementedError, match="has no exact `mode`.*highest"):
        classes.mode()


def test_estimates_are_within_their_error_of_the_enumeration(classes):
    model = classes.model
    states = states_of(model)
    log_p = reference.log_prob(model, states)
    p = np.exp(log_p)
    found = entropy_estimate(classes, 5000, seed=1)
    assert abs(found.value + (p * log_p).sum()) < 4 * found.standard_error < 0.2
    other = made_tf.MADEDistribution(reference.small_model("ragged", 4))
    log_q = reference.log_prob(other.model, states)
    divergence = (p * (log_p - log_q)).sum()
    found = kl_divergence_estimate(classes, other, 5000, seed=1)
    assert abs(found.value - divergence) < 4 * found.standard_error < 0.4
    again = kl_divergence_estimate(classes, other, 5000, seed=1)
    assert again == found
    assert kl_divergence_estimate(classes, other, 5000, seed=2) != found


def test_closed_forms_of_divergences_are_told_of(classes):
    other = tfd.Independent(tfd.Bernoulli(logits=tf.zeros(4), dtype=tf.float32), 1)
    for p, q in ((classes, other), (other, classes), (classes, classes)):
        with pytest.raises(NotImplementedError, match="kl_divergence_estimate"):
            tfd.kl_divergence(p, q)
    with pytest.raises(ValueError, match="`q` must have the event shape"):
        kl_divergence_estimate(classes, tfd.MultivariateNormalDiag(tf.zeros(3)))
    with pytest.raises(ValueError, match="`q` must be a tfd.Distribution"):
        kl_divergence_estimate(classes, 3)
    with pytest.raises(ValueError, match="`num_samples`"):
        entropy_estimate(classes, 1)
