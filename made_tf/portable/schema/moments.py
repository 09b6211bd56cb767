"""Dates and times as a week, a day of it, a time of day: seasons and trends can be learned."""

from __future__ import annotations

import dataclasses

import numpy as np

from .cells import Cells, Source
from .columns import MISSING, Column, Numbers64, register
from .durations import UNITS
from .numbers import LARGEST_CODE, bounds_of

__all__ = ["PARTS", "UNITS", "Moments", "in_unit"]

PARTS = ("week", "weekday", "second", "fraction", "nanosecond")
_FIRST_DAY = {"moment": 3, "date": 3}  # days from a Monday to 1970-01-01, a Thursday


@register
@dataclasses.dataclass
class Moments(Column):
    """Dates, or dates with a time, as whole numbers; the way back is exact.

    Moments count their unit from 1970, in UTC. Each is cut into the number of its week (a trend and
    the seasons), the day of the week, the second of the day and the fraction of the second, of
    which nanoseconds are a part of their own beside the microseconds. Parts that are the same in
    all rows are no variables. Durations that are too fine for a grid are cut likewise.

    Attributes:
        parts: the parts that are variables.
        starts: for each of `PARTS` its smallest value.
        ends: for each its largest value.
        steps: for each a step that all its values are apart.
        low: the first moment in the data; none that is drawn lies before it.
        high: the last one.
        missing: whether cells may be missing.
        families: the name of the family of each variable.
    """

    kind = "moments"

    parts: list[str]
    starts: list[int]
    ends: list[int]
    steps: list[int]
    low: int
    high: int
    missing: bool = False
    families: list[str] = dataclasses.field(default_factory=list)

    def check(self):
        super().check()
        per_part = (self.starts, self.ends, self.steps)
        if (
            any(len(each) != len(PARTS) for each in per_part)
            or min(self.steps) < 1
            or not set(self.parts) <= set(PARTS)
            or len(self.families) not in (0, len(self.parts))
            or self.source.unit not in UNITS
        ):
            raise ValueError(
                f"`starts`, `ends` and (positive) `steps` must be of the parts {PARTS}, "
                f"`families` of those of them in `parts`, and the unit one of {list(UNITS)}."
            )

    @property
    def variables(self):
        return [f"{self.name}: {part}" for part in self.parts]

    def family_of(self, part: str) -> tuple[str, int]:
        """Returns the name of the family of a part that is a variable, and its largest code."""
        number = PARTS.index(part)
        largest = (self.ends[number] - self.starts[number]) // self.steps[number]
        family = self.families[self.parts.index(part)] if self.families else "binned"
        return family, largest

    def cut(self, moments) -> dict[str, np.ndarray]:
        """Returns the parts of moments, int64 each."""
        return cut(moments, self.source)

    @property
    def absent(self):
        return MISSING if self.missing else np.nan

    def encode(self, cells, table):
        del table
        x = np.full((len(cells.known), len(self.parts)), self.absent)
        found = self.cut(cells.values[cells.known].astype(np.int64))
        codes, is_right = [], np.ones(int(cells.known.sum()), bool)
        for part, start, step in zip(PARTS, self.starts, self.steps, strict=True):
            away = found[part] - start
            if part in self.parts:
                code = away // step
                low, high = bounds_of(*self.family_of(part))
                is_right &= (away % step == 0) & (np.abs(code) <= LARGEST_CODE)
                is_right &= (code >= low) & (code <= high)
                codes.append(code)
            else:
                is_right &= away == 0
        if codes:
            own = np.stack(codes, axis=1).astype(np.float64)
            x[cells.known] = np.where(is_right[:, None], own, np.nan)
        return x

    def decode(self, x, table):
        del table
        known = ~(x == MISSING).any(axis=1)
        x = np.where(known[:, None], x, 0.0)
        parts = {}
        for number, part in enumerate(PARTS):
            start, end, step = self.starts[number], self.ends[number], self.steps[number]
            parts[part] = np.full(len(x), start, np.int64)
            if part in self.parts:
                codes = np.rint(x[:, self.parts.index(part)]).astype(np.int64)
                parts[part] = np.clip(start + step * codes, start, end)
        return Cells(np.clip(join(parts, self.source), self.low, self.high), known)

    def describe(self):
        parts = ", ".join(self.parts) or "one moment"
        names = {"date": "dates", "duration": "durations", "time": "times"}
        return f"{names.get(self.source.sort, 'moments')}: {parts}"


def cut(moments, source: Source) -> dict[str, Numbers64]:
    """Returns the parts of moments or durations of a column."""
    a_day = UNITS[source.unit]
    day, rest = np.divmod(moments, a_day)
    week, weekday = np.divmod(day + _FIRST_DAY.get(source.sort, 0), 7)
    second, fraction = np.divmod(rest, max(1, a_day // UNITS["s"]))
    fraction, nanosecond = np.divmod(fraction, max(1, a_day // UNITS["us"]))
    return dict(zip(PARTS, (week, weekday, second, fraction, nanosecond), strict=True))


def join(parts, source: Source):
    """Returns the moments or durations of parts, as `cut` found them."""
    a_day = UNITS[source.unit]
    day = 7 * parts["week"] + parts["weekday"] - _FIRST_DAY.get(source.sort, 0)
    fraction = parts["fraction"] * max(1, a_day // UNITS["us"]) + parts["nanosecond"]
    return day * a_day + parts["second"] * max(1, a_day // UNITS["s"]) + fraction


def in_unit(ticks: np.ndarray, unit: str, own: str) -> np.ndarray:
    """Returns moments that count one unit, int64, in another unit."""
    if UNITS[own] < UNITS[unit]:
        return ticks // (UNITS[unit] // UNITS[own])
    factor = UNITS[own] // UNITS[unit]
    # What the finer unit has no number for is as far as it has: a moment that never occurred.
    last = (2**63 - 1) // factor
    return np.clip(ticks, -last, last) * factor
