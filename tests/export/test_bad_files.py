"""Files that are damaged, foreign or of a later version; inputs that are out of range."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import reference
import tensorflow as tf

from made_tf import export
from made_tf.export.file.flatbuffer import read_model, write_model
from made_tf.export.file.metadata import seal
from made_tf.export.runtime import LiteSampler, read_metadata

READERS = (read_metadata, LiteSampler, export.inspect_tflite)


@pytest.fixture(scope="module")
def path(tmp_path_factory, unverified):
    path = tmp_path_factory.mktemp("bad") / "made.tflite"
    with unverified():
        export.to_tflite(reference.small_model(), path, weights="int8", signatures="all")
    return path


@pytest.fixture(scope="module")
def content(path):
    return path.read_bytes()


@pytest.fixture(scope="module")
def undigested(content):
    """The same model as a version before the metadata wrote it."""
    model = read_model(content)
    for entry in model.metadata:
        if entry.name == b"made_tf":
            model.buffers[entry.buffer].data = None
    model.metadata = [entry for entry in model.metadata if entry.name != b"made_tf"]
    return write_model(model)


def refused(readers, path):
    for reader in readers:
        with pytest.raises(ValueError, match="`path` must be a complete LiteRT model") as caught:
            reader(path)
        assert str(path) in str(caught.value)


def test_truncated_files_are_refused(content, tmp_path):
    path = tmp_path / "x.tflite"
    lengths = {0, 1, 4, 7, 8, 9, 40, len(content) - 1}
    lengths |= set(np.random.default_rng(0).integers(0, len(content), 60).tolist())
    for length in sorted(lengths):
        path.write_bytes(content[:length])
        refused(READERS[:1], path)
    refused(READERS, path)


def test_flipped_bits_are_refused_wherever_they_are(content, tmp_path):
    path = tmp_path / "x.tflite"
    rng = np.random.default_rng(1)
    places = {*range(64), *rng.integers(0, len(content), 300).tolist()}
    start = content.find(b'"sha256":"')
    places |= {*range(start - 5, start + 80)}
    for place in sorted(places):
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="`path` must be a complete LiteRT model"):
            read_metadata(path)
    refused(READERS, path)


@pytest.mark.parametrize(
    "foreign",
    [b"", b"text\n" * 20, b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"PK\x03\x04" + b"\0" * 50],
    ids=["empty", "text", "png", "zip"],
)
def test_files_of_another_kind_are_refused(foreign, tmp_path):
    (tmp_path / "x.tflite").write_bytes(foreign)
    refused(READERS, tmp_path / "x.tflite")


def test_a_model_of_another_maker_has_no_metadata_and_is_no_sampler(tmp_path):
    function = tf.function(lambda x: 2.0 * x, [tf.TensorSpec([1, 3], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    path = tmp_path / "x.tflite"
    path.write_bytes(converter.convert())
    assert read_metadata(path) is None
    found = export.inspect_tflite(path)
    assert found["event_size"] is None and found["ops"] == {"MUL": 1}
    with pytest.raises(ValueError, match="must be a model that made_tf exported"):
        LiteSampler(path)
    with pytest.raises(FileNotFoundError, match="No such file"):
        read_metadata(tmp_path / "y.tflite")


def with_text(content, change):
    """Returns the file with another text as its metadata, sealed."""
    model = read_model(content)
    (entry,) = [entry for entry in model.metadata if entry.name == b"made_tf"]
    text = change(json.loads(bytes(model.buffers[entry.buffer].data)))
    model.buffers[entry.buffer].data = np.frombuffer(text.encode(), np.uint8)
    written = write_model(model)
    return seal(written) if b'"sha256":"' in written else written


def dumped(change):
    return lambda metadata: json.dumps({**metadata, **change}, separators=(",", ":"))


def test_metadata_of_a_later_format_asks_for_a_newer_version(content, tmp_path):
    path = tmp_path / "x.tflite"
    path.write_bytes(with_text(content, dumped({"format": 2})))
    for reader in READERS:
        with pytest.raises(ValueError, match="reads formats up to 1. Install a newer made_tf"):
            reader(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda metadata: "no json",
        lambda metadata: "[]",
        lambda metadata: "",
        lambda metadata: '{"format": 1}',
        lambda metadata: '"sha256"',
    ],
    ids=["text", "list", "nothing", "no digest", "string"],
)
def test_metadata_that_says_nothing_is_refused(content, tmp_path, change):
    (tmp_path / "x.tflite").write_bytes(with_text(content, change))
    refused(READERS, tmp_path / "x.tflite")


def test_the_digest_is_that_of_the_file_with_zeros_in_its_place(content):
    start = content.find(b'"sha256":"') + 10
    cleared = content[:start] + b"0" * 64 + content[start + 64 :]
    assert content[start : start + 64].decode() == hashlib.sha256(cleared).hexdigest()


CHILD = """
import sys
from made_tf.export.runtime import LiteSampler
try:
    print("rows", LiteSampler(sys.argv[1]).sample(2).shape)
except ValueError as error:
    print("refused", error)
except RuntimeError as error:
    print("failed", error)
"""


def test_old_files_without_a_digest_are_read_and_damaged_ones_never_hang(undigested, tmp_path):
    path = tmp_path / "old.tflite"
    path.write_bytes(undigested)
    assert read_metadata(path) is None
    rows = LiteSampler(path).sample(5, seed=3)
    assert rows.shape == (5, 5)
    rng = np.random.default_rng(2)
    outcomes = []
    for index in range(8):
        damaged = bytearray(undigested)
        if index < 3:
            damaged = damaged[: rng.integers(100, len(damaged))]
        else:
            for place in rng.integers(0, len(damaged), 20):
                damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, timeout=60
        )
        outcomes.append(done.stdout.split()[0] if done.returncode == 0 else "crashed")
    # Nothing but the digest protects the interpreter itself; it must not hang, and the process
    # that asked is still here.
    assert len(outcomes) == 8 and set(outcomes) <= {"rows", "refused", "failed", "crashed"}
    assert set(outcomes[:3]) <= {"refused", "failed", "crashed"}


# Inputs.


@pytest.fixture(scope="module")
def device(path):
    return LiteSampler(path)


GOOD = np.array([[1, 2], [3, 4]], np.int32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.sample_from(GOOD.astype(np.int64)), "`seeds` must be int32"),
        (lambda d: d.sample_from(GOOD.astype(np.float32)), "`seeds` must be int32"),
        (lambda d: d.sample_from(GOOD[0]), "`seeds` must be int32 of shape"),
        (lambda d: d.sample_from(GOOD[:, :1]), "`seeds` must be int32 of shape"),
        (lambda d: d.sample_from(GOOD[:0]), "n at least 1"),
        (lambda d: d.sample_and_log_prob(GOOD[:0]), "n at least 1"),
        (lambda d: d.sample_at_temperature(GOOD, 0.0), "`temperature` must be a number from 1e-6"),
        (lambda d: d.sample_at_temperature(GOOD, np.nan), "`temperature` must be a number"),
        (lambda d: d.sample_at_temperature(GOOD, [1.0]), "or 2 of them"),
        (lambda d: d.sample_at_temperature(GOOD, 1e7), "from 1e-6 to 1e6"),
        (lambda d: d.sample_from_uniforms(np.full((2, 4), 0.5)), r"the shape \[n, 5\]"),
        (lambda d: d.sample_from_uniforms(np.full((0, 5), 0.5)), "n at least 1"),
        (lambda d: d.sample_from_uniforms(np.full((2, 5), 1.0)), "strictly between 0 and 1"),
        (lambda d: d.sample_from_uniforms(np.full((2, 5), np.nan)), "strictly between 0 and 1"),
        (lambda d: d.log_prob(np.full((1, 5), np.nan)), "`x` must be finite"),
        (lambda d: d.log_prob(np.full((1, 5), 0.5)), "values of the model's support"),
        (lambda d: d.log_prob(np.zeros((0, 5))), "n at least 1"),
        (lambda d: d.log_prob(np.zeros((2, 4))), r"the shape \[n, 5\]"),
        (lambda d: d.conditionals(np.full((1, 5), np.inf)), "`x` must be finite"),
        (
            lambda d: d.impute(np.zeros((2, 5))),
            "no signature 'impute': export it of a model of all",
        ),
        (lambda d: d.run("nothing"), "no signature 'nothing'"),
        (lambda d: d.sample(2**31), "`num_samples` must be"),
        (lambda d: d.sample(3, seed=2**31), "`seed` must be"),
        (lambda d: d.sample(3, seed=1.5), "`seed` must be"),
    ],
)
def test_inputs_out_of_range_are_told(device, call, message):
    with pytest.raises(ValueError, match=message):
        call(device)
    assert device.sample(2).shape == (2, 5)  # and the sampler still works


def forged(content, **entries):
    """The file with other metadata, and the digest that belongs to it."""
    model = read_model(content)
    (entry,) = (entry for entry in model.metadata if entry.name == b"made_tf")
    told = json.loads(bytes(model.buffers[entry.buffer].data)) | entries
    text = json.dumps(told, separators=(",", ":")).encode()
    model.buffers[entry.buffer].data = np.frombuffer(text, np.uint8)
    return seal(write_model(model))


@pytest.mark.parametrize(
    "entries",
    [
        {"num_uniforms": 4},
        {"event_size": 10**400},
        {"event_size": True},
        {"input_order": [1, 1, 2, 3, 4]},
        {"variables": [{"name": 3}] * 5},
        {"variables": {}},
        {"image_shape": [10**8, 10**8]},
        {"family": "bernoulli"},
        {"version": None},
        {"num_orders": -1},
        {"context": {"shape": [10**10]}},
        {"schema": []},
        {"licence": 3},
    ],
)
def test_forged_metadata_is_refused_by_its_entry(content, tmp_path, entries):
    path = tmp_path / "x.tflite"
    path.write_bytes(forged(content, **entries))
    for reader in READERS:
        with pytest.raises(ValueError, match=f"not as made_tf writes it: `{next(iter(entries))}`"):
            reader(path)


def test_sizes_are_checked_by_the_file_s_own_tensors(content, tmp_path):
    path = tmp_path / "x.tflite"
    smaller = {"event_size": 4, "input_order": [1, 2, 3, 4], "num_uniforms": 4}
    path.write_bytes(forged(content, **smaller))
    with pytest.raises(ValueError, match="tells of 4 variables and whose rows have 5"):
        LiteSampler(path)
