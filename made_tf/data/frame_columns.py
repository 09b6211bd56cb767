"""`Cells` as a column of a frame, of the dtype that the column had."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from made_tf.data.arrow_types import arrow_array, arrow_type, as_decimals
from made_tf.data.optional import optional_module
from made_tf.portable.schema import Cells, Source
from made_tf.portable.schema.plain import list_of_cells

__all__ = ["arrow_column", "narwhals_series", "pandas_series"]

_ARROW = "[pyarrow]"


def pandas_series(cells: Cells, like: Source) -> Any:
    """Returns a series of pandas."""
    pandas = optional_module("pandas", "pandas", "tables")
    if like.dtype.endswith(_ARROW):
        array = arrow_array(cells, like, arrow_type(like.dtype.removesuffix(_ARROW)))
        return pandas.Series(pandas.arrays.ArrowExtensionArray(array))
    if like.dtype.startswith("object"):
        return _pandas_objects(pandas, cells, like)
    if like.sort in ("moment", "duration"):
        return _pandas_moments(pandas, cells, like)
    objects = list_of_cells(cells, like)
    found = re.fullmatch(r"category(?:\[(.*)\])?", like.dtype)
    if found:
        categories = pandas.Index(like.categories, dtype=found[1])
        return pandas.Series(
            pandas.Categorical(objects, categories, ordered=like.sort == "ordered")
        )
    if like.sort in ("integer", "real") and cells.known.all():
        return pandas.Series(cells.values).astype(like.dtype)
    if like.dtype in ("float64", "float32", "float16"):
        values = np.where(cells.known, cells.values, np.nan)
        return pandas.Series(values.astype(np.float64).astype(like.dtype))
    if not cells.known.all() and re.fullmatch(r"bool|u?int\d+", like.dtype):
        return pandas.Series(objects).astype("boolean" if like.sort == "boolean" else "Int64")
    return pandas.Series(objects, dtype=like.dtype)


def _pandas_objects(pandas: Any, cells: Cells, like: Source) -> Any:
    if like.dtype.endswith("[Decimal]"):
        objects: list[Any] = as_decimals(cells)
    else:
        objects = list_of_cells(cells, like)
    nothings = {"None": None, "nan": np.nan, "NaT": pandas.NaT, "NA": pandas.NA}
    nothing = nothings.get(like.nothing, np.nan if like.sort in ("boolean", "text") else None)
    found = np.empty(len(objects), object)
    found[:] = [nothing if each is None else each for each in objects]
    return pandas.Series(found, dtype=object)


def _pandas_moments(pandas: Any, cells: Cells, like: Source) -> Any:
    kind = "M8" if like.sort == "moment" else "m8"
    ticks = np.where(cells.known, cells.values, 0).astype(np.int64)
    values = ticks.astype(f"{kind}[{like.unit}]")
    values[~cells.known] = "NaT"
    series = pandas.Series(values)
    if like.sort == "moment" and "," in like.dtype:
        series = series.dt.tz_localize("UTC")
    return series.astype(like.dtype)


def arrow_column(cells: Cells, like: Source) -> Any:
    """Returns an array of Arrow."""
    own = arrow_type(like.dtype.removesuffix(" not null"))
    if own is not None:
        return arrow_array(cells, like, own)
    return narwhals_series("x", cells, like, "pyarrow").to_native()


def narwhals_series(name: str, cells: Cells, like: Source, library: str) -> Any:
    """Returns a series of a library that narwhals knows."""
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")

    def series(values: Any, own: Any = None) -> Any:
        return narwhals.new_series(name, values, own, backend=library)

    if like.dtype.startswith("Decimal["):
        precision, scale = map(int, re.findall(r"\d+", like.dtype))
        polars = optional_module("polars", "polars", "tables")
        decimals = as_decimals(cells, scale)
        own = polars.Series(name, decimals, dtype=polars.Decimal(precision, scale))
        return narwhals.from_native(own, series_only=True)
    dtype = _dtype_of(like)
    if like.sort in ("moment", "duration", "time"):
        ticks = [int(v) if o else None for v, o in zip(cells.values, cells.known, strict=True)]
        plain = {"moment": narwhals.Datetime, "duration": narwhals.Duration}.get(like.sort)
        found = series(ticks, narwhals.Int64).cast(plain(like.unit) if plain else narwhals.Time)
        zone = getattr(dtype, "time_zone", None)
        if zone is not None:
            found = found.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        return found.cast(dtype)
    objects = list_of_cells(cells, like)
    if like.nothing == "nan":
        objects = [np.nan if each is None else each for each in objects]
    if isinstance(dtype, narwhals.Enum | narwhals.Categorical):
        return series(objects, narwhals.String).cast(dtype)
    if isinstance(dtype, narwhals.Int128 | narwhals.UInt128):
        return series(objects, narwhals.Int64).cast(dtype)
    return series(objects, dtype)


def _dtype_of(like: Source) -> Any:
    """Returns the dtype of narwhals that `frame_cells` wrote down."""
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    name, inner = re.fullmatch(r"(\w+)(?:\[(.*)\])?", like.dtype).groups()  # type: ignore[union-attr]
    if name == "Enum":
        return narwhals.Enum(like.categories)
    if inner is None:
        return getattr(narwhals, name)()
    unit, *zone = inner.split(", ")
    return getattr(narwhals, name)(unit, *[None if each == "None" else each for each in zone])
