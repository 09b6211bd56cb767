"""`made-tf train`, killed and interrupted: what is kept, and how it goes on."""

import os
import re
import signal
import time

import keras
import numpy as np
import pytest
from command_line import SMALL, TINY, fails, run, save_each_epoch
from processes import Forks

from made_tf.training.callbacks import ProgressBar
from made_tf.training.parts import parts_in
from made_tf.training.shuffled_rows import SeededEpochs

SLOW = (*SMALL, "--epochs", "20", "--dropout", "0.2")

#: The commands here are killed: each is a process, and their imports would take most of the time.
FORKS = Forks("made_tf.training.by_recipe")


def start(*arguments):
    return FORKS.started(save_each_epoch, [str(argument) for argument in arguments])


def wait_for_epoch(process, folder, epoch):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if any(part.epoch >= epoch for part in parts_in(folder)):
            return
        time.sleep(0.01)
    raise AssertionError(process.communicate()[1])


@pytest.fixture(scope="module")
def uninterrupted(folder, rows):
    output, history = folder / "uninterrupted.keras", folder / "uninterrupted.csv"
    run("train", rows, "-o", output, "--history", history, *SLOW)
    return history.read_text()


def test_killed_and_resumed(tmp_path, rows, uninterrupted):
    output, history = tmp_path / "m.keras", tmp_path / "history.csv"
    folder = tmp_path / "m.keras.parts"
    command = ("train", rows, "-o", output, "--history", history, *SLOW)
    with start(*command) as process:
        wait_for_epoch(process, folder, 3)
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    (part,) = parts_in(folder)
    killed_at = part.epoch
    assert 3 <= killed_at < 20
    assert not part.finished and keras.saving.load_model(part.path).event_size == 6
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
    with start("train", rows, "-o", output, *SLOW, "--epochs", "10000") as process:
        wait_for_epoch(process, tmp_path / "m.keras.parts", 3)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    last = stderr.strip().split("\n")[-1]
    assert last.startswith("Interrupted after epoch ")
    assert str(output) in last
    assert last.endswith("The same command resumes.")
    assert "Traceback" not in stderr
    best = re.search(r"so far is in (\S+) \(epoch", last).group(1)
    assert keras.saving.load_model(best).event_size == 6
    assert not output.exists()
    result = run("train", rows, "-o", output, *TINY, "--restart")
    assert "0/3" in result.stderr
    assert os.listdir(tmp_path) == ["m.keras"]


def interrupted(*args, **kwargs):
    raise KeyboardInterrupt


def test_ctrl_c_beside_an_earlier_model(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(ProgressBar, "on_epoch_end", interrupted)
    output = tmp_path / "m.keras"
    output.write_bytes(b"of an earlier run")
    result = run("train", rows, "-o", output, *TINY, exit_code=130)
    line = result.stderr.splitlines()[-1]
    assert line.startswith("Interrupted after epoch 1. The best model so far is in ")
    assert f"{output}.parts/member-0.keras (epoch 1, val_nll " in line
    assert f"{output} is still that of an earlier run. The same command resumes." in line
    assert output.read_bytes() == b"of an earlier run"


def test_ctrl_c_before_anything_was_learnt(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(SeededEpochs, "on_epoch_begin", interrupted)
    result = run("train", rows, "-o", tmp_path / "m.keras", *TINY, exit_code=130)
    line = result.stderr.splitlines()[-1]
    assert line == "Interrupted before the first epoch ended: nothing to keep."
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_term_and_hup_end_a_command_as_ctrl_c_does(tmp_path, rows, number):
    output = tmp_path / "m.keras"
    with start("train", rows, "-o", output, *SLOW, "--epochs", "10000") as process:
        wait_for_epoch(process, tmp_path / "m.keras.parts", 1)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and "The same command resumes." in stderr
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]
