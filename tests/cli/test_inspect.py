"""`made-tf inspect` and `made-tf export`: what files hold, and how they come about."""

import json
import os

import reference
from command_line import fails, run

from made_tf import export
from made_tf.cli.texts import printable


def test_export_prints_its_report(exported):
    result, path = exported
    assert f"{path.stat().st_size:,} bytes" in result.stdout
    assert "builtin" in result.stdout


def test_inspect_keras(model):
    facts = json.loads(run("inspect", model, "--json").stdout)
    assert facts["event_size"] == 6
    assert facts["conditionals"] == "bernoulli"
    assert facts["input_order"] == [1, 2, 3, 4, 5, 6]
    assert [layer["shape"] for layer in facts["layers"]] == [[6, 16], [16, 6], [6, 6]]
    assert facts["layers"][2]["live_weights"] == 15
    assert facts["parameters"] == 6 * 16 + 16 + 16 * 6 + 6 + 36
    assert facts["size_bytes"] == model.stat().st_size
    text = run("inspect", model).stdout
    assert "D = 6" in text
    assert "15 of 36 weights live" in text


def test_inspect_tflite(tflite):
    facts = json.loads(run("inspect", tflite, "--json").stdout)
    assert set(facts["signatures"]) == {"sample", "log_prob", "conditionals"}
    text = run("inspect", tflite).stdout
    assert "signature sample: seeds int32 [n, 2] -> x float32 [n, 6]" in text
    assert "operators: " in text


def test_a_fixed_mask_is_not_worth_a_line(model):
    assert "masks" not in run("inspect", model).stdout
    assert json.loads(run("inspect", model, "--json").stdout)["num_masks"] == 1


def test_what_is_exported_already(tmp_path, tflite):
    message = fails("export", tflite, "-o", tmp_path / "x.tflite")
    assert "is exported already: MODEL must be a file that ends in .keras" in message
    assert os.listdir(tmp_path) == []


def test_names_in_files_do_nothing_to_a_terminal():
    text = "ok \N{LATIN SMALL LETTER E WITH ACUTE}\n\x1b[2J\x9bm\u202e\r"
    assert printable(text) == "ok \N{LATIN SMALL LETTER E WITH ACUTE}\n\\x1b[2J\\x9bm\\u202e\\r"


def test_inspect_prints_no_raw_escapes(tmp_path):
    path = tmp_path / "made.tflite"
    named = [{"name": f"a{k}\x1b[31m"} for k in range(3)]
    model = reference.small_model(event_size=3)
    export.to_tflite(model, path, variables=named, signatures="sample", licence="free\x1b[2J")
    output = run("inspect", path).output
    assert "\x1b" not in output and "free\\x1b[2J" in output
