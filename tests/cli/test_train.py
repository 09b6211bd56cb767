"""`made-tf train`: what its options do."""

import json
import os

import keras
import numpy as np
import pytest
from command_line import SMALL, TINY, fails, make_rows, run

import made_tf
from made_tf.training import by_recipe
from made_tf.training.callbacks import ProgressBar
from made_tf.training.recipe import Recipe
from made_tf.training.shuffled_rows import SeededEpochs


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


@pytest.mark.parametrize("family", ["categorical", "normal", "mixed"])
def test_other_families(tmp_path, family):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, [60, 2]) if family == "categorical" else rng.normal(size=[60, 2])
    if family == "mixed":
        x[:, 1] = rng.integers(0, 4, 60)
    table = "\n".join(["a,b", *(f"{a},{b}" for a, b in x)])
    (tmp_path / "x.csv").write_text(table)
    output = tmp_path / "m.keras"
    result = run("train", tmp_path / "x.csv", "-o", output, "--conditionals", family, *TINY)
    assert "test NLL" not in result.stdout
    assert json.loads(run("inspect", output, "--json").stdout)["conditionals"] == family
    run("evaluate", output, tmp_path / "x.csv")
    device = tmp_path / "m.tflite"
    command = ("export", output, "-o", device, "--signatures", "sample")
    assert "builtin" in run(*command).stdout
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
    assert not loaded.residual  # with --residual: test_train_by_recipe.py
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


def interrupted(*args, **kwargs):
    raise KeyboardInterrupt


def test_narrow_layers_are_a_warning(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(SeededEpochs, "on_epoch_begin", interrupted)
    result = run(
        *("train", rows, "-o", tmp_path / "m.keras", "--recipe", "single", "--epochs", 1),
        *("--hidden-units", "2", "--no-direct"),
        exit_code=130,
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
        assert message in fails("train", bad, "-o", output, "--conditionals", "bernoulli")
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


def test_a_model_for_questions_tells_how_far_its_paths_disagree(tmp_path, rows):
    output, recipe = tmp_path / "m.keras", tmp_path / "asked.toml"
    recipe.write_text(
        "[model]\nhidden_units = [8, 8]\nnum_masks = 'fresh'\nresample = 'evidence'\n"
        "mask_weights = true\n[training]\nsteps = 5\nlooks = 1\n"
    )
    run("train", rows, "-o", output, "--for", "questions", "--recipe", recipe)
    loaded = keras.saving.load_model(output)
    assert loaded.mask_sets.by_evidence and loaded.mask_weights and loaded.any_order
    assert loaded.conditionals.layout.features.total == 2 * loaded.event_size
    assert "what comes first as evidence differs" in run("inspect", output).stdout
    assert "nats on marginals" in run("evaluate", output, rows).stdout
    assert json.loads(run("evaluate", output, rows, "--json").stdout)["path_spread"] > 0


def test_a_model_that_reads_evidence_tells_it_too(tmp_path, rows):
    output, recipe = tmp_path / "m.keras", tmp_path / "asked.toml"
    recipe.write_text(
        "[model]\nhidden_units = [8, 8]\nevidence_units = [6, 7]\n"
        "[training]\nsteps = 5\nlooks = 1\n"
    )
    run("train", rows, "-o", output, "--for", "questions", "--recipe", recipe)
    assert "evidence: read by layers of 6, 7 units" in run("inspect", output).stdout
    assert json.loads(run("evaluate", output, rows, "--json").stdout)["path_spread"] > 0


def test_questions_about_few_bits_are_asked_in_two_ways(tmp_path, rows):
    output = tmp_path / "m.keras"
    tiny = ("train", rows, "-o", output, "--for", "questions", "--hidden-units", "8,8")
    said = run(*tiny, "--epochs", 1).stdout
    assert "small: validation NLL" in said and "fresh: validation NLL" in said
    assert keras.saving.load_model(output).answers_all
    run(*tiny, "--epochs", 1, "--num-masks", "fresh", "--restart")
    assert keras.saving.load_model(output).any_order
    failed = run(*tiny, "--num-masks", 4, exit_code=2).stderr
    assert "--num-masks must be fresh with --for questions" in failed


def test_other_masks_are_another_run(tmp_path, rows, monkeypatch):
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
