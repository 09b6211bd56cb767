"""Commands on folders of Parquet: score, sample, impute by a `.tflite` file."""

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import fails, run

from made_tf.export.runtime import LiteSampler

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
BITS = GOLDEN / "tflite" / "0.1.0-any-order.tflite"
ONE = ("--workers", 1)


@pytest.fixture
def gaps(tmp_path):
    x = LiteSampler(BITS).sample(90, seed=1)
    x[np.random.default_rng(0).random(x.shape) < 0.3] = np.nan
    (tmp_path / "gaps").mkdir()
    for name, part in (("a", x[:50]), ("b", x[50:])):
        table = pa.table({f"x{number}": column for number, column in enumerate(part.T)})
        pq.write_table(table, tmp_path / "gaps" / f"{name}.parquet")
    return tmp_path / "gaps", x


def test_folders_are_drawn_filled_in_and_scored(tmp_path, gaps):
    drawn, filled, scores = (tmp_path / name for name in ("drawn", "filled", "scores"))
    text = run("sample", BITS, "-n", 30, "--seed", 3, "-o", drawn, "--part-rows", 20, *ONE).stdout
    assert text.startswith("30 rows, ") and text.endswith(f"2 part(s) in {drawn}\n")
    expected = LiteSampler(BITS).sample(30, seed=3)
    np.testing.assert_array_equal(pq.read_table(drawn).to_pandas().to_numpy(), expected)
    run("impute", BITS, gaps[0], "--seed", 2, "-o", filled, *ONE)
    expected = LiteSampler(BITS).impute(gaps[1], seed=2)
    np.testing.assert_array_equal(pq.read_table(filled).to_pandas().to_numpy(), expected)
    result = run("score", BITS, filled, "-o", scores, "--top", 2, *ONE)
    log_prob = LiteSampler(BITS).log_prob(expected)
    np.testing.assert_array_equal(pq.read_table(scores)["log_prob"].to_numpy(), log_prob)
    lines = result.stdout.splitlines()
    assert len(lines) == 3 and lines[1].endswith(f" {-log_prob.min():.2f} nats")
    again = run("score", BITS, filled, "-o", scores, *ONE).stdout
    assert "2 were there already" in again


def test_parts_that_fail_are_told_and_the_command_fails(tmp_path, gaps):
    run("impute", BITS, gaps[0], "-o", tmp_path / "filled", *ONE)
    whole = pq.read_table(tmp_path / "filled" / "a-00000.parquet")
    (tmp_path / "filled" / "b-00000.parquet").write_bytes(b"PAR1")
    result = run("score", BITS, tmp_path / "filled", "-o", tmp_path / "scores", *ONE, exit_code=1)
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: 1 of 2 parts are not done. b-00000.parquet: ")
    assert last.endswith("What is done stays; the same call does the rest.")
    parts = sorted(path.name for path in (tmp_path / "scores").glob("*.parquet"))
    assert parts == ["a-00000-00000.parquet"]
    assert pq.read_table(tmp_path / "scores").num_rows == len(whole)


def test_bad_options(tmp_path, gaps, model):
    output = ("-o", tmp_path / "out")
    assert "must be a file that ends in .tflite" in fails("score", model, gaps[0], *output)
    assert "must be a file that ends in .tflite" in fails("sample", model, *output)
    assert "goes with --seed alone" in fails("impute", BITS, gaps[0], *output, "--num-orders", 2)
    csv = ("-o", tmp_path / "out.csv")
    assert "go with a folder as --output" in fails("impute", model, gaps[0], *csv)
    assert "go with a folder as --output" in fails("sample", BITS, *csv, "--workers", 2)
    assert "do not go with a folder" in fails("sample", BITS, *output, "--given", "a=1")
    assert "No Parquet files: nowhere" in fails("score", BITS, "nowhere", *output)
    (tmp_path / "file").write_text("")
    assert "is no folder" in fails("sample", BITS, "-o", tmp_path / "file")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("*.parquet"))
