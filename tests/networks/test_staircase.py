import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

import made_tf
from made_tf.networks.kernel_mask import KernelMask
from made_tf.networks.staircase import Staircase, best_num_blocks


def case(num_in, num_out, strict, seed=0):
    rng = np.random.default_rng(seed)
    degrees = [np.sort(rng.integers(1, 9, size)) for size in (num_in, num_out)]
    kernel = rng.normal(size=(num_in, num_out)).astype("float32")
    x = rng.normal(size=(5, num_in)).astype("float32")
    return KernelMask(*degrees, strict), kernel, x


SHAPES = [(1, 1), (9, 4), (3, 20), (17, 17)]


@pytest.mark.parametrize("num_blocks", [1, 2, 3, 50])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_and_gradients_are_those_of_the_masked_kernel(shape, strict, num_blocks):
    mask, kernel, x = case(*shape, strict)
    staircase = Staircase(mask, num_blocks)
    live = mask.numpy()
    weight = np.random.default_rng(1).normal(size=(5, shape[1])).astype("float32")
    inputs, variable = tf.constant(x), tf.Variable(kernel)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = staircase.matmul(inputs, variable)
        loss = tf.reduce_sum(outputs * weight)
    to_inputs, to_kernel = tape.gradient(loss, [inputs, variable])
    expected = np.where(live, kernel, 0).astype(np.float64)
    np.testing.assert_allclose(outputs, x.astype(np.float64) @ expected, atol=1e-5)
    np.testing.assert_allclose(to_inputs, weight.astype(np.float64) @ expected.T, atol=1e-5)
    full = x.astype(np.float64).T @ weight
    np.testing.assert_allclose(to_kernel, np.where(live, full, 0), atol=1e-5)
    assert not np.any(np.asarray(to_kernel)[~live])


@pytest.mark.parametrize("strict", [False, True])
def test_what_the_mask_forbids_is_never_read(strict):
    mask, kernel, x = case(17, 17, strict)
    kernel[~mask.numpy()] = np.nan
    variable = tf.Variable(kernel)
    with tf.GradientTape() as tape:
        outputs = Staircase(mask, 4).matmul(tf.constant(x), variable)
    assert np.isfinite(outputs).all()
    assert np.isfinite(tape.gradient(outputs, variable)).all()


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "float16"])
def test_other_dtypes_of_inputs_give_what_the_plain_product_gives(dtype):
    degrees = np.arange(400)
    layer = made_tf.MaskedDense(degrees, degrees, autocast=False)
    x = tf.cast(np.random.default_rng(0).random((5, 400)) < 0.5, dtype)
    assert layer(x).dtype == "float32"
    assert layer.staircase is not None
    expected = np.asarray(x, np.float64) @ np.asarray(layer.masked_kernel(), np.float64)
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


@pytest.fixture
def small_staircases(monkeypatch):
    """Makes small kernels use staircases, too."""
    monkeypatch.setattr("made_tf.networks.staircase.SIDE_OF_A_BLOCK", 3)


@pytest.mark.parametrize(
    ("family", "dtype"),
    [
        *(("ragged", dtype) for dtype in ("float32", "mixed_float16", "mixed_bfloat16", "float64")),
        ("bernoulli", "mixed_bfloat16"),
        ("categorical", "float64"),
        ("normal", "mixed_float16"),
        ("scaled_normal", "float32"),
    ],
)
def test_models_with_staircases_keep_every_promise(family, dtype, small_staircases, tmp_path):
    model = reference.small_model(family, 7, hidden_units=(12, 12), dtype=dtype)
    assert sum(layer.staircase is not None for layer in model.masked_layers()) == 4
    x = reference.rows(model.conditionals, 40, 7)
    in_a_graph = family == "ragged" and dtype in ("float32", "mixed_float16")
    model.compile("adam", run_eagerly=not in_a_graph)  # a graph takes long to make
    model.fit(x, epochs=1, verbose=0)
    assert not any(made_tf.verification.mask_violations(model).values())
    reference.put_junk(model)
    reference.assert_autoregressive(model)
    half = dtype.startswith("mixed")
    np.testing.assert_allclose(
        model.log_prob(x),
        reference.log_prob(model, x),
        **({"rtol": 0.05, "atol": 0.3} if half else {"rtol": 1e-4, "atol": 1e-4}),
    )
    expected = np.asarray(model.log_prob(x))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.log_prob(x), expected)
    if dtype == "mixed_float16":
        return  # which Keras does not quantize
    loaded.quantize("int8")
    reference.assert_autoregressive(loaded)


def test_leading_axes_are_kept():
    mask, kernel, x = case(9, 4, False)
    staircase = Staircase(mask, 2)
    flat = staircase.matmul(tf.constant(x), kernel)
    cube = staircase.matmul(tf.constant(x[:4].reshape(2, 2, 9)), kernel)
    np.testing.assert_allclose(np.reshape(cube, (4, 4)), flat[:4], rtol=1e-6)


def test_small_and_unsorted_kernels_keep_the_plain_product():
    small, large = np.arange(50), np.arange(1000)
    assert best_num_blocks(KernelMask(small, small)) == 1
    assert best_num_blocks(KernelMask(large, large)) > 1
    assert best_num_blocks(KernelMask(large[::-1], large)) == 1
    assert best_num_blocks(KernelMask(large, large[::-1])) == 1


def test_a_wide_model_uses_staircases_and_trains_like_the_plain_product():
    rng = np.random.default_rng(0)
    x = (rng.random((200, 310)) < 0.3).astype("float32")

    def fitted(plain):
        model = made_tf.MADE(310, hidden_units=(310, 310), seed=0)
        layers = list(model.masked_layers())
        assert all(layer.staircase is not None for layer in layers)
        keras.utils.set_random_seed(1)
        for layer in layers:
            layer.kernel.assign(
                layer.mask.apply(keras.initializers.GlorotUniform(3)(layer.kernel.shape))
            )
            if plain:
                layer.staircase = None
        model.compile(keras.optimizers.SGD(0.01))
        model.fit(x, epochs=2, batch_size=50, shuffle=False, verbose=0)
        return model

    staircase, plain = fitted(False), fitted(True)
    for ours, theirs in zip(staircase.weights, plain.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    allowed = reference.allowed(staircase).T
    for row in x[:8]:
        rows = np.tile(row, (310, 1))
        others = np.where(np.eye(310) > 0, 1 - rows, rows)  # row j has another variable j
        moved = np.asarray(staircase(rows)) != np.asarray(staircase(others))
        assert moved.any() and not (moved & ~allowed).any()
    assert not any(made_tf.verification.mask_violations(staircase).values())
