"""Types of Arrow by their text, and `Cells` as arrays of them."""

from __future__ import annotations

import decimal
import re
from typing import Any

import numpy as np

from made_tf.data.optional import optional_module
from made_tf.portable.schema import Cells, Source
from made_tf.portable.schema.plain import list_of_cells

__all__ = ["arrow_array", "arrow_type", "as_decimals", "cells_of_dictionary"]

_TICKS = ("moment", "duration", "time")
_INT32 = ("time32", "date32")


def arrow_type(text: str) -> Any:
    """Returns the type that Arrow writes so; `None` if there is none."""
    pyarrow = optional_module("pyarrow", "pyarrow", "tables")
    found = re.fullmatch(r"timestamp\[(\w+), tz=(.+)\]", text)
    if found:
        return pyarrow.timestamp(*found.groups())
    found = re.fullmatch(r"decimal(\d+)\((\d+), (-?\d+)\)", text)
    if found:
        bits, precision, scale = map(int, found.groups())
        return getattr(pyarrow, f"decimal{bits}")(precision, scale)
    found = re.fullmatch(r"dictionary<values=(.+), indices=(\w+), ordered=([01])>", text)
    if found:
        values, indices, ordered = found.groups()
        return pyarrow.dictionary(arrow_type(indices), arrow_type(values), ordered == "1")
    try:
        return pyarrow.type_for_alias(text)
    except ValueError:
        return None


def arrow_array(cells: Cells, like: Source, own: Any) -> Any:
    """Returns cells as an array of a type of Arrow.

    Args:
        cells: the cells.
        like: what they are.
        own: the type.
    """
    pyarrow = optional_module("pyarrow", "pyarrow", "tables")
    absent = ~cells.known
    if not cells.known.any():
        return pyarrow.nulls(len(absent), own)
    if like.sort in _TICKS:
        ticks = cells.values.astype(np.int32 if str(own).startswith(_INT32) else np.int64)
        return pyarrow.array(ticks, mask=absent).cast(own)
    if pyarrow.types.is_dictionary(own):
        values = like.categories or []
        numbers = {value: number for number, value in enumerate(values)}
        codes = [None if each is None else numbers[each] for each in cells.objects().tolist()]
        indices = pyarrow.array(codes, own.index_type)
        known = pyarrow.array(values, own.value_type)
        return pyarrow.DictionaryArray.from_arrays(indices, known, ordered=own.ordered)
    if pyarrow.types.is_decimal(own):
        return pyarrow.array(as_decimals(cells, own.scale), own)
    if pyarrow.types.is_floating(own):
        floats = np.where(cells.known, cells.values, 0).astype(own.to_pandas_dtype())
        return pyarrow.array(floats, mask=absent)
    return pyarrow.array(list_of_cells(cells, like), own)


def as_decimals(cells: Cells, scale: int | None = None) -> list[decimal.Decimal | None]:
    """Returns numbers as decimals, of so many digits after the point where that is given."""
    found = [None if v is None else decimal.Decimal(str(v)) for v in cells.objects().tolist()]
    if scale is None:
        return found
    unit = decimal.Decimal(1).scaleb(-scale)
    return [None if each is None else each.quantize(unit) for each in found]


def cells_of_dictionary(array: Any) -> tuple[list[Any], Cells]:
    """Returns the values of a chunked dictionary array, and its cells."""
    array = array.unify_dictionaries()
    values = array.chunk(0).dictionary.to_pylist() if array.num_chunks else []
    objects = np.empty(len(array), object)
    objects[:] = array.cast(array.type.value_type).to_pylist()
    values = [each for each in values if each is not None]
    return values, Cells(objects, np.array([each is not None for each in objects], bool))
