import errno
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from made_tf.cli import main
from made_tf.training import callbacks, runs

COMMANDS = [
    *("demo", "train", "evaluate", "sample", "impute", "export", "inspect", "reproduce", "tune"),
]


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result


def fails(*arguments, exit_code=2):
    """Returns the one line that a failing command writes to stderr."""
    result = run(*arguments, exit_code=exit_code)
    lines = [line for line in result.stderr.split("\n") if line]
    assert lines[-1].startswith("Error: ")
    assert all(line.startswith(("Warning: ", "\rtraining:")) for line in lines[:-1])
    assert result.stdout == ""
    return lines[-1]


def make_rows(rows, seed):
    """Chains of six bits, each of which mostly repeats the one before."""
    rng = np.random.default_rng(seed)
    flips = (rng.random([rows, 6]) < 0.1).astype(np.uint8)
    flips[:, 0] = rng.integers(0, 2, rows)
    return (flips.cumsum(axis=1) % 2).astype(np.uint8)


TINY = ("--hidden-units", "16", "--epochs", "3", "--learning-rate", "0.01")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def rows(folder):
    path = folder / "rows.npz"
    np.savez(path, train=make_rows(500, 0), valid=make_rows(100, 1), test=make_rows(200, 2))
    return path


@pytest.fixture(scope="module")
def trained(folder, rows):
    path = folder / "model.keras"
    history = folder / "history.csv"
    return run("train", rows, "-o", path, "--history", history, *TINY), path, history


@pytest.fixture(scope="module")
def model(trained):
    return trained[1]


@pytest.fixture(scope="module")
def exported(folder, model):
    path = folder / "made.tflite"
    return run("export", model, "-o", path), path


@pytest.fixture(scope="module")
def tflite(exported):
    return exported[1]


@pytest.fixture(scope="module")
def any_order(folder, rows):
    path = folder / "any_order.keras"
    run("train", rows, "-o", path, "--num-masks", "fresh", "--num-orders", 3, *TINY)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command):
    assert command in run("--help").stdout
    text = run(command, "--help").stdout
    assert text.startswith(f"Usage: main {command} [OPTIONS]")
    assert "--output" in text or command in ("evaluate", "inspect")


def test_help_is_instant():
    code = """
import sys
from made_tf.cli import main
try:
    main(["train", "--help"])
except SystemExit as end:
    assert end.code == 0
heavy = {"keras", "numpy", "tensorflow", "pandas", "matplotlib", "ai_edge_litert", "tqdm"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_version():
    import made_tf

    assert made_tf.__version__ in run("--version").stdout


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


def test_evaluate(model, rows, folder):
    scores = json.loads(run("evaluate", model, rows, "--json").stdout)
    loaded = keras.saving.load_model(model)
    nll = -np.asarray(loaded.log_prob(np.load(rows)["test"]))
    assert scores["rows"] == 200
    assert scores["nll"] == pytest.approx(nll.mean(), rel=1e-5)
    assert scores["nll_standard_error"] == pytest.approx(nll.std(ddof=1) / 200**0.5, rel=1e-4)
    assert scores["bits_per_dim"] == pytest.approx(nll.mean() / 6 / np.log(2), rel=1e-5)
    text = run("evaluate", model, rows, "--per-row", folder / "nll.csv").stdout
    assert f"{scores['nll']:.4f} nats" in text
    per_row = np.loadtxt(folder / "nll.csv", skiprows=1)
    np.testing.assert_allclose(per_row, nll, rtol=1e-5)
    run("evaluate", model, rows, "--split", "valid", "--per-row", folder / "nll.npz")
    assert np.load(folder / "nll.npz")["nll"].shape == (100, 1)


def test_host_and_device_agree(model, tflite, rows, folder):
    host, device = (json.loads(run("evaluate", m, rows, "--json").stdout) for m in (model, tflite))
    assert host == pytest.approx(device, rel=1e-5)
    samples = []
    for source in (model, tflite):
        run("sample", source, "--num", 50, "--seed", 3, "-o", folder / "samples.npz")
        samples.append(np.load(folder / "samples.npz")["x"])
    np.testing.assert_array_equal(*samples)
    assert samples[0].shape == (50, 6)


def test_sample_formats(model, folder):
    result = run("sample", model, "-n", 4, "-o", folder / "s.csv")
    assert result.stdout == f"4 rows in {folder / 's.csv'}\n"
    lines = (folder / "s.csv").read_text().splitlines()
    assert lines[0] == "x0,x1,x2,x3,x4,x5"
    assert len(lines) == 5
    run("sample", model, "-n", 4, "-o", folder / "s.png", "--image-shape", "2x3")
    assert (folder / "s.png").read_bytes().startswith(b"\x89PNG")


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
        *("train", rows, "-o", output, "--epochs", 1, "--hidden-units", "20,10", "--no-direct"),
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
    assert loaded.seed == 5
    assert loaded.mask_sets.is_fixed


def test_all_options_reach_the_run(tmp_path, rows, monkeypatch):
    np.savez(tmp_path / "x.npz", make_rows(100, 0))
    seen = {}

    def fit(make_model, x, validation, output, **options):
        seen.update(options, sizes=(len(x), len(validation)), output=output)
        raise ValueError("enough")

    monkeypatch.setattr(callbacks, "fit_resumably", fit)
    fails(
        *("train", tmp_path / "x.npz", "-o", tmp_path / "m.keras", "--patience", 7, "--seed", 5),
        *("--validation-fraction", 0.25, "--epochs", 9, "--batch-size", 11, "--restart"),
    )
    assert seen["sizes"] == (75, 25)
    assert seen["output"] == tmp_path / "m.keras"
    expected = {"patience": 7, "seed": 5, "epochs": 9, "batch_size": 11, "restart": True}
    assert expected.items() <= seen.items()


def test_narrow_layers_are_a_warning(tmp_path, rows):
    result = run(
        *("train", rows, "-o", tmp_path / "m.keras", "--epochs", 1),
        *("--hidden-units", "2", "--no-direct"),
    )
    assert "Warning: " in result.stderr
    assert "out of the network's reach" in result.stderr


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
    ],
)
def test_bad_training_options(tmp_path, rows, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in fails("train", rows, *arguments)
    assert os.listdir(tmp_path) == []


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


def test_bad_rows_to_score(tmp_path, model, tflite, rows):
    np.savez(tmp_path / "wide.npz", np.zeros([3, 7]))
    for source in (model, tflite):
        message = fails("evaluate", source, tmp_path / "wide.npz")
        assert "must have the 6 columns" in message
    assert "has no array 'fold'" in fails("evaluate", model, rows, "--split", "fold")
    per_row = tmp_path / "nll.csv"
    np.savez(tmp_path / "half.npz", np.full([3, 6], 0.5))
    assert "0 or 1 only" in fails("evaluate", model, tmp_path / "half.npz", "--per-row", per_row)
    assert not per_row.exists()


def test_bad_sample_options(tmp_path, model):
    output = tmp_path / "s.png"
    assert "go together" in fails("sample", model, "-o", output)
    assert "go together" in fails("sample", model, "-o", tmp_path / "s.csv", "--image-shape", "2x3")
    assert "needs rows of 25" in fails("sample", model, "-o", output, "--image-shape", "5x5")
    assert "such as 8x8" in fails("sample", model, "-o", output, "--image-shape", "8")
    assert "not in the range" in fails("sample", model, "-o", output, "--num", "0")
    assert "2147483647" in fails("sample", model, "-n", 3_000_000_000, "-o", tmp_path / "s.csv")
    big = ("-n", 1025, "--image-shape", "2x3")
    assert "at most 1024 for pictures" in fails("sample", model, "-o", output, *big)
    assert os.listdir(tmp_path) == []


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


def test_masks_reach_the_model(tmp_path, rows, any_order):
    loaded = keras.saving.load_model(any_order)
    assert loaded.any_order
    assert loaded.num_orders == 3
    assert loaded.mask_sets.resample == "both"
    output = tmp_path / "m.keras"
    command = ("train", rows, "-o", output, "--num-masks", "4", "--resample", "order")
    run(*command, "--hidden-units", 16, "--epochs", 1)
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


def test_a_fixed_mask_is_not_worth_a_line(model):
    assert "masks" not in run("inspect", model).stdout
    assert json.loads(run("inspect", model, "--json").stdout)["num_masks"] == 1


def test_other_masks_are_another_run(tmp_path, rows, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    command = ("train", rows, "-o", tmp_path / "m.keras", *TINY, "--num-masks")
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.ProgressBar, "on_epoch_end", interrupted)
        assert "Interrupted after epoch 1" in run(*command, "fresh", exit_code=130).stderr
    assert "num_masks (was 'fresh', is 2)" in fails(*command, 2)
    assert "3/3" in run(*command, "fresh").stderr


def test_evaluate_with_several_orders(any_order, rows, folder, monkeypatch):
    from made_tf.cli import opening as models

    monkeypatch.setattr(models, "_ROWS", 70)
    scores = json.loads(run("evaluate", any_order, rows, "--num-orders", 5, "--json").stdout)
    loaded = keras.saving.load_model(any_order)
    x = np.load(rows)["test"]
    sets = loaded.mask_sets.first(5)
    by_order = np.stack(
        [loaded.row_log_prob(x, loaded(x, degrees=[d[i] for d in sets])) for i in range(5)]
    ).astype(float)
    densities = np.exp(by_order)
    assert scores["rows"] == 200
    assert scores["num_orders"] == 5
    assert scores["nll"] == pytest.approx(-np.log(densities.mean(0)).mean(), rel=1e-5)
    assert scores["order_spread"] == pytest.approx(by_order.std(0, ddof=1).mean(), rel=1e-4)
    errors = densities.std(0, ddof=1) / 5**0.5 / densities.mean(0)
    assert scores["order_standard_error"] == pytest.approx(errors.mean(), rel=1e-4)
    text = run("evaluate", any_order, rows, "--num-orders", 5).stdout
    assert (
        f"orders             5, their average leaving a standard error of {errors.mean():.4f}"
        in (text)
    )
    assert f"order spread       {scores['order_spread']:.4f} nats" in text
    own = json.loads(run("evaluate", any_order, rows, "--json").stdout)
    assert own["num_orders"] == 3  # as in training
    assert own["nll"] == pytest.approx(-np.log(densities[:3].mean(0)).mean(), rel=1e-5)
    one = json.loads(run("evaluate", any_order, rows, "--num-orders", 1, "--json").stdout)
    assert set(one) == {"rows", "nll", "nll_standard_error", "bits_per_dim"}
    assert one["nll"] == pytest.approx(-by_order[0].mean(), rel=1e-5)


def test_orders_that_are_not_there(model, tflite, rows, tmp_path):
    assert "num_masks=1. Received: num_orders=2" in fails(
        "evaluate", model, rows, "--num-orders", 2
    )
    message = fails("evaluate", tflite, rows, "--num-orders", 2)
    assert "--num-orders is for files that end in .keras" in message
    assert "not in the range" in fails("evaluate", model, rows, "--num-orders", 0)


def with_gaps(rows, seed=3):
    """Rows of which a third of the values, the whole row 0 and none of row 1 are missing."""
    x = make_rows(rows, seed).astype(np.float32)
    missing = np.random.default_rng(seed).random(x.shape) < 1 / 3
    missing[0], missing[1] = True, False
    return np.where(missing, np.float32(np.nan), x)


def as_csv(x, names="a,b,c,d,e,f"):
    lines = [",".join("" if np.isnan(v) else f"{v:g}" for v in row) for row in x]
    return "\n".join([names, *lines]) + "\n"


def test_impute(any_order, tmp_path):
    import made_tf

    x = with_gaps(30)
    (tmp_path / "x.csv").write_text(as_csv(x))
    output = tmp_path / "filled.csv"
    result = run("impute", any_order, tmp_path / "x.csv", "-o", output, "--seed", 5)
    gaps = np.isnan(x)
    assert result.stdout == (
        f"{gaps.sum()} values filled in, in {gaps.any(axis=1).sum()} of 30 rows: {output}\n"
    )
    assert "Warning" not in result.stderr
    assert output.read_text().splitlines()[0] == "a,b,c,d,e,f"
    filled = np.loadtxt(output, delimiter=",", skiprows=1)
    np.testing.assert_array_equal(filled[~gaps], x[~gaps])
    assert set(filled[gaps]) == {0, 1}
    loaded = keras.saving.load_model(any_order)
    theirs = made_tf.MADEDistribution(loaded, num_orders=3).impute(x, seed=5)
    np.testing.assert_array_equal(filled, theirs)

    np.savez(tmp_path / "x.npz", train=x[:1], gaps=x)
    command = ("impute", any_order, tmp_path / "x.npz", "-o", tmp_path / "f.npz")
    run(*command, "--array", "gaps", "--seed", 5)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npz")["x"], filled)
    run(*command, "--array", "gaps", "--seed", 6)
    assert (np.load(tmp_path / "f.npz")["x"] != filled).any()
    run(*command, "--array", "gaps", "--seed", 5, "--num-orders", 1)
    theirs = made_tf.MADEDistribution(loaded, num_orders=1).impute(x, seed=5)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npz")["x"], theirs)
    assert "array" in fails(*command)
    assert sorted(os.listdir(tmp_path)) == ["f.npz", "filled.csv", "x.csv", "x.npz"]


def test_imputed_values_follow_what_is_known(tmp_path, any_order, monkeypatch):
    from made_tf.cli import impute as imputing

    monkeypatch.setattr(imputing, "_ROWS", 500)
    # p(x_1 | x_0 = 1), x_5 = 0), counted by enumeration of the other three variables.
    x = np.tile(np.float32([1, np.nan, np.nan, np.nan, np.nan, 0]), (2000, 1))
    np.savez(tmp_path / "x.npz", x)
    run("impute", any_order, tmp_path / "x.npz", "-o", tmp_path / "f.npz")
    filled = np.load(tmp_path / "f.npz")["x"]
    loaded = keras.saving.load_model(any_order)
    import made_tf

    np.testing.assert_array_equal(filled, made_tf.MADEDistribution(loaded).impute(x, seed=0))
    states = np.array([[int(bit) for bit in f"{i:04b}"] for i in range(16)], np.float32)
    whole = np.concatenate([np.ones([16, 1]), states, np.zeros([16, 1])], axis=1)
    evidence = np.tile(x[:1], (16, 1))
    asked = np.where(np.isnan(evidence), whole, np.nan)
    dist = made_tf.MADEDistribution(loaded, num_orders=3)
    expected = np.exp(dist.conditional_log_prob(asked, evidence).log_prob)
    assert expected.sum() == pytest.approx(1, abs=1e-5)
    counts = np.bincount((filled[:, 1:5] @ [8, 4, 2, 1]).astype(int), minlength=16)
    chi_squared = ((counts - 2000 * expected) ** 2 / (2000 * expected)).sum()
    assert chi_squared < 37.7  # 99.9% of 15 degrees of freedom
    batches = filled.reshape(4, 500, 6)  # each batch has numbers of its own
    for other in batches[1:]:
        assert (other != batches[0]).any(axis=1).mean() > 0.2


def test_impute_from_parquet(tmp_path, any_order):
    pandas = pytest.importorskip("pandas")
    x = with_gaps(20)
    frame = pandas.DataFrame(x, columns=[*"abcdef"])
    frame["b"] = frame["b"].astype("Int8")
    frame.to_parquet(tmp_path / "x.parquet")
    run("impute", any_order, tmp_path / "x.parquet", "-o", tmp_path / "f.csv")
    filled = np.loadtxt(tmp_path / "f.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(filled[~np.isnan(x)], x[~np.isnan(x)])
    assert np.isin(filled, (0, 1)).all()


def test_impute_leaves_real_values_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    table = [[f"{a:.3f}", f"{b:.1f}"] for a, b in rng.normal(size=[60, 2])]
    (tmp_path / "x.csv").write_text("\n".join(["a,b", *(",".join(row) for row in table)]))
    model = tmp_path / "m.keras"
    run("train", tmp_path / "x.csv", "-o", model, "--conditionals", "normal", *TINY)
    (tmp_path / "gaps.csv").write_text("a,b\n0.1,\n-2.345,\n,1.5\n0.7,0.3\n")
    run("impute", model, tmp_path / "gaps.csv", "-o", tmp_path / "f.csv")
    names, *lines = [line.split(",") for line in (tmp_path / "f.csv").read_text().splitlines()]
    assert names == ["a", "b"]
    assert [lines[0][0], lines[1][0], lines[2][1]] == ["0.1", "-2.345", "1.5"]
    assert lines[3] == ["0.7", "0.3"]
    assert np.isfinite(np.array(lines, float)).all()


def test_few_particles_are_told(tmp_path, model, monkeypatch):
    from made_tf.cli import impute as imputing

    monkeypatch.setattr(imputing, "_ROWS", 2)
    x = np.tile(np.float32([np.nan, 0, 1, 0, 1, 0]), (4, 1))  # what is missing comes first
    np.savez(tmp_path / "x.npz", x)
    command = ("impute", model, tmp_path / "x.npz", "-o", tmp_path / "f.npz")
    result = run(*command, "--num-particles", 2)
    (line,) = (line for line in result.stderr.splitlines() if "Warning" in line)
    assert line.startswith("Warning: Of 2 weighted draws only")
    assert "Warning" not in run(*command).stderr
    assert "not in the range" in fails(*command, "--num-particles", 1)


def test_nothing_to_fill_in(tmp_path, any_order):
    np.savez(tmp_path / "x.npz", make_rows(4, 0))
    result = run("impute", any_order, tmp_path / "x.npz", "-o", tmp_path / "f.npz")
    assert result.stdout.startswith("0 values filled in, in 0 of 4 rows")
    np.testing.assert_array_equal(np.load(tmp_path / "f.npz")["x"], make_rows(4, 0))


def test_bad_rows_to_impute(tmp_path, any_order, model, tflite):
    table, output = tmp_path / "x.csv", tmp_path / "f.csv"
    command = ("impute", any_order, table, "-o", output)
    header = "a,b,c,d,e,f\n"
    for text, message in [
        (header + "0,1,0,,0,1\n0,,0,1,2,1\n", "0 or 1 only. Received: 2.0 in row 2 (the first"),
        (header + "0,1,0,,0,1\n0,,0\n", "line 3 has 3 field(s), and the first has 6"),
        (header + "0,1,0,,0,inf\n", "all values must be finite numbers. Received: inf in row 1"),
        (header + "0,1,0,,0,x\n", "column 'f' is not numeric"),
        (header, "must have rows"),
        ("a,b\n0,\n", "must have the 6 columns"),
    ]:
        table.write_text(text)
        assert message in fails(*command)
    table.write_text(as_csv(with_gaps(3)))
    assert "would overwrite the input" in fails("impute", any_order, table, "-o", table)
    assert "must end in .npz or .csv" in fails("impute", any_order, table, "-o", "f.png")
    message = fails("impute", tflite, table, "-o", output)
    assert "cannot fill in rows: MODEL must be a file that ends in .keras" in message
    message = fails("impute", model, table, "-o", output, "--num-orders", 2)
    assert "num_masks=1. Received: num_orders=2" in message
    assert "must be a model" in fails("impute", table, table, "-o", output)
    assert sorted(os.listdir(tmp_path)) == ["x.csv"]


def test_a_failed_imputation_leaves_what_was_there(tmp_path, any_order, monkeypatch):
    from made_tf.cli import impute as imputing

    np.savez(tmp_path / "x.npz", with_gaps(4))
    output = tmp_path / "f.csv"
    output.write_text("before")
    whole = imputing._filled

    def broken(*args):
        yield next(whole(*args))[:2]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(imputing, "_filled", broken)
    message = fails("impute", any_order, tmp_path / "x.npz", "-o", output, exit_code=1)
    assert "No space left on device" in message
    assert output.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["f.csv", "x.npz"]


def test_what_is_exported_already(tmp_path, tflite):
    message = fails("export", tflite, "-o", tmp_path / "x.tflite")
    assert "is exported already: MODEL must be a file that ends in .keras" in message
    assert os.listdir(tmp_path) == []


def test_weights_that_are_not_finite(tmp_path, model, rows):
    broken = keras.saving.load_model(model)
    layer = next(iter(broken.masked_layers()))
    layer.bias.assign(np.full(layer.bias.shape, np.nan))
    broken.save(tmp_path / "m.keras")
    for command in (("inspect",), ("evaluate", rows), ("sample", "-o", tmp_path / "s.csv")):
        message = fails(command[0], tmp_path / "m.keras", *command[1:])
        assert "m.keras must have finite weights" in message


def test_test_rows_are_checked_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "fit_resumably", None)
    test = np.zeros([4, 2])
    test[2, 1] = 3
    np.savez(tmp_path / "x.npz", train=np.zeros([20, 2]), valid=np.zeros([4, 2]), test=test)
    message = fails("train", tmp_path / "x.npz", "-o", tmp_path / "m.keras")
    assert "x.npz, array 'test' must contain, for bernoulli" in message
    assert "3.0 in row 3 (the first is 1), column 'x1'" in message


def test_split_is_named(tmp_path, model):
    (tmp_path / "x.csv").write_text("0,1,0,1,0,1\n")
    assert "--split" in fails("evaluate", model, tmp_path / "x.csv", "--split", "train")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_closed_streams(model, monkeypatch):
    code = f"{sys.executable} -c 'from made_tf.cli import main; main()'"
    command = ["sh", "-c", f"exec {code} inspect {model} 2>&-"]
    closed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert closed.stderr == ""
    assert "D = 6" in closed.stdout

    def nobody_reads(*args, **kwargs):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("click.echo", nobody_reads)
    assert run("inspect", model, exit_code=1).stderr == ""


def test_failures_that_are_no_bad_input(tmp_path, model, monkeypatch):
    from made_tf import data

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(data, "save_stream", full)
    message = fails("sample", model, "-o", tmp_path / "s.csv", exit_code=1)
    assert "No space left on device" in message
    result = CliRunner().invoke(main, ["--debug", "sample", str(model), "-o", "s.csv"])
    assert isinstance(result.exception, OSError)


def test_divergence(tmp_path, rows):
    output = tmp_path / "m.keras"
    message = fails(
        *("train", rows, "-o", output, "--learning-rate", "1e30", "--activation", "exponential"),
        exit_code=1,
    )
    assert "diverged" in message
    assert not output.exists()


SLOW = ("--hidden-units", "16", "--epochs", "20", "--dropout", "0.2")


def start(*arguments):
    code = "from made_tf.cli import main; main()"
    command = [sys.executable, "-c", code, *[str(argument) for argument in arguments]]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for_epoch(process, output, epoch):
    run_directory = runs.run_directory(output)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        state = runs.read_state(run_directory)
        if state is not None and state.epoch >= epoch:
            return
        time.sleep(0.01)
    raise AssertionError(process.stderr.read())


@pytest.fixture(scope="module")
def uninterrupted(folder, rows):
    output, history = folder / "uninterrupted.keras", folder / "uninterrupted.csv"
    run("train", rows, "-o", output, "--history", history, *SLOW)
    return history.read_text()


def test_killed_and_resumed(tmp_path, rows, uninterrupted):
    output, history = tmp_path / "m.keras", tmp_path / "history.csv"
    command = ("train", rows, "-o", output, "--history", history, *SLOW)
    process = start(*command)
    wait_for_epoch(process, output, 3)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    killed_at = runs.read_state(runs.run_directory(output)).epoch
    assert 3 <= killed_at < 20
    assert "other settings: dropout (was 0.2, is 0.1)" in fails(*command, "--dropout", "0.1")
    result = run(*command)
    assert f"{killed_at}/20" in result.stderr
    assert [line.split(",")[0] for line in history.read_text().splitlines()] == [
        "epoch",
        *(str(epoch) for epoch in range(1, 21)),
    ]
    ours, theirs = (
        np.loadtxt(text.splitlines(), delimiter=",", skiprows=1)
        for text in (history.read_text(), uninterrupted)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert sorted(os.listdir(tmp_path)) == ["history.csv", "m.keras"]


def test_ctrl_c(tmp_path, rows):
    output = tmp_path / "m.keras"
    process = start("train", rows, "-o", output, *SLOW, "--epochs", "10000")
    wait_for_epoch(process, output, 3)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    last = stderr.strip().split("\n")[-1]
    assert last.startswith("Interrupted after epoch ")
    assert str(output) in last
    assert last.endswith("The same command resumes.")
    assert "Traceback" not in stderr
    assert keras.saving.load_model(output).event_size == 6
    assert runs.run_directory(output).is_dir()
    result = run("train", rows, "-o", output, *TINY, "--restart")
    assert "0/3" in result.stderr


def test_ctrl_c_beside_an_earlier_model(tmp_path, rows, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    state = runs.TrainingState(epoch=3, best=1.5, best_epoch=2, at_end=True)
    monkeypatch.setattr(callbacks, "fit_resumably", interrupted)
    monkeypatch.setattr(runs, "read_state", lambda directory: state)
    output = tmp_path / "m.keras"
    (line,) = run("train", rows, "-o", output, *TINY, exit_code=130).stderr.splitlines()
    assert f"so far is in {runs.run_directory(output) / 'best.keras'} (epoch 2" in line
    assert f"{output} is still that of an earlier run. The same command resumes." in line
