"""Checks of arguments that host and device share; imports NumPy alone."""

from __future__ import annotations

import math
import numbers

import numpy as np

__all__ = ["boolean", "fraction", "integer", "positive", "shown"]

_LONGEST = 200  # characters


def shown(value: object) -> str:
    """Returns a value as a message shows it: cut, where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole numbers of thousands of digits
        return "a number of very many digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"


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
    raise ValueError(f"`{name}` must be {expected}{hint}. Received: {name}={shown(value)}")


def boolean(name: str, value: object) -> bool:
    """Returns `value` as a `bool`, if it is True or False.

    Raises:
        ValueError: if it is not, naming the argument.
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ValueError(f"`{name}` must be True or False. Received: {name}={shown(value)}")


def positive(name: str, value: object, hint: str = "") -> float:
    """Returns `value` as a `float`, if it is a positive number.

    Args:
        name: of the argument.
        value: what was given.
        hint: what else the message tells of it.

    Raises:
        ValueError: if it is not, naming the argument.
    """
    if (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool)
        and 0 < float(value) < math.inf
    ):
        return float(value)
    raise ValueError(f"`{name}` must be a positive number{hint}. Received: {name}={shown(value)}")


def fraction(name: str, value: object) -> float:
    """Returns `value` as a `float`, if it is a number in [0, 1).

    Raises:
        ValueError: if it is not, naming the argument.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 <= float(value) < 1:
        return float(value)
    raise ValueError(f"`{name}` must be a number in [0, 1). Received: {name}={shown(value)}")
