"""Arguments of families with a number for each column: checked, and spread over the columns."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from made_tf.portable.arrays import FloatArray

__all__ = ["check_numbers", "check_positive", "spread", "spread_lists"]

_LARGEST = float(np.finfo(np.float32).max)
_SMALLEST = float(np.finfo(np.float32).tiny)


def check_numbers(name: str, values: Any, optional: bool = False) -> Any:
    """Returns a finite number, or a list of such (and of `None`, where it is `optional`).

    Raises:
        ValueError: if it is neither.
    """
    several = isinstance(values, list | tuple | np.ndarray)
    for value in values if several else [values]:
        if optional and value is None:
            continue
        if not isinstance(value, numbers.Real) or not abs(float(value)) <= _LARGEST:
            raise ValueError(
                f"`{name}` must be a finite number or a sequence of such. "
                f"Received: {name}={values!r}"
            )
    if several:
        return [None if value is None else float(value) for value in values]
    return None if values is None else float(values)


def check_positive(name: str, values: Any, optional: bool = False) -> Any:
    """Returns `check_numbers` of what must be positive.

    Raises:
        ValueError: if a number is not, or too small for float32.
    """
    values = check_numbers(name, values, optional)
    given = [value for value in np.atleast_1d(np.asarray(values, object)) if value is not None]
    if any(value < _SMALLEST for value in given):
        raise ValueError(
            f"`{name}` must be positive, and at least 1.2e-38 to be a normal float32. "
            f"Received: {name}={values!r}"
        )
    return values


def spread(name: str, values: Any, event_size: int, default: float = np.nan) -> FloatArray:
    """Returns one number for each column, float32 `[D]`, or `[]` if there is one for all.

    Args:
        name: the argument's name, for the message.
        values: a number, or a list.
        event_size: D.
        default: what stands for `None`.

    Raises:
        ValueError: if a list has another length.
    """
    if isinstance(values, list) and len(values) != event_size:
        raise ValueError(
            f"`{name}` must have one entry for each of {event_size} variables. "
            f"Received: {name}={values}"
        )
    if not isinstance(values, list):
        return np.asarray(default if values is None else values, np.float32)
    return np.array([default if value is None else value for value in values], np.float32)


def spread_lists(
    name: str, values: Sequence[Sequence[float]] | None, event_size: int
) -> list[list[float]] | None:
    """Returns a list of numbers for each column, `None` for none.

    Raises:
        ValueError: if there are more or less lists than columns.
    """
    if values is not None and len(values) != event_size:
        raise ValueError(
            f"`{name}` must have one list for each of {event_size} variables. "
            f"Received: {len(values)} lists"
        )
    return None if values is None else [list(column) for column in values]
