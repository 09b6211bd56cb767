"""One part of what a job writes: made by one worker, whole or not there, and known again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from made_tf.batch.model import SCORE, RowModel, opened
from made_tf.parquet import ROWS_AT_ONCE, Piece, read_piece
from made_tf.portable.files import replacing
from made_tf.portable.version import __version__

__all__ = ["Part", "Work", "is_done", "record_in", "write_part"]

_ENTRY = b"made_tf.batch"
_FORMAT = 1
_ROW_GROUP = 1 << 17


@dataclasses.dataclass(frozen=True)
class Work:
    """What a job does with all of its parts.

    Attributes:
        action: `"score"`, `"sample"` or `"impute"`.
        model: the path of the file that workers open.
        digest: its SHA-256.
        output: the folder that parts lie in.
        seed: of what is drawn, a 32-bit integer.
        keep: whether scores stand beside the columns of their rows.
    """

    action: str
    model: str
    digest: str
    output: str
    seed: int = 0
    keep: bool = False


@dataclasses.dataclass(frozen=True)
class Part:
    """One file of what a job writes.

    Attributes:
        name: its path in the folder.
        first_row: the number of its first row among all rows of the job.
        num_rows: how many rows it has.
        piece: the rows that it is made of; `None` for a sample.
    """

    name: str
    first_row: int
    num_rows: int
    piece: Piece | None = None

    def path(self, work: Work) -> Path:
        """Returns where it lies."""
        return Path(work.output, self.name)


def is_done(work: Work, part: Part) -> bool:
    """Returns whether a part is there, of the same model, the same rows and the same settings."""
    return record_in(part.path(work)) == _record(work, part)


def write_part(work: Work, part: Part) -> int:
    """Makes one part and returns how many rows it has.

    Raises:
        ValueError: if the rows cannot be read, are not what they were, or not the model's.
        OSError: if the part cannot be written.
    """
    model = opened(work.model, work.digest)
    record = {_ENTRY: json.dumps(_record(work, part)).encode()}
    tables = _tables(model, work, part)
    first = next(tables)  # before anything is written
    path = part.path(work)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(
            temporary,
            first.schema.with_metadata(record),
            compression="zstd",
            write_page_checksum=True,
        ) as writer,
    ):
        written = 0
        for table in _grouped(first, tables):
            writer.write_table(table.replace_schema_metadata(record))
            written += len(table)
    return written


def _record(work: Work, part: Part) -> dict[str, Any]:
    """Returns all that the content of a part follows from."""
    record: dict[str, Any] = {
        "format": _FORMAT,
        "version": __version__,
        "action": work.action,
        "model": work.digest,
        "num_rows": part.num_rows,
    }
    if work.action == "score":
        record["keep"] = work.keep
    else:
        record |= {"seed": work.seed, "first_row": part.first_row}
    if part.piece is not None:
        source = part.piece.source
        record |= {
            "file": source.name,
            "size": source.size,
            "mtime_ns": source.mtime_ns,
            "groups": list(part.piece.groups),
            "start": part.piece.start,
        }
    return record


def record_in(path: Path) -> dict[str, Any] | None:
    """Returns what a part says that it is made of; `None` for a file that is no part."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
        return json.loads(metadata[_ENTRY])
    except (OSError, ValueError, KeyError):
        return None


def _tables(model: RowModel, work: Work, part: Part) -> Iterator[Any]:
    """Yields the rows of a part, some at a time."""
    if part.piece is None:
        for start in range(0, part.num_rows, ROWS_AT_ONCE):
            count = min(ROWS_AT_ONCE, part.num_rows - start)
            yield model.sample(part.first_row + start + np.arange(count), work.seed)
        return
    done = 0
    for table in read_piece(part.piece):
        rows = done + np.arange(len(table))
        try:
            if work.action == "impute":
                found = model.impute(table, part.first_row + rows, work.seed)
            else:
                found = _scored(table, model.score(table), part.piece.start + rows, work.keep)
        except ValueError as error:
            raise ValueError(
                f"rows {part.piece.start + done} to {part.piece.start + done + len(table) - 1} of "
                f"{part.piece.source.path}: {error}"
            ) from error
        yield found
        done += len(table)


def _scored(table: Any, log_prob: Any, rows: Any, keep: bool) -> Any:
    """Returns the scores of rows: beside their numbers in their file, or their columns.

    Raises:
        ValueError: if they have a column of the scores' name.
    """
    if not keep:
        return pa.table({"row": pa.array(rows, pa.int64()), SCORE: log_prob})
    if SCORE in table.column_names:
        raise ValueError(f"they have a column {SCORE!r} already")
    return table.append_column(SCORE, pa.array(log_prob)).replace_schema_metadata(None)


def _grouped(first: Any, rest: Iterable[Any]) -> Iterator[Any]:
    """Yields tables joined to row groups of a good size."""
    held, count = [first], len(first)
    for table in rest:
        if count >= _ROW_GROUP:
            yield pa.concat_tables(held)
            held, count = [], 0
        held.append(table)
        count += len(table)
    yield pa.concat_tables(held)
