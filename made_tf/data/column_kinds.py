"""What kind of column the cells of a frame's column make."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from made_tf.conditionals.grids import is_recorded_on_grid
from made_tf.conditionals.suggestions import suggest
from made_tf.data.frames import Series
from made_tf.portable.schema import Cells, Column, Source
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.columns import Constant, Identifier
from made_tf.portable.schema.moments import PARTS, Moments, cut
from made_tf.portable.schema.numbers import LARGEST_CODE, Numbers

__all__ = ["KINDS", "column_of", "numbers_of"]

#: What a user may call a column.
KINDS = ("boolean", "category", "ordered", "number", "moment", "identifier", "constant")

_FEW_ROWS = 20  # too few to call names that differ identifiers
_WORDS = 3.5  # in a cell on average, from which on it is a text
_MOST_OFTEN = 0.01  # of the cells: a real number that recurs so often is a point of its own
_MOST_POINTS = 8
_SPIKE = 0.05  # of the cells in one of many points of a grid: bins, not a smooth curve
_CELLS = 300  # points of a grid that bins can have one by one
_DIGITS = 6
_ID = re.compile(r"(^|[_\s.-])(id|uuid|guid|key)$|[a-z]I[dD]$", re.IGNORECASE)
_ANY_SORT = {
    "boolean": "boolean",
    "category": "category",
    "ordered": "ordered",
    "integer": "number",
    "real": "number",
    "duration": "number",
    "time": "number",
    "moment": "moment",
    "date": "moment",
}


def column_of(
    name: str,
    series: Series,
    kind: str | None = None,
    family: str | None = None,
    order: Sequence[Any] | None = None,
) -> Column:
    """Returns the column that cells make.

    Args:
        name: its name.
        series: its cells.
        kind: one of `KINDS`, where the user says so.
        family: the name of a family of conditionals for numbers, likewise.
        order: the categories in their order, likewise.

    Raises:
        ValueError: if the cells are a text, or are not what the user says; without a subject.
    """
    source, cells = series
    given = cells.values[cells.known]
    missing = not bool(cells.known.all())
    if order is not None:
        return _ordered(name, source, given, missing, order)
    if kind is None:
        if not len(given) or (not missing and _distinct(given) == 1):
            kind = "constant"
        elif source.sort == "text":
            kind = _kind_of_texts(name, given)
        elif source.sort == "integer" and not missing and _counts_rows(name, given):
            kind = "identifier"
        else:
            kind = _ANY_SORT[source.sort]
    if kind == "constant":
        if len(given) and (missing or _distinct(given) > 1):
            raise ValueError(f"is not constant: it has {_distinct(given)} different values")
        return Constant(name, source, _plain(given[0]) if len(given) else None)
    if kind == "identifier":
        return _identifier(name, source, given)
    if kind == "ordered":
        categories = source.categories
        if categories is None:
            categories = sorted(set(given.tolist()))
        return _ordered(name, source, given, missing, categories)
    if kind in ("boolean", "category"):
        return Classes(name, source, _sorted(given.tolist()), False, missing)
    if kind == "moment" and source.sort in ("moment", "date"):
        return _moments(name, source, given, missing)
    if kind == "number" and source.sort in ("integer", "real", "duration", "time"):
        return numbers_of(name, source, Cells(cells.values, cells.known), family)
    raise ValueError(f"holds cells of the sort {source.sort!r}, which are no {kind}")


def numbers_of(name: str, source: Source, cells: Cells, family: str | None = None) -> Numbers:
    """Returns the column of numbers that cells make."""
    given = cells.values[cells.known]
    missing = not bool(cells.known.all())
    whole = given.dtype.kind == "i" or bool(np.all(given == np.rint(given)))
    integer = whole and bool(np.abs(given).max() < 2**62)
    low, high = given.min(), given.max()
    grid = _grid(given.astype(np.int64) if integer else given, integer)
    if grid is None:
        far = np.abs(given).max() > 1e3 * (float(high) - float(low))
        start = float(low) if far else 0.0
        column = Numbers(name, source, integer, 0, start, 1, _plain(low), _plain(high), missing)
    else:
        step, start, denominator = grid
        column = Numbers(
            name, source, integer, step, start, denominator, _plain(low), _plain(high), missing
        )
    codes = column.codes(given)
    if not column.step and _distinct(codes) > 1:
        values, counts = np.unique(codes.astype(np.float32), return_counts=True)
        often = np.flatnonzero(counts > max(2, _MOST_OFTEN * len(codes)))
        often = often[np.argsort(-counts[often])][:_MOST_POINTS]
        if len(often) < len(values):
            column.points = [float(value) for value in values[np.sort(often)]]
    return dataclasses.replace(column, family=family or _family(codes, bool(column.step)))


def _family(codes: np.ndarray, on_grid: bool) -> str:
    if not on_grid:
        return "logistic_mixture"
    values, counts = np.unique(codes, return_counts=True)
    if values[-1] < 2:
        return "ordinal"
    if len(values) <= _CELLS:
        suggested = suggest(codes)
        return "ordinal" if suggested == "ordinal" else "binned"
    return "binned" if counts.max() > _SPIKE * len(codes) else "discretized"


def _grid(values: np.ndarray, integer: bool) -> tuple[int, int, int] | None:
    """Returns the step, the smallest value and their denominator; `None` for no grid."""
    if integer:
        start = int(values.min())
        step = int(np.gcd.reduce(values - start)) or 1
        return (step, start, 1) if (int(values.max()) - start) // step < LARGEST_CODE // 2 else None
    if not is_recorded_on_grid(values):
        return None
    for digits in range(_DIGITS + 1):
        scaled = values * 10.0**digits
        counts = np.rint(scaled)
        if np.all(np.abs(scaled - counts) <= 1e-3 + 4e-16 * np.abs(scaled)):
            found = _grid(counts.astype(np.int64), True)
            if found is None:
                return None
            shared = math.gcd(found[0], found[1], 10**digits)
            return found[0] // shared, found[1] // shared, 10**digits // shared
    return None


def _moments(name: str, source: Source, given: np.ndarray, missing: bool) -> Moments:
    found = cut(given.astype(np.int64), source.unit)
    starts = [int(found[part].min()) for part in PARTS]
    ends = [int(found[part].max()) for part in PARTS]
    steps = [
        int(np.gcd.reduce(found[part] - start)) or 1
        for part, start in zip(PARTS, starts, strict=True)
    ]
    parts, families = [], []
    for number, part in enumerate(PARTS):
        codes = (found[part] - starts[number]) // steps[number]
        if not codes.max():
            continue
        if codes.max() > LARGEST_CODE // 2:
            steps[number] = max(steps[number], int(codes.max()) * 2 // LARGEST_CODE + 1)
            codes = (found[part] - starts[number]) // steps[number]
        parts.append(part)
        families.append(_family(codes.astype(np.float64), True))
    low, high = int(given.min()), int(given.max())
    return Moments(name, source, parts, starts, ends, steps, low, high, missing, families)


def _ordered(name, source, given, missing, categories: Sequence[Any]) -> Classes:
    unknown = sorted(set(given.tolist()) - set(categories), key=str)
    if unknown:
        raise ValueError(f"has cells that are none of the categories {list(categories)}: {unknown}")
    there = set(given.tolist())
    values = [each for each in categories if each in there]
    if len(values) < 2:  # with missing cells beside it
        return Classes(name, source, values, False, missing)
    return Classes(name, source, values, True, missing)


def _identifier(name: str, source: Source, given: np.ndarray) -> Identifier:
    if source.sort == "integer":
        return Identifier(name, source, None, int(given.max()) + 1 if len(given) else 1)
    if source.sort != "text":
        raise ValueError(f"holds cells of the sort {source.sort!r}: identifiers are texts or whole")
    return Identifier(name, source, f"{name}-", 1)


def _kind_of_texts(name: str, given: np.ndarray) -> str:
    """Returns what texts are.

    Raises:
        ValueError: if they are free text.
    """
    distinct = _distinct(given)
    words = sum(len(text.split()) for text in given.tolist()) / len(given)
    if words >= _WORDS and 2 * distinct > len(given) >= _FEW_ROWS:
        raise ValueError(
            f"is free text ({words:.0f} words a cell, {distinct:,} different ones), of which there "
            "is no model: leave it out"
        )
    alike = distinct == len(given)
    if alike and (len(given) >= _FEW_ROWS or _ID.search(name)):
        return "identifier"
    return "category"


def _counts_rows(name: str, given: np.ndarray) -> bool:
    """Returns whether whole numbers are names of rows: each occurs once, without gaps or as ids."""
    if len(given) < 2 or _distinct(given) < len(given):
        return False
    gapless = int(given.max()) - int(given.min()) == len(given) - 1
    return (gapless and len(given) >= _FEW_ROWS) or bool(_ID.search(name))


def _distinct(given: np.ndarray) -> int:
    return len(set(given.tolist()))


def _sorted(values: list) -> list:
    try:
        return sorted(set(values))
    except TypeError:  # of several kinds
        return sorted(set(values), key=lambda value: (type(value).__name__, str(value)))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
