"""Rows inside `tf.vectorized_map` and inside the `AutoBatched` joints of TFP."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import made_tf
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.sampling.seeds import is_integer_of_tfp

BY_TFP = 3**300  # as TFP derives integers from a user's
SIZE = 4
PAIRS = tf.constant([[5, 0], [6, 0], [5, 3], [-7, 2**31 - 1]])


def model_of(**settings):
    keras.utils.set_random_seed(1)
    model = made_tf.MADE(SIZE, **{"hidden_units": (8,), "seed": 0, **settings})
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return model


def ensemble(**settings):
    members = [model_of(input_order="random", seed=seed, **settings) for seed in range(2)]
    return made_tf.Ensemble(members)


DISTRIBUTIONS = {
    "discrete": lambda: made_tf.MADEDistribution(model_of()),
    "real": lambda: made_tf.MADEDistribution(model_of(conditionals="normal", hidden_units=(3,))),
    "mixture of orders": lambda: made_tf.MADEDistribution(model_of(num_masks=4, num_orders=3)),
    "ensemble": lambda: made_tf.EnsembleDistribution(ensemble()),
    "context": lambda: made_tf.MADEDistribution(
        model_of(context=2), context=np.array([[0.5, -1], [2, 0], [1, 1]], np.float32)
    ),
    "ensemble, context": lambda: made_tf.EnsembleDistribution(
        ensemble(context=2), context=np.array([0.5, -1], np.float32)
    ),
    "given": lambda: made_tf.MADEDistribution(model_of(num_masks=None)).condition(
        np.array([[1, np.nan, np.nan, 0], [np.nan, 0, np.nan, np.nan]])
    ),
}


@pytest.fixture(scope="module", params=DISTRIBUTIONS)
def dist(request):
    return DISTRIBUTIONS[request.param]()


def test_integers_of_users_are_told_from_those_that_tfp_derives():
    assert not any(map(is_integer_of_tfp, (0, 2**31, -(2**63), 2**64 - 1, None, (1, 2))))
    assert is_integer_of_tfp(BY_TFP) and is_integer_of_tfp(-BY_TFP)


def test_a_seed_for_each_iteration_gives_its_own_rows(dist):
    found = tf.vectorized_map(lambda pair: dist.sample(3, seed=pair), PAIRS)
    expected = tf.stack([dist.sample(3, seed=pair) for pair in PAIRS])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_one_seed_for_all_iterations_gives_the_same_rows(dist):
    expected = dist.sample(2, seed=7)
    found = tf.vectorized_map(lambda i: dist.sample(2, seed=7), tf.range(3))
    np.testing.assert_allclose(found, tf.stack([expected] * 3), rtol=1e-5)


def test_an_integer_of_tfp_counts_on_through_the_iterations(dist):
    rows = dist.sample(12, seed=BY_TFP)
    assert len({row.tobytes() for row in rows.numpy()}) > 3
    shape = [6, 2, *rows.shape[1:]]

    def inner(_):
        return dist.sample(2, seed=BY_TFP)

    found = tf.vectorized_map(inner, tf.range(6))
    np.testing.assert_allclose(found, tf.reshape(rows, shape), rtol=1e-5)
    nested = tf.vectorized_map(lambda _: tf.vectorized_map(inner, tf.range(3)), tf.range(2))
    np.testing.assert_allclose(tf.reshape(nested, shape), tf.reshape(rows, shape), rtol=1e-5)


@pytest.mark.parametrize("kind", ["Coroutine", "Sequential", "Named"])
def test_rows_of_a_joint_are_those_of_one_sample(monkeypatch, kind):
    dist = DISTRIBUTIONS["real"]()

    def given(row):
        return tfd.Normal(tf.reduce_sum(row, -1), 0.1)

    def coroutine():
        row = yield dist
        yield given(row)

    models = {
        "Coroutine": coroutine,
        "Sequential": [dist, given],
        "Named": {"row": dist, "sum": lambda row: given(row)},
    }
    joint = getattr(tfd, f"JointDistribution{kind}AutoBatched")(models[kind])
    seeds = []
    own = type(dist)._sample_n

    def told(self, n, seed=None):
        seeds.append(seed)
        return own(self, n, seed=seed)

    monkeypatch.setattr(type(dist), "_sample_n", told)
    drawn = joint.sample(5, seed=1)
    rows, sums = drawn.values() if kind == "Named" else drawn
    np.testing.assert_allclose(rows, dist.sample(5, seed=seeds[-1]), rtol=1e-5)
    np.testing.assert_allclose(sums, tf.reduce_sum(rows, -1), atol=1)
    expected = dist.log_prob(rows) + given(rows).log_prob(sums)
    np.testing.assert_allclose(joint.log_prob(drawn), expected, rtol=1e-4)
    again, _ = joint.sample(5, seed=1).values() if kind == "Named" else joint.sample(5, seed=1)
    np.testing.assert_array_equal(again, rows)


def test_the_sampler_is_traced_once_and_rewritten_never(monkeypatch):
    traces = []
    own = BlockedNetwork.sample
    monkeypatch.setattr(
        BlockedNetwork,
        "sample",
        lambda *args, **kwargs: (traces.append(0), own(*args, **kwargs))[1],
    )
    dist = DISTRIBUTIONS["real"]()
    joint = tfd.JointDistributionSequentialAutoBatched([dist, lambda row: tfd.Normal(row[0], 1.0)])
    graphs = [
        tf.function(lambda: joint.sample(5, seed=1), autograph=False).get_concrete_function()
        for _ in range(2)
    ]
    assert len(traces) == 1
    plain = tf.function(lambda: dist.sample(5, seed=1), autograph=False).get_concrete_function()
    sizes = [
        sum(len(each.node_def) for each in graph.graph.as_graph_def().library.function)
        for graph in (graphs[1], plain)
    ]
    assert sizes[0] < 1.3 * sizes[1]  # rewritten, the sampler would be there twice


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_context_of_each_iteration_is_its_own(jit_compile):
    model = model_of(context=2)
    contexts = tf.constant([[0.5, -1], [2, 0], [1, 1]])
    draw = tf.function(
        lambda: tf.vectorized_map(
            lambda each: made_tf.MADEDistribution(model, context=each).sample(2, seed=BY_TFP),
            contexts,
        ),
        jit_compile=jit_compile,
    )
    found = draw()
    for number in range(3):
        one = made_tf.MADEDistribution(model, context=contexts[number])
        expected = one.sample(6, seed=BY_TFP)[2 * number :][:2]
        np.testing.assert_array_equal(found[number], expected)


def test_rows_with_their_densities():
    dist = DISTRIBUTIONS["real"]()

    def one(pair):
        return dist.experimental_sample_and_log_prob(3, seed=pair)

    for found, expected in zip(
        tf.vectorized_map(one, PAIRS), zip(*map(one, PAIRS), strict=True), strict=True
    ):
        np.testing.assert_allclose(found, tf.stack(expected), rtol=1e-4, atol=1e-5)


def test_gradients_pass_through_densities_of_rows_drawn_inside():
    dist = DISTRIBUTIONS["real"]()
    kernel = dist.model.trainable_variables[0].value

    def gradient(pair):
        with tf.GradientTape() as tape:
            _, log_prob = dist.experimental_sample_and_log_prob(3, seed=pair)
        return tape.gradient(log_prob, kernel)

    found = tf.vectorized_map(gradient, PAIRS[:2])
    expected = tf.stack([gradient(pair) for pair in PAIRS[:2]])
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
