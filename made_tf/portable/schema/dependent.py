"""Columns of which each cell follows from another column's: what is so in the data stays so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..fields import is_scalar
from .cells import Cells, as_column
from .columns import Unmodelled, register

__all__ = ["Dependent"]


@register
@dataclasses.dataclass
class Dependent(Unmodelled):
    """Cells that another column's cell determines: a town's name by its code.

    Attributes:
        on: the other column.
        table: for each cell of the other one, `None` for a missing one, what this one is.
    """

    kind = "dependent"

    on: str
    table: list[list[Any]]

    def check(self):
        super().check()
        flat = [cell for pair in self.table for cell in pair]
        if any(len(pair) != 2 for pair in self.table) or not all(
            cell is None or is_scalar(cell) for cell in flat
        ):
            raise ValueError("`table` must be pairs of cells.")

    @property
    def needs(self):
        return (self.on,)

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
        values = as_column(objects, known)
        return {self.on: Cells(values, known)}

    def _looked_up(self, other: Cells) -> Cells:
        table = dict(map(tuple, self.table))
        found = [table.get(key) for key in other.objects().tolist()]
        known = np.array([value is not None for value in found], bool)
        objects = np.empty(len(found), object)
        objects[:] = found
        return Cells(as_column(objects, known), known)

    def describe(self):
        return f"determined by {self.on}"
