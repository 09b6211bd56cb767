"""Training that survives: best model, early stopping, resuming, a progress bar."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from made_tf.portable.files import PathLike, replacing
from made_tf.training.averaging import AveragedWeights
from made_tf.training.distributed import from_first, num_processes
from made_tf.training.runs import TrainingState, average_path, best_path, write_state

__all__ = ["ProgressBar", "ResumableTraining", "StopAfter"]


class ResumableTraining(keras.callbacks.Callback):
    """Keeps the best model, stops early, and loses nothing when the process is killed.

    After every epoch the whole model (with the optimizer's state) is written
    to `<directory>/epoch-NNNN.keras`, then `<directory>/state.json`, which
    names it, is replaced; so the directory holds a consistent pair at any
    moment. When the monitored value improves, the same model also becomes
    `output`, or `<directory>/best.keras` with `state.at_end`. Resume with
    `load_run`, or let `fit_resumably` do all of it. Of several processes that
    train together the first one writes.

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
            train. The last one always does, and `save_unsaved` does so for an
            interruption.
        rival: a value of the monitored metric: training also stops when it will hardly be
            reached (`made_tf.training.race`).

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
        rival: float = math.inf,
    ):
        super().__init__()
        self.output = Path(output)
        self.directory = Path(directory)
        self.state = state or TrainingState()
        self.monitor = monitor
        self.patience = patience
        self.average = average
        self.save_seconds = save_seconds
        self.rival = rival
        self._best: list[npt.NDArray] | None = None  # where it is not yet in a file
        self._unsaved: _Epoch | None = None
        self._saved_at = time.monotonic()

    def on_train_begin(self, logs=None):
        from_first(lambda: self.directory.mkdir(exist_ok=True))

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
        if state.is_over(self.patience, self.rival):
            self.model.stop_training = True
        last = self.model.stop_training or state.epoch == (self.params or {}).get("epochs")
        if last or from_first(lambda: time.monotonic() - self._saved_at >= self.save_seconds):
            self._save()
        elif self.save_seconds:
            self._unsaved = _Epoch.of(self.model, state, self.average, self._best)

    def save_unsaved(self) -> None:
        """Saves the last epoch that ended, if it is in no file: training was interrupted."""
        if self._unsaved is not None and num_processes() == 1:  # nobody knows where others are
            self._best = self._unsaved.bring_back(self.model, self.state, self.average)
            self._save()

    def _averaged(self) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext() if self.average is None else self.average.in_model()

    def _save(self) -> None:
        self.state.model = f"epoch-{self.state.epoch:04d}.keras"
        last = self.directory / self.state.model
        self._write(last, self.model.save)
        if self.average is not None:
            from_first(functools.partial(self.average.save, average_path(last)))
        if self._best is not None:
            best = best_path(self.output, self.state, self.directory)
            if self.average is None and self.state.wait == 0:
                self._write(best, functools.partial(shutil.copyfile, last))
            else:
                self._save_best(best)
            self._best = None
        from_first(lambda: write_state(self.directory, self.state))
        self._unsaved = None
        self._saved_at = time.monotonic()

    def _save_best(self, path: Path) -> None:
        own = self.model.get_weights()
        try:
            self.model.set_weights(self._best)
            self._write(path, self.model.save)
        finally:
            self.model.set_weights(own)

    def _write(self, path: Path, write: Callable[[Path], Any]) -> None:
        # Temporary files lie in the run's directory, where the next epoch sweeps them away.
        def written():
            with replacing(path, self.directory / "temporary.keras") as temporary:
                write(temporary)

        from_first(written)


@dataclasses.dataclass(frozen=True)
class _Epoch:
    """All that an epoch left, in memory."""

    variables: list[npt.NDArray]
    state: TrainingState
    average: tuple[int, list[npt.NDArray]] | None
    best: list[npt.NDArray] | None

    @classmethod
    def of(
        cls,
        model: keras.Model,
        state: TrainingState,
        average: AveragedWeights | None,
        best: list[npt.NDArray] | None,
    ) -> _Epoch:
        variables = [np.array(variable) for variable in _variables(model)]
        copied = dataclasses.replace(state, history=list(state.history))
        return cls(variables, copied, average and (average.count, average.values), best)

    def bring_back(
        self, model: keras.Model, state: TrainingState, average: AveragedWeights | None
    ) -> list[npt.NDArray] | None:
        """Puts all back to where the epoch ended; returns the best weights."""
        for variable, value in zip(_variables(model), self.variables, strict=True):
            variable.assign(value)
        vars(state).update(vars(self.state))
        if average is not None and self.average is not None:
            average.count, average.values = self.average
        return self.best


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


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


class StopAfter(keras.callbacks.Callback):
    """Ends training when its time is over, after one more look at the validation rows.

    Args:
        seconds: how long training may take, from the first step on.
    """

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds = seconds

    def on_train_begin(self, logs=None):
        self._end = time.monotonic() + self.seconds

    def on_train_batch_end(self, batch, logs=None):
        if num_processes() == 1:
            self._look_at_the_clock()

    def on_test_begin(self, logs=None):
        if num_processes() > 1:  # which must agree, and do so once a look
            self._look_at_the_clock()

    def _look_at_the_clock(self):
        if from_first(lambda: time.monotonic() > self._end):
            self.model.stop_training = True
