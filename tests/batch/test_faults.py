"""What goes wrong while a job runs: which part and why, what is done stays, the rest follows."""

import multiprocessing
import os
import pathlib
import resource
import shutil
import signal
import threading
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from made_tf import batch
from made_tf.export.runtime import LiteSampler

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def rows(numbers, tmp_path, write_rows):
    x = LiteSampler(numbers).sample(400, seed=1)
    for name, part in zip(NAMES, np.split(x, 4), strict=True):
        write_rows(tmp_path / "rows" / f"{name}.parquet", part)
    return tmp_path / "rows", LiteSampler(numbers).log_prob(x)


def complete(folder):
    """Returns the names of the parts in a folder, each of which must be whole."""
    for path in folder.glob("*.parquet"):
        assert pq.read_table(path).num_rows == 100
    assert not [name for name in os.listdir(folder) if ".tmp" in name]
    return sorted(path.name[0] for path in folder.glob("*.parquet"))


def does_the_rest(model, rows, folder, expected, kept):
    report = batch.score(model, rows, folder, num_workers=1)
    assert report.num_kept == kept
    np.testing.assert_array_equal(pq.read_table(folder)["log_prob"].to_numpy(), expected)


@pytest.mark.parametrize("damage", ["footer", "page", "empty"])
def test_a_damaged_part(numbers, rows, tmp_path, damage):
    path = rows[0] / "b.parquet"
    whole = path.read_bytes()
    table = pq.read_table(path)
    pq.write_table(table, path, row_group_size=100, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    if damage == "footer":
        content = content[:-20]
    elif damage == "page":
        content[200] ^= 0xFF
    else:
        content = b""
    path.write_bytes(content)
    with pytest.raises(batch.JobError, match=r"1 of 4 parts are not done.\nb.*b.parquet") as told:
        batch.score(numbers, rows[0], tmp_path / "s", num_workers=1)
    assert "What is done stays" in str(told.value)
    assert complete(tmp_path / "s") == ["a", "c", "d"]
    path.write_bytes(whole)
    does_the_rest(numbers, *(rows[0], tmp_path / "s", rows[1]), kept=3)


def test_a_part_that_was_damaged_after_it_was_scored(numbers, rows, tmp_path):
    """What is there of it stays, and what is wrong is told."""
    batch.score(numbers, rows[0], tmp_path / "s", num_workers=1)
    (rows[0] / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(batch.JobError, match=r"1 of 4 parts are not done.\nb.parquet"):
        batch.score(numbers, rows[0], tmp_path / "s", num_workers=1)
    assert complete(tmp_path / "s") == [*NAMES]


def test_rows_after_a_damaged_part_wait_for_their_numbers(bits, tmp_path, write_rows):
    x = LiteSampler(bits).sample(300, seed=1)
    x[np.random.default_rng(0).random(x.shape) < 0.3] = np.nan
    for name, part in zip("abc", np.split(x, 3), strict=True):
        write_rows(tmp_path / "rows" / f"{name}.parquet", part)
    path = tmp_path / "rows" / "b.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(batch.JobError, match="rows that come after it have no numbers, and wait"):
        batch.impute(bits, tmp_path / "rows", tmp_path / "f", num_workers=1)
    assert complete(tmp_path / "f") == ["a"]
    path.write_bytes(whole)
    assert batch.impute(bits, tmp_path / "rows", tmp_path / "f", num_workers=1).num_kept == 1
    found = pq.read_table(tmp_path / "f").to_pandas().to_numpy()
    np.testing.assert_array_equal(found, LiteSampler(bits).impute(x))


def test_a_part_with_other_columns_or_values(numbers, rows, tmp_path, write_rows):
    write_rows(rows[0] / "b.parquet", np.zeros((100, 3)), names=["x0", "x1", "x1b"])
    table = pq.read_table(rows[0] / "c.parquet")
    texts = pa.array(["?"] * 100)
    pq.write_table(table.set_column(1, "x1", texts), rows[0] / "c.parquet")
    gap = np.zeros((100, 3))
    gap[17, 2] = np.nan
    write_rows(rows[0] / "d.parquet", gap)
    with pytest.raises(batch.JobError, match="2 of 4 parts are not done") as told:
        batch.score(numbers, rows[0], tmp_path / "s", num_workers=2)
    failures = told.value.failures
    assert sorted(failures) == ["c-00000.parquet", "d-00000.parquet"]
    assert (
        "c.parquet: column 'x1' must hold numbers. Received: string" in failures["c-00000.parquet"]
    )
    assert "column 'x2' must hold finite numbers" in failures["d-00000.parquet"]
    assert "row 17" in failures["d-00000.parquet"]
    assert complete(tmp_path / "s") == ["a", "b"]


def kill_when(path, begun):
    """Kills the worker that has a temporary file of a part open, as soon as one has."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for worker in multiprocessing.active_children():
            try:
                open_files = [
                    os.readlink(f) for f in pathlib.Path(f"/proc/{worker.pid}/fd").iterdir()
                ]
            except OSError:  # it, or a file, is closed by now
                continue
            if any(path in file for file in open_files):
                os.kill(worker.pid, signal.SIGKILL)
                begun.append(worker.pid)
                return
        time.sleep(0.001)


@pytest.mark.skipif(not pathlib.Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_worker_that_is_killed(numbers, tmp_path):
    """While it writes the third of eight parts: the others are done, by other processes."""
    folder, begun = tmp_path / "s", []
    killer = threading.Thread(target=kill_when, args=(f"{folder}/.part-00002.", begun))
    killer.start()
    with pytest.raises(batch.JobError, match="1 of 8 parts are not done") as told:
        batch.sample(numbers, 320_000, folder, num_workers=2, part_rows=40_000)
    killer.join()
    assert begun and begun[0] != os.getpid()
    assert told.value.failures == {
        "part-00002.parquet": "its process ended by signal 9 (perhaps for want of memory)"
    }
    names = [f"part-0000{number}.parquet" for number in (0, 1, 3, 4, 5, 6, 7)]
    assert sorted(os.listdir(folder)) == [".made_tf.lock", *names]
    again = batch.sample(numbers, 320_000, folder, num_workers=1, part_rows=40_000)
    assert again.num_kept == 7
    expected = LiteSampler(numbers).sample(320_000)
    np.testing.assert_array_equal(pq.read_table(folder).to_pandas().to_numpy(), expected)


def test_a_full_disk(numbers, tmp_path):
    """No file may be longer than 40 kB: what else is to be written is not begun."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
    try:
        with pytest.raises(
            batch.JobError, match="(?s)File too large.*since no more can be"
        ) as told:
            batch.sample(numbers, 40_000, tmp_path / "s", num_workers=1, part_rows=10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(told.value.failures) == ["part-00000.parquet"]
    assert len(told.value.not_begun) == 3
    assert os.listdir(tmp_path / "s") == [".made_tf.lock"]
    assert batch.sample(numbers, 40_000, tmp_path / "s", part_rows=10_000).num_rows == 40_000


def test_a_model_that_is_replaced(numbers, bits, tmp_path, monkeypatch):
    model, folder = tmp_path / "model.tflite", tmp_path / "s"
    shutil.copy(numbers, model)
    seen = batch.folders._Unchanged.__call__
    calls = []

    def replaced_before_the_third(check):
        calls.append(check)
        if len(calls) == 3:
            shutil.copy(bits, model)  # in place, as careless programs do
        seen(check)

    monkeypatch.setattr(batch.folders._Unchanged, "__call__", replaced_before_the_third)
    with pytest.raises(batch.JobError, match="3 were not begun, since the model .* was replaced"):
        batch.sample(model, 500, folder, num_workers=1, part_rows=100)
    monkeypatch.undo()
    assert complete(folder) == ["p", "p"]
    shutil.copy(numbers, model)
    assert batch.sample(model, 500, folder, num_workers=1, part_rows=100).num_kept == 2
    expected = LiteSampler(numbers).sample(500)
    np.testing.assert_array_equal(pq.read_table(folder).to_pandas().to_numpy(), expected)
    shutil.copy(bits, model)
    assert batch.sample(model, 500, folder, num_workers=1, part_rows=100).num_kept == 0


def test_two_jobs_do_not_write_to_one_folder(bits, tmp_path):
    import fcntl

    (tmp_path / "s").mkdir()
    with open(tmp_path / "s" / ".made_tf.lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another job is writing to"):
            batch.sample(bits, 5, tmp_path / "s", num_workers=1)
