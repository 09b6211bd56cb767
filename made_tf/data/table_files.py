"""Tables in files, as people have them: separators, decimal commas, encodings, compression."""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from made_tf.data.checks import unreadable
from made_tf.data.npz import default_columns
from made_tf.data.optional import optional_module
from made_tf.data.readers import is_line_of_names
from made_tf.portable.files import PathLike, replacing

__all__ = ["STANDARD", "is_table_file", "read_table", "write_table"]

#: The name that stands for stdin and stdout.
STANDARD = "-"

_SEPARATORS = ",;\t|"
_SAMPLE = 1 << 16  # bytes that a separator is told by
_LINES = 50
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?")
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_TEXTS = (".csv", ".tsv", ".txt")
_DAMAGED = (EOFError, MemoryError, NotImplementedError, OSError, ValueError, csv.Error)


def is_table_file(path: PathLike) -> bool:
    """Returns whether a file's name is that of a table with names, or stands for stdin."""
    return str(path) == STANDARD or _ending(path) in (*_TEXTS, ".parquet")


def read_table(
    path: PathLike,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
) -> Any:
    """Reads a table as a frame of pandas.

    `.csv`, `.tsv`, `.txt` (each also with `.gz` or `.zst`) or `.parquet`; `-` is a `.csv` on stdin.
    Of texts the separator, a decimal comma, the encoding (UTF-8 or Windows-1252), a byte-order
    mark and whether the first line has names are recognised; columns of ISO dates become moments; a
    first column without a name that counts the rows is an index, and left out.

    Args:
        path: the file.
        separator: what stands between fields; `None` recognises it.
        decimal: what stands before decimals; `None` recognises it.
        encoding: as Python names it; `None` recognises it.

    Raises:
        FileNotFoundError: if there is no such file.
        ModuleNotFoundError: if the reader of this format is not installed.
        ValueError: if the file cannot be read, or has no rows.
    """
    pandas = optional_module("pandas", "pandas", "tables")
    if str(path) != STANDARD and not Path(path).is_file():
        raise FileNotFoundError(f"No such file: {path}")
    if not is_table_file(path):
        raise ValueError(
            f"`path` must end in .csv, .tsv, .txt (perhaps with .gz or .zst) or .parquet. "
            f"Received: path={str(path)!r}"
        )
    try:
        if _ending(path) == ".parquet":
            optional_module("pyarrow", "pyarrow", "tables")
            frame = pandas.read_parquet(path)
            if any(name is not None for name in frame.index.names):
                frame = frame.reset_index()
        else:
            frame = _read_text(pandas, _content(path), path, separator, decimal, encoding)
    except _DAMAGED as error:
        raise unreadable(Path(path), error) from error
    if not len(frame) or not frame.shape[1]:
        raise ValueError(f"{path} must have rows and columns. Received: shape {frame.shape}")
    return frame


def write_table(path: PathLike, frame: Any) -> None:
    """Writes a frame of pandas to `.csv`, `.tsv`, `.parquet`, or as a `.csv` to stdout (`-`).

    Raises:
        OSError: if the file cannot be written.
        ValueError: if the format is unknown.
    """
    if str(path) == STANDARD:
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    ending = Path(path).suffix
    if ending not in (".csv", ".tsv", ".parquet"):
        raise ValueError(f"`path` must end in .csv, .tsv or .parquet. Received: path={str(path)!r}")
    with replacing(path) as temporary:
        if ending == ".parquet":
            frame.to_parquet(temporary, index=False)
        else:
            separator = "\t" if ending == ".tsv" else ","
            frame.to_csv(temporary, index=False, sep=separator, lineterminator="\n")


def _ending(path: PathLike) -> str:
    if str(path) == STANDARD:
        return ".csv"
    path = Path(path)
    return path.with_suffix("").suffix if path.suffix in (".gz", ".zst") else path.suffix


def _content(path: PathLike) -> bytes:
    if str(path) == STANDARD:
        return sys.stdin.buffer.read()
    content = Path(path).read_bytes()
    if Path(path).suffix == ".gz":
        return gzip.decompress(content)
    if Path(path).suffix == ".zst":
        zstandard = optional_module("zstandard", "zstandard", "tables")
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)) as reader:
            return reader.read()
    return content


def _read_text(
    pandas: Any,
    content: bytes,
    path: PathLike,
    separator: str | None,
    decimal: str | None,
    encoding: str | None,
) -> Any:
    text = _decoded(content, encoding, path)
    separator = separator or _separator(text)
    lines = list(_lines(text, separator))
    if not lines:
        raise ValueError("it is empty")
    decimal = decimal or _decimal(lines, separator)
    has_names = is_line_of_names(lines[0])
    if has_names and len(lines) > 1 and len(lines[1]) != len(lines[0]):
        raise ValueError(
            f"the first line has {len(lines[0])} field(s) and the next {len(lines[1])}, with the "
            f"separator {separator!r}"
        )
    frame = pandas.read_csv(
        io.StringIO(text),
        sep=separator,
        decimal=decimal,
        header=0 if has_names else None,
        index_col=False,
        skipinitialspace=True,
    )
    if not has_names:
        frame.columns = default_columns(frame.shape[1])
    elif _has_index(frame):
        frame = frame.iloc[:, 1:]
    frame.columns = [str(name) for name in frame.columns]
    for name in frame.columns:
        frame[name] = _as_moments(pandas, frame[name])
    return frame


def _decoded(content: bytes, encoding: str | None, path: PathLike) -> str:
    if encoding is not None:
        return content.decode(encoding).removeprefix("\ufeff")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        warnings.warn(f"{path} is no UTF-8: read as Windows-1252", stacklevel=5)
        return content.decode("cp1252")


def _lines(text: str, separator: str):
    sample = io.StringIO(text[:_SAMPLE], newline="")
    for number, line in enumerate(csv.reader(sample, delimiter=separator, skipinitialspace=True)):
        if number >= _LINES:
            return
        if any(line) or len(line) > 1:
            yield line


def _separator(text: str) -> str:
    """Returns what cuts the first lines into most fields, as many in (nearly) all of them."""

    def merit(separator: str) -> tuple[float, int]:
        widths = [len(line) for line in _lines(text, separator)]
        if len(text) > _SAMPLE and len(widths) < _LINES:
            widths = widths[:-1]  # cut off
        common = max(set(widths), key=widths.count, default=1)
        return (widths.count(common) / max(1, len(widths)) if common > 1 else 0.0), common

    return max(_SEPARATORS, key=merit)


def _decimal(lines: list[list[str]], separator: str) -> str:
    if separator == ",":
        return "."
    fields = [field.strip() for line in lines[1:] for field in line]
    commas = sum(bool(_DECIMAL_COMMA.fullmatch(field)) for field in fields)
    points = sum(bool(re.fullmatch(r"-?\d+\.\d+", field)) for field in fields)
    return "," if commas > points else "."


def _has_index(frame: Any) -> bool:
    name = str(frame.columns[0])
    counted = np.arange(len(frame))
    return name.startswith("Unnamed: 0") and np.array_equal(frame.iloc[:, 0].to_numpy(), counted)


def _as_moments(pandas: Any, column: Any) -> Any:
    """Returns a column of ISO dates as moments; another one as it is."""
    if not pandas.api.types.is_string_dtype(column.dtype):
        return column
    given = column.dropna()
    if not len(given) or not given.map(lambda text: bool(_DATE.fullmatch(str(text)))).all():
        return column
    try:
        return pandas.to_datetime(column, format="ISO8601")
    except ValueError:  # a 31st of February: a text
        return column
