"""`Cells` as lists of Python objects, as a device without data frames has them, and back."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np

from .cells import Cells, Source
from .moments import UNITS

__all__ = ["cells_of_list", "list_of_cells"]

_MIDNIGHT = datetime.datetime(1970, 1, 1)
_EPOCH = _MIDNIGHT.date().toordinal()
_TEXTS = ("boolean", "text", "category", "ordered")


def list_of_cells(cells: Cells, source: Source) -> list[Any]:
    """Returns cells as Python objects, `None` where they are missing.

    Moments are `datetime.datetime` in UTC without a zone, dates `datetime.date`, times
    `datetime.time`, durations `datetime.timedelta`; what is finer than a microsecond is cut off.
    """
    values = cells.objects().tolist()
    if source.sort in ("integer", "real", *_TEXTS):
        return values
    make = {"date": _date, "moment": _moment, "time": _time, "duration": _duration}[source.sort]
    return [None if value is None else make(int(value), source.unit) for value in values]


def cells_of_list(values: Sequence[Any], source: Source) -> Cells:
    """Returns Python objects as cells of a column.

    Dates, moments and times may be texts (ISO 8601).

    Raises:
        ValueError: if a cell is of another sort; without a subject.
    """
    known = np.array([not _is_missing(value) for value in values], bool)
    if source.sort in _TEXTS:
        objects = np.full(len(values), None, object)
        for row in np.flatnonzero(known).tolist():
            if not isinstance(values[row], str | bool | int | float):
                raise _wrong(source, values[row], row)
            objects[row] = values[row]
        return Cells(objects, known)
    read = {"integer": _number, "real": _number}.get(source.sort) or _ticks(source)
    # Whole numbers that are none stay what they are, for the column to see that it never had them.
    broken = source.sort == "integer" and any(_is_broken(value) for value in values)
    found = np.zeros(len(values), np.float64 if source.sort == "real" or broken else np.int64)
    for row in np.flatnonzero(known).tolist():
        try:
            found[row] = read(values[row])
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise _wrong(source, values[row], row) from error
    return Cells(found, known)


def _wrong(source: Source, value: Any, row: int) -> ValueError:
    return ValueError(
        f"must hold cells of the sort {source.sort!r}. Received: {value!r} in row {row}"
    )


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _is_broken(value: Any) -> bool:
    return isinstance(value, float) and value % 1 != 0 and not _is_missing(value)


def _number(value: Any) -> float:
    if isinstance(value, str):
        raise TypeError
    return value


def _ticks(source: Source):
    """Returns what reads one value in a column's unit."""
    a_day = UNITS[source.unit]

    def read(value: Any) -> int:
        if source.sort == "date":
            date = datetime.date.fromisoformat(value) if isinstance(value, str) else value
            if isinstance(date, datetime.datetime) and date.time() != datetime.time():
                raise ValueError
            return date.toordinal() - _EPOCH
        if source.sort == "moment":
            if isinstance(value, str):
                value = datetime.datetime.fromisoformat(value)
            if not isinstance(value, datetime.datetime):  # a date: its midnight
                value = datetime.datetime.fromisoformat(value.isoformat())
            if value.tzinfo is not None:
                value = value.astimezone(datetime.UTC).replace(tzinfo=None)
            away = value - _MIDNIGHT
        elif source.sort == "time":
            if isinstance(value, str):
                value = datetime.time.fromisoformat(value)
            away = datetime.datetime.combine(_MIDNIGHT, value) - _MIDNIGHT
        else:
            away = value
        micros = away // datetime.timedelta(microseconds=1)
        day = UNITS["us"]
        return micros * (a_day // day) if a_day >= day else micros // (day // a_day)

    return read


def _since(ticks: int, unit: str) -> datetime.timedelta:
    return datetime.timedelta(microseconds=ticks * UNITS["us"] // UNITS[unit])


def _date(ticks: int, unit: str) -> datetime.date:
    del unit
    return datetime.date.fromordinal(ticks + _EPOCH)


def _moment(ticks: int, unit: str) -> datetime.datetime:
    return _MIDNIGHT + _since(ticks, unit)


def _time(ticks: int, unit: str) -> datetime.time:
    return _moment(ticks, unit).time()


def _duration(ticks: int, unit: str) -> datetime.timedelta:
    return _since(ticks, unit)
