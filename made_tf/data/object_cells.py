"""Columns of Python objects as `Cells`."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np

from made_tf.data.optional import optional_module
from made_tf.data.series import Series
from made_tf.portable.schema import Cells, Source

__all__ = ["days_of", "reals", "series_of_objects"]

_MIDNIGHT = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_LONG = 2**63
_REMEDIES = {
    "bytes": "Decode it to texts",
    "Period": "Make moments of it (dt.to_timestamp), or texts",
    "list": "Make a column of each item, or leave it out",
    "dict": "Make a column of each entry, or leave it out",
}


def series_of_objects(values: list, dtype: str, nothing: str = "") -> Series:
    """Returns a column of Python objects of one kind.

    Raises:
        ValueError: if they are of several kinds, or of one that is not known; without a subject.
    """
    pandas = optional_module("pandas", "pandas", "tables")
    objects = np.empty(len(values), object)
    objects[:] = [value.item() if isinstance(value, np.generic) else value for value in values]
    known = ~np.asarray(pandas.isna(objects), bool)
    objects[~known] = None
    plain = objects[known].tolist()

    def all_are(*kinds: type) -> bool:
        return all(isinstance(value, kinds) for value in plain)

    def ticks(numbers: list[int], sort: str, unit: str) -> Series:
        found = np.zeros(len(values), np.int64)
        found[known] = numbers
        return Series(Source(sort, dtype, unit, nothing=nothing), Cells(found, known))

    if all_are(bool) or all_are(str):
        sort = "boolean" if plain and all_are(bool) else "text"
        return Series(Source(sort, dtype, nothing=nothing), Cells(objects, known))
    is_number = all_are(int, float) and not any(isinstance(value, bool) for value in plain)
    if is_number and all_are(int):
        if not all(-_LONG <= value < _LONG for value in plain):
            raise ValueError("has whole numbers from 2^63 on. Read it as text, or leave it out")
        return ticks(plain, "integer", "")
    if is_number or all_are(decimal.Decimal):
        found = np.full(len(values), np.nan)
        found[known] = [float(value) for value in plain]
        return reals(found, f"{dtype}[Decimal]" if not is_number else dtype, nothing)
    if all_are(datetime.datetime):
        if any(value.tzinfo is not None or getattr(value, "nanosecond", 0) for value in plain):
            raise ValueError(
                "has moments with a time zone or nanoseconds as objects. Make it a column of "
                "moments (pandas.to_datetime, with utc=True for several zones)"
            )
        return ticks([(value - _MIDNIGHT) // _MICROSECOND for value in plain], "moment", "us")
    if all_are(datetime.date) and not any(isinstance(v, datetime.datetime) for v in plain):
        return ticks(days_of(plain), "date", "D")
    if all_are(datetime.time):
        if any(value.tzinfo is not None for value in plain):
            raise ValueError("has times with a time zone. Convert it to times without")
        seconds = [(t.hour * 60 + t.minute) * 60 + t.second for t in plain]
        own = zip(seconds, plain, strict=True)
        return ticks([each * 10**6 + t.microsecond for each, t in own], "time", "us")
    if all_are(datetime.timedelta):
        if any(getattr(value, "nanoseconds", 0) for value in plain):
            raise ValueError(
                "has durations with nanoseconds as objects. Make it a column of durations "
                "(pandas.to_timedelta)"
            )
        return ticks([value // _MICROSECOND for value in plain], "duration", "us")
    kinds = sorted({type(value).__name__ for value in plain})
    remedy = _REMEDIES.get(kinds[0], "Convert it to one known kind")
    raise ValueError(f"has cells of the kind(s) {', '.join(kinds)}. {remedy}")


def reals(values: np.ndarray, dtype: str, nothing: str = "") -> Series:
    """Returns a column of numbers, NaN where nothing is known.

    Raises:
        ValueError: if there are infinite ones; without a subject.
    """
    if np.isinf(values).any():
        row = int(np.argmax(np.isinf(values)))
        raise ValueError(
            f"has {np.isinf(values).sum()} infinite number(s), the first in row {row + 1}. Replace "
            "them, by a missing cell if nothing is known"
        )
    known = ~np.isnan(values)
    cells = Cells(np.where(known, values, 0.0), known)
    return Series(Source("real", dtype, nothing=nothing), cells)


def days_of(dates: list[Any]) -> list[int]:
    """Returns how many days after 1970-01-01 dates are."""
    return [date.toordinal() - _EPOCH for date in dates]
