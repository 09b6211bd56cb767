"""How good rows are that a table's model draws, beside real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from made_tf.portable.arguments import integer
from made_tf.tables import rows
from made_tf.tables.fitted import Fitted

if TYPE_CHECKING:
    from made_tf.quality import QualityReport

__all__ = ["quality"]


def quality(
    fitted: Fitted, frame: Any, train: Any, target: str | None, n: int | None, seed: int
) -> QualityReport:
    """Returns what `TableModel.quality` does."""
    from made_tf.quality.assess import assess_cells

    seed = integer("seed", seed, 0, 2**31)
    tables = {"real": fitted.schema.cells_of(frame, "X")}
    if train is not None:
        tables["train"] = fitted.schema.cells_of(train, "train")
    longest = max(len(next(iter(table.values())).known) for table in tables.values())
    tables["synthetic"] = rows.drawn(fitted, integer("n", longest if n is None else n), seed)
    return assess_cells(fitted.schema, tables, target, seed, "X")
