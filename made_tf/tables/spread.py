"""How far the numbers of each variable of a table lie apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from made_tf.portable.arrays import FloatArray
from made_tf.portable.schema import Schema
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.columns import MISSING
from made_tf.portable.schema.combined import Combined

__all__ = ["spread_of"]

_QUARTILES = 1.349  # how far those of a standard normal lie apart


def spread_of(schema: Schema, x: FloatArray) -> list[float]:
    """Returns how far the numbers of each variable lie apart, 0 for classes without an order.

    That is the standard deviation, or that of a normal with the same quartiles where it is less: a
    few numbers far away (a sentinel, long tails) count little. Where half of the numbers are the
    same, the others tell.

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
            found[number] = _spread(given.astype(np.float64)) if len(given) else 1.0
    return found.tolist()


def _spread(values: NDArray[np.float64]) -> float:
    numbers, counts = np.unique(values, return_counts=True)
    if len(numbers) > 2 and 2 * counts.max() >= len(values):
        values = values[values != numbers[counts.argmax()]]
    low, high = np.quantile(values, [0.25, 0.75])
    deviation = float(np.std(values))
    return min(deviation, (high - low) / _QUARTILES or deviation) or 1.0
