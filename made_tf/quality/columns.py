"""A column of several frames as numbers that can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from made_tf.portable.schema import Cells, Column, Schema, Source
from made_tf.portable.schema.durations import duration_text
from made_tf.portable.schema.plain import list_of_cells

__all__ = ["Compared", "compared_columns", "matrix"]

Floats = npt.NDArray[np.float64]

_TEXTS = ("boolean", "text", "category", "ordered")
_LEFT_OUT = {"identifier": "identifier", "constant": "the same in all rows"}


class Compared(NamedTuple):
    """One column of several frames.

    Attributes:
        name: the column's name.
        source: what it is in its library.
        classes: the cells that there are, as texts; `None` for numbers and moments.
        parts: for each frame the column's numbers `[N]`: those of classes, numbers as they are,
            moments in their unit; NaN for missing cells.
    """

    name: str
    source: Source
    classes: list[str] | None
    parts: dict[str, Floats]

    def known(self, part: str) -> Floats:
        """Returns the numbers of the cells that are not missing."""
        values = self.parts[part]
        return values[~np.isnan(values)]

    def missing(self, part: str) -> float:
        """Returns the share of missing cells."""
        return float(np.isnan(self.parts[part]).mean())

    def text(self, value: float) -> str:
        """Returns a number or a moment as people write it."""
        if self.source.sort in ("integer", "real"):
            return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
        if self.source.sort == "duration":
            return duration_text(round(value), self.source.unit)
        ticks = Cells.of(np.array([round(value)], np.int64))
        return str(list_of_cells(ticks, self.source)[0])


def compared_columns(
    schema: Schema, tables: Mapping[str, Mapping[str, Cells]]
) -> tuple[list[Compared], dict[str, str]]:
    """Returns the columns that can be compared, and why others cannot.

    Args:
        schema: what the columns are.
        tables: the cells of each frame, by the column's name.
    """
    found, left_out = [], {}
    for column in schema.columns:
        cells = {part: table[column.name] for part, table in tables.items()}
        if column.kind in _LEFT_OUT:
            left_out[column.name] = _LEFT_OUT[column.kind]
        elif not all(own.known.any() for own in cells.values()):
            left_out[column.name] = "nothing but missing cells in some of the frames"
        elif column.kind == "classes" or column.source.sort in _TEXTS:
            found.append(_of_classes(column, cells))
        else:
            parts = {
                part: np.where(own.known, own.values, 0).astype(np.float64)
                for part, own in cells.items()
            }
            for part, own in cells.items():
                parts[part][~own.known] = np.nan
            found.append(Compared(column.name, column.source, None, parts))
    return found, left_out


def _of_classes(column: Column, cells: Mapping[str, Cells]) -> Compared:
    values = list(getattr(column, "values", []))
    there = {each for own in cells.values() for each in own.objects().tolist()} - {None}
    values += sorted(there - set(values), key=str)
    numbers = {value: float(number) for number, value in enumerate(values)}
    parts = {
        part: np.array([numbers.get(each, np.nan) for each in own.objects().tolist()])
        for part, own in cells.items()
    }
    return Compared(column.name, column.source, [str(value) for value in values], parts)


def matrix(columns: Sequence[Compared], part: str) -> Floats:
    """Returns the columns of one frame side by side, `[N, C]`."""
    return np.stack([column.parts[part] for column in columns], axis=1)
