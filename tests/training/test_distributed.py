"""Two processes of two devices each train as one device does; in one run, for JAX starts slowly."""

import contextlib
import json
import os
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import reference
from command_line import make_rows
from processes import QUICKLY

from made_tf.training.runs import read_state, run_directory

pytest.importorskip("jax")

RECIPE = """
[model]
hidden_units = [12]
num_masks = "fresh"
resample = "evidence"
mask_weights = true
dropout = 0.2
input_dropout = 0.1
[training]
batch_size = 16
steps = 5
average_steps = 10
looks = 4
learning_rate = 0.01
"""
SCRIPT = """
import json, os, pathlib, signal, sys

folder, tests = map(pathlib.Path, sys.argv[1:])
sys.path.insert(0, str(tests))

import no_tensorflow  # before all others

import jax
import keras
import numpy as np
import reference
from command_line import run

from made_tf.models.devices import rows_over_devices
from made_tf.training import data_parallel, fit_resumably
from made_tf.training.distributed import check_alike, from_first, is_first

def train(name):
    (folder / name).mkdir()
    rows, recipe, output = (folder / each for each in ("rows.npz", "small.toml", name))
    return run("train", rows, "--recipe", recipe, "-o", output / "model.keras",
               "--history", output / "history.csv").stdout

def raised(function):
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

class KilledInEpoch3(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2 and number == 1:
            os.kill(os.getpid(), signal.SIGKILL)

def make_model():
    keras.utils.set_random_seed(0)
    model = reference.small_model()
    model.compile("adam")
    return model

def killed():
    with data_parallel(1) as distribution:
        report["fewer devices"] = distribution.device_mesh.shape[0]
        (folder / f"killed-{number}").mkdir()
        x = reference.rows(reference.small_model().conditionals, 64, 5)
        fit_resumably(make_model, x, x, folder / f"killed-{number}" / "model.keras", epochs=5,
                      callbacks=[KilledInEpoch3()])

number, report = int(os.environ["KERAS_DISTRIBUTION_PROCESS_ID"]), {}
path = folder / f"report-{number}.json"
report["stdout"] = train(f"together-{number}")
with data_parallel():
    report["first"] = is_first()
    dealt_out = jax.jit(rows_over_devices)(np.zeros((8, 3), "float32"))
    report["devices"] = jax.device_count()
    report["rows of a device"] = [len(shard.data) for shard in dealt_out.addressable_shards]
    report["error of the first"] = raised(lambda: from_first(lambda: [][number]))
    report["other value"] = raised(lambda: check_alike("answer", number))
    report["too many"] = raised(lambda: data_parallel(3).__enter__())
path.write_text(json.dumps(report))
if number == 0:
    for name in [name for name in os.environ if name.startswith("KERAS_DISTRIBUTION")]:
        del os.environ[name]
    train("alone")
report["killed"] = raised(killed)
path.write_text(json.dumps(report))
os._exit(0)  # or JAX waits for the other process
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    (folder / "small.toml").write_text(RECIPE)
    sizes = {"train": 150, "valid": 37, "test": 11}  # batches have 16 rows, and 6 in the end
    rows = {name: make_rows(count, seed) for seed, (name, count) in enumerate(sizes.items())}
    np.savez(folder / "rows.npz", **rows)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{QUICKLY} --xla_force_host_platform_device_count=2",
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    }
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", SCRIPT, str(folder), str(reference.FOLDER)],
                    env={**os.environ, **variables, "KERAS_DISTRIBUTION_PROCESS_ID": number},
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for number in "01"
        ]
        for process in processes:
            stack.callback(process.kill)
        errors = [process.communicate(timeout=240)[1] for process in processes]
    codes = [process.returncode for process in processes]
    assert codes == [0, -9], "\n".join(error[-3000:] for error in errors)
    reports = [json.loads((folder / f"report-{number}.json").read_text()) for number in "01"]
    return folder, rows, reports


def test_the_result_is_that_of_one_device(together):
    folder, rows, reports = together
    assert [report["first"] for report in reports] == [True, False]
    assert [report["devices"] for report in reports] == [4, 4]
    assert [report["rows of a device"] for report in reports] == [[2, 2], [2, 2]]
    ours, alone = (
        np.genfromtxt(folder / name / "history.csv", delimiter=",", names=True)
        for name in ("together-0", "alone")
    )
    assert ours.dtype == alone.dtype
    assert {"loss", "val_nll"} <= set(ours.dtype.names)
    assert len(ours) == 4
    np.testing.assert_allclose(ours.tolist(), alone.tolist(), rtol=1e-5)
    assert ours["loss"][-1] < ours["loss"][0] - 0.1
    first, second = (
        keras.saving.load_model(folder / name / "model.keras").log_prob(rows["valid"])
        for name in ("together-0", "alone")
    )
    np.testing.assert_allclose(first, second, rtol=1e-4)


def test_the_first_process_alone_tells_and_writes(together):
    folder, _, (first, second) = together
    assert "validation NLL" in first["stdout"]
    assert second["stdout"] == ""
    written = sorted(path.name for path in (folder / "together-0").iterdir())
    assert written == ["history.csv", "model.keras"]
    assert list((folder / "together-1").iterdir()) == []
    assert list((folder / "killed-1").iterdir()) == []


def test_what_goes_wrong_in_the_first_process_is_raised_in_all(together):
    first, second = together[-1]
    assert first["error of the first"] == "IndexError: list index out of range"
    assert second["error of the first"] == "IndexError: list index out of range"
    assert first["other value"] is None
    assert second["other value"] == (
        "ValueError: All processes must have the same answer. Process 0 has 0, this one 1"
    )


def test_more_devices_than_there_are(together):
    for report in together[-1]:
        assert "at most 2: JAX finds 2 device(s)" in report["too many"]
        assert "--xla_force_host_platform_device_count=3" in report["too many"]


def test_when_a_process_is_killed_the_other_fails_and_the_run_can_go_on(together):
    folder, _, (first, _) = together
    assert first["fewer devices"] == 2  # with more JAX ends the process itself, half a minute later
    assert first["killed"].startswith("RuntimeError: A computation of 2 processes failed")
    assert read_state(run_directory(folder / "killed-0" / "model.keras")).epoch == 2
