"""A range of values, as a query names it."""

from __future__ import annotations

import dataclasses
import math
import numbers

import numpy as np
import numpy.typing as npt

from made_tf.portable.arrays import BoolArray

__all__ = ["Interval"]


@dataclasses.dataclass(frozen=True)
class Interval:
    """All values from `low` to `high`, both of them included.

    Of a column with classes it means the classes in there, of a column on a grid the points of the
    grid, of a column with point masses these as well. Of a column with a density it makes no
    difference whether its ends are included. Ends count as float32, as all values do; an end that
    is a point of the column's grid up to rounding counts as that point. A missing cell
    (`made_tf.conditionals.MISSING`) lies in no interval.

    Args:
        low: the smallest value, -infinity for no such limit.
        high: the largest value, infinity for no such limit.

    Raises:
        ValueError: if an end is no number, or NaN, or `low` is larger than `high`.

    Example:
        >>> Interval(high=2.5)
        Interval(low=-inf, high=2.5)
    """

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self):
        for name in ("low", "high"):
            end = getattr(self, name)
            if not isinstance(end, numbers.Real) or isinstance(end, bool) or math.isnan(end):
                raise ValueError(f"`{name}` must be a number. Received: {name}={end!r}")
        if self.low > self.high:
            raise ValueError(
                f"`low` must be at most `high`. Received: low={self.low!r}, high={self.high!r}"
            )

    def ends(self) -> npt.NDArray[np.float32]:
        """Returns `low` and `high` in float32."""
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
            return np.array([self.low, self.high], np.float64).astype(np.float32)

    def holds(self, values: npt.NDArray[np.float32]) -> BoolArray:
        """Returns which float32 values lie between the ends."""
        low, high = self.ends()
        return (values >= low) & (values <= high)
