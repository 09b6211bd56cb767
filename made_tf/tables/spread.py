"""How far the numbers of each variable of a table lie apart."""

from __future__ import annotations

import numpy as np

from made_tf.portable.arrays import FloatArray
from made_tf.portable.schema import Schema
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.columns import MISSING
from made_tf.portable.schema.combined import Combined

__all__ = ["spread_of"]


def spread_of(schema: Schema, x: FloatArray) -> list[float]:
    """Returns the standard deviation of each variable, 0 for classes without an order.

    Args:
        schema: of the table.
        x: rows `[N, D]`, as the schema encodes them.
    """
    found = np.zeros(x.shape[1])
    for column in schema.columns:  # of which several may share a variable
        unordered = isinstance(column, Combined) or (
            isinstance(column, Classes) and not column.ordered
        )
        for number in [] if unordered else range(x.shape[1])[schema.place(column.name)]:
            values = x[:, number]
            given = values[np.isfinite(values) & (values != np.float32(MISSING))]
            spread = np.std(given, dtype=np.float64) if len(given) else 0.0
            found[number] = spread or 1.0
    return found.tolist()
