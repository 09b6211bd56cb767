import keras
import numpy as np
import pytest
import reference
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

import made_tf

tfb, tfd = tfp.bijectors, tfp.distributions
SCORE_FUNCTION = tfp.vi.GradientEstimators.SCORE_FUNCTION


@pytest.fixture(params=["bernoulli", "ragged", "normal"])
def any_dist(request):
    return made_tf.MADEDistribution(reference.small_model(request.param))


@pytest.fixture
def dist():
    return made_tf.MADEDistribution(reference.small_model())


@pytest.fixture
def x():
    return reference.rows(made_tf.Bernoulli(), 6, 5)


def log_prob(dist, x):
    """Log-probabilities by the slow reference, for any leading shape."""
    rows = np.reshape(x, (-1, dist.model.event_size))
    return reference.log_prob(dist.model, rows).reshape(np.shape(x)[:-1])


def test_shapes_and_dtype_are_static(any_dist):
    assert any_dist.event_shape == (5,) and any_dist.batch_shape == ()
    assert any_dist.dtype == tf.float32
    assert any_dist.event_shape_tensor().numpy().tolist() == [5]
    assert any_dist.batch_shape_tensor().numpy().tolist() == []

    @tf.function
    def shapes():
        sample = any_dist.sample([2, 3], seed=1)
        return sample.shape.as_list(), any_dist.log_prob(sample).shape.as_list()

    assert [list(map(int, shape)) for shape in shapes()] == [[2, 3, 5], [2, 3]]


def test_log_prob_and_prob_equal_the_reference(any_dist):
    x = any_dist.sample([4, 3], seed=2)
    np.testing.assert_allclose(any_dist.log_prob(x), log_prob(any_dist, x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(any_dist.prob(x), np.exp(log_prob(any_dist, x)), rtol=1e-4)
    np.testing.assert_allclose(
        any_dist.log_prob(x[0, 0]), log_prob(any_dist, x[0, 0]), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_seed_gives_the_same_samples_in_every_mode(any_dist, jit_compile):
    eager = any_dist.sample(100, seed=7).numpy()

    @tf.function(jit_compile=jit_compile)
    def draw():
        return any_dist.sample(100, seed=7)

    if any_dist.model.conditionals.is_discrete:
        np.testing.assert_array_equal(draw(), eager)
    else:  # XLA rounds otherwise
        np.testing.assert_allclose(draw(), eager, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(any_dist.sample(100, seed=7), eager)


def test_an_integer_seed_is_the_first_half_of_a_stateless_one(dist):
    sample = dist.sample(40, seed=7).numpy()
    np.testing.assert_array_equal(dist.sample(40, seed=(7, 0)), sample)
    np.testing.assert_array_equal(dist.sample(40, seed=tf.constant([7, 0])), sample)
    np.testing.assert_array_equal(dist.sample(16, seed=7), sample[:16])
    np.testing.assert_array_equal(dist.sample([4, 10], seed=7), sample.reshape(4, 10, 5))
    np.testing.assert_array_equal(dist.sample(40, seed=tf.constant(7)), sample)
    np.testing.assert_array_equal(dist.sample(40, seed=np.int64(7)), sample)
    assert (dist.sample(40, seed=8).numpy() != sample).any()
    assert (dist.sample(39, seed=(7, 1)).numpy() != sample[1:]).any()


def test_without_a_seed_samples_differ_from_call_to_call(dist):
    assert (dist.sample(40).numpy() != dist.sample(40).numpy()).any()
    assert dist.sample().shape == (5,)


@pytest.mark.parametrize("seed", [True, 2**31, -(2**31) - 1, (1, 2, 3), [7]])
def test_a_seed_out_of_range_is_refused(dist, seed):
    with pytest.raises(ValueError, match="`seed` must"):
        dist.sample(3, seed=seed)


def test_sample_and_log_prob_agree(any_dist):
    sample, found = any_dist.experimental_sample_and_log_prob([3, 2], seed=5)
    assert sample.shape == (3, 2, 5) and found.shape == (3, 2)
    np.testing.assert_array_equal(sample, any_dist.sample([3, 2], seed=5))
    np.testing.assert_allclose(found, log_prob(any_dist, sample), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["bernoulli", "normal"])
def test_samples_carry_no_gradient_into_their_log_prob(family):
    dist = made_tf.MADEDistribution(reference.small_model(family))
    with tf.GradientTape(persistent=True) as tape:
        sample, found = dist.experimental_sample_and_log_prob(50, seed=5)
        again = dist.log_prob(tf.stop_gradient(sample))
    for variable in dist.trainable_variables:
        gradients = [tf.convert_to_tensor(tape.gradient(y, variable)) for y in (found, again)]
        np.testing.assert_allclose(*gradients, rtol=1e-3, atol=1e-4)
        assert tape.gradient(sample, variable) is None


def test_samples_follow_a_quantized_model():
    model = reference.small_model()
    for layer in model.masked_layers():
        layer.kernel.assign(9.0 * layer.kernel)
    dist = made_tf.MADEDistribution(model)
    before = dist.sample(5000, seed=1).numpy()
    model.quantize("int8")
    fresh = made_tf.MADEDistribution(model)
    np.testing.assert_array_equal(dist.sample(5000, seed=1), fresh.sample(5000, seed=1))
    assert (dist.sample(5000, seed=1).numpy() != before).any()
    assert len(dist.trainable_variables) == len(model.trainable_variables)


def test_mode_is_refused_with_its_reason(dist):
    with pytest.raises(NotImplementedError, match="no closed form"):
        dist.mode()


def test_gradients_reach_all_trainable_variables(any_dist):
    assert len(any_dist.trainable_variables) == len(any_dist.model.trainable_variables) == 7
    x = any_dist.sample(32, seed=0)
    with tf.GradientTape() as tape:
        nll = -tf.reduce_mean(any_dist.log_prob(x))
    gradients = tape.gradient(nll, any_dist.trainable_variables)
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in gradients)


def test_training_the_raw_variables_stays_normalised():
    model = reference.small_model()
    dist = made_tf.MADEDistribution(model)
    x = reference.rows(model.conditionals, 64, 5)
    losses = tfp.math.minimize(
        lambda: -tf.reduce_mean(dist.log_prob(x)),
        num_steps=20,
        optimizer=_GradientDescent(),
        trainable_variables=dist.trainable_variables,
    )
    assert losses[-1] < losses[0]
    assert made_tf.verification.total_probability(model) == pytest.approx(1, abs=1e-5)
    reference.assert_autoregressive(model)


class _GradientDescent:
    """What `tfp.math.minimize` asks of an optimizer, without any constraint."""

    def apply_gradients(self, pairs):
        return tf.group([variable.assign_sub(0.1 * gradient) for gradient, variable in pairs])


def test_the_distribution_follows_further_training(dist, x):
    before = dist.log_prob(x).numpy()
    dist.model.compile("sgd")
    dist.model.fit(x, epochs=3, verbose=0)
    assert dist.log_prob(x).numpy().mean() > before.mean()
    np.testing.assert_allclose(dist.log_prob(x), log_prob(dist, x), rtol=1e-5, atol=1e-5)


def test_it_passes_through_a_tf_function(any_dist):
    @tf.function
    def through(dist):
        return dist

    other = through(any_dist)
    sample = any_dist.sample(5, seed=1)
    np.testing.assert_array_equal(other.sample(5, seed=1), sample)
    np.testing.assert_array_equal(other.log_prob(sample), any_dist.log_prob(sample))
    assert type(other) is type(any_dist)


@pytest.mark.parametrize(
    ("family", "wrong"),
    [("bernoulli", 0.5), ("bernoulli", np.nan), ("ragged", 2.5), ("ragged", 7), ("normal", np.nan)],
)
def test_values_outside_the_support_are_rejected(family, wrong):
    model = reference.small_model(family)
    dist = made_tf.MADEDistribution(model, validate_args=True)
    x = reference.rows(model.conditionals, 3, 5)
    np.testing.assert_allclose(dist.log_prob(x), log_prob(dist, x), rtol=1e-4)
    x[1, 2] = wrong
    with pytest.raises(tf.errors.InvalidArgumentError, match="outside the support"):
        dist.log_prob(x)


@pytest.mark.parametrize("shape", [(), (4,), (3, 1), (2, 6)])
def test_values_of_another_shape_are_refused(dist, shape):
    with pytest.raises(ValueError, match=r"`value` must have the shape \[..., 5\]"):
        dist.log_prob(np.zeros(shape, np.float32))


def test_a_copy_stays_of_its_kind(dist):
    assert dist.copy(model=reference.small_model("ragged")).model.conditionals.name == "categorical"
    with pytest.raises(ValueError, match="same kind, discrete or continuous"):
        dist.copy(model=reference.small_model("normal"))


def test_only_a_made_is_accepted():
    with pytest.raises(ValueError, match="`model` must be a made_tf.MADE. Received: model=3"):
        made_tf.MADEDistribution(3)


# Composition: each value is computed by hand from the reference.


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


@pytest.mark.parametrize("batch_size", [1, 7, 50, 1000])
def test_a_stream_is_the_sample_in_pieces(batch_size):
    dist = made_tf.MADEDistribution(made_tf.MADE(6, hidden_units=(16,), seed=3))
    pieces = list(dist.stream(50, seed=9, batch_size=batch_size))
    assert max(map(len, pieces)) == min(batch_size, 50)
    np.testing.assert_array_equal(np.concatenate(pieces), dist.sample(50, seed=9))


def test_a_stream_checks_its_arguments_at_once():
    dist = made_tf.MADEDistribution(made_tf.MADE(6, hidden_units=(16,), seed=3))
    for name, value in (("num_samples", 0), ("seed", 2**31), ("batch_size", 0)):
        with pytest.raises(ValueError, match=f"`{name}`"):
            dist.stream(**{"num_samples": 3, name: value})


def test_a_stream_can_show_its_progress(capsys):
    dist = made_tf.MADEDistribution(made_tf.MADE(6, hidden_units=(16,), seed=3))
    list(dist.stream(50, progress=True))
    assert "50/50" in capsys.readouterr().err


def test_other_sizes_and_seeds_trace_nothing_new():
    dist = made_tf.MADEDistribution(made_tf.MADE(6, hidden_units=(16,), seed=3))
    for n in (1, 5, 300):
        dist.sample(n, seed=n)
        dist.experimental_sample_and_log_prob(n, seed=n)
        list(dist.stream(n, seed=n, batch_size=4))
    for graph in (dist._samples, dist._samples_and_log_probs):
        assert graph.experimental_get_tracing_count() == 1


def test_the_density_of_a_sample_takes_no_second_pass(monkeypatch):
    dist = made_tf.MADEDistribution(made_tf.MADE(6, hidden_units=(16,), seed=3))
    expected = dist.log_prob(dist.sample(20, seed=4))

    def second_pass(*args, **kwargs):
        raise AssertionError("the model was called")

    monkeypatch.setattr(dist.model, "call", second_pass)
    monkeypatch.setattr(dist._network, "_score", second_pass)
    x, log_prob = dist.experimental_sample_and_log_prob(20, seed=4)
    np.testing.assert_array_equal(x, dist.sample(20, seed=4))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)


def test_the_batch_size_chooses_another_plan_and_the_same_rows():
    model = made_tf.MADE(200, hidden_units=(100,), seed=3)
    few, many = (made_tf.MADEDistribution(model, batch_size=n) for n in (1, 1000))
    assert few._network.plan.num_blocks < many._network.plan.num_blocks
    assert np.mean(few.sample(50, seed=1) == many.sample(50, seed=1)) > 0.999  # but for ties
    with pytest.raises(ValueError, match="`batch_size`"):
        made_tf.MADEDistribution(model, batch_size=0)


# Mixtures of several orders of one model.


@pytest.fixture(scope="module", params=[{"num_masks": 3}, {"num_masks": None}])
def several(request):
    keras.utils.set_random_seed(0)
    model = reference.loud(
        "ragged", 4, input_order=[3, 1, 4, 2], hidden_units=(9,), **request.param
    )
    return made_tf.MADEDistribution(model, num_orders=3)


@pytest.fixture(scope="module")
def tables(several):
    return [
        reference.Table(several.model, reference.order_of(several.model, number))
        for number in range(3)
    ]


def test_an_ensemble_is_the_mean_of_the_densities_of_its_orders(several, tables):
    found = several.prob(tables[0].states).numpy()
    probs = np.stack([table.probs for table in tables])
    assert np.ptp(probs, axis=0).max() > 0.01  # the orders disagree
    np.testing.assert_allclose(found, probs.mean(axis=0), atol=1e-6)
    for total in (found.sum(), *probs.sum(axis=1)):
        assert total == pytest.approx(1, abs=1e-5)


def test_samples_of_an_ensemble_follow_it(several, tables):
    probs = np.mean([table.probs for table in tables], axis=0)
    counts = tables[0].counts(several.sample(20_000, seed=5).numpy())
    assert reference.chi_squared_pvalue(counts, 20_000 * probs) > 0.01
    for table in tables:  # which no order alone would have given
        assert reference.chi_squared_pvalue(counts, 20_000 * table.probs) < 1e-4


def test_rows_of_an_ensemble_depend_on_the_seed_alone(several):
    rows = several.sample(200, seed=6)
    np.testing.assert_array_equal(several.sample(31, seed=6), rows[:31])
    np.testing.assert_array_equal(np.concatenate(list(several.stream(200, 6, 64))), rows)
    traced = tf.function(lambda seed: several.sample([4, 50], seed=seed), autograph=False)
    np.testing.assert_array_equal(tf.reshape(traced(tf.constant([6, 0])), [200, 4]), rows)
    assert (several.sample(200, seed=7) != rows).numpy().any()


def test_an_ensemble_scores_its_samples(several):
    rows, log_prob = several.experimental_sample_and_log_prob([2, 40], seed=6)
    np.testing.assert_array_equal(rows, several.sample([2, 40], seed=6))
    np.testing.assert_allclose(log_prob, several.log_prob(rows), rtol=1e-5, atol=1e-5)


def test_an_ensemble_inside_other_distributions(several, tables):
    x = tables[0].states[::9]
    probs = np.mean([table.probs for table in tables], axis=0)[::9]
    batched = tfd.BatchReshape(several, [1])
    mixture = tfd.MixtureSameFamily(tfd.Categorical(probs=[1.0]), batched)
    np.testing.assert_allclose(mixture.prob(x), probs, atol=1e-6)
    assert mixture.sample(3, seed=1).shape == (3, 4)
    joined = tfd.Independent(batched, reinterpreted_batch_ndims=1)
    np.testing.assert_allclose(joined.prob(x[:, None]), probs, atol=1e-6)
    inside = tf.function(lambda dist, x: dist.log_prob(x), autograph=False)(several, x)
    np.testing.assert_allclose(inside, np.log(probs), rtol=1e-4)


def test_gradients_of_an_ensemble_reach_all_weights(several, tables):
    x = tables[0].states[::5]
    with tf.GradientTape() as tape:
        log_prob = several.log_prob(x)
        loss = tf.reduce_sum(log_prob)
    variables = several.trainable_variables
    gradients = tape.gradient(loss, variables)
    assert len(gradients) == len(several.model.trainable_variables) > 0
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)
    # d log(mean p_m) is the mean of d log p_m, weighted by the p_m.
    parts = []
    for number in range(3):
        degrees = reference.order_of(several.model, number)
        with tf.GradientTape() as tape:
            own = several.model.row_log_prob(x, several.model(x, degrees=degrees))
            weight = tables[number].probs[::5] / np.exp(log_prob) / 3
            loss = tf.reduce_sum(own * weight.astype(np.float32))
        parts.append(tape.gradient(loss, variables))
    for found, *expected in zip(gradients, *parts, strict=True):
        np.testing.assert_allclose(found, sum(expected), rtol=1e-3, atol=1e-4)


def test_more_orders_than_masks_are_refused():
    model = reference.small_model(num_masks=2)
    with pytest.raises(ValueError, match="`num_orders` must be at most .* num_masks=2"):
        made_tf.MADEDistribution(model, num_orders=3)
