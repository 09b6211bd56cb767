"""`LiteTable`: a table's model on a device, in the words of the table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .portable.arrays import FloatArray
from .portable.schema import Cells, Schema
from .portable.schema.filling import fill
from .portable.schema.plain import cells_of_list, list_of_cells
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
        >>> table = LiteTable("penguins.tflite")  # doctest: +SKIP
        >>> table.sample(2, seed=7)["species"]  # doctest: +SKIP
        ['Gentoo', 'Adelie']
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

    def sample(self, num_samples: int, seed: int = 0) -> dict[str, list[Any]]:
        """Draws rows: those of `TableModel.sample` with the same seed.

        Returns:
            For each column, by name, a list of cells: `None` for missing ones, moments in UTC.

        Raises:
            ValueError: if an argument is out of range.
        """
        return self._lists(self.schema.decode(self.sampler.sample(num_samples, seed)))

    def impute(self, table: Mapping[str, Sequence[Any]], seed: int = 0) -> dict[str, list[Any]]:
        """Fills in missing cells by draws, all of a row together, given the rest of the row.

        Args:
            table: for each column, by name, a list of cells, `None` for those to fill in; columns
                that are not there are filled in, too.
            seed: a 32-bit integer.

        Returns:
            As of `sample`: the cells of `TableModel.impute` with the same seed.

        Raises:
            ValueError: if the file holds no network of questions
                (`TableModel.to_tflite(questions=True)`), a column is none of the table's, or cells
                are of another sort.
        """
        unknown = [name for name in table if name not in self.schema.names]
        if unknown or not table:
            raise ValueError(
                f"`table` must have columns of the table: {self.schema.names}. "
                f"Received: {unknown or 'none'}"
            )
        return self._lists(self.filled(self._cells(table), seed))

    def filled(self, cells: Mapping[str, Cells], seed: int) -> dict[str, Cells]:
        """Returns all cells of rows of which some are known, as `impute` does."""
        if "impute" not in self.sampler.signatures:
            raise ValueError(
                "This file has no signature 'impute': export the table's model with questions=True "
                "('made-tf export --questions'). "
                f"It has: {', '.join(self.sampler.signatures)}"
            )
        known = self.schema.complete(cells)
        x = self.schema.encode(known, absent_is_unknown=True).x

        def draw(values, is_known, own_seed, rows):
            return self.sampler.impute(np.where(is_known, values, np.nan), own_seed, rows=rows)

        return fill(draw, self.schema, known, x, seed)

    def _lists(self, cells: Mapping[str, Cells]) -> dict[str, list[Any]]:
        return {
            name: list_of_cells(own, self.schema.column(name).source) for name, own in cells.items()
        }

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
        lacking = [name for name in self.schema.names if name not in table]
        if lacking:
            raise ValueError(f"`table` must have all columns. It lacks: {lacking}")
        cells = self._cells(table)
        x, new, broken = self.schema.encode(cells)
        known = ~(new | broken).any(axis=1)
        found = np.full(len(x), -np.inf, np.float32)
        if known.any():
            found[known] = self.sampler.log_prob(x[known])
        return found

    def _cells(self, table: Mapping[str, Sequence[Any]]) -> dict[str, Cells]:
        """Returns lists as cells, those of the table's columns that are there.

        Raises:
            ValueError: if cells are of another sort, or lists of several lengths.
        """
        cells = {}
        for column in self.schema.columns:
            if column.name not in table:
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
