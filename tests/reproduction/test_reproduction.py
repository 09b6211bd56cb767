"""`made-tf reproduce`: published sets trained on, records and tables of what came out."""

import json
import re

import keras
import numpy as np
import pytest
from command_line import run

from made_tf import MADE, Ensemble
from made_tf.reproduction import benchmark_sets, tables
from made_tf.reproduction.benchmark_sets import make_smoke_set
from made_tf.reproduction.records import Record, read_records
from made_tf.training.recipe import Recipe

QUICK = """
[model]
hidden_units = [8]
input_order = "random"
[training]
learning_rate = 0.01
steps = 5
looks = 4
"""


def fails(*arguments):
    return run(*arguments, exit_code=2).stderr.strip().splitlines()[-1]


@pytest.fixture
def quick(tmp_path):
    path = tmp_path / "quick.toml"
    path.write_text(QUICK)
    return path


@pytest.fixture
def small_set(monkeypatch):
    """Puts small made-up rows in the place of the set adult."""
    monkeypatch.setattr(benchmark_sets, "load_set", lambda name, data_dir: make_smoke_set())


def no_training(*args, **kwargs):
    pytest.fail("trained again")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    output = tmp_path_factory.mktemp("smoke")
    return output, run("reproduce", "--smoke", "-o", output)


def test_smoke(smoke):
    output, result = smoke
    assert "any_order, model 1 of 2: validation NLL" in result.stdout
    assert "| smoke | smoke | 1 |" in result.stdout
    assert "smoke-smoke-0: recipe smoke, candidate " in result.stdout
    assert "(of fixed, any_order)" in result.stdout
    assert (output / "table.md").read_text() in result.stdout
    (record,) = read_records(output / "records")
    assert record.smoke and record.members == 2 and record.seed == 0
    assert record.candidate in ("fixed", "any_order") and len(record.rejected) == 1
    chosen, other = record.training[0], record.rejected[0]
    assert chosen["valid_nll"] <= other["valid_nll"]
    assert chosen["seed"] == other["seed"] == 0 and record.training[1]["seed"] == 1
    assert record.settings == Recipe.load("smoke").to_dict()
    assert record.wall_seconds > 0 and record.cpu_seconds > 0 and record.peak_bytes > 1e7
    backend = keras.backend.backend()
    assert {"made_tf", "keras", backend, "numpy", "python", "device"} <= set(record.versions)
    for model in (chosen, other):
        curve = np.array(model["curve"])
        assert curve[-1, 0] == model["looks"] and curve[0, 0] == 1
        assert curve[:, 2].argmin() == list(curve[:, 0]).index(model["best_look"])


def test_the_record_tells_what_the_saved_ensemble_gives(smoke):
    output, _ = smoke
    (record,) = read_records(output / "records")
    ensemble = keras.saving.load_model(output / "models" / "smoke-smoke-0.keras")
    assert isinstance(ensemble, Ensemble) and len(ensemble.members) == 2
    splits = make_smoke_set()
    nll = -np.asarray(ensemble.log_prob(splits.test), np.float64)
    assert nll.mean() == pytest.approx(record.test_nll, abs=1e-5)
    assert nll.std(ddof=1) / np.sqrt(len(nll)) == pytest.approx(record.test_standard_error)
    assert -np.mean(ensemble.log_prob(splits.valid)) == pytest.approx(record.valid_nll, abs=1e-5)
    for index, told in enumerate(record.training):
        own = -np.mean(ensemble.members[index].log_prob(splits.valid))
        assert own == pytest.approx(told["valid_nll"], abs=1e-5)


def test_what_is_done_is_not_done_again(smoke, monkeypatch):
    output, _ = smoke
    monkeypatch.setattr(MADE, "fit", no_training)
    assert "done before" in run("reproduce", "--smoke", "-o", output).stdout
    (path,) = (output / "records").iterdir()
    saved = path.read_text()
    path.unlink()  # the models are there still
    again = run("reproduce", "--smoke", "-o", output)
    assert "test NLL" in again.stdout
    assert json.loads(path.read_text())["test_nll"] == json.loads(saved)["test_nll"]


def test_seeds_and_a_recipe_of_ones_own(tmp_path, quick, small_set):
    command = ("reproduce", "adult", "--data-dir", tmp_path, "-o", tmp_path / "r")
    result = run(*command, "--recipe", quick, "--seed", 3, "--seeds", 2)
    found = read_records(tmp_path / "r" / "records")
    assert [(record.set, record.recipe, record.seed) for record in found] == [
        ("adult", "quick", 3),
        ("adult", "quick", 4),
    ]
    first, second = (record.test_nll for record in found)
    assert first != second
    row = next(line for line in result.stdout.splitlines() if line.startswith("| adult"))
    error = abs(first - second) / 2
    assert f"| adult | quick | 2 | {(first + second) / 2:.3f} ± {error:.3f} |" in row
    assert "13.12 (MADE)" in row and f"{13.12 - (first + second) / 2:.3f}" in row
    assert (tmp_path / "r" / "plot.png").read_bytes()[:4] == b"\x89PNG"
    quick.write_text(QUICK.replace("looks = 4", "looks = 5"))
    message = fails(*command, "--recipe", quick, "--seed", 3)
    assert "was made by another recipe of the same name" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give NAMEs of sets, or --all, or --smoke"),
        (("adult", "--all"), "give NAMEs of sets, or --all, or --smoke"),
        (("adult", "--smoke"), "--smoke has rows of its own"),
        (("adult",), "--data-dir .* is needed"),
        (("nips", "--data-dir", "."), "NAME must be one of adult, .* Received: nips"),
        (("adult", "--data-dir", ".", "--recipe", "best"), "`recipe` must be a .toml file or one"),
    ],
)
def test_bad_arguments(tmp_path, monkeypatch, arguments, message):
    monkeypatch.delenv("MADE_TF_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert re.search(message, fails("reproduce", *arguments))
    assert not (tmp_path / "made-reproduce").exists()


def test_a_foreign_record_is_named(tmp_path, smoke):
    output = tmp_path / "r"
    (output / "records").mkdir(parents=True)
    (output / "records" / "x.json").write_text("{}")
    assert "x.json is not a record" in fails("reproduce", "--smoke", "-o", output)


def test_list():
    text = run("reproduce", "--list").stdout
    assert all(name in text for name in benchmark_sets.set_names())
    assert "default" in text


def test_the_table_and_the_plot_put_seeds_together():
    def record(name, recipe, seed, nll):
        facts = dict.fromkeys(Record.__dataclass_fields__, 0)
        return Record(**{**facts, "set": name, "recipe": recipe, "seed": seed, "test_nll": nll})

    given = [
        record("dna", "dna", 1, 78.0),
        record("adult", "default", 0, 13.2),
        record("dna", "dna", 0, 79.0),
        record("adult", "adult", 0, 13.0),
    ]
    found = tables.summaries(given)
    assert [(row["set"], row["recipe"], row["nll"]) for row in found] == [
        ("adult", "adult", [13.0]),
        ("adult", "default", [13.2]),
        ("dna", "dna", [79.0, 78.0]),
    ]
    assert found[2]["mean"] == 78.5 and found[2]["error"] == pytest.approx(0.5)
    axis = tables.plot_records(given).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["adult", "dna"]
    own, default = (bars.lines[0].get_xdata().astype(float) for bars in axis.containers)
    np.testing.assert_allclose(own, [12 / 13.12, 116 / 79.66])
    np.testing.assert_allclose(default, [-8 / 13.12])
