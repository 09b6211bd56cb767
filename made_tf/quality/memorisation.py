"""Do synthetic rows lie closer to the rows that were learned from than other real rows do?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from made_tf.portable.arrays import FloatArray
from made_tf.quality.columns import Compared, Floats, matrix

__all__ = ["Memorisation", "memorisation"]

_MOST = 1000  # rows whose closest training row is looked for
_TRAINING = 30_000  # rows among which it is
_AT_ONCE = 64
_LOW = 0.05


class Memorisation(NamedTuple):
    """Distances to the closest training row, of synthetic rows and of held-out real ones.

    The distance of two rows is the mean over their columns: of classes 0 or 1, of numbers the share
    of training rows between them. No low number here is a promise of privacy.

    Attributes:
        closer: the probability that a synthetic row lies closer to its closest training row than a
            held-out row to its own (ties count half): 0.5 if nothing was learned by heart.
        synthetic_median: the median distance of synthetic rows.
        real_median: of held-out ones.
        synthetic_low: the distance that 5 % of the synthetic rows lie below.
        real_low: and of the held-out ones.
        synthetic_copies: the share of synthetic rows that are training rows, cell by cell.
        real_copies: of held-out ones.
        rows: how many of each sort the distances are of.
    """

    closer: float
    synthetic_median: float
    real_median: float
    synthetic_low: float
    real_low: float
    synthetic_copies: float
    real_copies: float
    rows: int


def memorisation(columns: Sequence[Compared], seed: int) -> Memorisation:
    """Compares distances to the closest training row."""
    rng = np.random.default_rng(seed)
    train = _some(matrix(columns, "train"), _TRAINING, rng)
    count = min(*(len(columns[0].parts[part]) for part in ("real", "synthetic")), _MOST)
    own, real = (
        _closest(columns, _some(matrix(columns, part), count, rng), train)
        for part in ("synthetic", "real")
    )
    smaller = np.searchsorted(np.sort(real), own, side="left")
    ties = np.searchsorted(np.sort(real), own, side="right") - smaller
    closer = 1 - float((smaller + ties / 2).mean()) / len(real)
    known = {row.tobytes() for row in _plain(matrix(columns, "train"))}
    copies = [
        float(np.mean([row.tobytes() in known for row in _plain(matrix(columns, part))]))
        for part in ("synthetic", "real")
    ]
    return Memorisation(
        closer=closer,
        synthetic_median=float(np.median(own)),
        real_median=float(np.median(real)),
        synthetic_low=float(np.quantile(own, _LOW)),
        real_low=float(np.quantile(real, _LOW)),
        synthetic_copies=copies[0],
        real_copies=copies[1],
        rows=count,
    )


def _some(rows: Floats, most: int, rng: np.random.Generator) -> Floats:
    if len(rows) <= most:
        return rows
    return rows[np.sort(rng.choice(len(rows), most, replace=False))]


def _plain(rows: Floats) -> Floats:
    """Returns rows of which equal ones have the same bytes."""
    return np.where(np.isnan(rows), np.nan, rows + 0.0)  # no -0.0, and one sort of NaN


def _closest(columns: Sequence[Compared], rows: Floats, train: Floats) -> FloatArray:
    """Returns the distance of each row to the closest of others, `[N]`."""
    scaled = [
        _scaled(column, train[:, number], (rows[:, number], train[:, number]))
        for number, column in enumerate(columns)
    ]
    found = np.zeros(len(rows), np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        total = np.zeros((len(rows[part]), len(train)), np.float32)
        for column, (own, other) in zip(columns, scaled, strict=True):
            if column.classes is None:
                total += np.minimum(np.abs(own[part, None] - other), 1)  # a missing one is far off
            else:
                total += own[part, None] != other
        found[part] = total.min(axis=1) / len(columns)
    return found


def _scaled(column: Compared, train: Floats, parts: Sequence[Floats]) -> list[FloatArray]:
    """Returns numbers as shares of the training rows below them; missing cells are 9."""
    if column.classes is not None:
        return [np.nan_to_num(values, nan=-1).astype(np.float32) for values in parts]
    known = np.sort(train[~np.isnan(train)])
    return [
        np.where(np.isnan(values), 9, np.searchsorted(known, values) / max(1, len(known))).astype(
            np.float32
        )
        for values in parts
    ]
