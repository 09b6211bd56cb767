"""Classes that are learned vectors: trained, kept, drawn, asked and exported with the model."""

import functools
import itertools

import keras
import laws
import numpy as np
import pytest
import reference
import tensorflow as tf

import made_tf
from made_tf import conditionals as families
from made_tf import export
from made_tf.sampling import random
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.verification import check_autoregressive, not_finite

SIZES = (5, 4, 6)


def make_model(conditionals=None, **kwargs):
    if conditionals is None:
        conditionals = families.Embedded(SIZES, 3)
    size = len(conditionals) if isinstance(conditionals, list) else len(SIZES)
    return made_tf.MADE(size, (16,), conditionals, activation="tanh", seed=2, **kwargs)


@functools.cache
def trained(num_masks=1):
    """A model of a table in which each column decides much of the next; and the table."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 5, 600)
    x = np.stack([x, x * 3 % 4, (x + rng.integers(0, 2, 600)) % 6], axis=1).astype(np.float32)
    keras.utils.set_random_seed(1)
    model = make_model(num_masks=num_masks)
    model.compile(keras.optimizers.Adam(0.02), run_eagerly=False)
    model.fit(x, epochs=15, batch_size=50, verbose=0)
    rng = np.random.default_rng(1)
    bias = model.conditionals.weight("class_bias")
    bias.assign(bias + 0.3 * rng.normal(size=bias.shape))
    return model, x


def every_row():
    return np.array(list(itertools.product(*map(range, SIZES))), np.float32)


def test_it_learns_and_its_vectors_train_on_both_sides():
    model, x = trained()
    # 5 classes, nothing, 2 classes.
    assert -np.mean(model.log_prob(x)) < np.log(5) + np.log(2) + 0.3
    fresh = make_model()
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(fresh.log_prob(tf.constant(x)))
    (vectors, _) = tape.gradient(loss, [weight.value for weight in fresh.family_weights.weights])
    used = np.abs(tf.convert_to_tensor(vectors)).sum(axis=1).reshape(len(SIZES), -1) > 0
    np.testing.assert_array_equal(used, np.arange(max(SIZES)) < np.array(SIZES)[:, None])


@pytest.mark.parametrize("num_masks", [1, None])
def test_all_probabilities_sum_to_one(num_masks):
    model, _ = trained(num_masks)
    for orders in (1,) if num_masks else (1, 4):
        total = np.exp(np.float64(model.log_prob(every_row(), num_orders=orders))).sum()
        assert total == pytest.approx(1, abs=1e-5)


def test_it_gives_what_the_law_gives():
    model, x = trained()
    expected = laws.log_prob(model.conditionals, np.asarray(model(x, training=False)), x)
    np.testing.assert_allclose(model.log_prob(x), expected.sum(axis=1), rtol=1e-5, atol=1e-4)
    assert np.std(model.conditionals.weight("class_bias")) > 0.1  # so that it counts


@pytest.mark.parametrize("num_masks", [1, None])
def test_the_network_is_autoregressive(num_masks):
    assert check_autoregressive(trained(num_masks)[0], num_rows=16)


@pytest.mark.parametrize("block_length", [1, 2, 3])
def test_blocks_draw_what_the_loop_draws(block_length):
    model, _ = trained()
    seeds = random.row_seeds(tf.constant([5, 0]), 200)
    u = random.row_uniforms(seeds, model.conditionals)
    found = BlockedNetwork(model, block_length).sample(u)
    np.testing.assert_array_equal(found, reference.sample(model, u.numpy()))


def test_a_temperature_takes_the_biases_along():
    model, _ = trained()
    u = random.row_uniforms(random.row_seeds(tf.constant([5, 0]), 2000), model.conditionals)
    drawn = BlockedNetwork(model, 2).sample(u, temperature=tf.fill([2000], 0.5)).numpy()
    logits = model.conditionals.unpack(model(drawn[:1], training=False))["logits"]
    powers = np.exp(2 * np.float64(logits)[0, 0, : SIZES[0]])
    counts = np.bincount(drawn[:, 0].astype(int), minlength=SIZES[0])
    assert reference.chi_squared_pvalue(counts, 2000 * powers / powers.sum()) > 1e-4


def test_questions_are_answered_as_by_enumeration():
    model, _ = trained(None)
    rows, row = every_row(), np.array([[np.nan, 2.0, np.nan]], np.float32)
    # One order, the evidence first: what the model of all orders takes for it.
    dist = made_tf.MADEDistribution(model).condition(row)
    joint = np.array([(a, c) for a in range(SIZES[0]) for c in range(SIZES[2])], np.float32)
    log_prob = np.float64(dist.log_prob(joint[:, None, :]))[:, 0]
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-5)
    drawn = dist.sample(4000, seed=3).numpy()[:, 0]
    index = drawn[:, 0] * SIZES[2] + drawn[:, 1]
    counts = np.bincount(index.astype(int), minlength=len(joint))
    assert reference.chi_squared_pvalue(counts, 4000 * np.exp(log_prob)) > 1e-4
    asked = made_tf.MADEDistribution(trained()[0])
    inside = np.isin(rows[:, 0], [1, 3]) & np.isin(rows[:, 2], [0, 5])
    expected = np.log(np.exp(np.float64(trained()[0].log_prob(rows)))[inside].sum())
    found = asked.log_prob_in([{0: [1, 3], 2: [0, 5]}], seed=1, num_samples=4000)
    assert np.asarray(found.log_prob)[0] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_other_dtypes_see_the_vectors_as_they_are(dtype):
    model, x = make_model(dtype=dtype), trained()[1][:20]
    vectors = model.conditionals.weight("vectors")
    vectors.assign(5 * vectors)
    np.testing.assert_array_equal(model(x, training=False), model.parameters(x))


def test_files_hold_vectors_once_and_in_their_format(tmp_path):
    model = make_model([families.Embedded(400), "normal", families.Embedded(300)])
    sizes = {}
    for weights in ("float32", "float16", "int8"):
        path = tmp_path / f"{weights}.tflite"
        export.to_tflite(model, path, weights=weights, signatures="log_prob")
        sizes[weights] = path.stat().st_size
    vectors, size = 2 * 400, 32
    assert sizes["float32"] - sizes["float16"] > 0.95 * vectors * 2 * size
    # Each vector has a scale, 4 bytes, and a zero point, 8.
    assert sizes["float16"] - sizes["int8"] > 0.9 * vectors * (size - 12)
    assert sizes["float32"] < vectors * 4 * size + 45_000


def test_vectors_belong_to_one_model():
    family = families.Embedded(SIZES, 3).bind(len(SIZES))
    keras.utils.set_random_seed(3)
    first, second = make_model(family), make_model(family)
    names = "vectors", "class_bias"
    ours, theirs = (np.asarray(model.conditionals.weight(names[0])) for model in (first, second))
    assert not np.array_equal(ours, theirs)
    assert not any(isinstance(family.weight(name), keras.Variable) for name in names)
    again = make_model(first.conditionals)
    assert again.conditionals.weight(names[0]) is not first.conditionals.weight(names[0])
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(make_model(family).conditionals.weight(names[0]), ours)


def test_files_clones_and_checkpoints_keep_them(tmp_path):
    model, x = trained()
    expected = model.log_prob(x)
    model.save(tmp_path / "made.keras")
    model.save_weights(tmp_path / "made.weights.h5")
    checkpoint = tf.train.Checkpoint(model).write(str(tmp_path / "checkpoint"))
    opened = keras.saving.load_model(tmp_path / "made.keras")
    np.testing.assert_array_equal(opened.log_prob(x), expected)
    for restore in (
        lambda fresh: fresh.load_weights(tmp_path / "made.weights.h5"),
        lambda fresh: fresh.set_weights(model.get_weights()),
        lambda fresh: tf.train.Checkpoint(fresh).read(checkpoint).assert_consumed(),
    ):
        fresh = keras.models.clone_model(model)
        assert np.abs(fresh.log_prob(x) - expected).max() > 0.1
        restore(fresh)
        np.testing.assert_array_equal(fresh.log_prob(x), expected)


def test_weights_that_are_not_finite_stop_sampling_and_export(tmp_path):
    model = make_model()
    vectors = np.array(model.conditionals.weight("vectors"))
    vectors[2, 1] = np.nan
    model.conditionals.weight("vectors").assign(vectors)
    with pytest.raises(tf.errors.InvalidArgumentError, match="layer family must be finite"):
        made_tf.MADEDistribution(model).sample(3, seed=0)
    assert not_finite(model) == ["family/vectors"]
    with pytest.raises(ValueError, match="family/vectors"):
        export.to_tflite(model, tmp_path / "made.tflite")


@pytest.mark.parametrize("weights", ["float32", "float16", "int8"])
def test_a_file_draws_and_scores_the_same_rows(weights, tmp_path):
    model, x = trained()
    path = tmp_path / "made.tflite"
    report = export.to_tflite(model, path, weights=weights)
    assert report.leak == 0
    sampler = export.LiteSampler(path)
    assert np.abs(sampler.log_prob(x) - model.log_prob(x)).max() < {"int8": 0.2}.get(weights, 0.01)
    if weights == "float32":
        rows = made_tf.MADEDistribution(model).sample(100, seed=4)
        np.testing.assert_array_equal(sampler.sample(100, seed=4), rows)


def test_a_file_of_all_orders_fills_in(tmp_path):
    model, x = trained(None)
    export.to_tflite(model, tmp_path / "made.tflite", signatures=("impute", "log_prob"))
    holes = x[:50].copy()
    holes[:, 1] = np.nan
    filled = export.LiteSampler(tmp_path / "made.tflite").impute(holes, seed=1)
    np.testing.assert_array_equal(filled[:, ::2], holes[:, ::2])
    assert (filled[:, 1] == x[:50, 1]).mean() > 0.8


def test_ten_thousand_classes_take_no_square_of_weights():
    many = [families.Embedded(10_000, 8), "normal", families.Embedded(9_000, 8)]
    model = make_model(many)
    assert model.count_params() < 2 * 10_000 * 9 + 2_000
    x = np.array([[9_999, 0.5, 8_999], [0, -1.0, 0]], np.float32)
    model.compile("adam", run_eagerly=True)
    model.fit(x, epochs=1, verbose=0)
    drawn = made_tf.MADEDistribution(model).sample(20, seed=0).numpy()
    assert np.asarray(model.conditionals.in_support(drawn)).all()
    assert np.isfinite(model.log_prob(drawn)).all()


@pytest.mark.parametrize("value", [SIZES[0], -1, 0.5, np.inf])
def test_what_is_no_class_is_refused(value):
    row = np.array([[value, 0, 0]], np.float32)
    with pytest.raises(ValueError, match=r"embedded conditionals|finite"):
        make_model().log_prob(row)


@pytest.mark.parametrize("size", [0, 2.5, "many"])
def test_an_embedding_size_is_a_positive_integer(size):
    with pytest.raises(ValueError, match="embedding_size"):
        families.Embedded(5, size)
