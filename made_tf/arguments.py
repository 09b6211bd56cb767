"""Checks of arguments that host and device share; imports NumPy alone."""

from __future__ import annotations

import numbers
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["integer", "seed_batches"]


def integer(name: str, value: object, low: int = 1, high: int | None = None, hint: str = "") -> int:
    """Returns `value` as an `int`, if it is an integer in [low, high).

    `True` is no integer; NumPy integers are. `hint` tells what else the argument may be.

    Raises:
        ValueError: if it is not, naming the argument.
    """
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        number = int(value)
        if number >= low and (high is None or number < high):
            return number
    if (low, high) == (1, None):
        expected = "a positive integer"
    elif high is None:
        expected = f"an integer of at least {low}"
    else:
        expected = f"an integer in [{low}, {high})"
    raise ValueError(f"`{name}` must be {expected}{hint}. Received: {name}={value!r}")


def seed_batches(num_samples: object, seed: object, batch_size: object) -> Iterator[npt.NDArray]:
    """Yields the seeds of a sample's rows, int32 `[at most batch_size, 2]`: row i has (seed, i).

    Raises:
        ValueError: if an argument is out of range (at once, not at the first batch).
    """
    n = integer("num_samples", num_samples, 1, 2**31)
    key = integer("seed", seed, -(2**31), 2**31)
    size = integer("batch_size", batch_size, 1, 2**31)
    rows = (np.arange(start, min(start + size, n)) for start in range(0, n, size))
    return (np.stack([np.full_like(row, key), row], axis=1).astype(np.int32) for row in rows)
