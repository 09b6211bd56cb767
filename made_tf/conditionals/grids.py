"""Grids that numbers of a column are recorded on."""

from __future__ import annotations

import fractions
import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf.conditionals.base import Conditionals
from made_tf.portable.arrays import FloatArray

__all__ = [
    "LARGEST_INDEX",
    "OnGrids",
    "find_step",
    "grid_constants",
    "grid_of",
    "is_recorded_on_grid",
]

#: Points of a grid are counted up to here on either side, exactly in float32.
LARGEST_INDEX = 2.0**22

_FAR = 1e30  # of all numbers on grids, and finite
_ROUNDING = 1.2e-7  # relatively, of numbers in float32
_OFF_GRID = 1e-2  # of a step: what rounding may do to a value on the grid
_DIGITS = 6  # of numbers in float32 files, and of denominators
_MANY_POINTS = 1e5  # between the smallest and the largest value: more are no grid but digits
_FEW_VALUES = 20  # too few to tell a grid by, unless they repeat


class OnGrids(Conditionals):
    """Families with `grid_constants` among their constants."""

    def grid_index(self, x):
        """Returns the number of the point that is next to each number, `[N, D]`."""
        return ops.floor((x - self.constant("origin")) * self.constant("per_unit") + 0.5)

    def grid_point(self, index):
        """Returns the points of these numbers, `[N, D]`."""
        # Whole numbers and one division, so that 23 hundredths are the float32 next to 0.23. Graphs
        # take a product with the reciprocal for a division by a constant, so it is hidden.
        divisor = ops.maximum(self.constant("denominator"), -ops.abs(index))
        return (index * self.constant("numerator") + self.constant("start")) / divisor

    def indices_between(self, low, high):
        """Returns the numbers of the first and the last point from `low` to `high`, `[N, D]` each.

        An end that is a point up to rounding counts as one. The last number is smaller than the
        first where there is no point.
        """
        ends = []
        for end, sign in ((low, 1.0), (high, -1.0)):
            end = ops.clip(end, -_FAR, _FAR)
            index = ops.clip(self.grid_index(end), -LARGEST_INDEX - 1, LARGEST_INDEX + 1)
            # The nearest point may lie outside: then the next one is the first inside.
            outside = sign * (end - self.grid_point(index)) - 2.0 * _ROUNDING * ops.abs(end)
            is_outside = ops.cast(outside * self.constant("per_unit") > _OFF_GRID, "float32")
            ends.append(index + sign * is_outside)
        return ends

    def is_on_grid(self, x):
        """Returns whether numbers are points, up to rounding, `[N, D]`."""
        x = ops.convert_to_tensor(x, "float32")
        index = self.grid_index(x)
        away = ops.abs(x - self.grid_point(index)) - 2.0 * _ROUNDING * ops.abs(x)
        near = away * self.constant("per_unit") <= _OFF_GRID
        return ops.logical_and(ops.abs(index) <= LARGEST_INDEX, near)


def grid_constants(steps: Iterable[float], origins: Iterable[float]) -> dict[str, FloatArray]:
    """Returns what `OnGrids` needs: each step and a point, as fractions where they are such.

    Args:
        steps: the distance of two points, for each column.
        origins: a point of each grid.
    """
    pairs = zip(steps, origins, strict=True)
    parts = [_in_common(float(step), float(origin)) for step, origin in pairs]
    numerators, starts, denominators = np.array(parts, np.float64).T
    constants = {
        "numerator": numerators,
        "start": starts,
        "denominator": denominators,
        "per_unit": denominators / numerators,
        "origin": starts / denominators,
    }
    return {name: values.astype(np.float32) for name, values in constants.items()}


def _in_common(step: float, origin: float) -> tuple[float, float, float]:
    """Returns numerators of a step and of a point, and their denominator."""
    ratio = _simplest(step, _ROUNDING * step)
    start = _simplest(origin, _ROUNDING * (step + abs(origin)))
    if ratio is None or start is None:
        return step, origin, 1
    denominator = math.lcm(ratio.denominator, start.denominator)
    return int(ratio * denominator), int(start * denominator), denominator


def _simplest(number: float, tolerance: float) -> fractions.Fraction | None:
    """Returns a fraction that is a number up to rounding, of as small a denominator as will do."""
    for digits in range(_DIGITS + 1):
        ratio = fractions.Fraction(number).limit_denominator(10**digits)
        if abs(float(ratio) - number) <= tolerance:
            return ratio
    return None


def find_step(values: npt.ArrayLike) -> tuple[float, float]:
    """Returns what `grid_of` does.

    Raises:
        ValueError: if there is no grid.
    """
    grid = grid_of(values)
    if grid is None:
        distinct = np.unique(np.asarray(values, np.float64))
        raise ValueError(
            "`x` must have values on a grid of at most six decimals. "
            f"Received: {len(distinct)} different values from {distinct[0]} to {distinct[-1]}. "
            "LogisticMixture, NormalMixture and Binned take any real numbers"
        )
    return grid


def grid_of(values: npt.ArrayLike) -> tuple[float, float] | None:
    """Returns the step of the coarsest grid that holds all values, and a point of it.

    `None` if there is no grid of six decimals whose points float32 tells apart.
    """
    distinct = np.unique(np.asarray(values, np.float64))
    if len(distinct) == 1:
        return 1.0, float(distinct[0])
    for rounding in (4e-16, 0.5 * _ROUNDING):  # of numbers as they are, or in float32
        for digits in range(_DIGITS + 1):
            scaled = distinct * 10.0**digits
            whole = np.rint(scaled)
            steps = np.diff(whole)
            is_grid = np.all(np.abs(scaled - whole) <= 1e-3 + rounding * np.abs(scaled))
            if not is_grid or np.any(steps == 0):
                continue
            step = int(np.gcd.reduce(steps.astype(np.int64)))
            if np.abs(whole).max() / step >= LARGEST_INDEX:
                break
            return step / 10.0**digits, int(whole[0]) % step / 10.0**digits
    return None


def is_recorded_on_grid(values: npt.ArrayLike) -> bool:
    """Returns whether a column's numbers were rounded: they repeat, or have few decimals."""
    numbers = np.asarray(values, np.float64)
    distinct = np.unique(numbers)
    repeats = 2 * len(distinct) <= len(numbers)
    if not repeats and len(numbers) < _FEW_VALUES:
        return False
    grid = grid_of(distinct)
    if grid is None:
        return False
    return repeats or float(distinct[-1] - distinct[0]) <= _MANY_POINTS * grid[0]
