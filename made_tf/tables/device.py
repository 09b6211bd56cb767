"""What a file for devices tells of a table's variables, for readers that know numbers alone."""

from __future__ import annotations

from typing import Any

from made_tf.portable.schema import Column, Schema
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.combined import Combined
from made_tf.portable.schema.numbers import Numbers
from made_tf.tables.words import text_of

__all__ = ["variables_of"]


def variables_of(schema: Schema) -> list[dict[str, Any]]:
    """Returns a name for each variable, and for each of its classes where it has some.

    A number on a grid is told as the number of its point: the name says from where, in which steps.
    """
    return [
        variable
        for column in schema.columns
        for variable in _of_column(column, len(column.variables))
    ]


def _of_column(column: Column, count: int) -> list[dict[str, Any]]:
    if isinstance(column, Classes) and not (column.ordered and column.missing):
        categories = [text_of(value) for value in column.values]
        if column.num_classes > len(categories):
            categories.append("missing")
        if len(categories) > 1:
            return [{"name": column.name, "categories": categories}]
    if isinstance(column, Combined) and count:
        texts = [" + ".join(map(text_of, each)) for each in column.combinations]
        return [{"name": column.variables[0], "categories": texts}]
    if isinstance(column, Numbers) and column.step:
        step, start = (each / column.denominator for each in (column.step, column.start))
        return [{"name": f"{column.name}, in steps of {step:g} from {start:g}"}]
    return [{"name": name} for name in column.variables[:count]]
