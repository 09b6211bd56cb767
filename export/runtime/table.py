"""`LiteTable`: a table's model on a device, in the words of the table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .portable.arrays import FloatArray
from .portable.schema import Schema
from .portable.schema.distinct import draw_rows
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
        cells = self.schema.decode(draw_rows(self.sampler, self.schema, num_samples, seed))
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
        cells = {}
        for column in self.schema.columns:
            try:
                cells[column.name] = cells_of_list(_listed(table[column.name]), column.source)
            except ValueError as error:
                raise ValueError(f"`table`: column {column.name!r} {error}") from error
        lengths = {name: len(own.known) for name, own in cells.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"`table` must have lists of one length. Received: {lengths}")
        x, new, broken = self.schema.encode(cells)
        known = ~(new | broken).any(axis=1)
        found = np.full(len(x), -np.inf, np.float32)
        if known.any():
            found[known] = self.sampler.log_prob(x[known])
        return found


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
