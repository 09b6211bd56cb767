"""Checks of what a sampler is given: each returns it as the file takes it, or tells why not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .portable.arrays import FloatArray

__all__ = [
    "check_context",
    "check_rows",
    "check_seeds",
    "check_supported",
    "check_temperature",
    "check_uniforms",
]


def check_context(
    context: npt.ArrayLike | None, shape: tuple[int, ...] | None, num_rows: int
) -> dict[str, FloatArray]:
    """Returns what a signature takes for a context: nothing, or a context for each row.

    Args:
        context: one for all rows, of this shape, or one for each, `[n, ...]`.
        shape: that of a row's context; `None` for a file without a context.
        num_rows: n.

    Raises:
        ValueError: if it is missing, given to a file without one, of another shape or not finite.
    """
    if shape is None:
        if context is not None:
            raise ValueError("`context` must be None: this file's model has no context.")
        return {}
    if context is None:
        raise ValueError(
            f"`context` must be given, of shape {list(shape)} or {[num_rows, *shape]}: this file's "
            "model is one of p(x | context)."
        )
    given = np.asarray(context, np.float32)
    if given.shape not in (shape, (num_rows, *shape)) or not np.isfinite(given).all():
        raise ValueError(
            f"`context` must be finite, of shape {list(shape)} or {[num_rows, *shape]}. "
            f"Received: context.shape={given.shape}"
        )
    return {"context": np.broadcast_to(given, (num_rows, *shape))}  # a view, of any size


def check_rows(x: npt.ArrayLike, event_size: int) -> FloatArray:
    """Returns rows `[n, D]` of finite numbers.

    Raises:
        ValueError: if they have another shape or are not finite.
    """
    rows = np.ascontiguousarray(x, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != event_size or len(rows) == 0:
        raise ValueError(
            f"`x` must have the shape [n, {event_size}], n at least 1. "
            f"Received: x.shape={rows.shape}"
        )
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise ValueError(f"`x` must be finite. Received: x[{row}, {column}]={rows[row, column]}")
    return rows


def check_supported(
    found: FloatArray, rows: FloatArray, numbers: npt.NDArray[np.intp] | None = None
) -> None:
    """A file answers rows that its model cannot have with NaN: none may be among its answers.

    Args:
        found: the answers, `[n]` or `[n, D]`.
        rows: what was asked, `[n, D]`.
        numbers: the numbers of the rows, if they are not the first.

    Raises:
        ValueError: if an answer is NaN.
    """
    outside = np.isnan(found.reshape(len(found), -1)).any(axis=1)
    if outside.any():
        first = int(np.argmax(outside))
        number = first if numbers is None else numbers[first]
        raise ValueError(
            "`x` must contain values of the model's support only (0 and 1, or classes). "
            f"Received: x[{number}]={np.array2string(rows[first], threshold=8)}"
        )


def check_seeds(seeds: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Returns seeds, int32 `[n, 2]`.

    Raises:
        ValueError: if they have another shape or dtype.
    """
    seeds = np.asarray(seeds)
    if seeds.dtype != np.int32 or seeds.ndim != 2 or seeds.shape[1] != 2 or len(seeds) == 0:
        raise ValueError(
            "`seeds` must be int32 of shape [n, 2], n at least 1. "
            f"Received: seeds.dtype={seeds.dtype}, seeds.shape={seeds.shape}"
        )
    return np.ascontiguousarray(seeds)


def check_temperature(temperature: npt.ArrayLike, num_rows: int) -> FloatArray:
    """Returns a temperature for each row, `[n]`, of one for all rows or `[n]`.

    Raises:
        ValueError: if there are others, or they are out of range.
    """
    given = np.asarray(temperature, np.float32)
    if given.shape not in ((), (num_rows,)) or not np.all((given >= 1e-6) & (given <= 1e6)):
        raise ValueError(
            f"`temperature` must be a number from 1e-6 to 1e6, or {num_rows} of them. "
            f"Received: temperature={temperature!r}"
        )
    return np.ascontiguousarray(np.broadcast_to(given, num_rows))


def check_uniforms(uniforms: npt.ArrayLike, width: int) -> FloatArray:
    """Returns uniforms `[n, U]`, strictly between 0 and 1.

    Raises:
        ValueError: if they have another shape or range.
    """
    given = np.ascontiguousarray(uniforms, dtype=np.float32)
    if given.ndim != 2 or given.shape[1] != width or len(given) == 0:
        raise ValueError(
            f"`uniforms` must have the shape [n, {width}], n at least 1. "
            f"Received: uniforms.shape={given.shape}"
        )
    if not np.all((given > 0) & (given < 1)):
        raise ValueError(
            "`uniforms` must lie strictly between 0 and 1. Received: values from "
            f"{given.min()} to {given.max()}"
        )
    return given
