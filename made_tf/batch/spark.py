"""Rows scored, drawn and filled in on Spark: functions for `DataFrame.mapInPandas`.

    score = made_tf.batch.spark.Score("made.tflite")
    scored = frame.mapInPandas(score, score.schema(frame.schema))

Workers need NumPy, LiteRT, pandas, pyarrow and this package, and the model: under the path that is
given here, or sent along by `SparkContext.addFile`. Moments go through pandas in the session's time
zone: set `spark.sql.session.timeZone` to UTC.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from made_tf.batch.model import SCORE, RowModel, file_digest, open_rows, opened
from made_tf.portable.files import PathLike
from made_tf.portable.seeds import checked_seed

__all__ = ["Impute", "Sample", "Score"]

#: What the number of a row is called.
ROW = "row"

_AT_ONCE = 4096


class _Function:
    """What all have in common: a model's file, which a worker opens once.

    Args:
        model: a `.tflite` file, as of `made_tf.batch.score`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such model.
    """

    def __init__(self, model: PathLike):
        open_rows(model)  # checks
        self._path, self._digest = os.fspath(model), file_digest(model)

    def _open(self) -> RowModel:
        path = os.path.abspath(self._path)
        if not os.path.isfile(path):
            from pyspark import SparkFiles

            path = SparkFiles.get(os.path.basename(path))
        return opened(path, self._digest)


class _Drawing(_Function):
    """What draws by the numbers of rows."""

    def __init__(self, model: PathLike, seed: int = 0, row: str = ROW):
        super().__init__(model)
        self._seed, self._row = checked_seed(seed), row


class Score(_Function):
    """Gives each row its log-probability, in nats, as a column `log_prob`.

    Args:
        model: a `.tflite` file, as of `made_tf.batch.score`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such model.
    """

    def schema(self, rows: Any) -> Any:
        """Returns the schema of what comes out, of that of the rows."""
        from pyspark.sql.types import FloatType, StructField, StructType

        return StructType([*rows.fields, StructField(SCORE, FloatType())])

    def __call__(self, frames: Iterable[Any]) -> Iterator[Any]:
        """Maps frames of pandas to the same with one more column."""
        for frame in frames:
            if len(frame):
                yield frame.assign(**{SCORE: self._open().score(_table(frame))})


class Impute(_Drawing):
    """Fills in what is missing in each row, all of a row together, given the rest of it.

    Rows of Spark have no order: each brings its number, from which it is drawn.

    Args:
        model: a `.tflite` file, as of `made_tf.batch.impute`.
        seed: a 32-bit integer; the row numbered i is drawn from (seed, i).
        row: the column with the rows' numbers. It stays.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such model, or an argument is out of range.
    """

    def schema(self, rows: Any) -> Any:
        """Returns the schema of what comes out, of that of the rows."""
        from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

        own = self._open().drawn_schema(_without(to_arrow_schema(rows), self._row))
        return from_arrow_schema(_numbered(own, self._row))

    def __call__(self, frames: Iterable[Any]) -> Iterator[Any]:
        """Maps frames of pandas to the same with NA and NaN replaced in the model's columns."""
        for frame in frames:
            if not len(frame):
                continue
            if self._row not in frame or frame[self._row].dtype.kind not in "iu":
                raise ValueError(
                    f"rows must have a column {self._row!r} (`row`) with their numbers, integers. "
                    f"Received: {dict(frame.dtypes)}"
                )
            rows = frame[self._row].to_numpy(np.intp)
            others = _table(frame.drop(columns=self._row))
            yield _frame(self._open().impute(others, rows, self._seed), self._row, rows)


class Sample(_Drawing):
    """Draws rows of the numbers in a column `id`: `spark.range(n).mapInPandas(sample, ...)`.

    Args:
        model: a `.tflite` file, as of `made_tf.batch.sample`.
        seed: a 32-bit integer; row i is drawn from (seed, i).
        row: the column for the rows' numbers.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such model, or an argument is out of range.
    """

    def schema(self) -> Any:
        """Returns the schema of what comes out."""
        from pyspark.sql.pandas.types import from_arrow_schema

        return from_arrow_schema(_numbered(self._open().drawn_schema(), self._row))

    def __call__(self, frames: Iterable[Any]) -> Iterator[Any]:
        """Maps frames of pandas with a column `id` to rows."""
        for frame in frames:
            numbers = frame["id"].to_numpy(np.intp)
            for start in range(0, len(numbers), _AT_ONCE):
                rows = numbers[start : start + _AT_ONCE]
                yield _frame(self._open().sample(rows, self._seed), self._row, rows)


def _table(frame: Any) -> Any:
    return pa.Table.from_pandas(frame, preserve_index=False)


def _frame(table: Any, name: str, rows: Any) -> Any:
    """Returns a table as a frame of pandas, the rows' numbers first."""
    frame = table.to_pandas(integer_object_nulls=True, date_as_object=True)
    frame.insert(0, name, rows)
    return frame


def _numbered(schema: Any, name: str) -> Any:
    return pa.schema([pa.field(name, pa.int64()), *schema])


def _without(schema: Any, name: str) -> Any:
    return pa.schema([field for field in schema if field.name != name])
