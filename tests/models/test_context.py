"""p(x | context): training in all of Keras' forms, densities, files, errors, compositions."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import made_tf
from made_tf import MADE, Ensemble

SIZE, WIDTH = 4, 3
KINDS = {
    "one hidden layer": {},
    "no hidden layer": {"hidden_units": ()},
    "no direct connections": {"direct_connections": False, "input_order": "random"},
    "residual": {"hidden_units": (12, 12), "residual": True},
    "all orders": {"num_masks": None, "num_orders": 2},
    "mask weights": {"num_masks": 3, "mask_weights": True},
    "mixed columns": {
        "conditionals": [
            made_tf.Bernoulli(),
            made_tf.Categorical(3),
            made_tf.Ordinal(2),
            made_tf.Bernoulli(),
        ]
    },
}


def data(num_rows=240, seed=0):
    rng = np.random.default_rng(seed)
    context = rng.normal(size=(num_rows, WIDTH)).astype("float32")
    x = rng.random((num_rows, SIZE)) < 1 / (1 + np.exp(-4 * context[:, :1]))
    return x.astype("float32"), context


def made(name="one hidden layer", context=WIDTH, trained=False, run_eagerly=True):
    model = MADE(SIZE, **{"hidden_units": (12,), "seed": 0, **KINDS[name]}, context=context)
    # A graph takes long to make.
    model.compile(keras.optimizers.Adam(0.02), run_eagerly=run_eagerly)
    if trained:
        model.set_weights(trained_weights(name))
    return model


@functools.cache
def trained_weights(name):
    model = made(name)
    model.fit(data(), batch_size=40, verbose=0)
    return model.get_weights()


def states(model):
    values = model.conditionals.finite_states()
    return np.stack(np.meshgrid(*values, indexing="ij"), -1).reshape(-1, SIZE).astype("float32")


def encoder():
    numbers, kind = keras.Input((2,), name="numbers"), keras.Input((), dtype="int32", name="kind")
    embedded = keras.layers.Embedding(3, 2)(kind)
    units = keras.layers.Dense(5, activation="tanh")(
        keras.layers.Concatenate()([numbers, embedded])
    )
    return keras.Model({"numbers": numbers, "kind": kind}, units)


def encoder_inputs(num_rows=240, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(num_rows, 2)).astype("float32")
    return {"numbers": numbers, "kind": rng.integers(0, 3, num_rows)}


@pytest.mark.parametrize("name", KINDS)
def test_the_probabilities_of_all_rows_sum_to_1_for_every_context(name):
    model = made(name, trained=True)
    rows = states(model)
    for context in data(3, seed=1)[1]:
        log_prob = model.log_prob(rows, context=np.tile(context, (len(rows), 1)))
        assert np.exp(np.float64(log_prob)).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["one hidden layer", "no hidden layer", "residual"])
def test_the_network_is_that_of_numpy(name):
    model = made(name, trained=True)
    x, context = data(5)
    units, weights = x, [ops.convert_to_numpy(layer.kernel) for layer in model.context_layers]
    assert len(weights) == len(model.hidden_layers) + 1
    for index, layer in enumerate(model.hidden_layers):
        kernel = layer.mask.numpy() * ops.convert_to_numpy(layer.kernel)
        new = units @ kernel + ops.convert_to_numpy(layer.bias) + context @ weights[index]
        units = np.maximum(new, 0) + (units if model.residual and index else 0)
    logits = context @ weights[-1]
    for layer, inputs in ((model.output_layer, units), (model.direct_layer, x)):
        if layer is not None:
            logits = logits + inputs @ (layer.mask.numpy() * ops.convert_to_numpy(layer.kernel))
            logits = logits + (0 if layer.bias is None else ops.convert_to_numpy(layer.bias))
    np.testing.assert_allclose(model((x, context)), logits, atol=1e-5)


def test_every_output_sees_the_context_and_the_first_one_nothing_else():
    model = made(trained=True)
    x, context = data(20)
    base = ops.convert_to_numpy(model((x, context)))
    assert (base != ops.convert_to_numpy(model((x, context + 1)))).any(axis=0).all()
    others = ops.convert_to_numpy(model((1 - x, context)))
    np.testing.assert_array_equal(base[:, 0], others[:, 0])


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        x, context = data()
        rows = slice(60 * index, 60 * index + 60)
        return ((x[rows], context[rows]),)


def test_inputs_come_in_every_form_that_keras_knows():
    (x, context), weights = data(), np.ones(240, np.float32)
    pairs = tf.data.Dataset.from_tensor_slices(((x, context),)).batch(60)
    named = {"x": x, "context": context}
    forms = [
        {"x": (x, context), "batch_size": 60},
        {"x": [x.tolist(), context.tolist()], "batch_size": 60},
        {"x": named, "batch_size": 60, "validation_data": ((x, context), None, weights)},
        {
            "x": (x, context),
            "batch_size": 60,
            "sample_weight": weights,
            "validation_data": (named,),
        },
        {"x": pairs, "validation_data": named},
        {"x": tf.data.Dataset.from_tensor_slices(named).batch(60)},
        {"x": Batches()},
    ]
    losses = []
    for form in forms:
        keras.utils.set_random_seed(0)
        model = made(run_eagerly=len(losses) > 0)
        losses.append(model.fit(**form, shuffle=False, verbose=0).history["nll"][-1])
        assert losses[-1] == pytest.approx(losses[0], rel=1e-5)
    evaluated = model.evaluate(named, verbose=0, return_dict=True)["nll"]
    assert evaluated == pytest.approx(model.evaluate(pairs, verbose=0)[0], rel=1e-6)
    assert evaluated == pytest.approx(-np.mean(model.log_prob(x, context=context)), rel=1e-5)
    np.testing.assert_allclose(
        model.predict((x, context), verbose=0), model(named, training=False), atol=1e-6
    )
    half = np.concatenate([np.ones(120), np.zeros(120)])
    weighted = model.evaluate((x, context), sample_weight=half, verbose=0, return_dict=True)
    assert weighted["nll"] == pytest.approx(
        -np.mean(model.log_prob(x, context=context)[:120]), rel=1e-5
    )


def test_an_encoder_trains_with_the_layers_and_lies_in_the_file(tmp_path):
    model, inputs = made(context=encoder()), encoder_inputs()
    before = [np.copy(weights) for weights in model.context.get_weights()]
    model.fit((data()[0], inputs), batch_size=80, epochs=1, verbose=0)
    after = model.context.get_weights()
    assert all((old != new).any() for old, new in zip(before, after, strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.log_prob(data()[0], context=inputs), model.log_prob(data()[0], context=inputs)
    )


@pytest.mark.parametrize("name", ["one hidden layer", "mask weights", "mixed columns"])
def test_files_and_int8_keep_the_density(name, tmp_path):
    model = made(name, trained=True)
    x, context = data()
    for quantized in (False, True):
        if quantized:
            model.quantize("int8")
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
        np.testing.assert_array_equal(
            loaded.log_prob(x, context=context), model.log_prob(x, context=context)
        )
    unconditional = MADE(SIZE, **{"hidden_units": (12,), "seed": 0, **KINDS[name]})
    unconditional.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ValueError):
        made(name).load_weights(tmp_path / "other.weights.h5")


def test_an_ensemble_is_conditioned_on_the_same_context():
    ensemble = Ensemble([made(trained=True), made("residual", trained=True)])
    x, context = data()
    each = [member.log_prob(x, context=context) for member in ensemble.members]
    expected = np.logaddexp(*each) - np.log(2)
    np.testing.assert_allclose(ensemble.log_prob(x, context=context), expected, atol=1e-5)
    nll = ensemble.evaluate((x, context), verbose=0, return_dict=True)["nll"]
    assert nll == pytest.approx(-expected.mean(), rel=1e-5)
    with pytest.raises(ValueError, match="same variables.*a context of 3 numbers"):
        Ensemble([made(), MADE(SIZE, (8,))])


def test_an_ensemble_of_one_encoder_is_one_when_it_is_loaded(tmp_path):
    shared, (x, _), inputs = encoder(), data(), encoder_inputs()
    ensemble = Ensemble(
        [made(context=shared), made("residual", context=shared), made(context=encoder())]
    )
    for member in ensemble.members:
        member.fit((x, inputs), batch_size=120, epochs=1, verbose=0)
    ensemble.save(tmp_path / "ensemble.keras")
    loaded = keras.saving.load_model(tmp_path / "ensemble.keras", compile=False)
    first, second, third = (member.context_encoder for member in loaded.members)
    assert first is second and first is not third
    np.testing.assert_array_equal(
        loaded.log_prob(x, context=inputs), ensemble.log_prob(x, context=inputs)
    )


@pytest.mark.parametrize("filters", [None, "hidden|context", lambda layer: layer.name != "output"])
def test_what_takes_the_context_is_never_quantized(filters, tmp_path):
    model, (x, _), inputs = made(context=encoder()), data(), encoder_inputs()
    model.quantize("int8", filters=filters)
    quantized = [layer.quantized for layer in model.masked_layers()]
    assert quantized == (
        [True] * 3 if filters is None else [True, False, filters != "hidden|context"]
    )
    policies = {layer.dtype_policy.name for layer in (*model.context_layers, *model.context.layers)}
    assert policies == {"float32"}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(
        loaded.log_prob(x, context=inputs), model.log_prob(x, context=inputs)
    )


def test_symbolic_inputs_and_shapes_that_are_open():
    model = made()
    for inputs in ((keras.Input((SIZE,)), keras.Input((WIDTH,))),):
        assert model(inputs).shape == model(inputs[0], context=inputs[1]).shape == (None, SIZE)
    with_encoder = made(context=keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]))
    traced = tf.function(
        lambda x, context: with_encoder.log_prob(x, context=context),
        input_signature=[tf.TensorSpec([5, SIZE]), tf.TensorSpec([None, 2])],
    )
    assert traced(data(5)[0], np.zeros((5, 2))).shape == (5,)


def test_scores_of_many_rows_take_their_context_along(monkeypatch):
    monkeypatch.setattr(made_tf.scoring, "_ROWS", 7)
    model, (x, context) = made("all orders", trained=True), data(30)
    expected = model.log_prob(x, context=context)
    np.testing.assert_allclose(
        made_tf.scoring.log_prob(model, x, context=context), expected, atol=1e-5
    )
    by_order = made_tf.scoring.log_prob_by_order(model, x, 2, context=context)
    np.testing.assert_allclose(np.logaddexp(*by_order) - np.log(2), expected, atol=1e-5)
    mean, _ = made_tf.scoring.mean_nll(model, x, context)
    assert mean == pytest.approx(-np.mean(expected), rel=1e-5)
    with_encoder, inputs = made(context=encoder()), encoder_inputs(30)
    np.testing.assert_allclose(
        made_tf.scoring.log_prob(with_encoder, x, context=inputs),
        with_encoder.log_prob(x, context=inputs),
        atol=1e-5,
    )


X, CONTEXT = data(10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.fit(X), r"`x` must be rows with their context.*of type ndarray"),
        (lambda model: model.fit(X, CONTEXT), r"`x` must be rows with their context"),
        (lambda model: model.fit((X, CONTEXT), CONTEXT), r"no targets: pass the context together"),
        (lambda model: model.fit((X, CONTEXT[:, :2])), r"`context` must have the shape \[10, 3\]"),
        (lambda model: model.fit((X, CONTEXT[:9])), r"`context` must have the shape \[10, 3\]"),
        (lambda model: model.fit((X, CONTEXT + np.nan)), r"`context` must be finite"),
        (lambda model: model.fit((X, tf.constant(CONTEXT + np.nan))), r"`context` must be finite"),
        (
            lambda model: model.fit((X, CONTEXT), validation_data=(X, CONTEXT)),
            r"`validation_data\[0\]` must be rows with their context",
        ),
        (lambda model: made_tf.scoring.log_prob(model, X, context=np.zeros((12, 3))), r"\[10, 3\]"),
        (lambda model: MADE(SIZE).fit((X, CONTEXT)), r"the model was made without a context"),
        (lambda model: model.fit((2 * X, CONTEXT)), r"`x` must contain.*0 or 1 only"),
        (lambda model: model.fit({"x": X, "c": CONTEXT}), r"`x` must be rows with their context"),
        (lambda model: model.log_prob(X), r"`context` must be given: .* context of 3 numbers"),
        (lambda model: model.log_prob(X, context=CONTEXT[0]), r"\[10, 3\].*shape=\(3,\)"),
        (lambda model: MADE(SIZE).log_prob(X, context=CONTEXT), r"`context` must be None"),
        (
            lambda model: made(context=encoder()).fit((X, CONTEXT[:9])),
            r"`context` must have 2 parts",
        ),
        (lambda model: made(context=0), r"`context` must be a positive integer, the width"),
        (lambda model: made(context="age"), r"`context` must be a positive integer, the width"),
        (
            lambda model: made(context=keras.layers.Dense(3)),
            r"`context` must be a Keras model that",
        ),
        (
            lambda model: model.fit(tf.data.Dataset.from_tensor_slices((X, CONTEXT)).batch(5)),
            r"`x` must give rows alone.*\(\(x, context\),\)",
        ),
    ],
)
def test_bad_contexts_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(made())


# What is composed of it.


def test_regression_with_a_full_density():
    """p(y | x): of a curve whose noise grows, the density knows both."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(6000, 1)).astype("float32")
    y = (np.sin(3 * x) + (0.1 + 0.3 * (x > 0)) * rng.normal(size=x.shape)).astype("float32")
    features = keras.Sequential([keras.Input((1,)), keras.layers.Dense(32, activation="tanh")])
    model = MADE(1, (32,), conditionals="normal", context=features)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, 600)))
    model.fit((np.tile(y, (30, 1)), np.tile(x, (30, 1))), batch_size=300, verbose=0)
    at = np.array([[-0.5], [0.5]], "float32")
    draws = made_tf.MADEDistribution(model, context=at).sample(2000, seed=0).numpy()[..., 0]
    np.testing.assert_allclose(draws.mean(axis=0), np.sin(3 * at[:, 0]), atol=0.08)
    np.testing.assert_allclose(draws.std(axis=0), [0.1, 0.4], rtol=0.25)


class Autoencoder(keras.Model):
    """A variational autoencoder whose decoder, or prior, is a MADE."""

    def __init__(self, decoder, prior=None):
        super().__init__()
        self.encoder = keras.Sequential([keras.layers.Dense(16, "relu"), keras.layers.Dense(4)])
        self.decoder, self.prior = decoder, prior
        self.generator = keras.random.SeedGenerator(0)

    def elbo(self, x):
        mean, log_scale = ops.split(self.encoder(x), 2, axis=-1)
        noise = keras.random.normal(ops.shape(mean), seed=self.generator)
        z = mean + ops.exp(log_scale) * noise
        posterior = -ops.sum(log_scale + 0.5 * noise**2, axis=-1)
        prior = -0.5 * ops.sum(z**2, axis=-1)
        if self.prior is not None:
            prior = self.prior.log_prob(z) + np.log(
                2 * np.pi
            )  # two halves of log 2 pi are left out
        return self.decoder.log_prob(x, context=z) + prior - posterior

    def compute_loss(self, x=None, *args, **kwargs):
        return -ops.mean(self.elbo(x))

    def call(self, x):
        return self.encoder(x)


@pytest.mark.parametrize("with_prior", [False, True])
def test_a_variational_autoencoder_trains_through_the_context(with_prior):
    x = data(400)[0]
    decoder = MADE(SIZE, (8,), context=2)
    prior = MADE(2, (8,), conditionals="normal") if with_prior else None
    model = Autoencoder(decoder, prior)
    model.compile(keras.optimizers.Adam(0.01))
    untrained = float(ops.mean(model.elbo(x)))
    before = [np.copy(w) for w in decoder.get_weights() + model.encoder.get_weights()]
    model.fit(x, batch_size=50, epochs=8, verbose=0)
    after = decoder.get_weights() + model.encoder.get_weights()
    assert float(ops.mean(model.elbo(x))) > untrained + 0.3
    assert all((old != new).any() for old, new in zip(before, after, strict=True))
