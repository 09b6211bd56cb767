"""What a table says of itself: columns that others determine, sums, orders.

Found only where chance can hardly have made it so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from made_tf.data.column_kinds import numbers_of
from made_tf.portable.schema import Cells, Column, Source
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.facts import AtLeast, Dependent, Total
from made_tf.portable.schema.moments import UNITS, Moments
from made_tf.portable.schema.numbers import Numbers

__all__ = ["at_least", "find_dependencies", "find_orders", "find_totals", "total"]

_ROWS_OF_A_VALUE = 5  # on average, below which everything seems determined
_BY_CHANCE = 1.5  # times as many pairs of values must come of rows put together at random
_FEW_ROWS = 50
_MANY_VALUES = 30
_CHANCE = 0.05  # of an order that rows put together at random would break


def find_dependencies(
    columns: Mapping[str, Column], table: Mapping[str, Cells]
) -> dict[str, Dependent]:
    """Finds columns of classes that another one determines.

    Of columns that determine each other the first one stays as it is.
    """
    codes = {}
    for name, column in columns.items():
        own = _class_codes(column, table[name])
        if own is not None and len(own) >= _ROWS_OF_A_VALUE * (1 + int(own.max())):
            codes[name] = own
    found: dict[str, Dependent] = {}
    places = {name: place for place, name in enumerate(codes)}
    for name, own in codes.items():
        for other, base in codes.items():
            # Nobody depends on what others already determine.
            if other in (name, *found) or not _determines(base, own):
                continue
            if places[other] > places[name] and _determines(own, base):
                continue  # each determines the other
            first = np.unique(base, return_index=True)[1]
            cells = [table[each].at(first).objects().tolist() for each in (other, name)]
            pairs = [list(pair) for pair in zip(*cells, strict=True)]
            found[name] = Dependent(name, columns[name].source, other, pairs)
            break
    return found


def _determines(base: np.ndarray, own: np.ndarray) -> bool:
    """Returns whether numbers determine others, and would hardly do so by chance."""
    size = 1 + int(own.max())

    def pairs(others: np.ndarray) -> int:
        return len(np.unique(base * size + others))

    if pairs(own) > 1 + int(base.max()):
        return False
    return pairs(np.random.default_rng(0).permutation(own)) >= _BY_CHANCE * (1 + int(base.max()))


def _class_codes(column: Column, cells: Cells) -> np.ndarray | None:
    """Returns the number of each cell's value, all of which occur; `None` for other columns."""
    few = isinstance(column, Numbers) and column.step > 0 and column.family == "ordinal"
    if not isinstance(column, Classes) and not few:
        return None
    texts = [(value is None, str(value)) for value in cells.objects().tolist()]
    numbers = {value: number for number, value in enumerate(sorted(set(texts)))}
    if isinstance(column, Numbers):
        points = 1 + round((column.high - column.low) * column.denominator / column.step)
        if len(numbers) - (not cells.known.all()) < points:
            return None  # a draw may be a point in between
    return np.array([numbers[value] for value in texts], np.int64)


def find_totals(columns: Mapping[str, Column], table: Mapping[str, Cells]) -> dict[str, Total]:
    """Finds numbers that are the sum or the difference of others, in each row."""
    names = [
        name
        for name, column in columns.items()
        if isinstance(column, Numbers)
        and not column.missing
        and column.source.sort in ("integer", "real")
    ]
    count = len(table[names[0]].known) if names else 0
    if len(names) < 2 or count < max(_FEW_ROWS, 3 * len(names)):
        return {}
    values = np.stack([table[name].values.astype(np.float64) for name in names], axis=1)
    found: dict[str, Total] = {}
    for row in _relations(values):
        target = int(np.flatnonzero(row)[-1])
        parts = -row[:target] * row[target]
        plus = [names[part] for part in np.flatnonzero(parts > 0)]
        minus = [names[part] for part in np.flatnonzero(parts < 0)]
        column = columns[names[target]]
        assert isinstance(column, Numbers)
        fact = total(column, plus, minus)
        if not plus or set(fact.needs) & set(found):
            continue
        if fact.agrees(table[fact.name], table).all():
            found[fact.name] = fact
    return found


def total(column: Numbers, plus: list[str], minus: list[str]) -> Total:
    """Returns a column of numbers as a sum of others."""
    return Total(column.name, column.source, plus, minus, column)


def _relations(values: np.ndarray) -> list[np.ndarray]:
    """Returns rows of -1, 0 and 1 with which columns add up to 0, each with a last one of its own.

    Gauss-Jordan elimination of what spans the null space, from the last column on.
    """
    scale = np.abs(values).max(axis=0)
    scale[scale == 0] = 1.0
    _, sizes, directions = np.linalg.svd(values / scale, full_matrices=False)
    space = directions[sizes <= 1e-9 * sizes[0]] / scale
    pivot_rows: list[np.ndarray] = []
    rows = [row / np.abs(row).max() for row in space]
    for column in range(values.shape[1] - 1, -1, -1):
        best = max(range(len(rows)), key=lambda each: abs(rows[each][column]), default=None)
        if best is None or abs(rows[best][column]) < 1e-6:
            continue
        pivot = rows.pop(best)
        pivot = pivot / pivot[column]
        rows = [row - row[column] * pivot for row in rows]
        pivot_rows = [row - row[column] * pivot for row in pivot_rows] + [pivot]
    rounded = [np.rint(row) for row in pivot_rows]
    return [
        whole
        for row, whole in zip(pivot_rows, rounded, strict=True)
        if np.abs(row - whole).max() < 1e-5
        and np.abs(whole).max() <= 1
        and np.count_nonzero(whole) > 1
    ]


def find_orders(columns: Mapping[str, Column], table: Mapping[str, Cells]) -> dict[str, AtLeast]:
    """Finds moments and numbers that are never below another column's."""
    found: dict[str, AtLeast] = {}
    names = [name for name, column in columns.items() if _may_be_ordered(column, table[name])]
    count = len(table[names[0]].known) if names else 0
    if count < _FEW_ROWS:
        return {}
    shuffled = np.random.default_rng(0).permutation(count)
    for name in names:
        own = table[name]
        for base in names:
            if base == name or base in found or not table[base].known.all():
                continue
            if not _comparable(columns[base], columns[name]):
                continue
            lower = table[base].values[own.known]
            if np.any(own.values[own.known] < lower):
                continue
            mixed = table[base].values[shuffled][own.known]
            if np.mean(own.values[own.known] < mixed) > _CHANCE:
                found[name] = at_least(columns[name], base, table)
                break
    return found


def at_least(column: Column, base: str, table: Mapping[str, Cells]) -> AtLeast:
    """Returns a column as another one and what it lies above that."""
    own, other = table[column.name], table[base]
    known = own.known & other.known
    parts = [np.where(known, each, 0) for each in (own.values, other.values)]
    whole = all(part.dtype.kind in "iO" for part in parts)
    values = np.subtract(*(part.astype(np.int64 if whole else np.float64) for part in parts))
    if not whole:
        digits = max(_denominator(column), 1)
        values = np.rint(values * digits) / digits if digits > 1 else values
    source = Source("integer" if whole else "real", "", column.source.unit)
    difference = numbers_of(f"{column.name} - {base}", source, Cells(values, known))
    return AtLeast(column.name, column.source, base, difference)


def _denominator(column: Column) -> int:
    return column.denominator if isinstance(column, Numbers) and column.step else 0


def _may_be_ordered(column: Column, cells: Cells) -> bool:
    if isinstance(column, Moments):
        return column.source.unit in UNITS
    return isinstance(column, Numbers) and len(np.unique(cells.values)) > _MANY_VALUES


def _comparable(first: Column, second: Column) -> bool:
    return type(first) is type(second) and first.source.unit == second.source.unit
