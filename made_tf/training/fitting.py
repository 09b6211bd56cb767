"""`fit_resumably`: training that goes on where it was cut off."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy.typing as npt

from made_tf.conditionals.row_checks import check_rows
from made_tf.data.row_stream import RowStream
from made_tf.models.made import MADE
from made_tf.portable.files import PathLike, replacing
from made_tf.training.averaging import AveragedWeights
from made_tf.training.callbacks import ProgressBar, ResumableTraining
from made_tf.training.distributed import check_alike, from_first, is_first
from made_tf.training.runs import (
    TrainingState,
    average_path,
    best_path,
    forget_run,
    load_run,
    owned_run,
    run_directory,
)
from made_tf.training.shuffled_rows import SeededEpochs, digest_of_rows, shuffled

__all__ = ["fit_resumably"]


def fit_resumably(
    make_model: Callable[[], MADE],
    x: npt.NDArray | RowStream,
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
    rival: float = math.inf,
) -> tuple[keras.Model, TrainingState]:
    """Trains a model, going on where an earlier call with the same `output` was cut off.

    The resumed run gives what an uninterrupted one would have given. Its state
    lies in `run_directory(output)`, which is removed when training is over. A
    model that an earlier run left at `output` stays until then; see `best_path`.
    Of several processes that train together (`data_parallel`) the first one alone
    reads and writes; all get the model.

    Args:
        make_model: returns the compiled model; called where there is nothing
            to resume.
        x: training rows `[N, D]`, or a stream of them (which then is cut into batches anew).
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
            `None` or 0 for one pass through the rows.
        average_steps: if given (and not 0), validation looks at, and the best
            model has, an exponential average of the weights over about so many
            steps.
        save_seconds: how much training a killed process may lose: epochs that
            end sooner after the last save are not saved. (An interrupted one,
            which Ctrl-C ends, loses no epoch.)
        callbacks: further Keras callbacks.
        rival: a `val_nll`: training also stops where it will hardly be reached.

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
        "data": digest_of_rows(x, validation),
        **({"steps": steps} if steps else {}),
        **({"average_steps": average_steps} if average_steps else {}),
    }
    check_alike("rows and settings", settings)
    with contextlib.ExitStack() as owned:
        from_first(lambda: owned.enter_context(owned_run(directory, output)))
        loaded = from_first(lambda: None if restart else load_run(directory, settings))
        state, model = loaded or (
            TrainingState(settings, at_end=os.path.exists(output)),
            make_model(),
        )
        if not isinstance(x, RowStream):  # which checks what it reads
            # Of a PyDataset Keras' `fit` sees the first batch alone.
            check_rows("x", x, model.conditionals)
        check_rows("validation", validation, model.conditionals)
        if loaded is None:
            from_first(lambda: forget_run(directory))
        if state.epoch < epochs and not state.is_over(patience, rival):
            rows = shuffled(x, batch_size, seed, steps)
            rows.set_epoch(state.epoch)  # before a look at the first batch
            average = None
            if average_steps:
                average = AveragedWeights(model, math.exp(-rows.steps / average_steps))
                if loaded:
                    average.load(average_path(directory / state.model))
            keeper = ResumableTraining(
                output,
                directory,
                state,
                patience=patience,
                average=average,
                save_seconds=save_seconds,
                rival=rival,
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
                        SeededEpochs(rows),
                        *([average] if average else []),
                        keeper,
                        *([bar] if progress and is_first() else []),
                        *callbacks,
                    ],
                )
            except KeyboardInterrupt:
                keeper.save_unsaved()
                raise
            finally:
                bar.close()

        def finish():
            if on_end is not None:
                on_end(state)
            if state.at_end:
                with replacing(output, directory / "temporary.keras") as temporary:
                    shutil.copyfile(best_path(output, state, directory), temporary)
            forget_run(directory)

        from_first(finish)
    return from_first(lambda: keras.saving.load_model(output)), state
