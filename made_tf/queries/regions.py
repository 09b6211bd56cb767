"""What each variable of a query may be, as numbers: sets as 0 and 1, intervals as their ends."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from made_tf.conditionals import MISSING, Conditionals
from made_tf.conditionals.regions import Region
from made_tf.models.density_model import DensityModel
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import BoolArray
from made_tf.queries.interval import Interval

__all__ = ["existing_choices", "regions_of_mappings", "restricted_variables"]


class _Place(NamedTuple):
    """Where a query says something: for messages."""

    argument: str
    query: int
    variable: int

    def refuse(self, expected: str, received: Any) -> ValueError:
        return ValueError(
            f"`{self.argument}` must {expected}. "
            f"Received: {self.variable}: {received!r} in query {self.query}"
        )


def regions_of_mappings(name: str, model: DensityModel, queries: Sequence[Any]) -> Region:
    """Returns what queries say, as arrays: `[queries, D, K]` and `[queries, D]` twice.

    Args:
        name: the argument's name, for messages.
        model: the model.
        queries: for each query, variable (from 0) -> an `Interval`, or a list of values, of which
            one may be an `Interval`.

    Raises:
        ValueError: if there is no such variable or value, or a variable that has an interval of
            values alone gets several of them.
    """
    family = model.conditionals
    choices = family.choices()
    exists = _existing(choices)
    shape = len(queries), family.event_size
    region = Region(
        np.repeat(exists[None].astype(np.float32), len(queries), axis=0),
        np.full(shape, -np.inf, np.float32),
        np.full(shape, np.inf, np.float32),
    )
    for number, query in enumerate(queries):
        if not isinstance(query, Mapping):
            raise ValueError(
                f"`{name}` must be mappings of variables to the values that they may have. "
                f"Received: {query!r} as query {number}"
            )
        for variable, wanted in query.items():
            hint = f" for a variable (query {number})"
            place = _Place(name, number, integer(name, variable, 0, family.event_size, hint))
            own = choices[place.variable]
            allowed, low, high = _column_region(place, family, own, wanted)
            region.allowed[number, place.variable, : len(allowed)] = allowed
            region.low[number, place.variable] = low
            region.high[number, place.variable] = high
    return region


def existing_choices(model: DensityModel) -> BoolArray:
    """Returns which entries of `Region.allowed` each variable has, `[D, K]`; K is 1 at least."""
    return _existing(model.conditionals.choices())


def _existing(choices: list[npt.NDArray]) -> BoolArray:
    sizes = np.array([len(values) for values in choices])
    return np.arange(max(1, sizes.max())) < sizes[:, None]


def restricted_variables(model: DensityModel, region: Region) -> BoolArray:
    """Returns which variables may not have all their values: `[queries, D]`."""
    is_short = (existing_choices(model) & (region.allowed == 0)).any(axis=2)
    return is_short | (region.low > -np.inf) | (region.high < np.inf)


def _column_region(place: _Place, family: Conditionals, choices: npt.NDArray, wanted: Any):
    """Returns what one variable may be: 0 and 1 for its `choices`, and the ends on its line."""
    values, intervals = _values_and_intervals(place, family, choices, wanted)
    allowed = np.isin(choices, values)
    for interval in intervals:
        allowed |= interval.holds(choices) & (choices != np.float32(MISSING))
    if not family.is_line[place.variable]:
        return allowed, -np.inf, np.inf
    # Of points of a grid those count that no interval has already; a real number is no interval.
    is_point = family.is_discrete[place.variable]
    rest = values if is_point else values[~np.isin(values, choices)]
    rest = rest[_rows_of(family, place.variable, rest, family.on_line)]
    rest = [value for value in np.unique(rest) if not any(each.holds(value) for each in intervals)]
    if len(intervals) + len(rest) > 1 or (rest and not is_point):
        limit = "one Interval or one value" if is_point else "one Interval"
        expected = f"restrict variable {place.variable} to {limit}"
        raise place.refuse(f"{expected}: its values are too many for a set", wanted)
    if intervals:
        return allowed, *intervals[0].ends()
    return (allowed, rest[0], rest[0]) if rest else (allowed, np.inf, -np.inf)


def _values_and_intervals(place: _Place, family: Conditionals, choices: npt.NDArray, wanted: Any):
    """Returns the values, float32, and the intervals that a query names for a variable."""
    if isinstance(wanted, Interval):
        return np.zeros(0, np.float32), [wanted]
    if not isinstance(wanted, Iterable) or isinstance(wanted, str):
        raise place.refuse("give each variable an Interval or a list of values", wanted)
    wanted = list(wanted)
    intervals = [each for each in wanted if isinstance(each, Interval)]
    values = [each for each in wanted if not isinstance(each, Interval)]
    if not family.is_line[place.variable] and np.array_equal(choices, np.arange(len(choices))):
        hint = f" for a value of variable {place.variable} (query {place.query})"
        values = [integer(place.argument, value, 0, len(choices), hint) for value in values]
        return np.array(values, np.float32), intervals
    for value in values:
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            raise place.refuse("give each variable an Interval or a list of values", value)
    with np.errstate(over="ignore"):
        given = np.array(values, np.float64).astype(np.float32)
    for value in given[~_rows_of(family, place.variable, given, family.in_support)]:
        received = f"{value} for variable {place.variable} in query {place.query}"
        raise ValueError(family.refusal(f"`{place.argument}`", place.variable, received))
    return given, intervals


def _rows_of(family: Conditionals, variable: int, values: npt.NDArray, check: Any) -> BoolArray:
    """Applies a check of rows `[N, D]` to values of one variable, `[N]`."""
    if not len(values):
        return np.zeros(0, bool)
    rows = np.repeat(family.typical()[None], len(values), axis=0)
    rows[:, variable] = values
    return keras.ops.convert_to_numpy(check(rows))[:, variable]
