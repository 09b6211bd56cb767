"""What a file says of itself, checked before anything is made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from .portable.arguments import shown

__all__ = ["check_signatures", "check_width", "what_is_wrong"]

_LARGEST = 2**31


def _is_integer(value: object, low: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value < _LARGEST


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_order(value: Any, size: int) -> bool:
    if not isinstance(value, list) or len(value) != size:
        return False
    return all(map(_is_integer, value)) and sorted(value) == list(range(1, size + 1))


def _is_variables(value: Any, size: int) -> bool:
    if value is None:
        return True
    return (
        isinstance(value, list)
        and len(value) == size
        and all(
            isinstance(each, Mapping)
            and isinstance(each.get("name"), str)
            and ("categories" not in each or _is_texts(each["categories"]))
            for each in value
        )
    )


def _is_picture(value: Any, size: int) -> bool:
    if value is None:
        return True
    sides = isinstance(value, list) and len(value) == 2 and all(map(_is_integer, value))
    return sides and value[0] * value[1] == size


def _is_context(value: Any, size: int) -> bool:
    del size
    if value is None:
        return True
    if not isinstance(value, Mapping) or not isinstance(value.get("shape"), list):
        return False
    names = value.get("names")
    return all(map(_is_integer, value["shape"])) and (names is None or _is_texts(names))


#: Of each entry: what it must be, in words, and whether it is, given D.
_ENTRIES: dict[str, tuple[str, Callable[[Any, int], bool]]] = {
    "version": ("a text", lambda value, size: isinstance(value, str)),
    "weights": ("a text", lambda value, size: isinstance(value, str)),
    "num_orders": ("a positive integer", lambda value, size: _is_integer(value)),
    "num_uniforms": ("an integer of at least D", lambda value, size: _is_integer(value, size)),
    "any_order": ("true or false", lambda value, size: isinstance(value, bool)),
    "input_order": ("a permutation of 1..D", _is_order),
    "family": (
        "a mapping with a name",
        lambda value, size: isinstance(value, Mapping) and isinstance(value.get("name"), str),
    ),
    "variables": ("null, or a mapping with a name for each variable", _is_variables),
    "image_shape": ("null, or two integers whose product is D", _is_picture),
    "licence": ("null or a text", lambda value, size: value is None or isinstance(value, str)),
}
_PERHAPS: dict[str, tuple[str, Callable[[Any, int], bool]]] = {
    "context": ("a mapping with a shape", _is_context),
    "members": ("a positive integer", lambda value, size: _is_integer(value)),
    "schema": ("a mapping", lambda value, size: isinstance(value, Mapping)),
}


def what_is_wrong(metadata: Mapping[str, Any]) -> str | None:
    """Returns which entry of a file's metadata is not what it must be, in words.

    Args:
        metadata: as `made_tf.export.to_tflite` wrote it, or somebody else.
    """
    size: Any = metadata.get("event_size")
    if not _is_integer(size):
        return f"`event_size` must be a positive integer: {shown(size)}"
    for name, (expected, is_right) in {**_ENTRIES, **_PERHAPS}.items():
        if name in _PERHAPS and name not in metadata:
            continue
        if name not in metadata or not is_right(metadata[name], size):
            return f"`{name}` must be {expected}: {shown(metadata.get(name))}"
    return None


def check_width(
    path: str | os.PathLike[str], rows: Mapping[str, Any] | None, event_size: int
) -> None:
    """Checks the number of variables by a file's own tensors.

    Args:
        path: the file, for the message.
        rows: what LiteRT tells of a tensor of rows; `None` where there is none.
        event_size: what the metadata tell.

    Raises:
        ValueError: if these rows have another width.
    """
    width = -1 if rows is None else [-1, *rows["shape_signature"]][-1]  # -1: not known
    if width not in (-1, event_size):
        raise ValueError(
            "`path` must be a model that made_tf exported. Received: "
            f"path={os.fspath(path)!r}, whose metadata tells of {event_size} variables and whose "
            f"rows have {width}"
        )


def check_signatures(path: str | os.PathLike[str], signatures: list[str]) -> None:
    """Checks a file that says nothing of itself.

    Raises:
        ValueError: if it has not the signatures that every such file has.
    """
    missing = {"sample", "log_prob", "conditionals"} - set(signatures)
    if missing:
        raise ValueError(
            "`path` must be a model that made_tf exported, with the signatures sample, "
            f"log_prob and conditionals. Received: path={os.fspath(path)!r} without "
            f"{sorted(missing)}"
        )
