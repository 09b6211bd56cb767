"""Opens `.tflite` files: whole ones alone, and with what they say of themselves."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from .described import what_is_wrong
from .portable.arguments import integer
from .portable.digests import CONTENT_DIGITS, content_digest

__all__ = ["DIGEST_MARK", "METADATA_FORMAT", "open_interpreter", "read_metadata"]

METADATA_FORMAT = 1
"""The newest form of the metadata that this version reads."""

#: What stands before the 64 digits of the digest, in the metadata of a file.
DIGEST_MARK = b'"sha256":"'

_ENTRY = b"made_tf"
_IDENTIFIER = b"TFL3"


def open_interpreter(path: str | os.PathLike[str], num_threads: int | None = None) -> Interpreter:
    """Opens a `.tflite` file.

    A file that made_tf exported carries a digest of itself: no damaged one
    reaches the interpreter, which may crash on it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is truncated, damaged or no LiteRT model at all.
    """
    path = os.fspath(path)
    if num_threads is not None:
        integer("num_threads", num_threads)
    read_metadata(path)  # checks
    try:
        return Interpreter(model_path=path, num_threads=num_threads)
    except (ValueError, RuntimeError) as error:
        raise _unreadable(path, str(error)) from error


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Returns what a file says of itself, without opening the model.

    Returns:
        The description that `made_tf.export.to_tflite` wrote: `event_size`,
        `family`, `input_order`, `variables`, `weights`, `version` and more;
        `None` for a file of another maker, or of a version before there was one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is truncated, damaged, no LiteRT model at all, or was
            written by a later version in a form that this one cannot read.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            "`path` must be the path of a file, a str or a Path. "
            f"Received: path of type {type(path).__name__}"
        )
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"No such file: {path}")
    content = Path(path).read_bytes()
    if content[4:8] != _IDENTIFIER:
        raise _unreadable(path, "its first bytes are not those of such a file")
    found = content.find(DIGEST_MARK)
    start = found + len(DIGEST_MARK)
    if found >= 0 and content_digest(content, start) != content[start : start + CONTENT_DIGITS]:
        raise _unreadable(path, "its content is not what was written: truncated or damaged")
    try:
        text = _entry(content)
        metadata = None if text is None else json.loads(text)
    except (ValueError, IndexError, TypeError, OverflowError, AttributeError) as error:
        raise _unreadable(path, f"its metadata cannot be read: {error}") from error
    except Exception as error:
        raise _unreadable(path, f"its tables cannot be followed: {error!r}") from error
    if metadata is None and found < 0:
        return None
    if not isinstance(metadata, dict) or "sha256" not in metadata:
        raise _unreadable(path, "its metadata is damaged")
    form = metadata.get("format")
    if not isinstance(form, int) or form > METADATA_FORMAT:
        shown = form if isinstance(form, int) and form < 2**31 else f"{type(form).__name__}"
        raise ValueError(
            f"{path} has metadata of format {shown}; this version reads formats up to "
            f"{METADATA_FORMAT}. Install a newer made_tf."
        )
    wrong = what_is_wrong(metadata)
    if wrong is not None:
        raise _unreadable(path, f"its metadata is not as made_tf writes it: {wrong}")
    return metadata


def _entry(content: bytes) -> str | None:
    """Returns the text of the metadata's entry, if there is one."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == _ENTRY:
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            return bytes(data).decode()
    return None


def _unreadable(path: str, why: str) -> ValueError:
    return ValueError(
        f"`path` must be a complete LiteRT model (.tflite). Received: path={path!r} ({why})"
    )
