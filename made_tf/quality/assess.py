"""Synthetic rows against real ones: everything that a `QualityReport` tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from made_tf.data.table_schema import TableSchema
from made_tf.portable.arguments import integer
from made_tf.portable.schema import Cells, Schema
from made_tf.quality.columns import compared_columns
from made_tf.quality.memorisation import memorisation
from made_tf.quality.report import QualityReport
from made_tf.quality.shapes import column_shapes, pair_trends
from made_tf.quality.two_sample import FEWEST, two_sample_test
from made_tf.quality.utility import choose_target, utility

__all__ = ["assess", "assess_cells"]


def assess(
    real: Any,
    synthetic: Any,
    train: Any = None,
    *,
    schema: TableSchema | None = None,
    target: str | None = None,
    seed: int = 0,
) -> QualityReport:
    """Tells how good synthetic rows are.

    Args:
        real: a frame of real rows that were not learned from (pandas, polars, pyarrow, ...).
        synthetic: a frame of synthetic rows, of any generator.
        train: a frame of the rows that were learned from: what real rows reach where synthetic ones
            are asked, and whether any were learned by heart; `None` for neither.
        schema: what the columns are; inferred from the real rows by default. Columns that it lacks
            are not looked at.
        target: the column that is predicted from the others; chosen by default.
        seed: of folds, boosting and choices of rows: a 31-bit integer.

    Returns:
        A `QualityReport`; identifiers and constants are left out of it.

    Raises:
        ValueError: if there are fewer than 20 rows of a sort, columns are not there or hold cells
            of another sort, or `target` is none of those that can be compared.
        ModuleNotFoundError: if scikit-learn or scipy is not installed.
    """
    seed = integer("seed", seed, 0, 2**31)
    if schema is None:
        schema = TableSchema.infer(real if train is None else train, find_facts=False)
    frames = {"real": real, "synthetic": synthetic, "train": train}
    tables = {
        name: schema.cells_of(frame, name) for name, frame in frames.items() if frame is not None
    }
    return assess_cells(schema, tables, target, seed)


def assess_cells(
    schema: Schema,
    tables: Mapping[str, Mapping[str, Cells]],
    target: str | None,
    seed: int,
    real: str = "real",
) -> QualityReport:
    """Does what `assess` does, with cells.

    Args:
        schema: what the columns are.
        tables: the cells of `"real"`, `"synthetic"` and perhaps `"train"`, by the column's name.
        target: as of `assess`.
        seed: likewise.
        real: what the caller calls the real rows, for messages.
    """
    counts = {name: len(next(iter(table.values())).known) for name, table in tables.items()}
    for name, count in counts.items():
        if count < FEWEST:
            name = real if name == "real" else name
            raise ValueError(f"`{name}` must have {FEWEST} rows at least. Received: {count}")
    columns, left_out = compared_columns(schema, tables)
    if not columns:
        raise ValueError(f"`{real}` must have columns that can be compared. Received: {left_out}")
    names = [column.name for column in columns]
    if target is not None and target not in names:
        raise ValueError(f"`target` must be one of {names}. Received: target={target!r}")
    target = target or choose_target(columns, _determined(schema))
    return QualityReport(
        counts=counts,
        seed=seed,
        columns=column_shapes(columns),
        pairs=pair_trends(columns),
        two_sample=two_sample_test(columns, seed),
        utility=utility(columns, target, seed) if target and len(columns) > 1 else None,
        memorisation=memorisation(columns, seed) if "train" in tables else None,
        left_out=left_out,
        compared=columns,
    )


def _determined(schema: Schema) -> list[str]:
    """Returns the columns that others determine, or that determine others."""
    return [
        name for column in schema.columns if column.needs for name in (column.name, *column.needs)
    ]
