"""Training that survives: best model, early stopping, resuming, a progress bar."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from made_tf.averaging import AveragedWeights
from made_tf.files import PathLike, replacing
from made_tf.models import MADE
from made_tf.validation import check_rows

try:
    import fcntl
except ModuleNotFoundError:  # not on POSIX: runs are not locked
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "ProgressBar",
    "ResumableTraining",
    "ShuffledRows",
    "TrainingState",
    "best_path",
    "digest",
    "fit_resumably",
    "load_run",
    "read_state",
    "run_directory",
]

_STATE = "state.json"
_BEST = "best.keras"
_LOCK = "lock"

# The files of a run's directory; no others are ever deleted.
_OWN = re.compile(
    r"state\.json|best\.keras|lock|temporary\.keras|epoch-\d{4,}\.(keras|npz)|"
    r"\.(state\.\d+\.tmp\.json|epoch-\d{4,}\.\d+\.tmp\.npz)"
)


@dataclasses.dataclass
class TrainingState:
    """What a resumed run must know beside its last model.

    Attributes:
        settings: what the run was started with, as JSON values.
        epoch: the number of finished epochs.
        model: the name of the last epoch's file, in the run's directory.
        best: the best value of the monitored metric.
        best_epoch: the epoch that reached it, counted from 1.
        wait: the number of epochs since then.
        history: one row of metrics for each finished epoch.
        at_end: whether the best model replaces the output at the end alone: an
            earlier run's model lies there.
    """

    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    epoch: int = 0
    model: str = ""
    best: float = math.inf
    best_epoch: int = 0
    wait: int = 0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    at_end: bool = dataclasses.field(default=False, compare=False)


class ResumableTraining(keras.callbacks.Callback):
    """Keeps the best model, stops early, and loses nothing when the process is killed.

    After every epoch the whole model (with the optimizer's state) is written
    to `<directory>/epoch-NNNN.keras`, then `<directory>/state.json`, which
    names it, is replaced; so the directory holds a consistent pair at any
    moment. When the monitored value improves, the same model also becomes
    `output`, or `<directory>/best.keras` with `state.at_end`. Resume with
    `load_run`, or let `fit_resumably` do all of it.

    Args:
        output: where the best model is kept, a path that ends in `.keras`.
        directory: the run's own directory, on the same file system.
        state: the state to go on from.
        monitor: the metric that is minimised.
        patience: training stops after this many epochs without improvement.
        average: an average of the weights, which is saved, too; the best model
            is then the one with the averaged weights.
        save_seconds: epochs that end less than this after the last files were
            written write none: short ones would take longer to save than to
            train. The last one always does.

    Raises:
        FloatingPointError: (in training) if the monitored value is not finite.
        OSError: (in training) if a file cannot be written.
    """

    def __init__(
        self,
        output: PathLike,
        directory: PathLike,
        state: TrainingState | None = None,
        monitor: str = "val_nll",
        patience: int = 10,
        average: AveragedWeights | None = None,
        save_seconds: float = 0.0,
    ):
        super().__init__()
        self.output = Path(output)
        self.directory = Path(directory)
        self.state = state or TrainingState()
        self.monitor = monitor
        self.patience = patience
        self.average = average
        self.save_seconds = save_seconds
        self._best: list[npt.NDArray] | None = None  # where it is not yet in a file
        self._saved_at = time.monotonic()

    def on_train_begin(self, logs=None):
        self.directory.mkdir(exist_ok=True)

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        if self.monitor not in logs:
            raise ValueError(
                f"`monitor` must be one of {sorted(logs)}. Received: monitor={self.monitor!r}"
            )
        value = logs[self.monitor]
        if not math.isfinite(value):
            raise FloatingPointError(
                f"{self.monitor} is {value} after epoch {epoch + 1}: training diverged. "
                "A lower learning rate may help."
            )
        state = self.state
        state.epoch = epoch + 1
        state.history.append({"epoch": state.epoch, **logs})
        if value < state.best:
            state.best, state.best_epoch = value, state.epoch
            with self._averaged():
                self._best = self.model.get_weights()
        state.wait = state.epoch - state.best_epoch
        if state.wait >= self.patience:
            self.model.stop_training = True
        last = self.model.stop_training or state.epoch == (self.params or {}).get("epochs")
        if last or time.monotonic() - self._saved_at >= self.save_seconds:
            self._save()

    def _averaged(self) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext() if self.average is None else self.average.in_model()

    def _save(self) -> None:
        # Temporary files lie in the run's directory, where the next epoch sweeps them away.
        temporary = self.directory / "temporary.keras"
        self.state.model = f"epoch-{self.state.epoch:04d}.keras"
        last = self.directory / self.state.model
        with replacing(last, temporary):
            self.model.save(temporary)
        if self.average is not None:
            self.average.save(last.with_suffix(".npz"))
        if self._best is not None:
            with replacing(_best(self.output, self.directory, self.state), temporary):
                if self.average is None and self.state.wait == 0:
                    shutil.copyfile(last, temporary)
                else:
                    self._save_best(temporary)
            self._best = None
        with replacing(self.directory / _STATE) as text:
            text.write_text(json.dumps(dataclasses.asdict(self.state), indent=1))
        keep = (self.state.model, last.with_suffix(".npz").name)
        _sweep(self.directory, keep=(_STATE, _BEST, _LOCK, *keep))
        self._saved_at = time.monotonic()

    def _save_best(self, path: Path) -> None:
        own = self.model.get_weights()
        try:
            self.model.set_weights(self._best)
            self.model.save(path)
        finally:
            self.model.set_weights(own)


class ShuffledRows(keras.utils.PyDataset):
    """Batches of rows whose order is a function of (seed, epoch) alone.

    A resumed run thus sees the batches that an uninterrupted one sees.

    Args:
        x: rows `[N, D]`.
        batch_size: rows in a batch (the last one of a pass may be smaller).
        seed: seed of all shuffles.
        steps: how many batches make an epoch; `None` for one pass through the
            rows. Epochs of few batches, or of many, then follow each other in
            an endless row of passes, each shuffled anew.
    """

    def __init__(self, x: npt.NDArray, batch_size: int, seed: int = 0, steps: int | None = None):
        super().__init__()
        self.x, self.batch_size, self.seed = x, batch_size, seed
        self.in_pass = -(-len(x) // batch_size)
        self.steps = steps or self.in_pass
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Shuffles for this epoch, counted from 0."""
        self._first = epoch * self.steps
        passes = range(self._first // self.in_pass, -(-(self._first + self.steps) // self.in_pass))
        self._orders = {
            number: np.random.default_rng([self.seed, number]).permutation(len(self.x))
            for number in passes
        }

    @property
    def num_batches(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> npt.NDArray:
        number, batch = divmod(self._first + index, self.in_pass)
        rows = self._orders[number][batch * self.batch_size : (batch + 1) * self.batch_size]
        return self.x[rows]


class _SeededEpochs(keras.callbacks.Callback):
    """Makes the shuffle and the dropout of an epoch a function of (seed, epoch) alone.

    Keras does not save the state of a dropout layer's generator.
    """

    def __init__(self, rows: ShuffledRows):
        super().__init__()
        self.rows = rows

    def on_epoch_begin(self, epoch, logs=None):
        self.rows.set_epoch(epoch)
        for index, layer in enumerate(self.model.all_dropout_layers()):
            key = np.random.default_rng([self.rows.seed, epoch, index]).integers(2**31)
            layer.seed_generator.state.assign([key, 0])


class ProgressBar(keras.callbacks.Callback):
    """One bar over all epochs, on stderr: nll, val_nll and the best val_nll so far.

    Args:
        state: the run's `TrainingState`, for the best value.
        epochs: the largest number of epochs.
        title: what stands before the bar.
    """

    def __init__(self, state: TrainingState, epochs: int, title: str = "training"):
        super().__init__()
        self.state = state
        self.epochs = epochs
        self.title = title

    def on_train_begin(self, logs=None):
        import tqdm

        self.bar = tqdm.tqdm(
            desc=self.title,
            total=self.epochs,
            initial=self.state.epoch,
            unit="epoch",
            dynamic_ncols=True,
            mininterval=0.5 if sys.stderr.isatty() else 10,  # seconds; a log file stays short
        )

    def on_epoch_end(self, epoch, logs=None):
        shown = {name: f"{logs[name]:.3f}" for name in ("nll", "val_nll") if name in (logs or {})}
        self.bar.set_postfix(shown | {"best": f"{self.state.best:.3f}"}, refresh=False)
        self.bar.update()

    def close(self) -> None:
        """Leaves the bar as it is and frees the line; safe to call twice."""
        if hasattr(self, "bar"):
            self.bar.close()

    def on_train_end(self, logs=None):
        self.close()


def run_directory(output: PathLike) -> Path:
    """Returns where an unfinished run that writes `output` keeps its state."""
    return Path(f"{os.path.realpath(output)}.run")


def best_path(output: PathLike, state: TrainingState) -> Path:
    """Returns where an unfinished run that writes `output` keeps its best model."""
    return _best(output, run_directory(output), state)


def read_state(directory: PathLike) -> TrainingState | None:
    """Returns an unfinished run's state, or `None` if no epoch of it was finished.

    Raises:
        ValueError: if the state is not readable.
    """
    path = Path(directory) / _STATE
    if not path.exists():
        return None
    try:
        return TrainingState(**json.loads(path.read_bytes()))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not the state of a training run. Start afresh with --restart."
        ) from error


def load_run(
    directory: PathLike, settings: dict[str, Any] | None = None
) -> tuple[TrainingState, MADE] | None:
    """Returns the state and the last model of an unfinished run, or `None`.

    Args:
        directory: the run's directory.
        settings: if given, must equal the settings that the run began with.

    Raises:
        ValueError: if the settings differ, or the files are not readable.
    """
    state = read_state(directory)
    if state is None:
        return None
    if settings is not None:
        _check_settings(directory, state.settings, json.loads(json.dumps(settings)))
    path = Path(directory) / state.model
    try:
        return state, keras.saving.load_model(path)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path}, the last model of an unfinished run, is not readable. "
            "Start afresh with --restart."
        ) from error


def fit_resumably(
    make_model: Callable[[], MADE],
    x: npt.NDArray,
    validation: npt.NDArray,
    output: PathLike,
    *,
    epochs: int = 500,
    batch_size: int = 50,
    patience: int = 10,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    restart: bool = False,
    on_end: Callable[[TrainingState], None] | None = None,
    progress: bool | str = False,
    steps: int | None = None,
    average_steps: int | None = None,
    save_seconds: float = 0.0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[keras.Model, TrainingState]:
    """Trains a model, going on where an earlier call with the same `output` was cut off.

    The resumed run gives what an uninterrupted one would have given. Its state
    lies in `run_directory(output)`, which is removed when training is over. A
    model that an earlier run left at `output` stays until then; see `best_path`.

    Args:
        make_model: returns the compiled model; called where there is nothing
            to resume.
        x: training rows `[N, D]`.
        validation: validation rows `[M, D]`; the best `val_nll` counts.
        output: where the best model is kept, a path that ends in `.keras`.
        epochs: the largest number of epochs.
        batch_size: rows in a batch.
        patience: training stops after this many epochs without improvement.
        seed: seed of the shuffles.
        settings: further values (JSON) that must not change between runs.
        restart: whether to forget an unfinished run.
        on_end: called with the final state before the run's directory goes, so
            that what it writes (a history) is not lost either.
        progress: whether to show a progress bar on stderr; a text is its title.
        steps: how many batches make an epoch, after which validation looks;
            `None` for one pass through the rows.
        average_steps: if given, validation looks at, and the best model has, an
            exponential average of the weights over about so many steps.
        save_seconds: how much training a killed process may lose: epochs that
            end sooner after the last save are not saved.
        callbacks: further Keras callbacks.

    Returns:
        The best model, as it lies at `output`, and the final state.

    Raises:
        FloatingPointError: if training diverges.
        OSError: if a file cannot be written.
        ValueError: if the data are wrong, a setting differs from those of the
            unfinished run, another run writes `output`, or its directory holds
            anything else.
    """
    directory = run_directory(output)
    settings = {
        **(settings or {}),
        "epochs": epochs,
        "batch_size": batch_size,
        "patience": patience,
        "seed": seed,
        "data": digest(x, validation),
        **({"steps": steps} if steps else {}),
        **({"average_steps": average_steps} if average_steps else {}),
    }
    with _own(directory, output):
        loaded = None if restart else load_run(directory, settings)
        state, model = loaded or (
            TrainingState(settings, at_end=os.path.exists(output)),
            make_model(),
        )
        # Of a PyDataset Keras' `fit` sees the first batch alone.
        check_rows("x", x, model.event_size, model.conditionals)
        check_rows("validation", validation, model.event_size, model.conditionals)
        if loaded is None:
            _forget(directory)
        if state.epoch < epochs and state.wait < patience:
            rows = ShuffledRows(x, batch_size, seed, steps)
            average = None
            if average_steps:
                average = AveragedWeights(model, math.exp(-rows.steps / average_steps))
                if loaded:
                    average.load((directory / state.model).with_suffix(".npz"))
            keeper = ResumableTraining(
                output,
                directory,
                state,
                patience=patience,
                average=average,
                save_seconds=save_seconds,
            )
            title = progress if isinstance(progress, str) else "training"
            bar = ProgressBar(state, epochs, title)
            try:
                model.fit(
                    rows,
                    shuffle=False,  # or Keras shuffles the batches too, with a global generator
                    validation_data=validation,
                    validation_batch_size=1000,
                    initial_epoch=state.epoch,
                    epochs=epochs,
                    verbose=0,
                    callbacks=[
                        _SeededEpochs(rows),
                        *([average] if average else []),
                        keeper,
                        *([bar] if progress else []),
                        *callbacks,
                    ],
                )
            finally:
                bar.close()
        if on_end is not None:
            on_end(state)
        if state.at_end:
            with replacing(output, directory / "temporary.keras") as temporary:
                shutil.copyfile(directory / _BEST, temporary)
        _forget(directory)
    return keras.saving.load_model(output), state


@contextlib.contextmanager
def _own(directory: Path, output: PathLike) -> Iterator[None]:
    """Makes the run's directory and locks it; removes it if it holds no state at the end."""
    directory.mkdir(exist_ok=True)
    foreign = sorted(path.name for path in directory.iterdir() if not _OWN.fullmatch(path.name))
    if foreign:
        raise ValueError(
            f"{directory} is kept for an unfinished run, and holds other files: "
            f"{', '.join(foreign[:3])}. Move them away, or write another file than {output}."
        )
    with _locked(directory, output):
        try:
            yield
        finally:
            if not (directory / _STATE).exists():
                _sweep(directory)
                with contextlib.suppress(OSError):  # something else came to lie there
                    directory.rmdir()


@contextlib.contextmanager
def _locked(directory: Path, output: PathLike) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    with open(directory / _LOCK, "w") as file:  # the lock goes with the process
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            another = os.fstat(file.fileno()).st_nlink == 0  # it has just removed the directory
        except BlockingIOError:
            another = True
        except OSError:
            another = False  # a file system without locks
        if another:
            raise ValueError(f"another run writes {output}. Wait for its end, or write elsewhere.")
        yield


def _check_settings(directory: PathLike, before: dict[str, Any], now: dict[str, Any]) -> None:
    changed = [
        f"{name} (was {before.get(name)!r}, is {now.get(name)!r})"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise ValueError(
            f"The unfinished run in {os.fspath(directory)} has other settings: "
            f"{', '.join(changed)}. Use the same settings to resume it, or start afresh "
            "with --restart."
        )


def digest(*arrays: npt.NDArray) -> str:
    """Returns a short digest of arrays: 16 hexadecimal digits."""
    content = hashlib.sha256()
    for array in arrays:
        content.update(repr(array.shape).encode())
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()[:16]


def _best(output: PathLike, directory: Path, state: TrainingState) -> Path:
    return directory / _BEST if state.at_end else Path(output)


def _forget(directory: Path) -> None:
    (directory / _STATE).unlink(missing_ok=True)  # first: it names the others
    _sweep(directory, keep=(_LOCK,))


def _sweep(directory: Path, keep: Sequence[str] = ()) -> None:
    for path in list(directory.iterdir()):
        if _OWN.fullmatch(path.name) and path.name not in keep:
            path.unlink()
