"""A `.tflite` file that is asked in tables of Arrow: locally, on Beam and on Spark alike."""

from __future__ import annotations

import abc
import functools
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from made_tf.batch.arrow import arrow_schema, arrow_table, cells_of_table, numbers_of_column
from made_tf.export.runtime import LiteSampler, LiteTable, read_metadata
from made_tf.portable.arrays import FloatArray, Rows

__all__ = ["SCORE", "RowModel", "file_digest", "open_rows", "opened"]

#: What the column of log-probabilities is called.
SCORE = "log_prob"


def file_digest(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@functools.lru_cache(2)
def opened(path: str, digest: str) -> RowModel:
    """Opens a file once a process, if its content is what it was when the job began.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is another one by now, or as `open_rows`.
    """
    found = file_digest(path)
    if found != digest:
        raise ValueError(
            f"the model {path} was replaced: its SHA-256 was {digest[:12]}... and is "
            f"{found[:12]}..."
        )
    return open_rows(path)


def open_rows(path: str | os.PathLike[str]) -> RowModel:
    """Opens a file for one thread.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no `.tflite` file of made_tf, or one of p(x | context).
    """
    metadata = read_metadata(path) or {}
    if metadata.get("context"):
        raise ValueError(
            f"`model` must be a file without a context. Received: {os.fspath(path)!r}, a model of "
            "p(x | context)"
        )
    if "schema" in metadata:
        return _TableRows(LiteTable(path, num_threads=1))
    return _NumberRows(LiteSampler(path, num_threads=1), metadata.get("variables"))


class RowModel(abc.ABC):
    """What a file knows of rows that come as tables of Arrow. Other columns pass by."""

    @property
    @abc.abstractmethod
    def can_impute(self) -> bool:
        """Whether it fills in rows: a file of all orders does."""

    @abc.abstractmethod
    def score(self, table: Any) -> FloatArray:
        """Returns the log-probability of each row, in nats, `[n]`.

        Raises:
            ValueError: if columns are missing, or hold what they cannot.
        """

    @abc.abstractmethod
    def drawn_schema(self, columns: Any = None) -> Any:
        """Returns the `pyarrow.Schema` of rows that are drawn, or filled in.

        Args:
            columns: that of the rows to fill in, whose other columns come last.
        """

    @abc.abstractmethod
    def sample(self, rows: Rows, seed: int) -> Any:
        """Returns the rows of a sample that have these numbers."""

    @abc.abstractmethod
    def impute(self, table: Any, rows: Rows, seed: int) -> Any:
        """Returns rows with what is missing drawn given the rest of each.

        Args:
            table: the rows; null or NaN where a value is missing.
            rows: their numbers: row i is drawn from (seed, i).
            seed: a 32-bit integer.

        Raises:
            ValueError: if the file cannot, columns are missing, or hold what they cannot.
        """


class _TableRows(RowModel):
    """The file of a table's model: names, categories, dates."""

    def __init__(self, table: LiteTable):
        self._table = table

    @property
    def can_impute(self):
        return self._table.can_impute

    def score(self, table):
        return self._table.log_prob_of_cells(cells_of_table(table, self._table.schema))

    def drawn_schema(self, columns=None):
        return _with_others(arrow_schema(self._table.schema), columns)

    def sample(self, rows, seed):
        return arrow_table(self._table.sample_cells(rows, seed), self._table.schema)

    def impute(self, table, rows, seed):
        cells = cells_of_table(table, self._table.schema, absent=True)
        filled = self._table.impute_cells(cells, rows, seed)
        return _beside(arrow_table(filled, self._table.schema), table)


class _NumberRows(RowModel):
    """A file of numbers: columns by the names in it; else x0, x1, ..., or in their order."""

    def __init__(self, sampler: LiteSampler, variables: Any):
        self._sampler = sampler
        self._names = None if variables is None else [each["name"] for each in variables]

    @property
    def can_impute(self):
        return "impute" in self._sampler.signatures

    def score(self, table):
        names = self._names_in(table.column_names)
        x = self._matrix(table, names)
        wrong = np.argwhere(~np.isfinite(x))
        if len(wrong):
            row, column = (int(number) for number in wrong[0])
            raise ValueError(
                f"column {names[column]!r} must hold finite numbers. Received: {x[row, column]} in "
                f"row {row} of {len(x)}"
            )
        return self._sampler.log_prob(x)

    def drawn_schema(self, columns=None):
        if columns is None:
            names = self._names or [f"x{number}" for number in range(self._sampler.event_size)]
        else:
            names = self._names_in(columns.names)
        return _with_others(pa.schema([pa.field(name, pa.float32()) for name in names]), columns)

    def sample(self, rows, seed):
        x = self._sampler.sample_rows(rows, seed)
        return pa.Table.from_arrays(list(map(pa.array, x.T)), schema=self.drawn_schema())

    def impute(self, table, rows, seed):
        names = self._names_in(table.column_names)
        x = self._sampler.impute(self._matrix(table, names), seed, first_row=rows)
        filled = pa.Table.from_arrays([pa.array(column) for column in x.T], names)
        return _beside(filled, table)

    def _matrix(self, table: Any, names: Sequence[str]) -> FloatArray:
        columns = []
        for name in names:
            try:
                columns.append(numbers_of_column(table.column(name)))
            except ValueError as error:
                raise ValueError(f"column {name!r} {error}") from error
        return np.stack(columns, axis=1)

    def _names_in(self, there: Sequence[str]) -> list[str]:
        """Returns the names of the columns that are the model's.

        Raises:
            ValueError: if they are not there, or not once.
        """
        size = self._sampler.event_size
        names = self._names or [f"x{number}" for number in range(size)]
        if self._names is None and not set(names) <= set(there):
            if len(there) != size or len(set(there)) < size:
                raise ValueError(
                    f"the rows must have the {size} columns of the model: its file tells no names, "
                    f"so they are x0 to x{size - 1}, or all that there are. Received: {list(there)}"
                )
            return list(there)
        wrong = [name for name in names if list(there).count(name) != 1]
        if wrong:
            raise ValueError(
                f"the rows must have the columns of the model, each once. Wrong: {wrong}; they "
                f"have: {list(there)}"
            )
        return names


def _with_others(own: Any, columns: Any) -> Any:
    """Returns a schema of Arrow with the columns of another one that it lacks."""
    others = [] if columns is None else [each for each in columns if each.name not in own.names]
    return pa.schema([*own, *others])


def _beside(own: Any, table: Any) -> Any:
    """Returns a table with the columns of another one that it lacks."""
    for name in table.column_names:
        if name not in own.column_names:
            own = own.append_column(table.schema.field(name), table.column(name))
    return own
