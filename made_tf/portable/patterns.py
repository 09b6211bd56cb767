"""Rows that lack the same values, found together; NumPy alone, for host and device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["pattern_groups", "pieces"]


def pattern_groups(
    patterns: npt.NDArray[np.bool_],
) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]]:
    """Yields the patterns that occur in `[N, D]`, each with the numbers of its rows."""
    if len(patterns) == 0:
        return
    packed = np.packbits(patterns, axis=1)
    _, owner = np.unique(packed, axis=0, return_inverse=True)
    owner = owner.reshape(-1)
    order = np.argsort(owner, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1):
        yield patterns[rows[0]], rows


def pieces(rows: npt.NDArray, length: int) -> Iterator[npt.NDArray]:
    """Yields at most `length` rows at a time."""
    for start in range(0, len(rows), length):
        yield rows[start : start + length]
