"""Parquet files, and pieces of them: row groups that are read and answered together."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from made_tf.portable.files import PathLike

__all__ = [
    "ROWS_AT_ONCE",
    "Piece",
    "Source",
    "UnreadableError",
    "columns_of",
    "cut",
    "find_sources",
    "numbered_pieces",
    "read_piece",
]

#: How many rows are read, answered and kept at once.
ROWS_AT_ONCE = 16_384

_BUFFER = 1 << 20  # bytes of a column that are read at once, however large its row group is
_DAMAGED = (OSError, ValueError)  # those of pyarrow are subclasses


class UnreadableError(ValueError):
    """A file cannot be read.

    Attributes:
        name: that of its `Source`.
    """

    def __init__(self, message: str, name: str = ""):
        super().__init__(message)
        self.name = name


@dataclasses.dataclass(frozen=True)
class Source:
    """One Parquet file.

    Attributes:
        path: the file.
        name: its name relative to the folder that all files lie in, with `/`.
        size: its bytes.
        mtime_ns: when it was written.
    """

    path: str
    name: str
    size: int
    mtime_ns: int

    def check(self) -> None:
        """Looks whether it is still the same.

        Raises:
            ValueError: if it is gone, or was written to.
        """
        try:
            state = os.stat(self.path)
        except OSError as error:
            raise ValueError(f"{self.path} cannot be read any more: {error}") from error
        if (state.st_size, state.st_mtime_ns) != (self.size, self.mtime_ns):
            raise ValueError(f"{self.path} was written to since the job began")


@dataclasses.dataclass(frozen=True)
class Piece:
    """Row groups of one file that follow each other.

    Attributes:
        source: the file.
        number: of the piece in the file, from 0.
        groups: the numbers of its row groups.
        start: the number in the file of its first row.
        num_rows: how many rows it has.
    """

    source: Source
    number: int
    groups: tuple[int, ...]
    start: int
    num_rows: int


def find_sources(rows: PathLike | Iterable[PathLike]) -> list[Source]:
    """Returns the Parquet files of a folder, of a pattern such as `rows/*.parquet`, or a file.

    In a folder all that end in `.parquet`, at any depth, but for those whose path has a name that
    begins with `.` or `_`. They are sorted by their names.

    Raises:
        FileNotFoundError: if there are none.
    """
    given = [rows] if isinstance(rows, str | os.PathLike) else list(rows)
    found: dict[Path, tuple[Path, Path]] = {}  # by what it is: a file, and where it was found
    for each in given:
        path = Path(each)
        if path.is_dir():
            inner = [(file, path) for file in path.rglob("*.parquet") if _is_seen(file, path)]
        elif path.exists():
            inner = [(path, path.parent)]
        else:
            base = Path(os.fspath(each).split("*")[0].split("?")[0].split("[")[0] or ".")
            base = base if base.is_dir() else base.parent
            names = glob.glob(os.fspath(each), recursive=True)
            inner = [(Path(name), base) for name in names if os.path.isfile(name)]
        found |= {file.resolve(): (file, base) for file, base in inner if file.is_file()}
    if not found:
        raise FileNotFoundError(f"No Parquet files: {', '.join(map(str, given))}")
    base = Path(os.path.commonpath([base.absolute() for _, base in found.values()]))
    sources = []
    for file, _ in found.values():
        state = file.stat()
        name = file.absolute().relative_to(base).as_posix()
        sources.append(Source(str(file), name, state.st_size, state.st_mtime_ns))
    return sorted(sources, key=lambda source: source.name)


def _is_seen(file: Path, folder: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)


def cut(source: Source, part_rows: int) -> list[Piece]:
    """Returns the pieces of a file: row groups, as many as make up so many rows.

    Raises:
        UnreadableError: if the file cannot be read.
    """
    with _open(source) as file:
        counts = [file.metadata.row_group(n).num_rows for n in range(file.metadata.num_row_groups)]
    pieces: list[Piece] = []
    start, rows = 0, 0
    groups: list[int] = []
    for number, count in enumerate(counts):
        rows += count
        groups.append(number)
        if rows and (rows >= part_rows or number == len(counts) - 1):
            pieces.append(Piece(source, len(pieces), tuple(groups), start, rows))
            start, rows, groups = start + rows, 0, []
    return pieces


def columns_of(source: Source) -> Any:
    """Returns the names and types of a file's columns, a schema of Arrow.

    Raises:
        UnreadableError: if the file cannot be read.
    """
    with _open(source) as file:
        return file.schema_arrow


def numbered_pieces(sources: Iterable[Source], part_rows: int) -> Iterator[tuple[Piece, int]]:
    """Yields the pieces of all files, each with the number of its first row among all rows.

    Raises:
        UnreadableError: if one cannot be read, from which on rows have no numbers.
    """
    first = 0
    for source in sources:
        for piece in cut(source, part_rows):
            yield piece, first
            first += piece.num_rows


def read_piece(piece: Piece) -> Iterator[Any]:
    """Yields the rows of a piece as tables of Arrow, at most 16,384 rows each.

    Raises:
        UnreadableError: if the file cannot be read.
        ValueError: if it is not what it was.
    """
    piece.source.check()
    left = piece.num_rows
    with _open(piece.source) as file:
        batches = file.iter_batches(ROWS_AT_ONCE, row_groups=list(piece.groups), use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except _DAMAGED as error:
                raise _unreadable(piece.source, error) from error
            if batch is None:
                break
            left -= batch.num_rows
            yield pa.Table.from_batches([batch])
    if left:
        raise ValueError(f"{piece.source.path} has {left} rows less than it says")
    piece.source.check()


def _open(source: Source) -> Any:
    try:
        return pq.ParquetFile(
            source.path, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
        )
    except _DAMAGED as error:
        raise _unreadable(source, error) from error


def _unreadable(source: Source, error: Exception) -> UnreadableError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return UnreadableError(
        f"{source.path} is not a readable .parquet file (truncated or foreign?): {reason}",
        source.name,
    )
