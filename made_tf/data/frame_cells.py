"""A column of a frame as `Cells`, with what it is in its library."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from made_tf.data.arrow_types import cells_of_dictionary
from made_tf.data.object_cells import days_of, reals, series_of_objects
from made_tf.data.optional import optional_module
from made_tf.data.series import Series
from made_tf.portable.arrays import shortest_decimals
from made_tf.portable.schema import Cells, Source

__all__ = ["read_series"]

_LONG = 2**63


def read_series(series: Any, nullable: bool = True) -> Series:
    """Returns a column.

    Args:
        series: of narwhals.
        nullable: whether its library lets cells of it be missing.

    Raises:
        ValueError: if its cells are of no kind that is known; without a subject.
    """
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    dtype, text = series.dtype, _text_of(series) + ("" if nullable else " not null")
    known = ~series.is_null().to_numpy().astype(bool)
    if text == "object":
        return _of_objects(series, text, known)
    if isinstance(dtype, narwhals.Boolean):
        return Series(Source("boolean", text), _objects(series, known))
    if dtype.is_integer():
        return Series(Source("integer", text), _integers(series, known))
    if dtype.is_numeric():  # floats and decimals
        values = series.cast(narwhals.Float64).fill_null(float("nan")).to_numpy()
        if isinstance(dtype, narwhals.Float32):
            values = shortest_decimals(values)  # 0.1 as it is written, not 0.100000001
        has_nan = text.startswith("Float") and known.all() and np.isnan(values).any()
        return reals(np.array(values, np.float64), text, "nan" if has_nan else "")
    if isinstance(dtype, narwhals.Categorical | narwhals.Enum):
        return _categories(series, text, known)
    if isinstance(dtype, narwhals.String):
        return Series(Source("text", text), _objects(series, known))
    if isinstance(dtype, narwhals.Date):
        days = np.zeros(len(known), np.int64)
        days[known] = days_of(_objects(series, known).values[known].tolist())
        return Series(Source("date", text, "D"), Cells(days, known))
    for own, sort in (("Datetime", "moment"), ("Duration", "duration"), ("Time", "time")):
        if isinstance(dtype, getattr(narwhals, own)):
            unit = getattr(dtype, "time_unit", None) or _unit_of_time(text)
            return Series(Source(sort, text, unit), Cells(_ticks(series, text, known), known))
    return _of_objects(series, text, known)


def _of_objects(series: Any, text: str, known: np.ndarray) -> Series:
    values = series.to_list()
    nothing = next((each for each, own in zip(values, known, strict=True) if not own), "")
    names = {"NoneType": "None", "float": "nan", "NaTType": "NaT", "NAType": "NA"}
    return series_of_objects(values, text, names.get(type(nothing).__name__, ""))


def _text_of(series: Any) -> str:
    """Returns a dtype as text, from which `frame_columns` makes it again."""
    native, dtype = series.to_native(), series.dtype
    if series.implementation.is_pandas():
        if getattr(native.dtype, "name", "") == "string" and native.dtype.storage == "python":
            return "string[python]"
        return str(native.dtype)
    if series.implementation.is_pyarrow():
        return str(native.type)
    name = type(dtype).__name__
    if name == "Datetime":
        return f"Datetime[{dtype.time_unit}, {dtype.time_zone}]"
    if name == "Decimal" and hasattr(native.dtype, "scale"):
        return f"Decimal[{native.dtype.precision}, {native.dtype.scale}]"
    return f"Duration[{dtype.time_unit}]" if name == "Duration" else name


def _integers(series: Any, known: np.ndarray) -> Cells:
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    if not known.any():
        return Cells(np.zeros(len(known), np.int64), known)
    if int(series.max()) >= _LONG or int(series.min()) < -_LONG:
        raise ValueError("has whole numbers from 2^63 on. Read it as text, or leave it out")
    filled = series.fill_null(0)
    if not series.implementation.is_pandas():
        filled = filled.cast(narwhals.Int64)
    return Cells(filled.to_numpy().astype(np.int64), known)


def _objects(series: Any, known: np.ndarray) -> Cells:
    values = np.empty(len(known), object)
    values[:] = series.to_list()
    values[~known] = None
    return Cells(values, known)


def _unit_of_time(text: str) -> str:
    found = re.match(r"time\d\d\[(\w+)\]", text)
    return found[1] if found else "ns"


def _ticks(series: Any, text: str, known: np.ndarray) -> np.ndarray:
    """Returns moments, durations or times in their own unit; 0 where they are missing."""
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    if series.implementation.is_pandas() and not text.endswith("[pyarrow]"):
        native = series.to_native()
        if "," in text:
            native = native.dt.tz_convert("UTC").dt.tz_localize(None)
        return np.where(known, native.to_numpy().astype(np.int64), 0)
    if text.startswith("time32"):
        series = series.cast(narwhals.Int32)
    return series.cast(narwhals.Int64).fill_null(0).to_numpy().astype(np.int64)


def _categories(series: Any, dtype: str, known: np.ndarray) -> Series:
    native, is_pandas = series.to_native(), series.implementation.is_pandas()
    is_arrow = is_pandas and dtype.endswith("[pyarrow]")
    if is_arrow or series.implementation.is_pyarrow():
        array = native.array.__arrow_array__() if is_arrow else native
        ordered = bool(array.type.ordered)
        categories, cells = cells_of_dictionary(array)
    elif is_pandas:
        pandas = optional_module("pandas", "pandas", "tables")
        own = native.cat
        categories, ordered = own.categories.tolist(), bool(own.ordered)
        if pandas.Index(categories).dtype != own.categories.dtype:
            dtype = f"category[{own.categories.dtype}]"
        objects = np.empty(len(categories) + 1, object)  # the last one is of the code -1: None
        objects[:-1] = categories
        cells = Cells(objects[own.codes.to_numpy()], known)
    else:
        ordered = dtype == "Enum"
        found = series.dtype.categories if ordered else series.cat.get_categories().to_list()
        categories, cells = list(found), _objects(series, known)
    plain = str, bool, int, float
    if not all(isinstance(each, plain) for each in categories):
        raise ValueError(
            "has categories that are no texts, numbers or truth values. Make them texts "
            "(astype(str)), or the column one of their own kind"
        )
    sort = "ordered" if ordered else "category"
    return Series(Source(sort, dtype, categories=categories), cells)
