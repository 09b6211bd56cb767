"""Rows out: files that are whole or as they were."""

import os
import sys

import numpy as np
import pytest

from made_tf import data


@pytest.fixture
def x():
    return np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.mark.parametrize("ending", [".npz", ".csv"])
def test_what_is_saved_is_read(tmp_path, ending):
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32) * 1e-3
    path = tmp_path / f"x{ending}"
    data.save_rows(path, x, columns=["a", "b,c", 'd"e'])
    values, columns = data.load_table(path)
    np.testing.assert_array_equal(values, x)
    assert values.dtype == np.float32
    assert columns == (["a", "b,c", 'd"e'] if ending == ".csv" else ["x0", "x1", "x2"])
    assert os.listdir(tmp_path) == [path.name]


def test_pictures_are_drawn_elsewhere(tmp_path, x):
    with pytest.raises(ValueError, match=r"must end in .npz or .csv.*made_tf.plotting.save_images"):
        data.save_rows(tmp_path / "x.png", x)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", ["npz", "csv"])
def test_a_stream_of_batches_is_written_as_it_comes(tmp_path, ending):
    x = np.arange(14, dtype=np.float32).reshape(7, 2)
    path = tmp_path / f"x.{ending}"
    data.save_stream(path, (x[i : i + 3] for i in (0, 3, 6)), (np.int64(7), np.int32(2)))
    np.testing.assert_array_equal(data.load_table(path)[0], x)


@pytest.mark.parametrize("ending", ["npz", "csv"])
@pytest.mark.parametrize("shape", [(6, 2), (8, 2), (7, 3)])
def test_a_stream_of_another_shape_leaves_what_was_there(tmp_path, ending, shape):
    x = np.zeros((7, 2), np.float32)
    path = tmp_path / f"x.{ending}"
    path.write_text("before")
    with pytest.raises(ValueError, match="`batches` must"):
        data.save_stream(path, [x[:4], x[4:]], shape)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", ["npz", "csv"])
def test_an_interrupted_stream_leaves_what_was_there(tmp_path, ending):
    def batches():
        yield np.zeros((4, 2), np.float32)
        raise KeyboardInterrupt

    path = tmp_path / f"x.{ending}"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        data.save_stream(path, batches(), (8, 2))
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == [path.name]


def test_unknown_endings(tmp_path, x):
    with pytest.raises(ValueError, match=r"`path` must end in .npz or .csv"):
        data.save_rows(tmp_path / "x.txt", x)
    (tmp_path / "x.txt").write_text("1")
    with pytest.raises(ValueError, match=r"`path` must end in .npz, .csv or .parquet"):
        data.load_table(tmp_path / "x.txt")


def test_csv_holds_the_shortest_decimals(tmp_path):
    path = tmp_path / "x.csv"
    data.save_rows(path, [[0.1, 2, -1.25e-7, 16777216, 0, 123.456, np.nan]])
    assert path.read_text().splitlines()[1] == "0.1,2,-1.25e-07,16777216,0,123.456,nan"
    bits = np.random.default_rng(0).integers(0, 2**32, 5000, dtype=np.uint32)
    x = bits.view(np.float32)
    x = x[np.isfinite(x) & (np.abs(x) > 1e-37)]  # those below have fewer digits than six
    data.save_rows(path, x[:, None])
    lines = path.read_text().splitlines()[1:]
    assert [float(line) for line in lines] == [float(str(value)) for value in x]


def test_a_failed_write_leaves_what_was_there(tmp_path, x, monkeypatch):
    path = tmp_path / "x.csv"
    data.save_rows(path, x)
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savetxt", full)
    with pytest.raises(OSError, match="No space left"):
        data.save_rows(path, x * 2)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.csv"]


def test_history(tmp_path):
    data.save_history(tmp_path / "h.csv", [{"epoch": 1, "nll": 2.5}, {"epoch": 2, "nll": 1.5}])
    assert (tmp_path / "h.csv").read_text() == "epoch,nll\n1,2.5\n2,1.5\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_a_link_stays_a_link(tmp_path, x):
    (tmp_path / "folder").mkdir()
    link = tmp_path / "x.npz"
    link.symlink_to(tmp_path / "folder" / "y.npz")
    for _ in range(2):
        data.save_rows(link, x)
        assert link.is_symlink()
        np.testing.assert_array_equal(np.load(tmp_path / "folder" / "y.npz")["x"], x)
    assert os.listdir(tmp_path / "folder") == ["y.npz"]
