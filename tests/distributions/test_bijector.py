"""A MADE as a bijector, against its density, autodiff and finite differences."""

import numpy as np
import pytest
import reference
import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

import made_tf

D = 5


@pytest.fixture(scope="module")
def model():
    return reference.loud("normal", D, scale=1.5)


@pytest.fixture(scope="module")
def bijector(model):
    return made_tf.MADEBijector(model)


@pytest.fixture(scope="module")
def z():
    return tf.constant(np.random.default_rng(0).normal(size=(7, D)), tf.float32)


def test_a_transformed_normal_has_the_model_s_density(model, bijector, z):
    flow = tfd.TransformedDistribution(tfd.MultivariateNormalDiag(tf.zeros(D)), bijector)
    x = flow.sample(6, seed=1)
    np.testing.assert_allclose(flow.log_prob(x), reference.log_prob(model, x), atol=1e-3)
    later = tf.reshape(tf.concat([x, x], 0), [2, 3, 2, D])
    assert flow.log_prob(later).shape == [2, 3, 2]


def test_forward_draws_what_the_sampler_draws(model, bijector):
    dist = made_tf.MADEDistribution(model)
    rows = dist.sample(50, seed=3).numpy()
    np.testing.assert_allclose(bijector.forward(bijector.inverse(rows)), rows, rtol=1e-4, atol=1e-4)


def test_inverse_undoes_forward(bijector, z):
    x = bijector.forward(z)
    again = made_tf.MADEBijector(bijector.model).inverse(tf.identity(x))  # nothing is cached
    np.testing.assert_allclose(again, z, atol=2e-4)


def test_the_log_determinant_is_that_of_the_jacobian(bijector, z):
    x = bijector.forward(z)
    with tf.GradientTape() as tape:
        tape.watch(x)
        inverse = bijector._inverse(x)
    jacobian = tape.batch_jacobian(inverse, x).numpy().astype(np.float64)
    expected = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(
        bijector.inverse_log_det_jacobian(tf.identity(x), 1), expected, atol=1e-4
    )
    np.testing.assert_allclose(bijector.forward_log_det_jacobian(z, 1), -expected, atol=1e-4)
    order = np.argsort(bijector.model.degrees.inputs)
    in_order = jacobian[:, order][:, :, order]
    assert (np.triu(in_order, 1) == 0).all()  # exactly


def test_forward_has_gradients(bijector, z):
    kernel = next(iter(bijector.model.masked_layers())).kernel.value
    weights = tf.constant(np.random.default_rng(1).normal(size=(7, D)), tf.float32)

    def total(noise):
        return tf.reduce_sum(weights * bijector._forward(noise))

    with tf.GradientTape() as tape:
        tape.watch(z)
        value = total(z)
    to_z, to_kernel = tape.gradient(value, [z, kernel])
    for row, column in ((0, 0), (3, 2), (6, 4)):
        step = np.zeros((7, D), np.float32)
        step[row, column] = 1e-2
        slope = (total(z + step) - total(z - step)) / 2e-2
        assert float(to_z[row, column]) == pytest.approx(float(slope), rel=2e-2, abs=2e-2)
    place = np.unravel_index(np.abs(to_kernel.numpy()).argmax(), to_kernel.shape)
    before, step = kernel.numpy(), np.zeros(kernel.shape, np.float32)
    step[place] = 1e-2
    kernel.assign(before + step)
    above = total(z)
    kernel.assign(before - step)
    below = total(z)
    kernel.assign(before)
    assert to_kernel.numpy()[place] == pytest.approx(float(above - below) / 2e-2, rel=5e-2)


def test_flows_are_built_of_it_and_train(z):
    tf.random.set_seed(0)
    layers = [
        made_tf.MADE(2, (16,), conditionals=made_tf.Normal(), input_order=order, seed=seed)
        for seed, order in enumerate(([1, 2], [2, 1]))
    ]
    chain = tfb.Chain([made_tf.MADEBijector(layers[0]), tfb.Shift([1.0, -1.0])])
    chain = tfb.Chain([chain, made_tf.MADEBijector(layers[1])])
    flow = tfd.TransformedDistribution(tfd.MultivariateNormalDiag(tf.zeros(2)), chain)
    assert len(flow.trainable_variables) == sum(len(m.trainable_variables) for m in layers)
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, np.pi, 400)
    x = np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * rng.normal(size=(400, 2))
    x = tf.constant(x, tf.float32)
    optimizer = tf.keras.optimizers.Adam(1e-2)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(flow.log_prob(x))
        gradients = tape.gradient(loss, flow.trainable_variables)
        optimizer.apply_gradients(zip(gradients, flow.trainable_variables, strict=True))
        return loss

    losses = [float(step()) for _ in range(60)]
    assert losses[-1] < losses[0] - 1
    # The density that was trained is normalised: importance sampling over a wide normal.
    wide = tfd.MultivariateNormalDiag(tf.zeros(2), 3 * tf.ones(2))
    points = wide.sample(40_000, seed=[0, 1])
    total = float(tf.reduce_mean(tf.exp(flow.log_prob(points) - wide.log_prob(points))))
    assert total == pytest.approx(1, abs=0.1)


def test_it_is_its_inverse_s_inverse_and_works_in_graphs(bijector, z):
    turned = tfb.Invert(bijector)
    np.testing.assert_allclose(turned.inverse(z), bijector.forward(z), atol=1e-6)
    forward = tf.function(lambda value: bijector.forward(value) + 0)
    np.testing.assert_allclose(forward(z), bijector.forward(z), atol=1e-5)
    unknown = tf.function(
        lambda value: bijector.inverse(value), [tf.TensorSpec([None, None, D], tf.float32)]
    )
    assert unknown(z[None]).shape == [1, 7, D]


def test_a_model_of_all_orders_gives_its_first(z):
    model = reference.small_model("normal", D, num_masks=None)
    flow = tfd.TransformedDistribution(
        tfd.MultivariateNormalDiag(tf.zeros(D)), made_tf.MADEBijector(model)
    )
    expected = made_tf.MADEDistribution(model).log_prob(z)
    np.testing.assert_allclose(flow.log_prob(z), expected, atol=1e-3)


def test_other_models_are_refused(bijector):
    with pytest.raises(ValueError, match="must have Normal conditionals"):
        made_tf.MADEBijector(reference.small_model("bernoulli"))
    with pytest.raises(ValueError, match="without a context"):
        made_tf.MADEBijector(reference.small_model("normal", context=2))
    with pytest.raises(ValueError, match=r"must be a made_tf\.MADE"):
        made_tf.MADEBijector(3)
    with pytest.raises(ValueError, match=r"the shape \[..., 5\]"):
        bijector.forward(tf.zeros([2, 4]))
