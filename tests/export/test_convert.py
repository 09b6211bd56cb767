import errno
import json
import pathlib

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
def exported(small_file):
    """Exports each configuration once: (model, report, device)."""

    def get(family="bernoulli", **kwargs):
        model, report = small_file(family, **kwargs)
        return model, report, export.LiteSampler(report.path)

    return get


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


# Each value of each argument, and each with others than beside it elsewhere.
ARCHITECTURES = [
    {"event_size": 1, "activation": "silu"},
    {"event_size": 40, "hidden_degrees": "random"},
    {"event_size": 2, "family": "normal", "hidden_units": (1,), "block_length": 1},
    {"event_size": 6, "family": "ragged", "hidden_units": (), "input_order": "random"},
    {
        "family": "categorical",
        "hidden_units": (4, 3),
        "hidden_degrees": "random",
        "dtype": "mixed_bfloat16",
    },
    {
        "family": "scaled_normal",
        "hidden_units": (30, 20, 10),
        "direct_connections": False,
        "activation": "relu",
        "block_length": 3,
    },
    {
        "family": "categorical",
        "event_size": 4,
        "activation": "elu",
        "input_order": "random",
        "dtype": "mixed_float16",
        "block_length": 1,
    },
    {
        "hidden_units": (12, 12, 12),
        "hidden_degrees": "early",
        "residual": True,
        "dtype": "mixed_float16",
    },
    {"dtype": "bfloat16"},
]


@pytest.mark.parametrize("kwargs", ARCHITECTURES, ids=str)
def test_every_architecture_is_exported(exported, kwargs):
    model, _, device = exported(**kwargs)
    assert device.event_size == model.event_size
    rows = assert_same_samples(model, device, 300, 3, kwargs.get("block_length"))
    for values, column in zip(model.conditionals.states(), rows.T, strict=True):
        assert values is None or np.isin(column, values).all()
    atol = 0.5 if "dtype" in kwargs else 1e-4  # the model itself scores in half precision
    np.testing.assert_allclose(device.log_prob(rows), model.log_prob(rows), atol=atol)


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


def test_weights_are_stored_once_and_forbidden_ones_hardly(tmp_path, unchecked):
    model = made_tf.MADE(200, hidden_units=(1200,), direct_connections=False)
    export.to_tflite(model, tmp_path / "made.tflite")
    live = sum(layer.mask.numpy().sum() + layer.units for layer in model.masked_layers())
    assert (tmp_path / "made.tflite").stat().st_size < 1.15 * 4 * live


def test_compacting_takes_room_and_nothing_else(exported, tmp_path, monkeypatch, unchecked):
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
    names = ["sample", "log_prob"] if weights == "float32" else ["log_prob", "conditionals"]
    made = make_signatures(model, choose_signatures(model, names))
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures=made)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path), signature_keys=list(made))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    theirs = read_model(converter.convert())
    pack_weights(theirs, weights)
    compact(theirs)
    assert convert.convert(made, weights) == write_model(theirs)


def test_the_batch_size_chooses_the_blocks(tmp_path, unchecked):
    model, loops = made_tf.MADE(60, hidden_units=(40,)), []
    for size in (1, 1000):
        path = tmp_path / f"{size}.tflite"
        export.to_tflite(model, path, batch_size=size, signatures="sample")
        loops.append(export.inspect_tflite(path)["ops"]["WHILE"])
    assert loops[0] < loops[1]
    with pytest.raises(ValueError, match="`batch_size`"):
        export.to_tflite(model, tmp_path / "x.tflite", batch_size=0)


def test_the_same_model_gives_the_same_bytes(exported, tmp_path, unchecked):
    model, report, _ = exported()
    export.to_tflite(model, tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == pathlib.Path(report.path).read_bytes()


def test_wide_models_are_not_refused_for_rounding(tmp_path):
    # One float32 step at a thousand nats is more than 1e-4.
    model = made_tf.MADE(1200, (50,))
    names = ["sample", "log_prob"]
    report = export.to_tflite(model, tmp_path / "wide.tflite", block_length=600, signatures=names)
    assert report.rows_different == 0


# Nothing wrong is handed over, and nothing is lost.


def test_a_file_that_draws_other_samples_is_not_handed_over(tmp_path, monkeypatch, exported):
    other = pathlib.Path(exported(**ARCHITECTURES[-2])[1].path).read_bytes()
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
    expected = "`model` must be a made_tf.MADE or made_tf.Ensemble. Received: model='x'"
    with pytest.raises(ValueError, match=expected):
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
