"""Columns that others determine, wholly or in part: what is so in the data stays so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .cells import Cells
from .columns import Column, column_from, register
from .numbers import Numbers

__all__ = ["AtLeast", "Dependent", "Total"]


@register
@dataclasses.dataclass
class Dependent(Column):
    """Cells that another column's cell determines: a town's name by its code.

    Attributes:
        on: the other column.
        table: for each cell of the other one, `None` for a missing one, what this one is.
    """

    kind = "dependent"

    on: str
    table: list[list[Any]]

    @property
    def needs(self):
        return (self.on,)

    @property
    def variables(self):
        return []

    def encode(self, cells, table):
        del table
        return np.zeros((len(cells.known), 0))

    def decode(self, x, table):
        del x
        return self._looked_up(table[self.on])

    def agrees(self, cells, table):
        if self.on not in table:
            return np.ones(len(cells.known), bool)
        expected = self._looked_up(table[self.on])
        # A cell of the other column that never occurred says nothing of this one.
        keys = {key for key, _ in self.table}
        is_new = np.array([key not in keys for key in table[self.on].objects().tolist()], bool)
        same = cells.known == expected.known
        both = cells.known & expected.known
        same[both] = cells.values[both] == expected.values[both]
        return same | is_new

    def filled_from(self, table: Mapping[str, Cells]) -> dict[str, Cells]:
        """Returns the other column's cells, with those added that this column's leave no doubt of.

        Raises:
            ValueError: if a cell fits none of the other column's.
        """
        own = table.get(self.name)
        if own is None or not own.known.any():
            return {}
        sources: dict[Any, list[Any]] = {}
        for key, value in self.table:
            if key is not None:
                sources.setdefault(value, []).append(key)
        base = table.get(self.on, Cells.missing(len(own.known)))
        objects, known = base.objects(), base.known.copy()
        for row in np.flatnonzero(own.known & ~base.known):
            keys = sources.get(own.values[row], [])
            if not keys:
                raise ValueError(
                    f"Column {self.name!r} is determined by {self.on!r}, and is "
                    f"{own.values[row]!r} for none of its values (row {row})."
                )
            if len(keys) > 1:
                continue
            objects[row], known[row] = keys[0], True
        values = _as_column(objects, known)
        return {self.on: Cells(values, known)}

    def _looked_up(self, other: Cells) -> Cells:
        table = dict(map(tuple, self.table))
        found = [table.get(key) for key in other.objects().tolist()]
        known = np.array([value is not None for value in found], bool)
        objects = np.empty(len(found), object)
        objects[:] = found
        return Cells(_as_column(objects, known), known)

    def describe(self):
        return f"determined by {self.on}"


def _as_column(objects: npt.NDArray, known: npt.NDArray) -> npt.NDArray:
    """Returns objects as the array that a column of their kind has; 0 for missing numbers."""
    given = objects[known].tolist()
    if not given or any(isinstance(v, bool) or not isinstance(v, int | float) for v in given):
        return objects
    whole = all(isinstance(value, int) for value in given)
    return np.where(known, objects, 0).astype(np.int64 if whole else np.float64)


@register
@dataclasses.dataclass
class Total(Column):
    """A number that is the sum of others, or of some less others.

    Attributes:
        plus: the columns that are added.
        minus: those that are subtracted.
        numbers: the column's own kind of numbers.
    """

    kind = "total"

    plus: list[str]
    minus: list[str]
    numbers: Numbers

    @property
    def needs(self):
        return (*self.plus, *self.minus)

    @property
    def variables(self):
        return []

    @classmethod
    def from_dict(cls, content):
        numbers = column_from({"kind": "numbers", **content["numbers"]})
        return cls(**{**content, "numbers": numbers})

    def encode(self, cells, table):
        del table
        return np.zeros((len(cells.known), 0))

    def decode(self, x, table):
        del x
        return self._sum(table)

    def _sum(self, table) -> Cells:
        known = np.logical_and.reduce([table[name].known for name in self.needs])

        def number(name):
            return np.where(known, table[name].values, 0).astype(np.float64)

        total = sum(map(number, self.plus)) - sum(map(number, self.minus))
        grid = self.numbers
        if grid.step:  # decimals: the sum of floats is next to a point, and the point is meant
            total = np.rint(total * grid.denominator) / grid.denominator
        return Cells(np.rint(total).astype(np.int64) if grid.integer else total, known)

    def settled(
        self, was: Mapping[str, Cells], table: Mapping[str, Cells], drawn: Mapping[str, Cells]
    ) -> dict[str, Cells]:
        """Returns the parts such that those of each row make a total that is known.

        Args:
            was: the table before it was filled in.
            table: and after; of the parts that were not known the last one gives way.
            drawn: rows as they were drawn.
        """
        del drawn
        own = was[self.name]
        nothing = np.zeros(len(own.known), bool)
        unknown = [~was[name].known if name in was else ~nothing for name in self.needs]
        found = {}
        for number, name in enumerate(self.needs):
            rows = (
                own.known
                & unknown[number]
                & ~np.logical_or.reduce([nothing, *unknown[number + 1 :]])
            )
            rest = self._sum({**table, name: Cells.of(np.zeros(len(rows)))})
            sign = 1.0 if name in self.plus else -1.0
            values = sign * (own.values.astype(np.float64) - rest.values)
            if self.numbers.step:
                values = np.rint(values * self.numbers.denominator) / self.numbers.denominator
            before = table[name]
            values = np.where(rows & rest.known, values, before.values)
            found[name] = Cells(values.astype(before.values.dtype), before.known)
        return found

    def agrees(self, cells, table):
        if not set(self.needs) <= set(table):
            return np.ones(len(cells.known), bool)
        expected = self._sum(table)
        both = cells.known & expected.known
        same = ~expected.known  # where a part is missing, any total may be
        difference = np.abs(cells.values[both].astype(np.float64) - expected.values[both])
        largest = np.abs(expected.values[both].astype(np.float64))
        same[both] = difference <= 1e-9 * (1 + largest)
        return same

    def describe(self):
        return " + ".join(self.plus) + "".join(f" - {name}" for name in self.minus)


@register
@dataclasses.dataclass
class AtLeast(Column):
    """A number or moment that is never smaller than another column's: a model has the difference.

    Attributes:
        base: the other column.
        difference: what the difference is: a column of numbers.
    """

    kind = "at_least"

    base: str
    difference: Numbers

    @property
    def needs(self):
        return (self.base,)

    @property
    def variables(self):
        return [f"{self.name} - {self.base}"]

    @classmethod
    def from_dict(cls, content):
        difference = column_from({"kind": "numbers", **content["difference"]})
        return cls(**{**content, "difference": difference})

    def encode(self, cells, table):
        return self.difference.encode(self.differences(cells, table.get(self.base)), table)

    def differences(self, cells: Cells, base: Cells | None) -> Cells:
        """Returns how far cells lie above those of the other column; missing where either is."""
        if base is None:
            return Cells(np.zeros(len(cells.known)), np.zeros(len(cells.known), bool))
        known = cells.known & base.known
        parts = [np.where(known, each, 0) for each in (cells.values, base.values)]
        whole = all(part.dtype.kind in "iO" for part in parts) and self.difference.integer
        values = np.subtract(*(part.astype(np.int64 if whole else np.float64) for part in parts))
        if self.difference.step and not whole:
            values = np.rint(values * self.difference.denominator) / self.difference.denominator
        return Cells(values, known)

    def decode(self, x, table):
        away, base = self.difference.decode(x, table), table[self.base]
        known = away.known & base.known
        values = np.where(known, base.values, 0) + np.maximum(np.where(known, away.values, 0), 0)
        if self.difference.step and not self.difference.integer:
            values = np.rint(values * self.difference.denominator) / self.difference.denominator
        return Cells(values, known)

    def settled(
        self, was: Mapping[str, Cells], table: Mapping[str, Cells], drawn: Mapping[str, Cells]
    ) -> dict[str, Cells]:
        """Returns the other column such that what is known of this one lies as far above as drawn.

        Args:
            was: the table before it was filled in.
            table: and after.
            drawn: rows as they were drawn.
        """
        own, other = was[self.name], drawn[self.base]
        rows = own.known & other.known & drawn[self.name].known
        if self.base in was:
            rows = rows & ~was[self.base].known
        away = self.differences(drawn[self.name], other).values
        values = np.where(rows, own.values, 0) - np.where(rows, away, 0)
        if self.difference.step and not self.difference.integer:
            values = np.rint(values * self.difference.denominator) / self.difference.denominator
        before = table[self.base]
        values = np.where(rows, values, before.values)
        return {self.base: Cells(values.astype(before.values.dtype), before.known)}

    def agrees(self, cells, table):
        if self.base not in table:
            return np.ones(len(cells.known), bool)
        away = self.differences(cells, table[self.base])
        return ~away.known | (away.values >= 0)

    def describe(self):
        return f"{self.base} or more: {self.difference.describe()} above"
