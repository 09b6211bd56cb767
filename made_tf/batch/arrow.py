"""Columns of Arrow as a table's `Cells` and as numbers, and back.

`Cells` are those that the device runtime has under its own name: so that kinds of columns are its
kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from made_tf.export.runtime.portable.arrays import FloatArray
from made_tf.export.runtime.portable.schema import Cells, Column, Schema
from made_tf.export.runtime.portable.schema.classes import Classes
from made_tf.export.runtime.portable.schema.columns import Constant, Identifier
from made_tf.export.runtime.portable.schema.dependent import Dependent
from made_tf.export.runtime.portable.schema.moments import in_unit
from made_tf.export.runtime.portable.schema.plain import cells_of_list

__all__ = ["arrow_schema", "arrow_table", "cells_of_table", "numbers_of_column"]

_NUMBERS = ("integer", "real")
_OBJECTS = ("boolean", "text", "category", "ordered")
_EXACT = 2.0**53  # below which a whole float is the integer that was meant


def cells_of_table(table: Any, schema: Schema, absent: bool = False) -> dict[str, Cells]:
    """Returns the cells of a table of Arrow, by the names of the schema's columns.

    Args:
        table: a `pyarrow.Table`; its other columns are not looked at.
        schema: what the columns are.
        absent: whether columns may be missing.

    Raises:
        ValueError: if columns are missing, or hold cells of another sort: a line for each.
    """
    there = table.column_names
    twice = sorted({name for name in schema.names if there.count(name) > 1})
    if twice:
        raise ValueError(f"the rows must have each column once. Twice there are: {twice}")
    lacking = [name for name in schema.names if name not in there]
    if len(lacking) > (len(schema.names) - 1 if absent else 0):
        raise ValueError(
            f"the rows must have the columns of the model. They lack {lacking}; they have {there}"
        )
    found, refused = {}, []
    for column in schema.columns:
        if column.name not in lacking:
            try:
                found[column.name] = _cells(table.column(column.name), column)
            except (ValueError, TypeError, OverflowError) as error:
                refused.append(f"column {column.name!r} {error}")
    if refused:
        raise ValueError("the rows have columns of another sort:\n  " + "\n  ".join(refused))
    return found


def numbers_of_column(column: Any) -> FloatArray:
    """Returns a column of numbers or truth values, float32; NaN where one is missing.

    Raises:
        ValueError: if it holds anything else; without a subject.
    """
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan, np.float32)
    if not _is_number(kind):
        raise ValueError(f"must hold numbers. Received: {kind}")
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):  # to infinity, which is refused where it matters
        return values.astype(np.float32)


def arrow_schema(schema: Schema) -> Any:
    """Returns the types of Arrow that a table's columns have in what is written."""
    return pa.schema([pa.field(column.name, _type_of(column)) for column in schema.columns])


def arrow_table(cells: Mapping[str, Cells], schema: Schema) -> Any:
    """Returns cells as a table of Arrow, of the types of `arrow_schema`.

    Raises:
        ValueError: if a known cell has no place in its column's type.
    """
    types = arrow_schema(schema)
    arrays = []
    for field in types:
        try:
            arrays.append(_array(cells[field.name], schema.column(field.name), field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, OverflowError) as error:
            raise ValueError(f"column {field.name!r} cannot be {field.type}: {error}") from error
    return pa.Table.from_arrays(arrays, schema=types)


def _is_number(kind: Any) -> bool:
    tests = pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal
    return any(test(kind) for test in tests)


def _cells(column: Any, like: Column) -> Cells:
    """Returns the cells of a chunked array.

    Raises:
        ValueError: if they are of another sort; without a subject.
    """
    sort, kind = like.source.sort, column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    known = ~column.is_null(nan_is_null=True).to_numpy(zero_copy_only=False).astype(bool)
    if sort in _NUMBERS:
        if pa.types.is_null(kind):
            return Cells(np.zeros(len(column), np.int64), known)
        if _is_number(kind):
            return Cells(_numbers(column, known, sort), known)
    elif pa.types.is_null(kind):
        zeros = np.full(len(column), None, object) if sort in _OBJECTS else _zeros(column)
        return Cells(zeros, known)
    elif sort in _OBJECTS:
        return Cells(_objects(column, like), known)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return cells_of_list(column.to_pylist(), like.source)  # ISO 8601
    elif _are_ticks(kind, sort):
        ticks = column.fill_null(pa.scalar(0, pa.int64()).cast(_countable(kind)).cast(kind))
        whole = ticks.cast(_countable(kind)).cast(pa.int64()).to_numpy(zero_copy_only=False)
        unit = "D" if pa.types.is_date32(kind) else getattr(kind, "unit", "ms")
        return Cells(in_unit(whole, unit, like.source.unit), known)
    raise ValueError(f"must hold cells of the sort {sort!r}. Received: {kind}")


def _zeros(column: Any) -> np.ndarray:
    return np.zeros(len(column), np.int64)


def _countable(kind: Any) -> Any:
    """Returns the integers that a type of moments is stored as."""
    return pa.int32() if pa.types.is_date32(kind) or pa.types.is_time32(kind) else pa.int64()


def _are_ticks(kind: Any, sort: str) -> bool:
    is_day = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    fits = {
        "moment": is_day,
        "date": is_day,
        "duration": pa.types.is_duration(kind),
        "time": pa.types.is_time(kind),
    }
    return fits[sort]


def _numbers(column: Any, known: np.ndarray, sort: str) -> np.ndarray:
    """Returns numbers as a column has them: whole ones as int64, where that holds them all."""
    if pa.types.is_integer(column.type) and column.type != pa.uint64():
        return column.fill_null(0).cast(pa.int64()).to_numpy()
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    values = np.where(known, values, 0.0)
    is_whole = np.all(np.abs(values) < _EXACT) and np.all(values == np.rint(values))
    return values.astype(np.int64) if sort == "integer" and is_whole else values


def _objects(column: Any, like: Column) -> np.ndarray:
    """Returns texts, truth values and whatever else has a class each, as objects."""
    own, kind = _type_of(like), column.type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if is_text != pa.types.is_string(own) or not (is_text or _is_number(kind)):
        raise ValueError(f"must hold cells of the type {own}. Received: {kind}")
    if pa.types.is_boolean(own) and not pa.types.is_boolean(kind):
        others = set(column.unique().to_pylist()) - {0, 1, None}
        if others:
            raise ValueError(f"must hold true and false. Received: {others.pop()!r}")
    coded = column.cast(own).combine_chunks().dictionary_encode()
    values = np.empty(len(coded.dictionary) + 1, object)  # the last one is None
    values[:-1] = coded.dictionary.to_pylist()
    return values[coded.indices.fill_null(len(values) - 1).to_numpy()]


def _type_of(column: Column) -> Any:
    source = column.source
    plain = {"integer": pa.int64(), "real": pa.float64(), "boolean": pa.bool_()}
    if source.sort in plain:
        return plain[source.sort]
    if source.sort == "date":
        return pa.date32()
    if source.sort == "duration":
        return pa.duration(_unit(source.unit))
    if source.sort == "time":
        fine = source.unit in ("us", "ns")
        return pa.time64(source.unit) if fine else pa.time32(_unit(source.unit))
    if source.sort == "moment":
        return pa.timestamp(_unit(source.unit), "UTC" if "," in source.dtype else None)
    kinds = {type(value) for value in _values_of(column) if value is not None}
    if len(kinds) == 1:
        (kind,) = kinds
        return {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}.get(kind, pa.string())
    return pa.string()


def _unit(unit: str) -> str:
    return "s" if unit == "D" else unit


def _values_of(column: Column) -> list[Any]:
    """Returns what cells of a column of texts or categories may be."""
    if isinstance(column, Classes):
        return column.values
    if isinstance(column, Dependent):
        return [value for _, value in column.table]
    if isinstance(column, Constant):
        return [column.value]
    if isinstance(column, Identifier) and column.prefix is None:
        return [column.start]
    return list(column.source.categories or [])


def _array(cells: Cells, like: Column, own: Any) -> Any:
    absent = ~cells.known
    if not cells.known.any():
        return pa.nulls(len(absent), own)
    if like.source.sort in _OBJECTS:
        objects = cells.objects()
        if pa.types.is_string(own):
            objects = np.array([v if v is None else str(v) for v in objects.tolist()], object)
        return pa.array(objects, own)
    values = np.where(cells.known, cells.values, 0)
    if like.source.sort == "real":
        return pa.array(values.astype(np.float64), own, mask=absent)
    ticks = values.astype(np.int64)
    if like.source.sort == "integer":
        return pa.array(ticks, own, mask=absent)
    ticks = in_unit(ticks, like.source.unit, getattr(own, "unit", "D"))
    stored = _countable(own)
    return pa.array(ticks, pa.int64(), mask=absent).cast(stored).cast(own)
