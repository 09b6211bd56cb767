"""Tests of moments: a text against a column, as boxes of the parts that a moment is cut into."""

from __future__ import annotations

import math
import re
import zoneinfo
from datetime import UTC, datetime, tzinfo
from typing import Any

import numpy as np

from made_tf.portable.schema.moments import PARTS, UNITS, Moments
from made_tf.queries.interval import Interval
from made_tf.tables.conditions import COMPARED

__all__ = ["moment_of", "moments_beside"]

_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOSECONDS = 86_400 * 10**9  # a day has
#: Between two ticks of a column: what compares so with the tick below.
_BETWEEN = {"<": "<=", "<=": "<=", ">": ">", ">=": ">"}

_Part = dict[int, list[Any]]


def moment_of(column: Moments, text: str) -> tuple[int, int]:
    """Reads a moment in a column's unit, and how many nanoseconds more it is.

    A text without an offset is in the column's time zone, if it has one.

    Raises:
        ValueError: if it is no date `2026-01-31`, with or without a time `[T]07:30[:00[.5]]` and
            an offset from UTC, or has an offset and the column no time zone.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    day, time, fraction, offset = found.groups()
    moment = datetime.fromisoformat(f"{day}T{time or '00:00'}{(offset or '').replace('Z', '+00')}")
    zone = _zone(column.source.dtype)
    if offset and zone is None:
        raise ValueError(text)
    if not offset:
        moment = moment.replace(tzinfo=zone or UTC)
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    nanoseconds = seconds * 10**9 + int((fraction or "").ljust(9, "0"))
    return divmod(nanoseconds, _NANOSECONDS // UNITS[column.source.unit])


def _zone(dtype: str) -> tzinfo | None:
    """Returns the time zone that a type of pandas, polars or pyarrow names."""
    found = re.search(r"\[\w+, (?:tz=)?(?!None)(.+)\]", dtype)
    if found is None:
        return None
    fixed = re.search(r"[+-]\d\d:\d\d$", found[1])
    if fixed:
        return datetime.fromisoformat(f"1970-01-01T00:00{fixed[0]}").tzinfo
    return zoneinfo.ZoneInfo(found[1])


def moments_beside(column: Moments, side: str, moment: tuple[int, int]) -> list[_Part]:
    """Returns boxes of the parts of the moments that compare so with one, if there are any.

    What a model draws beyond the range of the data is drawn as the end of the range.

    Args:
        column: of moments.
        side: `"="`, `"<>"`, `"<"`, `"<="`, `">"` or `">="`.
        moment: of `moment_of`.
    """
    ticks, rest = moment
    if side == "<>":
        return [part for one in "<>" for part in moments_beside(column, one, moment)]
    if rest:
        if side == "=":
            return []
        side = _BETWEEN[side]
    low, high = column.low, column.high
    if side == "=":
        if not low <= ticks <= high:
            return []
        if low == high:
            return [{}]
        # The ends stand for all that is beyond them, too.
        side = {low: "<=", high: ">="}.get(ticks, "=")
    else:
        compared = COMPARED[side]
        if compared(low, ticks) and compared(high, ticks):
            return [{}]
        if not compared(low, ticks) and not compared(high, ticks):
            return []
    found = column.cut(np.array([ticks], np.int64))
    return _boxes(column, side, {part: int(values[0]) for part, values in found.items()})


def _boxes(column: Moments, side: str, own: dict[str, int]) -> list[_Part]:
    """Compares part by part: the first that differs decides."""
    found: list[_Part] = []
    equal: _Part = {}
    for number, part in enumerate(PARTS):
        start, end, target = column.starts[number], column.ends[number], own[part]
        if part not in column.parts:
            if start != target:
                if side != "=" and (start < target) is (side[0] == "<"):
                    found.append(equal)
                return found
            continue
        place = column.parts.index(part)
        code = (target - start) / column.steps[number]
        # Codes beyond the ends of a part are drawn as these.
        below = -math.inf if target <= start else math.ceil(code) - 1
        above = math.inf if target >= end else math.floor(code) + 1
        if side[0] == "<" and target > start:
            beside = Interval(high=math.inf if target > end else float(below))
            found.append({**equal, place: [beside]})
        if side[0] == ">" and target < end:
            beside = Interval(low=-math.inf if target < start else float(above))
            found.append({**equal, place: [beside]})
        if code != int(code) or not start <= target <= end:
            return found
        lowest = -math.inf if target == start else code
        equal = {**equal, place: [Interval(lowest, math.inf if target == end else code)]}
    return [*found, equal] if side in ("=", "<=", ">=") else found
