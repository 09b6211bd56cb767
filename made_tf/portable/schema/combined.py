"""Columns of which only some combinations of cells occur: together they are one variable."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import BoolArray
from .cells import Cells, as_column
from .columns import Column, register

__all__ = ["Combined"]


@register
@dataclasses.dataclass
class Combined(Column):
    """One of several columns of which only some combinations of cells occur.

    The combination is one variable of classes, which the first of the columns has; all of them
    decode it, so that no row can have another one.

    Attributes:
        together: the names of the columns, this one among them.
        combinations: K of them, for each its cells; `None` for missing ones.
    """

    kind = "combined"

    together: list[str]
    combinations: list[list[Any]]

    @property
    def variables(self):
        return [" + ".join(self.together)] if self.name == self.together[0] else []

    @property
    def reads(self):
        return self.together[0]

    @property
    def made_of(self):
        return tuple(self.together)

    @property
    def num_classes(self) -> int:
        """How many combinations there are."""
        return len(self.combinations)

    @property
    def values(self) -> list[Any]:
        """The column's own cells that occur, in order of their combinations; none is missing."""
        return [value for value in dict.fromkeys(self.own().tolist()) if value is not None]

    def own(self) -> npt.NDArray[np.object_]:
        """Returns the column's own cell of each combination, `[K]`; `None` where it is missing."""
        place = self.together.index(self.name)
        found = np.empty(len(self.combinations), object)
        found[:] = [each[place] for each in self.combinations]
        return found

    def encode(self, cells, table):
        x = np.full((len(cells.known), 1), np.nan)
        if set(self.together) <= set(table):
            numbers = {tuple(each): place for place, each in enumerate(self.combinations)}
            parts = (table[name].objects().tolist() for name in self.together)
            x[:, 0] = [numbers.get(each, np.nan) for each in zip(*parts, strict=True)]
        return x

    def decode(self, x, table):
        del table
        objects = self.own()[x[:, 0].astype(np.int64)]
        known = np.array([value is not None for value in objects], bool)
        return Cells(as_column(objects, known), known)

    def fitting(self, table: Mapping[str, Cells], told: Mapping[str, BoolArray]) -> BoolArray:
        """Returns which combinations have the cells that are told, `[N, K]`.

        Cells that occur in no combination say nothing.

        Args:
            table: the columns that are there.
            told: which of their cells are to count, `[N]` each.
        """
        count = next(len(table[name].known) for name in self.together if name in table)
        codes = np.full((count, len(self.together)), -1)
        own = np.zeros((len(self.combinations), len(self.together)), np.int64)
        for place, name in enumerate(self.together):
            numbers: dict[Any, int] = {}
            for row, each in enumerate(self.combinations):
                own[row, place] = numbers.setdefault(each[place], len(numbers))
            if name in table:
                found = [numbers.get(value, -1) for value in table[name].objects().tolist()]
                codes[:, place] = np.where(told[name], found, -1)
        patterns, rows = np.unique(codes, axis=0, return_inverse=True)
        fits = (patterns[:, None] < 0) | (patterns[:, None] == own)  # [P, K, J]
        return fits.all(axis=2)[rows.reshape(-1)]

    def agrees(self, cells, table):
        """As of other columns; of a row's known cells the last one speaks for all of them."""
        speaks: BoolArray = cells.known.copy()
        for name in self.together[self.together.index(self.name) + 1 :]:
            if name in table:
                speaks &= ~table[name].known
        return ~speaks | self._fits(table)

    def is_new(self, cells, own, table, absent_is_unknown):
        known = set(self.own().tolist())
        found = np.array([value not in known for value in cells.objects().tolist()], bool)
        if absent_is_unknown or self.name != self.together[-1]:
            return found
        # Where each cell occurs, but not together with a missing one.
        parts = [table[name] for name in self.together if name in table]
        has_missing = ~np.logical_and.reduce([each.known for each in parts])
        told = {name: np.ones(len(found), bool) for name in self.together if name in table}
        found |= has_missing & ~self.fitting(table, told).any(axis=1) & self._fits(table)
        return found

    def _fits(self, table: Mapping[str, Cells]) -> BoolArray:
        """Returns in which rows some combination has all known cells, `[N]`."""
        known = {name: table[name].known for name in self.together if name in table}
        return np.asarray(self.fitting(table, known).any(axis=1))

    def describe(self):
        others = ", ".join(name for name in self.together if name != self.name)
        return f"one of {len(self.combinations)} combinations with {others}"
