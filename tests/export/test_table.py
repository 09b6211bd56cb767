import numpy as np
import pandas as pd
import pytest
from command_line import run
from example_tables import fitted_grades, fitted_rides, grades, rides

from made_tf.export import ExportError, LiteSampler, LiteTable, to_tflite
from made_tf.export.checks.verify import verify_rows
from made_tf.portable.seeds import seed_pairs
from made_tf.sampling.random import row_uniforms


@pytest.fixture(scope="module")
def file(tmp_path_factory, unverified):
    path = tmp_path_factory.mktemp("table") / "rides.tflite"
    with unverified():  # what it does is compared below
        fitted_rides().to_tflite(path)
    return path


def test_rows_are_those_of_the_host(file):
    host = fitted_rides().sample(200, seed=3)
    device = LiteTable(file).sample(200, seed=3)
    assert list(device) == host.columns.tolist()
    for name in ("ride", "zone", "borough", "payment", "shared"):
        expected = [None if pd.isna(cell) else cell for cell in host[name]]
        assert device[name] == expected
    assert device["pickup"] == host["pickup"].dt.to_pydatetime().tolist()
    assert device["dropoff"] == host["dropoff"].dt.to_pydatetime().tolist()
    away = np.abs(np.array(device["total"]) - host["total"].to_numpy())
    assert (away < 0.0101).all()  # a cent, where float32 decides between two: a tie
    assert np.count_nonzero(away > 1e-9) <= 2
    model, numbers = fitted_rides().network_.joint, LiteSampler(file).sample(200, seed=3)
    uniforms = row_uniforms(seed_pairs(3, np.arange(200)), model.conditionals)
    verify_rows(model, numbers, uniforms)  # raises where a cell differs that is no tie
    moved = np.random.default_rng(0).permutation(200)
    with pytest.raises(ExportError, match="draws other samples than the model"):
        verify_rows(model, numbers[moved], uniforms)


def test_scores_are_those_of_the_host(file):
    frame = rides(30, seed=2)
    table = {name: frame[name].tolist() for name in frame}
    table["pickup"] = [str(moment) for moment in frame["pickup"]]  # ISO 8601
    found = LiteTable(file).log_prob(table)
    expected = fitted_rides().log_prob(frame)
    known = np.isfinite(found)
    assert known.sum() > 20
    np.testing.assert_allclose(found[known], expected[known], atol=1e-3)
    table["zone"] = ["Rome"] * 30
    assert np.isneginf(LiteTable(file).log_prob(table)).all()


def test_bad_tables(file):
    table = {name: cells[:3] for name, cells in LiteTable(file).sample(3).items()}
    with pytest.raises(ValueError, match=r"It lacks: \['fare'\]"):
        LiteTable(file).log_prob({name: cells for name, cells in table.items() if name != "fare"})
    with pytest.raises(ValueError, match="column 'fare' must hold cells of the sort 'real'"):
        LiteTable(file).log_prob({**table, "fare": ["a", 1.0, 2.0]})
    with pytest.raises(ValueError, match="lists of one length"):
        LiteTable(file).log_prob({**table, "fare": [1.0]})


def test_other_files_are_no_tables(tmp_path):
    import made_tf

    path = tmp_path / "bits.tflite"
    model = made_tf.MADE(2, (4,))
    to_tflite(model, path, signatures="log_prob")
    with pytest.raises(ValueError, match="tells of no table"):
        LiteTable(path)
    with pytest.raises(ValueError, match="`schema` must be of a table whose columns have 2"):
        to_tflite(model, path, schema=fitted_rides().schema_.to_dict())


def test_the_schema_is_in_the_metadata(file):
    metadata = LiteSampler(file).metadata
    assert metadata["schema"] == fitted_rides().schema_.to_dict()
    told = {variable["name"]: variable for variable in metadata["variables"]}
    assert told["payment"]["categories"] == ["card", "cash", "missing"]
    assert any(name.startswith("fare, in steps of 0.01 from ") for name in told)


def test_cells_may_be_those_of_numpy(file):
    table = LiteTable(file)
    drawn = pd.DataFrame(table.sample(5, seed=1))
    cells = {name: drawn[name].to_numpy() for name in drawn}
    plain = {name: drawn[name].tolist() for name in drawn}
    np.testing.assert_array_equal(table.log_prob(cells), table.log_prob(plain))
    with pytest.raises(ValueError, match=r"column 'shared' must be a list of cells. Received: F"):
        table.log_prob({**plain, "shared": False})
    with pytest.raises(ValueError, match=r"column 'zone' must be a list of cells. Received: 'Har"):
        table.log_prob({**plain, "zone": "Harlem"})


def test_pieces_of_a_sample_are_as_the_whole(file):
    table = LiteTable(file)
    whole, part = table.sample(30, seed=3), table.sample(12, seed=3, first_row=18)
    assert part == {name: cells[18:] for name, cells in whole.items()}
    assert part["ride"][0] != whole["ride"][0]


@pytest.fixture(scope="module")
def questions(tmp_path_factory, unverified):
    """A file of the network of questions alone."""
    folder = tmp_path_factory.mktemp("questions")
    fitted_grades().save(folder / "grades.keras")
    path = folder / "grades.tflite"
    options = ("--network", "questions", "--signatures", "impute")
    with unverified():
        run("export", folder / "grades.keras", *options, "-o", path)
    return path


def test_cells_are_filled_in_as_on_the_host(questions, tmp_path):
    frame = grades(40, seed=5).astype(object)
    rng = np.random.default_rng(1)
    frame = frame.mask(rng.random(frame.shape) < 0.4)
    expected = fitted_grades().impute(frame, seed=9)
    table = LiteTable(questions)
    assert table.can_impute
    cells = {n: [None if pd.isna(c) else c for c in frame[n]] for n in frame}
    found = table.impute(cells, seed=9)
    for name in frame:
        assert found[name] == expected[name].tolist()
    del cells["colour"]  # is filled in, too
    assert set(table.impute(cells)["colour"]) == {"red", "blue"}
    with pytest.raises(ValueError, match=r"columns of the table: .* Received: \['color'\]"):
        table.impute({"color": ["red"]})
    with pytest.raises(ValueError, match="`network` must be 'joint' or 'questions'"):
        fitted_grades().to_tflite(tmp_path / "x.tflite", "both")
    with pytest.raises(ValueError, match="lists of one length"):
        table.impute({"level": ["low"], "side": ["left", "right"]})

    frame.to_csv(tmp_path / "x.csv", index=False)
    for file, name in ((questions, "device.csv"), (questions.with_suffix(".keras"), "host.csv")):
        run("impute", file, tmp_path / "x.csv", "-o", tmp_path / name, "--seed", 3)
    assert (tmp_path / "device.csv").read_bytes() == (tmp_path / "host.csv").read_bytes()


def test_a_density_fills_in_nothing(file):
    with pytest.raises(ValueError, match=r"no signature 'impute'"):
        LiteTable(file).impute({"zone": ["Harlem"]})
