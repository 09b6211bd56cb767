"""Columns as numbers and back, without frames."""

import datetime
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_tf.portable.schema import Cells, Schema, Source, column_from
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.columns import MISSING, Constant, Identifier
from made_tf.portable.schema.durations import duration_text, time_text
from made_tf.portable.schema.facts import AtLeast, Dependent, Total, whole_range
from made_tf.portable.schema.moments import UNITS, Moments, cut, join
from made_tf.portable.schema.numbers import LARGEST_CODE, Numbers
from made_tf.portable.schema.plain import cells_of_list, list_of_cells

INTEGER, REAL, TEXT = Source("integer", "int64"), Source("real", "float64"), Source("text", "str")


def whole(name="n", low=0, high=9, **known):
    return Numbers(name, INTEGER, True, 1, low, 1, low, high, **known)


def there_and_back(column, values, known=None):
    cells = Cells.of(np.asarray(values)) if known is None else Cells(np.asarray(values), known)
    column = column_from(json.loads(json.dumps(column.to_dict())))
    x = column.encode(cells, {column.name: cells}).astype(np.float32)
    return column.decode(x.astype(np.float64), {})


LONG = st.integers(-(2**63), 2**63 - 1)


@given(start=LONG, step=st.integers(1, 2**40), codes=st.lists(st.integers(0, 2**20), min_size=1))
def test_whole_numbers_on_a_grid_are_exact(start, step, codes):
    values = [start + step * code for code in codes if start + step * code < 2**63]
    values = values or [start]
    column = Numbers("n", INTEGER, True, step, min(values), 1, min(values), max(values))
    assert there_and_back(column, np.array(values, np.int64)).values.tolist() == values


@given(LONG, LONG)
def test_the_ends_of_whole_numbers_are_exact(one, other):
    low, high = sorted((one, other))
    column = Numbers("n", INTEGER, True, 0, 0.0, 1, low, high)
    back = there_and_back(column, np.array([low, high], np.int64)).values
    if np.float32(low) != np.float32(high):
        assert back.tolist() == [low, high]
    assert low <= back.min()
    assert back.max() <= high


@given(st.integers(0, 6), st.lists(st.integers(-(2**21), 2**21), min_size=1))
def test_decimals_are_exact(digits, counts):
    values = [count / 10**digits for count in counts]
    low, high = min(values), max(values)
    column = Numbers("n", REAL, False, 1, min(counts), 10**digits, low, high)
    assert there_and_back(column, values).values.tolist() == values


def test_what_is_off_the_grid_or_far_has_no_code():
    column = Numbers("n", REAL, False, 5, 0, 100, 0.0, 10.0)
    codes = column.codes([0.05, 0.06, -0.05, 20.0, 1e9, 1e300, 0.05 + 1e-12])
    np.testing.assert_array_equal(codes, [1, np.nan, -1, 400, np.nan, np.nan, 1])
    assert whole().codes(np.array([LARGEST_CODE, LARGEST_CODE + 1, -(2**63)])).tolist()[0] > 0
    assert np.isnan(whole().codes(np.array([LARGEST_CODE + 1, -(2**63), 2**63 - 1]))).all()
    assert np.isnan(Numbers("n", REAL, False, 0, 0.0, 1, 0.0, 1.0).codes([1e31])).all()


def test_what_is_drawn_stays_in_the_range():
    x = np.array([[-1e9], [-3.0], [1e9], [MISSING]])
    cells = whole(missing=True).decode(x, {})
    assert cells.values[:3].tolist() == [0, 0, 9]
    assert cells.known.tolist() == [True] * 3 + [False]
    real = Numbers("n", REAL, False, 0, 5.0, 1, 5.0, 6.0)
    assert real.decode(np.array([[-2.0], [0.1], [3.0]]), {}).values.tolist() == [5.0, 5.1, 6.0]


@given(LONG, st.sampled_from(sorted(UNITS)), st.sampled_from(["moment", "duration"]))
def test_parts_of_moments_are_exact(moment, unit, sort):
    moment = np.array([moment // 2])
    source = Source(sort, "", unit)
    parts = cut(moment, source)
    assert join(parts, source) == moment
    assert 0 <= parts["weekday"][0] < 7
    assert 0 <= parts["second"][0] < 86_400
    assert 0 <= parts["fraction"][0] < 10**6
    assert 0 <= parts["nanosecond"][0] < 1000


def test_weeks_begin_on_mondays_and_durations_anywhere():
    monday = np.array(
        [datetime.date(2024, 1, 1).toordinal() - datetime.date(1970, 1, 1).toordinal()]
    )
    assert cut(monday, Source("date", "", "D"))["weekday"] == 0
    assert cut(np.array([7]), Source("duration", "", "D"))["week"] == 1


def moments(**known):
    parts = ["week", "weekday"]
    return Moments(
        "t",
        Source("date", "", "D"),
        parts,
        [0, 0, 0, 0, 0],
        [9, 6, 0, 0, 0],
        [1] * 5,
        0,
        60,
        **known,
    )


def test_a_moment_of_no_table_has_no_code():
    column = Moments(
        "t",
        Source("moment", "", "s"),
        ["week"],
        [0, 3, 0, 0, 0],
        [9, 3, 0, 0, 0],
        [2, 1, 1, 1, 1],
        0,
        10**7,
    )
    values = np.array([0, 14 * 86_400, 7 * 86_400, 1, 86_400])
    x = column.encode(Cells.of(values), {})
    np.testing.assert_array_equal(x[:, 0], [0, 1, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    "value", ["x", True, 2**62 + 1, -(2**63), 1_600_000_000_123_456_789, 0.1, None]
)
def test_constants_are_exact(value):
    column = column_from(json.loads(json.dumps(Constant("c", TEXT, value).to_dict())))
    cells = column.decode(np.zeros((3, 0)), {})
    assert cells.objects().tolist() == [value] * 3
    assert column.agrees(cells, {}).all()
    other = Cells.of(np.array(["other"] * 3, object))
    assert not column.agrees(other, {}).any()


def test_classes_and_those_that_never_came():
    column = Classes("c", TEXT, ["a", "b"], missing=True)
    cells = Cells(np.array(["b", "a", None, "z"], object), np.array([True, True, False, True]))
    x = column.encode(cells, {})
    np.testing.assert_array_equal(x[:, 0], [1, 0, 2, np.nan])
    assert column.decode(x[:3], {}).objects().tolist() == ["b", "a", None]
    grades = Classes("c", TEXT, ["a", "b"], ordered=True, missing=True)
    assert grades.num_classes == 2
    assert grades.encode(cells, {})[2, 0] == MISSING
    assert grades.decode(grades.encode(cells, {})[:3], {}).objects().tolist() == ["b", "a", None]


def test_identifiers_are_new():
    numbers = Identifier("i", INTEGER, None, 7).decode(np.zeros((2, 0)), {})
    names = Identifier("i", TEXT, "i-", 1).decode(np.zeros((2, 0)), {})
    assert numbers.values.tolist() == [7, 8]
    assert names.values.tolist() == ["i-1", "i-2"]


def test_whole_ranges_of_types():
    ranges = {
        "int8": (-128, 127),
        "UInt8": (0, 255),
        "int16[pyarrow]": (-(2**15), 2**15 - 1),
        "uint64": (0, 2**63 - 1),
        "Int64": (-(2**63), 2**63 - 1),
        "Int128": (-(2**63), 2**63 - 1),
        "float64": (-(2**63), 2**63 - 1),
    }
    for dtype, expected in ranges.items():
        assert whole_range(Source("integer", dtype)) == expected


def test_a_total_leaves_the_rest_to_its_last_part():
    total = Total("t", INTEGER, ["a", "b"], ["c"], whole("t"))
    part = {name: Cells.of(np.array([1, 2, 3])) for name in "abc"}
    known = np.array([True, True, False])
    was = {"t": Cells(np.array([10, 11, 12]), known), "a": part["a"]}
    table = {**part, "t": was["t"]}
    table |= total.settled(was, table, table)
    assert table["a"].values.tolist() == [1, 2, 3]
    assert table["b"].values.tolist() == [1, 2, 3]
    assert table["c"].values.tolist() == [-8, -7, 3]
    assert total.agrees(was["t"], table)[:2].all()


def test_what_an_end_began_from_lies_as_far_before_as_drawn():
    above = AtLeast("end", INTEGER, "start", whole("end - start"))
    drawn = {"start": Cells.of(np.array([1, 1])), "end": Cells.of(np.array([4, 1]))}
    was = {"end": Cells.of(np.array([10, 20]))}
    found = above.settled(was, {**drawn, **was}, drawn)
    assert found["start"].values.tolist() == [7, 20]
    spans = Moments(
        "d", Source("duration", "", "s"), ["second"], [0] * 5, [0, 0, 9, 0, 0], [1] * 5, 0, 9
    )
    above = AtLeast("end", Source("moment", "", "s"), "start", spans)
    assert above.settled(was, {**drawn, **was}, drawn)["start"].values.tolist() == [7, 20]


def test_differences_are_exact_where_floats_are_not():
    above = AtLeast("end", REAL, "start", Numbers("d", REAL, False, 1, 0, 10, 0.0, 1.0), 10)
    start, end = Cells.of(np.array([0.1, 0.2, 0.3])), Cells.of(np.array([0.3, 0.3, 0.4]))
    x = above.encode(end, {"start": start})
    np.testing.assert_array_equal(x[:, 0], [2, 1, 1])
    assert above.decode(x, {"start": start}).values.tolist() == [0.3, 0.3, 0.4]
    below = Cells.of(np.array([0.0, 0.3, 0.4]))
    assert above.agrees(below, {"start": start}).tolist() == [False, True, True]
    between = above.encode(Cells.of(start.values + 0.15), {"start": start})
    assert np.isnan(between).all()


def schema():
    return Schema(
        [
            Dependent("name", TEXT, "code", [[1, "x"], [2, "y"], [None, "none"]]),
            whole("code", 1, 2, missing=True),
            Total("sum", INTEGER, ["code", "more"], [], whole("sum", 0, 99)),
            whole("more"),
            AtLeast("high", INTEGER, "more", whole("high - more")),
            moments(),
            Constant("same", TEXT, "s"),
        ],
        "pandas",
        9,
    )


def test_schemas_decode_what_others_need_first():
    table = schema().decode([[1, 3, 4, 0, 0], [MISSING, 0, 0, 1, 1]])
    assert list(table) == schema().names
    assert table["name"].objects().tolist() == ["y", "none"]
    assert table["sum"].objects().tolist() == [5, None]
    assert table["high"].values.tolist() == [7, 0]
    assert schema().agrees(table).all()
    assert schema().variables == ["code", "more", "high - more", "t: week", "t: weekday"]
    assert schema().owners == ["code", "more", "high", "t", "t"]
    again = Schema.from_dict(json.loads(json.dumps(schema().to_dict())))
    assert again.to_dict() == schema().to_dict()
    assert str(again) == str(schema())


def test_schemas_that_cannot_be():
    with pytest.raises(ValueError, match=r"different names. Received: \['n', 'n'\]"):
        Schema([whole(), whole()])
    with pytest.raises(ValueError, match=r"circle. Received: \{'a': \['b'\], 'b': \['a'\]\}"):
        Schema([Dependent("a", TEXT, "b", []), Dependent("b", TEXT, "a", [])])
    with pytest.raises(ValueError, match=r"no column 'z'. It has: \['n'\]"):
        Schema([whole()]).column("z")
    with pytest.raises(ValueError, match="format 1. Received: 2"):
        Schema.from_dict({**schema().to_dict(), "format": 2})
    for damaged in ({"format": 1}, {**schema().to_dict(), "columns": 3}):
        with pytest.raises(ValueError, match="The schema is damaged"):
            Schema.from_dict(damaged)
    with pytest.raises(ValueError, match="Received: kind='odd'"):
        column_from({"kind": "odd"})
    content = whole().to_dict()
    del content["low"]
    with pytest.raises(ValueError, match="column 'n' is damaged"):
        column_from(content)


def test_lists_are_cells():
    when = datetime.datetime(2020, 2, 29, 1, 2, 3, 4)
    zone = datetime.timezone(datetime.timedelta(hours=1))
    for source, values, written in [
        (INTEGER, [1, None, -5], None),
        (REAL, [1.5, None, 2], [1.5, float("nan"), 2]),
        (TEXT, ["a", None], None),
        (Source("boolean", ""), [True, None], None),
        (Source("date", "", "D"), [when.date(), None], [when.date(), None]),
        (Source("date", "", "D"), [when.date()], ["2020-02-29"]),
        (Source("moment", "", "ns"), [when, None], None),
        (Source("moment", "", "us"), [when], [when.isoformat()]),
        (
            Source("moment", "", "us"),
            [when - datetime.timedelta(hours=1)],
            [when.replace(tzinfo=zone)],
        ),
        (Source("moment", "", "s"), [when.replace(microsecond=0)], [when]),
        (Source("moment", "", "us"), [datetime.datetime(2020, 2, 29)], [when.date()]),
        (Source("time", "", "us"), [when.time(), None], None),
        (Source("duration", "", "ms"), [datetime.timedelta(-1, 3), None], None),
    ]:
        cells = cells_of_list(values if written is None else written, source)
        assert list_of_cells(cells, source) == values


@pytest.mark.parametrize(
    "source, value",
    [
        (INTEGER, "1"),
        (INTEGER, 2**70),
        (REAL, "x"),
        (Source("date", "", "D"), 3),
        (Source("date", "", "D"), "yesterday"),
        (Source("moment", "", "us"), datetime.timedelta(1)),
        (Source("date", "", "D"), datetime.datetime(2020, 1, 1, 10)),
        (TEXT, ["a"]),
        (Source("duration", "", "us"), 5.0),
        (Source("duration", "", "us"), "x"),
    ],
)
def test_lists_of_another_sort_are_refused(source, value):
    with pytest.raises(ValueError, match=f"sort '{source.sort}'. Received: .* in row 1"):
        cells_of_list([None, value], source)


def test_a_list_of_whole_numbers_keeps_those_that_are_none():
    source = Source("integer", "int64")
    assert cells_of_list([1, None, 2.0], source).values.dtype == np.int64
    cells = cells_of_list([1, None, 2.5], source)
    assert cells.known.tolist() == [True, False, True]
    assert cells.values[[0, 2]].tolist() == [1.0, 2.5]


def test_identifiers_are_those_of_the_rows_numbers():
    column = Identifier("id", Source("text", "str"), "r", 40)
    schema = Schema([column, Classes("c", Source("text", "str"), ["a", "b"])])
    x = np.zeros((3, 1))
    assert schema.decode(x)["id"].values.tolist() == ["r40", "r41", "r42"]
    assert schema.decode(x, np.array([7, 2, 9]))["id"].values.tolist() == ["r47", "r42", "r49"]


@pytest.mark.parametrize(
    ("ticks", "unit", "text"),
    [
        (12_000_000_000, "us", "3 h 20 min"),
        (60, "s", "1 min"),
        (0, "D", "0 s"),
        (-2, "D", "-2 d"),
        (1500, "ms", "1.5 s"),
        (93_784_000_000_001, "ns", "1 d 2 h 3 min 4.000000001 s"),
    ],
)
def test_durations_are_told_in_words(ticks, unit, text):
    assert duration_text(ticks, unit) == text


def test_times_of_day_are_told_as_on_clocks():
    texts = [time_text(*each) for each in ((30_600, "s"), (61_501_500, "ms"), (0, "us"))]
    assert texts == ["08:30", "17:05:01.5", "00:00"]
