"""Columns of numbers: whole ones, those on a grid, real ones."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..arrays import shortest_decimals
from .cells import Cells
from .columns import MISSING, Column, Numbers64, register

__all__ = ["LARGEST_CODE", "Numbers"]

#: How far points of a grid are counted: float32 has them all, with room for halves.
LARGEST_CODE = 2**22
_OFF_GRID = 1e-6  # of a step and of the number itself
_LARGEST = 1e30


@register
@dataclasses.dataclass
class Numbers(Column):
    """Numbers. On a grid a model sees the number of the point: (start + code * step) / denominator.

    What is drawn stays within the range of the data.

    Attributes:
        integer: whether cells are whole numbers.
        step: the numerator of a step of the grid; 0 for no grid.
        start: the numerator of the point that has the code 0; without a grid what is subtracted.
        denominator: of both.
        low: the smallest number in the data.
        high: the largest one.
        missing: whether cells may be missing.
        family: the name of the family of conditionals.
        points: codes that occur so often that they have a probability of their own.
    """

    kind = "numbers"

    integer: bool
    step: int
    start: float
    denominator: int
    low: float
    high: float
    missing: bool = False
    family: str = "binned"
    points: list[float] = dataclasses.field(default_factory=list)

    @property
    def variables(self):
        return [self.name]

    def encode(self, cells, table):
        del table
        x = np.full((len(cells.known), 1), MISSING if self.missing else np.nan)
        x[cells.known, 0] = self.codes(cells.values[cells.known])
        return x

    def codes(self, values) -> Numbers64:
        """Returns the code of each number; NaN for one off the grid."""
        if not self.step:
            with np.errstate(over="ignore", invalid="ignore"):
                codes = np.asarray(values, np.float64) - self.start
            return np.where(np.abs(codes) < _LARGEST, codes, np.nan)
        if np.asarray(values).dtype.kind == "i" and self.denominator == 1:
            away = values - int(self.start)
            codes = (away // self.step).astype(np.float64)
            is_point = away % self.step == 0
        else:
            values = np.asarray(values, np.float64)
            with np.errstate(over="ignore", invalid="ignore"):
                exact = (values * self.denominator - self.start) / self.step
            codes = np.rint(exact)
            tolerance = _OFF_GRID * (1 + np.abs(values) * self.denominator / self.step * 1e-6)
            is_point = np.abs(exact - codes) <= tolerance
        return np.where(is_point & (np.abs(codes) <= LARGEST_CODE), codes, np.nan)

    def decode(self, x, table):
        del table
        known = x[:, 0] != MISSING
        return Cells(self.numbers(np.where(known, x[:, 0], 0.0)), known)

    def numbers(self, codes):
        """Returns the numbers of codes: int64 if the column is `integer`, else float64."""
        if self.step:
            found = np.rint(codes) * self.step + self.start
            if self.denominator != 1:
                found = found / self.denominator
        else:
            found = shortest_decimals(codes) + self.start
        found = np.clip(found, self.low, self.high)
        return np.rint(found).astype(np.int64) if self.integer else found

    def describe(self):
        kind = "whole numbers" if self.integer else "numbers"
        grid = f" in steps of {self.step / self.denominator:g}" if self.step else ""
        if self.integer and self.step == self.denominator:
            grid = ""
        return f"{kind}{grid} from {self.low:g} to {self.high:g}"
