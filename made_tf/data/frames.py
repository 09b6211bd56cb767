"""Frames of pandas, polars, pyarrow and others as `Cells`, and the same kind of frame back.

`narwhals` knows the libraries. What a cell is missing by (None, NaN, NA, NaT, null) makes no
difference here.
"""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from made_tf.data.optional import optional_module
from made_tf.portable.schema import Cells, Source

__all__ = ["Series", "frame_of", "library_of", "read_frame", "take_rows"]

_MIDNIGHT = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_EPOCH = datetime.date(1970, 1, 1).toordinal()


class Series(NamedTuple):
    """One column of a frame."""

    source: Source
    cells: Cells


def read_frame(name: str, frame: Any) -> dict[str, Series]:
    """Returns the columns of a frame, of a NumPy array (`x0`, `x1`, ...) or of a mapping of lists.

    Args:
        name: the argument's name, for messages.
        frame: the frame.

    Raises:
        ModuleNotFoundError: if `narwhals` is not installed.
        ValueError: if it is none, two columns have one name, or cells are of no kind that is known:
            a line for each column that cannot be read.
    """
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    if isinstance(frame, np.ndarray) and frame.ndim == 2:
        frame = {f"x{number}": column for number, column in enumerate(frame.T)}
    if isinstance(frame, Mapping):
        frame = optional_module("pandas", "pandas", "tables").DataFrame(dict(frame))
    names = [str(label) for label in frame.columns] if hasattr(frame, "iloc") else []
    if len(set(names)) < len(names):
        twice = sorted({each for each in names if names.count(each) > 1})
        raise ValueError(f"`{name}` must have columns of different names. Received twice: {twice}")
    try:
        table = narwhals.from_native(frame, eager_only=True)
    except TypeError as error:
        raise ValueError(
            f"`{name}` must be a data frame (pandas, polars, pyarrow or another that narwhals "
            f"knows) in memory. Received: {type(frame).__name__}"
        ) from error
    found, refused = {}, []
    for column in table.columns:
        try:
            found[str(column)] = _read_series(table[column])
        except ValueError as error:
            refused.append(f"column {str(column)!r} {error}")
    if refused:
        raise ValueError(f"`{name}` has columns that cannot be read:\n  " + "\n  ".join(refused))
    return found


def library_of(frame: Any) -> str:
    """Returns whose frame it is; pandas for what is no frame."""
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    if isinstance(frame, np.ndarray | Mapping):
        return "pandas"
    return str(narwhals.from_native(frame, eager_only=True).implementation.value)


def take_rows(frame: Any, rows: np.ndarray) -> Any:
    """Returns some rows of a frame, in that order, as the same kind of frame."""
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    if isinstance(frame, np.ndarray):
        return frame[rows]
    return narwhals.from_native(frame, eager_only=True)[rows.tolist()].to_native()


def _read_series(series: Any) -> Series:
    """Returns a column.

    Raises:
        ValueError: if its cells are of no kind that is known; without a subject.
    """
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    native = series.to_native()
    is_pandas = series.implementation.is_pandas()
    dtype = series.dtype
    text = str(native.dtype) if is_pandas else _text_of(dtype)
    known = ~series.is_null().to_numpy().astype(bool)
    if isinstance(dtype, narwhals.Boolean):
        return Series(Source("boolean", text), _objects(series, known))
    if dtype.is_integer():
        filled = series.fill_null(0).to_numpy()
        if filled.dtype == np.uint64 and len(filled) and filled.max() >= 2**63:
            raise ValueError("has whole numbers from 2^63 on. Read it as text, or leave it out")
        return Series(Source("integer", text), Cells(filled.astype(np.int64), known))
    if dtype.is_numeric():  # floats and decimals
        values = series.cast(narwhals.Float64).fill_null(float("nan")).to_numpy()
        return _reals(text, np.array(values, np.float64))
    if isinstance(dtype, narwhals.Categorical | narwhals.Enum):
        return _categories(series, text, known, is_pandas)
    if isinstance(dtype, narwhals.String):
        return Series(Source("text", text), _objects(series, known))
    if isinstance(dtype, narwhals.Date):
        return Series(Source("date", text, "D"), _dates(series.to_list(), known))
    if isinstance(dtype, narwhals.Datetime):
        unit = "ms" if dtype.time_unit == "s" else dtype.time_unit
        values = series.dt.timestamp(unit).fill_null(0).to_numpy().astype(np.int64)
        return Series(Source("moment", text, unit), Cells(values, known))
    if isinstance(dtype, narwhals.Duration):
        unit = "ns" if dtype.time_unit == "ns" else "us"
        total = series.dt.total_nanoseconds() if unit == "ns" else series.dt.total_microseconds()
        ticks = total.fill_null(0).to_numpy().astype(np.int64)
        return Series(Source("duration", text, unit), Cells(ticks, known))
    return _of_objects(series.to_list(), text)


def _reals(dtype: str, values: np.ndarray) -> Series:
    if np.isinf(values).any():
        row = int(np.argmax(np.isinf(values)))
        raise ValueError(
            f"has {np.isinf(values).sum()} infinite number(s), the first in row {row + 1}. Replace "
            "them, by a missing cell if nothing is known"
        )
    known = ~np.isnan(values)
    return Series(Source("real", dtype), Cells(np.where(known, values, 0.0), known))


def _objects(series: Any, known: np.ndarray) -> Cells:
    values = np.empty(len(known), object)
    values[:] = series.to_list()
    return Cells(values, known)


def _categories(series: Any, dtype: str, known: np.ndarray, is_pandas: bool) -> Series:
    if is_pandas:
        own = series.to_native().cat
        categories, ordered = own.categories.tolist(), bool(own.ordered)
        objects = np.array([*categories, None], object)[own.codes.to_numpy()]  # of -1: None
        cells = Cells(objects, known)
    else:
        ordered = dtype == "Enum"
        found = series.dtype.categories if ordered else series.cat.get_categories().to_list()
        categories = list(found)
        cells = _objects(series, known)
    plain = str, bool, int, float
    if not all(isinstance(each, plain) for each in categories):
        raise ValueError("has categories that are no texts, numbers or truth values. Convert them")
    sort = "ordered" if ordered else "category"
    return Series(Source(sort, dtype, categories=categories), cells)


def _dates(values: list, known: np.ndarray) -> Cells:
    days = [
        value.toordinal() - _EPOCH if own else 0 for value, own in zip(values, known, strict=True)
    ]
    return Cells(np.array(days, np.int64), known)


def _of_objects(values: list, dtype: str) -> Series:
    """Returns a column of Python objects of one kind."""
    pandas = optional_module("pandas", "pandas", "tables")
    known = ~np.asarray(pandas.isna(np.array([*values, None], object)))[:-1]
    given = [value for value, own in zip(values, known, strict=True) if own]
    plain = [value.item() if isinstance(value, np.generic) else value for value in given]
    objects = np.full(len(values), None, object)
    for row, value in zip(np.flatnonzero(known), plain, strict=True):
        objects[row] = value

    def all_are(*kinds: type) -> bool:
        return all(isinstance(value, kinds) for value in plain)

    if all_are(bool):
        return Series(Source("boolean", dtype), Cells(objects, known))
    if all_are(str):
        return Series(Source("text", dtype), Cells(objects, known))
    if all_are(numbers.Real) or type(plain[0]).__name__ == "Decimal":
        filled = np.array([float(v) if o else np.nan for v, o in zip(objects, known, strict=True)])
        if all_are(int):
            whole = np.array([int(v) if o else 0 for v, o in zip(objects, known, strict=True)])
            if whole.dtype == np.int64:
                return Series(Source("integer", dtype), Cells(whole, known))
        return _reals(dtype, filled)
    if all_are(datetime.datetime):
        aware = [
            value.replace(tzinfo=None) - (value.utcoffset() or datetime.timedelta())
            for value in plain
        ]
        ticks = np.zeros(len(values), np.int64)
        ticks[known] = [(value - _MIDNIGHT) // _MICROSECOND for value in aware]
        return Series(Source("moment", dtype, "us"), Cells(ticks, known))
    if all_are(datetime.date):
        return Series(Source("date", dtype, "D"), _dates(values, known))
    if all_are(datetime.time):
        ticks = np.zeros(len(values), np.int64)
        ticks[known] = [
            ((t.hour * 60 + t.minute) * 60 + t.second) * 10**6 + t.microsecond for t in plain
        ]
        return Series(Source("time", dtype, "us"), Cells(ticks, known))
    kinds = sorted({type(value).__name__ for value in plain})
    raise ValueError(f"has cells of the kind(s) {', '.join(kinds)}. Convert it to one known kind")


def _text_of(dtype: Any) -> str:
    """Returns a dtype of narwhals as text, from which `_dtype_of` makes it again."""
    name = type(dtype).__name__
    if name == "Datetime":
        return f"Datetime[{dtype.time_unit}, {dtype.time_zone}]"
    return f"Duration[{dtype.time_unit}]" if name == "Duration" else name


def frame_of(
    table: Mapping[str, Cells],
    sources: Mapping[str, Source],
    library: str,
    index: Any = None,
) -> Any:
    """Returns cells as a frame of a library.

    Args:
        table: the cells of each column.
        sources: what each column was in that library.
        library: whose frame it is to be.
        index: of a frame of pandas.
    """
    from made_tf.data.frame_columns import narwhals_series, pandas_series

    if library == "pandas":
        pandas = optional_module("pandas", "pandas", "tables")
        columns = {name: pandas_series(cells, sources[name]) for name, cells in table.items()}
        frame = pandas.DataFrame(columns)
        if index is not None:
            frame.index = index
        return frame
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    parts = [
        narwhals_series(name, cells, sources[name], library).to_frame()
        for name, cells in table.items()
    ]
    return narwhals.concat(parts, how="horizontal").to_native()
