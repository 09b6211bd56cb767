"""What may be wrong with a table: errors that name its file, row and column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from made_tf.portable.arrays import FloatArray
from made_tf.portable.files import PathLike

__all__ = ["check_support", "finite_numbers", "unreadable"]


def finite_numbers(
    path: Path,
    values: np.ndarray,
    columns: list[str],
    array: str | None = None,
    allow_missing: bool = False,
) -> FloatArray:
    """Returns the values of a table as float32, if all are finite (or may be missing: NaN).

    Args:
        path: the table's file, for the message.
        values: numbers `[rows, D]`.
        columns: D names.
        array: the array's name in an `.npz`.
        allow_missing: whether NaN is let through.

    Raises:
        ValueError: if there are no values, or one is not finite, naming its row
            and column.
    """
    where = _where(path, array)
    if values.size == 0:
        raise ValueError(f"{where} must have rows and columns. Received: shape {values.shape}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite: told below
        x = values.astype(np.float32)
    right = np.isfinite(x) | (np.isnan(x) & allow_missing)
    found = _first_wrong(x, right, columns)
    if found is not None:
        message = f"{where}: all values must be finite numbers"
        raise ValueError(f"{message}. Received: {found[1]}.")
    return x


def check_support(
    path: PathLike, x: FloatArray, columns: Sequence[str], family: Any, array: str | None = None
) -> None:
    """Checks that the values of a table that are not NaN lie in a family's support.

    Args:
        path: the table's file, for the message.
        x: its values `[rows, D]`.
        columns: D names.
        family: a `made_tf.conditionals.Conditionals`.
        array: the array's name in an `.npz`.

    Raises:
        ValueError: if one does not, naming its row and column.
    """
    from made_tf.conditionals.suggestions import hint

    family = family.bind(x.shape[1])
    missing = np.isnan(x)
    known = np.where(missing, np.float32(0), x)
    right = missing | np.asarray(family.in_support(known))
    found = _first_wrong(x, right, columns)
    if found is not None:
        column, value = found
        refusal = family.refusal(_where(path, array), column, value)
        raise ValueError(f"{refusal}{hint(x[:, column])}.")


def unreadable(path: Path, error: Exception) -> ValueError:
    """Returns what to raise for a file that cannot be read."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return ValueError(
        f"{path} is not a readable {path.suffix} file (truncated or foreign?): {reason}"
    )


def _first_wrong(
    x: FloatArray, right: np.ndarray, columns: Sequence[str]
) -> tuple[int, str] | None:
    """Returns the column of the first value that is not right, and what and where it is."""
    wrong = np.argwhere(~right)
    if not len(wrong):
        return None
    row, column = wrong[0]
    return column, (
        f"{x[row, column]} in row {row + 1} (the first is 1), "
        f"column {columns[column]!r}; {len(wrong)} such value(s)"
    )


def _where(path: PathLike, array: str | None) -> str:
    return f"{path}" if array is None else f"{path}, array {array!r}"
