"""One column of a frame."""

from __future__ import annotations

from typing import NamedTuple

from made_tf.portable.schema import Cells, Source

__all__ = ["Series"]


class Series(NamedTuple):
    """One column of a frame: what it is there, and its cells."""

    source: Source
    cells: Cells
