"""Training that goes on where it was cut off, whatever cut it off."""

import json
import os
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pandas
import pytest

import made_tf
from made_tf.data import RowStream
from made_tf.training import runs
from made_tf.training.fitting import fit_resumably

X = np.random.default_rng(0).integers(0, 2, [20, 4]).astype(np.float32)
EPOCHS = 2


class Killed(BaseException):
    pass


class Witness:
    """Keeps what lies below a folder before each operation on files there.

    Which is what a process leaves that SIGKILL ends at this operation: no clean-up code has an
    effect, and what a file's buffer still holds is lost.
    """

    EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.listdir"})

    def __init__(self):
        self.folder = None
        sys.addaudithook(self)  # for good: there is no way to take it back

    def start(self, folder):
        self.folder, self.operations, self.left = folder, 0, []

    def stop(self):
        """Returns what lay there, without repetitions, as dicts from paths to bytes."""
        self.folder = None
        return self.left

    def __call__(self, event, args):
        if self.folder is None or event not in self.EVENTS:
            return
        # A removal inside rmtree names the file alone.
        if str(args[0]).startswith(str(self.folder)) or event in ("os.remove", "os.rmdir"):
            folder, self.folder = self.folder, None  # a look is no operation
            self.operations += 1
            paths = sorted(folder.rglob("*"))
            there = {p.relative_to(folder): p.read_bytes() if p.is_file() else None for p in paths}
            if there not in self.left:
                self.left.append(there)
            self.folder = folder


@pytest.fixture(scope="module")
def witness():
    return Witness()


def put(folder, there):
    """Makes a folder anew."""
    folder.mkdir()
    for path, content in there.items():
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)


def make_model():
    keras.utils.set_random_seed(0)
    model = made_tf.MADE(4, hidden_units=(), input_dropout=0.5, seed=0)  # small files
    # The rule has a state that must be kept, of one variable for each of the model's.
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), run_eagerly=True)
    return model


def fit(folder, ended=None, valid=X[16:], **kwargs):
    kwargs = {"epochs": EPOCHS, "batch_size": 8, **kwargs}
    return fit_resumably(make_model, X[:16], valid, folder / "m.keras", on_end=ended, **kwargs)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("uninterrupted"))


def assert_same_run(model, state, uninterrupted):
    assert [row["epoch"] for row in state.history] == list(range(1, EPOCHS + 1))
    assert state == uninterrupted[1]
    for ours, theirs in zip(model.get_weights(), uninterrupted[0].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_best_model_is_kept(tmp_path, uninterrupted):
    model, state = fit(tmp_path)
    assert os.listdir(tmp_path) == ["m.keras"]  # no run directory, no temporary file
    values = [row["val_nll"] for row in state.history]
    assert state.best == min(values) == values[state.best_epoch - 1]
    on_disk = keras.saving.load_model(tmp_path / "m.keras")
    assert -np.mean(on_disk.log_prob(X[16:])) == pytest.approx(state.best, rel=1e-5)
    assert_same_run(model, state, uninterrupted)


def test_killed_at_every_file_operation(tmp_path, witness, uninterrupted):
    (tmp_path / "whole").mkdir()
    witness.start(tmp_path / "whole")
    fit(tmp_path / "whole")
    left = witness.stop()
    assert witness.operations > 10 * EPOCHS
    assert len(left) > 5 * EPOCHS
    for number, there in enumerate(left):
        folder = tmp_path / str(number)
        put(folder, there)
        finished = runs.read_state(folder / "m.keras.run")
        if finished is not None and finished.best_epoch == finished.epoch:
            assert keras.saving.load_model(folder / "m.keras").event_size == 4
        assert_same_run(*fit(folder), uninterrupted)
        assert os.listdir(folder) == ["m.keras"]


def test_killed_while_the_history_is_written(tmp_path, uninterrupted):
    def fail(state):
        raise Killed

    with pytest.raises(Killed):
        fit(tmp_path, ended=fail)
    states = []
    assert_same_run(*fit(tmp_path, ended=states.append), uninterrupted)
    assert states == [uninterrupted[1]]


def interrupt(folder, **kwargs):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if runs.read_state(runs.run_directory(folder / "m.keras")):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(folder, callbacks=[Interrupt()], **kwargs)


def test_interrupted(tmp_path, uninterrupted):
    interrupt(tmp_path)
    assert keras.saving.load_model(tmp_path / "m.keras").event_size == 4
    state, model = runs.load_run(tmp_path / "m.keras.run")
    assert state.epoch == 1
    assert model.optimizer.iterations == 2
    assert_same_run(*fit(tmp_path), uninterrupted)


@pytest.mark.parametrize("average_steps", [0, 4])
def test_an_interruption_loses_no_epoch(tmp_path, average_steps):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.epoch == 3 and batch == 1:
                raise KeyboardInterrupt

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    options = {"epochs": 5, "average_steps": average_steps, "save_seconds": 1e6}
    whole, state = fit(tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut", callbacks=[Interrupt()], **options)
    left = runs.read_state(tmp_path / "cut" / "m.keras.run")
    assert left.epoch == 3 and left.history == state.history[:3]
    best = keras.saving.load_model(tmp_path / "cut" / "m.keras")
    assert -np.mean(best.log_prob(X[16:])) == pytest.approx(left.best, rel=1e-5)
    resumed, again = fit(tmp_path / "cut", **options)
    assert again == state
    for ours, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 3}, r"epochs \(was 2, is 3\)"),
        ({"batch_size": 4, "patience": 2}, r"batch_size \(was 8, is 4\), patience \(was 10, is 2"),
        ({"settings": {"dropout": 0.1}}, r"dropout \(was None, is 0.1\)"),
        ({"settings": {"recipe": {"looks": 9}}}, r"looks \(was 8, is 9\)"),
    ],
)
def test_changed_settings_are_refused(tmp_path, changed, message):
    interrupt(tmp_path, settings={"recipe": {"looks": 8, "steps": 3}})
    changed = {"settings": {"recipe": {"looks": 8, "steps": 3}}, **changed}
    with pytest.raises(ValueError, match=rf"other settings: {message}.*`restart=True`"):
        fit(tmp_path, **changed)
    assert runs.read_state(tmp_path / "m.keras.run").epoch == 1
    _, state = fit(tmp_path, **changed, restart=True)
    assert [row["epoch"] for row in state.history] == list(range(1, len(state.history) + 1))


def test_changed_data_are_refused(tmp_path):
    interrupt(tmp_path)
    with pytest.raises(ValueError, match=r"data \(was '\w+', is '\w+'\)"):
        fit_resumably(
            make_model, 1 - X[:16], X[16:], tmp_path / "m.keras", epochs=EPOCHS, batch_size=8
        )


def test_damaged_runs_are_refused(tmp_path):
    interrupt(tmp_path)
    run = tmp_path / "m.keras.run"
    whole = bytearray((run / "epoch-0001.keras").read_bytes())
    whole[len(whole) // 2] ^= 1  # of which Python's reader of archives says "Bad CRC-32"
    for content in (b"PK", whole):
        (run / "epoch-0001.keras").write_bytes(content)
        with pytest.raises(ValueError, match=r"epoch-0001.keras.*is not readable.*`restart=True`"):
            fit(tmp_path)
    (run / "epoch-0001.keras").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"epoch-0001.keras.*is not readable.*`restart=True`"):
        fit(tmp_path)
    (run / "state.json").write_text("{}}")
    with pytest.raises(ValueError, match=r"is not the state of a training run.*`restart=True`"):
        fit(tmp_path)
    (run / "state.json").write_text('{"else": 1}')
    with pytest.raises(ValueError, match="is not the state of a training run"):
        fit(tmp_path)
    fit(tmp_path, restart=True)


def test_a_run_that_had_stopped_early_trains_no_further(tmp_path):
    def fail(state):
        raise Killed

    options = {"patience": 1, "epochs": 50, "valid": 1 - X[:16]}  # which soon grow less probable
    with pytest.raises(Killed):
        fit(tmp_path, ended=fail, **options)
    stopped = runs.read_state(tmp_path / "m.keras.run")
    assert stopped.wait == 1
    assert fit(tmp_path, **options)[1] == stopped


def test_bad_data_are_found_in_every_batch(tmp_path):
    x = X.copy()
    x[15, 2] = 0.5
    with pytest.raises(ValueError, match=r"x\[15, 2\]=0.5"):
        fit_resumably(make_model, x, X, tmp_path / "m.keras")
    assert os.listdir(tmp_path) == []


def test_unwritable_output(tmp_path):
    with pytest.raises(FileNotFoundError):
        fit(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        fit(tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_full_disk(tmp_path, uninterrupted):
    import resource

    interrupt(tmp_path)
    best = (tmp_path / "m.keras").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # a model needs more
    try:
        with pytest.raises(OSError, match=r"File too large|No space"):
            fit(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "m.keras").read_bytes() == best
    assert sorted(os.listdir(tmp_path / "m.keras.run")) == [
        "epoch-0001.keras",
        "lock",
        "state.json",
    ]
    assert_same_run(*fit(tmp_path), uninterrupted)


def test_progress_bar(tmp_path, capfd):
    fit(tmp_path, progress=True)
    last = capfd.readouterr().err.strip().split("\r")[-1]
    assert "2/2" in last
    assert all(name in last for name in ("nll=", "val_nll=", "best="))


def test_the_progress_bar_of_a_resumed_run_goes_on(tmp_path, capfd):
    interrupt(tmp_path)
    fit(tmp_path, progress=True)
    assert "1/2" in capfd.readouterr().err.split("\r")[1]


def test_state_is_plain_json(tmp_path):
    interrupt(tmp_path)
    state = json.loads((tmp_path / "m.keras.run" / "state.json").read_text())
    assert state["model"] == "epoch-0001.keras"
    assert set(state["history"][0]) >= {"epoch", "nll", "bits_per_dim", "val_nll"}


def test_a_finished_model_stays_until_the_end(tmp_path, uninterrupted):
    output, run = tmp_path / "m.keras", tmp_path / "m.keras.run"
    output.write_bytes(b"of an earlier run")
    interrupt(tmp_path)
    assert output.read_bytes() == b"of an earlier run"
    state = runs.read_state(run)
    assert state.at_end
    assert runs.best_path(output, state) == run / "best.keras"
    assert keras.saving.load_model(run / "best.keras").event_size == 4
    assert sorted(os.listdir(run)) == ["best.keras", "epoch-0001.keras", "lock", "state.json"]
    assert_same_run(*fit(tmp_path), uninterrupted)
    assert os.listdir(tmp_path) == ["m.keras"]


def test_killed_while_an_earlier_model_is_replaced(tmp_path, witness):
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "m.keras").write_bytes(b"of an earlier run")
    fit(whole, ended=lambda state: witness.start(whole), epochs=1)
    left = witness.stop()
    assert witness.operations > 5
    old = [there[Path("m.keras")] == b"of an earlier run" for there in left]
    assert old[0] and not old[-1]
    for number, there in enumerate(left):
        folder = tmp_path / str(number)
        put(folder, there)
        if not old[number]:
            assert keras.saving.load_model(folder / "m.keras").event_size == 4
        model, _ = fit(folder, epochs=1)
        assert model.optimizer.iterations == 2
        assert os.listdir(folder) == ["m.keras"]


def test_restart_keeps_the_old_run_until_the_new_one_is_sound(tmp_path):
    interrupt(tmp_path)
    before = sorted(os.listdir(tmp_path / "m.keras.run"))

    def fail():
        raise ValueError("no such setting")

    arguments = (X[:16], X[16:], tmp_path / "m.keras")
    with pytest.raises(ValueError, match="no such setting"):
        fit_resumably(fail, *arguments, restart=True)
    with pytest.raises(ValueError, match=r"validation\[0, 0\]="):
        fit_resumably(make_model, X, X + 5, tmp_path / "m.keras", restart=True)
    assert sorted(os.listdir(tmp_path / "m.keras.run")) == before


@pytest.mark.skipif(runs.fcntl is None, reason="needs POSIX")
def test_two_runs_into_one_output(tmp_path, uninterrupted):
    class Second(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with pytest.raises(ValueError, match=r"another run writes .*m\.keras"):
                fit(tmp_path, restart=True)

    assert_same_run(*fit(tmp_path, callbacks=[Second()]), uninterrupted)
    assert os.listdir(tmp_path) == ["m.keras"]


def test_a_foreign_folder_is_refused(tmp_path):
    run = tmp_path / "m.keras.run"
    run.mkdir()
    (run / "thesis.tex").write_text("all of it")
    (run / "state.json").write_text("{}")
    for restart in (False, True):
        with pytest.raises(ValueError, match=r"m.keras.run .*holds other files: thesis.tex"):
            fit(tmp_path, restart=restart)
    assert sorted(os.listdir(run)) == ["state.json", "thesis.tex"]


def test_what_comes_to_lie_in_the_folder_is_left(tmp_path):
    class Write(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            (tmp_path / "m.keras.run" / "notes.txt").write_text("mine")

    fit(tmp_path, callbacks=[Write()])
    assert os.listdir(tmp_path / "m.keras.run") == ["notes.txt"]


def test_a_failure_in_the_first_epoch_leaves_nothing(tmp_path):
    class Fail(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("odd")

    with pytest.raises(RuntimeError, match="odd"):
        fit(tmp_path, callbacks=[Fail()])
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_a_link_stays_a_link(tmp_path, uninterrupted):
    (tmp_path / "far").mkdir()
    (tmp_path / "m.keras").symlink_to(tmp_path / "far" / "model.keras")
    interrupt(tmp_path)
    assert (tmp_path / "far" / "model.keras.run").is_dir()
    assert_same_run(*fit(tmp_path), uninterrupted)
    assert (tmp_path / "m.keras").is_symlink()
    assert os.listdir(tmp_path / "far") == ["model.keras"]


def test_a_stream_resumes_at_the_same_row(tmp_path):
    """Looks of five batches, of which passes have seven: whatever row is next, it comes next."""
    pandas.DataFrame(X, columns=list("abcd")).to_parquet(tmp_path / "x.parquet", row_group_size=5)
    room = {"memory": 256_000_000 + 10 * 20}

    def fit_stream(folder, **kwargs):
        stream = RowStream(tmp_path / "x.parquet", **room)
        folder.mkdir(exist_ok=True)
        options = {"epochs": 4, "steps": 5, "batch_size": 3, "average_steps": 4, **kwargs}
        return fit_resumably(make_model, stream, X[16:], folder / "m.keras", **options)

    expected, state = fit_stream(tmp_path / "whole")
    for looks in (1, 3):

        class Interrupt(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None, looks=looks):
                if epoch == looks:
                    raise Killed

        with pytest.raises(Killed):
            fit_stream(tmp_path / "cut", callbacks=[Interrupt()])
        assert runs.read_state(tmp_path / "cut" / "m.keras.run").epoch == looks
        if looks == 3:
            room["memory"] += 20
            with pytest.raises(ValueError, match="other settings: data"):
                fit_stream(tmp_path / "cut")
            room["memory"] -= 20
        model, again = fit_stream(tmp_path / "cut")
        assert again.history == state.history
        for ours, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        shutil.rmtree(tmp_path / "cut")
