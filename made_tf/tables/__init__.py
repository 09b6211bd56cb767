"""Tables as people have them: frames in, frames out."""

from __future__ import annotations

from made_tf.data.constraints import FixedCombinations, Inequality, Sum, Unique
from made_tf.data.table_schema import TableSchema
from made_tf.tables.model import TableModel
from made_tf.tables.network import TableNetwork

__all__ = [
    "FixedCombinations",
    "Inequality",
    "Sum",
    "TableModel",
    "TableNetwork",
    "TableSchema",
    "Unique",
]
