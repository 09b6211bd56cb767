import functools
import gzip
import json
import pathlib

import numpy as np
import pandas as pd
import pytest
from command_line import fails, run
from example_tables import facts_hold, grades, rides

from made_tf.tables import TableModel

SMALL = ("--hidden-units", "8,8", "--epochs", 2, "--batch-size", 64, "--seed", 3)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A table as people write it (semicolons, decimal commas, compressed), and its model."""
    folder = tmp_path_factory.mktemp("tables")
    frame = rides(300)
    text = frame.to_csv(sep=";", decimal=",", index=False)
    (folder / "rides.csv.gz").write_bytes(gzip.compress(text.encode("cp1252")))
    frame.to_csv(folder / "rides.csv", index=False)
    result = run("train", folder / "rides.csv.gz", "-o", folder / "rides.keras", *SMALL)
    return folder, result


@pytest.fixture(scope="module")
def model(places):
    return places[0] / "rides.keras"


@pytest.fixture(scope="module")
def table(places):
    return places[0] / "rides.csv"


@pytest.fixture(scope="module", autouse=True)
def opened_once():
    """Opens a file once as long as it stays the same: what was traced serves the next command."""
    load = TableModel.load

    @functools.cache
    def load_at(path, _):
        return load(path)

    def opened(path):
        file = pathlib.Path(path)
        return load_at(str(path), file.stat().st_mtime_ns if file.exists() else None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TableModel, "load", opened)
        yield


def test_a_table_trains_as_it_is(places):
    folder, result = places
    assert "determined by zone" in result.stdout
    assert "fare + tip" in result.stdout
    assert "validation NLL" in result.stdout
    assert "identifiers, which are not modelled: ride" in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == [
        "rides.csv",
        "rides.csv.gz",
        "rides.keras",
    ]


def test_drawn_tables_have_names_and_types(model, table, tmp_path):
    run("sample", model, "-n", 20, "-o", tmp_path / "drawn.csv", "--seed", 2)
    drawn = pd.read_csv(tmp_path / "drawn.csv", parse_dates=["pickup", "dropoff"])
    assert drawn.columns.tolist() == pd.read_csv(table).columns.tolist()
    assert facts_hold(drawn).all()
    to_stdout = run("sample", model, "-n", 20, "-o", "-", "--seed", 2).stdout
    assert to_stdout == (tmp_path / "drawn.csv").read_text()
    run("sample", model, "-n", 5, "-o", tmp_path / "x.parquet", "--given", "zone=Harlem")
    assert (pd.read_parquet(tmp_path / "x.parquet")["zone"] == "Harlem").all()
    assert "COLUMN=CELL" in fails("sample", model, "-o", tmp_path / "x.csv", "--given", "zone")
    assert "must be a number" in fails(
        "sample", model, "-o", tmp_path / "x.csv", "--given", "fare=nan"
    )
    assert "must be a moment such as" in fails(
        "sample", model, "-o", tmp_path / "x.csv", "--given", "pickup=soon"
    )
    assert "no column 'town'" in fails(
        "sample", model, "-o", tmp_path / "x.csv", "--given", "town=Rome"
    )


def test_a_table_is_scored_by_names(model, table, tmp_path):
    printed = json.loads(run("evaluate", model, table, "--json").stdout)
    frame = pd.read_csv(table)
    frame[frame.columns[::-1]].to_csv(tmp_path / "turned.csv", index=False)
    turned = run(
        "evaluate", model, tmp_path / "turned.csv", "--json", "--per-row", tmp_path / "n.csv"
    )
    assert json.loads(turned.stdout) == printed
    assert len(pd.read_csv(tmp_path / "n.csv")) == 300
    frame.drop(columns="fare").to_csv(tmp_path / "short.csv", index=False)
    assert "It lacks ['fare']" in fails("evaluate", model, tmp_path / "short.csv")


def test_conditions_have_probabilities(model):
    where = "zone = 'Harlem'", "zone <> 'Harlem'"
    answers = json.loads(run("probability", model, *where, "--json", "--tolerance", 0.05).stdout)
    assert sum(answer["probability"] for answer in answers) == pytest.approx(1, abs=1e-4)
    assert sum(answer["count"] for answer in answers) == pytest.approx(300, abs=0.1)
    drawn = json.loads(run("probability", model, *where, "--json", "--of-whole-rows").stdout)
    error = 5 * sum(answer["standard_error"] for answer in drawn)
    assert sum(a["probability"] for a in drawn) == pytest.approx(1, abs=error) and error > 0
    by_passes = run("probability", model, *where, "--json", "--of-single-passes").stdout
    assert json.loads(by_passes) == json.loads(run("probability", model, *where, "--json").stdout)
    printed = run("probability", model, "borough = 'Queens'", "--given", "zone = 'Astoria'").stdout
    assert printed.startswith("1 +- ") and printed.endswith("borough = 'Queens'\n")
    fails("zone' has no such value", "probability", model, "zone = 'Nowhere'")


def test_holes_are_filled_and_columns_predicted(model, table, tmp_path):
    frame = pd.read_csv(table)[:30]
    frame.loc[::3, "payment"] = None
    frame.loc[1::3, "fare"] = np.nan
    frame.to_csv(tmp_path / "holes.csv", index=False)
    run("impute", model, tmp_path / "holes.csv", "-o", tmp_path / "filled.csv")
    filled = pd.read_csv(tmp_path / "filled.csv", parse_dates=["pickup", "dropoff"])
    assert not filled.drop(columns="ride").isna().any().any()
    assert facts_hold(filled).all()
    printed = run("predict", model, tmp_path / "holes.csv", "--column", "payment").stdout
    assert printed.splitlines()[0] == "payment"
    assert set(printed.splitlines()[1:]) <= {"card", "cash"}
    run("predict", model, table, "--column", "zone", "--proba", "-o", tmp_path / "p.csv")
    np.testing.assert_allclose(pd.read_csv(tmp_path / "p.csv").sum(axis=1), 1, rtol=1e-5)


def test_odd_rows_are_named(model, table, tmp_path):
    frame = pd.read_csv(table)
    frame.loc[17, "zone"] = "Rome"
    frame.to_csv(tmp_path / "odd.csv", index=False)
    lines = run("anomalies", model, tmp_path / "odd.csv", "--top", 300).stdout.splitlines()
    assert len(lines) == 300
    assert any(line.startswith("row 17 ") and "zone Rome: never seen" in line for line in lines)
    run("anomalies", model, tmp_path / "odd.csv", "--top", 4, "-o", tmp_path / "top.csv")
    assert pd.read_csv(tmp_path / "top.csv").columns.tolist() == ["row", "score", "why"]


def test_files_for_devices_speak_of_the_table(model, table, tmp_path):
    path = tmp_path / "rides.tflite"
    run("export", model, "-o", path)
    assert "determined by zone" in run("inspect", path).stdout
    assert "determined by zone" in run("schema", path).stdout
    for file, name in ((path, "device.csv"), (model, "host.csv")):
        run("sample", file, "-n", 20, "-o", tmp_path / name)
    assert (tmp_path / "device.csv").read_text() == (tmp_path / "host.csv").read_text()
    device, host = (
        json.loads(run("evaluate", file, table, "--json").stdout)["nll"] for file in (path, model)
    )
    assert device == pytest.approx(host, abs=1e-3)
    assert "--weights, --signatures" in fails("export", model, "-o", path, "--micro")


def test_models_are_told_of(model):
    text = run("inspect", model).stdout
    assert "determined by zone" in text
    assert "hidden layer 2: 8 units" in text
    assert "columns" in json.loads(run("inspect", model, "--json").stdout)["schema"]


def test_a_schema_can_be_edited(tmp_path):
    table, said = tmp_path / "few.csv", tmp_path / "said.toml"
    frame = rides(120)[["ride", "zone", "borough", "passengers", "shared"]]
    frame.to_csv(table, index=False)
    text = run("schema", table, "-o", said).stdout
    assert "whole numbers from 1 to 4" in text
    edited = said.read_text().replace(
        '["passengers"]\nkind = "number"', '["passengers"]\nkind = "drop"'
    )
    edited = edited.replace('["ride"]\nkind = "identifier"', '["ride"]\nkind = "drop"')
    fixed = '\n[[constraints]]\nkind = "fixed_combinations"\ncolumns = ["zone", "borough"]\n'
    said.write_text(edited + fixed)
    output = tmp_path / "m.keras"
    run("train", table, "-o", output, "--schema", said, "--time-budget", "1s", *SMALL)
    drawn = run("sample", output, "-n", 2, "-o", "-").stdout
    assert "passengers" not in drawn
    assert "ride" not in drawn
    assert "one of 4 combinations" in run("schema", output, "-o", tmp_path / "again.toml").stdout
    assert fixed.strip() in (tmp_path / "again.toml").read_text()
    wrong = '\n[[constraints]]\nkind = "unique"\ncolumns = ["zone"]\n'
    said.write_text(edited + wrong)
    message = fails("train", table, "-o", tmp_path / "x.keras", "--schema", said)
    assert "4 of 120 rows are different" in message


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    frame = rides(40)
    frame["note"] = [f"some words about number {number}" for number in range(40)]
    frame["more"] = frame["note"]
    frame.to_csv(tmp_path / "x.csv", index=False)
    message = fails("train", tmp_path / "x.csv", "-o", tmp_path / "m.keras")
    assert "2 column(s) cannot be modelled" in message
    assert "'note' is free text" in message
    assert "'more' is free text" in message
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_options_of_numbers_and_of_tables_do_not_mix(model, table, tmp_path):
    output = tmp_path / "m.keras"
    assert "--members" in fails("train", table, "-o", output, "--members", 2)
    np.savez(tmp_path / "x.npz", x=np.zeros((4, 2)))
    assert "for tables" in fails("train", tmp_path / "x.npz", "-o", output, "--decimal", ",")
    assert "tables as they are" in fails(
        "train", tmp_path / "x.npz", "-o", output, "--time-budget", 5
    )
    assert "such as 90s" in fails("train", table, "-o", output, "--time-budget", "soon")
    assert "for rows of numbers" in fails("evaluate", model, table, "--split", "test")


def test_damaged_models_are_told_of_wherever_rows_go(model, table, tmp_path):
    path = tmp_path / "cut.keras"
    path.write_bytes(model.read_bytes()[:5000])
    assert "truncated" in fails("sample", path, "-o", "-")
    assert "truncated" in fails("impute", path, table, "-o", "-")


def test_drawn_rows_are_judged(model, table, tmp_path):
    rides(120, seed=5).to_csv(tmp_path / "held_out.csv", index=False)
    arguments = ("quality", model, tmp_path / "held_out.csv", "--target", "payment", "-n", 90)
    printed = run(*arguments, "--train", table, "-o", tmp_path / "report.json").stdout
    assert "90 synthetic rows beside 120 real ones; 300 were learned from." in printed
    assert "trained to predict payment, AUC" in printed
    assert "Left out: ride (identifier)" in printed
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert f"{content['two_sample']['auc']:.3f}" in printed
    again = run(*arguments, "-o", tmp_path / "report.html").stdout
    assert "were learned from" not in again
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("<img") > 10
    assert "must end in .html or .json" in fails(*arguments, "-o", tmp_path / "x.csv")
    arguments = ("quality", model, tmp_path / "held_out.csv", "-o", tmp_path / "x.html")
    assert "`target` must be one of" in fails(*arguments, "--target", "town")
    assert not (tmp_path / "x.html").exists()


def test_a_folder_or_a_pattern_of_parquet_trains_in_bounded_memory(tmp_path):
    rows, other = tmp_path / "rows", tmp_path / "b.keras.parts"
    rows.mkdir()
    grades(300)[:200].to_parquet(rows / "a.parquet")
    grades(300)[200:].to_parquet(rows / "b.parquet")
    result = run("train", rows / "*.parquet", "-o", tmp_path / "a.keras", *SMALL)
    assert "determined by level" in result.stdout
    assert len(run("sample", tmp_path / "a.keras", "-n", 5, "-o", "-").stdout.splitlines()) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.keras", "rows"]
    more = "-o", tmp_path / "b.keras", *SMALL
    assert "No Parquet files" in fails("train", tmp_path / "*.parquet", *more)
    assert "not for .parquet files" in fails("train", rows, "--conditionals", "normal", *more)
    grades(300).drop(columns="side").to_parquet(rows / "c.parquet")
    assert "lacks ['side']" in fails("train", rows, *more)
    assert not other.exists()
    result = run("train", rows / "a.parquet", "--memory", "1MB", *more, exit_code=2)
    assert "`memory` must be 256MB at least" in result.stderr and "option --memory" in result.stderr
    assert [path.name for path in other.iterdir()] == ["survey.npz"]  # for a run with more memory
