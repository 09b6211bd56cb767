"""Folders scored, drawn and filled in: the rows of the device runtime, however they are cut."""

import concurrent.futures
import json
import multiprocessing
import os
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from made_tf import batch
from made_tf.batch.parts import Part, Work, write_part
from made_tf.export.runtime import LiteSampler


def values(folder):
    return pq.read_table(folder).to_pandas().to_numpy()


def with_gaps(model, count, seed=5):
    x = LiteSampler(model).sample(count, seed=seed)
    x[np.random.default_rng(0).random(x.shape) < 0.3] = np.nan
    return x


@pytest.mark.parametrize("file", ["numbers", "bits"])
def test_row_i_is_the_same_row_however_they_are_cut(file, request, tmp_path):
    model = request.getfixturevalue(file)
    expected = LiteSampler(model).sample(5003, seed=7)
    one = batch.sample(model, 5003, tmp_path / "one", 7, num_workers=1, part_rows=1700)
    four = batch.sample(model, 5003, tmp_path / "four", 7, num_workers=4, part_rows=900)
    assert (one.num_parts, four.num_parts, four.num_rows) == (3, 6, 5003)
    np.testing.assert_array_equal(values(tmp_path / "one"), expected)
    np.testing.assert_array_equal(values(tmp_path / "four"), expected)
    assert (LiteSampler(model).sample(5003, seed=8) != expected).any()


def test_parts_may_be_drawn_in_any_order_and_again(numbers, tmp_path):
    expected = LiteSampler(numbers).sample(1000, seed=3)
    work = Work("sample", str(numbers), batch.folders.file_digest(numbers), str(tmp_path), 3)
    for start in (800, 0, 400, 200, 600, 400):
        write_part(work, Part(f"{start:04}.parquet", start, 200))
    np.testing.assert_array_equal(values(tmp_path), expected)


def test_filled_rows_are_drawn_by_their_number_among_all(bits, tmp_path, write_rows):
    x = with_gaps(bits, 1000)
    expected = LiteSampler(bits).impute(x, seed=4)
    for number, part in enumerate(np.split(x, [300, 310, 700])):
        write_rows(tmp_path / "rows" / f"{number}.parquet", part, 50)
    write_rows(tmp_path / "whole.parquet", x, 1000)
    batch.impute(bits, tmp_path / "rows", tmp_path / "cut", 4, num_workers=2, part_rows=120)
    batch.impute(bits, tmp_path / "whole.parquet", tmp_path / "filled", 4, num_workers=1)
    np.testing.assert_array_equal(values(tmp_path / "cut"), expected)
    np.testing.assert_array_equal(values(tmp_path / "filled"), expected)
    assert np.isnan(x).any(axis=1).mean() > 0.5
    np.testing.assert_array_equal(expected[~np.isnan(x)], x[~np.isnan(x)])


def test_scores_stand_in_the_order_of_the_rows(numbers, tmp_path, write_rows):
    x = LiteSampler(numbers).sample(700, seed=1)
    write_rows(tmp_path / "rows" / "b.parquet", x[500:])
    write_rows(tmp_path / "rows" / "a.parquet", x[:500])
    (tmp_path / "rows" / "_SUCCESS").write_text("")
    report = batch.score(numbers, tmp_path / "rows", tmp_path / "s", num_workers=1, part_rows=200)
    found = pq.read_table(tmp_path / "s").to_pandas()
    np.testing.assert_array_equal(found["log_prob"], LiteSampler(numbers).log_prob(x))
    assert found["row"].tolist() == [*range(500), *range(200)]
    names = sorted(os.listdir(tmp_path / "s"))
    assert names[1:] == ["a-00000.parquet", "a-00001.parquet", "a-00002.parquet", "b-00000.parquet"]
    assert str(report).startswith("700 rows, ") and "4 part(s)" in str(report)
    pattern = str(tmp_path / "rows" / "*.parquet")
    batch.score(numbers, pattern, tmp_path / "k", keep=True, num_workers=1)
    kept = pq.read_table(tmp_path / "k" / "b-00000.parquet").to_pandas()
    assert kept.columns.tolist() == ["x0", "x1", "x2", "log_prob"]
    np.testing.assert_array_equal(kept.to_numpy()[:, :3], x[500:])


def test_the_oddest_rows(numbers, tmp_path, write_rows):
    x = LiteSampler(numbers).sample(500, seed=1)
    write_rows(tmp_path / "rows" / "a.parquet", x[:200], 60)
    write_rows(tmp_path / "rows" / "more" / "b.parquet", x[200:], 60)
    scores = -LiteSampler(numbers).log_prob(x)
    worst = np.argsort(-scores)[:6].tolist()
    assert min(worst) < 200 <= max(worst)  # some in each file
    for keep in (False, True):
        folder = tmp_path / f"keep-{keep}"
        batch.score(numbers, tmp_path / "rows", folder, keep=keep, num_workers=1, part_rows=60)
        odd = batch.oddest(folder, top=6)
        assert [(each.file, each.row) for each in odd] == [
            ("a.parquet", row) if row < 200 else ("more/b.parquet", row - 200) for row in worst
        ]
        np.testing.assert_array_equal([each.score for each in odd], scores[worst])
    with pytest.raises(ValueError, match="must hold what `score` has written. It holds"):
        batch.oddest(tmp_path / "rows")
    with pytest.raises(FileNotFoundError, match="No scores in"):
        batch.oddest(tmp_path / "nowhere")


def test_names_in_the_file_find_columns(numbers, tmp_path, write_rows):
    x = LiteSampler(numbers).sample(50, seed=1)
    more = np.concatenate([x[:, ::-1], x[:, :1]], axis=1)
    write_rows(tmp_path / "a.parquet", more, names=["x2", "x1", "x0", "other"])
    write_rows(tmp_path / "b.parquet", x, names=["p", "q", "r"])  # in their order
    write_rows(tmp_path / "c.parquet", x, names=["x0", "x1", "y"])
    expected = LiteSampler(numbers).log_prob(x)
    for name in ("a", "b", "c"):
        batch.score(numbers, tmp_path / f"{name}.parquet", tmp_path / name, num_workers=1)
        found = pq.read_table(tmp_path / name)["log_prob"].to_numpy()
        np.testing.assert_array_equal(found, expected)
    write_rows(tmp_path / "d.parquet", more, names=["x2", "x1", "p", "other"])
    with pytest.raises(batch.JobError, match=r"columns of the model.*\['x2', 'x1', 'p', 'other'\]"):
        batch.score(numbers, tmp_path / "d.parquet", tmp_path / "d", num_workers=1)


def test_a_second_call_does_what_is_left(bits, tmp_path):
    batch.sample(bits, 600, tmp_path / "s", 1, num_workers=1, part_rows=200)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("*.parquet")}
    (tmp_path / "s" / "part-00001.parquet").unlink()
    again = batch.sample(bits, 600, tmp_path / "s", 1, num_workers=1, part_rows=200)
    assert (again.num_parts, again.num_kept, again.num_rows) == (3, 2, 200)
    assert "2 were there already" in str(again)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("*.parquet")}
    assert [before[path] == after[path] for path in sorted(before)] == [True, False, True]
    np.testing.assert_array_equal(values(tmp_path / "s"), LiteSampler(bits).sample(600, seed=1))
    other = batch.sample(bits, 600, tmp_path / "s", 2, num_workers=1, part_rows=200)
    assert other.num_kept == 0  # another seed: nothing of the first one is left
    np.testing.assert_array_equal(values(tmp_path / "s"), LiteSampler(bits).sample(600, seed=2))


def test_rows_that_were_written_anew_are_scored_anew(numbers, tmp_path, write_rows):
    for name in "ab":
        write_rows(tmp_path / "rows" / f"{name}.parquet", LiteSampler(numbers).sample(20))
    arguments = numbers, tmp_path / "rows", tmp_path / "s"
    batch.score(*arguments, num_workers=1)
    x = LiteSampler(numbers).sample(20, seed=9)
    write_rows(tmp_path / "rows" / "b.parquet", x)
    assert batch.score(*arguments, num_workers=1).num_kept == 1
    found = pq.read_table(tmp_path / "s" / "b-00000.parquet")["log_prob"].to_numpy()
    np.testing.assert_array_equal(found, LiteSampler(numbers).log_prob(x))


def test_workers_import_neither_tensorflow_nor_keras(rides, tmp_path):
    """What a worker has imported by the time it has made a part."""
    from made_tf.batch.jobs import _begin, _run

    work = Work("sample", str(rides), batch.folders.file_digest(rides), str(tmp_path / "s"))
    spawn = multiprocessing.get_context("spawn")
    notes = str(tmp_path)
    with concurrent.futures.ProcessPoolExecutor(1, spawn, _begin, (notes,)) as pool:
        assert pool.submit(_run, work, Part("a.parquet", 0, 10), notes).result() == (10, [])
        loaded = pool.submit(eval, "sorted(__import__('sys').modules)").result()
    assert {"ai_edge_litert", "pyarrow", "made_tf.batch.parts"} <= set(loaded)
    assert not {"tensorflow", "keras", "tf_keras", "tensorflow_probability", "jax"} & set(loaded)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, r, o: batch.score(m, r, o, num_workers=0), "`num_workers` must be a positive"),
        (lambda m, r, o: batch.score(m, r, o, part_rows=0), "`part_rows` must be a positive"),
        (lambda m, r, o: batch.score(m, r, o, keep=1), "`keep` must be True or False"),
        (lambda m, r, o: batch.sample(m, 0, o), "`num_samples` must be an integer in"),
        (lambda m, r, o: batch.sample(m, 9, o, seed=2**31), "`seed` must be an integer in"),
        (lambda m, r, o: batch.impute(m, r, o), "must be a file that fills in rows"),
        (lambda m, r, o: batch.score(m, r, r), "`output` must be another folder"),
        (lambda m, r, o: batch.score(r / "a.parquet", r, o), "complete LiteRT model"),
    ],
)
def test_bad_arguments(numbers, tmp_path, write_rows, call, message):
    write_rows(tmp_path / "rows" / "a.parquet", np.zeros((3, 3)))
    with pytest.raises(ValueError, match=message):
        call(numbers, tmp_path / "rows", tmp_path / "s")
    assert list(tmp_path.rglob("*-0*.parquet")) == []


def test_no_rows_are_told(numbers, tmp_path):
    with pytest.raises(FileNotFoundError, match="No Parquet files: nowhere"):
        batch.score(numbers, "nowhere", tmp_path / "s")
    (tmp_path / "_hidden").mkdir()
    pq.write_table(pa.table({"x0": [1.0]}), tmp_path / "_hidden" / "a.parquet")
    with pytest.raises(FileNotFoundError, match="No Parquet files"):
        batch.score(numbers, tmp_path, tmp_path / "s")


def test_parts_of_others_are_left_alone(bits, tmp_path):
    batch.sample(bits, 30, tmp_path / "s", num_workers=1, part_rows=10)
    with pytest.raises(
        ValueError, match="holds part-00001.parquet, a part of another job to sample"
    ):
        batch.sample(bits, 10, tmp_path / "s", num_workers=1)
    for name in ("part", "part.parquet"):
        shutil.copy(tmp_path / "s" / "part-00000.parquet", tmp_path / name)
    given = [tmp_path / "part", tmp_path / "part.parquet"]
    with pytest.raises(ValueError, match="different names. Two of them make part-00000.parquet"):
        batch.score(bits, given, tmp_path / "scores", num_workers=1)
    for path in (tmp_path / "s").glob("*1.parquet"), (tmp_path / "s").glob("*2.parquet"):
        next(path).unlink()
    with pytest.raises(ValueError, match="part-00000.parquet, a part of another job to sample"):
        batch.score(bits, tmp_path / "part.parquet", tmp_path / "s", num_workers=1)
    frame = pd.DataFrame({"a": [1]})
    (tmp_path / "other").mkdir()
    frame.to_parquet(tmp_path / "other" / "part-00000.parquet")
    with pytest.raises(ValueError, match="holds part-00000.parquet, no part of a job"):
        batch.sample(bits, 10, tmp_path / "other", num_workers=1)
    assert pd.read_parquet(tmp_path / "other" / "part-00000.parquet").equals(frame)


def test_parts_say_what_they_are_made_of(bits, tmp_path):
    batch.sample(bits, 5, tmp_path / "s", 3, num_workers=1)
    metadata = pq.read_metadata(tmp_path / "s" / "part-00000.parquet").metadata
    record = json.loads(metadata[b"made_tf.batch"])
    assert record["model"] == batch.folders.file_digest(bits)
    assert (record["action"], record["seed"], record["num_rows"]) == ("sample", 3, 5)
