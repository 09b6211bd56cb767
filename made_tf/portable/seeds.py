"""Seeds of rows, as pairs of 32-bit integers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .arguments import integer
from .arrays import Rows

__all__ = ["checked_seed", "row_numbers", "seed_batches", "seed_of_round", "seed_pairs"]


def checked_seed(seed: object) -> int:
    """Returns a seed of rows as an `int`.

    Raises:
        ValueError: if it is no 32-bit integer.
    """
    return integer("seed", seed, -(2**31), 2**31)


def seed_batches(num_samples: object, seed: object, batch_size: object) -> Iterator[npt.NDArray]:
    """Yields the seeds of a sample's rows, int32 `[at most batch_size, 2]`: row i has (seed, i).

    Raises:
        ValueError: if an argument is out of range (at once, not at the first batch).
    """
    n = integer("num_samples", num_samples, 1, 2**31)
    key = checked_seed(seed)
    size = integer("batch_size", batch_size, 1, 2**31)
    rows = (np.arange(start, min(start + size, n)) for start in range(0, n, size))
    return (np.stack([np.full_like(row, key), row], axis=1).astype(np.int32) for row in rows)


def seed_pairs(seed: int, numbers: npt.NDArray) -> npt.NDArray[np.int32]:
    """Returns the pairs (seed, number), int32 `[n, 2]`."""
    pairs = np.stack([np.full_like(numbers, seed), numbers], axis=1)
    return ((pairs + 2**31) % 2**32 - 2**31).astype(np.int32)  # as 32-bit numbers wrap


def row_numbers(first_row: int | Rows, count: int) -> Rows:
    """Returns the numbers of rows, `[n]`.

    Args:
        first_row: the number of the first row; or the number of each.
        count: n.

    Raises:
        ValueError: if they are no numbers, or not as many.
    """
    if not isinstance(first_row, np.ndarray):
        return np.arange(count) + integer("first_row", first_row, 0)
    if first_row.shape != (count,) or first_row.dtype.kind not in "iu":
        raise ValueError(
            f"`first_row` must be a number, or {count} of them. "
            f"Received: {first_row.dtype} of shape {first_row.shape}"
        )
    return first_row.astype(np.intp)


def seed_of_round(seed: int, number: int) -> int:
    """Returns the seed of what is drawn again for the nth time; that of neighbours is another."""
    if number == 0:
        return seed
    return int(np.random.SeedSequence([seed % 2**32, number]).generate_state(1)[0] >> 1)
