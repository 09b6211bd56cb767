"""What a table is: its columns, the numbers that a model has for them, and the way back.

NumPy and the standard library alone, so that a device speaks names and categories, too. Frames of
pandas and others become `Cells` in `made_tf.data.frames`.
"""

from __future__ import annotations

from .cells import Cells, Source
from .columns import Column, column_from
from .schema import Encoded, Schema

__all__ = ["Cells", "Column", "Encoded", "Schema", "Source", "column_from"]
