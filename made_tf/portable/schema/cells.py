"""`Cells`: one column of a table as plain arrays; `Source`: what it was in its library."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..arguments import shown
from ..arrays import BoolArray

__all__ = ["Cells", "Source", "as_column"]

_TICKS = ("moment", "date", "duration", "time")
_SORTS = ("boolean", "integer", "real", "text", "category", "ordered", *_TICKS)
_UNITS = ("D", "s", "ms", "us", "ns")


class Cells(NamedTuple):
    """The cells of one column.

    Attributes:
        values: `[N]`; texts, truth values and whatever else has a class each as objects, integers
            and moments (counted from 1970 in the column's unit) as int64, other numbers as
            float64. Anything where a cell is missing.
        known: which cells are not missing, `[N]`.
    """

    values: npt.NDArray
    known: BoolArray

    @classmethod
    def of(cls, values: npt.NDArray) -> Cells:
        """Returns cells of which none is missing."""
        return cls(values, np.ones(len(values), bool))

    @classmethod
    def missing(cls, count: int) -> Cells:
        """Returns so many cells of which nothing is known."""
        return cls(np.full(count, None, object), np.zeros(count, bool))

    def at(self, rows: Any) -> Cells:
        """Returns some of the cells."""
        return Cells(self.values[rows], self.known[rows])

    def objects(self) -> npt.NDArray[np.object_]:
        """Returns the cells as objects, `None` where they are missing."""
        found = np.array(self.values.tolist(), object)
        found[~self.known] = None
        return found


@dataclasses.dataclass
class Source:
    """What a column is in the library that it comes from, so that it can be made again.

    Attributes:
        sort: `"boolean"`, `"integer"`, `"real"`, `"text"`, `"category"`, `"ordered"` (categories in
            order), `"moment"`, `"date"`, `"duration"` or `"time"`.
        dtype: how its library calls the type of its cells.
        unit: what moments, dates, durations and times count: `"D"`, `"s"`, `"ms"`, `"us"`, `"ns"`.
        categories: all that a type of categories has.
        nothing: what missing cells are, where a type does not say so: `"None"`, `"nan"`, `"NaT"`,
            `"NA"`.
        label: the column's name there, if that is no text.
    """

    sort: str
    dtype: str
    unit: str = ""
    categories: list[Any] | None = None
    nothing: str = ""
    label: Any = None

    def check(self) -> None:
        """Checks what a file says of it.

        Raises:
            ValueError: if there is no such sort, or its unit is none.
        """
        if self.sort not in _SORTS or (self.sort in _TICKS and self.unit not in _UNITS):
            raise ValueError(
                f"`sort` must be one of {_SORTS}, and `unit` of moments and the like one of "
                f"{_UNITS}. Received: {shown(self.sort)}, {shown(self.unit)}"
            )


def as_column(objects: npt.NDArray, known: npt.NDArray) -> npt.NDArray:
    """Returns objects as the array that a column of their kind has; 0 for missing numbers."""
    given = objects[known].tolist()
    if not given or any(isinstance(v, bool) or not isinstance(v, int | float) for v in given):
        return objects
    whole = all(isinstance(value, int) for value in given)
    return np.where(known, objects, 0).astype(np.int64 if whole else np.float64)
