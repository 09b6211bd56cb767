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
    found = []
    for column in schema.columns:
        unordered = isinstance(column, Combined) or (
            isinstance(column, Classes) and not column.ordered
        )
        for values in x[:, schema.place(column.name)].T:
            given = values[np.isfinite(values) & (values != np.float32(MISSING))]
            spread = float(np.std(given, dtype=np.float64)) if len(given) else 0.0
            found.append(0.0 if unordered else spread or 1.0)
    return found
