"""`RowStream`: batches of a table in Parquet files, shuffled in bounded memory."""

from __future__ import annotations

import copy
import json
import numbers
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt

from made_tf.data.row_files import RowFiles
from made_tf.data.row_windows import RowWindows
from made_tf.portable.arguments import integer, shown
from made_tf.portable.arrays import FloatArray
from made_tf.portable.files import PathLike

if TYPE_CHECKING:
    from made_tf.data.table_schema import TableSchema

__all__ = ["RowStream", "bytes_of"]

_READING = 256_000_000  # bytes for 16,384 rows as cells, and what Arrow reads ahead
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class RowStream(keras.utils.PyDataset):
    """Batches of rows that lie in Parquet files and never are in memory together.

    In each pass the row groups of all files are put into a random order. As many of them as there
    is memory for are read, as the numbers that the model sees, and their rows shuffled among each
    other; then come the next ones. Where all rows find room they are read once. The order follows
    from the seed, the number of the pass, the files and the memory alone, and any batch can be had
    without those before it: so a run that was cut off goes on with the row that was next.

    Pass it to `fit` as it is, on any backend: `model.fit(stream, epochs=3)`.

    Args:
        paths: a folder, a pattern such as `rows/*.parquet`, a file, or several of these; or
            `RowFiles`.
        schema: the `TableSchema` that makes numbers of columns; `None` takes columns of numbers as
            they are.
        batch_size: rows in a batch (the last one of a pass may be smaller).
        seed: of the order.
        memory: how many bytes the stream may take, a number or a text such as `"2GB"`. A quarter
            of a GB is for reading, 16,384 rows at a time; in the rest lie rows, of which each takes
            4 bytes for each variable and 4 more. (Model and training come on top.)
        held_out: the numbers of rows that are left out.
        steps: how many batches make an epoch; `None` for one pass through the rows. Epochs then
            follow each other in an endless row of passes.

    Raises:
        FileNotFoundError: if there are no Parquet files.
        ValueError: if files differ in their columns, or memory is too small for a row group.

    Example:
        >>> import pathlib, tempfile, pandas
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     frame = pandas.DataFrame({"a": [0, 1, 2, 3], "b": [1, 0, 1, 0]})
        ...     frame.to_parquet(pathlib.Path(folder, "part.parquet"))
        ...     stream = RowStream(folder, batch_size=3)
        ...     stream.shape, [len(batch) for batch in (stream[0], stream[1])]
        ((4, 2), [3, 1])
    """

    #: Keras must not put the batches into another order.
    is_shuffled = True

    def __init__(
        self,
        paths: PathLike | Iterable[PathLike] | RowFiles,
        schema: TableSchema | None = None,
        batch_size: int = 128,
        seed: int = 0,
        memory: int | str = "2GB",
        held_out: npt.NDArray | None = None,
        steps: int | None = None,
    ):
        super().__init__()
        self.files = paths if isinstance(paths, RowFiles) else RowFiles(paths)
        self.schema = schema
        self.held_out = _checked_rows(held_out, self.files.num_rows)
        self._family: Any = None
        self.memory = bytes_of(memory)
        held = np.searchsorted(
            self.held_out, [self.files.starts, self.files.starts + self.files.sizes]
        )
        self._sizes = self.files.sizes - (held[1] - held[0])
        width = len(self.files.names if schema is None else schema.variables)
        self.shape = int(self._sizes.sum()), width
        self.room = self._checked_room()
        self._held: tuple[Any, FloatArray] = (None, np.empty((0, 0), np.float32))
        self._set_batches(batch_size, seed, steps)

    def _set_batches(self, batch_size: int, seed: int, steps: int | None) -> None:
        self.batch_size = integer("batch_size", batch_size)
        self.seed = integer("seed", seed, 0)
        self.in_pass = -(-self.shape[0] // batch_size)
        self.steps = self.in_pass if steps is None else integer("steps", steps, hint=" or None")
        self._windows = RowWindows(self._sizes, self.room, self.seed)
        self.set_epoch(0)

    def _checked_room(self) -> int:
        """Returns how many rows there is memory for."""
        bytes_of_row = 4 * self.shape[1] + 4
        room = (self.memory - _READING) // bytes_of_row
        largest = int(self._sizes.max())
        if room < largest:
            needed = _READING + largest * bytes_of_row
            raise ValueError(
                f"`memory` must be {needed / 1e6:,.0f}MB at least: the largest row group has "
                f"{largest:,} rows of {self.shape[1]} numbers. Received: {self.memory / 1e6:,.0f}MB"
            )
        return room

    def batches(self, batch_size: int, seed: int, steps: int | None = None) -> RowStream:
        """Returns the same rows in other batches, in another order; arguments as of the class."""
        other = copy.copy(self)
        other._set_batches(batch_size, seed, steps)
        return other

    def check_by(self, family: Any) -> None:
        """Lets rows be checked as they are read: each must be one that a family can have."""
        if self._family is not family:
            self._family = family
            self._held = (None, np.empty((0, 0), np.float32))

    def set_epoch(self, epoch: int) -> None:
        """Goes to an epoch, counted from 0, as `fit` does when one begins."""
        self._first = epoch * self.steps

    @property
    def num_batches(self) -> int:
        """How many batches make an epoch."""
        return self.steps

    @property
    def rows_in_memory(self) -> int:
        """How many rows are in memory now."""
        return len(self._held[1])

    def __getitem__(self, index: int) -> FloatArray:
        """Returns a batch of the epoch, float32 `[rows, D]`.

        Raises:
            ValueError: if a file cannot be read, was written to meanwhile, or has cells that the
                schema does not know.
        """
        number, batch = divmod(self._first + index, self.in_pass)
        first = batch * self.batch_size
        last = min(first + self.batch_size, self.shape[0])
        parts = []
        while first < last:
            groups, begin, order = self._windows.at(number, first)
            rows = self._rows(groups)[order[first - begin : last - begin]]
            parts.append(rows)
            first += len(rows)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _rows(self, groups: tuple[int, ...]) -> FloatArray:
        """Returns the rows of groups, read if others are in memory."""
        if self._held[0] != groups:
            self._held = (None, np.empty((0, 0), np.float32))  # makes room for them
            x = np.empty((int(self._sizes[list(groups)].sum()), self.shape[1]), np.float32)
            at = 0
            for group in groups:
                for first, table in self.files.tables(group):
                    own = self.encoded(first, table)
                    x[at : at + len(own)] = own
                    at += len(own)
            self._held = (groups, x)
        return self._held[1]

    def encoded(self, first: int, table: Any) -> FloatArray:
        """Returns rows as numbers, those that are held out left out.

        Args:
            first: the number of the first row.
            table: rows that follow each other.

        Raises:
            ValueError: if a cell is none that the schema knows, or is no number.
        """
        x = numbers_of(table) if self.schema is None else self.schema.encode_frame(table, "rows").x
        wrong = ~np.isfinite(x)
        if wrong.any():
            row, place = (int(each) for each in np.argwhere(wrong)[0])
            names = self.files.names if self.schema is None else self.schema.owners
            cell = table.column(names[place])[row].as_py()
            what = "finite numbers" if self.schema is None else "cells that its schema knows"
            raise ValueError(
                f"column {names[place]!r} must have {what}. Received: {shown(cell)} in "
                f"{self.files.where(first + row)}"
            )
        self._check_support(first, x)
        inner = slice(*np.searchsorted(self.held_out, [first, first + len(x)]))
        return np.delete(x, self.held_out[inner] - first, axis=0)

    def _check_support(self, first: int, x: FloatArray) -> None:
        if self._family is None:
            return
        outside = ~keras.ops.convert_to_numpy(self._family.in_support(x))
        if outside.any():
            row, place = (int(each) for each in np.argwhere(outside)[0])
            names = self.files.names if self.schema is None else self.schema.owners
            received = f"{x[row, place]} in {self.files.where(first + row)}"
            raise ValueError(self._family.refusal(f"column {names[place]!r}", place, received))

    def identity(self) -> str:
        """Returns a text that tells these rows and their possible orders from others."""
        schema = None if self.schema is None else self.schema.to_dict()
        content = [self.files.identity(), schema, self.held_out.tolist(), self.room]
        return json.dumps(content)


def _checked_rows(rows: Any, num_rows: int) -> npt.NDArray[np.int64]:
    """Returns numbers of different rows in order."""
    given = np.asarray([] if rows is None else rows)
    found = np.unique(given)
    is_whole = not len(found) or np.issubdtype(given.dtype, np.integer)
    if not is_whole or len(found) < given.size or np.any((found < 0) | (found >= num_rows)):
        raise ValueError(
            f"`held_out` must be numbers of different rows, from 0 to {num_rows - 1}. "
            f"Received: {shown(rows)}"
        )
    return found.astype(np.int64)


def numbers_of(table: Any) -> FloatArray:
    """Returns columns of numbers and truth values, float32 `[N, D]`; NaN where one is missing.

    Raises:
        ValueError: if a column has anything else, naming it.
    """
    import pyarrow as pa

    found = np.empty((len(table), table.num_columns), np.float32)
    for place, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        kinds = pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal
        if not any(is_kind(column.type) for is_kind in kinds):
            raise ValueError(f"column {name!r} must hold numbers. Received: {column.type}")
        with np.errstate(over="ignore"):  # to infinity, which is refused
            found[:, place] = column.cast(pa.float64(), safe=False).to_numpy()
    return found


def bytes_of(memory: int | str) -> int:
    """Returns how many bytes a number or a text such as `"2GB"` or `"500MB"` says.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(memory, str):
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)(i?)B?", memory.strip(), re.IGNORECASE)
        if found:
            unit = _UNITS[found[2].upper()]
            return int(float(found[1]) * (1024 ** (len(str(unit)) // 3) if found[3] else unit))
    elif isinstance(memory, numbers.Integral) and not isinstance(memory, bool) and memory > 0:
        return int(memory)
    raise ValueError(f"`memory` must be a size such as '2GB'. Received: memory={memory!r}")
