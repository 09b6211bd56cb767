"""`RowFiles`: a table in Parquet files, of which some thousand rows are in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from made_tf.data.optional import optional_module
from made_tf.portable.arguments import fraction as checked_fraction
from made_tf.portable.files import PathLike

if TYPE_CHECKING:
    from made_tf.parquet import Piece, Source

__all__ = ["RowFiles"]

_INDEX = re.compile(r"__index_level_\d+__")  # as pandas calls one without a name


class RowFiles:
    """The rows of Parquet files, numbered from 0 in the order of the files' names.

    Args:
        paths: a folder (all `.parquet` files in it, at any depth), a pattern such as
            `rows/*.parquet`, a file, or several of these.

    Attributes:
        names: of the columns.
        num_rows: of all files together.
        groups: their row groups.
        starts: the number of each group's first row, `[G]`.
        sizes: how many rows each has, `[G]`.
        metadata: what the first file says of its columns beside their types.

    Raises:
        FileNotFoundError: if there are no Parquet files.
        ModuleNotFoundError: if `pyarrow` is not installed.
        ValueError: if a file cannot be read, has other columns or types than the first one, or
            there are no rows.
    """

    def __init__(self, paths: PathLike | Iterable[PathLike]):
        optional_module("pyarrow", "pyarrow", "tables")
        from made_tf.parquet import columns_of, find_sources, numbered_pieces

        sources = find_sources(paths)
        self.sources: list[Source] = sources
        fields = {source: columns_of(source) for source in sources}
        self.names = [name for name in fields[sources[0]].names if not _INDEX.fullmatch(name)]
        self._check_columns(fields)
        self._check_folders()
        self.metadata = fields[sources[0]].metadata
        numbered = list(numbered_pieces(sources, part_rows=1))
        self.groups: list[Piece] = [piece for piece, _ in numbered]
        self.starts = np.array([first for _, first in numbered], np.int64)
        self.sizes = np.array([piece.num_rows for piece in self.groups], np.int64)
        self.num_rows = int(self.sizes.sum())
        if not self.num_rows or not self.names:
            raise ValueError(f"{sources[0].path} and its like must have rows and columns")

    def _check_folders(self) -> None:
        for source in self.sources:
            keys = {part.split("=")[0] for part in source.name.split("/")[:-1] if "=" in part}
            if lost := sorted(keys - set(self.names)):
                raise ValueError(
                    f"{source.path} must hold all columns of the table. Received: folders that are "
                    f"named by the columns {lost}, which the files lack"
                )

    def _check_columns(self, fields: dict[Source, Any]) -> None:
        first, known = next(iter(fields.items()))
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(f"{first.path} must have each column once. Twice there are: {twice}")
        for source, own in fields.items():
            names = [name for name in own.names if not _INDEX.fullmatch(name)]
            if sorted(names) != sorted(self.names):
                lacking, more = (sorted(set(a) - set(b)) for a, b in self._both_ways(names))
                raise ValueError(
                    f"{source.path} must have the columns of {first.path}. It lacks {lacking}, and "
                    f"has {more} more"
                )
            for name in names:
                types = own.field(name).type, known.field(name).type
                # What is missing in all rows of a file has no type there.
                if types[0] != types[1] and "null" not in map(str, types):
                    raise ValueError(
                        f"{source.path} must have columns of the types of {first.path}. Received: "
                        f"column {name!r} of {types[0]}, there of {types[1]}"
                    )

    def _both_ways(self, names: list[str]) -> tuple[tuple[list[str], list[str]], ...]:
        return (self.names, names), (names, self.names)

    def tables(self, group: int) -> Iterator[tuple[int, Any]]:
        """Yields the rows of a group, at most 16,384 at a time: the first one's number, a table.

        Raises:
            ValueError: if the file cannot be read, or was written to since it was found.
        """
        from made_tf.parquet import read_piece

        first = int(self.starts[group])
        for table in read_piece(self.groups[group]):
            yield first, _computable(table.select(self.names)).replace_schema_metadata(None)
            first += len(table)

    def all_tables(self) -> Iterator[tuple[int, Any]]:
        """Yields all rows, as `tables` does."""
        for group in range(len(self.groups)):
            yield from self.tables(group)

    def where(self, row: int) -> str:
        """Returns the file that a row lies in, and its number there, in words."""
        group = int(np.searchsorted(self.starts, row, side="right")) - 1
        piece = self.groups[group]
        return f"row {piece.start + row - int(self.starts[group])} of {piece.source.path}"

    def draw(self, count: int, seed: int, without: npt.NDArray | None = None) -> npt.NDArray:
        """Returns the numbers of different rows, all equally likely, in order; int64.

        Args:
            count: how many; all that there are, if there are fewer.
            seed: of the draw.
            without: numbers of rows that are left out, in order.
        """
        left = self.num_rows - (0 if without is None else len(without))
        chosen = np.random.default_rng(seed).choice(left, min(count, left), replace=False)
        chosen = np.sort(chosen.astype(np.int64))
        if without is not None:  # the k-th row that is left lies behind all left out before it
            chosen += np.searchsorted(without - np.arange(len(without)), chosen, side="right")
        return chosen

    def held_out(self, fraction: float, seed: int, most: int) -> npt.NDArray:
        """Returns the numbers of rows to set aside, in order.

        Args:
            fraction: the part of the rows.
            seed: of the draw.
            most: how many at most.

        Raises:
            ValueError: if no rows would be left for training, or none for validation.
        """
        fraction = checked_fraction("validation_fraction", fraction)
        count = min(round(self.num_rows * fraction), most)
        if not 0 < count < self.num_rows:
            raise ValueError(
                "`validation_fraction` must leave rows for training and for validation. Received: "
                f"{fraction} of {self.num_rows} row(s)"
            )
        return self.draw(count, seed)

    def identity(self) -> list[list[Any]]:
        """Returns what tells these files from others: names, sizes, times of writing."""
        return [[each.name, each.size, each.mtime_ns] for each in self.sources]


def _computable(table: Any) -> Any:
    """Returns a table without the types that Arrow has no functions for."""
    import pyarrow as pa

    others = {pa.float16(): pa.float32(), pa.string_view(): pa.large_string()}
    fields = [field.with_type(others.get(field.type, field.type)) for field in table.schema]
    return table.cast(pa.schema(fields))
