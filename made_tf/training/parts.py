"""The folder of an ensemble in training: what its files are called, and what lies there so far."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

from made_tf.training.runs import best_path, read_state, run_directory

__all__ = ["Part", "facts_path", "foreign_files", "forget_parts", "member_path", "parts_in"]

# A candidate's name (see `made_tf.training.recipe`), then the member's number; and what was found
# of a table in files (`made_tf.data.survey`).
_OWN = re.compile(r"([\w-][\w.-]*-)?member-\d+\.(json|keras|keras\.run)|survey\.npz|\..*\.tmp\.\w+")


@dataclasses.dataclass(frozen=True)
class Part:
    """A model of an ensemble in training, finished or not.

    Attributes:
        path: where it lies, as it was when it was best.
        nll: of the validation rows, in nats.
        epoch: the number of looks that its training took so far.
        best_epoch: the look at which it was best.
        finished: whether its training is over.
    """

    path: Path
    nll: float
    epoch: int
    best_epoch: int
    finished: bool


def member_path(folder: Path, candidate: str, index: int) -> Path:
    """Returns where a member goes; that of a recipe without candidates has no name but a number."""
    return folder / f"{'-'.join(filter(None, (candidate, 'member', str(index))))}.keras"


def facts_path(member: Path) -> Path:
    """Returns where it is written how a finished member came out."""
    return member.with_suffix(".json")


def foreign_files(folder: Path) -> list[str]:
    """Returns the names in a folder that no ensemble in training gave."""
    return sorted(path.name for path in folder.iterdir() if not _OWN.fullmatch(path.name))


def forget_parts(folder: Path) -> None:
    """Removes what an ensemble in training left in its folder."""
    for path in list(folder.iterdir()):
        if _OWN.fullmatch(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def parts_in(folder: Path) -> list[Part]:
    """Returns the models in the folder of an ensemble in training, finished or not.

    Raises:
        ValueError: if the state of an unfinished one is not readable.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        facts = json.loads(path.read_text())
        nll, epoch, best_epoch = (facts[name] for name in ("valid_nll", "looks", "best_look"))
        found.append(Part(path.with_suffix(".keras"), nll, epoch, best_epoch, finished=True))
    for directory in sorted(folder.glob("*.keras.run")):
        model = directory.with_suffix("")
        state = read_state(run_directory(model))
        if state is not None:
            path = best_path(model, state)
            found.append(Part(path, state.best, state.epoch, state.best_epoch, finished=False))
    return found
