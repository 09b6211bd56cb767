"""The check of an integer argument that all modules share; imports nothing heavy."""

from __future__ import annotations

import numbers

__all__ = ["integer"]


def integer(name: str, value: object, low: int = 1, high: int | None = None) -> int:
    """Returns `value` as an `int`, if it is an integer in [low, high).

    `True` is no integer; NumPy integers are.

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
    raise ValueError(f"`{name}` must be {expected}. Received: {name}={value!r}")
