"""`made-tf export`: formats, names, and what is wrong."""

import json

import pytest
import reference
from command_line import fails, run


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.keras"
    reference.small_model("bernoulli", 4).save(path)
    return path


def test_it_exports_in_a_format_with_names(model, tmp_path):
    (tmp_path / "rows.csv").write_text("a,b,c,d\n0,1,1,0\n1,0,0,1\n")
    path = tmp_path / "made.tflite"
    options = ["--weights", "int8", "--batch-sizes", "1,4", "--signatures", "sample,log_prob"]
    options += ["--data", tmp_path / "rows.csv", "--image-shape", "2x2", "--licence", "MIT"]
    (tmp_path / "card.json").write_text('{"data": "two rows", "metrics": {"nll": 1.5}}')
    options += ["--variables", tmp_path / "rows.csv", "--card", tmp_path / "card.json"]
    report = run("export", model, "-o", path, *options).stdout
    assert "weights: int8" in report and "NLL on the given rows" in report
    told = run("inspect", path).stdout
    for words in ("signature sample_4: seeds int32 [4, 2]", "picture of 2x2", "licence: MIT"):
        assert words in told
    assert "  metrics: nll 1.5\n  intended use: not said\n" in told
    assert "variable c" in told and "bytes: weights" in told
    facts = json.loads(run("inspect", path, "--json").stdout)
    assert [entry["name"] for entry in facts["metadata"]["variables"]] == list("abcd")


def test_it_tells_what_is_wrong(model, tmp_path):
    (tmp_path / "names.json").write_text("{no json")
    (tmp_path / "names.txt").write_text("a")
    output = tmp_path / "made.tflite"
    for options, words in (
        (["--variables", tmp_path / "names.json"], "names.json is not readable"),
        (["--variables", tmp_path / "names.txt"], "must end in .json or .csv"),
        (["--signatures", "impute"], "`signatures` must be"),
        (["--micro", "--weights", "int8"], "--micro goes with MODEL, --output, --licence"),
        (["--weights", "dynamic"], "Invalid value for '--weights'"),
    ):
        assert words in fails("export", model, "-o", output, *options)
    assert {path.name for path in tmp_path.iterdir()} == {"model.keras", "names.json", "names.txt"}


def test_it_exports_for_microcontrollers(model, tmp_path):
    output = tmp_path / "made.tflite"
    card = tmp_path / "card.toml"
    card.write_text('data = "chains of bits"\n')
    command = "export", model, "-o", output, "--micro", "--card", card, "--licence", "CC0"
    assert "MicroMutableOpResolver" in run(*command).stdout
    told = run("inspect", output).stdout
    assert "chains of bits" in told and "CC0" in told
