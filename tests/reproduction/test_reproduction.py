"""`made-tf reproduce`, `tune` and `train` by a recipe."""

import dataclasses
import json
import re
import shutil

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from made_tf import Ensemble
from made_tf.cli import main
from made_tf.reproduction import benchmark_sets, tables
from made_tf.reproduction.benchmark_sets import make_smoke_set
from made_tf.reproduction.records import Record, read_records
from made_tf.training import by_recipe as ensemble_training
from made_tf.training.by_recipe import train_ensemble, train_member
from made_tf.training.recipe import Recipe

QUICK = """
members = 2
[model]
hidden_units = [8]
input_order = "random"
[training]
learning_rate = 0.01
steps = 5
looks = 4
"""


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result


def fails(*arguments):
    return run(*arguments, exit_code=2).stderr.strip().splitlines()[-1]


@pytest.fixture
def quick(tmp_path):
    path = tmp_path / "quick.toml"
    path.write_text(QUICK)
    return path


@pytest.fixture
def rows(tmp_path):
    splits = make_smoke_set()
    path = tmp_path / "rows.npz"
    np.savez(path, train=splits.train, valid=splits.valid, test=splits.test)
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
    monkeypatch.setattr(ensemble_training, "fit_resumably", no_training)
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


def test_an_ensemble_goes_on_where_it_was(tmp_path, quick, monkeypatch):
    recipe, splits = Recipe.load(quick), make_smoke_set()
    whole = train_ensemble(recipe, splits, tmp_path / "whole", echo=str, progress=False)
    real = ensemble_training.fit_resumably
    calls = []

    def second_fails(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(ensemble_training, "fit_resumably", second_fails)
    with pytest.raises(KeyboardInterrupt):
        train_ensemble(recipe, splits, tmp_path / "cut", echo=str, progress=False)
    resumed = train_ensemble(recipe, splits, tmp_path / "cut", echo=str, progress=False)
    assert len(calls) == 3
    np.testing.assert_allclose(
        resumed.ensemble.log_prob(splits.test), whole.ensemble.log_prob(splits.test), atol=1e-5
    )


def test_members_of_other_rows_or_recipes_are_refused(tmp_path, quick):
    recipe, splits = Recipe.load(quick), make_smoke_set()
    train_member(recipe, splits, tmp_path / "m.keras", 0, progress=False)
    for other, seed, rows in (
        (recipe, 1, splits),
        (recipe.from_dict("quick", {"members": 2}), 0, splits),
        (recipe, 0, make_smoke_set(seed=1)),
    ):
        with pytest.raises(ValueError, match="was trained on other rows, by another recipe or"):
            train_member(other, rows, tmp_path / "m.keras", seed, progress=False)


def test_a_member_from_before_a_setting_existed_is_found(tmp_path, quick, monkeypatch):
    recipe, splits = Recipe.load(quick), make_smoke_set()
    train_member(recipe, splits, tmp_path / "m.keras", 0, progress=False)
    facts = tmp_path / "m.json"
    content = json.loads(facts.read_text())
    del content["made_by"]["recipe"]["training"]["optimizer"]
    facts.write_text(json.dumps(content))
    monkeypatch.setattr(ensemble_training, "fit_resumably", no_training)
    train_member(recipe, splits, tmp_path / "m.keras", 0, progress=False)


def test_a_search_of_another_space_is_refused(tmp_path, rows, monkeypatch):
    pytest.importorskip("optuna")
    command = ("tune", rows, "-o", tmp_path / "best.toml", "--looks", 1, "--trials")
    run(*command, 1)
    monkeypatch.setattr("made_tf.reproduction.tuning._SPACE", 3)
    assert "with other settings" in fails(*command, 2)


def test_weight_decay_reaches_the_optimizer(tmp_path, quick):
    splits = make_smoke_set()
    norms = []
    for decay in (0.0, 5.0):
        recipe = Recipe.load(quick)
        training = {"training": {"weight_decay": decay, "looks": 4, "steps": 5}}
        recipe = recipe.from_dict("d", {"model": recipe.model, **training})
        model, _ = train_member(recipe, splits, tmp_path / f"{decay}.keras", 0, progress=False)
        norms.append(float(np.abs(np.array(model.hidden_layers[0].kernel)).mean()))
    assert norms[1] < norms[0] * 0.99


def test_train_by_a_recipe(tmp_path, rows, quick):
    output, history = tmp_path / "m.keras", tmp_path / "h.csv"
    command = ("train", rows, "-o", output, "--recipe", quick, "--history", history)
    result = run(*command)
    model = keras.saving.load_model(output)
    assert [len(degrees) for degrees in model.degrees.hidden] == [8]
    assert "test NLL" in result.stdout and "validation NLL" in result.stdout
    assert [line.split(",")[0] for line in history.read_text().splitlines()[1:]] == list("1234")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("h.csv", "m.keras", "quick.toml", "rows.npz"),
    ]
    run(*command, "--members", 2)
    ensemble = keras.saving.load_model(output)
    assert isinstance(ensemble, Ensemble) and len(ensemble.members) == 2
    x = make_smoke_set().test
    np.testing.assert_allclose(ensemble.members[0].log_prob(x), model.log_prob(x), atol=1e-5)
    scores = json.loads(run("evaluate", output, rows, "--json").stdout)
    assert scores["nll"] == pytest.approx(-np.mean(ensemble.log_prob(x)), abs=1e-5)
    run("sample", output, "-n", 5, "-o", tmp_path / "drawn.csv")
    assert len((tmp_path / "drawn.csv").read_text().splitlines()) == 6
    assert json.loads(run("inspect", output, "--json").stdout)["members"] == 2
    assert "mixture of 2 models" in run("inspect", output).stdout
    assert "must hold a MADE model. It holds: Ensemble" in fails(
        "export", output, "-o", tmp_path / "m.tflite"
    )
    assert "--num-orders is for single models" in fails("evaluate", output, rows, "--num-orders", 2)


def test_train_takes_the_default_recipe(tmp_path, rows, monkeypatch):
    seen = []

    def stop(recipe, *args):
        seen.append(recipe)
        raise KeyboardInterrupt

    monkeypatch.setattr(ensemble_training, "train_ensemble", stop)
    result = run("train", rows, "-o", tmp_path / "m.keras", exit_code=130)
    assert "The same command resumes." in result.stderr
    assert seen == [dataclasses.replace(Recipe.load("default"), members=1)]


def test_options_and_recipes_exclude_each_other(tmp_path, rows, quick):
    command = ("train", rows, "-o", tmp_path / "m.keras", "--recipe", quick)
    assert "says itself what --hidden-units says" in fails(*command, "--hidden-units", 5)
    assert "says itself what --dropout says" in fails(*command, "--dropout", 0.1)


def test_parts_that_are_foreign_are_left_alone(tmp_path, rows, quick):
    parts = tmp_path / "m.keras.parts"
    parts.mkdir()
    (parts / "mine.txt").write_text("x")
    command = ("train", rows, "-o", tmp_path / "m.keras", "--recipe", quick)
    for options in ((), ("--restart",)):
        assert "It holds mine.txt" in fails(*command, *options)
    assert (parts / "mine.txt").exists()


def test_tune_finds_a_recipe_and_goes_on(tmp_path, rows):
    pytest.importorskip("optuna")
    output = tmp_path / "best.toml"
    command = ("tune", rows, "-o", output, "--looks", 2, "--trials")
    first = run(*command, 2)
    assert first.stdout.count("  trial ") == 2
    more = run(*command, 4)
    assert more.stdout.count("  trial ") == 2 and "  trial 3: " in more.stdout
    values = [
        float(line.split("NLL ")[1].split(":")[0])
        for line in (first.stdout + more.stdout).splitlines()
        if line.startswith("  trial ")
    ]
    assert f"validation NLL  {min(values):.4f}" in more.stdout
    recipe = Recipe.load(output)
    assert f"{min(values):.4f}" in recipe.about and recipe.training.looks == 2
    assert "with other settings" in fails(*command, 5, "--seed", 1)
    shutil.copy(output, tmp_path / "copy.toml")
    run("train", rows, "-o", tmp_path / "m.keras", "--recipe", tmp_path / "copy.toml")
    nll = -np.mean(keras.saving.load_model(tmp_path / "m.keras").log_prob(make_smoke_set().valid))
    assert nll == pytest.approx(min(values), abs=2e-3)
