import json

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from made_tf import MaskedDense

BELOW, ABOVE = [2, 1, 3, 1], [3, 1, 2, 2, 1]
POLICIES = ["float32", "mixed_float16", "mixed_bfloat16", "bfloat16", "float16", "float64"]
TOLERANCE = {"float32": 1e-5, "float64": 1e-6}  # the inputs are float32; half precision below

KINDS = {
    "hidden": {"activation": "relu"},
    "strict": {"strict": True},
    "no_bias": {"use_bias": False, "activation": "tanh"},
    "regularized": {
        "kernel_regularizer": "l2",
        "bias_regularizer": keras.regularizers.L1(0.1),
    },
    "constrained": {
        "kernel_constraint": keras.constraints.MaxNorm(1.0),
        "bias_constraint": "non_neg",
        "kernel_initializer": keras.initializers.HeNormal(seed=1),
        "bias_initializer": "ones",
    },
}


def rows(count=6, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


def functional(jit_compile="auto", **kwargs):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, MaskedDense(BELOW, ABOVE, name="masked", **kwargs)(inputs))
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=jit_compile)
    return model


def sequential(layer):
    return keras.Sequential([keras.Input((4,)), layer])


@pytest.mark.parametrize("kind", KINDS)
class TestContract:
    def test_the_config_goes_round_through_json(self, kind):
        layer = MaskedDense(np.array(BELOW), ABOVE, name="masked", **KINDS[kind])
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
        again = keras.saving.deserialize_keras_object(config)
        assert again.get_config() == layer.get_config()
        missing = set(MaskedDense.__init__.__code__.co_varnames[1:]) - set(layer.get_config())
        assert missing <= {"kwargs", "__class__"}

    def test_it_builds_with_masked_weights_of_the_right_shapes(self, kind):
        layer = MaskedDense(BELOW, ABOVE, **KINDS[kind])
        layer.build((None, 4))
        shapes = [tuple(weight.shape) for weight in layer.weights]
        assert shapes == ([(4, 5)] if kind == "no_bias" else [(4, 5), (5,)])
        assert (reference.off_mask(layer) == 0).all()
        assert len(layer.trainable_weights) == len(shapes)

    @pytest.mark.parametrize("shape", [(None, 4), (3, 4), (2, 3, 4)])
    def test_symbolic_and_eager_shapes_agree(self, kind, shape):
        layer = MaskedDense(BELOW, ABOVE, **KINDS[kind])
        symbolic = layer(keras.KerasTensor(shape))
        assert symbolic.shape == (*shape[:-1], 5) == layer.compute_output_shape(shape)
        concrete = tuple(size or 2 for size in shape)
        assert layer(np.ones(concrete, np.float32)).shape == (*concrete[:-1], 5)

    @pytest.mark.parametrize("policy", POLICIES)
    def test_it_computes_what_the_loops_compute(self, kind, policy):
        layer = MaskedDense(BELOW, ABOVE, dtype=policy, **KINDS[kind])
        outputs = layer(rows())
        dtype = keras.dtype_policies.get(policy).compute_dtype
        assert keras.backend.standardize_dtype(outputs.dtype) == dtype
        expected = reference.dense(layer, rows(), layer.activation.__name__)
        tolerance = TOLERANCE.get(policy, 0.05 if "b" in dtype else 0.01)
        np.testing.assert_allclose(
            keras.ops.cast(outputs, "float64"), expected, rtol=tolerance, atol=tolerance
        )

    @pytest.mark.parametrize("policy", POLICIES)
    def test_the_jacobian_is_exactly_zero_off_the_mask(self, kind, policy):
        layer = MaskedDense(BELOW, ABOVE, dtype=policy, **KINDS[kind])
        layer.build((None, 4))
        layer.kernel.assign(reference.junk(layer))
        layer.activation = keras.activations.tanh  # live everywhere
        x = tf.constant(rows())
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = tf.cast(layer(x), "float32")
        jacobian = np.abs(tape.batch_jacobian(outputs, x)).sum(axis=0).T  # [in, out]
        np.testing.assert_array_equal(
            jacobian > 0, reference.mask(BELOW, ABOVE, KINDS[kind].get("strict", False))
        )

    @pytest.mark.parametrize(
        ("policy", "jit_compile"),
        [("float32", False), ("float32", True), ("mixed_float16", True), ("bfloat16", False)],
    )
    def test_it_trains_and_stays_on_its_mask(self, kind, policy, jit_compile):
        if policy == "bfloat16" and kind == "regularized":
            pytest.skip("Keras' own loss cannot add a penalty of another dtype")
        model = functional(jit_compile, dtype=policy, **KINDS[kind])
        before = model.layers[1].get_weights()
        loss = model.fit(rows(), np.ones((6, 5)), epochs=2, verbose=0).history["loss"]
        assert np.isfinite(loss).all()
        assert (reference.off_mask(model.layers[1]) == 0).all()
        assert not np.array_equal(model.layers[1].get_weights()[0], before[0])

    @pytest.mark.parametrize("policy", ["float32", "mixed_float16", "bfloat16"])
    def test_it_opens_as_it_was_saved(self, kind, policy, tmp_path):
        model = functional(dtype=policy, **KINDS[kind])
        model.optimizer.build(model.trainable_variables)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
        assert again.layers[1].get_config() == model.layers[1].get_config()
        np.testing.assert_array_equal(again(rows()), model(rows()))

    def test_a_clone_has_its_degrees_and_weights_of_its_own(self, kind):
        model = functional(**KINDS[kind])
        clone = keras.models.clone_model(model)
        assert clone.layers[1].get_config() == model.layers[1].get_config()
        clone.set_weights(model.get_weights())
        np.testing.assert_array_equal(clone(rows()), model(rows()))
        clone.layers[1].kernel.assign_add(np.ones((4, 5)))
        assert not np.array_equal(clone(rows()), model(rows()))


def test_the_kernel_gets_no_gradient_off_the_mask():
    layer = MaskedDense(BELOW, ABOVE, strict=True)
    layer.build((None, 4))
    layer.kernel.assign(reference.junk(layer, np.nan))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(rows()) ** 2)
    gradient = np.asarray(tape.gradient(loss, layer.kernel.value))
    live = reference.mask(BELOW, ABOVE, strict=True)
    np.testing.assert_array_equal(gradient != 0, live)


@pytest.mark.parametrize("junk", [3.0, np.nan])
def test_clipping_by_the_global_norm_sees_live_weights_only(junk):
    models = [functional(), functional()]
    models[1].set_weights(models[0].get_weights())
    models[1].layers[1].kernel.assign(reference.junk(models[1].layers[1], junk))
    for model in models:
        model.compile(keras.optimizers.SGD(1.0, global_clipnorm=0.1), "mse")
        model.fit(rows(), 10 * np.ones((6, 5)), verbose=0, shuffle=False)
    for first, second in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(first, second)


def test_weight_decay_moves_live_weights_only():
    model = functional(kernel_initializer="ones")
    model.compile(keras.optimizers.AdamW(0.1, weight_decay=0.5), "mse")
    # A step without a gradient: decay alone.
    kernel = model.layers[1].kernel
    model.optimizer.build(model.trainable_variables)
    model.optimizer.apply([keras.ops.zeros_like(v) for v in model.trainable_variables])
    live = reference.mask(BELOW, ABOVE)
    np.testing.assert_allclose(kernel.numpy(), np.where(live, 0.95, 0.0), rtol=1e-6)


def test_regularizers_count_what_is_stored_and_live():
    layer = MaskedDense(
        BELOW, ABOVE, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L1(0.5)
    )
    layer(rows())
    np.testing.assert_allclose(sum(layer.losses), 0.5 * reference.mask(BELOW, ABOVE).sum())


def test_an_activity_regularizer_counts_outputs():
    layer = MaskedDense(BELOW, ABOVE, activity_regularizer=keras.regularizers.L2(0.5))
    outputs = np.asarray(layer(rows()))
    np.testing.assert_allclose(layer.losses[0], 0.5 * (outputs**2).sum() / 6, rtol=1e-5)
    again = MaskedDense.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_an_inner_constraint_holds_during_training():
    model = functional(kernel_constraint=keras.constraints.UnitNorm(axis=0))
    model.fit(rows(), np.ones((6, 5)), epochs=3, verbose=0)
    kernel = model.layers[1].kernel.numpy()
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), np.ones(5), rtol=1e-5)
    assert (reference.off_mask(model.layers[1]) == 0).all()


def test_units_are_as_many_as_out_degrees():
    assert MaskedDense(BELOW, ABOVE).units == 5


@pytest.mark.parametrize("shape", [(None, 5), (4,)])
def test_inputs_of_another_width_or_rank_are_refused(shape):
    with pytest.raises(ValueError, match="incompatible with the layer"):
        MaskedDense(BELOW, ABOVE)(keras.KerasTensor(shape))


@pytest.mark.parametrize("name", ["in_degrees", "out_degrees"])
def test_bad_degrees_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be a non-empty sequence of integers"):
        MaskedDense(**{"in_degrees": [1], "out_degrees": [1], name: [0.5]})


def test_a_quantized_policy_is_refused():
    with pytest.raises(ValueError, match="`dtype` must be a floating-point policy"):
        MaskedDense(BELOW, ABOVE, dtype="int8_from_float32")


def test_weights_of_a_plain_dense_layer_are_refused(tmp_path):
    sequential(keras.layers.Dense(5)).save_weights(tmp_path / "dense.weights.h5")
    with pytest.raises(ValueError, match="weights that MaskedDense saved"):
        sequential(MaskedDense(BELOW, ABOVE)).load_weights(tmp_path / "dense.weights.h5")


@pytest.mark.parametrize(
    "other",
    [
        {"in_degrees": [1, 2, 3, 1]},
        {"out_degrees": [3, 1, 2, 1, 2]},
        {"strict": True},
    ],
    ids=["in_degrees", "out_degrees", "strict"],
)
def test_weights_saved_with_other_degrees_are_refused(other, tmp_path):
    sequential(MaskedDense(BELOW, ABOVE)).save_weights(tmp_path / "a.weights.h5")
    layer = MaskedDense(**{"in_degrees": BELOW, "out_degrees": ABOVE, **other})
    model = sequential(layer)
    before = layer.kernel.numpy()
    with pytest.raises(ValueError, match="saved with the same degrees"):
        model.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(layer.kernel.numpy(), before)
