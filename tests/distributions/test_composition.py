"""Inside other distributions: each value is computed by hand from the reference."""

import numpy as np
import pytest
import reference
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from distributions.common import log_prob

import made_tf

tfb, tfd = tfp.bijectors, tfp.distributions
SCORE_FUNCTION = tfp.vi.GradientEstimators.SCORE_FUNCTION


def test_sample_of_independent_rows(dist, x):
    iid = tfd.Sample(dist, sample_shape=[3])
    np.testing.assert_allclose(
        iid.log_prob(x.reshape(2, 3, 5)), log_prob(dist, x).reshape(2, 3).sum(1), rtol=1e-5
    )
    assert iid.sample(4, seed=1).shape == (4, 3, 5)


def test_batch_reshape_and_independent(dist, x):
    batched = tfd.BatchReshape(dist, [1])
    assert batched.batch_shape == (1,)
    np.testing.assert_allclose(batched.log_prob(x[:, None]), log_prob(dist, x)[:, None], rtol=1e-5)
    joined = tfd.Independent(batched, reinterpreted_batch_ndims=1)
    assert joined.event_shape == (1, 5)
    np.testing.assert_allclose(joined.log_prob(x[:, None]), log_prob(dist, x), rtol=1e-5)


def test_mixture(dist, x):
    other = made_tf.MADEDistribution(reference.small_model(seed=9))
    mixture = tfd.Mixture(cat=tfd.Categorical(probs=[0.3, 0.7]), components=[dist, other])
    parts = np.log([[0.3], [0.7]]) + np.stack([log_prob(dist, x), log_prob(other, x)])
    np.testing.assert_allclose(
        mixture.log_prob(x), scipy.special.logsumexp(parts, axis=0), rtol=1e-5
    )
    assert mixture.sample(3, seed=1).shape == (3, 5)


def test_mixture_same_family(dist, x):
    mixture = tfd.MixtureSameFamily(
        tfd.Categorical(probs=[1.0]), components_distribution=tfd.BatchReshape(dist, [1])
    )
    np.testing.assert_allclose(mixture.log_prob(x), log_prob(dist, x), rtol=1e-5)
    assert mixture.sample(3, seed=1).shape == (3, 5)


def test_transformed_discrete_keeps_probabilities(dist, x):
    moved = tfd.TransformedDistribution(dist, tfb.Shift(2.0)(tfb.Scale(3.0)))
    np.testing.assert_allclose(moved.log_prob(3 * x + 2), log_prob(dist, x), rtol=1e-5)


def test_transformed_density_takes_the_jacobian():
    dist = made_tf.MADEDistribution(reference.small_model("normal"))
    x = reference.rows(dist.model.conditionals, 4, 5)
    positive = tfd.TransformedDistribution(dist, tfb.Exp())
    np.testing.assert_allclose(
        positive.log_prob(np.exp(x)), log_prob(dist, x) - x.sum(axis=1), rtol=1e-4
    )
    assert (positive.sample(8, seed=0).numpy() > 0).all()


@pytest.mark.parametrize("kind", ["named", "coroutine"])
def test_joint_distributions(dist, x, kind):
    def length(rows):
        return tfd.Normal(tf.reduce_sum(rows, -1), 0.5)

    if kind == "named":
        joint = tfd.JointDistributionNamed({"rows": dist, "length": lambda rows: length(rows)})
        value = {"rows": x, "length": np.float32(1.5)}
        drawn = joint.sample(4, seed=3)["rows"]
    else:

        @tfd.JointDistributionCoroutine
        def joint():
            rows = yield tfd.JointDistributionCoroutine.Root(dist)
            yield length(rows)

        value = (x, np.float32(1.5))
        drawn = joint.sample(4, seed=3)[0]
    expected = log_prob(dist, x) + scipy.stats.norm(x.sum(axis=1), 0.5).logpdf(1.5)
    np.testing.assert_allclose(joint.log_prob(value), expected, rtol=1e-5)
    assert drawn.shape == (4, 5) and np.isin(drawn, [0, 1]).all()


def test_an_mcmc_chain_finds_the_density_it_is_given():
    model = reference.small_model("normal", event_size=2, hidden_units=())
    model.direct_layer.bias.assign([0.5, 0.0, -0.25, 0.0])
    dist = made_tf.MADEDistribution(model)
    exact = made_tf.MADEDistribution(model).sample(20_000, seed=0).numpy()

    @tf.function
    def chain():
        kernel = tfp.mcmc.HamiltonianMonteCarlo(dist.log_prob, step_size=0.4, num_leapfrog_steps=4)
        return tfp.mcmc.sample_chain(
            num_results=400,
            num_burnin_steps=100,
            current_state=tf.zeros([50, 2]),
            kernel=kernel,
            trace_fn=lambda _, results: results.is_accepted,
            seed=(1, 2),
        )

    states, accepted = chain()
    states = states.numpy().reshape(-1, 2)
    assert 0.6 < accepted.numpy().mean() <= 1
    np.testing.assert_allclose(states.mean(axis=0), exact.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(np.cov(states.T), np.cov(exact.T), atol=0.15)


def test_divergence_by_monte_carlo_meets_the_enumerated_one(dist):
    other = made_tf.MADEDistribution(reference.small_model(seed=9))
    states = reference.states(dist.model)
    p, q = log_prob(dist, states), log_prob(other, states)
    exact = (np.exp(p) * (p - q)).sum()
    spread = np.sqrt((np.exp(p) * (p - q - exact) ** 2).sum())
    n = 20_000
    found = tfp.vi.monte_carlo_variational_loss(
        other.log_prob, dist, sample_size=n, seed=4, gradient_estimator=SCORE_FUNCTION
    )
    assert abs(found - exact) < 4 * spread / np.sqrt(n)
