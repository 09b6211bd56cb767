"""The files of a training run: where they lie, what they say, which run owns them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from made_tf.models.made import MADE
from made_tf.portable.files import PathLike, replacing
from made_tf.training.race import is_beaten, is_flat

try:
    import fcntl
except ModuleNotFoundError:  # not on POSIX: runs are not locked
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "TrainingState",
    "average_path",
    "best_path",
    "forget_run",
    "load_run",
    "owned_run",
    "read_state",
    "run_directory",
    "write_state",
]

_STATE = "state.json"
_BEST = "best.keras"
_LOCK = "lock"

# The files of a run's directory; no others are ever deleted.
_OWN = re.compile(
    r"state\.json|best\.keras|lock|temporary\.keras|epoch-\d{4,}\.(keras|npz)|"
    r"\.(state\.\w+\.tmp\.json|epoch-\d{4,}\.\w+\.tmp\.npz)"
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

    def is_over(self, patience: int, rival: float) -> bool:
        """Returns whether training stops: nothing improves, or a rival's value is out of reach."""
        values = [row["val_nll"] for row in self.history if "val_nll" in row]
        return self.wait >= patience or is_flat(values, patience) or is_beaten(values, rival)


def run_directory(output: PathLike) -> Path:
    """Returns where an unfinished run that writes `output` keeps its state."""
    return Path(f"{os.path.realpath(output)}.run")


def best_path(output: PathLike, state: TrainingState, directory: Path | None = None) -> Path:
    """Returns where an unfinished run that writes `output` keeps its best model."""
    return (directory or run_directory(output)) / _BEST if state.at_end else Path(output)


def average_path(model: Path) -> Path:
    """Returns where the average of the weights lies that belongs to an epoch's model."""
    return model.with_suffix(".npz")


def write_state(directory: Path, state: TrainingState) -> None:
    """Replaces the run's state, then removes what no longer belongs to it."""
    with replacing(directory / _STATE) as text:
        text.write_text(json.dumps(dataclasses.asdict(state), indent=1))
    average = average_path(Path(state.model)).name
    _sweep(directory, keep=(_STATE, _BEST, _LOCK, state.model, average))


def forget_run(directory: Path) -> None:
    """Removes the run's files, its lock excepted."""
    (directory / _STATE).unlink(missing_ok=True)  # first: it names the others
    _sweep(directory, keep=(_LOCK,))


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
            f"{path} is not the state of a training run. Start afresh with `restart=True`."
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
    except Exception as error:  # a damaged archive raises errors of all kinds
        raise ValueError(
            f"{path}, the last model of an unfinished run, is not readable. "
            "Start afresh with `restart=True`."
        ) from error


@contextlib.contextmanager
def owned_run(directory: Path, output: PathLike) -> Iterator[None]:
    """Makes the run's directory and locks it; removes it if it holds no state at the end.

    Raises:
        ValueError: if another run writes `output`, or the directory holds
            anything else.
    """
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
    changed = list(_changes(before, now))
    if changed:
        raise ValueError(
            f"The unfinished run in {os.fspath(directory)} has other settings: "
            f"{', '.join(changed)}. Use the same settings to resume it, or start afresh "
            "with `restart=True`."
        )


def _changes(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Tells what differs, setting by setting; of settings within settings (a recipe) theirs."""
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new)
        elif old != new:
            yield f"{name} (was {old!r}, is {new!r})"


def _sweep(directory: Path, keep: Sequence[str] = ()) -> None:
    for path in list(directory.iterdir()):
        if _OWN.fullmatch(path.name) and path.name not in keep:
            path.unlink()
