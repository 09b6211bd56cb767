"""Tables in and out.

Rows are float32 arrays `[rows, D]`. Every file is read without running anything that it contains
(no pickle), and written whole or not at all. A table that is larger than memory is a `RowStream`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from made_tf.data.checks import check_support
from made_tf.data.digits import DIGITS_THRESHOLD, load_digits
from made_tf.data.readers import load_rows, load_table
from made_tf.data.splits import Splits, load_splits
from made_tf.data.writers import save_history, save_rows, save_stream

if TYPE_CHECKING:
    from made_tf.data.row_stream import RowStream

__all__ = [
    "DIGITS_THRESHOLD",
    "RowStream",
    "Splits",
    "check_support",
    "load_digits",
    "load_rows",
    "load_splits",
    "load_table",
    "save_history",
    "save_rows",
    "save_stream",
]


def __getattr__(name: str) -> Any:
    """Imports `RowStream`, which needs Keras, when it is asked for."""
    if name == "RowStream":
        from made_tf.data.row_stream import RowStream

        return RowStream
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
