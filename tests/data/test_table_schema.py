"""What a frame is taken for, the way to numbers and back, and what a user says of it."""

import datetime
import re
import tomllib

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import round_trips
from hypothesis import given, settings
from hypothesis import strategies as st

from made_tf.data.constraints import FixedCombinations, Inequality, Sum, Unique
from made_tf.data.table_schema import TableSchema

pytestmark = pytest.mark.filterwarnings("ignore:Columns taken for identifiers")

N = 60
SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.integers(2, 60)


def kinds_of(frame, **known):
    return {column.name: column for column in TableSchema.infer(frame, **known).columns}


def assert_all_but_names_return(frame):
    """As it goes in, but for identifiers, which come out new."""
    schema, encoded, back = round_trips.there_and_back(frame)
    assert not encoded.new.any()
    assert not encoded.broken.any()
    kept = [column.name for column in schema.columns if column.kind != "identifier"]
    select = frame.select if not isinstance(frame, pandas.DataFrame) else frame.__getitem__
    again = back.select if not isinstance(back, pandas.DataFrame) else back.__getitem__
    round_trips.assert_same(select(kept), again(kept))


def sizes(keys):
    return st.lists(st.tuples(st.sampled_from(sorted(keys)), st.booleans()), max_size=5)


@settings(max_examples=60, deadline=None)
@given(keys=sizes(round_trips.PANDAS), count=COUNTS, seed=SEEDS)
def test_frames_of_pandas_return(keys, count, seed):
    rng = np.random.default_rng(seed)
    columns = {
        f"{place} {key}": round_trips.pandas_column(key, rng, count, gaps)
        for place, (key, gaps) in enumerate(keys)
    }
    columns["varies"] = pandas.Series(["x", "y"] * count)[:count]
    frame = pandas.DataFrame(columns).set_index(pandas.Index(rng.permutation(count), name="i"))
    assert_all_but_names_return(frame)


@settings(max_examples=30, deadline=None)
@given(keys=sizes(round_trips.POLARS), count=COUNTS, seed=SEEDS)
def test_frames_of_polars_return(keys, count, seed):
    rng = np.random.default_rng(seed)
    columns = {
        f"{place} {key}": round_trips.polars_column(key, rng, count, gaps)
        for place, (key, gaps) in enumerate(keys)
    }
    assert_all_but_names_return(
        polars.DataFrame({**columns, "varies": (["x", "y"] * count)[:count]})
    )


@settings(max_examples=30, deadline=None)
@given(keys=sizes(round_trips.ARROW), count=COUNTS, seed=SEEDS)
def test_tables_of_arrow_return(keys, count, seed):
    rng = np.random.default_rng(seed)
    columns = {
        f"{place} {key}": round_trips.arrow_column(key, rng, count, gaps)
        for place, (key, gaps) in enumerate(keys)
    }
    assert_all_but_names_return(pyarrow.table({**columns, "varies": (["x", "y"] * count)[:count]}))


def test_each_column_is_taken_for_what_it_is():
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "truth": rng.integers(0, 2, N).astype(bool),
            "town": rng.choice(["Ulm", "Graz", "Bern"], N),
            "grade": pandas.Categorical(rng.choice(["b", "a"], N), ["a", "b"], ordered=True),
            "count": rng.poisson(3, N),
            "cents": rng.integers(0, 300, N) / 100,
            "real": rng.normal(size=N),
            "day": pandas.Timestamp("2020") + pandas.to_timedelta(rng.integers(0, 99, N), unit="D"),
            "same": 7,
            "nothing": None,
            "customer_id": rng.permutation(N) + 100,
            "code": [f"#{number:04}" for number in range(N)],
        }
    )
    with pytest.warns(UserWarning, match="identifiers.*customer_id, code"):
        schema = TableSchema.infer(frame, find_facts=False)
    found = {column.name: column for column in schema.columns}
    assert [found[name].kind for name in frame] == (
        ["classes"] * 3 + ["numbers"] * 3 + ["moments"] + ["constant"] * 2 + ["identifier"] * 2
    )
    assert found["grade"].ordered
    assert not found["town"].ordered
    assert (found["cents"].step, found["cents"].denominator) == (1, 100)
    assert (found["real"].step, found["real"].family) == (0, "logistic_mixture")
    assert "7" in str(schema)
    drawn = schema.frame(schema.decode(schema.encode_frame(frame).x))
    assert not set(drawn["customer_id"]) & set(frame["customer_id"])
    assert drawn["code"].is_unique


def test_a_missing_cell_is_a_state_of_every_kind():
    frame = pandas.DataFrame(
        {
            "town": ["Ulm", None] * 10,
            "truth": pandas.array([True, False, None, None] * 5, "boolean"),
            "count": pandas.array([1, None] * 10, "Int64"),
            "real": np.where(np.arange(20) % 3, np.round(np.sqrt(np.arange(20)), 6), np.nan),
            "day": pandas.to_datetime(["2020-01-01", None, "2021-03-04", None] * 5),
            "varies": [1, 2, 3, 4] * 5,
        }
    )
    schema = round_trips.assert_returns(frame, find_facts=False)
    assert [column.missing for column in schema.columns] == [True] * 5 + [False]
    x, new, _ = schema.encode_frame(frame, absent_is_unknown=True)
    assert not new.any()
    assert np.isnan(x[:, :5]).any(axis=0).all()


def test_many_classes_are_classes():
    frame = pandas.DataFrame({"a": [f"c{number}" for number in range(10_000)] * 2})
    schema = round_trips.assert_returns(frame)
    assert schema.columns[0].num_classes == 10_000


def test_new_frames_are_read_by_name():
    frame = pandas.DataFrame({"a": [1, 2, 3, 4], "b": ["x", "y", "x", "x"]})
    schema = TableSchema.infer(frame)
    more = pandas.DataFrame({"z": [object()] * 4, "b": frame.b, "a": frame.a.astype("float32")})
    np.testing.assert_array_equal(schema.encode_frame(more).x, schema.encode_frame(frame).x)
    as_polars = polars.from_pandas(frame)[["b", "a"]]
    np.testing.assert_array_equal(schema.encode_frame(as_polars).x, schema.encode_frame(frame).x)
    with pytest.raises(ValueError, match=r"`X` must have the columns.*lacks \['b'\]"):
        schema.encode_frame(frame[["a"]], "X")
    assert np.isnan(schema.encode_frame(frame[["a"]], "X", absent_is_unknown=True).x[:, 1]).all()


def test_cells_that_the_table_never_had_are_told():
    frame = pandas.DataFrame(
        {
            "town": ["Ulm", "Graz"] * 10,
            "cents": np.arange(20) / 100,
            "day": pandas.date_range("2020", periods=20).repeat(1),
            "truth": [True, False] * 10,
            "same": "x",
        }
    )
    schema = TableSchema.infer(frame, find_facts=False)
    odd = frame.iloc[:5].copy()
    odd.loc[0, "town"] = "Bern"
    odd.loc[1, "cents"] = 0.005  # between two points
    odd.loc[2, "cents"] = 7.5  # a point, but none of the few that are classes
    odd.loc[3, "cents"] = np.nan
    odd.loc[4, "day"] = pandas.Timestamp("2020-01-01 10:00")
    odd.loc[0, "same"] = "y"
    x, new, broken = schema.encode_frame(odd)
    expected = np.zeros((5, 5), bool)
    expected[[0, 1, 2, 3, 4], [0, 1, 1, 1, 2]] = True
    np.testing.assert_array_equal(new, expected)
    assert np.isnan(x[0, 0])
    assert np.isnan(x[2, 1])
    np.testing.assert_array_equal(np.argwhere(broken), [[0, 4]])


@pytest.mark.parametrize(
    "own, other, message",
    [
        ([1, 2], ["x", "y"], "'integer'.*'text'.*Convert it to int64"),
        (["x", "y"], [1.5, 2.5], "'text'.*'real'"),
        (pandas.to_datetime(["2020", "2021"]), ["2020", "2021"], "'moment'.*'text'"),
        (pandas.to_timedelta([1, 2]), [1, 2], "'duration'.*'integer'"),
        ([1, 2], [b"x", b"y"], "bytes"),
    ],
)
def test_other_sorts_are_refused_by_name(own, other, message):
    schema = TableSchema.infer(pandas.DataFrame({"a": own, "b": ["x", "y"]}))
    with pytest.raises(ValueError, match=f"(?s)`new` has columns of another sort.*'a'.*{message}"):
        schema.encode_frame(pandas.DataFrame({"a": other, "b": ["x", "y"]}), "new")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_moments_in_other_units_are_the_same(unit):
    frame = pandas.DataFrame({"a": pandas.date_range("2020", periods=9, freq="37h", unit="s")})
    schema = TableSchema.infer(frame)
    x, _, _ = schema.encode_frame(frame.assign(a=frame.a.dt.as_unit(unit)))
    np.testing.assert_array_equal(x, schema.encode_frame(frame).x)
    fine = TableSchema.infer(frame.assign(a=frame.a.dt.as_unit("ns")))
    far = pandas.DataFrame(
        {"a": np.array(["9999-01-01"] * 9, f"M8[{'s' if unit == 'ns' else unit}]")}
    )
    assert fine.encode_frame(far).new.all()


def test_times_in_other_units_are_the_same():
    micros = pyarrow.array([datetime.time(hour, 30) for hour in range(9)], pyarrow.time64("us"))
    schema = TableSchema.infer(pyarrow.table({"a": micros}))
    x = schema.encode_frame(pyarrow.table({"a": micros.cast(pyarrow.time64("ns"))})).x
    np.testing.assert_array_equal(x, schema.encode_frame(pyarrow.table({"a": micros})).x)


TEXTS = [f"the {number} quick brown fox jumps" for number in range(40)]


def test_all_refusals_come_at_once_and_can_be_dropped():
    frame = pandas.DataFrame(
        {
            "note": TEXTS,
            "lists": [[1]] * 40,
            "huge": np.linspace(1e300, 1e301, 40),
            "tiny": np.linspace(1e-300, 1e-299, 40),
            "far": np.array([0, 1, 2**40, 2**62] * 10, "M8[s]"),
            "infinite": [np.inf] * 40,
            "fine": [1, 2] * 20,
        }
    )
    with pytest.raises(ValueError, match=r"^6 column\(s\)") as error:
        TableSchema.infer(frame)
    for name, remedy in {
        "note": "free text.*leave it out",
        "lists": "leave it out",
        "huge": "1e\\+301.*logarithm",
        "tiny": "1e-299.*multiply",
        "far": "40,000 years.*Replace",
        "infinite": "Replace",
    }.items():
        assert re.search(f"\n  column '{name}' .*{remedy}", str(error.value)), name
    schema = TableSchema.infer(frame, dict.fromkeys(frame.columns[:6], "drop"))
    assert schema.names == ["fine"]


@pytest.mark.parametrize("count", [0, 1])
def test_a_table_has_two_rows(count):
    with pytest.raises(ValueError, match=f"two rows at least. Received: {count}"):
        TableSchema.infer(pandas.DataFrame({"a": list(range(count))}))


def test_a_table_varies():
    with pytest.raises(ValueError, match="column that varies"):
        TableSchema.infer({"a": [1, 1], "b": [None, None]})


def test_what_is_said_is_done():
    frame = pandas.DataFrame(
        {
            "zip": [1, 2, 3, 4] * 10,
            "grade": ["low", "high", "mid", "low"] * 10,
            "name": list("abcd") * 10,
            "gone": range(40),
            "price": np.arange(40) * 1.5,
        }
    )
    said = {
        "zip": "category",
        "grade": {"order": ["low", "mid", "high"]},
        "name": "identifier",
        "gone": "drop",
        "price": {"kind": "number", "family": "binned"},
    }
    found = kinds_of(frame, overrides=said)
    assert list(found) == ["zip", "grade", "name", "price"]
    assert found["zip"].values == [1, 2, 3, 4]
    assert found["grade"].ordered
    assert found["grade"].values == ["low", "mid", "high"]
    assert found["price"].family == "binned"
    _, _, back = round_trips.there_and_back(frame, overrides=said)
    round_trips.assert_same(frame[["zip", "grade", "price"]], back[["zip", "grade", "price"]])


def test_few_numbers_on_a_grid_are_a_smooth_curve_and_those_with_a_spike_are_bins():
    rng = np.random.default_rng(0)
    heights = rng.normal(170, 20, 3200).round()
    doses = np.where(rng.random(3200) < 0.2, 0, rng.integers(40, 300, 3200))
    levels = np.sort(rng.integers(0, 10**6, 40))[rng.integers(0, 40, 3200)]  # of a fine grid few
    frame = pandas.DataFrame({"height": heights, "dose": doses, "level": levels})
    found = {count: kinds_of(frame[:count]) for count in (60, 2900, 3200)}
    assert [each["height"].family for each in found.values()] == [
        "discretized",
        "discretized",
        "binned",
    ]
    assert {found[count]["dose"].family for count in found} == {"binned"}
    assert {found[count]["level"].family for count in (2900, 3200)} == {"binned"}


@pytest.mark.parametrize(
    "said, message",
    [
        ({"b": "number"}, "names a column 'b'.*'a'"),
        ({"a": "nombre"}, "'a' must have a kind among.*'nombre'"),
        ({"a": {"family": "gamma"}}, "'a' must have a family among.*'gamma'"),
        ({"a": {"sort": "x"}}, "must say `kind`, `family` or `order`"),
        ({"a": 3}, "must say"),
        ({"a": {"order": [1, 1]}}, "order that lists different categories"),
        ({"a": {"order": "abc"}}, "order that lists different categories"),
        ({"a": {"order": []}}, "order that lists different categories"),
        ({"a": {"order": [[1]]}}, "order that lists different categories"),
        ({"a": {"order": [1, 2]}}, "none of the categories.*3"),
        ({"a": {"kind": "number", "order": [1, 2, 3]}}, "kind number, and has no order"),
        ({"a": {"kind": "category", "family": "binned"}}, "kind category, and has no family"),
        ({"a": "boolean"}, "not boolean: it has 3"),
        ({"a": "constant"}, "not constant: it has 3"),
        ({"a": "moment"}, "sort 'integer', which are no moment"),
        ({"none": "number"}, "no cell that is not missing"),
        ({"none": {"order": ["x"]}}, "no cell that is not missing"),
        ({"real": {"family": "ordinal"}}, "on no grid, which the family ordinal needs"),
        ("no such file.toml", "must be a TOML file.*no such file"),
        ({"constraints": ["a"]}, "constraints with a kind among inequality, sum.*'a'"),
        ({"constraints": [{"kind": "sums"}]}, "constraints with a kind among.*'sums'"),
        (
            {"constraints": [{"kind": "sum", "total": "a"}]},
            "constraint 'sum' by total, plus, minus",
        ),
        ({"constraints": [{"kind": "unique", "columns": [1]}]}, "constraint 'unique' by columns"),
        ({"constraints": [{"kind": "unique", "columns": "a", "rows": "b"}]}, "'unique' by columns"),
        ({"constraints": [{"kind": "inequality", "low": ["a"], "high": "real"}]}, "by low, high"),
        ({"constraints": [{"kind": "sum", "total": "a", "plus": "b"}]}, "needs lists of names"),
        (
            {"constraints": [{"kind": "unique", "columns": "b"}]},
            r"columns that are not there: \['b'",
        ),
        ({"constraints": [{"kind": "unique", "columns": ["a"]}]}, "3 of 27 rows are different"),
    ],
)
def test_what_cannot_be_said(said, message):
    frame = pandas.DataFrame({"a": [1, 2, 3] * 9, "real": np.random.default_rng(0).normal(size=27)})
    with pytest.raises(ValueError, match=f"(?s){message}"):
        TableSchema.infer(frame.assign(none=None), said)


def test_a_file_of_overrides_says_the_same(tmp_path):
    rng = np.random.default_rng(0)
    code = rng.integers(0, 4, 200)
    frame = pandas.DataFrame(
        {
            "code": code,
            'a "name" = [x].y\n\x7fü': np.array(["Ulm", "Graz", "Bern", "Köln"])[code],
            "grade": pandas.Categorical(rng.choice(["b", "a"], 200), ["a", "b"], ordered=True),
            "day": pandas.Timestamp("2020") + pandas.to_timedelta(rng.integers(0, 99, 200), "D"),
            "net": rng.integers(0, 500, 200),
            "tax": rng.integers(0, 500, 200),
            "same": 1,
        }
    )
    frame["gross"] = frame.net + frame.tax
    schema = TableSchema.infer(frame)
    assert [column.kind for column in schema.columns].count("dependent") == 1
    assert schema.column("gross").kind == "total"
    path = tmp_path / "schema.toml"
    schema.to_toml(path)
    assert "day" in tomllib.loads(path.read_text(encoding="utf-8"))
    assert TableSchema.infer(frame, path).to_dict() == schema.to_dict()


def test_a_file_says_what_holds_in_all_rows(tmp_path):
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "town": rng.choice(["Ulm", "Bonn", "Graz"], 80),
            "seat": np.arange(80) % 40,
            "day": np.arange(80) // 40,
            "low": rng.normal(size=80),
            "constraints": rng.normal(size=80),  # a column of this name may be there
            "net": rng.integers(0, 9, 80),
            "off": rng.integers(0, 9, 80),
        }
    )
    frame["country"] = np.where(frame["town"] == "Graz", "Austria", "Germany")
    frame["high"] = frame["low"] + rng.gamma(1, 4, 80)
    frame["paid"] = frame["net"] - frame["off"]
    said = [
        FixedCombinations(["town", "country"]),
        Unique(["seat", "day"]),
        Inequality("low", "high"),
        Sum("paid", ["net"], ["off"]),
    ]
    path = tmp_path / "schema.toml"
    schema = TableSchema.infer(frame, constraints=said, find_facts=False)
    schema.to_toml(path)
    assert TableSchema.infer(frame, path, find_facts=False).to_dict() == schema.to_dict()
    text = path.read_text(encoding="utf-8")
    assert 'kind = "sum"\ntotal = "paid"\nplus = ["net"]\nminus = ["off"]\n' in text
    kinds = {own["kind"] for own in tomllib.loads(text)["constraints_"]}
    assert kinds == {"sum", "inequality", "fixed_combinations", "unique"}
    frame.loc[7, "paid"] += 1
    with pytest.raises(ValueError, match=r"(?s)Sum.*does not hold in 1 of 80 rows.*row 7"):
        TableSchema.infer(frame, path)
    alone = {"constraints": [{"kind": "sum", "total": "high", "plus": ["low"]}]}
    with pytest.raises(ValueError, match="Sum.*'high'.*does not hold in 80 of 80 rows"):
        TableSchema.infer(frame, alone)


def test_constraints_are_checked():
    frame = pandas.DataFrame(
        {
            "a": [1, 2, 3, 4] * 5,
            "b": [2, 3, 4, 5] * 5,
            "c": [3, 5, 7, 9] * 5,
            "town": ["Ulm", "Graz"] * 10,
            "gap": [1.0, None] * 10,
            "small": pandas.array([3, 5, 7, 9] * 5, "int8"),
            "day": pandas.date_range("2020", periods=20),
        }
    )
    for constraint, message in [
        (("a", "b"), "`constraints` must be a list of Inequality, Sum, Fixed"),
        (Inequality("a", "z"), r"not there: \['z'\]"),
        (Inequality("a", "a"), "needs two columns"),
        (Inequality("b", "a"), "does not hold in 20 of 20 rows; the first is row 0"),
        (Inequality("town", "a"), "numbers or moments.*'town'"),
        (Inequality("day", "a"), "one sort and unit"),
        (Inequality("gap", "a"), "'gap' without missing cells"),
        (Sum("c", ["a"]), "does not hold"),
        (Sum("c", ["c"]), "no part of itself"),
        (Sum("c", ["a", "town"]), "needs numbers.*'town'"),
        (Sum("c", ["gap", "b"]), "missing where a part is"),
    ]:
        with pytest.raises(ValueError, match=f"(?s){message}"):
            TableSchema.infer(frame, constraints=[constraint])
    for plus in ([], "ab"):
        with pytest.raises(ValueError, match="lists of names, of which `plus` is not empty"):
            Sum("c", plus)
    with pytest.raises(ValueError, match="'c', as another one does"):
        TableSchema.infer(frame, constraints=[Sum("c", ["a", "b"]), Inequality("a", "c")])
    with pytest.raises(ValueError, match="circle"):
        both = frame.assign(b=frame.a)
        TableSchema.infer(both, constraints=[Inequality("a", "b"), Inequality("b", "a")])


def test_a_sum_fits_into_its_type():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 100, 300)
    frame = pandas.DataFrame({"a": a, "b": 120 - a})
    frame["c"] = np.where(rng.random(300) < 0.5, 0, 1)
    frame["t"] = (frame.a + frame.b + frame.c).astype("int8")
    with pytest.raises(ValueError, match="from 21 to 220.*int8"):
        TableSchema.infer(frame, constraints=[Sum("t", ["a", "b", "c"])])


def test_numbers_that_lost_digits_are_on_no_grid():
    tenths = np.random.default_rng(0).integers(100, 900, 400).astype(np.float32) / np.float32(10)
    frame = pandas.DataFrame({"cut": tenths.astype(float).round(6), "single": tenths})
    schema = TableSchema.infer(frame, find_facts=False)
    assert schema.column("cut").step == 0
    assert schema.column("single").step == 1
    x, new, _ = schema.encode_frame(frame)
    assert not new.any()
    found = schema.frame(schema.decode(x))
    np.testing.assert_allclose(found["cut"], frame["cut"], rtol=1e-6)
    pandas.testing.assert_series_equal(found["single"], frame["single"])
