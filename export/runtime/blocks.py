"""Rows in whole blocks, so that the bits of a row do not depend on how many are asked at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .portable.arrays import FloatArray

__all__ = ["in_whole_blocks"]

#: Files of many orders multiply matrices that are made while they run. There LiteRT takes rows by
#: so many at most, and what is left over by other instructions, which round otherwise.
_ROWS = 16


def in_whole_blocks(
    run: Callable[..., dict[str, FloatArray]], inputs: dict[str, npt.NDArray]
) -> dict[str, FloatArray]:
    """Runs a signature on a multiple of 16 rows; returns the answers for the rows that were given.

    Args:
        run: from arrays by name, `[n, ...]` each, to arrays by name.
        inputs: at least one row of each.
    """
    count = len(next(iter(inputs.values())))
    lacking = -count % _ROWS
    if lacking:
        inputs = {
            name: np.concatenate([rows, np.repeat(rows[-1:], lacking, axis=0)])
            for name, rows in inputs.items()
        }
    return {name: found[:count] for name, found in run(**inputs).items()}
