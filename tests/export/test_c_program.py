"""The C program: built by its one command, compared with Python, given bad files."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import reference

import made_tf
from made_tf import export
from made_tf.export import vectors

FOLDER = pathlib.Path(vectors.__file__).parent
pytestmark = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None or not (FOLDER / "c").is_dir(),
    reason="needs a C compiler and the sources",
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    command = ["bash", str(FOLDER / "c" / "build.sh"), str(folder)]
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run(command, check=True, env=environment, timeout=300)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory, unverified):
    path = tmp_path_factory.mktemp("model") / "made.tflite"
    made = reference.small_model("bernoulli", 64, hidden_units=(40,))
    with unverified():
        export.to_tflite(made, path, weights="int8", image_shape=(8, 8), signatures="sample")
    return path


def run(programs, *arguments, name="made_sample"):
    command = [str(programs / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("batch", [1, 256, 4096])
def test_it_draws_the_rows_of_python(programs, model, tmp_path, batch):
    count = 10_000 if batch > 1 else 300
    raw = tmp_path / "rows.f32"
    done = run(programs, model, "--seed", -7, "--count", count, "--batch", batch, "--raw", raw)
    assert done.returncode == 0, done.stderr
    rows = np.fromfile(raw, np.float32).reshape(-1, 64)
    np.testing.assert_array_equal(rows, export.LiteSampler(model).sample(count, seed=-7))


def test_classes_are_printed_as_numbers(programs, tmp_path, unchecked):
    path = tmp_path / "classes.tflite"
    export.to_tflite(reference.small_model("ragged"), path, signatures="sample")
    done = run(programs, path, "--count", 50, "--seed", 3)
    rows = np.loadtxt(done.stdout.splitlines(), dtype=np.float32)
    np.testing.assert_array_equal(rows, export.LiteSampler(path).sample(50, seed=3))


def test_an_ensemble_has_the_rows_of_python(programs, unverified, tmp_path):
    members = [reference.loud("bernoulli", 5, 3.0, seed=seed) for seed in range(2)]
    path, raw = tmp_path / "members.tflite", tmp_path / "rows.f32"
    with unverified():
        export.to_tflite(made_tf.Ensemble(members), path, signatures="sample")
    done = run(programs, path, "--count", 700, "--seed", 3, "--raw", raw)
    assert done.returncode == 0, done.stderr
    rows = np.fromfile(raw, np.float32).reshape(-1, 5)
    np.testing.assert_array_equal(rows, export.LiteSampler(path).sample(700, seed=3))


def test_a_sheet_has_the_pictures(programs, model, tmp_path):
    done = run(programs, model, "--count", 4, "--seed", 1, "--output", tmp_path / "sheet.pgm")
    assert done.returncode == 0, done.stderr
    content = (tmp_path / "sheet.pgm").read_bytes()
    magic, size, largest, pixels = content.split(b"\n", 3)
    width, height = map(int, size.split())
    assert magic == b"P5" and largest == b"255"
    sheet = np.frombuffer(pixels, np.uint8).reshape(height, width)
    ink = export.LiteSampler(model).sample(4, seed=1).sum()
    values, counts = np.unique(sheet, return_counts=True)
    assert ink in counts[(values == 0) | (values == 255)]
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.pgm"]


def test_its_uniforms_are_the_published_ones(programs):
    for row in json.loads((FOLDER / "test_vectors.json").read_text())["rows"]:
        done = run(programs, *row["seeds"], len(row["words"]), name="made_uniforms")
        lines = [line.split() for line in done.stdout.splitlines()]
        assert [word for word, _ in lines] == row["words"]
        bits = np.array([int(value, 16) for _, value in lines], np.uint32).view(np.float32)
        expected = np.array(row["uniforms_times_2_to_24"]) * 2.0**-24
        np.testing.assert_array_equal(bits, expected)


def test_bad_input_is_told_and_leaves_no_file(programs, model, tmp_path):
    content = model.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 4
    bad = {
        "half.tflite": content[: len(content) // 2],
        "flipped.tflite": bytes(flipped),
        "text.tflite": b"no model at all",
        "empty.tflite": b"",
    }
    for name, part in bad.items():
        (tmp_path / name).write_bytes(part)
    output = tmp_path / "out.pgm"
    for arguments, words in (
        *(((tmp_path / name, "--output", output), name) for name in bad),
        ((tmp_path / "missing.tflite",), "missing.tflite"),
        ((model, "--count", "0"), "--count must be an integer from 1"),
        ((model, "--seed", "2147483648"), "--seed must be"),
        ((model, "--batch", "x"), "--batch must be"),
        ((model, "--width", "3", "--height", "5", "--output", output), "Received: 3 x 5"),
        ((model, "--output", tmp_path / "no" / "folder.pgm"), "folder.pgm"),
        ((model, "--unknown", "1"), "--unknown"),
        ((), "the model is missing"),
    ):
        done = run(programs, *arguments)
        assert done.returncode in (1, 2) and words in done.stderr, (arguments, done.stderr)
    assert {path.name for path in tmp_path.iterdir()} == set(bad)


@pytest.fixture(scope="module")
def conditioned(tmp_path_factory, unverified):
    """Files of models with a context: of three numbers, and of 2 x 2 that a Keras model reads."""
    folder = tmp_path_factory.mktemp("conditioned")
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [keras.Input((2, 2)), keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(3)]
    )
    paths = [folder / "vector.tflite", folder / "encoder.tflite"]
    for path, context in zip(paths, (3, encoder), strict=True):
        made = reference.small_model("bernoulli", 16, hidden_units=(20,), context=context)
        with unverified():
            export.to_tflite(made, path, signatures="sample")
    return paths


@pytest.mark.parametrize("batch", [1, 64, 1024])
def test_all_rows_are_drawn_given_the_context(programs, conditioned, tmp_path, batch):
    vector, encoder = conditioned
    raw = tmp_path / "rows.f32"
    drawn = []
    for path, text, context in (
        (vector, "0.1,-2,3e0", [0.1, -2.0, 3.0]),
        (vector, "-3, 2, 0.7", [-3.0, 2.0, 0.7]),
        (encoder, "0.1,-2,3,1", [[0.1, -2.0], [3.0, 1.0]]),
    ):
        count = 300 if batch > 1 else 20
        options = ("--count", count, "--batch", batch, "--raw", raw, "--seed", 5)
        done = run(programs, path, *options, "--context", text)
        assert done.returncode == 0, done.stderr
        rows = np.fromfile(raw, np.float32).reshape(-1, 16)
        expected = export.LiteSampler(path).sample(count, seed=5, context=context)
        np.testing.assert_array_equal(rows, expected)
        drawn.append(rows)
    assert (drawn[0] != drawn[1]).any()


def test_a_context_that_does_not_suit_is_told(programs, model, conditioned, tmp_path):
    vector, encoder = conditioned
    output = tmp_path / "rows.f32"
    for path, text, words in (
        (vector, None, "--context must be given: "),
        (vector, None, "with a context of 3 number(s)"),
        (encoder, "1,2,3", "--context must have 4 number(s), as the model's context. Received: 3"),
        (vector, "1,2,3,", "Received: 4"),
        (vector, "", "Received: 1"),
        (vector, "1,x,3", "--context must be finite numbers with commas between them. Received: x"),
        (vector, "1,2,3x", "Received: 3x (number 3)"),
        (vector, "1,,3", "(number 2)"),
        (vector, "nan,2,3", "Received: nan (number 1)"),
        (vector, "1,1e39,3", "Received: 1e39 (number 2)"),
        (model, "1", "--context must not be given"),
    ):
        options = () if text is None else ("--context", text)
        done = run(programs, path, "--raw", output, *options)
        assert done.returncode == 1 and words in done.stderr, (options, done.stderr)
    assert list(tmp_path.iterdir()) == []
