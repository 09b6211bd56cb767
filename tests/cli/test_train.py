"""`made-tf train`: what its options do."""

import dataclasses
import json
import os

import keras
import numpy as np
import pytest
from command_line import SMALL, TINY, fails, make_rows, run

import made_tf
from made_tf import Ensemble
from made_tf.training import by_recipe
from made_tf.training.callbacks import ProgressBar
from made_tf.training.recipe import Recipe


def test_train(trained, folder):
    result, path, history = trained
    assert "validation NLL" in result.stdout
    assert "test NLL" in result.stdout
    assert str(path) in result.stdout
    assert "3/3" in result.stderr
    lines = history.read_text().splitlines()
    assert lines[0].startswith("epoch,")
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3"]
    assert not [name for name in os.listdir(folder) if "tmp" in name or name.endswith(".run")]


@pytest.mark.parametrize("family", ["categorical", "normal"])
def test_other_families(tmp_path, family):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, [60, 2]) if family == "categorical" else rng.normal(size=[60, 2])
    table = "\n".join(["a,b", *(f"{a},{b}" for a, b in x)])
    (tmp_path / "x.csv").write_text(table)
    output = tmp_path / "m.keras"
    result = run("train", tmp_path / "x.csv", "-o", output, "--conditionals", family, *TINY)
    assert "test NLL" not in result.stdout
    assert json.loads(run("inspect", output, "--json").stdout)["conditionals"] == family
    run("evaluate", output, tmp_path / "x.csv")
    device = tmp_path / "m.tflite"
    assert "builtin" in run("export", output, "-o", device).stdout
    samples = []
    for source in (output, device):
        run("sample", source, "-n", 20, "--seed", 3, "-o", tmp_path / "s.npz")
        samples.append(np.load(tmp_path / "s.npz")["x"])
    np.testing.assert_allclose(*samples, rtol=0 if family == "categorical" else 1e-4, atol=1e-5)
    assert samples[0].shape == (20, 2)


def test_a_class_that_training_rows_lack(tmp_path):
    np.savez(
        tmp_path / "x.npz",
        train=np.zeros([20, 2]),
        valid=np.ones([5, 2]),
        test=np.full([5, 2], 3.0),
    )
    output = tmp_path / "m.keras"
    run("train", tmp_path / "x.npz", "-o", output, "--conditionals", "categorical", *TINY)
    assert keras.saving.load_model(output).conditionals.num_classes == [4, 4]


def test_all_options_reach_the_model(tmp_path, rows):
    output = tmp_path / "m.keras"
    run(
        *("train", rows, "-o", output, "--recipe", "single", "--epochs", 1),
        *("--hidden-units", "20,10", "--no-direct"),
        *("--input-order", "random", "--hidden-degrees", "random", "--activation", "tanh"),
        *("--dropout", 0.25, "--learning-rate", 0.002, "--seed", 5, "--batch-size", 64),
    )
    loaded = keras.saving.load_model(output)
    assert [len(degrees) for degrees in loaded.degrees.hidden] == [20, 10]
    assert not loaded.direct_connections
    assert loaded.degrees.inputs.tolist() != [1, 2, 3, 4, 5, 6]
    assert loaded.activation is keras.activations.tanh
    assert loaded.dropout == 0.25
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.002)
    assert int(loaded.optimizer.iterations) == 8
    evenly = [1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5, 5]  # not drawn
    assert loaded.degrees.hidden[0].tolist() != evenly
    assert not loaded.residual
    run("train", rows, "-o", output, *TINY, "--hidden-units", "8,8", "--residual")
    assert keras.saving.load_model(output).residual
    assert loaded.seed == 5000  # that of the first member of an ensemble with seed 5
    assert loaded.mask_sets.is_fixed


def test_all_options_reach_the_training(tmp_path, monkeypatch):
    np.savez(tmp_path / "x.npz", make_rows(100, 0))
    seen = {}

    def train(recipe, splits, folder, seed, family, **options):
        seen.update(options, sizes=(len(splits.train), len(splits.valid)), seed=seed)
        seen.update(recipe=recipe, folder=folder, family=family.name)
        raise ValueError("enough")

    monkeypatch.setattr(by_recipe, "train_ensemble", train)
    fails(
        *("train", tmp_path / "x.npz", "-o", tmp_path / "m.keras", "--patience", 7, "--seed", 5),
        *("--validation-fraction", 0.25, "--epochs", 9, "--batch-size", 11, "--restart"),
        *("--conditionals", "categorical", "--members", 3, "--num-masks", 20, "--num-orders", 9),
    )
    assert seen["sizes"] == (75, 25)
    assert seen["folder"] == tmp_path / "m.keras.parts"
    assert (seen["seed"], seen["family"], seen["restart"]) == (5, "categorical", True)
    expected = Recipe.load("default").overridden(
        patience=7, steps=0, looks=9, batch_size=11, members=3, num_masks=20, num_orders=9
    )
    assert seen["recipe"] == expected


def test_narrow_layers_are_a_warning(tmp_path, rows):
    result = run(
        *("train", rows, "-o", tmp_path / "m.keras", "--recipe", "single", "--epochs", 1),
        *("--hidden-units", "2", "--no-direct"),
    )
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("Warning: "))
    assert "out of the network's reach" in line


def test_bad_training_data(tmp_path, rows):
    output = tmp_path / "m.keras"
    bad = tmp_path / "bad.csv"
    for text, message in [
        ("a,b\n1,x\n", "column 'b' is not numeric"),
        ("a,b\n1,\n0,1\n", "nan in row 1"),
        ("a,b\n", "must have rows"),
        ("a,b\n1,0\n", "leaves no rows"),
        ("a,b\n" + "1,2\n" * 20, "0 or 1 only"),
    ]:
        bad.write_text(text)
        assert message in fails("train", bad, "-o", output)
    bad = tmp_path / "bad.npz"
    bad.write_bytes(rows.read_bytes()[:500])
    assert "truncated or foreign?" in fails("train", bad, "-o", output)
    assert "does not exist" in fails("train", tmp_path / "no.npz", "-o", output)
    assert sorted(os.listdir(tmp_path)) == ["bad.csv", "bad.npz"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing option '-o' / '--output'. See 'main train --help'."),
        (("-o", "m.h5"), "must end in .keras"),
        (("-o", "missing/m.keras"), "folder 'missing' does not exist"),
        (("-o", "m.keras", "--hidden-units", "5,x"), "must be positive integers such as 500"),
        (("-o", "m.keras", "--hidden-units", "0"), "must be positive integers such as 500"),
        (("-o", "m.keras", "--dropout", "1"), "1.0 is not in the range"),
        (("-o", "m.keras", "--activation", "nonsense"), "`activation` must be a Keras activation"),
        (("-o", "m.keras", "--conditionals", "poisson"), "'poisson' is not one of"),
        (("-o", "m.keras", "--array", "none"), "has no array 'none'"),
        (("-o", "m.keras", "--nonsense"), "No such option"),
        (("-o", "m.keras", "--learning-rate", "nan"), "'nan' must be a finite number"),
        (("-o", "m.keras", "--learning-rate", "inf"), "'inf' must be a finite number"),
        (("-o", "m.keras", "--num-masks", "0"), "'0' must be a positive integer or 'fresh'"),
        (("-o", "m.keras", "--num-masks", "all"), "'all' must be a positive integer or 'fresh'"),
        (("-o", "m.keras", "--resample", "order"), "give --num-masks, too"),
        (("-o", "m.keras", "--num-masks", "1", "--resample", "both"), "give --num-masks, too"),
        (("-o", "m.keras", "--num-masks", "2", "--num-orders", "3"), "num_masks=2. Received"),
        (("-o", "m.keras", "--residual", "--hidden-units", "8"), "`residual` needs several hidden"),
        (("-o", "m.keras", "--recipe", "none"), "`recipe` must be a .toml file or one of"),
        (("-o", "m.keras", "--recipe", "single", "--resample", "both"), "give --num-masks, too"),
    ],
)
def test_bad_training_options(tmp_path, rows, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in fails("train", rows, *arguments)
    assert os.listdir(tmp_path) == []


def test_masks_reach_the_model(tmp_path, rows, any_order):
    loaded = keras.saving.load_model(any_order)
    assert loaded.any_order
    assert loaded.num_orders == 3
    assert loaded.mask_sets.resample == "both"
    output = tmp_path / "m.keras"
    command = ("train", rows, "-o", output, "--num-masks", "4", "--resample", "order")
    run(*command, *SMALL, "--epochs", 1)
    loaded = keras.saving.load_model(output)
    assert loaded.mask_sets.num_masks == 4
    assert loaded.mask_sets.resample == "order"
    assert loaded.num_orders == 1
    facts = json.loads(run("inspect", output, "--json").stdout)
    assert (facts["num_masks"], facts["resample"], facts["num_orders"]) == (4, "order", 1)
    assert (
        "masks: 4 in turn (the order differs); orders averaged: 1" in run("inspect", output).stdout
    )
    facts = json.loads(run("inspect", any_order, "--json").stdout)
    assert (facts["num_masks"], facts["resample"], facts["num_orders"]) == (None, "both", 3)
    text = run("inspect", any_order).stdout
    assert "masks: a fresh one for each batch (order and connectivity differ)" in text


def test_other_masks_are_another_run(tmp_path, rows, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    command = ("train", rows, "-o", tmp_path / "m.keras", *TINY, "--num-masks")
    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "on_epoch_end", interrupted)
        assert "Interrupted after epoch 1" in run(*command, "fresh", exit_code=130).stderr
    assert "num_masks (was 'fresh', is 2)" in fails(*command, 2)
    assert "3/3" in run(*command, "fresh").stderr


def test_test_rows_are_checked_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(made_tf.MADE, "fit", None)
    test = np.zeros([4, 2])
    test[2, 1] = 3
    np.savez(tmp_path / "x.npz", train=np.zeros([20, 2]), valid=np.zeros([4, 2]), test=test)
    message = fails("train", tmp_path / "x.npz", "-o", tmp_path / "m.keras")
    assert "x.npz, array 'test' must contain, for bernoulli" in message
    assert "3.0 in row 3 (the first is 1), column 'x1'" in message


def test_divergence(tmp_path, rows):
    output = tmp_path / "m.keras"
    message = fails(
        *("train", rows, "-o", output, *SMALL, "--hidden-units", "16,16,16"),
        *("--learning-rate", "9.9", "--activation", "exponential"),
        exit_code=1,
    )
    assert "diverged" in message
    assert not output.exists()
    assert os.listdir(tmp_path) == []  # there was nothing to keep


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


def test_a_run_tells_its_recipe_and_its_candidate(tmp_path, rows, two):
    command = ("train", rows, "-o", tmp_path / "m.keras")
    result = run(*command, "--recipe", two)
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
    assert "recipe          single\n" in run(*command, *TINY).stdout


def test_options_override_the_recipe_for_all_candidates(tmp_path, rows, two):
    command = ("train", rows, "-o", tmp_path / "m.keras", "--recipe", two)
    result = run(*command, "--dropout", 0.3, "--epochs", 1, "--batch-size", 100)
    assert result.stdout.count("after 1 of 1 looks") == 2
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.dropout == 0.3
    assert int(loaded.optimizer.iterations) == 5  # 500 rows
    result = run(*command, "--hidden-units", "4,4", "--dropout", 0, "--members", 2)
    assert result.stdout.count("  one-layer, model 1 of 2: ") == 1
    assert "two-layers" not in result.stdout  # has become the same, and is trained once
    assert "recipe          two, candidate one-layer\n" in result.stdout
    ensemble = keras.saving.load_model(tmp_path / "m.keras")
    assert isinstance(ensemble, Ensemble)
    assert [[len(level) for level in m.degrees.hidden] for m in ensemble.members] == [[4, 4]] * 2


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
        "export", output, "-o", tmp_path / "m.tflite"
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
    assert seen == [dataclasses.replace(Recipe.load("default"), members=1)]


def test_parts_that_are_foreign_are_left_alone(tmp_path, rows, two):
    parts = tmp_path / "m.keras.parts"
    parts.mkdir()
    (parts / "mine.txt").write_text("x")
    command = ("train", rows, "-o", tmp_path / "m.keras", "--recipe", two)
    for options in ((), ("--restart",)):
        assert "It holds mine.txt" in fails(*command, *options)
    assert (parts / "mine.txt").exists()
