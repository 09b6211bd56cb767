"""Every route by which a weight off the mask has been seen to reach the output."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from made_tf import MADE, MaskedDense

ROWS = reference.rows(reference.FAMILIES["bernoulli"](5), 32, 5)


def compiled(optimizer="adam", run_eagerly=True, **kwargs):
    """A compiled model; a graph takes long to make."""
    model = reference.small_model(**kwargs)
    model.compile(optimizer, run_eagerly=run_eagerly)
    return model


def junk_before_the_first_step(model, tmp_path):
    reference.put_junk(model)
    return model


def frozen_layers(model, tmp_path):
    for layer in model.hidden_layers:
        layer.trainable = False
    reference.put_junk(model)
    model.compile("adam")
    model.fit(ROWS, epochs=1, verbose=0)
    return model


def averaged_weights(model, tmp_path):
    # The average starts from what is stored before the first projection.
    reference.put_junk(model)
    model.compile(keras.optimizers.Adam(use_ema=True, ema_momentum=0.9))
    model.fit(ROWS, epochs=2, verbose=0)
    return model


def set_weights(model, tmp_path):
    model.set_weights([3 + weight for weight in model.get_weights()])
    return model


def assign_sub(model, tmp_path):
    for layer in model.masked_layers():
        layer.kernel.assign_sub(np.full(layer.kernel.shape, 0.5))
    return model


def a_checkpoint(model, tmp_path):
    model = keras.models.clone_model(model)
    tampered = keras.models.clone_model(model)
    reference.put_junk(tampered)
    path = tf.train.Checkpoint(model=tampered).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(model=model).read(path).assert_consumed()
    return model


def no_constraint(model, tmp_path):
    for layer in model.masked_layers():
        layer.kernel.constraint = None
    reference.put_junk(model)
    model.fit(ROWS, epochs=1, verbose=0)
    return model


def tamper(path):
    """Puts junk off the masks into the weights inside a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(parts["model.weights.h5"])
    written = []

    def add(name, item):
        if name.endswith("vars/kernel"):
            item[...] = item[...] + 3.0
            written.append(name)

    with h5py.File(weights, "r+") as file:
        file.visititems(add)
    assert written
    parts["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def a_tampered_model_file(model, tmp_path):
    model.fit(ROWS, verbose=0)
    model.save(tmp_path / "model.keras")
    tamper(tmp_path / "model.keras")
    return keras.models.load_model(tmp_path / "model.keras")


def a_tampered_weights_file(model, tmp_path):
    model = keras.models.clone_model(model)
    tampered = keras.models.clone_model(model)
    reference.put_junk(tampered)
    tampered.save_weights(tmp_path / "tampered.weights.h5")
    model.load_weights(tmp_path / "tampered.weights.h5")
    return model


STORED = [
    junk_before_the_first_step,
    frozen_layers,
    averaged_weights,
    set_weights,
    assign_sub,
    a_checkpoint,
    no_constraint,
]
PROJECTED = [a_tampered_model_file, a_tampered_weights_file]


@pytest.mark.parametrize("route", STORED + PROJECTED, ids=lambda route: route.__name__)
def test_no_route_makes_an_output_see_what_it_must_not(route, tmp_path):
    model = route(compiled(), tmp_path)
    reference.assert_autoregressive(model)
    states = reference.states(model)
    assert abs(np.exp(np.asarray(model.log_prob(states), np.float64)).sum() - 1) < 1e-5


@pytest.mark.parametrize("route", STORED, ids=lambda route: route.__name__)
def test_each_route_leaks_where_the_forward_pass_does_not_mask(route, tmp_path, monkeypatch):
    # Without this, the test above could pass for want of a leak.
    model = route(compiled(), tmp_path)
    assert max(abs(reference.off_mask(layer)).max() for layer in model.masked_layers()) > 1e-3
    monkeypatch.setattr(
        MaskedDense, "masked_kernel", lambda self: keras.ops.convert_to_tensor(self.kernel)
    )
    with pytest.raises(AssertionError, match="outputs see inputs"):
        reference.assert_autoregressive(model)


@pytest.mark.parametrize("route", PROJECTED, ids=lambda route: route.__name__)
def test_loading_projects_the_stored_kernels(route, tmp_path):
    model = route(compiled(), tmp_path)
    assert all((reference.off_mask(layer) == 0).all() for layer in model.masked_layers())


def test_one_step_projects_the_stored_kernels():
    model = compiled()
    reference.put_junk(model)
    model.fit(ROWS, epochs=1, verbose=0)
    assert all((reference.off_mask(layer) == 0).all() for layer in model.masked_layers())


@pytest.mark.parametrize(
    ("junk", "dtype"),
    [
        (np.nan, "float32"),
        (np.inf, "float32"),
        (-np.inf, "mixed_float16"),
        (np.nan, "mixed_float16"),
        (np.nan, "bfloat16"),
    ],
)
def test_nan_and_infinity_off_the_mask_change_nothing(junk, dtype):
    model = compiled(dtype=dtype)
    before = np.asarray(model(ROWS))
    reference.put_junk(model, junk)
    np.testing.assert_array_equal(model(ROWS), before)
    reference.assert_autoregressive(model)
    loss = model.fit(ROWS, epochs=1, verbose=0).history["loss"]
    assert np.isfinite(loss).all()


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_the_jacobian_of_the_model_is_exactly_zero_off_the_mask(dtype):
    model = reference.small_model("normal", dtype=dtype)
    reference.put_junk(model)
    x = tf.constant(reference.rows(model.conditionals, 8, 5))
    with tf.GradientTape() as tape:
        tape.watch(x)
        params = tf.cast(model(x), "float32")
    jacobian = np.abs(tape.batch_jacobian(params, x)).sum(axis=0)  # [P, D]
    jacobian = jacobian.reshape(5, 2, 5).sum(axis=1)
    np.testing.assert_array_equal(jacobian > 0, reference.allowed(model))


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("value", [1e5, 1e30, -3e38])
def test_values_far_out_move_no_earlier_output(value, dtype):
    # An overflow inside the network would meet a masked weight: 0 times infinity is NaN.
    model = reference.small_model("normal", activation="relu", dtype=dtype)
    x = np.zeros((5, 5), np.float32)
    before = np.asarray(model(x)).reshape(5, 5, 2)
    np.fill_diagonal(x, value)  # row j moves variable j
    moved = (np.asarray(model(x)).reshape(5, 5, 2) != before).any(axis=-1).T
    assert moved.any()
    assert not (moved & ~reference.allowed(model)).any()


def test_gradient_accumulation_keeps_the_property_and_the_projection():
    model = compiled(keras.optimizers.Adam(0.01, gradient_accumulation_steps=3))
    reference.put_junk(model)
    before = model.hidden_layers[0].kernel.numpy()
    model.fit(ROWS, batch_size=4, epochs=3, verbose=0)
    assert not np.array_equal(model.hidden_layers[0].kernel.numpy(), before)
    reference.assert_autoregressive(model)


def test_a_custom_loop_without_the_constraint_keeps_the_property():
    model = reference.small_model()
    states = reference.states(model)
    for _ in range(5):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(model.log_prob(ROWS))
        variables = [variable.value for variable in model.trainable_variables]
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(0.1 * tf.sign(gradient) + 0.01)  # moves every entry
    assert max(abs(reference.off_mask(layer)).max() for layer in model.masked_layers()) > 0.01
    reference.assert_autoregressive(model)
    assert abs(np.exp(np.asarray(model.log_prob(states), np.float64)).sum() - 1) < 1e-5


@pytest.mark.parametrize("constraint", ["kept", "removed"])
def test_lora_is_refused_with_or_without_the_constraint(constraint):
    model = compiled()
    layer = model.hidden_layers[0]
    if constraint == "removed":
        layer.kernel.constraint = None
    before = np.asarray(model(ROWS))
    with pytest.raises(ValueError, match="LoRA is not supported by MaskedDense"):
        layer.enable_lora(2)
    with pytest.raises(ValueError, match="LoRA is not supported by MaskedDense"):
        layer.enable_lora(rank=2, lora_alpha=4)
    with pytest.raises(ValueError, match="lora_rank"):
        MaskedDense([1], [1], lora_rank=2)
    assert not any("lora" in weight.path for weight in model.weights)
    np.testing.assert_array_equal(model(ROWS), before)


@pytest.mark.parametrize("arguments", [{}, {"type_check": False}])
@pytest.mark.parametrize("mode", ["int4", "float8"])
def test_quantized_activations_are_refused_and_nothing_changes(mode, arguments):
    model = compiled()
    weights, before = model.get_weights(), np.asarray(model(ROWS))
    with pytest.raises(ValueError, match="later inputs would change earlier outputs"):
        model.quantize(mode, **arguments)
    for first, second in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(model(ROWS), before)
    assert model.hidden_layers[0].dtype_policy.name == "float32"


@pytest.mark.parametrize("arguments", [{}, {"type_check": False}])
@pytest.mark.parametrize("family", ["bernoulli", "ragged"])
def test_int8_weights_keep_the_property_and_the_file(family, arguments, tmp_path):
    model = reference.small_model(family)
    states = reference.states(model)
    before = np.asarray(model.log_prob(states))
    reference.put_junk(model)
    model.quantize("int8", **arguments)
    assert {str(layer.kernel.dtype) for layer in model.masked_layers()} == {"int8"}
    assert not any(reference.off_mask(layer).any() for layer in model.masked_layers())
    after = np.asarray(model.log_prob(states))
    assert 0 < abs(after - before).max() < 0.1
    reference.assert_autoregressive(model)
    assert abs(np.exp(after.astype(np.float64)).sum() - 1) < 1e-5

    model.save(tmp_path / "int8.keras")
    loaded = keras.saving.load_model(tmp_path / "int8.keras")
    np.testing.assert_array_equal(loaded.log_prob(states), after)
    assert {str(layer.kernel.dtype) for layer in loaded.masked_layers()} == {"int8"}
    with pytest.raises(ValueError, match="already quantized"):
        loaded.quantize("int8")
    loaded.save_weights(tmp_path / "int8.weights.h5")
    with pytest.raises(ValueError, match="expected unquantized weights"):
        reference.small_model(family).load_weights(tmp_path / "int8.weights.h5")
    # Junk written into the int8 kernel is masked like any other.
    for layer in loaded.masked_layers():
        layer.kernel.assign(reference.junk(layer, 100).astype(np.int8))
    np.testing.assert_array_equal(loaded.log_prob(states), after)


OPTIMIZERS = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "RMSprop": {},
    "Adam": {"amsgrad": True},
    "AdamW": {"weight_decay": 0.1},
    "Adadelta": {},
    "Adagrad": {},
    "Adamax": {},
    "Nadam": {},
    "Ftrl": {},
    "Lion": {},
    "Lamb": {},
    "Muon": {},
    "ScheduleFreeAdamW": {},
    "Adafactor": {"epsilon_1": 1e-16},
    "LossScaleOptimizer": {"inner_optimizer": keras.optimizers.Adam()},
}


def test_every_optimizer_of_keras_is_tried():
    known = {
        name
        for name, item in vars(keras.optimizers).items()
        if isinstance(item, type) and issubclass(item, keras.optimizers.Optimizer)
    }
    assert known - {"Optimizer", "MultiOptimizer"} <= set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_trains_without_a_leak(name):
    if not hasattr(keras.optimizers, name):
        pytest.skip(f"this Keras has no {name}")
    model = compiled(getattr(keras.optimizers, name)(**OPTIMIZERS[name]))
    reference.put_junk(model)
    before = model.get_weights()
    loss = model.fit(ROWS, batch_size=16, epochs=3, verbose=0).history["loss"]
    assert np.isfinite(loss).all()
    moved = [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    assert all(moved)
    reference.assert_autoregressive(model)
    states = reference.states(model)
    assert abs(np.exp(np.asarray(model.log_prob(states), np.float64)).sum() - 1) < 1e-5


@pytest.mark.parametrize("optimizer", ["adafactor", keras.optimizers.Adafactor()])
def test_adafactor_is_refused_where_its_epsilon_ends_in_nan(optimizer):
    with pytest.raises(ValueError, match=r"Adafactor\(epsilon_1=1e-16\)"):
        compiled(optimizer)


def test_adafactor_gives_plain_dense_layers_nan_in_the_same_way():
    # The reason for that, without masks: epsilon_1 = 1e-30 is added to squared gradients and
    # multiplied by itself where a dead input and a dead unit meet. 1e-60 is 0 in float32.
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(2, use_bias=False, kernel_initializer="ones")(inputs)
    model = keras.Model(inputs, outputs[:, :1])
    model.compile("adafactor", "mse")
    model.fit(np.array([[1.0, 0.0]] * 4), np.zeros((4, 1)), epochs=2, verbose=0)
    assert np.isnan(model.get_weights()[0]).any()


def test_a_model_of_other_degrees_does_not_load_the_weights(tmp_path):
    path = tmp_path / "model.weights.h5"
    saved = reference.small_model()
    saved.save_weights(path)
    for other in ({"input_order": "natural"}, {"hidden_degrees": "random"}):
        with pytest.raises(ValueError, match="saved with the same degrees"):
            reference.small_model(**other).load_weights(path)
    partly = reference.small_model(hidden_units=(12, 9))
    before = partly.get_weights()
    with pytest.raises(ValueError, match="saved with the same degrees"):
        partly.load_weights(path)  # the first layer fits
    for first, second in zip(partly.get_weights(), before, strict=True):
        np.testing.assert_array_equal(first, second)
    same = reference.small_model(seed=2)  # a seed of nothing random
    same.load_weights(path)
    np.testing.assert_array_equal(same(ROWS), saved(ROWS))


def test_a_model_of_other_conditionals_does_not_load_the_weights(tmp_path):
    path = tmp_path / "model.weights.h5"
    reference.small_model("normal").save_weights(path)
    with pytest.raises(ValueError, match="saved with other conditionals"):
        reference.small_model("scaled_normal").load_weights(path)


def test_a_checkpoint_callback_and_ema_together_save_an_autoregressive_model(tmp_path):
    model = compiled(keras.optimizers.Adam(use_ema=True, ema_overwrite_frequency=2))
    reference.put_junk(model)
    callback = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="loss")
    model.fit(ROWS, epochs=2, verbose=0, callbacks=[callback])
    reference.assert_autoregressive(keras.models.load_model(tmp_path / "best.keras"))


def test_a_model_inside_another_keeps_the_property():
    inner = reference.small_model()
    inputs = keras.Input((5,))
    outer = keras.Model(inputs, keras.layers.Activation("linear")(inner(inputs)))
    reference.put_junk(inner)
    for i, j in np.argwhere(~reference.allowed(inner)):
        other = reference.other_rows(inner.conditionals, ROWS, j)
        np.testing.assert_array_equal(outer(ROWS)[:, i], outer(other)[:, i])
    assert isinstance(inner, MADE)


@pytest.mark.parametrize(
    "activation",
    ["softmax", "log_softmax", "sparsemax", "glu", keras.activations.softmax, "nonsense"],
)
def test_an_activation_that_mixes_units_is_refused(activation):
    with pytest.raises(ValueError, match="`activation` must"):
        MADE(5, (20,), activation=activation)
    with pytest.raises(ValueError, match="`activation` must"):
        MaskedDense([1, 2], [1, 2, 2], activation=activation)


@pytest.mark.parametrize("activation", [lambda x: x, keras.layers.LayerNormalization()])
def test_an_activation_that_could_not_be_loaded_is_refused(activation):
    with pytest.raises(ValueError, match="named function"):
        MADE(5, (20,), activation=activation)


@pytest.mark.parametrize(
    "other", [{"activation": "relu"}, {"direct_connections": False}, {"residual": True}]
)
def test_a_model_of_another_architecture_does_not_load_the_weights(other, tmp_path):
    path = tmp_path / "model.weights.h5"
    reference.small_model().save_weights(path)
    with pytest.raises(ValueError, match="activation, direct or residual connections"):
        reference.small_model(**other).load_weights(path)
