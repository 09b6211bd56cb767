"""Rows for training, validation and testing."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from made_tf.data.checks import check_support
from made_tf.data.npz import default_columns, npz_array, read_npz
from made_tf.data.readers import existing_table, load_table
from made_tf.portable.arrays import FloatArray
from made_tf.portable.files import PathLike

__all__ = ["Splits", "load_splits"]

_VALIDATION = ("valid", "val", "validation", "dev")


class Splits(NamedTuple):
    """Rows for training, validation and testing.

    Attributes:
        train: float32 `[rows, D]`.
        valid: float32 `[rows, D]`.
        test: float32 `[rows, D]`, of no rows where the file has none.
        columns: D names.
    """

    train: FloatArray
    valid: FloatArray
    test: FloatArray
    columns: list[str]


def load_splits(
    path: PathLike,
    validation_fraction: float = 0.1,
    seed: int = 0,
    array: str | None = None,
    conditionals: str | None = None,
) -> Splits:
    """Reads rows for training and validation, and test rows where there are some.

    An `.npz` with the arrays `train`, `valid` and `test` gives these; `valid` may also be called
    `val`, `validation` or `dev`, and where it is missing, it is split off `train`. Any other
    table is split into training and validation rows.

    Args:
        path: an `.npz`, `.csv` or `.parquet` file, see `load_table`.
        validation_fraction: the part of the rows that is set aside, in (0, 1).
        seed: seed of the shuffle before the split.
        array: the one array of an `.npz` to split, in place of its own splits.
        conditionals: if given, the name of the family whose support all rows
            must lie in.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as `load_table`; if the arrays differ in width; if a value
            lies outside the support; or if too few rows are left on one side.
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(
            "`validation_fraction` must lie between 0 and 1. "
            f"Received: validation_fraction={validation_fraction}"
        )
    path = existing_table(path)
    parts = _npz_splits(path) if path.suffix == ".npz" and array is None else {}
    if parts:
        x, columns = parts["train"], default_columns(parts["train"].shape[1])
    else:
        x, columns = load_table(path, array)
    if conditionals is not None:
        from made_tf.conditionals import FAMILIES

        for name, part in parts.items() if parts else [(array, x)]:
            try:
                family = FAMILIES[conditionals].of_table(part)
            except ValueError as error:  # which knows nothing of files
                raise ValueError(f"{path}: {error}") from error
            check_support(path, part, columns, family, name)
    test = parts.get("test", x[:0])
    if "valid" in parts:
        return Splits(x, parts["valid"], test, columns)
    held_out = round(len(x) * validation_fraction)
    if not 0 < held_out < len(x):
        raise ValueError(
            f"{path}: `validation_fraction`={validation_fraction} of {len(x)} row(s) leaves no "
            "rows for training or none for validation."
        )
    x = x[np.random.default_rng(seed).permutation(len(x))]
    return Splits(x[held_out:], x[:held_out], test, columns)


def _npz_splits(path: Path) -> dict[str, FloatArray]:
    arrays = read_npz(path)
    if "train" not in arrays:
        return {}
    held_out = [name for name in _VALIDATION if name in arrays]
    if len(held_out) > 1:
        raise ValueError(f"{path} must have one array of validation rows. It holds: {held_out}")
    if held_out:
        arrays["valid"] = arrays[held_out[0]]
    names = [name for name in ("train", "valid", "test") if name in arrays]
    parts: dict[str, FloatArray] = {name: npz_array(path, arrays, name) for name in names}
    shapes = {name: part.shape for name, part in parts.items()}
    if len({width for _, width in shapes.values()}) > 1:
        raise ValueError(f"{path}: the splits must have equal widths. Received: {shapes}")
    return parts
