"""What a run gave, as a JSON file: settings, versions, curves, figures."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np

from made_tf.portable.fields import check_fields
from made_tf.portable.files import replacing
from made_tf.portable.version import __version__
from made_tf.training.by_recipe import TrainedEnsemble
from made_tf.training.members import TrainedMember
from made_tf.training.recipe import Recipe

try:
    import resource
except ModuleNotFoundError:  # not on POSIX: the memory is not known
    resource = None  # type: ignore[assignment]

__all__ = ["Record", "read_records", "record_name"]

_CURVE_POINTS = 60


@dataclasses.dataclass
class Record:
    """The result of one recipe on one set with one seed.

    Attributes:
        set: the set's name.
        recipe: the recipe's name.
        seed: the ensemble's seed.
        test_nll: mean negative log-likelihood of the test rows, in nats.
        test_standard_error: its standard error over rows.
        valid_nll: the same of the validation rows, which chose.
        members: how many models the density is averaged over.
        num_orders: over how many orders each of them.
        candidate: that of the recipe's candidates which validation chose.
        wall_seconds: of all training, as it was measured.
        cpu_seconds: of all training, of all threads.
        peak_bytes: the largest memory of the process; 0 where it is not known.
        settings: the recipe's content.
        training: how each model came out, with a curve: `[look, nll, val_nll]`,
            a look being one evaluation on the validation rows.
        rejected: how the candidates that were not chosen came out.
        versions: of what took part.
        smoke: whether the rows were made up.
    """

    set: str
    recipe: str
    seed: int
    test_nll: float
    test_standard_error: float
    valid_nll: float
    members: int
    num_orders: int
    candidate: str
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    settings: dict[str, Any]
    training: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    versions: dict[str, str]
    smoke: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        recipe: Recipe,
        seed: int,
        trained: TrainedEnsemble,
        test: tuple[float, float],
        smoke: bool,
    ) -> Record:
        """Returns the record of a trained ensemble."""
        every = [*trained.members, *trained.rejected]
        return cls(
            set=name,
            recipe=recipe.name,
            seed=seed,
            test_nll=test[0],
            test_standard_error=test[1],
            valid_nll=trained.valid_nll,
            members=len(trained.members),
            num_orders=trained.ensemble.members[0].num_orders,
            candidate=trained.candidate,
            wall_seconds=round(sum(member.wall_seconds for member in every), 1),
            cpu_seconds=round(sum(member.cpu_seconds for member in every), 1),
            peak_bytes=_peak_bytes(),
            settings=recipe.to_dict(),
            training=[_summary(member) for member in trained.members],
            rejected=[_summary(member) for member in trained.rejected],
            versions=_versions(),
            smoke=smoke,
        )

    @property
    def file_name(self) -> str:
        """The name of the record's file."""
        return record_name(self.set, self.recipe, self.seed)

    def write(self, folder: Path) -> Path:
        """Writes the record into a folder; returns its path."""
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / self.file_name) as path:
            path.write_text(_text(dataclasses.asdict(self)), encoding="utf-8")
        return folder / self.file_name


def record_name(set_name: str, recipe: str, seed: int) -> str:
    """Returns the name of a record's file."""
    return f"{set_name}-{recipe}-{seed}.json"


def read_records(folder: Path) -> list[Record]:
    """Returns all records in a folder, by name.

    Raises:
        ValueError: if a file is not a record.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        try:
            record = Record(**json.loads(path.read_text(encoding="utf-8")))
            check_fields(record)
            records.append(record)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a record: {error}. Move it away.") from error
    return records


def _summary(member: TrainedMember) -> dict[str, Any]:
    """What a record tells of a model: of its history a curve of a few points."""
    summary = dataclasses.asdict(member)
    history = summary.pop("history")
    looks = np.linspace(1, member.looks, _CURVE_POINTS, dtype=int)
    shown = (history[look - 1] for look in sorted({*looks.tolist(), member.best_look}))
    summary["curve"] = [
        [row["epoch"], round(row["nll"], 3), round(row["val_nll"], 4)] for row in shown
    ]
    return summary


def _text(content: dict[str, Any]) -> str:
    """JSON with a line for each key: short, and still good to compare."""
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _peak_bytes() -> int:
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _versions() -> dict[str, str]:
    backend = keras.backend.backend()
    return {
        "made_tf": __version__,
        "keras": keras.__version__,
        backend: metadata.version(backend),
        "numpy": metadata.version("numpy"),
        "python": platform.python_version(),
        "device": keras.distribution.list_devices()[0],
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "?"),
    }
