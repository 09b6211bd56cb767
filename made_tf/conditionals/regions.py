"""What the values of columns may be: sets, intervals, or both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Region"]


class Region(NamedTuple):
    """What each column may be. A family looks at the parts that its columns have.

    Attributes:
        allowed: float32 `[N or 1, D, K]`, 1 for what can be among the values that the column's
            `choices` list, in their order, and 0 for the others.
        low: float32 `[N or 1, D]`, of columns on a line (`is_line`) the smallest value that can be.
        high: float32 `[N or 1, D]`, the largest one.
    """

    allowed: Any
    low: Any
    high: Any

    def map(self, function: Callable) -> Region:
        """Applies a function to what has variables along axis 1."""
        return Region(*(function(part) for part in self))
