"""Training that survives: best model, early stopping, resuming, a progress bar."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from made_tf.averaging import AveragedWeights
from made_tf.files import PathLike, replacing
from made_tf.models import MADE
from made_tf.runs import (
    TrainingState,
    best_path,
    digest,
    forget_run,
    load_run,
    owned_run,
    run_directory,
    write_state,
)
from made_tf.validation import check_rows

__all__ = ["ProgressBar", "ResumableTraining", "ShuffledRows", "fit_resumably"]


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
            with replacing(best_path(self.output, self.state, self.directory), temporary):
                if self.average is None and self.state.wait == 0:
                    shutil.copyfile(last, temporary)
                else:
                    self._save_best(temporary)
            self._best = None
        write_state(self.directory, self.state)
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
    with owned_run(directory, output):
        loaded = None if restart else load_run(directory, settings)
        state, model = loaded or (
            TrainingState(settings, at_end=os.path.exists(output)),
            make_model(),
        )
        # Of a PyDataset Keras' `fit` sees the first batch alone.
        check_rows("x", x, model.event_size, model.conditionals)
        check_rows("validation", validation, model.event_size, model.conditionals)
        if loaded is None:
            forget_run(directory)
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
                shutil.copyfile(best_path(output, state, directory), temporary)
        forget_run(directory)
    return keras.saving.load_model(output), state
