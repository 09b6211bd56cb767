"""Arrays out of `.npz` files, which are never unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from made_tf.data.checks import finite_numbers, unreadable
from made_tf.portable.arrays import FloatArray

__all__ = ["default_columns", "npz_array", "read_npz"]


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a file by name.

    Raises:
        ValueError: if the file cannot be read.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("no zip archive")
        with np.load(path, allow_pickle=False) as file:
            # A member that is no array comes as bytes.
            return {name: value for name, value in file.items() if isinstance(value, np.ndarray)}
    except Exception as error:  # of a damaged file NumPy raises nearly anything
        raise unreadable(path, error) from error


def npz_array(
    path: Path, arrays: dict[str, np.ndarray], name: str | None, allow_missing: bool = False
) -> FloatArray:
    """Returns one of a file's arrays as a table.

    Args:
        path: the file, for messages.
        arrays: what `read_npz` found in it.
        name: the array's name; `None` for the only one.
        allow_missing: whether values may be NaN.

    Returns:
        Float32 `[rows, D]`.

    Raises:
        ValueError: if there is no such array, or it is no table of numbers.
    """
    if name is None and len(arrays) == 1:
        (name,) = arrays
    if name is None:
        raise ValueError(
            f"{path} must hold one array or the arrays train, valid and test, or one must be "
            f"named (`array`). It holds: {sorted(arrays)}"
        )
    if name not in arrays:
        raise ValueError(f"{path} has no array {name!r}. It holds: {sorted(arrays)}")
    values = arrays[name]
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise ValueError(
            f"{path}: array {name!r} must be numeric, of shape [rows, columns]. "
            f"Received: shape {values.shape}, dtype {values.dtype}"
        )
    return finite_numbers(path, values, default_columns(values.shape[1]), name, allow_missing)


def default_columns(width: int) -> list[str]:
    """Returns names for columns that have none: `x0`, `x1`, ..."""
    return [f"x{index}" for index in range(width)]
