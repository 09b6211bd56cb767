"""Tables in: `.npz`, `.csv` and `.parquet`, as float32 arrays `[rows, D]`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from made_tf.data.checks import finite_numbers, unreadable
from made_tf.data.npz import default_columns, npz_array, read_npz
from made_tf.data.optional import optional_module
from made_tf.portable.arguments import shown
from made_tf.portable.arrays import FloatArray
from made_tf.portable.files import PathLike

__all__ = [
    "existing_table",
    "has_index",
    "is_line_of_names",
    "load_rows",
    "load_table",
    "parquet_frame",
]

# What pandas, pyarrow and the csv module raise for a truncated or foreign file.
_DAMAGED = (EOFError, MemoryError, NotImplementedError, OSError, ValueError, csv.Error)

# From so many columns on, a first line of 0,1,2,... is one of names; fewer may well be values.
_COUNTED = 3

# Fields beside numbers that a line of data may have, in lower case.
_NO_NAMES = frozenset({"", "true", "false", "na", "n/a", "null", "none"})


def load_table(
    path: PathLike, array: str | None = None, allow_missing: bool = False
) -> tuple[FloatArray, list[str]]:
    """Reads one table of numbers.

    - `.npz`: the array of the given name, or the only one.
    - `.csv`: comma-separated; the first line that is not blank holds the column
      names unless each of its fields is a number, empty, true or false; `0,1,2,...` are names, too.
      A first column without a name that counts the rows is an index, and left out.
    - `.parquet`, with its index where that has a name.

    Args:
        path: the file.
        array: the array's name in an `.npz` that holds several.
        allow_missing: whether values may be missing: NaN, or in a table an
            empty field, which become NaN. (A `.csv` must have all its commas,
            and `nan` in a line that would otherwise be blank.)

    Returns:
        Float32 values `[rows, D]` and D column names.

    Raises:
        FileNotFoundError: if there is no such file.
        ModuleNotFoundError: if the reader of this format is not installed.
        ValueError: if the file cannot be read, has no rows, or holds anything
            but finite numbers (and missing values, where these are allowed).
    """
    path = existing_table(path)
    if path.suffix == ".npz":
        x = npz_array(path, read_npz(path), array, allow_missing)
        return x, default_columns(x.shape[1])
    if array is not None:
        raise ValueError(f"`array` is for .npz files only. Received: array={array!r} for {path}")
    return _read_frame(path, allow_missing)


def load_rows(path: PathLike, array: str | None = None) -> FloatArray:
    """Reads rows to score: as `load_table`, but of several arrays `test` is the default.

    Returns:
        Float32 values `[rows, D]`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as `load_table`.
    """
    path = existing_table(path)
    if path.suffix == ".npz" and array is None:
        arrays = read_npz(path)
        return npz_array(path, arrays, "test" if "test" in arrays else None)
    return load_table(path, array)[0]


def existing_table(path: PathLike) -> Path:
    """Returns a file's path, if it is there and of a kind that can be read.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if its name has another ending.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No such file: {path}")
    if path.suffix not in (".npz", ".csv", ".parquet"):
        raise ValueError(f"`path` must end in .npz, .csv or .parquet. Received: path={str(path)!r}")
    return path


def _read_frame(path: Path, allow_missing: bool = False) -> tuple[FloatArray, list[str]]:
    pandas = optional_module("pandas", "pandas", "tables")
    has_names = True
    try:
        if path.suffix == ".parquet":
            frame = parquet_frame(path)
        else:
            has_names = _has_names(path)
            if allow_missing:
                _check_lines(path)
            header = 0 if has_names else None
            frame = pandas.read_csv(path, header=header, index_col=False, skipinitialspace=True)
    except _DAMAGED as error:
        raise unreadable(path, error) from error
    columns = default_columns(frame.shape[1])
    if has_names:
        if has_index(frame):
            frame = frame.iloc[:, 1:]
        columns = [str(name) for name in frame.columns]
    parts = [
        _numbers(path, frame.iloc[:, index], name)
        for index, name in enumerate(columns if len(frame) else ())
    ]
    values = np.stack(parts, axis=1) if parts else np.empty(frame.shape)
    return finite_numbers(path, values, columns, allow_missing=allow_missing), columns


def parquet_frame(path: PathLike) -> Any:
    """Returns a parquet file as a frame of pandas, with its index where that has a name.

    Raises:
        ModuleNotFoundError: if its reader is not installed.
        ValueError: if what pandas wrote beside the columns is damaged.
    """
    pandas = optional_module("pandas", "pandas", "tables")
    optional_module("pyarrow", "pyarrow", "tables")
    try:
        frame = pandas.read_parquet(path)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        # What pandas wrote beside the columns is read without checks.
        raise ValueError(f"its metadata cannot be read: {type(error).__name__} {error}") from error
    named = any(name is not None for name in frame.index.names)
    return frame.reset_index() if named else frame


def _has_names(path: Path) -> bool:
    """Returns whether a csv has a line of names, which must be as long as the next line."""
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file, skipinitialspace=True)
        # As pandas does, blank lines are skipped.
        lines = ((reader.line_num, line) for line in reader if any(line) or len(line) > 1)
        (first_number, first), (number, line) = (next(lines, (0, [])) for _ in range(2))
    if not is_line_of_names(first):
        return False
    if first == [str(index) for index in range(len(first))]:
        return True
    if line and len(line) != len(first):
        raise ValueError(
            f"line {first_number} has {len(first)} field(s) and line {number} has {len(line)}. "
            "The first line must hold the column names, and commas must separate the fields."
        )
    return True


def is_line_of_names(fields: list[str]) -> bool:
    """Returns whether the first line of a table has names, not data."""
    if fields == [str(index) for index in range(len(fields))] and len(fields) >= _COUNTED:
        return True  # as pandas writes columns without names
    return not all(_is_data(field) for field in fields)


def has_index(frame: Any) -> bool:
    """Returns whether the first column is the index of a frame: without a name, 0, 1, 2, ..."""
    name = str(frame.columns[0])
    counted = np.arange(len(frame))
    return name.startswith("Unnamed: 0") and np.array_equal(frame.iloc[:, 0].to_numpy(), counted)


def _check_lines(path: Path) -> None:
    """Fails if a line of a csv is cut off: pandas would take its end for missing values."""
    expected = None
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file, skipinitialspace=True)
        for line in reader:
            if not any(line) and len(line) <= 1:  # blank
                continue
            expected = expected or len(line)
            if len(line) < expected:
                raise ValueError(
                    f"line {reader.line_num} has {len(line)} field(s), and the first has "
                    f"{expected}. A missing value must have its comma."
                )


def _is_data(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return field.strip().lower() in _NO_NAMES
    return True


def _first_text(column: Any) -> str:
    """Returns what to say of the first value that is no number float64 holds, and where it is."""
    for row, value in enumerate(column, start=1):
        try:
            if float(value) - float(value) != 0:
                continue  # not finite, which is told elsewhere
        except (TypeError, ValueError, OverflowError):
            if value is None or type(value).__name__ in ("NAType", "NaTType"):
                continue
            return f" Received: {shown(value)} in row {row} (the first is 1)."
    return ""


def _numbers(path: Path, column: Any, name: str) -> np.ndarray:
    """Returns a column of a pandas frame as float64, what is missing as NaN."""
    if column.dtype == object:  # big integers, decimals, or true and false beside empty fields
        try:
            column = column.astype("float64")
        except OverflowError as error:
            raise ValueError(
                f"{path}: column {name!r} has a whole number that no float holds."
                f"{_first_text(column)}"
            ) from error
        except (TypeError, ValueError):
            pass
    kind = getattr(column.dtype, "kind", "O")
    if kind not in "biuf":
        hint = " Commas must separate the fields." if set(name) & set(";\t|") else ""
        raise ValueError(
            f"{path}: column {name!r} is not numeric ({column.dtype}): only numeric columns are "
            f"supported. Drop it, or encode it as numbers.{_first_text(column)}{hint}"
        )
    return column.to_numpy(dtype=np.float64, na_value=np.nan)
