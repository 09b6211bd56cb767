"""Conditions on moments: the boxes against the moments that their codes are drawn as."""

import operator

import numpy as np
import pandas as pd
import polars
import pytest
from example_tables import rides

from made_tf.data.table_schema import TableSchema
from made_tf.tables.moment_tests import moment_of, moments_beside

COMPARED = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def column_of(values):
    return TableSchema.infer(pd.DataFrame({"t": values})).column("t")


def inside(boxes, x):
    """Returns in how many boxes each row of codes lies, `[N]`."""
    found = np.zeros(len(x), int)
    for box in boxes:
        within = np.ones(len(x), bool)
        for place, (interval,) in box.items():
            within &= (x[:, place] >= interval.low) & (x[:, place] <= interval.high)
        found += within
    return found


@pytest.mark.parametrize("resolution", ["min", "D", "37s"])
def test_boxes_hold_the_codes_that_are_drawn_as_such_moments(resolution):
    rng = np.random.default_rng(0)
    moments = pd.Series(rides()["pickup"].dt.floor(resolution))
    column = column_of(moments)
    ends = column.encode(column_cells(moments), {}).max(axis=0)
    x = rng.integers(-2, ends + 3, (500, len(ends))).astype(float)  # beyond the ends, too
    drawn = pd.to_datetime(column.decode(x, {}).values.astype(f"M8[{column.source.unit}]"))
    asked = [moments.min(), moments.max(), *moments.sample(20, random_state=0)]
    asked += [moment + pd.Timedelta("1s") for moment in asked]
    asked += [pd.Timestamp("1000-01-01"), pd.Timestamp("9999-01-01"), pd.Timestamp("2019-03-20")]
    for moment in asked:
        for side, compared in COMPARED.items():
            found = inside(moments_beside(column, side, moment_of(column, str(moment))), x)
            expected = compared(drawn, moment)
            np.testing.assert_array_equal(found, expected, err_msg=f"{side} {moment}")


def column_cells(values):
    from made_tf.portable.schema import Cells

    ticks = values.to_numpy().astype(np.int64)
    return Cells(ticks, np.ones(len(values), bool))


def test_what_lies_within_a_day_is_beside_dates():
    days = polars.Series(pd.date_range("2019-03-01", periods=60)).cast(polars.Date)
    column = TableSchema.infer(polars.DataFrame({"t": days, "k": [0, 1, 1] * 20})).column("t")
    assert column.source.unit == "D"
    day, rest = moment_of(column, "2019-03-05 07:00")
    assert (day, rest) == ((pd.Timestamp("2019-03-05") - pd.Timestamp(0)).days, 7 * 3600 * 10**9)
    before, until = (
        moments_beside(column, side, (day, own)) for side, own in (("<", rest), ("<=", 0))
    )
    assert before == until
    assert moments_beside(column, "=", (day, rest)) == []


@pytest.mark.parametrize("zone", ["Europe/Paris", "UTC", "+01:00"])
def test_texts_are_in_the_columns_time_zone(zone):
    moments = pd.Series(pd.date_range("2019-03-01", periods=60, freq="h", tz=zone))
    column = column_of(moments)
    text = "2019-03-02 05:00"
    own = moment_of(column, text)
    assert own == moment_of(column, str(pd.Timestamp(text, tz=zone)))
    assert own == moment_of(column, pd.Timestamp(text, tz=zone).tz_convert("UTC").isoformat())
    unit = pd.Timedelta(1, column.source.unit)
    assert own[0] == (pd.Timestamp(text, tz=zone) - pd.Timestamp(0, tz="UTC")) // unit


@pytest.mark.parametrize(
    "text", ["", "soon", "now", "today", "NaT", "20190305", "2019-02-30", "2019-03-05 07:00Z"]
)
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(ValueError):
        moment_of(column_of(rides()["pickup"]), text)
