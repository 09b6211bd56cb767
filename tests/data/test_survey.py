"""The schema of a table in files and the spread of its numbers, against the whole table."""

import decimal
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from example_tables import rides

import made_tf.data.row_sample as row_sample
import made_tf.data.survey as surveys
from made_tf.data.constraints import Inequality
from made_tf.data.row_files import RowFiles
from made_tf.data.survey import survey
from made_tf.data.table_schema import TableSchema
from made_tf.tables.families import families_of

ROWS = 12_000


@pytest.fixture(autouse=True)
def small_sample(monkeypatch):
    monkeypatch.setattr(surveys, "_SAMPLE", 1000)


def inferred(frame):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of identifiers
        return TableSchema.infer(frame)


def surveyed(rows, *arguments, **options):
    files = RowFiles(rows)
    held = files.held_out(0.1, 0, 200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return survey(files, held, *arguments, **options), held


def written(frame, folder):
    half = len(frame) // 2
    frame[:half].to_parquet(folder / "a.parquet", row_group_size=1500)
    frame[half:].to_parquet(folder / "b.parquet", row_group_size=1500)
    return folder


def test_a_small_table_is_taken_as_in_memory(tmp_path):
    frame = rides(400)
    found, held = surveyed(written(frame, tmp_path))
    expected = inferred(frame)
    assert found.schema.to_dict() == expected.to_dict()
    x = expected.encode_frame(frame).x
    np.testing.assert_array_equal(found.values, np.delete(x, held, axis=0))
    np.testing.assert_array_equal(found.validation, x[held])
    assert found.moments is None


def rare_table():
    """Rides, and all that 1,000 rows of 12,000 hardly show, each in a single row."""
    frame = rides(ROWS).drop(columns=["ride", "dropoff"])
    frame["row"] = np.arange(ROWS) + 3
    frame["weight"] = np.random.default_rng(1).normal(size=ROWS) ** 3
    frame["code"] = np.random.default_rng(2).integers(0, 400, ROWS) * 2
    frame["sum"] = frame["code"] + frame["passengers"].fillna(0).astype(int)
    frame.loc[ROWS - 7, "zone"], frame.loc[ROWS - 7, "borough"] = "Bronx Park", "Bronx"
    frame["shared"] = frame["shared"].astype(object).where(np.arange(ROWS) != 500)
    frame.loc[7000, "code"] = 5_001  # odd, and far away
    frame.loc[8000, "fare"] = 20.125
    frame.loc[9000, "weight"] = 1e4
    return frame


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    frame = rare_table()
    folder = written(frame, tmp_path_factory.mktemp("rare"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surveys, "_SAMPLE", 1000)
        return frame, folder, *surveyed(folder)


def test_all_rows_fit_whatever_the_sample_shows(rare):
    frame, _, found, _ = rare
    x, new, broken = found.schema.encode_frame(frame)
    assert np.isfinite(x).all()
    assert not new.any() and not broken.any()
    column = found.schema.column
    assert "Bronx Park" in column("zone").values
    assert column("borough").describe().startswith("determined by zone")  # a fact of all rows
    assert column("shared").missing
    assert (column("code").low, column("code").high, column("code").step) == (0, 5001, 1)
    assert column("fare").step / column("fare").denominator == pytest.approx(0.005)
    assert column("weight").high == 1e4
    assert column("row").kind == "identifier"
    assert column("total").kind != "total"  # one row is no sum
    assert found.schema.num_rows == ROWS
    assert found.schema.library == "pandas"


def test_the_spread_is_that_of_all_rows_to_learn_from(rare):
    frame, _, found, held = rare
    x = found.schema.encode_frame(frame).x
    np.testing.assert_array_equal(found.validation, x[held])
    x = np.delete(x, held, axis=0).astype(np.float64)
    for place, name in enumerate(found.schema.variables):
        own = np.sort(x[x[:, place] > -1e20, place])  # what is missing has no place among numbers
        expected = own.mean(), own.std()
        np.testing.assert_allclose(found.moments[place], expected, 1e-5, 1e-5, err_msg=name)
        quantiles = np.sort(found.values[found.values[:, place] > -1e20, place])
        ranks = (np.arange(len(quantiles)) + 0.5) / len(quantiles)
        below = np.searchsorted(own, quantiles, "left") / len(own)
        up_to = np.searchsorted(own, quantiles, "right") / len(own)
        assert np.maximum(below - ranks, ranks - up_to).max() < 2e-3, name


def test_families_can_have_all_rows(rare):
    frame, _, found, _ = rare
    family = families_of(found.schema, found.values, found.moments)
    x = found.schema.encode_frame(frame).x
    assert np.asarray(family.in_support(x)).all()


def test_the_same_seed_finds_the_same(rare):
    _, folder, found, _ = rare
    again, _ = surveyed(folder)
    assert again.schema.to_dict() == found.schema.to_dict()
    np.testing.assert_array_equal(again.values, found.values)
    np.testing.assert_array_equal(again.moments, found.moments)


def test_what_was_found_is_kept(rare, tmp_path, monkeypatch):
    _, folder, found, _ = rare
    surveyed(folder, folder=tmp_path)

    def fail(*_):
        raise AssertionError("read again")

    monkeypatch.setattr(surveys, "RowSample", fail)
    again, _ = surveyed(folder, folder=tmp_path)
    assert again.schema.to_dict() == found.schema.to_dict()
    np.testing.assert_array_equal(again.values, found.values)
    np.testing.assert_array_equal(again.validation, found.validation)
    with pytest.raises(AssertionError, match="read again"):
        surveyed(folder, folder=tmp_path, seed=1)


def test_what_users_say_of_columns_counts(rare):
    _, folder, _, _ = rare
    overrides = {"zone": "drop", "borough": "drop", "code": {"kind": "number", "family": "binned"}}
    found, _ = surveyed(folder, overrides, find_facts=False)
    assert "zone" not in found.schema.names
    assert found.schema.column("code").family == "binned"
    with pytest.raises(ValueError, match="names a column 'colour'"):
        surveyed(folder, {"colour": "drop"})
    with pytest.raises(ValueError, match="Inequality"):
        surveyed(folder, None, [Inequality("total", "fare")])


def test_too_many_texts_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(row_sample, "MOST_CLASSES", 300)
    monkeypatch.setattr(surveys, "MOST_CLASSES", 300)
    rng = np.random.default_rng(0)
    texts = [f"t{number}" for number in rng.integers(0, 900, 4000)]
    frame = pd.DataFrame({"name": texts, "x": rng.normal(size=4000)})
    written(frame, tmp_path)
    with pytest.raises(ValueError, match="column 'name' has more than 300 different texts"):
        surveyed(tmp_path)
    found, _ = surveyed(tmp_path, {"name": "identifier"})
    assert found.schema.variables == ["x"]


def of_many_types(count):
    """A table of every type of Arrow that a frame may have, and some that pandas has not."""
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, count), "D")
    seconds = pd.to_timedelta(rng.integers(0, 900, count), "s")
    table = pa.table(
        {
            "aware": pa.array((days + seconds).tz_localize("Europe/Berlin")),
            "naive": pa.array(days + seconds),
            "day": pa.array(days.date),
            "lasts": pa.array(seconds),
            "price": pa.array([decimal.Decimal(int(n)) / 100 for n in rng.permutation(count)]),
            "half": pa.array(rng.normal(size=count).astype("float16")),
            "whole": pa.array(rng.integers(0, 9, count), mask=rng.random(count) < 0.1),
            "is": pa.array(rng.random(count) < 0.3, mask=rng.random(count) < 0.1),
            "text": pa.array(rng.choice(["a", "b"], count)),
            "view": pa.array(rng.choice(["a", "b"], count), pa.string_view()),
            "class": pa.array(rng.choice(["a", "b"], count)).dictionary_encode(),
        }
    )
    kept = pd.DataFrame({"whole": pd.array([1], "Int64"), "is": pd.array([True], "boolean")})
    return table.replace_schema_metadata(pa.Table.from_pandas(kept).schema.metadata)


@pytest.mark.parametrize("count", [400, 3000])
def test_every_type_is_what_it_is_in_memory(tmp_path, count, monkeypatch):
    monkeypatch.setattr(row_sample, "MOST_CLASSES", 100)  # numbers are no texts, however many
    table = of_many_types(count)
    for part in range(4):
        own = table.slice(part * count // 4, count // 4)
        pq.write_table(own, tmp_path / f"{part}.parquet", row_group_size=60)
    found, _ = surveyed(tmp_path)
    pq.write_table(table, tmp_path / "whole.parquet")
    others = [name for name in table.column_names if name not in ("half", "view")]
    expected = inferred(pd.read_parquet(tmp_path / "whole.parquet", columns=others))
    for name in others:
        ours, theirs = (schema.column(name) for schema in (found.schema, expected))
        assert (ours.kind, ours.source.dtype) == (theirs.kind, theirs.source.dtype), name
    assert found.schema.column("half").kind == "numbers"
    assert found.schema.column("view").kind == "classes"


def test_a_dropped_column_is_not_looked_at(tmp_path):
    frame = rides(1200).assign(odd=[[1, 2]] * 1200)
    found, _ = surveyed(written(frame, tmp_path), {"odd": "drop"})
    assert "odd" not in found.schema.names
