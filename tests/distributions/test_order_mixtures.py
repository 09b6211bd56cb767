"""Mixtures of several orders of one model."""

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
import tensorflow_probability as tfp

import made_tf

tfd = tfp.distributions


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
