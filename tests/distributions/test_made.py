import numpy as np
import pytest
import reference
import tensorflow as tf
import tensorflow_probability as tfp
from distributions.common import log_prob

import made_tf
from made_tf.networks.masked_dense import MaskedDense


def test_log_prob_and_prob_equal_the_reference(any_dist):
    x = any_dist.sample([4, 3], seed=2)
    np.testing.assert_allclose(any_dist.log_prob(x), log_prob(any_dist, x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(any_dist.prob(x), np.exp(log_prob(any_dist, x)), rtol=1e-4)
    np.testing.assert_allclose(
        any_dist.log_prob(x[0, 0]), log_prob(any_dist, x[0, 0]), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("any_dist", "jit_compile"),
    [("bernoulli", False), ("ragged", True), ("normal", False), ("normal", True)],
    indirect=["any_dist"],
)
def test_a_seed_gives_the_same_samples_in_every_mode(any_dist, jit_compile):
    eager = any_dist.sample(100, seed=7).numpy()

    @tf.function(jit_compile=jit_compile)
    def draw():
        return any_dist.sample(100, seed=7)

    if any_dist.model.conditionals.is_discrete.all():
        np.testing.assert_array_equal(draw(), eager)
    else:  # XLA rounds otherwise
        np.testing.assert_allclose(draw(), eager, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(any_dist.sample(100, seed=7), eager)


def test_sample_and_log_prob_agree(any_dist):
    sample, found = any_dist.experimental_sample_and_log_prob([3, 2], seed=5)
    assert sample.shape == (3, 2, 5) and found.shape == (3, 2)
    np.testing.assert_array_equal(sample, any_dist.sample([3, 2], seed=5))
    np.testing.assert_allclose(found, log_prob(any_dist, sample), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("any_dist", ["bernoulli", "normal"], indirect=True)
def test_samples_carry_no_gradient_into_their_log_prob(any_dist):
    dist = any_dist
    with tf.GradientTape(persistent=True) as tape:
        sample, found = dist.experimental_sample_and_log_prob(50, seed=5)
        again = dist.log_prob(tf.stop_gradient(sample))
    for variable in dist.trainable_variables:
        gradients = [tf.convert_to_tensor(tape.gradient(y, variable)) for y in (found, again)]
        np.testing.assert_allclose(*gradients, rtol=1e-3, atol=1e-4)
        assert tape.gradient(sample, variable) is None


def test_samples_follow_a_quantized_model():
    model = reference.small_model(hidden_units=(12,))
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


def test_the_distribution_follows_further_training(x):
    dist = made_tf.MADEDistribution(reference.small_model())
    before = dist.log_prob(x).numpy()
    dist.model.compile("sgd", run_eagerly=True)
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


def test_a_copy_stays_of_its_kind(dist):
    assert dist.copy(model=reference.small_model("ragged")).model.conditionals.name == "categorical"
    with pytest.raises(ValueError, match="same kind, discrete or continuous"):
        dist.copy(model=reference.small_model("normal"))


def test_only_a_made_is_accepted():
    with pytest.raises(ValueError, match="`model` must be a made_tf.MADE. Received: model=3"):
        made_tf.MADEDistribution(3)


@pytest.fixture
def count(monkeypatch):
    """Counts the calls of a method from now on: those of what a graph holds, when it is traced."""

    def start(cls, name):
        original, calls = getattr(cls, name), []

        def counted(self, *args, **kwargs):
            calls.append(name)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(cls, name, counted)
        return calls

    return start


def test_other_sizes_and_seeds_trace_nothing_new(count):
    dist = made_tf.MADEDistribution(made_tf.MADE(6, hidden_units=(16,), seed=3))
    traces = count(made_tf.Bernoulli, "noise")
    for n in (1, 5, 300):
        dist.sample(n, seed=n)
        dist.experimental_sample_and_log_prob(n, seed=n)
        list(dist.stream(n, seed=n, batch_size=4))
    assert len(traces) == 2  # one to draw, one to draw and score


def test_the_density_of_a_sample_takes_no_second_pass(count, monkeypatch):
    dist = made_tf.MADEDistribution(made_tf.MADE(6, hidden_units=(16,), seed=3))
    expected = dist.log_prob(dist.sample(20, seed=4))

    def second_pass(*args, **kwargs):
        raise AssertionError("the model was called")

    monkeypatch.setattr(dist.model, "call", second_pass)
    reads = count(MaskedDense, "unmasked_kernel")
    x, log_prob = dist.experimental_sample_and_log_prob(20, seed=4)
    with_density = len(reads)
    np.testing.assert_array_equal(x, dist.copy().sample(20, seed=4))
    assert 0 < with_density == len(reads) - with_density  # as to draw alone
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)


def test_the_batch_size_chooses_another_plan_and_the_same_rows(count):
    model = made_tf.MADE(120, hidden_units=(60,), seed=3)
    few, many = (made_tf.MADEDistribution(model, batch_size=n) for n in (1, 1000))
    encoded = count(made_tf.Bernoulli, "encode")  # block by block
    drawn = few.sample(50, seed=1)
    in_few = len(encoded)
    assert np.mean(drawn == many.sample(50, seed=1)) > 0.999  # but for ties
    assert in_few < len(encoded) - in_few
    with pytest.raises(ValueError, match="`batch_size`"):
        made_tf.MADEDistribution(model, batch_size=0)
