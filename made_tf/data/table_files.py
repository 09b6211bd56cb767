"""Tables in files, as people have them: separators, decimal commas, encodings, compression."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import re
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

from made_tf.data.checks import unreadable
from made_tf.data.npz import default_columns
from made_tf.data.optional import optional_module
from made_tf.data.readers import has_index, is_line_of_names, parquet_frame
from made_tf.portable.files import PathLike, replacing

__all__ = ["STANDARD", "is_table_file", "read_table", "write_table"]

#: The name that stands for stdin and stdout.
STANDARD = "-"

_SEPARATORS = ",;\t|"
_SAMPLE = 1 << 16  # bytes that a separator is told by
_LINES = 50
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_TEXTS = (".csv", ".tsv", ".txt")
_DAMAGED = (
    *(EOFError, MemoryError, NotImplementedError, OSError, ValueError),
    *(csv.Error, zlib.error),
)


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
    mark and whether the first line has names are recognised; columns of ISO dates become moments,
    and those of codes with leading zeros stay texts; a first column without a name that counts the
    rows is an index, and left out.

    Args:
        path: the file.
        separator: what stands between fields; `None` recognises it.
        decimal: what stands before decimals; `None` recognises it.
        encoding: as Python names it; `None` recognises it.

    Raises:
        FileNotFoundError: if there is no such file.
        ModuleNotFoundError: if the reader of this format is not installed.
        ValueError: if the file cannot be read, has lines that are cut off, or no rows.
    """
    _check_marks(separator, decimal, encoding)
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
            frame = parquet_frame(path)
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
    ending = Path(path).suffix.lower()
    if ending not in (".csv", ".tsv", ".parquet"):
        raise ValueError(f"`path` must end in .csv, .tsv or .parquet. Received: path={str(path)!r}")
    with replacing(path) as temporary:
        if ending == ".parquet":
            frame.to_parquet(temporary, index=False)
        else:
            separator = "\t" if ending == ".tsv" else ","
            frame.to_csv(temporary, index=False, sep=separator, lineterminator="\n")


def _check_marks(separator: str | None, decimal: str | None, encoding: str | None) -> None:
    """Fails if what a user says of a text cannot be.

    Raises:
        ValueError: if it cannot.
    """
    for name, mark in (("separator", separator), ("decimal", decimal)):
        if mark is not None and (not isinstance(mark, str) or len(mark) != 1 or mark in '\r\n"'):
            raise ValueError(f"`{name}` must be one character. Received: {name}={mark!r}")
    if separator is not None and separator == decimal:
        raise ValueError(f"`decimal` must differ from `separator`. Received: {decimal!r} for both")
    if encoding is not None:
        try:
            codecs.lookup(encoding)
        except (LookupError, TypeError) as error:
            raise ValueError(
                f"`encoding` must be one that Python knows. Received: encoding={encoding!r}"
            ) from error


def _ending(path: PathLike) -> str:
    if str(path) == STANDARD:
        return ".csv"
    path = Path(str(path).lower())
    return path.with_suffix("").suffix if path.suffix in (".gz", ".zst") else path.suffix


def _content(path: PathLike) -> bytes:
    if str(path) == STANDARD:
        return sys.stdin.buffer.read()
    content, ending = Path(path).read_bytes(), Path(path).suffix.lower()
    if ending == ".zst":
        return _unpacked(content)
    return gzip.decompress(content) if ending == ".gz" else content


def _unpacked(content: bytes) -> bytes:
    """Returns what is in frames of Zstandard.

    Raises:
        EOFError: if the last one is cut off.
        ValueError: if it is none.
    """
    zstandard = optional_module("zstandard", "zstandard", "tables")
    found = []
    while content:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            found.append(frame.decompress(content))
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
        if not frame.eof:
            raise EOFError("it ends before its data do")
        content = frame.unused_data
    return b"".join(found)


def _read_text(
    pandas: Any,
    content: bytes,
    path: PathLike,
    separator: str | None,
    decimal: str | None,
    encoding: str | None,
) -> Any:
    text = _decoded(content, encoding, path)
    separator = separator or _separator(text, decimal)
    if separator == decimal:
        raise ValueError(f"{decimal!r} stands between fields: it cannot be the decimal mark")
    lines = list(_lines(text, separator))
    if not lines:
        raise ValueError("it is empty")
    decimal = decimal or _decimal(lines, separator)
    has_names = is_line_of_names(lines[0])
    names = [name.strip() for name in lines[0]] if has_names else []
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise ValueError(f"the first line has names twice: {twice}")
    codes = _columns_of_codes(text, separator)
    frame = pandas.read_csv(
        io.StringIO(text),
        sep=separator,
        decimal=decimal,
        header=0 if has_names else None,
        index_col=False,
        skipinitialspace=True,
        dtype=dict.fromkeys(codes, "str"),
        low_memory=False,  # a column is of one type from end to end
    )
    if not has_names:
        frame.columns = default_columns(frame.shape[1])
    elif has_index(frame):
        frame = frame.iloc[:, 1:]
    frame.columns = [str(name).strip() for name in frame.columns]
    is_nothing = frame.isna().all() & frame.columns.str.startswith("Unnamed: ")
    frame = frame.loc[:, ~is_nothing]  # after a separator at the end of each line
    return frame.assign(**{name: _as_moments(pandas, frame[name]) for name in frame.columns})


def _decoded(content: bytes, encoding: str | None, path: PathLike) -> str:
    if encoding is not None:
        return content.decode(encoding).removeprefix("\ufeff")
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return content.decode("utf-32")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    if b"\0" in content:
        raise ValueError("it has NUL characters: say its `encoding`, perhaps 'utf-16-le'")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError as error:
            raise ValueError("it is neither UTF-8 nor Windows-1252: say its `encoding`") from error
        warnings.warn(f"{path} is no UTF-8: read as Windows-1252", stacklevel=5)
        return text


def _fields(text: str, separator: str):
    """Yields the lines that are not blank, as fields, and their numbers."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=False
    )
    for line in reader:
        if any(line) or len(line) > 1:
            yield reader.line_num, line


def _lines(text: str, separator: str):
    for _, line in itertools.islice(_fields(text[:_SAMPLE], separator), _LINES):
        yield line


def _columns_of_codes(text: str, separator: str) -> list[int]:
    """Returns the columns that have digits after a leading zero: codes, of which none is lost.

    Raises:
        ValueError: if a line has not as many fields as the first.
    """
    first, codes = None, set()
    for number, line in _fields(text, separator):
        first = first or len(line)
        if len(line) != first:
            raise ValueError(
                f"the first line has {first} field(s), and line {number} has {len(line)}, with "
                f"{separator!r} between them (another one can be said by `separator`)"
            )
        for place, field in enumerate(line):
            if field[:1] == "0" and len(field) > 1 and field.isdigit():
                codes.add(place)
    return sorted(codes)


def _separator(text: str, decimal: str | None) -> str:
    """Returns what cuts the first lines into most fields, as many in (nearly) all of them."""

    def merit(separator: str) -> tuple[float, int]:
        widths = [len(line) for line in _lines(text, separator)]
        if len(text) > _SAMPLE and len(widths) < _LINES:
            widths = widths[:-1]  # cut off
        common = max(set(widths), key=widths.count, default=1)
        return (widths.count(common) / max(1, len(widths)) if common > 1 else 0.0), common

    lines = [line.strip() for line in text[:_SAMPLE].splitlines()[1:_LINES] if line.strip()]
    is_decimal = bool(lines) and all(_DECIMAL_COMMA.fullmatch(line) for line in lines)
    if is_decimal and "," not in text[:_SAMPLE].lstrip().splitlines()[0]:
        return ";"  # one column of decimals
    return max((each for each in _SEPARATORS if each != decimal), key=merit)


def _decimal(lines: list[list[str]], separator: str) -> str:
    if separator == ",":
        return "."
    fields = [field.strip() for line in lines[1:] for field in line]
    commas = sum(bool(_DECIMAL_COMMA.fullmatch(field)) for field in fields)
    points = sum(bool(re.fullmatch(r"-?\d+\.\d+", field)) for field in fields)
    return "," if commas > points else "."


def _as_moments(pandas: Any, column: Any) -> Any:
    """Returns a column of ISO dates as moments; another one as it is."""
    if not pandas.api.types.is_string_dtype(column.dtype):
        return column
    found = [_DATE.fullmatch(str(text)) for text in column.dropna()]
    zones = {bool(each and each[1]) for each in found}
    if not all(found) or len(zones) != 1:
        return column
    try:
        return pandas.to_datetime(column, format="ISO8601", utc=zones == {True})
    except ValueError:  # a 31st of February: a text
        return column
