"""The model as a density: forward pass, totals, training data of every kind, errors."""

import itertools
import json
import math
import random

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import made_tf
from made_tf import MADE, Categorical, Normal, masks

EVERY = pytest.mark.parametrize("name", reference.FAMILIES)


def data(count=64, seed=0, D=4):
    """Binary rows with structure: later columns often copy earlier ones."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (count, D))
    copy = rng.random((count, D)) < 0.8
    for k in range(1, D):
        x[:, k] = np.where(copy[:, k], x[:, k - 1], x[:, k])
    return x.astype(np.float32)


def model_of(D=4, optimizer="adam", run_eagerly=True, **kwargs):
    """A compiled model; a graph takes long to make, and is for tests that need one."""
    model = reference.small_model(event_size=D, **kwargs)
    model.compile(optimizer, run_eagerly=run_eagerly)
    return model


def total(model):
    return np.exp(np.asarray(model.log_prob(reference.states(model)), np.float64)).sum()


SHAPES = {
    "deep": {"hidden_units": (9, 7, 8)},
    "no_direct": {"direct_connections": False},
    "no_hidden": {"hidden_units": ()},
    "random": {"input_order": "random", "hidden_degrees": "random", "hidden_units": (20, 20)},
    "explicit": {"input_order": [2, 3, 4, 1], "hidden_degrees": [[1, 2, 3, 3], [3, 1, 2]]}
    | {"hidden_units": (4, 3)},
    "relu": {"activation": "relu"},
    "early": {"hidden_degrees": "early", "hidden_units": (9, 7)},
    "residual": {"residual": True, "hidden_units": (9, 9, 9), "hidden_degrees": "early"},
}
#: Each shape with the family whose variables differ most, and with one or two of the others.
OTHERS = ("bernoulli", "normal", "categorical", "scaled_normal")
FAMILIES_AND_SHAPES = [
    *(("ragged", shape) for shape in SHAPES),
    *((OTHERS[number % 4], shape) for number, shape in enumerate(SHAPES)),
    *(("bernoulli", shape) for shape in ("random", "residual")),
]


@pytest.mark.parametrize(("name", "shape"), FAMILIES_AND_SHAPES)
def test_the_forward_pass_and_log_prob_follow_the_loops(name, shape):
    model = model_of(family=name, **SHAPES[shape])
    for weight in model.weights:
        if weight.path.endswith("bias"):
            weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    reference.put_junk(model)
    x = reference.rows(model.conditionals, 20, 4)
    np.testing.assert_allclose(model(x), reference.forward(model, x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model.log_prob(x), reference.log_prob(model, x), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("name", "shape"), FAMILIES_AND_SHAPES)
def test_outputs_see_what_the_masks_let_through_and_nothing_else(name, shape):
    model = model_of(family=name, **{**SHAPES[shape], "activation": "tanh"})
    sees = masks.connectivity(model.degrees, model.direct_connections)
    np.testing.assert_array_equal(reference.dependencies(model), sees)


@pytest.mark.parametrize("name", reference.DISCRETE)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_total_probability_is_one(name, shape):
    assert abs(total(model_of(family=name, **SHAPES[shape])) - 1) < 1e-5


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("bernoulli", "deep"),
        ("bernoulli", "no_hidden"),
        ("categorical", "no_direct"),
        ("ragged", "random"),
        ("ragged", "explicit"),
    ],
)
def test_the_total_probability_is_one_after_training(name, shape):
    model = model_of(family=name, optimizer=keras.optimizers.Adam(0.05), **SHAPES[shape])
    x = reference.rows(model.conditionals, 32, 4)
    x[:, 1] = np.minimum(x[:, 0], 1)
    model.fit(x, epochs=5, verbose=0)
    assert abs(total(model) - 1) < 1e-5


@pytest.mark.parametrize("order", ["natural", "random", [3, 1, 2, 6, 4, 5]])
@pytest.mark.parametrize("kind", ["equal", "random"])
def test_the_total_is_one_for_every_order_and_kind_of_degrees(order, kind):
    model = model_of(6, input_order=order, hidden_degrees=kind, hidden_units=(30,))
    assert abs(total(model) - 1) < 1e-5


@EVERY
def test_one_variable_is_a_bias(name):
    model = model_of(1, family=name, optimizer=keras.optimizers.Adam(0.1))
    x = reference.rows(model.conditionals, 16, 1)
    params = np.asarray(model(x))
    np.testing.assert_array_equal(params, np.repeat(params[:1], 16, axis=0))
    loss = model.fit(x, epochs=3, verbose=0).history["loss"]
    assert loss[-1] < loss[0]
    if model.conditionals.is_discrete.all():
        assert abs(total(model) - 1) < 1e-5


def test_one_binary_variable_learns_its_frequency():
    model = model_of(1, optimizer=keras.optimizers.SGD(1.0), run_eagerly=False)
    rows = np.array(([[1.0]] * 3 + [[0.0]]) * 60)
    model.fit(rows, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_allclose(np.exp(model.log_prob([[1], [0]])), [0.75, 0.25], atol=1e-3)


def test_training_finds_structure_that_independent_columns_lack():
    x = data(500)
    model = model_of(optimizer=keras.optimizers.Adam(0.02), run_eagerly=False)
    model.fit(np.tile(x, (20, 1)), batch_size=50, verbose=0)
    p = x.mean(axis=0)
    independent = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1).mean()
    assert model.evaluate(x, verbose=0, return_dict=True)["nll"] < independent - 0.5


def test_layers_of_equal_shape_start_from_different_weights():
    model = MADE(10, hidden_units=(50, 50, 50), seed=0)
    first, second = (layer.kernel.numpy() for layer in model.hidden_layers[1:])
    assert not np.array_equal(first, second)


def test_equal_seeds_give_equal_degrees():
    arguments = {"input_order": "random", "hidden_degrees": "random"}
    models = [MADE(9, (12, 12), seed=seed, **arguments) for seed in (5, 5, 6)]
    for first, second in zip(models[0].masked_layers(), models[1].masked_layers(), strict=True):
        assert first.mask.get_config() == second.mask.get_config()
    assert models[0].degrees.inputs.tolist() != models[2].degrees.inputs.tolist()


class Batches(keras.utils.PyDataset):
    def __init__(self, x, weights=None, size=16):
        super().__init__()
        self.x, self.weights, self.size = x, weights, size

    def __len__(self):
        return math.ceil(len(self.x) / self.size)

    def __getitem__(self, index):
        part = slice(index * self.size, (index + 1) * self.size)
        x = self.x[part]
        if self.weights is None:
            return x
        # Keras fails on None here, so that what stands for no targets is [rows, 0].
        return x, np.zeros((len(x), 0)), self.weights[part]


def generator(x):
    for start in range(0, len(x), 16):
        yield (x[start : start + 16],)


SOURCES = {
    "array": lambda x: x,
    "booleans": lambda x: x.astype(bool),
    "float64": lambda x: x.astype(np.float64),
    "list": lambda x: x.astype(int).tolist(),
    "tensor": tf.constant,
    "tf.data": lambda x: tf.data.Dataset.from_tensor_slices(x).batch(16),
    "tf.data of tuples": lambda x: tf.data.Dataset.from_tensor_slices((x,)).batch(16),
    "PyDataset": Batches,
}


@pytest.fixture(scope="module")
def trained_on_arrays():
    """A model, weights, and the loss of one epoch of 4 batches that starts from them."""
    model = model_of(optimizer=keras.optimizers.SGD(0.5), run_eagerly=False)
    weights = model.get_weights()
    history = model.fit(data(), batch_size=16, shuffle=False, verbose=0).history
    return model, weights, history["loss"]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_of_rows_trains_alike(source, trained_on_arrays):
    x, make = data(), SOURCES[source]
    model, weights, loss = trained_on_arrays
    model.set_weights(weights)
    arguments = {} if "data" in source.lower() else {"batch_size": 16}
    history = model.fit(make(x), shuffle=False, verbose=0, **arguments).history
    np.testing.assert_allclose(history["loss"], loss, rtol=1e-5)
    results = model.evaluate(make(x), verbose=0, return_dict=True, **arguments)
    np.testing.assert_allclose(results["nll"], -reference.log_prob(model, x).mean(), rtol=1e-4)
    params = model.predict(make(x), verbose=0, **arguments)
    np.testing.assert_allclose(params, model(x), rtol=1e-5, atol=1e-6)


def test_a_generator_trains():
    model, x = model_of(), data()
    history = model.fit(generator(x), steps_per_epoch=4, shuffle=False, verbose=0).history
    assert np.isfinite(history["nll"]).all()


@pytest.mark.parametrize("kind", ["list", "booleans", "float64", "array", "tensor"])
def test_log_prob_takes_rows_of_every_kind(kind):
    model, x = model_of(), data()
    log_prob = model.log_prob(SOURCES[kind](x))
    assert log_prob.dtype == tf.float32
    np.testing.assert_allclose(log_prob, reference.log_prob(model, x), rtol=1e-4)


def test_log_prob_traces_and_compiles():
    model, x = model_of(), data()
    expected = model.log_prob(x)
    for jit_compile in (False, True):
        traced = tf.function(model.log_prob, jit_compile=jit_compile)
        np.testing.assert_allclose(traced(tf.constant(x)), expected, rtol=1e-5)


def test_metrics_are_nats_per_row_and_bits_per_variable():
    model, x = model_of(run_eagerly=False), data()
    results = model.evaluate(x, batch_size=10, verbose=0, return_dict=True)  # a ragged last batch
    nll = -reference.log_prob(model, x).mean()
    np.testing.assert_allclose(results["nll"], nll, rtol=1e-5)
    np.testing.assert_allclose(results["loss"], nll, rtol=1e-5)
    np.testing.assert_allclose(results["bits_per_dim"], nll / (4 * np.log(2)), rtol=1e-5)
    assert set(results) == {"loss", "nll", "bits_per_dim"}


def test_the_loss_adds_the_penalties_and_the_metric_does_not():
    model, x = model_of(kernel_regularizer=keras.regularizers.L2(0.3)), data()
    results = model.evaluate(x, verbose=0, return_dict=True)
    penalty = 0.3 * sum((layer.kernel.numpy() ** 2).sum() for layer in model.masked_layers())
    np.testing.assert_allclose(results["loss"] - results["nll"], penalty, rtol=1e-4)


@pytest.mark.parametrize("shape", [(64,), (64, 1)])
def test_sample_weights_weigh_rows(shape):
    model, x = model_of(), data()
    weights = np.random.default_rng(0).uniform(0, 2, 64).astype(np.float32)
    nll = -reference.log_prob(model, x)
    results = model.evaluate(
        x, sample_weight=weights.reshape(shape), verbose=0, return_dict=True, batch_size=64
    )
    np.testing.assert_allclose(results["loss"], (weights * nll).mean(), rtol=1e-4)
    np.testing.assert_allclose(results["nll"], (weights * nll).sum() / weights.sum(), rtol=1e-4)


@pytest.mark.parametrize("source", ["array", "tf.data", "PyDataset"])
def test_rows_of_weight_zero_do_not_train(source):
    x, weights = data(), (np.arange(64) < 32).astype(np.float32)
    first, second = model_of(optimizer="sgd"), model_of(optimizer="sgd")
    second.set_weights(first.get_weights())
    other = np.where(weights[:, None] > 0, x, 1 - x)
    if source == "array":
        first.fit(x, sample_weight=weights, verbose=0, shuffle=False)
        second.fit(other, sample_weight=weights, verbose=0, shuffle=False)
    elif source == "tf.data":

        def batches(rows):
            slices = tf.data.Dataset.from_tensor_slices((rows, weights)).batch(16)
            return slices.map(lambda row, weight: (row, None, weight))

        first.fit(batches(x), verbose=0, shuffle=False)
        second.fit(batches(other), verbose=0, shuffle=False)
    else:
        first.fit(Batches(x, weights), verbose=0, shuffle=False)
        second.fit(Batches(other, weights), verbose=0, shuffle=False)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_sample_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="one weight for each row"):
        model_of().fit(data(), sample_weight=np.ones((64, 4)), verbose=0)


@pytest.mark.parametrize(
    "validation",
    [
        {"validation_data": data(20, 1)},
        {"validation_data": (data(20, 1),)},
        {"validation_data": (data(20, 1), None)},
        {"validation_data": (data(20, 1), None, np.ones(20))},
        {"validation_data": tf.data.Dataset.from_tensor_slices(data(20, 1)).batch(8)},
        {"validation_data": Batches(data(20, 1))},
    ],
    ids=["array", "tuple of 1", "tuple of 2", "tuple of 3", "tf.data", "PyDataset"],
)
def test_validation_data_of_every_kind(validation):
    model = model_of()
    history = model.fit(data(), verbose=0, **validation).history
    expected = -reference.log_prob(model, data(20, 1)).mean()
    np.testing.assert_allclose(history["val_nll"], expected, rtol=1e-4)
    np.testing.assert_allclose(history["val_loss"], expected, rtol=1e-4)


def test_validation_rows_are_weighed():
    model, x = model_of(), data(20, 1)
    weights = np.linspace(0, 3, 20)
    history = model.fit(data(), validation_data=(x, None, weights), verbose=0).history
    nll = -reference.log_prob(model, x)
    np.testing.assert_allclose(history["val_loss"], (weights * nll).mean(), rtol=1e-4)


def test_a_validation_split_holds_out_the_last_rows():
    model, x = model_of(), data()
    history = model.fit(x, validation_split=0.25, verbose=0).history
    expected = -reference.log_prob(model, x[48:]).mean()
    np.testing.assert_allclose(history["val_nll"], expected, rtol=1e-4)


def test_targets_are_refused_everywhere():
    model, x = model_of(), data()
    pairs = tf.data.Dataset.from_tensor_slices((x, x)).batch(16)
    for call in (
        lambda: model.fit(x, x),
        lambda: model.evaluate(x, x),
        lambda: model.fit(x, validation_data=(x, x)),
        lambda: model.fit(pairs, verbose=0, shuffle=False),
        lambda: model.fit(x, validation_data=pairs, verbose=0),
        lambda: model.evaluate(pairs, verbose=0),
    ):
        with pytest.raises(ValueError, match="no targets"):
            call()


def test_loss_and_metrics_are_the_models_own():
    model = reference.small_model()
    with pytest.raises(ValueError, match=r"compile without `loss`\. Received: loss='mse'"):
        model.compile("adam", "mse")
    for argument in ("metrics", "weighted_metrics"):
        with pytest.raises(ValueError, match="compile without `metrics`"):
            model.compile("adam", **{argument: ["mse"]})


def test_dropout_acts_in_training_only():
    model, x = model_of(dropout=0.5), data()
    np.testing.assert_array_equal(model(x), model(x))
    np.testing.assert_array_equal(model.log_prob(x), model.log_prob(x))
    assert not np.array_equal(model(x, training=True), model(x, training=True))
    np.testing.assert_allclose(model(x), reference.forward(model, x), rtol=1e-4, atol=1e-5)
    model.fit(x, verbose=0)
    assert abs(total(model) - 1) < 1e-5
    reference.assert_autoregressive(model)


@EVERY
def test_hidden_inputs_hide_whole_variables_in_training_only(name):
    model = reference.small_model(name, hidden_units=(), input_dropout=0.5)
    plain = reference.small_model(name, hidden_units=())
    plain.set_weights(model.get_weights()[: len(plain.weights)])
    x = reference.rows(model.conditionals, 300, model.event_size)
    np.testing.assert_array_equal(model(x), plain(x))
    # Without hidden units parameters are linear in the features: all of a variable's are gone, or
    # all are doubled.
    features = np.asarray(model.conditionals.encode(x))
    kernel = np.array(model.direct_layer.kernel) * model.direct_layer.mask.numpy()
    choices = np.array(list(itertools.product([0, 2], repeat=model.event_size)))
    scales = np.repeat(choices, model.conditionals.layout.features.sizes, axis=1)
    possible = (features * scales[:, None]) @ kernel + np.array(model.direct_layer.bias)
    distance = np.abs(possible - np.asarray(model(x, training=True))).max(axis=2)
    assert distance.min(axis=0).max() < 1e-4
    # Where several explain a row, some variables have no part in it: there is a choice for all.
    assert len(set(distance.argmin(axis=0))) > len(choices) / 4


def test_hidden_inputs_keep_the_density(tmp_path):
    model, x = model_of(input_dropout=0.3, dropout=0.2), data()
    model.fit(x, epochs=2, verbose=0)
    assert abs(total(model) - 1) < 1e-5
    reference.assert_autoregressive(model)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.input_dropout == 0.3
    np.testing.assert_array_equal(loaded.log_prob(x), model.log_prob(x))


def test_compiled_and_plain_training_agree():
    x, models = data(), [model_of(hidden_units=(12,)) for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    histories = []
    for model, jit_compile in zip(models, (False, True), strict=True):
        model.compile("adam", jit_compile=jit_compile)
        histories.append(model.fit(x, epochs=3, shuffle=False, verbose=0).history["nll"])
    np.testing.assert_allclose(*histories, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, "mixed_float16") for name in reference.FAMILIES]
    + [("ragged", "mixed_bfloat16"), ("scaled_normal", "bfloat16"), ("categorical", "float64")],
)
def test_other_dtypes_train_and_stay_normalised(name, dtype):
    # The graph of a scaled loss is another than that of a loss.
    model = model_of(family=name, dtype=dtype, run_eagerly=name != "ragged")
    x = reference.rows(model.conditionals, 32, 4)
    assert np.isfinite(model.fit(x, epochs=2, verbose=0).history["nll"]).all()
    assert model.log_prob(x).dtype == tf.float32
    reference.assert_autoregressive(model)
    if model.conditionals.is_discrete.all():
        assert abs(total(model) - 1) < 1e-5


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_gives_float32_parameters(dtype):
    # With direct connections alone nothing is computed in half precision.
    model = model_of(family="scaled_normal", hidden_units=(), dtype=dtype)
    x = reference.rows(model.conditionals, 32, 4)
    assert model(x).dtype == tf.float32
    np.testing.assert_allclose(model(x), reference.forward(model, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_classes_and_values_apart(dtype):
    model = MADE(2, (8,), Categorical(3000), dtype=dtype)
    params = np.asarray(model(np.array([[2048, 0], [2049, 0]], np.float32)))
    assert not np.array_equal(params[0, 3000:], params[1, 3000:])
    model = MADE(2, (8,), Normal(5000.0, 0.1), activation="tanh", dtype=dtype)
    params = np.asarray(model(np.array([[5000.0, 0], [5000.1, 0]], np.float32)))
    assert np.abs(params[0, 2:] - params[1, 2:]).max() > 0.1


def test_making_and_fitting_leave_the_global_generators_as_keras_does():
    x = data()
    inputs = keras.Input((4,))
    plain = keras.Model(inputs, keras.layers.Dense(4)(inputs))
    plain.compile("adam", "mse")

    def traces(run):
        before = np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
        run()
        after = np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
        return before[0] == after[0], before[1] == after[1]

    model = model_of(run_eagerly=False)
    settings_before = keras.config.floatx(), keras.config.dtype_policy().name
    assert traces(lambda: MADE(4, seed=3, kernel_initializer="zeros"))[0]
    assert traces(lambda: model.fit(x, verbose=0)) == traces(lambda: plain.fit(x, x, verbose=0))
    assert traces(lambda: model.log_prob(x)) == (True, True)
    assert traces(lambda: model.evaluate(x, verbose=0)) == (True, True)
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == settings_before


def test_summary_tells_size_order_and_degrees():
    lines = []
    model = reference.small_model(hidden_units=(12,))
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    for part in (
        "hidden_1 (MaskedDense)",
        "MADE over D = 5, conditionals: bernoulli",
        "input_order (degree of each input): (3, 1, 5, 2, 4)",
        "hidden layer 1: 12 units, degrees 1..4: (1, 1, 2, 2, 2, 2, 3, 3, ...)",
        "direct connections: yes; residual: no; dependencies out of reach: 0",
    ):
        assert part in text


def test_summary_prints_without_arguments(capsys):
    reference.small_model().summary()
    assert "MADE over D = 5" in capsys.readouterr().out


def test_narrow_layers_are_reported():
    with pytest.warns(UserWarning, match="3 dependencies .* variable 2 on variable 1"):
        model = MADE(4, (1,), hidden_degrees=[[1]], direct_connections=False)
    assert "dependencies out of reach: 3" in model.describe()
    assert abs(total(model) - 1) < 1e-5
    again = MADE.from_config(model.get_config())  # silent: its maker has seen the warning
    assert again.describe() == model.describe()


def test_the_config_is_small_json_of_degrees():
    model = MADE(784, (1000, 1000), input_order="random", hidden_degrees="random", seed=np.int64(0))
    text = json.dumps(model.get_config())
    assert len(text) < 20_000
    again = MADE.from_config(json.loads(text))
    for first, second in zip(model.masked_layers(), again.masked_layers(), strict=True):
        assert first.mask.get_config() == second.mask.get_config()


@EVERY
def test_the_config_goes_round(name):
    model = reference.small_model(
        name,
        input_order="random",
        hidden_degrees="random",
        seed=None,
        dropout=np.float32(0.25),
        kernel_initializer=keras.initializers.HeNormal(seed=2),
        kernel_regularizer="l2",
        dtype="mixed_float16",
        name="density",
    )
    config = json.loads(json.dumps(model.get_config()))
    again = MADE.from_config(config)
    assert again.get_config() == model.get_config()
    assert set(config) >= set(MADE.__init__.__code__.co_varnames[1:13]) - {"kwargs"}
    clone = keras.models.clone_model(model)
    assert clone.get_config() == model.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event_size": 0}, "`event_size` must be a positive integer"),
        ({"hidden_units": 500}, "`hidden_units` must be a sequence"),
        ({"hidden_units": (5, -1)}, "`hidden_units` must be a positive integer"),
        ({"conditionals": "poisson"}, "`conditionals` must be one of"),
        ({"conditionals": Categorical([2, 2])}, "must describe event_size=3"),
        ({"input_order": [3, 2, 2]}, "`input_order` must be a permutation"),
        ({"hidden_degrees": [[1, 2]]}, "`hidden_degrees` must give one degree for each"),
        ({"direct_connections": 1}, "`direct_connections` must be True or False. Received: direct"),
        ({"activation": "rleu"}, "`activation` must be a Keras activation. Received: activation="),
        ({"dropout": 1.0}, r"`dropout` must be a number in \[0, 1\). Received: dropout=1.0"),
        ({"dropout": -0.1}, "`dropout` must be a number in"),
        ({"dropout": True}, "`dropout` must be a number in"),
        ({"input_dropout": 1}, r"`input_dropout` must be a number in \[0, 1\)"),
        ({"kernel_initializer": "glorot"}, "glorot"),
        ({"kernel_regularizer": "l7"}, "l7"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
        ({"seed": True}, "`seed` must be an integer of at least 0"),
        ({"hidden_units": (), "direct_connections": False}, "`hidden_units` must not be empty"),
        ({"residual": 1}, "`residual` must be True or False"),
        ({"residual": True, "hidden_units": (6, 7)}, "`residual` needs several hidden layers of"),
        ({"residual": True}, "`residual` needs several hidden layers of one width"),
        (
            {"residual": True, "hidden_units": (9, 9), "hidden_degrees": "random", "seed": 0},
            "`residual` needs several hidden layers of one width and with the same degrees",
        ),
        ({"dtype": "int8_from_float32"}, "`dtype` must be a floating-point policy"),
        ({"units": 3}, "units"),
    ],
)
def test_bad_arguments_get_an_error_that_names_them(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        MADE(**{"event_size": 3, "hidden_units": (6,), **arguments})


def test_rows_of_another_shape_are_refused():
    model = model_of()
    with pytest.raises(ValueError, match=r"must have the shape \[rows, 4\]"):
        model(np.ones((2, 5), np.float32))
    with pytest.raises(ValueError, match=r"MADE expected inputs of shape \(None, 4\)"):
        model.build((None, 3))
    assert model.compute_output_shape((7, 4)) == (7, 4)
    assert model(keras.KerasTensor((None, 4))).shape == (None, 4)


@st.composite
def configurations(draw):
    D = draw(st.integers(1, 8))
    names = [name for name in reference.FAMILIES if name != "scaled_normal"]
    widths = tuple(draw(st.lists(st.integers(1, 10), max_size=3)))
    hidden_degrees = draw(st.sampled_from(["equal", "early", "random"]))
    residual = len(widths) > 1 and hidden_degrees != "random" and draw(st.booleans())
    if residual:
        widths = widths[:1] * len(widths)
    return {
        "event_size": D,
        "hidden_units": widths,
        "family": draw(st.sampled_from(names)),
        "input_order": draw(
            st.sampled_from(["natural", "random"]) | st.permutations(range(1, D + 1))
        ),
        "hidden_degrees": hidden_degrees,
        "residual": residual,
        "direct_connections": draw(st.booleans()) or not widths,
        "seed": draw(st.integers(0, 50)),
    }


@settings(deadline=None, derandomize=True, max_examples=25)
@given(configurations())
@pytest.mark.filterwarnings("ignore:.* dependencies that the order allows:UserWarning")
def test_every_configuration_is_autoregressive_normalised_and_serialisable(configuration):
    keras.utils.set_random_seed(1)
    model = reference.small_model(**configuration)
    reference.put_junk(model)
    reference.assert_autoregressive(model)
    family, D = model.conditionals, model.event_size
    if family.is_discrete.all() and math.prod(map(len, family.finite_states())) <= 256:
        assert abs(total(model) - 1) < 1e-5
    config = json.loads(json.dumps(model.get_config()))
    if not model.residual:
        del config["residual"]  # as older files have it
    again = MADE.from_config(config)
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    x = reference.rows(family, 5, D)
    np.testing.assert_array_equal(again.log_prob(x), model.log_prob(x))


def test_positional_weights_count_like_named_ones():
    model = reference.small_model()
    model.compile("sgd", run_eagerly=True)
    x = reference.rows(model.conditionals, 40, 5)
    w = np.linspace(0, 2, 40).astype(np.float32)
    named = model.evaluate(x, batch_size=40, verbose=0, sample_weight=w)
    assert model.evaluate(x, None, 40, 0, w) == named != model.evaluate(x, None, 40, 0)
    with pytest.raises(ValueError, match="`class_weight`"):
        model.fit(x, class_weight={0: 1.0}, verbose=0)
    model.fit(x, validation_data=x.tolist(), verbose=0)


def test_a_step_is_traced_once(monkeypatch):
    traced, train_step = [], MADE.train_step
    monkeypatch.setattr(MADE, "train_step", lambda *args: traced.append(1) or train_step(*args))
    model_of(run_eagerly=False).fit(data(), batch_size=16, epochs=2, verbose=0)
    assert len(traced) == 1


def test_a_strategy_of_one_replica_trains():
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        model = model_of(run_eagerly=False)
    before = model.evaluate(data(), verbose=0)
    model.fit(data(), batch_size=16, epochs=2, verbose=0)
    assert model.optimizer.iterations.numpy() > 0
    assert model.evaluate(data(), verbose=0) != before


def test_a_large_model_trains_under_xla_unless_told_otherwise():
    model = MADE(400, hidden_units=(500,))
    model.compile("adam", jit_compile=False)
    assert model.jit_compile is False
    model.compile("adam")
    assert model.jit_compile is True
    x = np.random.default_rng(0).integers(0, 2, (8, 400)).astype(np.float32)
    model.fit(x, batch_size=8, verbose=0)
    assert sum(made_tf.verification.mask_violations(model).values()) == 0
    small = reference.small_model()
    small.compile("adam")
    assert small.jit_compile is False


@pytest.mark.parametrize("num_masks", [1, None])
def test_deep_residual_networks_start_like_shallow_ones(num_masks):
    x = np.random.default_rng(0).integers(0, 2, (100, 6)).astype(np.float32)
    deep = {"residual": True, "num_masks": num_masks, "seed": 0}
    shallow, deep = (MADE(6, (32,) * layers, **deep) for layers in (2, 40))
    assert abs(np.mean(deep.log_prob(x)) - np.mean(shallow.log_prob(x))) < 1.0


@pytest.mark.parametrize("monitor", ["val_nll", "nll", "val_bits_per_dim", "val_order_spread"])
def test_callbacks_know_that_less_is_better(monitor, tmp_path):
    x = np.random.default_rng(0).integers(0, 2, (40, 5)).astype(np.float32)
    model = MADE(5, (8,), num_masks=4, seed=0)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)  # which improves nothing
    path = tmp_path / "best.keras"
    callbacks = [
        keras.callbacks.ModelCheckpoint(path, monitor, save_best_only=True),
        keras.callbacks.ReduceLROnPlateau(monitor, patience=1),
        keras.callbacks.EarlyStopping(monitor, min_delta=0.5, patience=2),
        keras.callbacks.LambdaCallback(),
    ]
    model.fit(x, validation_data=x, epochs=10, callbacks=callbacks, verbose=0)
    assert path.exists() and callbacks[-2].stopped_epoch == 2
    worse = keras.callbacks.EarlyStopping(monitor, mode="max", baseline=-1.0)
    model.fit(x, validation_data=x, epochs=2, callbacks=worse, verbose=0)
    assert worse.mode == "max"
