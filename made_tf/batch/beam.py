"""Rows scored, drawn and filled in on Apache Beam: one dict a row, in and out.

    with beam.Pipeline() as pipeline:
        (
            pipeline
            | beam.io.ReadFromParquet("rows/*.parquet")
            | made_tf.batch.beam.Score("made.tflite")
            | beam.io.WriteToParquet("scores/part", schema)
        )

Workers need NumPy, LiteRT, pyarrow and this package, and a path to the model that they can read:
of the same machine, or of a file system that Beam knows (`gs://`, `s3://`, ...).
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from made_tf.batch.model import SCORE, RowModel, open_rows
from made_tf.parquet import Piece, find_sources, numbered_pieces, read_piece
from made_tf.portable.arguments import integer
from made_tf.portable.files import PathLike
from made_tf.portable.seeds import checked_seed

try:
    import apache_beam as beam
    from apache_beam.io.filesystems import FileSystems
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "apache-beam is not installed: pip install 'made-tf[beam]'"
    ) from error

__all__ = ["Impute", "ReadNumbered", "Sample", "Score"]

#: What the number of a row is called.
ROW = "row"

_INTEGERS = int, np.integer
_AT_ONCE = 4096
_PIECE = 1 << 16

Record = dict[str, Any]


class Score(beam.PTransform):
    """Gives each row its log-probability, in nats, under `log_prob`.

    Args:
        model: a `.tflite` file, as of `made_tf.batch.score`.

    Raises:
        OSError: if the file cannot be read.
    """

    def __init__(self, model: PathLike):
        super().__init__()
        self._file = _File(model)

    def expand(self, rows):
        """Maps dicts with the model's columns, and others, to the same with one more entry."""
        return rows | _batches() | "Score rows" >> beam.ParDo(_Scored(self._file))


class Impute(beam.PTransform):
    """Fills in what is missing in each row, all of a row together, given the rest of it.

    Rows of a pipeline have no order: each brings its number, from which it is drawn.

    Args:
        model: a `.tflite` file, as of `made_tf.batch.impute`.
        seed: a 32-bit integer; the row numbered i is drawn from (seed, i).
        row: the name of the entry with the row's number. It stays.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if an argument is out of range.
    """

    def __init__(self, model: PathLike, seed: int = 0, row: str = ROW):
        super().__init__()
        self._settings = _File(model), checked_seed(seed), row

    def expand(self, rows):
        """Maps dicts to the same, with `None` and NaN replaced in the model's columns."""
        return rows | _batches() | "Fill in rows" >> beam.ParDo(_Filled(*self._settings))


class Sample(beam.PTransform):
    """Draws rows, at the beginning of a pipeline: row i from the key (seed, i).

    Args:
        model: a `.tflite` file, as of `made_tf.batch.sample`.
        num_samples: how many rows, at most 2**31.
        seed: a 32-bit integer.
        row: the name of an entry for the row's number; `None` for none.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if an argument is out of range.
    """

    def __init__(self, model: PathLike, num_samples: int, seed: int = 0, row: str | None = None):
        super().__init__()
        self._count = integer("num_samples", num_samples, 1, 2**31)
        self._settings = _File(model), checked_seed(seed), row

    def expand(self, begin):
        """Begins a pipeline with dicts, one for each row."""
        starts = [
            (start, min(start + _PIECE, self._count)) for start in range(0, self._count, _PIECE)
        ]
        return (
            begin
            | "Numbers of rows" >> beam.Create(starts)
            | beam.Reshuffle()
            | "Draw rows" >> beam.ParDo(_Drawn(*self._settings))
        )


class ReadNumbered(beam.PTransform):
    """Reads Parquet files as dicts with the number of each row, as `made_tf.batch.impute` counts.

    Args:
        rows: a folder, a pattern or a file, which all workers can read.
        row: the name of the entry for a row's number among all rows.

    Raises:
        FileNotFoundError: if there are no files.
        ValueError: if one cannot be read.
    """

    def __init__(self, rows: PathLike, row: str = ROW):
        super().__init__()
        self._pieces = list(numbered_pieces(find_sources(rows), _PIECE))
        self._row = row

    def expand(self, begin):
        """Begins a pipeline with dicts, one for each row."""
        return (
            begin
            | "Pieces" >> beam.Create(self._pieces)
            | beam.Reshuffle()
            | "Read rows" >> beam.FlatMap(_records_of, self._row)
        )


class _File:
    """The path of a model's file and its digest, and on a worker the model."""

    def __init__(self, path: PathLike):
        self._path = str(path)
        self._digest = hashlib.sha256(_content(self._path)).hexdigest()

    def open(self) -> RowModel:
        """Opens it once a process.

        Raises:
            ValueError: if it is another one by now, or none.
        """
        return _opened(self._path, self._digest)


def _content(path: str) -> bytes:
    with FileSystems.open(path, compression_type="uncompressed") as file:
        return file.read()


@functools.cache
def _opened(path: str, digest: str) -> RowModel:
    content = _content(path)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ValueError(
            f"the model {path} was replaced: its SHA-256 was {digest[:12]}... when the pipeline "
            f"was made, and is {found[:12]}..."
        )
    with tempfile.TemporaryDirectory() as folder:  # LiteRT keeps what it has opened
        copy = Path(folder, "model.tflite")
        copy.write_bytes(content)
        return open_rows(copy)


def _batches() -> Any:
    return "Rows at once" >> beam.BatchElements(min_batch_size=64, max_batch_size=_AT_ONCE)


class _Answer(beam.DoFn):
    """Opens the model when a worker begins."""

    def __init__(self, file: _File):
        self._file = file

    def setup(self):
        """Opens the model."""
        self._model = self._file.open()


class _Scored(_Answer):
    def process(self, records: list[Record]) -> Iterator[Record]:
        """Scores some rows."""
        scores = self._model.score(_table(records, self._model)).tolist()
        for record, own in zip(records, scores, strict=True):
            yield {**record, SCORE: own}


class _Filled(_Answer):
    def __init__(self, file: _File, seed: int, row: str):
        super().__init__(file)
        self._seed, self._row = seed, row

    def process(self, records: list[Record]) -> Iterator[Record]:
        """Fills in some rows."""
        lacking = [each for each in records if not isinstance(each.get(self._row), _INTEGERS)]
        if lacking:
            raise ValueError(
                f"each row must have its number, an integer, under {self._row!r} (`row`). "
                f"Received: {lacking[0]!r}"
            )
        numbers = np.array([record[self._row] for record in records], np.intp)
        others = [{k: v for k, v in record.items() if k != self._row} for record in records]
        table = _table(others, self._model)
        filled = self._model.impute(table, numbers, self._seed).to_pylist()
        for own, number in zip(filled, numbers.tolist(), strict=True):
            yield {self._row: number, **own}


class _Drawn(_Answer):
    def __init__(self, file: _File, seed: int, row: str | None):
        super().__init__(file)
        self._seed, self._row = seed, row

    def process(self, ends: tuple[int, int]) -> Iterator[Record]:
        """Draws some rows."""
        start, end = ends
        for first in range(start, end, _AT_ONCE):
            rows = np.arange(first, min(first + _AT_ONCE, end))
            drawn = self._model.sample(rows, self._seed).to_pylist()
            for own, number in zip(drawn, rows.tolist(), strict=True):
                yield own if self._row is None else {self._row: number, **own}


def _records_of(numbered: tuple[Piece, int], row: str) -> Iterable[Record]:
    piece, first = numbered
    for table in read_piece(piece):
        for record in table.to_pylist():
            yield {row: first, **record}
            first += 1


def _table(records: list[Record], model: RowModel) -> Any:
    """Returns rows as a table of Arrow; an entry that a row lacks is missing there.

    Raises:
        ValueError: if they are no dicts, or have cells of different types in one column.
    """
    if not all(isinstance(record, dict) for record in records):
        raise ValueError(f"rows must be dicts. Received: {records[0]!r}, ...")
    names = dict.fromkeys(name for record in records for name in record)
    own = model.drawn_schema().names
    if any(name in names for name in own):  # else all columns are meant, in their order
        names |= dict.fromkeys(own)
    columns = {}
    for name in names:
        try:
            columns[name] = pa.array([record.get(name) for record in records])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ValueError(
                f"rows must have cells of one type in a column. Column {name!r}: {error}"
            ) from error
    return pa.table(columns)
