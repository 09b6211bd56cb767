"""What a table says of itself: columns that others determine, sums, orders.

Found only where chance can hardly have made it so.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from made_tf.data.column_kinds import moments_of, numbers_of
from made_tf.portable.schema import Cells, Column, Source
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.facts import AtLeast, Dependent, Total, whole_range
from made_tf.portable.schema.moments import UNITS, Moments
from made_tf.portable.schema.numbers import Numbers

__all__ = [
    "at_least",
    "find_dependencies",
    "find_orders",
    "find_totals",
    "shared_denominator",
    "total",
    "wrong_total",
]

_ROWS_OF_A_VALUE = 5  # on average, below which everything seems determined
_FEW_ROWS = 50
_MANY_VALUES = 30
_OF_A_SPREAD = 1e-6  # of a column's numbers: what rounding may do to sums
_CHANCE = 0.05  # of an order that rows put together at random would break
_BY_CHANCE = -math.log(1e-6)  # nats: of all facts of a table together


def find_dependencies(
    columns: Mapping[str, Column], table: Mapping[str, Cells], kept: Collection[str] = ()
) -> dict[str, Dependent]:
    """Finds columns of few values that another one determines, a column of classes.

    Of columns that determine each other the first one stays as it is.

    Args:
        columns: the columns.
        table: their cells.
        kept: those of them that stay as they are.
    """
    codes = {}
    for name, column in columns.items():
        own = _codes(column, table[name])
        if own is not None and len(own) >= _ROWS_OF_A_VALUE * (1 + int(own.max())):
            codes[name] = own
    firsts = {
        name: np.unique(own, return_index=True)[1]
        for name, own in codes.items()
        if _has_classes(columns[name], table[name])
    }
    found: dict[str, Dependent] = {}
    places = {name: place for place, name in enumerate(codes)}
    chance = _BY_CHANCE + 2 * math.log(max(1, len(codes)))
    for name, own in codes.items():
        if name in kept:
            continue
        surprise = _log_arrangements(own)
        for other, first in firsts.items():
            # Nobody depends on what others already determine.
            if other in (name, *found) or not np.array_equal(own[first][codes[other]], own):
                continue
            # So many ways there are to give each value of the other column one of this one's.
            if surprise - len(first) * math.log(1 + int(own.max())) < chance:
                continue
            is_back = name in firsts and np.array_equal(
                codes[other][firsts[name]][own], codes[other]
            )
            if is_back and places[other] > places[name] and other not in kept:
                continue  # each determines the other
            cells = [table[each].at(first).objects().tolist() for each in (other, name)]
            pairs = [list(pair) for pair in zip(*cells, strict=True)]
            found[name] = Dependent(name, columns[name].source, other, pairs)
            break
    return found


def _log_arrangements(codes: np.ndarray) -> float:
    """Returns the logarithm of the number of orders that a column's cells could stand in."""
    counts = np.unique(codes, return_counts=True)[1].tolist()
    return math.lgamma(len(codes) + 1) - sum(math.lgamma(count + 1) for count in counts)


def _codes(column: Column, cells: Cells) -> np.ndarray | None:
    """Returns the number of each cell's value, all of which occur; `None` for other columns."""
    if not isinstance(column, Classes | Numbers | Moments):
        return None
    texts = [(value is None, str(value)) for value in cells.objects().tolist()]
    numbers = {value: number for number, value in enumerate(sorted(set(texts)))}
    return np.array([numbers[value] for value in texts], np.int64)


def _has_classes(column: Column, cells: Cells) -> bool:
    """Returns whether no draw of a column is a value that does not occur."""
    if isinstance(column, Classes):
        return True
    if not isinstance(column, Numbers) or not column.step or column.family != "ordinal":
        return False
    points = 1 + round((column.high - column.low) * column.denominator / column.step)
    return len(np.unique(cells.values[cells.known])) == points


def find_totals(
    columns: Mapping[str, Column], table: Mapping[str, Cells], kept: Collection[str] = ()
) -> dict[str, Total]:
    """Finds numbers that are the sum or the difference of others, in each row."""
    names = [
        name
        for name, column in columns.items()
        if isinstance(column, Numbers)
        and not column.missing
        and column.source.sort in ("integer", "real")
    ]
    count = len(table[names[0]].known) if names else 0
    names.sort(key=lambda name: name not in kept)  # sums are sought from the last one on
    if len(names) < 2 or count < max(_FEW_ROWS, 3 * len(names)):
        return {}
    values = np.stack([table[name].values.astype(np.float64) for name in names], axis=1)
    chance = _BY_CHANCE + len(names) * math.log(3)  # so many sums there are
    found: dict[str, Total] = {}
    for row in _relations(values):
        target, there = int(np.flatnonzero(row)[-1]), values[:, row != 0]
        if np.abs(values @ row).max() > _OF_A_SPREAD * np.ptp(there, axis=0).min():
            continue  # numbers that are nearly the same, from afar
        if min(_log_arrangements(values[:, each]) for each in np.flatnonzero(row)) < chance:
            continue
        parts = -row[:target] * row[target]
        plus = [names[part] for part in np.flatnonzero(parts > 0)]
        minus = [names[part] for part in np.flatnonzero(parts < 0)]
        fact = total(names[target], plus, minus, columns)
        if (
            fact.name in kept
            or not plus
            or set(fact.needs) & set(found)
            or wrong_total(fact, columns)
        ):
            continue
        if fact.agrees(table[fact.name], table).all():
            found[fact.name] = fact
    return found


def total(
    name: str, plus: Sequence[str], minus: Sequence[str], columns: Mapping[str, Column]
) -> Total:
    """Returns a column of numbers as a sum of others."""
    column = columns[name]
    assert isinstance(column, Numbers)
    parts = [columns[each] for each in (*plus, *minus)]
    integer = all(isinstance(part, Numbers) and part.integer for part in parts)
    numbers = dataclasses.replace(column, integer=integer)
    return Total(name, column.source, list(plus), list(minus), numbers, shared_denominator(*parts))


def wrong_total(fact: Total, columns: Mapping[str, Column]) -> str:
    """Returns why rows may be drawn whose sum a column's type does not have; nothing if it has."""
    if fact.source.sort != "integer":
        return ""
    parts = {name: columns[name] for name in fact.needs}
    real = [n for n, part in parts.items() if not (isinstance(part, Numbers) and part.integer)]
    if real:
        return f"{fact.name!r} has whole numbers, and not so {real}"
    ends = {name: (int(part.low), int(part.high)) for name, part in parts.items()}  # type: ignore[attr-defined]
    low = sum(ends[name][0] for name in fact.plus) - sum(ends[name][1] for name in fact.minus)
    high = sum(ends[name][1] for name in fact.plus) - sum(ends[name][0] for name in fact.minus)
    least, most = whole_range(fact.source)
    if least <= low and high <= most:
        return ""
    return f"{fact.name!r} may be from {low} to {high}, and its type {fact.source.dtype} has less"


def shared_denominator(*columns: Column) -> int:
    """Returns the denominator of a grid that has all numbers of columns; 0 if there is none."""
    if not all(isinstance(each, Numbers) and (each.step or each.integer) for each in columns):
        return 0
    return math.lcm(*(each.denominator for each in columns))  # type: ignore[attr-defined]


def _relations(values: np.ndarray) -> list[np.ndarray]:
    """Returns rows of -1, 0 and 1 with which columns add up to 0, each with a last one of its own.

    Gauss-Jordan elimination of what spans the null space, from the last column on. Whether the sum
    is 0 or another number is left open.
    """
    values = values - values[0]  # what is the same in all rows would hide what is not
    scale = np.abs(values).max(axis=0)
    scale[scale == 0] = 1.0
    _, sizes, directions = np.linalg.svd(values / scale, full_matrices=False)
    space = directions[sizes <= 1e-9 * sizes[0]] / scale
    pivots: dict[int, np.ndarray] = {}
    rows = [row / np.abs(row).max() for row in space]
    for column in range(values.shape[1] - 1, -1, -1):
        best = max(range(len(rows)), key=lambda each: abs(rows[each][column]), default=None)
        if best is None or abs(rows[best][column]) < 1e-6:
            continue
        pivot = rows.pop(best)
        pivot = pivot / pivot[column]
        rows = [row - row[column] * pivot for row in rows]
        pivots = {place: row - row[column] * pivot for place, row in pivots.items()}
        pivots[column] = pivot
    found = []
    for column, row in pivots.items():
        before = [other for place, other in pivots.items() if place < column]
        # With one of the others it may be a sum: of a part that is a sum itself.
        for each in (row, *(row + sign * other for other in before for sign in (-1, 1))):
            whole = np.rint(each)
            is_sum = np.abs(whole).max() <= 1 and np.count_nonzero(whole) > 1
            if is_sum and np.abs(each - whole).max() < 1e-5:
                found.append(whole)
                break
    return found


def find_orders(
    columns: Mapping[str, Column], table: Mapping[str, Cells], kept: Collection[str] = ()
) -> dict[str, AtLeast]:
    """Finds moments and numbers that are never below another column's, of which the next lower."""
    names = [name for name, column in columns.items() if _may_be_ordered(column, table[name])]
    count = len(table[names[0]].known) if names else 0
    if count < _FEW_ROWS:
        return {}
    given = {name: table[name].values[table[name].known] for name in names}
    lowest = {name: own.min() for name, own in given.items()}
    # A column is found above those before it alone, so that none lies above itself.
    means = {name: float(np.mean(given[name].astype(np.float64))) for name in names}
    names = sorted(names, key=means.__getitem__)
    chance = _BY_CHANCE + 2 * math.log(len(names))
    found: dict[str, AtLeast] = {}
    for place, name in enumerate(names):
        if name in kept:
            continue
        for base in reversed(names[:place]):
            if not _comparable(columns[base], columns[name]) or lowest[name] < lowest[base]:
                continue
            if not table[base].known.all():
                continue
            if np.any(given[name] < table[base].values[table[name].known]):
                continue
            # Of independent cells so many would be below.
            below = np.searchsorted(np.sort(given[name]), given[base])
            share = float(np.mean(below)) / len(given[name])
            if share <= _CHANCE or share * len(given[name]) <= chance:
                continue
            fact = at_least(columns[name], columns[base], table)
            if not _is_coarser(fact.difference, columns[name]):
                found[name] = fact
                break
    return found


def at_least(column: Column, base: Column, table: Mapping[str, Cells]) -> AtLeast:
    """Returns a column as another one and what it lies above that."""
    denominator = shared_denominator(column, base)
    is_moment = isinstance(column, Moments)
    parts = [table[each.name].values for each in (column, base)]
    whole = is_moment or all(part.dtype.kind in "iO" for part in parts)
    sort = "duration" if is_moment else "integer" if whole else "real"
    source = Source(sort, "", column.source.unit)
    name = f"{column.name} - {base.name}"
    # Any column of its kind measures the differences.
    some = Numbers(name, source, whole, 1, 0, 1, 0, 0)
    fact = AtLeast(column.name, column.source, base.name, some, denominator)
    cells = fact.differences(table[column.name], table[base.name])
    difference: Numbers | Moments = numbers_of(name, source, cells)
    if is_moment and not difference.step:  # type: ignore[union-attr]
        difference = moments_of(name, source, cells)
    return dataclasses.replace(fact, difference=difference)


def _is_coarser(difference: Column, column: Column) -> bool:
    """Returns whether a column's numbers are known more exactly than differences of them."""
    is_exact = isinstance(column, Numbers) and column.step > 0
    return is_exact and isinstance(difference, Numbers) and not difference.step


def _may_be_ordered(column: Column, cells: Cells) -> bool:
    if isinstance(column, Moments):
        return column.source.unit in UNITS
    return isinstance(column, Numbers) and len(np.unique(cells.values)) > _MANY_VALUES


def _comparable(first: Column, second: Column) -> bool:
    """Returns whether cells of two columns are of one sort, and none is rounded by its type."""
    dtypes = {each.source.dtype.lower() for each in (first, second)}
    is_single = any(re.match(r"(half)?float(16|32|\b)", dtype) for dtype in dtypes)
    if is_single and len(dtypes) > 1:
        return False
    return type(first) is type(second) and first.source.unit == second.source.unit
