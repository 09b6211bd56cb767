"""Files that commands are given: damaged, foreign, the same as an output."""

import os

import keras
import numpy as np
from command_line import TINY, fails


def test_bad_models(tmp_path, rows, model, tflite):
    for name, content in [
        ("cut.keras", model.read_bytes()[:1000]),
        ("empty.keras", b""),
        ("text.keras", b"hello"),
        ("cut.tflite", tflite.read_bytes()[:1000]),
        ("text.tflite", b"hello"),
        ("model.h5", b"hello"),
    ]:
        bad = tmp_path / name
        bad.write_bytes(content)
        assert str(bad) in fails("evaluate", bad, rows)
        assert str(bad) in fails("sample", bad, "-o", tmp_path / "x.npz")
        assert str(bad) in fails("inspect", bad)
        if not name.endswith(".tflite"):
            assert str(bad) in fails("export", bad, "-o", tmp_path / "x.tflite")
        bad.unlink()
    assert os.listdir(tmp_path) == []


def test_a_keras_model_that_is_no_made(tmp_path, rows):
    other = keras.Sequential([keras.Input([6]), keras.layers.Dense(1)])
    other.save(tmp_path / "other.keras")
    assert "must hold a MADE model" in fails("evaluate", tmp_path / "other.keras", rows)


def test_an_output_is_never_an_input(tmp_path, model, tflite):
    table, link = tmp_path / "rows.csv", tmp_path / "link.csv"
    table.write_text("a,b,c,d,e,f\n" + "0,1,0,1,0,1\n" * 20)
    link.symlink_to(table)
    before = table.read_bytes()
    commands = [
        ("evaluate", model, table, "--per-row", table),
        ("evaluate", model, table, "--per-row", link),
        ("evaluate", model, link, "--per-row", table),
        ("train", table, "-o", tmp_path / "m.keras", "--history", link, *TINY),
        ("export", tflite, "-o", tflite),
    ]
    for command in commands:
        assert "would overwrite the input" in fails(*command)
    assert table.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["link.csv", "rows.csv"]


def test_weights_that_are_not_finite(tmp_path, model, rows):
    broken = keras.saving.load_model(model)
    layer = next(iter(broken.masked_layers()))
    layer.bias.assign(np.full(layer.bias.shape, np.nan))
    broken.save(tmp_path / "m.keras")
    for command in (("inspect",), ("evaluate", rows), ("sample", "-o", tmp_path / "s.csv")):
        message = fails(command[0], tmp_path / "m.keras", *command[1:])
        assert "m.keras must have finite weights" in message
