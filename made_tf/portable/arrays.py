"""Names for arrays of one kind of number, and float32 numbers as people write them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["BoolArray", "FloatArray", "IntArray", "Rows", "shortest_decimals"]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

#: Numbers of rows.
Rows = npt.NDArray[np.intp]


def shortest_decimals(x: npt.NDArray) -> npt.NDArray[np.float64]:
    """Returns the shortest decimals that stand for float32 values: 0.1, not 0.100000001."""
    x = np.asarray(x, np.float32)
    shortest = x.astype(np.float64)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        magnitude = np.floor(np.log10(np.abs(shortest)))
        for digits in (8, 7, 6):
            scale = 10.0 ** (digits - 1 - magnitude)
            rounded = np.rint(x * scale) / scale
            shortest = np.where(rounded.astype(np.float32) == x, rounded, shortest)
    return shortest
