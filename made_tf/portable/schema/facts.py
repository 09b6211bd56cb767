"""Numbers and moments that others determine, wholly or in part: what is so in the data stays so."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import numpy as np

from .cells import Cells, Source
from .columns import Column, Unmodelled, column_from, register
from .dependent import Dependent
from .moments import Moments
from .numbers import Numbers

__all__ = ["AtLeast", "Dependent", "Total", "whole_range"]

_ROUNDING = 1e-9  # of sums of floats, relatively
_SINGLE = 1e-6  # likewise, of columns in float32


def whole_range(source: Source) -> tuple[int, int]:
    """Returns the smallest and the largest whole number that a column's type has."""
    found = re.match(r"(u?)int(\d+)", source.dtype.lower())
    unsigned, bits = (found[1] == "u", min(int(found[2]), 64)) if found else (False, 64)
    return (0, min(2**bits, 2**63) - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _on_points(values, denominator: int):
    """Returns numbers as the points that they are next to: sums of decimals are not quite such."""
    return np.rint(values * denominator) / denominator if denominator > 1 else values


@register
@dataclasses.dataclass
class Total(Unmodelled):
    """A number that is the sum of others, or of some less others.

    Attributes:
        plus: the columns that are added.
        minus: those that are subtracted.
        numbers: the column's own kind of numbers.
        denominator: of the grid that the sums lie on; 0 for none.
    """

    kind = "total"

    plus: list[str]
    minus: list[str]
    numbers: Numbers
    denominator: int = 0

    @property
    def needs(self):
        return (*self.plus, *self.minus)

    @classmethod
    def from_dict(cls, content):
        numbers = column_from({"kind": "numbers", **content["numbers"]})
        return cls(**{**content, "numbers": numbers})

    def decode(self, x, table):
        del x
        return self._sum(table)

    def following(self, table: Mapping[str, Cells], drawn: Mapping[str, Cells]) -> Cells:
        """Returns the sums of a table's parts."""
        del drawn
        return self._sum(table)

    def _sum(self, table) -> Cells:
        known = np.logical_and.reduce([table[name].known for name in self.needs])
        whole = all(table[name].values.dtype.kind == "i" for name in self.needs)

        def sum_of(names):
            total = np.zeros(len(known), np.int64 if whole else np.float64)
            for name in names:
                total += np.where(known, table[name].values, 0).astype(total.dtype)
            return total

        total = sum_of(self.plus) - sum_of(self.minus)
        if not whole:
            total = _on_points(total, self.denominator)
        integer = self.numbers.integer and not whole
        return Cells(np.rint(total).astype(np.int64) if integer else total, known)

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
        found: dict[str, Cells] = {}
        for number, name in enumerate(self.needs):
            later = np.logical_or.reduce([nothing, *unknown[number + 1 :]])
            rows = own.known & unknown[number] & ~later
            before = table[name]
            zeros = np.zeros(len(rows), before.values.dtype)
            rest = self._sum({**table, **found, name: Cells.of(zeros)})
            sign = 1 if name in self.plus else -1
            left = sign * (np.where(own.known, own.values, 0) - rest.values)
            left = _on_points(left, self.denominator)
            values = np.where(rows & rest.known, left, before.values)
            found[name] = Cells(values.astype(before.values.dtype), before.known)
        return found

    def agrees(self, cells, table):
        if not set(self.needs) <= set(table):
            return np.ones(len(cells.known), bool)
        expected = self._sum(table)
        both = cells.known & expected.known
        same = ~expected.known  # where a part is missing, any total may be
        own, sums = cells.values[both], expected.values[both]
        if own.dtype.kind == sums.dtype.kind == "i":
            same[both] = own == sums
            return same
        sizes = [np.abs(table[name].values[both].astype(np.float64)) for name in self.needs]
        is_single = re.match(r"float(32|\b)", self.source.dtype.lower())
        rounding = (_SINGLE if is_single else _ROUNDING) * np.sum(sizes, axis=0)
        if self.denominator:
            rounding = np.minimum(rounding, 0.25 / self.denominator)
        same[both] = np.abs(own.astype(np.float64) - sums) <= rounding
        return same

    def describe(self):
        return " + ".join(self.plus) + "".join(f" - {name}" for name in self.minus)


@register
@dataclasses.dataclass
class AtLeast(Column):
    """A number or moment that is never smaller than another column's: a model has the difference.

    Attributes:
        base: the other column.
        difference: what the difference is: a column of numbers, or of durations in parts.
        denominator: of the grid that both columns lie on; 0 for none.
    """

    kind = "at_least"

    base: str
    difference: Numbers | Moments
    denominator: int = 0

    @property
    def needs(self):
        return (self.base,)

    @property
    def variables(self):
        return self.difference.variables

    def to_dict(self):
        return {**super().to_dict(), "difference": self.difference.to_dict()}

    @classmethod
    def from_dict(cls, content):
        difference = column_from({"kind": "numbers", **content["difference"]})
        return cls(**{**content, "difference": difference})

    @property
    def _is_whole(self) -> bool:
        return isinstance(self.difference, Moments) or self.difference.integer

    @property
    def absent(self):
        return self.difference.absent

    def encode(self, cells, table):
        return self.difference.encode(self.differences(cells, table.get(self.base)), table)

    def differences(self, cells: Cells, base: Cells | None) -> Cells:
        """Returns how far cells lie above those of the other column; missing where either is."""
        if base is None:
            return Cells(np.zeros(len(cells.known)), np.zeros(len(cells.known), bool))
        known = cells.known & base.known
        own, other = (np.where(known, each, 0) for each in (cells.values, base.values))
        whole = all(part.dtype.kind in "iO" for part in (own, other)) and self._is_whole
        dtype = np.int64 if whole else np.float64
        own, other = own.astype(dtype), other.astype(dtype)
        values = own - other
        if not whole and self.denominator:
            near = _on_points(values, self.denominator)
            is_near = np.abs(values - near) <= _ROUNDING * (np.abs(own) + np.abs(other))
            values = np.where(is_near, near, values)
        return Cells(values, known)

    def decode(self, x, table):
        return self._above(table[self.base], self.difference.decode(x, table))

    def following(self, table: Mapping[str, Cells], drawn: Mapping[str, Cells]) -> Cells:
        """Returns cells as far above those of a table's other column as drawn ones are."""
        own, base = drawn[self.name], drawn[self.base]
        away = self._above(table[self.base], self.differences(own, base))
        moved = away.known & base.known & (table[self.base].values != base.values)
        values = np.where(moved, away.values, own.values)
        return Cells(values.astype(own.values.dtype), own.known)

    def _above(self, base: Cells, away: Cells) -> Cells:
        known = away.known & base.known
        low = np.where(known, base.values, 0)
        values = low + np.maximum(np.where(known, away.values, 0), 0)
        if values.dtype.kind == "f":
            values = np.maximum(_on_points(values, self.denominator), low)
        if self.source.sort == "integer":
            if values.dtype.kind == "f":
                values = np.ceil(values - _ROUNDING * np.abs(values)).astype(np.int64)
            values = np.minimum(values, whole_range(self.source)[1])
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
        if values.dtype.kind == "f":
            values = np.minimum(_on_points(values, self.denominator), np.where(rows, own.values, 0))
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
