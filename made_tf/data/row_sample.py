"""A sample of rows that has all that is rare in a table: ends, new classes, missing cells."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from made_tf.data.row_files import RowFiles

__all__ = ["MOST_CLASSES", "RowSample"]

#: How many different texts of a column are looked for.
MOST_CLASSES = 20_000


class RowSample:
    """Rows drawn uniformly, and those in which a column has something for the first time.

    All rows are read once: of each column the smallest and the largest number, the first missing
    cell and the first of each text (up to 20,000 different ones) are taken in, whole rows of them.

    Args:
        files: the table.
        count: how many rows are drawn.
        seed: of the draw.
        dropped: columns that do not count.

    Attributes:
        table: the rows, a table of Arrow.
        crowded: columns that have more different texts than were looked for.
    """

    def __init__(self, files: RowFiles, count: int, seed: int, dropped: Collection[str] = ()):
        drawn = files.draw(count, seed)
        seen = {name: _Seen() for name in files.names if name not in dropped}
        self._metadata = files.metadata
        self._parts: list[Any] = []
        for first, table in files.all_tables():
            inner = slice(*np.searchsorted(drawn, [first, first + len(table)]))
            rows = set((drawn[inner] - first).tolist())
            for name, own in seen.items():
                rows |= own.first_rows(table.column(name))
            self.add(table, sorted(rows))
        self.crowded = [name for name, own in seen.items() if own.is_crowded]

    def add(self, table: Any, rows: Any) -> None:
        """Takes in rows of a table."""
        if len(rows):
            self._parts.append(table.take(rows))  # a copy: nothing else of the table stays

    @property
    def table(self) -> Any:
        """The rows, a table of Arrow."""
        import pyarrow as pa

        self._parts = [pa.concat_tables(self._parts, promote_options="permissive")]
        return self._parts[0]

    def frame(self) -> Any:
        """Returns the rows as pandas has them."""
        return self.table.unify_dictionaries().replace_schema_metadata(self._metadata).to_pandas()


class _Seen:
    """What was seen of a column so far."""

    def __init__(self) -> None:
        self._ends: tuple[Any, Any] | None = None
        self._classes: set[Any] = set()
        self._has_missing = False
        self.is_crowded = False

    def first_rows(self, column: Any) -> set[int]:
        """Returns the rows in which there is something that was not seen before."""
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = set()
        missing = pc.is_null(column, nan_is_null=True)
        if not self._has_missing and pc.any(missing).as_py():
            self._has_missing = True
            rows.add(pc.index(missing, True).as_py())
        kind = column.type
        if pa.types.is_decimal(kind) or (pa.types.is_primitive(kind) and kind != pa.bool_()):
            return rows | self._new_ends(_as_numbers(column))
        if pa.types.is_nested(kind) or pa.types.is_null(kind) or self.is_crowded:
            return rows
        return rows | self._new_classes(column)

    def _new_ends(self, column: Any) -> set[int]:
        import pyarrow.compute as pc

        ends = pc.min_max(column)
        low, high = ends["min"], ends["max"]
        if not low.is_valid:
            return set()
        rows, before = set(), self._ends
        if before is None or pc.less(low, before[0]).as_py():
            rows.add(pc.index(column, low).as_py())
        if before is None or pc.greater(high, before[1]).as_py():
            rows.add(pc.index(column, high).as_py())
        if before is not None:
            low, high = pc.min_element_wise(low, before[0]), pc.max_element_wise(high, before[1])
        self._ends = low, high
        return {row for row in rows if row >= 0}

    def _new_classes(self, column: Any) -> set[int]:
        different = set(column.unique().to_pylist()) - self._classes - {None}
        if not different:
            return set()
        self._classes |= different
        self.is_crowded = len(self._classes) > MOST_CLASSES
        if self.is_crowded:
            return set()
        first: dict[Any, int] = {}
        for row, cell in enumerate(column.to_pylist()):
            first.setdefault(cell, row)
        return {first[cell] for cell in different}


def _as_numbers(column: Any) -> Any:
    """Returns numbers and moments of any type as ones that Arrow compares."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return column.cast(pa.int32())
    return column.cast(pa.int64()) if pa.types.is_temporal(kind) else column
