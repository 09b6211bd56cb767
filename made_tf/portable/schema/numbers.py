"""Columns of numbers: whole ones, those on a grid, real ones."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..arrays import shortest_decimals
from .cells import Cells
from .columns import MISSING, Column, Numbers64, register
from .durations import duration_text, time_text

__all__ = ["LARGEST_CODE", "Numbers", "bounds_of"]

#: How far points of a grid are counted: float32 has them all, with room for halves.
LARGEST_CODE = 2**22
_OFF_GRID = 1e-6  # of a step
_FAR_OFF = 1e-2  # of a step, for numbers
_SINGLE = 6e-8  # that float32 has rounded by so much of themselves
_LARGEST = 1e30
_NEAR = 2.0**62  # of whole numbers, so that their difference is one
_LAST_INT = 2.0**63 - 1024  # that is a float


def bounds_of(family: str, largest_code: int) -> tuple[float, float]:
    """Returns the smallest and the largest code that a family of conditionals knows."""
    if family == "ordinal":
        return 0.0, float(max(1, largest_code))
    return (0.0 if family == "count" else -np.inf), np.inf


@register
@dataclasses.dataclass
class Numbers(Column):
    """Numbers. On a grid a model sees the number of the point: (start + code * step) / denominator.

    What is drawn stays within the range of the data. Without a grid numbers keep seven digits.

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

    def check(self):
        super().check()
        ends = [float(end) * self.denominator - self.start for end in (self.low, self.high)]
        is_finite = self.denominator > 0 and bool(np.isfinite(ends).all())
        if not is_finite or self.step < 0 or self.low > self.high:
            raise ValueError(
                "`denominator` must be positive, `step` not negative, and `low` at most `high`. "
                f"Received: {self.denominator}, {self.step}, {self.low}, {self.high}"
            )

    @property
    def variables(self):
        return [self.name]

    @property
    def absent(self):
        return MISSING if self.missing else np.nan

    def encode(self, cells, table):
        del table
        x = np.full((len(cells.known), 1), self.absent)
        codes = self.codes(cells.values[cells.known])
        low, high = bounds_of(self.family, self.largest_code)
        x[cells.known, 0] = np.where((codes >= low) & (codes <= high), codes, np.nan)
        return x

    @property
    def largest_code(self) -> int:
        """The code of the largest number in the data, on a grid."""
        return round((self.high * self.denominator - self.start) / (self.step or 1))

    def codes(self, values) -> Numbers64:
        """Returns the code of each number; NaN for one off the grid."""
        values = np.asarray(values)
        if self.integer and values.dtype.kind == "i" and (self.step or self.start):
            # What lies further away has no code, and would not fit into a difference.
            near = np.abs(values.astype(np.float64) - float(self.start)) < _NEAR
            away = np.where(near, values, int(self.start)) - int(self.start)
            codes, rest = np.divmod(away, self.step or 1)
            is_right = near & (rest == 0)
            codes = codes.astype(np.float64)
            return np.where(is_right & (np.abs(codes) <= self._last), codes, np.nan)
        values = values.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            exact = (values * self.denominator - self.start) / (self.step or 1)
        if not self.step:
            return np.where(np.abs(exact) < _LARGEST, exact, np.nan)
        codes = np.rint(exact)
        in_steps = np.abs(values) * self.denominator / self.step
        tolerance = np.clip(_SINGLE * in_steps, _OFF_GRID, _FAR_OFF)
        is_point = np.abs(exact - codes) <= tolerance
        return np.where(is_point & (np.abs(codes) <= self._last), codes, np.nan)

    @property
    def _last(self) -> float:
        return LARGEST_CODE if self.step else _LARGEST

    def decode(self, x, table):
        del table
        known = x[:, 0] != MISSING
        return Cells(self.numbers(np.where(known, x[:, 0], 0.0)), known)

    def numbers(self, codes):
        """Returns the numbers of codes: int64 if the column is `integer`, else float64."""
        given = np.asarray(codes, np.float32)
        codes = np.rint(codes) if self.step else shortest_decimals(codes)
        if self.integer:
            low, high, start = int(self.low), int(self.high), int(self.start)
            step = self.step or 1
            ends = (low - start) / step, (high - start) / step
            inside = np.clip(codes, np.ceil(ends[0]), np.floor(ends[1]))
            inside = np.clip(inside, -_LAST_INT, _LAST_INT)
            found = np.rint(inside).astype(np.int64) * step + start
            # The ends themselves may be no float.
            first, last = np.asarray(ends, np.float32)
            found = np.where(given <= first, low, np.where(given >= last, high, found))
            return np.clip(found, low, high)
        found = codes * (self.step or 1) + self.start
        if self.denominator != 1:
            found = found / self.denominator
        return np.clip(found, self.low, self.high)

    def describe(self):
        if self.source.sort in ("duration", "time"):
            return self._in_words()
        kind = "whole numbers" if self.integer else "numbers"
        grid = f" in steps of {self.step / self.denominator:g}" if self.step else ""
        if self.integer and self.step == self.denominator:
            grid = ""
        return f"{kind}{grid} from {self.low:g} to {self.high:g}"

    def _in_words(self) -> str:
        unit, step = self.source.unit, self.step / self.denominator
        kind, text = "durations", duration_text
        if self.source.sort == "time":
            kind, text = "times of day", time_text
        grid = f" in steps of {duration_text(step, unit)}" if step else ""
        return f"{kind}{grid} from {text(self.low, unit)} to {text(self.high, unit)}"
