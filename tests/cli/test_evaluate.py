"""`made-tf evaluate`: rows scored, on the host and on the device."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from command_line import fails, run


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


def test_evaluate_with_several_orders(any_order, rows):
    scores = json.loads(run("evaluate", any_order, rows, "--num-orders", 5, "--json").stdout)
    loaded = keras.saving.load_model(any_order)
    x = np.load(rows)["test"]
    sets = loaded.mask_sets.first(5)
    by_order = np.stack(
        [loaded.row_log_prob(x, loaded(x, degrees=sets.at(i))) for i in range(5)]
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
    assert set(one) == {"rows", "nll", "nll_standard_error", "bits_per_dim", "path_spread"}
    assert one["path_spread"] == own["path_spread"] == scores["path_spread"]
    assert one["nll"] == pytest.approx(-by_order[0].mean(), rel=1e-5)


def test_orders_that_are_not_there(model, tflite, rows, tmp_path):
    assert "num_masks=1. Received: num_orders=2" in fails(
        "evaluate", model, rows, "--num-orders", 2
    )
    message = fails("evaluate", tflite, rows, "--num-orders", 2)
    assert "--num-orders is for files that end in .keras" in message
    assert "not in the range" in fails("evaluate", model, rows, "--num-orders", 0)


def test_split_is_named(tmp_path, model):
    (tmp_path / "x.csv").write_text("0,1,0,1,0,1\n")
    assert "--split" in fails("evaluate", model, tmp_path / "x.csv", "--split", "train")


def test_the_error_of_one_row_is_not_known(tmp_path, model, tflite):
    np.savez(tmp_path / "x.npz", np.zeros([1, 6]))
    for source in (model, tflite):
        scores = json.loads(run("evaluate", source, tmp_path / "x.npz", "--json").stdout)
        assert scores["rows"] == 1 and scores["nll_standard_error"] is None
        assert "standard error unknown" in run("evaluate", source, tmp_path / "x.npz").stdout


def test_a_file_for_devices_needs_no_keras(tflite, rows):
    code = """
import sys
from made_tf.cli import main
try:
    main(["evaluate", *sys.argv[1:], "--json"])
except SystemExit as end:
    assert end.code == 0
heavy = {"keras", "tensorflow", "tensorflow_probability"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    arguments = [sys.executable, "-c", code, str(tflite), str(rows)]
    output = subprocess.run(arguments, check=True, stdout=subprocess.PIPE).stdout
    assert json.loads(output)["rows"] == 200
