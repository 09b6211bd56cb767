"""The oddest of many rows: those of the lowest scores in a folder of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from made_tf.batch.model import SCORE
from made_tf.batch.parts import record_in
from made_tf.portable.arguments import integer
from made_tf.portable.files import PathLike

__all__ = ["OddRow", "oddest"]


class OddRow(NamedTuple):
    """A row, and how improbable it is.

    Attributes:
        file: the name of its file, in the folder that was scored.
        row: its number there, from 0.
        score: its -log-probability, in nats.
    """

    file: str
    row: int
    score: float


def oddest(scores: PathLike, top: int = 10) -> list[OddRow]:
    """Finds the rows of the lowest log-probabilities that `made_tf.batch.score` has written.

    Args:
        scores: the folder that it has written to. One part is read at a time.
        top: how many rows, at most.

    Returns:
        The oddest first; of equally odd ones those of the first file.

    Raises:
        FileNotFoundError: if there are no scores.
        ValueError: if other files lie there.
    """
    count = integer("top", top)
    files: list[str] = []
    owners, numbers, found = np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32)
    paths = [path for path in Path(scores).rglob("*.parquet") if not path.name.startswith(".")]
    if not paths:
        raise FileNotFoundError(f"No scores in {os.fspath(scores)}")
    for path in sorted(paths, key=lambda path: path.relative_to(scores).as_posix()):
        record = record_in(path)
        if record is None or record.get("action") != "score":
            raise ValueError(f"`scores` must hold what `score` has written. It holds {path}")
        own = pq.read_table(path, columns=[SCORE])[SCORE].to_numpy()
        files.append(record["file"])
        owners = np.append(owners, np.full(len(own), len(files) - 1))
        numbers = np.append(numbers, record["start"] + np.arange(len(own)))
        found = np.append(found, own)
        best = np.argsort(found, kind="stable")[:count]
        owners, numbers, found = owners[best], numbers[best], found[best]
    return [
        OddRow(files[owner], int(number), -float(score))
        for owner, number, score in zip(owners, numbers, found, strict=True)
    ]
