"""Rows as users have them (arrays, frames, lists), as one plain array of numbers.

What enters is what was meant, or an error: a masked value is a missing one, and so is None or NA;
true and false are 1 and 0; a column of categories is the numbers that they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["finite_table", "merged_by_float32", "plain_array"]

_FEW_STEPS = 4096  # that float32 has for a column, below which its values may run together


def plain_array(name: str, x: Any) -> npt.NDArray:
    """Returns rows as a numeric array in which NaN stands for what is missing.

    Args:
        name: the argument's name, for the message.
        x: an array, a masked array, a data frame, or nested sequences.

    Raises:
        ValueError: if a value is no number, or the rows are of unequal lengths.
    """
    if isinstance(x, np.ma.MaskedArray):
        return _unmasked(name, x)
    if hasattr(x, "dtypes") and hasattr(x, "iloc"):  # a frame of pandas: column by column
        columns = [_of_column(name, x.iloc[:, index]) for index in range(x.shape[1])]
        return np.stack(columns, axis=1) if columns else np.empty(x.shape)
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"`{name}` must have rows of equal lengths.") from error
    return _numeric(name, array)


def finite_table(name: str, x: Any) -> npt.NDArray:
    """Returns rows `[N, D]` as a numeric array.

    Raises:
        ValueError: if there are none, or a value is missing, infinite or no number.
    """
    values = plain_array(name, x)
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"`{name}` must have rows and columns. Received: {name}.shape={values.shape}"
        )
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f"`{name}` must be finite. Received: {name}[{row}, {column}]={values[row, column]}"
        )
    return values


def _unmasked(name: str, x: np.ma.MaskedArray) -> npt.NDArray:
    values = _numeric(name, np.ma.getdata(x))
    if not np.ma.getmaskarray(x).any():
        return values
    values = values.astype(np.result_type(values.dtype, np.float32))
    values[np.ma.getmaskarray(x)] = np.nan
    return values


def _of_column(name: str, column: Any) -> npt.NDArray:
    """Returns a column of a frame: of pandas' own dtypes float64 with NaN for NA."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy()
    if hasattr(column, "cat"):
        column = column.astype(column.cat.categories.dtype if not column.isna().any() else object)
    return _numeric(f"{name}[{column.name!r}]", column.to_numpy(dtype=object), name)


def _numeric(name: str, array: npt.NDArray, argument: str = "") -> npt.NDArray:
    if array.dtype.kind in "biuf" or array.dtype.name == "bfloat16":
        return array
    if array.dtype.kind == "O" and (array.size == 0 or _are_numbers(array)):
        return np.array([_number(value) for value in array.flat], np.float64).reshape(array.shape)
    argument = argument or name
    raise ValueError(f"`{argument}` must be numeric. Received: {name}.dtype={array.dtype}")


def _are_numbers(array: npt.NDArray) -> bool:
    kinds = {type(value) for value in array.flat}
    return all(_is_missing_kind(kind) or issubclass(kind, _NUMBERS) for kind in kinds)


_NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)


def _is_missing_kind(kind: type) -> bool:
    return kind is type(None) or kind.__name__ in ("NAType", "NaTType")


def _number(value: Any) -> float:
    return np.nan if _is_missing_kind(type(value)) else float(value)


def merged_by_float32(x: npt.NDArray) -> tuple[int, int, int] | None:
    """Finds a column whose values float32 cannot tell apart, such as times by the minute.

    Returns:
        The column, how many different values it has, and how many are left in float32; `None`
        where there is no such column.
    """
    if x.dtype.kind not in "iuf" or x.dtype.itemsize < 4 or x.dtype == np.float32 or not len(x):
        return None
    for index in range(x.shape[1]):
        column = x[:, index]
        column = column[np.isfinite(column)].astype(np.float64)
        if not len(column):
            continue
        step = np.spacing(np.abs(column).max().astype(np.float32)).astype(np.float64)
        if np.ptp(column) < _FEW_STEPS * step:  # few columns come so far
            distinct = len(np.unique(column))
            left = len(np.unique(column.astype(np.float32)))
            if left < distinct:
                return index, distinct, left
    return None
