import errno
import functools
import json
import pathlib
import warnings

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import reference
import tensorflow as tf

import made_tf
from made_tf import export
from made_tf.export import convert
from made_tf.export.file.compact import compact
from made_tf.export.file.flatbuffer import read_model, write_model
from made_tf.export.file.metadata import seal
from made_tf.export.file.weights import pack_weights, with_weights
from made_tf.export.signatures import choose_signatures, make_signatures

FAMILIES = ["bernoulli", "categorical", "ragged", "normal", "scaled_normal"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Exports each configuration once: (model, report, device)."""

    @functools.cache
    def made(family, kwargs):
        model = reference.small_model(family, **dict(kwargs))
        path = tmp_path_factory.mktemp("export") / "made.tflite"
        report = export.to_tflite(model, path)
        return model, report, export.LiteSampler(path)

    return lambda family="bernoulli", **kwargs: made(family, tuple(sorted(kwargs.items())))


def assert_same_samples(model, device, n, seed, block_length=None):
    dist = made_tf.MADEDistribution(model, block_length)
    host, rows = dist.sample(n, seed=seed).numpy(), device.sample(n, seed=seed)
    assert rows.dtype == host.dtype == np.float32
    if model.conditionals.is_discrete.all():
        np.testing.assert_array_equal(rows, host)
    else:
        np.testing.assert_allclose(rows, host, rtol=1e-4, atol=1e-4)
    return rows


@pytest.mark.parametrize("family", FAMILIES)
def test_host_and_device_agree(exported, family):
    model, _, device = exported(family)
    rows = assert_same_samples(model, device, 2000, seed=7)
    np.testing.assert_allclose(device.log_prob(rows), model.log_prob(rows), atol=1e-4)
    exact = reference.log_prob(model, rows[:50])
    np.testing.assert_allclose(device.log_prob(rows[:50]), exact, atol=1e-4)
    for name, values in model.conditionals.unpack(model(rows[:9])).items():
        np.testing.assert_allclose(device.conditionals(rows[:9])[name], values, atol=1e-4)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"event_size": 1},
        {"event_size": 40},
        {"hidden_units": ()},
        {"hidden_units": (4, 3), "hidden_degrees": "random"},
        {"hidden_units": (30, 20, 10), "direct_connections": False},
        {"activation": "elu"},
        {"hidden_units": (12, 12, 12), "hidden_degrees": "early", "residual": True},
        {"dtype": "mixed_float16"},
        {"dtype": "bfloat16"},
    ],
    ids=str,
)
def test_every_architecture_is_exported(exported, kwargs):
    model, _, device = exported(**kwargs)
    assert device.event_size == model.event_size
    assert_same_samples(model, device, 300, seed=3)
    states = device.sample(4, seed=0)
    assert np.isin(states, [0, 1]).all()


def test_a_half_precision_model_is_exported_in_float32(exported):
    model, _, device = exported(dtype="bfloat16")
    states = reference.states(model)
    total = np.exp(device.log_prob(states).astype(np.float64)).sum()
    assert total == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(device.log_prob(states), model.log_prob(states), atol=0.1)


@pytest.mark.parametrize("family", reference.DISCRETE)
def test_the_file_is_normalised_and_autoregressive(exported, family):
    model, _, device = exported(family)
    states = reference.states(model)
    total = np.exp(device.log_prob(states).astype(np.float64)).sum()
    assert total == pytest.approx(1, abs=1e-5)
    (name,) = model.conditionals.unpack(model(states[:1]))
    base = device.conditionals(states)[name]
    for j in range(model.event_size):
        moved = device.conditionals(reference.other_rows(model.conditionals, states, j))[name]
        earlier = ~reference.allowed(model)[:, j]
        np.testing.assert_array_equal(moved[:, earlier], base[:, earlier])


def test_the_report_tells_what_was_found(exported):
    _, report, _ = exported()
    assert isinstance(report, export.ExportReport)
    assert report.rows_compared == 256 and report.rows_different == 0
    assert report.max_log_prob_difference < 1e-4
    assert report.size_bytes == pathlib.Path(report.path).stat().st_size
    assert set(report.signatures) == {"sample", "log_prob", "conditionals"}
    assert report.signatures["sample"] == {
        "inputs": {"seeds": {"shape": [-1, 2], "dtype": "int32"}},
        "outputs": {"x": {"shape": [-1, 5], "dtype": "float32"}},
    }
    assert report.ops["WHILE"] >= 1
    assert not [name for name in report.ops if "CUSTOM" in name or "FLEX" in name.upper()]
    assert "256 of 256 rows" in str(report)
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()
    found = export.inspect_tflite(report.path)
    assert found["size_bytes"] == report.size_bytes == sum_of_bytes(found["bytes"])
    assert found["event_size"] == 5
    assert found["signatures"] == report.signatures and found["ops"] == report.ops


def sum_of_bytes(parts):
    return sum(parts["weights"].values()) + sum(
        parts[name] for name in ("scales", "constants", "metadata", "graph")
    )


def test_weights_are_stored_once_and_forbidden_ones_hardly(tmp_path):
    model = made_tf.MADE(784, hidden_units=(800,), direct_connections=False)
    report = export.to_tflite(model, tmp_path / "made.tflite")
    live = sum(layer.mask.numpy().sum() + layer.units for layer in model.masked_layers())
    assert report.size_bytes < 1.15 * 4 * live


def test_compacting_takes_room_and_nothing_else(exported, tmp_path, monkeypatch):
    model, report, ours = exported("ragged")
    monkeypatch.setattr(convert, "compact", lambda model: None)
    export.to_tflite(model, tmp_path / "large.tflite")
    small, large = map(export.inspect_tflite, (report.path, tmp_path / "large.tflite"))
    assert small["size_bytes"] < 0.85 * large["size_bytes"]
    for part in ("signatures", "ops", "metadata"):
        hidden = {"sha256": ""} if part == "metadata" else {}
        assert {**small[part], **hidden} == {**large[part], **hidden}
    theirs = export.LiteSampler(tmp_path / "large.tflite")
    rows = ours.sample(300, seed=2)
    np.testing.assert_array_equal(theirs.sample(300, seed=2), rows)
    np.testing.assert_array_equal(theirs.log_prob(rows), ours.log_prob(rows))
    content = pathlib.Path(report.path).read_bytes()
    assert seal(write_model(read_model(content))) == content


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_the_short_way_to_a_file_gives_that_of_the_public_converter(tmp_path, weights):
    model = with_weights(reference.small_model("ragged"), weights)
    made = make_signatures(model, choose_signatures(model, ["sample", "log_prob"]))
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures=made)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path), signature_keys=list(made))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    theirs = read_model(converter.convert())
    pack_weights(theirs, weights)
    compact(theirs)
    assert convert.convert(made, weights) == write_model(theirs)


def test_the_batch_size_chooses_the_blocks(tmp_path):
    model = made_tf.MADE(60, hidden_units=(40,))
    few, many = (
        export.to_tflite(model, tmp_path / f"{n}.tflite", batch_size=n, signatures="sample")
        for n in (1, 1000)
    )
    assert few.ops["WHILE"] < many.ops["WHILE"]
    with pytest.raises(ValueError, match="`batch_size`"):
        export.to_tflite(model, tmp_path / "x.tflite", batch_size=0)


def test_the_same_model_gives_the_same_bytes(exported, tmp_path):
    model, report, _ = exported()
    export.to_tflite(model, tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == pathlib.Path(report.path).read_bytes()


def test_exporting_leaves_the_model_as_it_was(tmp_path):
    model = reference.small_model("bernoulli", dtype="mixed_float16")
    before = [np.array(w) for w in model.weights]
    export.to_tflite(model, tmp_path / "made.tflite")
    assert model.dtype_policy.name == "mixed_float16"
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert [p.name for p in tmp_path.iterdir()] == ["made.tflite"]


@hypothesis.settings(deadline=None, derandomize=True, max_examples=6)
@hypothesis.given(
    event_size=st.integers(1, 6),
    hidden_units=st.lists(st.integers(1, 12), max_size=2),
    order=st.sampled_from(["natural", "random"]),
    degrees=st.sampled_from(["equal", "random"]),
    direct=st.booleans(),
    activation=st.sampled_from(["relu", "tanh", "silu"]),
    dtype=st.sampled_from(["float32", "mixed_bfloat16"]),
    family=st.sampled_from(FAMILIES),
    block_length=st.sampled_from([None, 1, 3]),
)
def test_any_configuration_draws_the_same_on_the_device(
    tmp_path_factory,
    event_size,
    hidden_units,
    order,
    degrees,
    direct,
    activation,
    dtype,
    family,
    block_length,
):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*out of the network's reach")
        model = reference.small_model(
            family,
            event_size,
            hidden_units=hidden_units,
            input_order=order,
            hidden_degrees=degrees,
            direct_connections=direct or not hidden_units,
            activation=activation,
            dtype=dtype,
        )
    path = tmp_path_factory.mktemp("any") / "made.tflite"
    export.to_tflite(model, path, block_length=block_length)
    device = export.LiteSampler(path)
    rows = assert_same_samples(model, device, 200, seed=1, block_length=block_length)
    atol = 1e-4 if dtype == "float32" else 0.5  # the model itself scores in half precision
    np.testing.assert_allclose(device.log_prob(rows), model.log_prob(rows), atol=atol)


def test_wide_models_are_not_refused_for_rounding(tmp_path):
    # One float32 step at a thousand nats is more than 1e-4.
    model = made_tf.MADE(1200, (50,))
    report = export.to_tflite(model, tmp_path / "wide.tflite", block_length=300)
    assert report.rows_different == 0


# Nothing wrong is handed over, and nothing is lost.


def test_a_file_that_draws_other_samples_is_not_handed_over(tmp_path, monkeypatch, exported):
    other = pathlib.Path(exported("bernoulli", seed=9)[1].path).read_bytes()
    monkeypatch.setattr(convert, "convert", lambda *args: other)
    path = tmp_path / "made.tflite"
    path.write_bytes(b"what was there before")
    with pytest.raises(export.ExportError, match="draws other samples"):
        export.to_tflite(reference.small_model(), path)
    assert path.read_bytes() == b"what was there before"
    assert [p.name for p in tmp_path.iterdir()] == ["made.tflite"]


def test_a_full_disk_leaves_no_half_written_file(tmp_path, monkeypatch, exported):
    model, report, _ = exported()
    converted = pathlib.Path(report.path).read_bytes()

    def full(self, content):
        with open(self, "wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(convert, "convert", lambda *args: converted)
    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        export.to_tflite(model, tmp_path / "made.tflite")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "convert", lambda *args: pytest.fail("converted anyway"))
    model = reference.small_model()
    with pytest.raises(ValueError, match="`model` must be a made_tf.MADE. Received: model='x'"):
        export.to_tflite("x", tmp_path / "made.tflite")
    with pytest.raises(ValueError, match="must end in .tflite"):
        export.to_tflite(model, tmp_path / "made.bin")
    with pytest.raises(FileNotFoundError):
        export.to_tflite(model, tmp_path / "missing" / "made.tflite")
    (tmp_path / "folder.tflite").mkdir()
    with pytest.raises(IsADirectoryError):
        export.to_tflite(model, tmp_path / "folder.tflite")
    model.output_layer.bias.assign([np.nan] * 5)
    with pytest.raises(ValueError, match="finite weights. Received: others in layer 'output'"):
        export.to_tflite(model, tmp_path / "made.tflite")
    assert [p.name for p in tmp_path.iterdir()] == ["folder.tflite"]


def test_a_wrong_block_length_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`block_length`"):
        export.to_tflite(reference.small_model(), tmp_path / "made.tflite", block_length=0)
