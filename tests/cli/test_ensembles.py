"""Files of ensembles on the command line: filled in, drawn from, scored, exported."""

import json

import keras
import numpy as np
import pytest
from command_line import fails, run

import made_tf

NAN = np.float32(np.nan)
GAPS = np.array([[NAN, 1, 0], [NAN, NAN, NAN], [1, NAN, NAN], [0, 1, 1]] * 5, np.float32)


def ensemble(path, **kwargs):
    members = []
    for seed in range(2):
        keras.utils.set_random_seed(seed)
        members.append(
            made_tf.MADE(
                3, (6,), num_masks=None, kernel_initializer="random_normal", seed=seed, **kwargs
            )
        )
        for layer in members[-1].masked_layers():
            layer.kernel.assign(layer.kernel * 40)
    model = made_tf.Ensemble(members)
    model.save(path)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("ensemble") / "e.keras"
    return ensemble(path), path


def test_an_ensemble_is_filled_in_and_exported(saved, tmp_path, monkeypatch):
    from made_tf.export import ExportReport, convert

    report = ExportReport("", 0, {}, {}, rows_compared=256)  # the file is compared here
    monkeypatch.setattr(convert, "verify_tflite", lambda *args: report)
    model, path = saved
    np.savez(tmp_path / "x.npz", GAPS)
    told = run("impute", path, tmp_path / "x.npz", "-o", tmp_path / "f.npz", "--seed", 5).stdout
    assert told.startswith("30 values filled in, in 15 of 20 rows")
    filled = np.load(tmp_path / "f.npz")["x"]
    np.testing.assert_array_equal(filled, made_tf.EnsembleDistribution(model).impute(GAPS, 5))
    device = tmp_path / "e.tflite"
    assert "samples equal to the host's: 256 of 256" in run("export", path, "-o", device).stdout
    run("impute", device, tmp_path / "x.npz", "-o", tmp_path / "d.npz", "--seed", 5)
    np.testing.assert_array_equal(np.load(tmp_path / "d.npz")["x"], filled)
    rows, nll = [], []
    for file in (path, device):
        run("sample", file, "-n", 50, "--seed", 3, "-o", tmp_path / "s.npz")
        rows.append(np.load(tmp_path / "s.npz")["x"])
        np.savez(tmp_path / "rows.npz", rows[0])
        nll.append(json.loads(run("evaluate", file, tmp_path / "rows.npz", "--json").stdout)["nll"])
    np.testing.assert_array_equal(*rows)
    assert nll[0] == pytest.approx(nll[1], abs=1e-5)
    assert "an ensemble of 2 members" in run("inspect", device).stdout


def test_what_an_ensemble_does_not_have_is_refused(saved, tmp_path):
    _, path = saved
    np.savez(tmp_path / "x.npz", GAPS)
    output = tmp_path / "f.npz"
    told = fails("impute", path, tmp_path / "x.npz", "-o", output, "--num-orders", 2)
    assert "--num-orders is for single models" in told
    told = fails("export", path, "-o", tmp_path / "e.tflite", "--signatures", "conditionals")
    assert "for an ensemble" in told
    assert [each.name for each in tmp_path.iterdir()] == ["x.npz"]


def test_each_row_is_filled_in_given_its_own_context(tmp_path):
    model = ensemble(tmp_path / "e.keras", context=2)
    contexts = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=GAPS)
    np.savez(tmp_path / "c.npz", contexts)
    command = ("impute", tmp_path / "e.keras", tmp_path / "x.npz", "-o", tmp_path / "f.npz")
    run(*command, "--context", tmp_path / "c.npz", "--seed", 5)
    dist = made_tf.EnsembleDistribution(model, context=contexts)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npz")["x"], dist.impute(GAPS, 5))
