"""`made-tf train` by recipes: what options override, what is left out, what a run tells."""

import json
import os

import keras
import numpy as np
import pytest
from command_line import fails, run

import made_tf
from made_tf import Ensemble
from made_tf.training import by_recipe
from made_tf.training.recipe import Recipe

TWO = """
[model]
hidden_units = [8]
[training]
steps = 5
looks = 2
[candidates.one-layer.model]
dropout = 0.1
[candidates.two-layers.model]
hidden_units = [8, 8]
"""


@pytest.fixture
def two(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(TWO)
    return path


def test_a_run_tells_its_recipe_and_its_candidate(tmp_path, rows, two, trained):
    result = run("train", rows, "-o", tmp_path / "m.keras", "--recipe", two)
    nll = {
        line.split(":")[0].strip(): float(line.split("NLL ")[1].split()[0])
        for line in result.stdout.splitlines()
        if line.startswith("  ")
    }
    assert list(nll) == ["one-layer", "two-layers"]
    best = min(nll, key=nll.get)
    assert f"recipe          two, candidate {best} (of one-layer, two-layers)\n" in result.stdout
    assert f"validation NLL  {nll[best]:.4f} nats per row" in result.stdout
    layers = len(keras.saving.load_model(tmp_path / "m.keras").degrees.hidden)
    assert layers == (1 if best == "one-layer" else 2)
    assert "recipe          single\n" in trained[0].stdout


def test_options_override_the_recipe_for_all_candidates(tmp_path, rows, two):
    command = ("train", rows, "-o", tmp_path / "m.keras", "--recipe", two)
    options = ("--dropout", 0.3, "--hidden-units", "4,4", "--epochs", 1, "--batch-size", 100)
    result = run(*command, *options, "--members", 2)
    assert result.stdout.count("after 1 of 1 looks") == 2
    assert result.stdout.count("  one-layer, model 1 of 2: ") == 1
    assert "two-layers" not in result.stdout  # has become the same, and is trained once
    assert "recipe          two, candidate one-layer\n" in result.stdout
    ensemble = keras.saving.load_model(tmp_path / "m.keras")
    assert isinstance(ensemble, Ensemble) and len(ensemble.members) == 2
    for member in ensemble.members:
        assert [len(level) for level in member.degrees.hidden] == [4, 4]
        assert member.dropout == 0.3
        assert int(member.optimizer.iterations) == 5  # 500 rows


def test_candidates_that_options_make_impossible_are_left_out(tmp_path, rows, two):
    command = ("train", rows, "-o", tmp_path / "m.keras", "--recipe", two)
    result = run(*command, "--residual")
    assert "  one-layer is left out: `residual` needs several hidden layers" in result.stdout
    assert "recipe          two, candidate two-layers\n" in result.stdout
    assert keras.saving.load_model(tmp_path / "m.keras").residual
    (tmp_path / "m.keras").unlink()
    message = fails(*command, "--num-orders", 3)  # of one mask each
    assert "`num_orders` must be at most" in message and "num_masks=1" in message
    assert sorted(os.listdir(tmp_path)) == ["two.toml"]


def test_a_few_masks_are_all_that_is_averaged(tmp_path, rows):
    (tmp_path / "any.toml").write_text(
        "num_orders = 64\n[model]\nhidden_units = [8]\nnum_masks = 'fresh'\n"
        "[training]\nvalidation_orders = 4\n"
    )
    command = ("train", rows, "-o", tmp_path / "m.keras", "--recipe", tmp_path / "any.toml")
    run(*command, "--num-masks", 3, "--resample", "order", "--epochs", 1)
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert (loaded.mask_sets.num_masks, loaded.num_orders) == (3, 3)
    assert loaded.mask_sets.resample == "order"
    message = fails(*command, "--num-masks", 3, "--num-orders", 4)
    assert "num_masks=3. Received: num_orders=4" in message


def test_parts_of_another_recipe_are_refused(tmp_path, rows, two, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    command = ("train", rows, "-o", tmp_path / "m.keras", "--recipe", two)
    with monkeypatch.context() as patch:
        patch.setattr(by_recipe, "Ensemble", interrupted)  # when all is trained
        result = run(*command, exit_code=130)
    assert "The best model so far is in" in result.stderr
    left = sorted(os.listdir(tmp_path / "m.keras.parts"))
    assert left == [
        f"{name}-member-0.{ending}"
        for name in ("one-layer", "two-layers")
        for ending in ("json", "keras")
    ]
    message = fails(*command, "--dropout", 0.4)
    assert "one-layer-member-0.keras was trained on other rows, by another recipe" in message
    assert message.endswith("(`restart` is the option --restart)")
    with monkeypatch.context() as patch:
        patch.setattr(made_tf.MADE, "fit", interrupted)  # nothing is trained again
        run(*command)
    assert sorted(os.listdir(tmp_path)) == ["m.keras", "two.toml"]


@pytest.mark.parametrize("name", ["../../escaped", "a/b", ".hidden"])
def test_names_that_are_paths_are_refused(tmp_path, rows, name):
    (tmp_path / "r.toml").write_text(f"[candidates.'{name}']\n")
    message = fails("train", rows, "-o", tmp_path / "m.keras", "--recipe", tmp_path / "r.toml")
    assert "names of letters, digits, _, - and (not first) . alone" in message
    assert repr(name) in message
    assert os.listdir(tmp_path) == ["r.toml"]


def test_help_says_that_the_recipe_decides():
    text = " ".join(run("train", "--help").stdout.split())
    assert text.count("[default: as the recipe says]") == 14


def test_train_by_a_recipe(tmp_path, rows):
    (tmp_path / "quick.toml").write_text(
        "members = 2\n[model]\nhidden_units = [8]\ninput_order = 'random'\n"
        "[training]\nlearning_rate = 0.01\nsteps = 5\nlooks = 4\n"
    )
    output, history = tmp_path / "m.keras", tmp_path / "h.csv"
    quick = tmp_path / "quick.toml"
    command = ("train", rows, "-o", output, "--recipe", quick, "--history", history)
    result = run(*command)
    model = keras.saving.load_model(output)
    assert [len(degrees) for degrees in model.degrees.hidden] == [8]
    assert "test NLL" in result.stdout and "validation NLL" in result.stdout
    assert [line.split(",")[0] for line in history.read_text().splitlines()[1:]] == list("1234")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h.csv", "m.keras", "quick.toml"]
    run(*command, "--members", 2)
    ensemble = keras.saving.load_model(output)
    assert isinstance(ensemble, Ensemble) and len(ensemble.members) == 2
    x = np.load(rows)["test"]
    np.testing.assert_allclose(ensemble.members[0].log_prob(x), model.log_prob(x), atol=1e-5)
    scores = json.loads(run("evaluate", output, rows, "--json").stdout)
    assert scores["nll"] == pytest.approx(-np.mean(ensemble.log_prob(x)), abs=1e-5)
    run("sample", output, "-n", 5, "-o", tmp_path / "drawn.csv")
    assert len((tmp_path / "drawn.csv").read_text().splitlines()) == 6
    assert json.loads(run("inspect", output, "--json").stdout)["members"] == 2
    assert "mixture of 2 models" in run("inspect", output).stdout
    assert "must hold a MADE model. It holds: Ensemble" in fails(
        "export", output, "-o", tmp_path / "m.tflite", "--micro"
    )
    assert "--num-orders is for single models" in fails("evaluate", output, rows, "--num-orders", 2)


def test_train_takes_the_default_recipe(tmp_path, rows, monkeypatch):
    seen = []

    def stop(recipe, *args, **kwargs):
        seen.append(recipe)
        raise KeyboardInterrupt

    monkeypatch.setattr(by_recipe, "train_ensemble", stop)
    result = run("train", rows, "-o", tmp_path / "m.keras", exit_code=130)
    assert "nothing to keep" in result.stderr
    assert seen == [Recipe.load("default").overridden(members=1)]


def test_parts_that_are_foreign_are_left_alone(tmp_path, rows, two):
    parts = tmp_path / "m.keras.parts"
    parts.mkdir()
    (parts / "mine.txt").write_text("x")
    command = ("train", rows, "-o", tmp_path / "m.keras", "--recipe", two)
    for options in ((), ("--restart",)):
        assert "It holds mine.txt" in fails(*command, *options)
    assert (parts / "mine.txt").exists()
