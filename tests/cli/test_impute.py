"""`made-tf impute`: missing values filled in."""

import os

import keras
import numpy as np
import pytest
from command_line import TINY, fails, make_rows, run


def with_gaps(rows, seed=3):
    """Rows of which a third of the values, the whole row 0 and none of row 1 are missing."""
    x = make_rows(rows, seed).astype(np.float32)
    missing = np.random.default_rng(seed).random(x.shape) < 1 / 3
    missing[0], missing[1] = True, False
    return np.where(missing, np.float32(np.nan), x)


def as_csv(x, names="a,b,c,d,e,f"):
    lines = [",".join("" if np.isnan(v) else f"{v:g}" for v in row) for row in x]
    return "\n".join([names, *lines]) + "\n"


def test_impute(any_order, tmp_path):
    import made_tf

    x = with_gaps(30)
    (tmp_path / "x.csv").write_text(as_csv(x))
    output = tmp_path / "filled.csv"
    result = run("impute", any_order, tmp_path / "x.csv", "-o", output, "--seed", 5)
    gaps = np.isnan(x)
    assert result.stdout == (
        f"{gaps.sum()} values filled in, in {gaps.any(axis=1).sum()} of 30 rows: {output}\n"
    )
    assert "Warning" not in result.stderr
    assert output.read_text().splitlines()[0] == "a,b,c,d,e,f"
    filled = np.loadtxt(output, delimiter=",", skiprows=1)
    np.testing.assert_array_equal(filled[~gaps], x[~gaps])
    assert set(filled[gaps]) == {0, 1}
    loaded = keras.saving.load_model(any_order)
    theirs = made_tf.MADEDistribution(loaded, num_orders=3).impute(x, seed=5)
    np.testing.assert_array_equal(filled, theirs)

    np.savez(tmp_path / "x.npz", train=x[:1], gaps=x)
    command = ("impute", any_order, tmp_path / "x.npz", "-o", tmp_path / "f.npz")
    run(*command, "--array", "gaps", "--seed", 5)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npz")["x"], filled)
    run(*command, "--array", "gaps", "--seed", 6)
    assert (np.load(tmp_path / "f.npz")["x"] != filled).any()
    run(*command, "--array", "gaps", "--seed", 5, "--num-orders", 1)
    theirs = made_tf.MADEDistribution(loaded, num_orders=1).impute(x, seed=5)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npz")["x"], theirs)
    assert "array" in fails(*command)
    assert sorted(os.listdir(tmp_path)) == ["f.npz", "filled.csv", "x.csv", "x.npz"]


def test_imputed_values_follow_what_is_known(tmp_path, any_order):
    # p(x_1 | x_0 = 1), x_5 = 0), counted by enumeration of the other three variables.
    x = np.tile(np.float32([1, np.nan, np.nan, np.nan, np.nan, 0]), (2000, 1))
    np.savez(tmp_path / "x.npz", x)
    run("impute", any_order, tmp_path / "x.npz", "-o", tmp_path / "f.npz")
    filled = np.load(tmp_path / "f.npz")["x"]
    loaded = keras.saving.load_model(any_order)
    import made_tf

    np.testing.assert_array_equal(filled, made_tf.MADEDistribution(loaded).impute(x, seed=0))
    states = np.array([[int(bit) for bit in f"{i:04b}"] for i in range(16)], np.float32)
    whole = np.concatenate([np.ones([16, 1]), states, np.zeros([16, 1])], axis=1)
    evidence = np.tile(x[:1], (16, 1))
    asked = np.where(np.isnan(evidence), whole, np.nan)
    dist = made_tf.MADEDistribution(loaded, num_orders=3)
    expected = np.exp(dist.conditional_log_prob(asked, evidence).log_prob)
    assert expected.sum() == pytest.approx(1, abs=1e-5)
    counts = np.bincount((filled[:, 1:5] @ [8, 4, 2, 1]).astype(int), minlength=16)
    chi_squared = ((counts - 2000 * expected) ** 2 / (2000 * expected)).sum()
    assert chi_squared < 37.7  # 99.9% of 15 degrees of freedom
    batches = filled.reshape(4, 500, 6)  # each batch has numbers of its own
    for other in batches[1:]:
        assert (other != batches[0]).any(axis=1).mean() > 0.2


def test_a_file_for_devices_fills_in_the_same_rows(any_order, tflite, tmp_path):
    x = with_gaps(1100)  # more rows than are filled in at once
    np.savez(tmp_path / "x.npz", x)
    device = tmp_path / "any.tflite"
    run("export", any_order, "-o", device, "--signatures", "impute")
    for model, name in ((device, "device.npz"), (any_order, "host.npz")):
        result = run("impute", model, tmp_path / "x.npz", "-o", tmp_path / name, "--seed", 5)
        assert "of 1,100 rows" in result.stdout
    np.testing.assert_array_equal(
        np.load(tmp_path / "device.npz")["x"], np.load(tmp_path / "host.npz")["x"]
    )
    command = ("impute", device, tmp_path / "x.npz", "-o", tmp_path / "y.npz")
    assert "--num-orders is for files of .keras" in fails(*command, "--num-orders", 2)
    of_one_order = ("impute", tflite, *command[2:])
    assert "no signature 'impute'" in fails(*of_one_order)
    (tmp_path / "bad.csv").write_text(as_csv(np.where(x[:3] == 1, 2, x[:3])))
    assert "values of the model's support" in fails(
        "impute", device, tmp_path / "bad.csv", "-o", tmp_path / "y.npz"
    )
    assert not (tmp_path / "y.npz").exists()


def test_impute_from_parquet(tmp_path, any_order):
    pandas = pytest.importorskip("pandas")
    x = with_gaps(20)
    frame = pandas.DataFrame(x, columns=[*"abcdef"])
    frame["b"] = frame["b"].astype("Int8")
    frame.to_parquet(tmp_path / "x.parquet")
    run("impute", any_order, tmp_path / "x.parquet", "-o", tmp_path / "f.csv")
    filled = np.loadtxt(tmp_path / "f.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(filled[~np.isnan(x)], x[~np.isnan(x)])
    assert np.isin(filled, (0, 1)).all()


def test_impute_leaves_real_values_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    table = [[f"{a:.3f}", f"{b:.1f}"] for a, b in rng.normal(size=[60, 2])]
    (tmp_path / "x.csv").write_text("\n".join(["a,b", *(",".join(row) for row in table)]))
    model = tmp_path / "m.keras"
    run("train", tmp_path / "x.csv", "-o", model, "--conditionals", "normal", *TINY)
    (tmp_path / "gaps.csv").write_text("a,b\n0.1,\n-2.345,\n,1.5\n0.7,0.3\n")
    run("impute", model, tmp_path / "gaps.csv", "-o", tmp_path / "f.csv")
    names, *lines = [line.split(",") for line in (tmp_path / "f.csv").read_text().splitlines()]
    assert names == ["a", "b"]
    assert [lines[0][0], lines[1][0], lines[2][1]] == ["0.1", "-2.345", "1.5"]
    assert lines[3] == ["0.7", "0.3"]
    assert np.isfinite(np.array(lines, float)).all()


def test_few_particles_are_told(tmp_path, model):
    # What is missing comes first; more rows than are filled in at once.
    x = np.tile(np.float32([np.nan, 0, 1, 0, 1, 0]), (1030, 1))
    np.savez(tmp_path / "x.npz", x)
    command = ("impute", model, tmp_path / "x.npz", "-o", tmp_path / "f.npz")
    result = run(*command, "--num-particles", 2)
    (line,) = (line for line in result.stderr.splitlines() if "Warning" in line)
    assert line.startswith("Warning: Of 2 weighted draws only")
    np.savez(tmp_path / "x.npz", x[:4])
    assert "Warning" not in run(*command).stderr
    assert "not in the range" in fails(*command, "--num-particles", 1)


def test_nothing_to_fill_in(tmp_path, any_order):
    np.savez(tmp_path / "x.npz", make_rows(4, 0))
    result = run("impute", any_order, tmp_path / "x.npz", "-o", tmp_path / "f.npz")
    assert result.stdout.startswith("0 values filled in, in 0 of 4 rows")
    np.testing.assert_array_equal(np.load(tmp_path / "f.npz")["x"], make_rows(4, 0))


def test_bad_rows_to_impute(tmp_path, any_order, model, tflite):
    table, output = tmp_path / "x.csv", tmp_path / "f.csv"
    command = ("impute", any_order, table, "-o", output)
    header = "a,b,c,d,e,f\n"
    for text, message in [
        (header + "0,1,0,,0,1\n0,,0,1,2,1\n", "0 or 1 only. Received: 2.0 in row 2 (the first"),
        (header + "0,1,0,,0,1\n0,,0\n", "line 3 has 3 field(s), and the first has 6"),
        (header + "0,1,0,,0,inf\n", "all values must be finite numbers. Received: inf in row 1"),
        (header + "0,1,0,,0,x\n", "column 'f' is not numeric"),
        (header, "must have rows"),
        ("a,b\n0,\n", "must have the 6 columns"),
    ]:
        table.write_text(text)
        assert message in fails(*command)
    table.write_text(as_csv(with_gaps(3)))
    assert "would overwrite the input" in fails("impute", any_order, table, "-o", table)
    assert "must end in .npz or .csv" in fails("impute", any_order, table, "-o", "f.png")
    message = fails("impute", tflite, table, "-o", output)
    assert "no signature 'impute': export it of a model of all orders" in message
    message = fails("impute", model, table, "-o", output, "--num-orders", 2)
    assert "num_masks=1. Received: num_orders=2" in message
    assert "must be a model" in fails("impute", table, table, "-o", output)
    assert sorted(os.listdir(tmp_path)) == ["x.csv"]


def test_a_failed_imputation_leaves_what_was_there(tmp_path, any_order, monkeypatch):
    import made_tf

    np.savez(tmp_path / "x.npz", with_gaps(1500))  # more rows than are filled in at once
    output = tmp_path / "f.csv"
    output.write_text("before")
    whole = made_tf.MADEDistribution.impute

    def broken(self, x, *args, first_row=0, **kwargs):
        if first_row:
            raise OSError(28, "No space left on device")
        return whole(self, x, *args, first_row=first_row, **kwargs)

    monkeypatch.setattr(made_tf.MADEDistribution, "impute", broken)
    message = fails("impute", any_order, tmp_path / "x.npz", "-o", output, exit_code=1)
    assert "No space left on device" in message
    assert output.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["f.csv", "x.npz"]
