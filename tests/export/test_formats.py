"""Formats of the weights, and the further signatures in them."""

import keras
import numpy as np
import pytest
import reference
import scipy.stats

import made_tf
from made_tf import export
from made_tf.export.checks.measure import live_weight_bytes
from made_tf.export.file.weights import with_weights
from made_tf.sampling import random

KINDS = {
    "bernoulli": {},
    "ragged": {},
    "scaled_normal": {},
    "three masks": {"num_masks": 3, "num_orders": 3},
    "any order": {"num_masks": None, "num_orders": 2},
    "mask weights": {"num_masks": None, "mask_weights": True},
    "groups": {"num_masks": None, "resample": "order", "order_groups": 2, "num_orders": 3},
}
D = 6
STANDARD = ["sample", "log_prob", "conditionals"]
#: Each kind in a format, mixtures and one order in both; and the signatures of each file, which are
#: those of the kind by default.
SIGNATURES = {
    ("bernoulli", "float16"): "all",
    ("bernoulli", "int8"): None,
    ("ragged", "float16"): "all",
    ("scaled_normal", "int8"): "all",
    ("any order", "float16"): None,
    ("any order", "int8"): "all",
    ("three masks", "int8"): [*STANDARD, "sample_and_log_prob"],
    ("mask weights", "float16"): [*STANDARD, "impute", "sample_from_uniforms"],
    ("groups", "float16"): [*STANDARD, "sample_at_temperature"],
}
FURTHER = [case for case, names in SIGNATURES.items() if names is not None]


def model_of(kind):
    family = kind if kind in reference.FAMILIES else "bernoulli"
    keras.utils.set_random_seed(1)
    model = reference.small_model(family, D, hidden_units=(24, 16), seed=1, **KINDS[kind])
    rng = np.random.default_rng(0)
    for layer in model.masked_layers():
        if layer.bias is not None:  # zeros would be ties
            layer.bias.assign(rng.normal(size=layer.units))
        if getattr(layer, "mask_kernel", None) is not None:
            layer.mask_kernel.assign(rng.normal(size=layer.mask.shape))
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Exports each kind in each format once: (model, report, device)."""
    made = {}

    def get(kind, weights):
        if (kind, weights) not in made:
            model = model_of(kind)
            path = tmp_path_factory.mktemp("formats") / f"{weights}.tflite"
            data = reference.rows(model.conditionals, 60, D)
            names = SIGNATURES.get((kind, weights))
            report = export.to_tflite(model, path, weights=weights, data=data, signatures=names)
            made[kind, weights] = model, report, export.LiteSampler(path), data
        return made[kind, weights]

    return get


@pytest.mark.parametrize(("kind", "weights"), SIGNATURES)
def test_a_rounded_file_is_a_density_and_that_of_the_rounded_model(exported, kind, weights):
    model, report, device, data = exported(kind, weights)
    assert report.leak == 0 and report.weights == weights
    assert report.rows_different <= (256 if kind == "scaled_normal" else 0)
    if model.conditionals.is_discrete.all():
        assert report.total_probability == pytest.approx(1, abs=1e-5)
        states = reference.states(model)
        total = np.exp(device.log_prob(states).astype(np.float64)).sum()
        assert total == pytest.approx(1, abs=1e-5)
    rounded = with_weights(model, weights)
    np.testing.assert_allclose(device.log_prob(data), rounded.log_prob(data), rtol=1e-4, atol=1e-4)
    change = float(np.mean(model.log_prob(data)) - np.mean(rounded.log_prob(data)))
    assert report.nll_change == pytest.approx(change, abs=1e-4) and change != 0
    bits = report.nll_change / D / np.log(2)
    assert report.bits_per_dim_change == pytest.approx(bits)
    parts = export.inspect_tflite(report.path)["bytes"]
    assert parts["weights"].get(weights, 0) > 0 and (parts["scales"] > 0) == (weights == "int8")


def test_int8_is_what_keras_quantize_makes(exported):
    model, _, device, data = exported("bernoulli", "int8")
    copy = model_of("bernoulli")
    copy.quantize("int8")
    np.testing.assert_allclose(device.log_prob(data), copy.log_prob(data), atol=1e-5)
    assert not any(layer.quantized for layer in model.masked_layers())  # left as it was
    for layer in with_weights(model, "int8").masked_layers():
        kernel = np.asarray(layer.masked_kernel())
        scale = np.abs(np.asarray(layer.kernel_scale))
        steps = kernel / scale
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
        assert np.abs(steps).max() <= 127.001


def test_a_quantized_model_stays_as_it_is(tmp_path):
    model = model_of("bernoulli")
    model.quantize("int8")
    path = tmp_path / "made.tflite"
    rows = reference.rows(model.conditionals, 40, D)
    for weights in ("float32", "int8"):
        report = export.to_tflite(model, path, weights=weights, data=rows, signatures="log_prob")
        assert report.nll_change == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match="for a model that is quantized to int8"):
        export.to_tflite(model, path, weights="float16")


@pytest.mark.parametrize("size", [1, 3])
def test_models_without_hidden_layers_and_of_one_variable(tmp_path, size):
    model = reference.small_model("bernoulli", size, hidden_units=())
    further = {"signatures": "all", "batch_sizes": (1,)} if size == 1 else {}
    report = export.to_tflite(model, tmp_path / "made.tflite", weights="int8", **further)
    assert report.leak == 0 and report.total_probability == pytest.approx(1, abs=1e-5)
    if size == 1:
        device, seeds = export.LiteSampler(report.path), np.array([[3, 0]], np.int32)
        np.testing.assert_array_equal(device.run("sample_1", seeds=seeds)["x"], device.sample(1, 3))


def test_smaller_formats_make_smaller_files(tmp_path, unchecked):
    model, path = made_tf.MADE(100, (200, 200), seed=0), tmp_path / "made.tflite"
    sizes = {}
    for weights in ("float32", "float16", "int8"):
        export.to_tflite(model, path, weights=weights, signatures=["sample", "log_prob"])
        sizes[weights] = path.stat().st_size
        parts = export.inspect_tflite(path)["bytes"]
        assert set(parts["weights"]) <= {weights, "float32"}
        assert parts["weights"][weights] > 50 * parts["weights"].get("other", 1)
        assert live_weight_bytes(model, weights) <= sum(parts["weights"].values()) + 4 * 500
        # Of the weights that the masks forbid, only those within the blocks are there.
        dead = sum(int((~layer.mask.numpy()).sum()) for layer in model.masked_layers())
        assert parts["zeros"] < 0.4 * dead * np.dtype(weights).itemsize
    assert sizes["float32"] > 1.5 * sizes["float16"] > 1.5 * sizes["int8"]


@pytest.mark.parametrize("weights", ["dynamic", "dynamic_int8", "dynamic_range"])
def test_a_dynamic_range_is_refused_with_the_reason(tmp_path, weights):
    with pytest.raises(ValueError, match="later variables change the conditionals of earlier"):
        export.to_tflite(reference.small_model(), tmp_path / "made.tflite", weights=weights)


def test_other_arguments_out_of_range_are_refused(tmp_path):
    model, path = reference.small_model(), tmp_path / "made.tflite"
    for arguments, message in (
        ({"weights": "int4"}, "`weights` must be one of"),
        ({"calibration": np.zeros((3, 5))}, "`calibration` must be rows for weights='static_int8'"),
        ({"weights": "static_int8"}, "`calibration` must be rows"),
        ({"signatures": "impute"}, "`signatures` must be 'all' or different ones of"),
        ({"signatures": []}, "`signatures` must be"),
        ({"signatures": ["sample", "sample"]}, "`signatures` must be"),
        ({"batch_sizes": (0,)}, "`batch_sizes` must be a positive integer"),
        ({"data": np.zeros((3, 4))}, "`data` must have the shape"),
        ({"data": np.full((3, 5), 0.5)}, "`data` must contain"),
        ({"variables": ["a"] * 5}, "`variables` must be a sequence of 5 mappings"),
        ({"variables": [{"name": "a"}] * 4}, "`variables` must be a sequence of 5 mappings"),
        ({"variables": [{"name": 1}] * 5}, "`variables` must be"),
        ({"variables": [{"name": "a", "categories": ["x"]}] * 5}, "each of the 2 classes of 'a'"),
        ({"image_shape": (2, 3)}, "`image_shape` must be a height and a width"),
        ({"image_shape": (5,)}, "`image_shape` must be"),
        ({"licence": 7}, "`licence` must be a text"),
    ):
        with pytest.raises(ValueError, match=message):
            export.to_tflite(model, path, **arguments)
    model.output_layer.bias.assign([0.0] * 5)
    kernel = np.asarray(model.output_layer.kernel)
    model.output_layer.kernel.assign(kernel * 1e6)
    with pytest.raises(ValueError, match="beyond its range, 65504"):
        export.to_tflite(model, path, weights="float16")
    assert list(tmp_path.iterdir()) == []


# More signatures.


@pytest.mark.parametrize(("kind", "weights"), FURTHER)
def test_further_signatures_agree_with_the_first(exported, kind, weights):
    model, _, device, _ = exported(kind, weights)
    expected = names = SIGNATURES[kind, weights]
    if names == "all":
        expected = [*STANDARD, "sample_and_log_prob", "sample_at_temperature"]
        expected += ["sample_from_uniforms", *(["impute"] if model.any_order else [])]
    assert set(device.signatures) == set(expected)
    seeds = np.stack([np.full(200, 5), np.arange(200)], axis=1).astype(np.int32)
    rows = device.sample(200, seed=5)
    close = np.array_equal if model.conditionals.is_discrete.all() else np.allclose
    if "sample_and_log_prob" in expected:
        x, log_prob = device.sample_and_log_prob(seeds)
        assert close(x, rows)
        np.testing.assert_allclose(log_prob, device.log_prob(x), rtol=1e-4, atol=1e-4)
    if "sample_at_temperature" in expected:
        assert close(device.sample_at_temperature(seeds, 1.0), rows)
    count = device.metadata["num_uniforms"]
    assert count == D + (model.any_order or device.metadata["num_orders"] > 1)
    if "sample_from_uniforms" in expected:
        uniforms = random.uniforms(seeds, count).numpy()
        assert close(device.sample_from_uniforms(uniforms), rows)


def test_a_temperature_is_a_power_of_each_conditional(exported):
    model, _, device, _ = exported("ragged", "float16")
    rounded = with_weights(model, "float16")
    count, temperature = 4000, 2.5
    seeds = np.stack([np.full(count, 9), np.arange(count)], axis=1).astype(np.int32)
    rows = device.sample_at_temperature(seeds, temperature)
    # The reference: every state, its conditionals one by one, each to the power 1 / T.
    states = reference.states(model)
    logits = np.asarray(rounded.conditionals.unpack(rounded(states))["logits"], np.float64)
    powers = np.exp(logits / temperature)
    powers[logits < -1e8] = 0
    powers /= powers.sum(axis=2, keepdims=True)
    chosen = np.take_along_axis(powers, states[:, :, None].astype(int), 2)[..., 0]
    probabilities = chosen.prod(axis=1)
    assert probabilities.sum() == pytest.approx(1)
    index = {tuple(state): i for i, state in enumerate(states)}
    counts = np.bincount([index[tuple(row)] for row in rows], minlength=len(states))
    often = probabilities * count > 5
    observed = np.append(counts[often], counts[~often].sum())
    wanted = np.append(probabilities[often], probabilities[~often].sum()) * count
    assert scipy.stats.chisquare(observed, wanted).pvalue > 1e-3
    cold = device.sample_at_temperature(seeds, 1e-6)
    assert (cold == cold[0]).all()  # of each conditional the most probable class
    different = np.resize(np.float32([1e-6, 1.0]), count)
    mixed = device.sample_at_temperature(seeds, different)
    np.testing.assert_array_equal(mixed[::2], cold[::2])
    np.testing.assert_array_equal(mixed[1::2], device.sample(count, seed=9)[1::2])


def test_a_normal_conditional_widens_with_the_square_root(exported):
    model, _, device, _ = exported("scaled_normal", "int8")
    seeds = np.stack([np.full(500, 2), np.arange(500)], axis=1).astype(np.int32)
    first = int(np.argmin(model.degrees.inputs))
    at_one = device.sample_at_temperature(seeds, 1.0)[:, first]
    at_four = device.sample_at_temperature(seeds, 4.0)[:, first]
    loc = float(device.conditionals(np.zeros((1, D), np.float32))["loc"][0, first])
    np.testing.assert_allclose(at_four - loc, 2 * (at_one - loc), rtol=1e-3, atol=1e-4)


def test_signatures_of_fixed_rows_give_the_same(tmp_path):
    model = reference.small_model(hidden_units=(8,), num_masks=None, num_orders=2)
    names = ["sample", "impute", "log_prob"]  # and those of another temperature: test_contexts.py
    path = tmp_path / "made.tflite"
    export.to_tflite(model, path, signatures=names, batch_sizes=(16,))
    device = export.LiteSampler(path)
    assert set(device.signatures) == {*names, *(f"{name}_16" for name in names)}
    assert device.inputs("sample_16")["seeds"]["shape"].tolist() == [16, 2]
    seeds = np.stack([np.full(16, 3), np.arange(16)], axis=1).astype(np.int32)
    rows = device.sample(16, seed=3)
    np.testing.assert_array_equal(device.run("sample_16", seeds=seeds)["x"], rows)
    with pytest.raises(ValueError, match="no signature 'conditionals': export it with signatures"):
        device.conditionals(rows)
