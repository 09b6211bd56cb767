"""What a file says of a dataclass, compared with what its annotations want."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any

from .arguments import shown

__all__ = ["check_fields", "is_scalar"]

_LARGEST = 2**64  # of whole numbers; columns have at most 64 bits


def check_fields(instance: Any) -> None:
    """Checks the fields of a dataclass by their annotations: a file may hold anything there.

    Raises:
        ValueError: if a field has a value of another type, one that is not finite, or too large.
    """
    hints = typing.get_type_hints(type(instance))
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if not _fits(value, hints[field.name]):
            raise ValueError(
                f"`{field.name}` must be {field.type}. Received: {field.name}={shown(value)}"
            )


def is_scalar(value: object) -> bool:
    """Returns whether a value of JSON is a text, a number or a truth value."""
    return isinstance(value, str | bool | float) or _is_number(value)


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in typing.get_args(hint))
    if typing.get_origin(hint) is list:
        (entry,) = typing.get_args(hint)
        return isinstance(value, list) and all(_fits(each, entry) for each in value)
    if typing.get_origin(hint) is dict:
        return isinstance(value, dict)
    if hint is int:
        return isinstance(value, int) and _is_number(value)
    if hint is float:
        return _is_number(value)
    return isinstance(value, hint)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) <= _LARGEST
