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

__all__ = ["KINDS", "column_of", "moments_of", "numbers_of"]

#: What a user may call a column.
KINDS = ("boolean", "category", "ordered", "number", "moment", "identifier", "constant")

_FEW_ROWS = 20  # too few to call names that differ identifiers
_WORDS = 3.5  # in a cell on average, from which on it is a text
_MOST_OFTEN = 0.01  # of the cells: a real number that recurs so often is a point of its own
_MOST_POINTS = 8
_FEWEST_OF_A_SPIKE = 5  # cells: fewer are chance
_SPIKE = 0.05  # of the cells in one of many points of a grid: bins, not a smooth curve
_CELLS = 300  # points of a grid that bins can have one by one
_FEW_FOR_BINS = 3000  # numbers, of which a smooth curve needs fewer than bins
_LEAST_FILLED = 0.25  # of a grid's points that so many numbers could reach
_DIGITS = 6
_LARGEST_WHOLE = 2**62  # that floats stand for, and of differences
_LARGEST_DECIMAL = 1e12  # on a grid of six decimals
_SMALLEST = 1e-30  # of what varies, and the inverse of the largest
_ON_GRIDS = ("count", "discretized", "ordinal")
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
    if not len(given) and (order is not None or kind not in (None, "constant")):
        raise ValueError(f"has no cell that is not missing, of which there is no {kind or 'order'}")
    if family is not None and kind not in (None, "number"):
        raise ValueError(f"is to be of the kind {kind}, and has no family: numbers have one")
    if order is not None and kind not in (None, "ordered"):
        raise ValueError(f"is to be of the kind {kind}, and has no order")
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
            more = " and missing cells" if missing else ""
            raise ValueError(f"is not constant: it has {_distinct(given)} different values{more}")
        return Constant(name, source, _plain(given[0]) if len(given) else None)
    if kind == "identifier":
        return _identifier(name, source, given)
    if kind == "ordered":
        categories = source.categories
        if categories is None:
            categories = sorted(set(given.tolist()))
        return _ordered(name, source, given, missing, categories)
    if kind == "boolean" and _distinct(given) > 2:
        raise ValueError(f"is not boolean: it has {_distinct(given)} different values")
    if kind in ("boolean", "category"):
        return Classes(name, source, _sorted(given.tolist()), False, missing)
    if kind == "moment" and source.sort in ("moment", "date"):
        return moments_of(name, source, cells)
    if kind == "number" and source.sort in ("integer", "real", "duration", "time"):
        column = numbers_of(name, source, cells, family)
        _check_sizes(column, given)
        if source.sort in ("duration", "time") and not column.step and family is None:
            return moments_of(name, source, cells)  # too fine for a grid: in parts, and exactly
        return column
    raise ValueError(f"holds cells of the sort {source.sort!r}, which are no {kind}")


def numbers_of(name: str, source: Source, cells: Cells, family: str | None = None) -> Numbers:
    """Returns the column of numbers that cells make."""
    given = cells.values[cells.known]
    missing = not bool(cells.known.all())
    low, high = given.min(), given.max()
    largest = max(abs(float(low)), abs(float(high)))
    integer = given.dtype.kind == "i" or (
        largest < _LARGEST_WHOLE and bool(np.all(given == np.rint(given)))
    )
    grid = _grid(given.astype(np.int64) if integer else given, integer)
    far = largest > 1e3 * (float(high) - float(low))

    def column_on(step: int, start: float, denominator: int) -> Numbers:
        ends = _plain(low), _plain(high)
        return Numbers(name, source, integer, step, start, denominator, *ends, missing)

    column = column_on(*grid) if grid else None
    if column is None or np.isnan(column.codes(given)).any():  # cut off digits leave the grid
        grid, column = None, column_on(0, _plain(low) if far else 0.0, 1)
    if family in _ON_GRIDS and grid is None:
        raise ValueError(f"has numbers on no grid, which the family {family} needs")
    codes = column.codes(given)
    if not column.step and _distinct(codes) > 1:
        values, counts = np.unique(codes.astype(np.float32), return_counts=True)
        often = np.flatnonzero(counts > max(2, _MOST_OFTEN * len(codes)))
        often = often[np.argsort(-counts[often])][:_MOST_POINTS]
        if len(often) < len(values):
            column.points = [float(value) for value in values[np.sort(often)]]
    if family is None:
        family = _family(codes, bool(column.step))
        if family == "binned" and len(codes) < _FEW_FOR_BINS and _is_smooth(codes):
            family = "discretized"
    return dataclasses.replace(column, family=family)


def _check_sizes(column: Numbers, given: np.ndarray) -> None:
    """Fails if float32 has no room for numbers.

    Raises:
        ValueError: if it has not; without a subject.
    """
    codes = column.codes(given)
    largest = 0.0 if np.isnan(codes).any() else float(np.abs(codes).max())
    if largest <= _SMALLEST and _distinct(given) > 1:
        sizes = np.abs(given.astype(np.float64))
        raise ValueError(
            f"has numbers up to {sizes.max():g}; what varies must lie between {_SMALLEST:g} and "
            f"{1 / _SMALLEST:g}. Take their logarithm, or multiply them"
        )


def _family(codes: np.ndarray, on_grid: bool) -> str:
    if not on_grid:
        return "logistic_mixture"
    values = np.unique(codes)
    if values[-1] < 2:
        return "ordinal"
    if len(values) <= _CELLS:
        suggested = suggest(codes)
        return "ordinal" if suggested == "ordinal" else "binned"
    return "binned" if _has_spike(codes) else "discretized"


def _is_smooth(codes: np.ndarray) -> bool:
    """Returns whether numbers fill their grid, with no more repeats than it explains."""
    reached = min(len(codes), codes.max() - codes.min() + 1)
    return not _has_spike(codes) and _distinct(codes) > _LEAST_FILLED * reached


def _has_spike(codes: np.ndarray) -> bool:
    counts = np.unique(codes, return_counts=True)[1]
    return bool(counts.max() > max(_FEWEST_OF_A_SPIKE, _SPIKE * len(codes)))


def _grid(values: np.ndarray, integer: bool) -> tuple[int, int, int] | None:
    """Returns the step, the smallest value and their denominator; `None` for no grid."""
    if integer:
        start = int(values.min())
        if int(values.max()) - start >= _LARGEST_WHOLE:
            return None
        step = int(np.gcd.reduce(values - start)) or 1
        return (step, start, 1) if (int(values.max()) - start) // step < LARGEST_CODE // 2 else None
    if np.abs(values).max() > _LARGEST_DECIMAL or not is_recorded_on_grid(values):
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


def moments_of(name: str, source: Source, cells: Cells) -> Moments:
    """Returns the column of moments, or of durations, that cells make.

    Raises:
        ValueError: if they are too far from each other; without a subject.
    """
    given = cells.values[cells.known].astype(np.int64)
    missing = len(given) < len(cells.known)
    found = cut(given, source)
    starts = [int(found[part].min()) for part in PARTS]
    ends = [int(found[part].max()) for part in PARTS]
    steps = [
        int(np.gcd.reduce(found[part] - start)) or 1
        for part, start in zip(PARTS, starts, strict=True)
    ]
    parts: list[str] = []
    families: list[str] = []
    for part, start, step in zip(PARTS, starts, steps, strict=True):
        codes = (found[part] - start) // step
        if not codes.max() and not (missing and part == PARTS[-1] and not parts):
            continue  # but one part says which cells are missing
        if codes.max() > LARGEST_CODE // 2:
            raise ValueError(
                "has moments that are more than 40,000 years apart. Replace those that stand for "
                "something else, by a missing cell if nothing is known"
            )
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
