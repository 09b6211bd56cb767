"""`Cells` as a column of a frame, of the dtype that the column had."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from made_tf.data.optional import optional_module
from made_tf.portable.schema import Cells, Source
from made_tf.portable.schema.plain import list_of_cells

__all__ = ["narwhals_series", "pandas_series"]


def pandas_series(cells: Cells, like: Source) -> Any:
    """Returns a series of pandas."""
    pandas = optional_module("pandas", "pandas", "tables")
    objects = list_of_cells(cells, like)
    if like.dtype == "category":
        return pandas.Series(
            pandas.Categorical(objects, like.categories, ordered=like.sort == "ordered")
        )
    if like.sort in ("moment", "duration") and like.dtype != "object":
        return _pandas_moments(pandas, cells, like)
    if like.dtype == "object":
        nothing = np.nan if like.sort in ("boolean", "text") else None
        return pandas.Series([nothing if v is None else v for v in objects], dtype=object)
    if like.sort in ("integer", "real") and cells.known.all():
        return pandas.Series(cells.values).astype(like.dtype)
    if like.dtype in ("float64", "float32", "float16"):
        return pandas.Series(np.where(cells.known, cells.values, np.nan).astype(like.dtype))
    if not cells.known.all() and re.fullmatch(r"bool|u?int\d+", like.dtype):
        return pandas.Series(objects).astype("boolean" if like.sort == "boolean" else "Int64")
    return pandas.Series(objects, dtype=like.dtype)


def _pandas_moments(pandas: Any, cells: Cells, like: Source) -> Any:
    kind = "M8" if like.sort == "moment" else "m8"
    values = cells.values.astype(np.int64).astype(f"{kind}[{like.unit}]")
    values[~cells.known] = "NaT"
    series = pandas.Series(values)
    if like.sort == "moment" and "," in like.dtype:
        series = series.dt.tz_localize("UTC")
    return series.astype(like.dtype)


def narwhals_series(name: str, cells: Cells, like: Source, library: str) -> Any:
    """Returns a series of a library that narwhals knows."""
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    dtype = _dtype_of(like)

    def series(values: Any, own: Any = None) -> Any:
        return narwhals.new_series(name, values, own, backend=library)

    if like.sort in ("moment", "duration"):
        ticks = [int(v) if o else None for v, o in zip(cells.values, cells.known, strict=True)]
        plain = narwhals.Datetime if like.sort == "moment" else narwhals.Duration
        found = series(ticks, narwhals.Int64).cast(plain(like.unit))
        zone = getattr(dtype, "time_zone", None)
        if zone is not None:
            found = found.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        return found.cast(dtype)
    objects = list_of_cells(cells, like)
    if isinstance(dtype, narwhals.Enum | narwhals.Categorical):
        return series(objects, narwhals.String).cast(dtype)
    return series(objects, dtype)


def _dtype_of(like: Source) -> Any:
    """Returns the dtype of narwhals that `frames` wrote down."""
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    name, inner = re.fullmatch(r"(\w+)(?:\[(.*)\])?", like.dtype).groups()  # type: ignore[union-attr]
    if name == "Enum":
        return narwhals.Enum(like.categories)
    if inner is None:
        return getattr(narwhals, name)()
    unit, *zone = inner.split(", ")
    return getattr(narwhals, name)(unit, *[None if each == "None" else each for each in zone])
