"""`LiteTable`: a table's model on a device, in the words of the table."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .portable.arguments import integer
from .portable.arrays import BoolArray, FloatArray, Rows
from .portable.schema import Cells, Schema
from .portable.schema.distinct import draw_rows
from .portable.schema.filling import fill, left_text
from .portable.schema.plain import cells_of_list, list_of_cells
from .portable.seeds import checked_seed, row_numbers
from .sampler import LiteSampler

__all__ = ["LiteTable"]


class LiteTable:
    """Rows of a table from a file, with names and categories; without data frames.

    Args:
        path: a file that `TableModel.to_tflite` wrote.
        num_threads: as of `LiteSampler`.

    Attributes:
        sampler: the `LiteSampler`, for all that has to do with numbers.
        schema: what the columns are.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is none of a table's model.

    Example:
        >>> table = LiteTable("grades.tflite")
        >>> list(table.sample(2, seed=7))
        ['colour', 'level', 'big', 'side']
    """

    def __init__(self, path: str | os.PathLike[str], num_threads: int | None = None):
        self.sampler = LiteSampler(path, num_threads)
        content = (self.sampler.metadata or {}).get("schema")
        if content is None:
            raise ValueError(
                "`path` must be the file of a table's model (`TableModel.to_tflite`). "
                f"Received: path={os.fspath(path)!r}, which tells of no table"
            )
        self.schema = Schema.from_dict(content)

    @property
    def can_impute(self) -> bool:
        """Whether the file answers questions about some cells given the others of their row."""
        return "impute" in self.sampler.signatures

    def sample(self, num_samples: int, seed: int = 0, first_row: int = 0) -> dict[str, list[Any]]:
        """Draws rows: those of `TableModel.sample` with the same seed.

        Args:
            num_samples: how many.
            seed: a 32-bit integer.
            first_row: the number of the first row: pieces of a sample are as the whole.

        Returns:
            For each column, by name, a list of cells: `None` for missing ones, moments in UTC.

        Raises:
            ValueError: if an argument is out of range.
        """
        count = integer("num_samples", num_samples, 1, 2**31)
        if self.schema.unique and first_row == 0:
            return self._lists(
                self.schema.decode(draw_rows(self.sampler, self.schema, count, seed))
            )
        return self._lists(self.sample_cells(row_numbers(first_row, count), seed))

    def sample_cells(self, rows: Rows, seed: int = 0) -> dict[str, Cells]:
        """Draws the rows of `sample` that have these numbers, as arrays.

        Rows drawn in pieces are not compared with one another: `Unique` does not hold there.
        """
        return self.schema.decode(self.sampler.sample_rows(rows, seed), rows)

    def log_prob(self, table: Mapping[str, Sequence[Any]]) -> FloatArray:
        """Returns the log-probability of rows, in nats.

        Args:
            table: for each column, by name, a list of cells.

        Returns:
            Float32 `[rows]`; `-inf` for a row with a cell that the table never had, or one that
            contradicts others. (`TableModel.log_prob` knows more: it has the network of questions.)

        Raises:
            ValueError: if a column is not there, or cells are of another sort.
        """
        return self.log_prob_of_cells(self._cells(table, absent=False))

    def log_prob_of_cells(self, table: Mapping[str, Cells]) -> FloatArray:
        """Returns what `log_prob` does, of arrays: all columns of the table."""
        x, new, broken = self.schema.encode(table)
        known = ~(new | broken).any(axis=1)
        found = np.full(len(x), -np.inf, np.float32)
        if known.any():
            found[known] = self.sampler.log_prob(x[known])
        return found

    def impute(
        self, table: Mapping[str, Sequence[Any]], seed: int = 0, first_row: int | Rows = 0
    ) -> dict[str, list[Any]]:
        """Fills in missing cells by draws, all of a row together, given the rest of the row.

        Args:
            table: for each column, by name, a list of cells, `None` where one is missing. Columns
                that are not there are filled in, too; a cell that the table never had stays, and
                nothing follows from it.
            seed: a 32-bit integer.
            first_row: the number of the first row, or those of all, `[rows]`: row i is drawn from
                (seed, i), so that pieces of a table get what the whole would.

        Returns:
            For each column of the table a list of cells: the rows of `TableModel.impute` with the
            same seed, where the file is that of its network of questions.

        Raises:
            ValueError: if the file has no signature `impute`, `table` names none of the columns, or
                cells are of another sort.

        Warns:
            UserWarning: if a hundred rounds left a missing cell or a contradiction.
        """
        cells = self._cells(table, absent=True)
        rows = row_numbers(first_row, len(next(iter(cells.values())).known))
        return self._lists(self.impute_cells(cells, rows, seed))

    def impute_cells(
        self, table: Mapping[str, Cells], rows: Rows, seed: int = 0
    ) -> dict[str, Cells]:
        """Returns what `impute` does, of arrays: some columns of the table, and the rows' numbers.

        Raises:
            ValueError: as `impute`.
        """
        if not self.can_impute:
            raise ValueError(
                "This file has no signature 'impute': it is the density of whole rows. Export the "
                "network of questions: TableModel.to_tflite(path, network='questions')"
            )
        seed = checked_seed(seed)

        def draw(values: FloatArray, known: BoolArray, own: int, numbers: Rows) -> FloatArray:
            x = np.where(known, values, np.float32(np.nan))
            return self.sampler.impute(x, own, first_row=numbers)

        table = self.schema.complete(table)
        x = self.schema.encode(table, absent_is_unknown=True).x
        filled, left = fill(draw, self.schema, table, x, seed, rows)
        if left:
            warnings.warn(left_text(left), stacklevel=3)
        return filled

    def _lists(self, table: Mapping[str, Cells]) -> dict[str, list[Any]]:
        sources = {name: self.schema.column(name).source for name in table}
        return {name: list_of_cells(cells, sources[name]) for name, cells in table.items()}

    def _cells(self, table: Mapping[str, Sequence[Any]], absent: bool) -> dict[str, Cells]:
        lacking = [name for name in self.schema.names if name not in table]
        if lacking and not absent:
            raise ValueError(f"`table` must have all columns. It lacks: {lacking}")
        if len(lacking) == len(self.schema.names):
            raise ValueError(
                f"`table` must have columns of the table: {self.schema.names}. "
                f"Received: {list(table)}"
            )
        cells = {}
        for column in self.schema.columns:
            if column.name in lacking:
                continue
            try:
                cells[column.name] = cells_of_list(_listed(table[column.name]), column.source)
            except ValueError as error:
                raise ValueError(f"`table`: column {column.name!r} {error}") from error
        lengths = {name: len(own.known) for name, own in cells.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"`table` must have lists of one length. Received: {lengths}")
        return cells


def _listed(cells: Any) -> list[Any]:
    """Returns the cells of a column as Python objects.

    Raises:
        ValueError: if they are no list; without a subject.
    """
    if isinstance(cells, str | Mapping) or not isinstance(cells, Iterable):
        raise ValueError(f"must be a list of cells. Received: {cells!r}")
    return [_plain(cell) if isinstance(cell, np.generic) else cell for cell in cells]


def _plain(cell: np.generic) -> Any:
    if isinstance(cell, np.datetime64 | np.timedelta64):
        cell = cell.astype(f"{cell.dtype.kind}8[us]")  # of nanoseconds there is no object
    return cell.item()
