"""Conditions as boxes: for each variable of a model what it may be."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from made_tf.conditionals.regions import Region
from made_tf.models.made import MADE
from made_tf.portable.arrays import BoolArray
from made_tf.portable.schema import Column, Schema
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.columns import MISSING, Constant
from made_tf.portable.schema.dependent import Dependent
from made_tf.portable.schema.moments import Moments
from made_tf.portable.schema.numbers import Numbers
from made_tf.queries.interval import Interval
from made_tf.queries.regions import regions_of_mappings
from made_tf.tables.conditions import COMPARED, AllOf, Condition, Test
from made_tf.tables.moment_tests import moment_of, moments_beside

__all__ = ["Boxes", "met"]

_MOST = 1024  # boxes of one condition
#: Of one test: alternatives that exclude one another; for each what some variables may be.
_Alternatives = Iterable[dict[int, list[Any]]]
_EVERYTHING = Interval()


class Boxes:
    """Turns conditions on the columns of a table into boxes of a model's variables.

    Args:
        schema: of the table.
        model: over its variables.
        name: the argument's name, for messages.
    """

    def __init__(self, schema: Schema, model: MADE, name: str):
        self._schema, self._model, self._name = schema, model, name
        self._is_line = model.conditionals.is_line
        self._everything = self._box({})

    def of(self, condition: Condition) -> list[Region]:
        """Returns boxes `[1, D, K]`, `[1, D]`, `[1, D]` that hold what the condition does together.

        Raises:
            ValueError: if there is no such column, a value is none that it can be compared with, or
                there are too many boxes.
        """
        if isinstance(condition, Test):
            found = [
                self._box(alternative)
                for alternative in self._alternatives(self._column(condition), condition)
            ]
            return [box for box in found if not self._is_empty(box)]
        parts = [self.of(part) for part in condition.parts]
        if isinstance(condition, AllOf):
            boxes = [self._everything]
            for part in parts:
                boxes = self._checked([box for one in boxes for box in self.met(one, part)])
            return boxes
        return self._checked([box for part in parts for box in part])

    def met(self, box: Region, others: Iterable[Region]) -> Iterator[Region]:
        """Yields what a box and each of others have in common, where that is anything."""
        for other in others:
            common = met(box, other)
            if not self._is_empty(common):
                yield common

    def restricted(self, boxes: Iterable[Region]) -> BoolArray:
        """Returns which variables some of the boxes restrict, `[D]`."""
        found = np.zeros(len(self._is_line), bool)
        for box in boxes:
            other = [part != whole for part, whole in zip(box, self._everything, strict=True)]
            found |= other[0].any(axis=(0, 2)) | other[1].any(axis=0) | other[2].any(axis=0)
        return found

    def _checked(self, boxes: list[Region]) -> list[Region]:
        if len(boxes) > _MOST:
            raise ValueError(
                f"`{self._name}` must come to {_MOST} boxes at most. Received: {len(boxes)}; ask "
                "for less at once"
            )
        return boxes

    def _box(self, mapping: dict[int, list[Any]]) -> Region:
        return regions_of_mappings(self._name, self._model, [mapping])

    def _is_empty(self, box: Region) -> bool:
        on_line = self._is_line & (box.low[0] <= box.high[0])
        return not (box.allowed[0].any(axis=1) | on_line).all()

    def _column(self, test: Test) -> Column:
        if test.column not in self._schema.names:
            raise ValueError(
                f"`{self._name}` names a column that is not there: {test.column!r}. The table has: "
                f"{self._schema.names}"
            )
        return self._schema.column(test.column)

    def _alternatives(self, column: Column, test: Test) -> _Alternatives:
        first = self._schema.place(column.name).start
        if isinstance(column, Constant):
            return [{}] if self._holds(test, column.value) else []
        if isinstance(column, Classes):
            return [{first: self._codes(column, test)}]
        if isinstance(column, Dependent):
            return self._of_dependent(column, test)
        if isinstance(column, Numbers | Moments) and test.operator == "not in":
            # What is none of them is less or more than each: the gaps between.
            return self._of_gaps(column, test)
        if test.operator == "in":
            each = [Test(test.column, "=", (value,)) for value in dict.fromkeys(test.values)]
            return [own for one in each for own in self._alternatives(column, one)]
        if isinstance(column, Numbers):
            return [{first: wanted} for wanted in self._of_numbers(column, test)]
        if isinstance(column, Moments):
            parts = self._of_moments(column, test)
            return [{first + place: own for place, own in part.items()} for part in parts]
        raise ValueError(
            f"`{self._name}` may name columns that a model draws. Received: {test.column!r}, which "
            f"is {column.describe()}"
        )

    def _codes(self, column: Classes, test: Test) -> list[int | float]:
        """Returns the codes of the classes that pass a test."""
        values = column.values
        if test.operator not in ("is null", "is not null"):
            known = [self._matched(column, test, value) for value in test.values]
            if test.operator in ("<", "<=", ">", ">="):
                if not column.ordered:
                    raise self._wrong(test, f"has no order ({column.describe()})")
                limit = values.index(known[0])
                passes = [COMPARED[test.operator](code, limit) for code in range(len(values))]
            else:
                wanted = test.operator in ("=", "in")
                passes = [(value in known) is wanted for value in values]
            return [code for code in range(len(values)) if passes[code]]
        if test.operator == "is null":
            absent = column.absent if column.ordered else len(values)
            return [absent] if column.missing else []
        return list(range(len(values)))

    def _matched(self, column: Classes, test: Test, value: Any) -> Any:
        """Returns the class that a text, a number or a truth value of a condition stands for."""
        for own in column.values:
            if _same(own, value):
                return own
        raise self._wrong(test, f"has no such value: {value!r} ({column.describe()})")

    def _of_dependent(self, column: Dependent, test: Test) -> _Alternatives:
        """Returns the cells of the other column that make this one pass."""
        keys = [key for key, value in column.table if self._holds(test, value)]
        tests = [Test(column.on, "is null")] if None in keys else []
        keys = [key for key in keys if key is not None]
        if keys:
            tests.append(Test(column.on, "in", tuple(keys)))
        on = self._schema.column(column.on)
        return [own for one in tests for own in self._alternatives(on, one)]

    def _holds(self, test: Test, value: Any) -> bool:
        """Returns whether a cell passes a test."""
        if test.operator in ("is null", "is not null"):
            return (value is None) is (test.operator == "is null")
        if value is None:
            return False
        if test.operator in ("in", "not in"):
            return any(_same(value, each) for each in test.values) is (test.operator == "in")
        other = test.values[0]
        if test.operator in ("=", "<>"):
            return _same(value, other) is (test.operator == "=")
        try:
            return bool(COMPARED[test.operator](value, other))
        except TypeError as error:
            raise self._wrong(test, f"cannot be compared with {other!r}") from error

    def _of_gaps(self, column: Numbers | Moments, test: Test) -> _Alternatives:
        """Returns what lies below, between and above some values."""
        if isinstance(column, Numbers):
            ends: list[Any] = sorted({self._number(test, value) for value in test.values})
        else:
            moments = {text: self._moment(column, test, text) for text in test.values}
            ends = sorted(moments, key=moments.__getitem__)
        gaps = [(None, ends[0]), *itertools.pairwise(ends), (ends[-1], None)]
        found = []
        for low, high in gaps:
            parts = [] if low is None else [Test(test.column, ">", (low,))]
            parts += [] if high is None else [Test(test.column, "<", (high,))]
            found += self._both([self._alternatives(column, part) for part in parts])
        return found

    def _both(self, parts: list[_Alternatives]) -> list[dict[int, list[Any]]]:
        """Joins the alternatives of tests of one column, each of which leaves an interval."""
        joined = [dict(each) for each in parts[0]]
        for part in parts[1:]:
            joined = [_joined(one, other) for one in joined for other in part]
        return [each for each in joined if all(each.values())]

    def _of_numbers(self, column: Numbers, test: Test) -> list[list[Any]]:
        """Returns what the code of a number may be: alternatives of intervals and points."""
        if test.operator == "is null":
            return [[MISSING]] if column.missing else []
        if test.operator == "is not null":
            return [[_EVERYTHING]]
        value = self._number(test, test.values[0])
        if test.operator == "<>":
            return [own for one in "<>" for own in _codes_beside(column, one, value)]
        return _codes_beside(column, test.operator, value)

    def _number(self, test: Test, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(test, f"must be compared with numbers, not {value!r}")
        return value

    def _of_moments(self, column: Moments, test: Test) -> list[dict[int, list[Any]]]:
        """Returns what the parts of a moment may be, of the earlier of which all else follows."""
        known: dict[int, list[Any]] = {place: [_EVERYTHING] for place in range(len(column.parts))}
        if test.operator == "is not null":
            return [known]
        if test.operator == "is null":
            if not column.missing:
                return []
            # One part that is missing makes all of it so: the first such.
            return [
                {**{before: [_EVERYTHING] for before in range(place)}, place: [MISSING]}
                for place in range(len(column.parts))
            ]
        moment = self._moment(column, test, test.values[0])
        return [{**known, **each} for each in moments_beside(column, test.operator, moment)]

    def _moment(self, column: Moments, test: Test, text: Any) -> tuple[int, int]:
        if column.source.sort not in ("moment", "date"):
            raise self._wrong(test, f"can only be missing or not ({column.describe()})")
        try:
            return moment_of(column, str(text) if isinstance(text, str) else "")
        except ValueError as error:
            raise self._wrong(
                test, f"must be compared with 'dates' such as '2026-01-31 07:30', not {text!r}"
            ) from error

    def _wrong(self, test: Test, what: str) -> ValueError:
        return ValueError(f"`{self._name}` says {str(test)!r}, and {test.column!r} {what}.")


def met(box: Region, other: Region) -> Region:
    """Returns what two boxes have in common."""
    return Region(
        np.minimum(box.allowed, other.allowed),
        np.maximum(box.low, other.low),
        np.minimum(box.high, other.high),
    )


def _same(own: Any, value: Any) -> bool:
    if isinstance(own, bool) or isinstance(value, bool):
        return isinstance(own, int) and isinstance(value, int) and int(own) == int(value)
    if isinstance(own, int | float) and isinstance(value, int | float):
        return own == value
    return str(own) == value if isinstance(value, str) else own == value


def _joined(one: dict[int, list[Any]], other: dict[int, list[Any]]) -> dict[int, list[Any]]:
    """Returns what two sets of intervals, one for each variable, have in common."""
    joined = dict(one)
    for variable, (interval,) in other.items():
        (own,) = one.get(variable, [_EVERYTHING])
        low, high = max(own.low, interval.low), min(own.high, interval.high)
        joined[variable] = [Interval(low, high)] if low <= high else []
    return joined


def _codes_beside(column: Numbers, side: str, value: float) -> list[list[Any]]:
    """Returns the codes of numbers that compare so: intervals; none where there are none.

    What a model draws beyond the range of the data is drawn as the end of the range.
    """
    exact = near = (value * column.denominator - column.start) / (column.step or 1)
    if column.step and np.isfinite(exact) and abs(exact - round(exact)) < 1e-6:
        near = round(exact)
    low, high = -np.inf, np.inf
    if side in ("<", "<=", "="):
        if value < column.low or (side == "<" and value <= column.low):
            return []
        if value < column.high or (side == "<" and value == column.high):
            high = _before(column, near) if side == "<" else _down(column, near)
    if side in (">", ">=", "="):
        if value > column.high or (side == ">" and value >= column.high):
            return []
        if value > column.low or (side == ">" and value == column.low):
            low = -_before(column, -near) if side == ">" else -_down(column, -near)
    return [[Interval(low, high)]] if low <= high else []


def _down(column: Numbers, code: float) -> float:
    return float(np.floor(code)) if column.step else code


def _before(column: Numbers, code: float) -> float:
    if column.step:
        return float(np.ceil(code)) - 1
    return float(np.nextafter(np.float32(code), np.float32(-np.inf)))
