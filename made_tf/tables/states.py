"""The states of the variable that a column's cells follow from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from made_tf.portable.arrays import BoolArray, FloatArray
from made_tf.portable.schema import Cells, Column, Schema
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.combined import Combined
from made_tf.portable.schema.facts import Dependent
from made_tf.portable.schema.numbers import Numbers

__all__ = ["States", "states_of"]


@dataclasses.dataclass
class States:
    """What a column's cells may be, by the states of one variable.

    Attributes:
        schema: of the table.
        base: the column that has the variable.
        variable: its number.
        numbers: the K states.
        cells: for each the column's own cell, `None` for a missing one.
    """

    schema: Schema
    base: Column
    variable: int
    numbers: FloatArray
    cells: npt.NDArray[np.object_]

    def values(self) -> tuple[list[Any], list[int]]:
        """Returns the V different cells, and for each state the number of its own; -1 for none."""
        values = [cell for cell in dict.fromkeys(self.cells.tolist()) if cell is not None]
        numbers = {value: number for number, value in enumerate(values)}
        return values, [numbers.get(cell, -1) for cell in self.cells.tolist()]

    def possible(self, table: Mapping[str, Cells]) -> BoolArray:
        """Returns which states the cells of a table allow, `[N, K]`, or `[1, K]` for all rows."""
        base = self.base
        if isinstance(base, Combined):
            if not set(base.together) & set(table):
                return np.ones((1, len(self.numbers)), bool)
            told = {n: np.ones(len(table[n].known), bool) for n in base.together if n in table}
            return base.fitting(table, told)
        found: BoolArray = np.ones((1, len(self.numbers)), bool)
        x = self.numbers[:, None].astype(np.float64)
        own = base.decode(x, {})
        columns = [base, *(c for c in self.schema.columns if isinstance(c, Dependent))]
        for column in columns:
            if column.name in table and base.name in (column.name, *column.needs):
                cells = table[column.name]
                each = own if column is base else column.decode(x, {base.name: own})
                same = cells.objects()[:, None] == each.objects()
                unknown = ~cells.known if column is not base else np.zeros_like(cells.known)
                found = found & (unknown[:, None] | same)
        return found


def states_of(schema: Schema, column: Column) -> States | None:
    """Returns the states that a column's cells follow from; `None` for one without such."""
    base = schema.column(column.on) if isinstance(column, Dependent) else column
    if isinstance(column, Combined):
        base, numbers = schema.column(column.reads), np.arange(float(column.num_classes))
    else:
        numbers = _numbers(base, with_missing=base is not column)
    if not len(numbers):
        return None
    own = base.decode(numbers[:, None], {})
    if base is not column:
        own = column.decode(numbers[:, None], {base.name: own})
    place = schema.place(base.name).start
    return States(schema, base, place, numbers.astype(np.float32), own.objects())


def _numbers(column: Column, with_missing: bool = False) -> npt.NDArray:
    """Returns the states of a column's own variable; none for one that has no such."""
    if isinstance(column, Classes):
        found = np.arange(len(column.values), dtype=np.float64)
    elif isinstance(column, Numbers) and column.family == "ordinal":
        found = np.arange(column.largest_code + 1, dtype=np.float64)
    else:
        return np.zeros(0)
    return np.append(found, column.absent) if with_missing and column.missing else found
