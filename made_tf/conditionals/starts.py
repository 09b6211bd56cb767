"""Where a network starts to learn: at how often values occur, which data tell without it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Start", "log_frequencies"]

_MORE = 0.5  # of a row in each class, so that none is impossible


class Start(NamedTuple):
    """What training starts from, so that its steps need not go to what counting tells.

    Attributes:
        parameters: what the network gives at first for each column, whatever is before it: float32
            `[P]`, to be added to its biases.
        weights: by the names of `Conditionals.weights`, of those that start elsewhere than
            `initial_weights` says.
    """

    parameters: npt.NDArray[np.float32]
    weights: dict[str, npt.NDArray[np.float32]]


def log_frequencies(x: npt.NDArray, sizes: Iterable[int]) -> list[npt.NDArray[np.float32]]:
    """Returns for each column the log of the share that each of its classes has of the rows.

    Args:
        x: classes `[N, D]`; NaN counts as none of them.
        sizes: how many classes each column has, `[D]`.
    """
    found = []
    for values, size in zip(x.T, sizes, strict=True):
        given = values[~np.isnan(values)].astype(np.int64)
        counts = np.bincount(given, minlength=size) + _MORE
        found.append(np.log(counts / counts.sum()).astype(np.float32))
    return found
