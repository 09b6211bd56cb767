"""Grids that numbers of a column are recorded on."""

from __future__ import annotations

import fractions

import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf.conditionals.base import Conditionals
from made_tf.portable.arrays import FloatArray

__all__ = ["LARGEST_INDEX", "OnGrids", "find_step", "grid_constants", "is_recorded_on_grid"]

#: Points of a grid are counted up to here on either side, exactly in float32.
LARGEST_INDEX = 2.0**22

_FINEST = 10**6  # of a step that is a fraction: the largest denominator
_OFF_GRID = 1e-2  # of a step: what rounding may do to a value on the grid
_DIGITS = 6  # of numbers in float32 files
_MANY_POINTS = 1e5  # between the smallest and the largest value: more are no grid but digits
_FEW_VALUES = 20  # too few to tell a grid by, unless they repeat


class OnGrids(Conditionals):
    """Families with `grid_constants` among their constants."""

    def grid_index(self, x):
        """Returns the number of the point that is next to each number, `[N, D]`."""
        return ops.floor((x - self.constant("origin")) * self.constant("per_unit") + 0.5)

    def grid_point(self, index):
        """Returns the points of these numbers, `[N, D]`."""
        # A product and one division, so that 23 hundredths are the float32 next to 0.23. Graphs
        # take a product with the reciprocal for a division by a constant, so it is hidden.
        divisor = ops.maximum(self.constant("denominator"), -ops.abs(index))
        return index * self.constant("numerator") / divisor + self.constant("origin")

    def is_on_grid(self, x):
        """Returns whether numbers are points, up to rounding, `[N, D]`."""
        x = ops.convert_to_tensor(x, "float32")
        index = self.grid_index(x)
        near = ops.abs(x - self.grid_point(index)) * self.constant("per_unit") <= _OFF_GRID
        return ops.logical_and(ops.abs(index) <= LARGEST_INDEX, near)


def grid_constants(steps: npt.ArrayLike, origins: npt.ArrayLike) -> dict[str, FloatArray]:
    """Returns what `OnGrids` needs: each step as a fraction, if it is one, and a point of the grid.

    Args:
        steps: the distance of two points, for each column.
        origins: a point of each grid.
    """
    parts = []
    for step in np.asarray(steps, np.float64):
        ratio = fractions.Fraction(float(step)).limit_denominator(_FINEST)
        is_ratio = ratio > 0 and abs(float(ratio) / step - 1) < 1e-6
        parts.append(ratio.as_integer_ratio() if is_ratio else (step, 1))
    numerators, denominators = np.array(parts, np.float32).T
    return {
        "numerator": numerators,
        "denominator": denominators,
        "per_unit": (denominators.astype(np.float64) / numerators).astype(np.float32),
        "origin": np.asarray(origins, np.float32),
    }


def find_step(values: npt.ArrayLike) -> tuple[float, float]:
    """Returns the step of the coarsest grid that holds all values, and a point of it.

    Raises:
        ValueError: if there is no grid of six decimals whose points float32 tells apart.
    """
    distinct = np.unique(np.asarray(values, np.float64))
    if len(distinct) == 1:
        return 1.0, float(distinct[0])
    for digits in range(_DIGITS + 1):
        scaled = distinct * 10.0**digits
        whole = np.rint(scaled)
        if not np.all(np.abs(scaled - whole) <= 1e-3 + 2e-7 * np.abs(scaled)):
            continue
        step = max(1, int(np.gcd.reduce(np.diff(whole).astype(np.int64))))
        if np.abs(whole).max() / step >= LARGEST_INDEX:
            break
        return step / 10.0**digits, int(whole[0]) % step / 10.0**digits
    raise ValueError(
        "`x` must have values on a grid of at most six decimals. "
        f"Received: {len(distinct)} different values from {distinct[0]} to {distinct[-1]}. "
        "LogisticMixture, NormalMixture and Binned take any real numbers"
    )


def is_recorded_on_grid(values: npt.ArrayLike) -> bool:
    """Returns whether a column's numbers were rounded: they repeat, or have few decimals."""
    values = np.asarray(values, np.float64)
    distinct = np.unique(values)
    repeats = 2 * len(distinct) <= len(values)
    if not repeats and len(values) < _FEW_VALUES:
        return False
    try:
        step, _ = find_step(distinct)
    except ValueError:
        return False
    return repeats or distinct[-1] - distinct[0] <= _MANY_POINTS * step
