"""Files of tables' models: names, categories, dates and missing cells, by Arrow alone."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from example_tables import facts_hold
from example_tables import grades as made_up_grades
from example_tables import rides as made_up_rides

from made_tf import batch
from made_tf.batch.model import open_rows
from made_tf.export.runtime import LiteTable


@pytest.fixture(scope="module")
def rides_model(rides):
    return open_rows(rides)


def lists(table):
    return {name: table.column(name).to_pylist() for name in table.column_names}


def test_drawn_rows_are_those_of_the_device_runtime(rides, tmp_path):
    batch.sample(rides, 500, tmp_path / "s", 7, num_workers=1, part_rows=130)
    table = pq.read_table(tmp_path / "s")
    expected = LiteTable(rides).sample(500, seed=7)
    for name, cells in lists(table).items():
        assert cells == expected[name], name
    assert len(set(expected["ride"])) == 500  # new names, from part to part
    frame = table.to_pandas()
    assert facts_hold(frame).all()
    types = {field.name: str(field.type) for field in table.schema}
    assert types["pickup"].startswith("timestamp[") and types["zone"] == "string"
    assert (types["fare"], types["shared"], types["ride"]) == ("double", "bool", "string")


def test_rows_of_other_libraries_are_scored_alike(rides, rides_model, tmp_path):
    frame = made_up_rides(60, seed=2)
    table = pa.Table.from_pandas(frame)
    expected = LiteTable(rides).log_prob({name: frame[name].tolist() for name in frame})
    assert np.isfinite(expected).sum() > 30
    np.testing.assert_array_equal(rides_model.score(table), expected)
    others = {
        "zone": table["zone"].dictionary_encode(),
        "borough": table["borough"].cast(pa.large_string()),
        "pickup": table["pickup"].cast(pa.timestamp("ns")),
        "dropoff": table["dropoff"].cast(pa.timestamp("ms", "Europe/Paris")),
        "passengers": table["passengers"].cast(pa.int8()),
        "shared": table["shared"].cast(pa.int64()),
        "more": table["fare"],
    }
    for name, column in others.items():
        table = table.drop_columns(name) if name in table.column_names else table
        table = table.append_column(name, column)
    np.testing.assert_array_equal(rides_model.score(table.combine_chunks()), expected)
    texts = table.set_column(
        table.column_names.index("pickup"), "pickup", pa.array([str(t) for t in frame["pickup"]])
    )
    np.testing.assert_array_equal(rides_model.score(texts), expected)


def test_a_cell_that_the_table_never_had_is_impossible(rides_model):
    frame = made_up_rides(40, seed=2)
    before = rides_model.score(pa.Table.from_pandas(frame))
    frame.loc[0, "zone"] = "Rome"
    frame["passengers"] = frame["passengers"].where(frame.index != 1, 2.5)
    frame.loc[2, "fare"] = np.nan
    frame.loc[3, "total"] = frame.loc[3, "total"] + 1
    found = rides_model.score(pa.Table.from_pandas(frame))
    assert np.isneginf(found[:4]).all()
    np.testing.assert_array_equal(found[4:], before[4:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="fare"), r"They lack \['fare'\]; they have \['ride'"),
        (
            lambda f: f.assign(fare="?"),
            "column 'fare' must hold cells of the sort 'real'. .*string",
        ),
        (lambda f: f.assign(zone=1), "column 'zone' must hold cells of the type string. .*int64"),
        (lambda f: f.assign(shared=7), "column 'shared' must hold true and false. Received: 7"),
        (lambda f: f.assign(pickup=1.5), "column 'pickup' must hold cells of the sort 'moment'"),
        (lambda f: f.assign(pickup="soon"), "column 'pickup' .*sort 'moment'. Received: 'soon'"),
    ],
)
def test_other_columns_are_told(rides_model, change, message):
    table = pa.Table.from_pandas(change(made_up_rides(5)))
    with pytest.raises(ValueError, match=message):
        rides_model.score(table)


def test_filled_tables(grades, tmp_path):
    """As the device runtime fills in lists of cells, and in any partition."""
    frame = made_up_grades(300, seed=4)
    frame["level"] = frame["level"].astype(object)
    rng = np.random.default_rng(1)
    for name in frame:
        frame[name] = frame[name].astype(object).where(rng.random(300) > 0.3, None)
    frame["note"] = np.arange(300)
    (tmp_path / "rows").mkdir()
    for number, part in enumerate(np.split(np.arange(300), [40, 170])):
        table = pa.Table.from_pandas(frame.iloc[part], preserve_index=False)
        pq.write_table(table, tmp_path / "rows" / f"{number}.parquet", row_group_size=30)
    batch.impute(grades, tmp_path / "rows", tmp_path / "f", 5, num_workers=1, part_rows=50)
    found = pq.read_table(tmp_path / "f")
    cells = {
        name: [None if pd.isna(cell) else cell for cell in frame[name]] for name in list(frame)[:-1]
    }
    expected = LiteTable(grades).impute(cells, seed=5)
    assert lists(found) == {**expected, "note": frame["note"].tolist()}
    for name, own in cells.items():
        assert None not in expected[name]
        assert all(was in (None, now) for was, now in zip(own, expected[name], strict=True))
    assert (np.array(expected["big"]) == (np.array(expected["level"]) == "high")).all()
    part = {name: own[100:107] for name, own in cells.items()}
    again = LiteTable(grades).impute(part, seed=5, first_row=100)
    assert again == {name: own[100:107] for name, own in expected.items()}
    numbers = np.array([106, 103, 100])
    part = {name: [own[number] for number in numbers] for name, own in cells.items()}
    again = LiteTable(grades).impute(part, seed=5, first_row=numbers)
    assert again == {name: [own[n] for n in numbers] for name, own in expected.items()}


def test_columns_that_are_not_there_are_filled_in(grades, tmp_path):
    pq.write_table(pa.table({"side": ["left", None] * 20}), tmp_path / "a.parquet")
    batch.impute(grades, tmp_path / "a.parquet", tmp_path / "f", 5, num_workers=1)
    frame = pq.read_table(tmp_path / "f").to_pandas()
    assert sorted(frame) == ["big", "colour", "level", "side"]
    assert (frame["side"][::2] == "left").all() and frame.notna().all(axis=None)
    expected = LiteTable(grades).impute({"side": ["left", None] * 20}, seed=5)
    assert frame["colour"].tolist() == expected["colour"]


def test_a_file_that_cannot_fill_in_says_what_can(rides):
    with pytest.raises(ValueError, match="network='questions'"):
        LiteTable(rides).impute({"zone": [None]})


def test_dates_durations_and_times(tmp_path):
    """Columns of a schema that no model here has."""
    from made_tf.batch.arrow import arrow_table, cells_of_table
    from made_tf.data.table_schema import TableSchema
    from made_tf.export.runtime.portable.schema import Schema

    rng = np.random.default_rng(0)
    days = [datetime.date(1969, 12, 1) + datetime.timedelta(int(n)) for n in range(90)]
    table = pa.table(
        {
            "day": pa.array(days, pa.date32()),
            "took": pa.array(rng.integers(0, 10**7, 90), pa.duration("ms")),
            "at": pa.array(rng.integers(0, 86_400, 90).astype(np.int32), pa.time32("s")),
            "when": pa.array(rng.integers(-(10**9), 10**9, 90), pa.timestamp("s", "UTC")),
            "count": pa.array([None, *rng.integers(0, 5, 89).tolist()], pa.int16()),
        }
    )
    schema = Schema.from_dict(TableSchema.infer(table).to_dict())
    cells = cells_of_table(table, schema)
    again = arrow_table(cells, schema)
    assert again.column_names == table.column_names
    for name in table.column_names:
        assert again[name].to_pylist() == table[name].to_pylist(), name
    fine = table.set_column(0, "day", table["day"].cast(pa.timestamp("us")))
    own = cells_of_table(fine, schema)["day"]
    np.testing.assert_array_equal(own.values, cells["day"].values)
    x, new, broken = schema.encode(cells)
    assert not (new | broken).any()
    assert lists(arrow_table(schema.decode(x), schema)) == lists(table)


def test_rows_that_agree_with_the_table_model_on_the_host(grades):
    """`TableModel` reads frames; the file reads Arrow: numbers are the same."""
    from made_tf.batch.arrow import cells_of_table
    from made_tf.data.table_schema import TableSchema

    frame = made_up_grades(80, seed=3)
    schema = LiteTable(grades).schema
    host = TableSchema.from_dict(schema.to_dict()).encode_frame(frame)
    device = schema.encode(cells_of_table(pa.Table.from_pandas(frame), schema))
    for ours, theirs in zip(device, host, strict=True):
        np.testing.assert_array_equal(ours, theirs)
