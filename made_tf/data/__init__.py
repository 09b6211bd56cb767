"""Tables in and out.

Rows are float32 arrays `[rows, D]`. Every file is read without running anything that it contains
(no pickle), and written whole or not at all.
"""

from __future__ import annotations

from made_tf.data.checks import check_support
from made_tf.data.digits import DIGITS_THRESHOLD, load_digits
from made_tf.data.readers import load_rows, load_table
from made_tf.data.splits import Splits, load_splits
from made_tf.data.writers import save_history, save_rows, save_stream

__all__ = [
    "DIGITS_THRESHOLD",
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
