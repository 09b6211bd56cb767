"""What data determine is found and holds in every row; what chance made is not."""

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import round_trips

from made_tf.data.constraints import Inequality, Sum
from made_tf.data.table_schema import TableSchema

pytestmark = pytest.mark.filterwarnings("ignore:Columns taken for identifiers")

N = 600
TOWNS = np.array(["Ulm", "Graz", "Bern", "Köln", "Linz"])
FEES = np.array([3.5, 7.0, 100.0, 200.0, 1000.0])
LIBRARIES = {
    "pandas": lambda frame: frame,
    "polars": polars.from_pandas,
    "pyarrow": lambda frame: pyarrow.Table.from_pandas(frame, preserve_index=False),
}


def orders(seed=0):
    """A table in which a town and a fee follow from a code, and there are sums and orders."""
    rng = np.random.default_rng(seed)
    code = rng.integers(0, 5, N)
    start = pandas.Timestamp("2020-01-01") + pandas.to_timedelta(rng.integers(0, 4 * 10**7, N), "s")
    paid = start + pandas.to_timedelta(rng.integers(0, 10**6, N), "ms")
    frame = pandas.DataFrame(
        {
            "code": code,
            "town": TOWNS[code],
            "fee": FEES[code],
            "net": np.round(rng.gamma(2, 30, N), 2),
            "tax": rng.integers(0, 300, N) / 50,
            "start": start,
            "paid": paid,
            "sent": paid + pandas.to_timedelta(rng.integers(0, 10**9, N), "ms"),
            "low": rng.integers(0, 128, N).astype(np.int8),
        }
    )
    frame["gross"] = (frame.net + frame.tax).round(2)
    frame["rest"] = (frame.net - frame.tax).round(2)
    frame["high"] = np.minimum(frame.low.astype(int) + rng.integers(0, 8, N), 127).astype(np.int8)
    frame.loc[rng.random(N) < 0.1, "sent"] = pandas.NaT
    return frame


def kinds_of(schema):
    return {column.name: column.kind for column in schema.columns}


@pytest.mark.parametrize("library", LIBRARIES)
def test_facts_are_found_and_hold_in_rows_of_nothing(library):
    frame = LIBRARIES[library](orders())
    schema = round_trips.assert_returns(frame)
    kinds = kinds_of(schema)
    assert [name for name in kinds if kinds[name] == "dependent"] == ["town", "fee"]
    assert [name for name in kinds if kinds[name] == "total"] == ["gross", "rest"]
    assert [name for name in kinds if kinds[name] == "at_least"] == ["paid", "sent", "high"]
    assert schema.column("sent").base == "paid"
    x = round_trips.arbitrary_rows(schema.encode_frame(frame).x)
    drawn = schema.frame(schema.decode(x))
    again = schema.encode_frame(drawn)
    assert not again.broken.any()
    drawn = drawn if library == "pandas" else drawn.to_pandas()
    assert (drawn.town == TOWNS[drawn.code]).all()
    assert (drawn.fee == FEES[drawn.code]).all()
    assert (drawn.gross == (drawn.net + drawn.tax).round(2)).all()
    assert (drawn.rest == (drawn.net - drawn.tax).round(2)).all()
    assert (drawn.paid >= drawn.start).all()
    assert (drawn.sent >= drawn.paid)[drawn.sent.notna()].all()
    assert drawn.sent.isna().any()
    assert (drawn.high >= drawn.low).all()
    assert drawn.high.max() == 127


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "Float32", "float[pyarrow]", "Int64", "uint16[pyarrow]"]
)
def test_sums_and_orders_hold_in_each_type(dtype):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3000, (N, 2)) / (100 if "loat" in dtype else 1)
    frame = pandas.DataFrame(values, columns=["a", "b"])
    frame = frame.assign(c=frame.a + frame.b, d=frame.a + 2 * values.max() * rng.random(N).round(2))
    frame["d"] = frame.d.round(2 if "loat" in dtype else 0)
    frame = frame.round(2).astype(dtype)
    schema = round_trips.assert_returns(frame)
    assert list(kinds_of(schema).values()) == ["numbers", "numbers", "total", "at_least"]
    drawn = schema.frame(schema.decode(round_trips.arbitrary_rows(schema.encode_frame(frame).x)))
    again = schema.encode_frame(drawn)
    assert not again.broken.any()
    assert (drawn.d >= drawn.a).all()


def test_what_is_declared_holds():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40)).round(9)
    frame = pandas.DataFrame({"a": a, "b": b, "sum": a + b, "high": a + np.abs(b), "low": a})
    frame["whole"] = rng.integers(0, 5, 40)
    frame["above"] = frame.whole + 0.25 * rng.integers(0, 9, 40)
    said = [Sum("sum", ["a", "b"]), Inequality("low", "high"), Inequality("whole", "above")]
    schema, encoded, back = round_trips.there_and_back(frame, constraints=said, find_facts=False)
    assert not encoded.broken.any()
    round_trips.assert_same(frame[["whole", "above"]], back[["whole", "above"]])
    drawn = schema.frame(schema.decode(round_trips.arbitrary_rows(encoded.x)))
    np.testing.assert_allclose(drawn["sum"], drawn.a + drawn.b, rtol=1e-12, atol=1e-12)
    assert (drawn.high >= drawn.low).all()
    assert (drawn.above >= drawn.whole).all()


def test_sums_lie_on_the_grid_of_all_parts():
    rng = np.random.default_rng(0)
    part = rng.integers(0, 400, N) / 100
    frame = pandas.DataFrame({"part": part, "rest": rng.integers(1, 9, N) - part})
    frame["rest"] = frame.rest.round(2)
    frame["all"] = (frame.part + frame.rest).round(2)  # whole in the data, and not in what is drawn
    schema = round_trips.assert_returns(frame)
    assert kinds_of(schema)["all"] == "total"
    drawn = schema.frame(schema.decode(round_trips.arbitrary_rows(schema.encode_frame(frame).x)))
    assert (drawn["all"] == (drawn.part + drawn.rest).round(2)).all()
    assert (drawn["all"] % 1 != 0).any()
    whole = frame.assign(all=frame["all"].astype("int64"))
    assert "total" not in kinds_of(TableSchema.infer(whole)).values()
    with pytest.raises(ValueError, match="'all' has whole numbers, and not so"):
        TableSchema.infer(whole, constraints=[Sum("all", ["part", "rest"])])


def test_differences_lie_on_the_grid_of_both():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 1000, N) / 100
    frame = pandas.DataFrame({"low": low, "high": (low + 0.5 * rng.integers(0, 5, N)).round(2)})
    schema = round_trips.assert_returns(frame)
    assert kinds_of(schema) == {"low": "numbers", "high": "at_least"}


def noise(rng, count):
    """A column that has nothing to do with any other."""
    kind = rng.integers(7)
    if kind == 0:
        return (rng.random(count) < 2 / count).astype(int)
    if kind == 1:
        return rng.integers(0, 2, count)
    if kind == 2:
        return rng.choice(list("abcde"), count)
    if kind == 3:
        return np.round(10 * rng.normal(size=count) + 10 * rng.normal())
    if kind == 4:
        return rng.normal(size=count) + 3 * rng.normal()
    if kind == 5:
        return np.where(rng.random(count) < 1.5 / count, rng.integers(0, 9, count), 0)
    days = rng.integers(0, 400, count) + rng.integers(0, 300)
    return pandas.Timestamp("2020-01-01") + pandas.to_timedelta(days, unit="D")


@pytest.mark.parametrize("count, width", [(10, 40), (20, 40), (50, 40), (60, 10), (300, 40)])
def test_chance_makes_no_fact(count, width):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        frame = pandas.DataFrame({f"c{place}": noise(rng, count) for place in range(width)})
        kinds = set(kinds_of(TableSchema.infer(frame)).values())
        assert not kinds & {"dependent", "total", "at_least"}


def test_one_odd_cell_makes_no_fact():
    frame = pandas.DataFrame(np.eye(1, 200, 3).repeat(3, axis=0).T, columns=["a", "b", "c"])
    frame["d"] = np.arange(200) % 7
    frame["e"] = frame.a + frame.d
    kinds = kinds_of(TableSchema.infer(frame))
    assert set(kinds.values()) == {"numbers"}


def test_what_varies_little_is_not_the_same():
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(10**15 + rng.integers(0, 7000, (N, 2)), columns=["a", "b"])
    frame["c"] = frame.a + frame.b
    schema = round_trips.assert_returns(frame)
    assert kinds_of(schema) == {"a": "numbers", "b": "numbers", "c": "total"}
    frame["c"] += 1
    assert "total" not in kinds_of(TableSchema.infer(frame)).values()


def test_what_a_user_says_stays_and_others_follow_from_it():
    frame = orders()
    said = {"town": "category", "gross": "number", "sent": "moment"}
    kinds = kinds_of(TableSchema.infer(frame, said))
    assert [kinds[name] for name in said] == ["classes", "numbers", "moments"]
    assert kinds["code"] == "dependent"  # on the town
    assert kinds["rest"] == "total"
    assert not {"dependent", "total", "at_least"} & set(
        kinds_of(TableSchema.infer(frame, find_facts=False)).values()
    )


def test_a_key_that_was_never_seen_breaks_nothing():
    frame = orders()[["code", "town", "low"]]
    schema = TableSchema.infer(frame)
    odd = frame.iloc[:3].copy()
    odd.loc[0, "town"] = TOWNS[(odd.code[0] + 1) % 5]
    odd.loc[1, "code"] = 77
    _, new, broken = schema.encode_frame(odd)
    assert np.argwhere(broken).tolist() == [[0, 1]]
    assert new[1, 0] or not new.any()


def test_what_follows_is_filled_in_either_way():
    frame = orders()[["code", "town", "fee"]]
    schema = TableSchema.infer(frame)
    table = schema.complete(schema.cells_of(frame[["town"]], absent=True))
    assert table["code"].values[table["code"].known].tolist() == frame.code.tolist()
    cells = schema.cells_of(frame[["town"]].assign(town="Wien"), absent=True)
    with pytest.raises(ValueError, match="'town' is determined by 'code'.*'Wien'.*row 0"):
        schema.complete(cells)
