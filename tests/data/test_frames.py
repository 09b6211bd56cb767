"""Frames of every library: each type of column goes in and comes out, others are refused."""

import datetime
import decimal
import json

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import round_trips

from made_tf.data.frames import frame_of, library_of, read_columns, read_frame, take_rows
from made_tf.portable.schema import Source


def back(frame):
    """A frame, by way of its cells and of its sources in a file."""
    found = read_frame("frame", frame)
    cells = {name: series.cells for name, series in found.items()}
    texts = {name: json.dumps(vars(series.source)) for name, series in found.items()}
    sources = {name: Source(**json.loads(text)) for name, text in texts.items()}
    return frame_of(cells, sources, library_of(frame), getattr(frame, "index", None))


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("key", round_trips.PANDAS)
def test_each_type_of_pandas_returns(key, gaps, seed):
    column = round_trips.pandas_column(key, np.random.default_rng(seed), 50, gaps)
    frame = pandas.DataFrame({"a": column})
    round_trips.assert_same(frame, back(frame))


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("key", round_trips.POLARS)
def test_each_type_of_polars_returns(key, gaps, seed):
    column = round_trips.polars_column(key, np.random.default_rng(seed), 50, gaps)
    frame = polars.DataFrame({"a": column})
    round_trips.assert_same(frame, back(frame))


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("key", round_trips.ARROW)
def test_each_type_of_arrow_returns(key, gaps, seed):
    column = round_trips.arrow_column(key, np.random.default_rng(seed), 50, gaps)
    frame = pyarrow.table({"a": column})
    round_trips.assert_same(frame, back(frame))


@pytest.mark.parametrize(
    "column",
    [
        pandas.Series([None] * 3, dtype=object),
        pandas.Series([np.nan] * 3, dtype="float32"),
        pandas.Series([pandas.NaT] * 3),
        pandas.Series([pandas.NA] * 3, dtype="Int8"),
        pandas.Series([pandas.NA] * 3, dtype="string"),
        pandas.Series([None] * 3, dtype="category"),
        pandas.Series(pandas.Categorical([None] * 3, ["x", "y"], ordered=True)),
        pandas.Series([None] * 3, dtype="duration[s][pyarrow]"),
        pandas.Series([None] * 3, dtype=pandas.ArrowDtype(pyarrow.null())),
        pandas.Series([decimal.Decimal("1.10"), None, decimal.Decimal(3)]),
        pandas.Series(
            [pandas.Timestamp("2020"), pandas.NaT, pandas.Timestamp("2021")], dtype=object
        ),
        pandas.Series([datetime.timedelta(-1, 3), None, datetime.timedelta(2)], dtype=object),
        pandas.Series(np.array(["0001-01-01", "20000-01-01", "NaT"], "M8[s]")),
        pandas.Series([-(2**63), 2**63 - 1, 0]),
        pandas.Series([1.5, -0.0, 1e300]),
        pandas.Series(["a", None, "b"], dtype=pandas.ArrowDtype(pyarrow.string())).astype(
            pandas.ArrowDtype(pyarrow.dictionary(pyarrow.int8(), pyarrow.string()))
        ),
    ],
    ids=lambda column: str(column.dtype),
)
def test_rare_columns_of_pandas_return(column):
    frame = pandas.DataFrame({"a": column})
    round_trips.assert_same(frame, back(frame))


@pytest.mark.parametrize(
    "table",
    [
        pyarrow.table({"a": pyarrow.nulls(3), "b": [1, 2, 3]}),
        pyarrow.table({"": ["x", "y", "x"]}),
        pyarrow.table(
            [pyarrow.array([1, 2])],
            schema=pyarrow.schema([pyarrow.field("a", pyarrow.int64(), nullable=False)]),
        ),
    ],
)
def test_rare_tables_of_arrow_return(table):
    round_trips.assert_same(table, back(table))


def test_nothing_is_no_category():
    table = pyarrow.table({"a": pyarrow.nulls(3).dictionary_encode()})
    assert read_frame("frame", table)["a"].source.categories == []
    assert back(table).to_pylist() == table.to_pylist()


def test_nan_of_polars_stays_where_there_is_no_null():
    frame = polars.DataFrame({"a": [1.5, float("nan")]})
    round_trips.assert_same(frame, back(frame))


def test_dst_is_no_matter():
    moments = pandas.date_range("2023-10-29", "2023-10-29 06:00", freq="17min", tz="Europe/Vienna")
    frame = pandas.DataFrame({"a": moments})
    round_trips.assert_same(frame, back(frame))


@pytest.mark.parametrize(
    "columns",
    [
        [0, 1],
        ["x", 1],
        pandas.MultiIndex.from_tuples([("a", "b"), ("a", "c")]),
        ["a.b", "'\"\n"],
    ],
)
def test_labels_and_index_return(columns):
    index = pandas.MultiIndex.from_product([["p", "q"], [1, 2]], names=["k", None])
    frame = pandas.DataFrame(np.arange(8.0).reshape(4, 2), index, columns)
    round_trips.assert_same(frame, back(frame))


def test_arrays_and_mappings_are_frames_of_pandas():
    assert list(read_frame("x", np.eye(2))) == ["x0", "x1"]
    found = read_frame("x", {"a": [1, None], 3: ["x", "y"]})
    assert list(found) == ["a", "3"]
    assert found["a"].cells.known.tolist() == [True, False]
    assert library_of({"a": [1]}) == library_of(np.eye(2)) == "pandas"


@pytest.mark.parametrize(
    "frame, message",
    [
        (None, "must be a data frame.*Received: NoneType"),
        ("file.csv", "Received: str"),
        (np.arange(3), "Received: ndarray"),
        (pandas.Series([1, 2]), "Received: Series"),
        (polars.LazyFrame({"a": [1]}), "Received: LazyFrame"),
        ([{"a": 1}], "Received: list"),
        ({"a": [1, 2], "b": [1]}, "lists of one length.*'a': 2, 'b': 1"),
        ({"a": 1}, "lists of one length"),
        ({"a": np.eye(2)}, "lists of one length"),
        (pandas.DataFrame(np.eye(2), columns=["a", "a"]), "different names.*'a'"),
        (pandas.DataFrame(np.eye(2), columns=["1", 1]), "different names.*'1'"),
        (pandas.DataFrame(np.eye(2), columns=["a", 1.5]), "texts or whole numbers.*1.5"),
        (
            pandas.DataFrame(np.eye(1), columns=pandas.to_datetime(["2020-01-01"])),
            "texts or whole numbers.*Timestamp",
        ),
        (
            pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([1])], ["a", "a"]),
            "different names.*'a'",
        ),
    ],
)
def test_what_is_no_frame_is_refused(frame, message):
    with pytest.raises(ValueError, match=f"(?s)`rows`.*{message}"):
        read_frame("rows", frame)


REFUSED = {
    "infinite": ([1.0, np.inf], "infinite.*row 2.*missing cell"),
    "mixed": ([1, "a"], "int, str"),
    "truth and number": ([True, 2], "bool, int"),
    "bytes": ([b"a", b"b"], "bytes.*texts"),
    "lists": ([[1], [2]], "list.*column of each item"),
    "dicts": ([{}, {"a": 1}], "dict.*column of each entry"),
    "complex": ([1j, 2.0], "complex"),
    "too large": (np.array([1, 2**63], np.uint64), "2\\^63.*text"),
    "much too large": ([1, 2**70], "2\\^63.*text"),
    "periods": (pandas.period_range("2020", periods=2, freq="M"), "Period.*to_timestamp"),
    "intervals": (pandas.cut([1, 2], 2), "categories.*astype"),
    "zones": (
        [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2020, 1, 2)],
        "zone.*to_datetime",
    ),
}


def test_all_columns_that_cannot_be_read_are_named_at_once():
    columns = {name: pandas.Series(values) for name, (values, _) in REFUSED.items()}
    frame = pandas.DataFrame({**columns, "fine": [1, 2]})
    with pytest.raises(ValueError, match="`X` has columns that cannot be read") as error:
        read_frame("X", frame)
    lines = str(error.value).splitlines()[1:]
    assert len(lines) == len(REFUSED)
    found, refused = read_columns("X", frame)
    assert list(found) == ["fine"]
    for name, (_, message) in REFUSED.items():
        with pytest.raises(ValueError, match=message):
            raise ValueError(refused[name])


@pytest.mark.parametrize(
    "frame",
    [
        polars.DataFrame({"a": [[1], [2]], "b": [1, 2**70]}, schema_overrides={"b": polars.Int128}),
        pyarrow.table({"a": pyarrow.array([[1], [2]]), "b": pyarrow.array([b"x", b"y"])}),
    ],
)
def test_other_libraries_refuse_likewise(frame):
    assert list(read_columns("x", frame)[1]) == ["a", "b"]


def test_rows_are_taken_by_place():
    rows = np.array([2, 0])
    index = pandas.DataFrame({0: [1, 2, 3]}, index=["x", "y", "z"])
    assert take_rows(index, rows).index.tolist() == ["z", "x"]
    assert take_rows(polars.DataFrame({"a": [1, 2, 3]}), rows)["a"].to_list() == [3, 1]
    assert take_rows(pyarrow.table({"a": [1, 2, 3]}), rows)["a"].to_pylist() == [3, 1]
    assert take_rows({"a": [1, 2, 3]}, rows)["a"].tolist() == [3, 1]
    assert take_rows(np.eye(3), rows).argmax(axis=1).tolist() == [2, 0]
