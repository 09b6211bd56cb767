"""Answers as frames of the library that the table came in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from made_tf.data.frames import frame_of
from made_tf.portable.schema import Cells, Source

__all__ = ["plain_frame"]

_NAMES = {"O": ("text", "str", "String"), "i": ("integer", "int64", "Int64")}


def plain_frame(cells: Mapping[str, Cells], library: str, index: Any = None) -> Any:
    """Returns texts and numbers as a frame, of a library's own dtypes for them.

    Args:
        cells: of each column.
        library: whose frame it is to be.
        index: of a frame of pandas.
    """
    sources = {}
    for name, own in cells.items():
        real = ("real", own.values.dtype.name, own.values.dtype.name.capitalize())
        sort, of_pandas, of_others = _NAMES.get(own.values.dtype.kind, real)
        sources[name] = Source(sort, of_pandas if library == "pandas" else of_others)
    return frame_of(cells, sources, library, index)
