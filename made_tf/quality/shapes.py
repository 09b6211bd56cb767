"""Column by column and pair by pair: are the distributions alike?

The scores are those of SDMetrics, 1 for the same and 0 for nothing in common, but that missing
cells are a class of their own, and numbers beside classes are cut at deciles of the real rows (not
each frame at its own). SDMetrics itself needs pandas before 3.0.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from made_tf.data.optional import optional_module
from made_tf.quality.columns import Compared, Floats

__all__ = ["ColumnShape", "PairTrend", "column_shapes", "pair_trends"]

_MOST = 20_000  # rows that pairs are counted in
_CELLS = 10  # that numbers are cut into beside classes


class ColumnShape(NamedTuple):
    """How alike one column's distributions are.

    Attributes:
        name: the column.
        kind: `"numbers"` or `"classes"`.
        score: 1 less the largest distance of the distribution functions (Kolmogorov and Smirnov)
            of numbers, 1 less the total variation of classes.
        reference: the same of training rows; `None` without them.
        real_missing: the share of missing cells in real rows.
        synthetic_missing: in synthetic ones.
    """

    name: str
    kind: str
    score: float
    reference: float | None
    real_missing: float
    synthetic_missing: float


class PairTrend(NamedTuple):
    """How alike the dependence of two columns is.

    Attributes:
        first: a column.
        second: another one.
        score: of two columns of numbers 1 less half the distance of their correlations, of others 1
            less the total variation of both together.
        reference: the same of training rows; `None` without them.
        real: how strongly they depend on each other in real rows: the correlation of numbers, else
            Cramér's V.
        synthetic: in synthetic rows.
    """

    first: str
    second: str
    score: float
    reference: float | None
    real: float
    synthetic: float


def column_shapes(columns: Sequence[Compared]) -> list[ColumnShape]:
    """Compares column by column; the frames are `"real"`, `"synthetic"` and perhaps `"train"`."""
    found = []
    for column in columns:
        kind = "numbers" if column.classes is None else "classes"
        score = _shape(column, "synthetic")
        reference = _shape(column, "train") if "train" in column.parts else None
        missing = column.missing("real"), column.missing("synthetic")
        found.append(ColumnShape(column.name, kind, score, reference, *missing))
    return found


def _shape(column: Compared, part: str) -> float:
    if column.classes is None:
        stats = optional_module("scipy.stats", "scipy", "quality")
        return 1 - float(stats.ks_2samp(column.known("real"), column.known(part)).statistic)
    real, other = (_codes(column, each) for each in ("real", part))
    return 1 - _variation(real, other, len(column.classes) + 1)


def pair_trends(columns: Sequence[Compared]) -> list[PairTrend]:
    """Compares all pairs of columns, frames as of `column_shapes`."""
    columns = [
        column._replace(parts={part: values[:_MOST] for part, values in column.parts.items()})
        for column in columns
    ]
    return list(_trends(columns))


def _trends(columns: Sequence[Compared]) -> Iterator[PairTrend]:
    others = [part for part in columns[0].parts if part != "real"] if columns else []
    codes = [{part: _codes(column, part) for part in column.parts} for column in columns]
    counts = [_CELLS + 1 if each.classes is None else len(each.classes) + 1 for each in columns]
    for one, two in itertools.combinations(range(len(columns)), 2):
        first, second = columns[one], columns[two]
        scores, strengths = {}, {}
        if first.classes is None and second.classes is None:
            strengths = {
                part: _correlation(first.parts[part], second.parts[part]) for part in first.parts
            }
            for part in others:
                scores[part] = 1 - abs(strengths["real"] - strengths[part]) / 2
        else:
            width = counts[two]
            both = {part: codes[one][part] * width + codes[two][part] for part in first.parts}
            for part in first.parts:
                strengths[part] = _cramer(codes[one][part], codes[two][part])
            for part in others:
                scores[part] = 1 - _variation(both["real"], both[part], counts[one] * width)
        yield PairTrend(
            first.name,
            second.name,
            scores["synthetic"],
            scores.get("train"),
            strengths["real"],
            strengths["synthetic"],
        )


def _codes(column: Compared, part: str) -> np.ndarray:
    """Returns the number of each cell's class, or of its decile in real rows; the last if missing.

    Numbers that are too few for deciles have cells of several.
    """
    values = column.parts[part]
    if column.classes is None:
        edges = np.quantile(column.known("real"), np.linspace(0, 1, _CELLS + 1)[1:-1])
        codes, last = np.searchsorted(edges, values, side="left"), _CELLS
    else:
        codes, last = np.nan_to_num(values).astype(np.int64), len(column.classes)
    return np.where(np.isnan(values), last, codes)


def _variation(first: np.ndarray, second: np.ndarray, count: int) -> float:
    """Returns the total variation of two samples of numbers below `count`."""
    own, other = (np.bincount(each, minlength=count) / len(each) for each in (first, second))
    return float(np.abs(own - other).sum() / 2)


def _correlation(first: Floats, second: Floats) -> float:
    """Returns the correlation over rows in which both are known; 0 where one does not vary."""
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    if len(first) < 2 or not np.ptp(first) or not np.ptp(second):
        return 0.0
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1))


def _cramer(first: np.ndarray, second: np.ndarray) -> float:
    """Returns Cramér's V: 0 for independent columns, 1 where one determines the other."""
    shape = int(first.max()) + 1, int(second.max()) + 1
    table = np.bincount(first * shape[1] + second, minlength=shape[0] * shape[1]).reshape(shape)
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    if min(table.shape) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / len(first)
    chi_squared = float(((table - expected) ** 2 / expected).sum())
    return float(np.sqrt(min(1.0, chi_squared / len(first) / (min(table.shape) - 1))))
