"""Columns of classes: categories, grades, truth values."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..fields import is_scalar
from .cells import Cells
from .columns import MISSING, Column, register

__all__ = ["Classes"]

_SHOWN = 4


@register
@dataclasses.dataclass
class Classes(Column):
    """Cells that are one of K values.

    Without an order, what is missing is a further class, K. Grades have neighbours: there it is a
    point of its own.

    Attributes:
        values: the K values.
        ordered: whether they have an order, in which they are listed.
        missing: whether cells may be missing.
    """

    kind = "classes"

    values: list[Any]
    ordered: bool = False
    missing: bool = False

    def check(self):
        super().check()
        if not self.values or not all(map(is_scalar, self.values)):
            raise ValueError("`values` must be cells, one at least.")

    @property
    def num_classes(self) -> int:
        """How many classes there are, that of missing cells among them."""
        return len(self.values) + (self.missing and not self.ordered)

    @property
    def variables(self):
        return [self.name]

    @property
    def absent(self):
        if not self.missing:
            return np.nan
        return MISSING if self.ordered else float(len(self.values))

    def encode(self, cells, table):
        del table
        numbers = {value: number for number, value in enumerate(self.values)}
        x = np.full((len(cells.known), 1), self.absent)
        given = cells.values[cells.known].tolist()
        x[cells.known, 0] = [numbers.get(value, np.nan) for value in given]
        return x

    def decode(self, x, table):
        del table
        known = x[:, 0] != MISSING
        codes = np.where(known, x[:, 0], 0).astype(np.int64)
        known &= codes < len(self.values)
        values = np.empty(len(self.values), object)
        values[:] = self.values
        return Cells(values[np.where(known, codes, 0)], known)

    def describe(self):
        shown = ", ".join(str(value) for value in self.values[:_SHOWN])
        more = ", ..." if len(self.values) > _SHOWN else ""
        order = " in order" if self.ordered else ""
        return f"{len(self.values)} classes{order}: {shown}{more}"
