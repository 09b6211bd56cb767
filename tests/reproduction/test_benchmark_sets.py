"""Published sets: found, fetched, checked."""

import hashlib
import http.client
import re
import urllib.request

import numpy as np
import pytest

from made_tf.reproduction.benchmark_sets import BenchmarkSet, load_set, make_smoke_set, set_names

PARTS = ("train", "valid", "test")


@pytest.fixture
def entry(monkeypatch, tmp_path):
    """A small set, to be had at file:// addresses in either of the two layouts."""
    rng = np.random.default_rng(0)
    arrays = {
        part: rng.integers(0, 2, (rows, 3)) for part, rows in zip(PARTS, (4, 3, 2), strict=True)
    }
    content = b"".join(array.astype(np.uint8).tobytes() for array in arrays.values())
    served = tmp_path / "served"
    served.mkdir()
    np.savez(served / "s.npz", **{f"{part}_data": a.astype(float) for part, a in arrays.items()})
    for part, array in arrays.items():
        np.savetxt(served / f"s.{part}.data", array, fmt="%d", delimiter=",")
    table = {
        "rows": [4, 3, 2],
        "variables": 3,
        "sha256": hashlib.sha256(content).hexdigest(),
        "url": (served / "s.npz").as_uri(),
        "published": 1.0,
        "published_by": "nobody",
        "source": "nowhere",
    }
    monkeypatch.setattr(BenchmarkSet, "named", lambda name: BenchmarkSet(name, **table))
    return table, arrays, served


def equal(splits, arrays):
    return all(np.array_equal(getattr(splits, part), arrays[part]) for part in PARTS)


@pytest.mark.parametrize("url", ["s.npz", "s.{part}.data"])
def test_what_is_not_there_is_fetched_once(entry, tmp_path, url, monkeypatch):
    table, arrays, served = entry
    table["url"] = f"{served.as_uri()}/{url}"
    splits = load_set("s", tmp_path / "data")
    assert equal(splits, arrays) and splits.train.dtype == np.float32
    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **kwargs: pytest.fail("again"))
    assert equal(load_set("s", tmp_path / "data"), arrays)


def test_what_cannot_be_fetched_is_told_with_its_address(entry, tmp_path):
    table, _, served = entry
    table["url"] = f"{served.as_uri()}/none.npz"
    address = re.escape(table["url"])
    with pytest.raises(ValueError, match=f"is not there, and cannot be fetched .*{address}"):
        load_set("s", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_other_rows_than_the_published_are_refused(entry, tmp_path):
    _, arrays, served = entry
    arrays["test"] = 1 - arrays["test"]
    np.savez(served / "s.npz", **{f"{part}_data": a for part, a in arrays.items()})
    with pytest.raises(ValueError, match="must hold the set s, whose SHA-256 is"):
        load_set("s", tmp_path / "data")
    assert not (tmp_path / "data").exists()
    (tmp_path / "data" / "binary").mkdir(parents=True)
    np.savez(tmp_path / "data" / "binary" / "s.npz", **arrays)
    with pytest.raises(ValueError, match="s.npz must hold the set s, whose SHA-256 is"):
        load_set("s", tmp_path / "data")
    np.savez(tmp_path / "data" / "binary" / "s.npz", **{**arrays, "valid": arrays["valid"][:2]})
    with pytest.raises(ValueError, match=r"of shapes \[\(4, 3\), \(3, 3\), \(2, 3\)\]"):
        load_set("s", tmp_path / "data")
    np.savez(tmp_path / "data" / "binary" / "s.npz", x=arrays["train"])
    with pytest.raises(ValueError, match="must hold the arrays train, valid and test"):
        load_set("s", tmp_path / "data")


def test_sets_have_what_a_table_needs():
    for name in set_names():
        entry = BenchmarkSet.named(name)
        assert len(entry.rows) == 3 and entry.variables > 0 and len(entry.sha256) == 64
        assert entry.url.startswith("https://") and entry.published > 0
    with pytest.raises(ValueError, match="`name` must be one of adult, .* Received: name='nips'"):
        load_set("nips", ".")


def test_the_sets_on_this_machine_are_the_published_ones(data_dir):
    for name in ("adult", "dna", "nltcs"):
        splits = load_set(name, data_dir)
        assert splits.train.shape[1] == BenchmarkSet.named(name).variables


def test_smoke_rows_have_something_to_learn():
    splits = make_smoke_set()
    repeats = (splits.train[:, 1:] == splits.train[:, :-1]).mean()
    assert 0.75 < repeats < 0.85
    assert np.array_equal(make_smoke_set().test, splits.test)


@pytest.mark.parametrize("wrong", [0.9, 256, -1, np.nan])
def test_rows_are_checked_before_they_become_bytes(entry, tmp_path, wrong):
    _, arrays, _ = entry
    changed = {part: array.astype(float) for part, array in arrays.items()}
    where = np.argwhere(arrays["valid"] == 0)[0]
    changed["valid"][tuple(where)] = wrong
    (tmp_path / "binary").mkdir()
    np.savez(tmp_path / "binary" / "s.npz", **changed)
    with pytest.raises(ValueError, match=r"s\.npz must hold the set s: zeros and ones alone"):
        load_set("s", tmp_path)


@pytest.mark.usefixtures("entry")
def test_a_download_that_is_cut_short_is_told(tmp_path, monkeypatch):
    class Cut:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def read(self):
            raise http.client.IncompleteRead(b"PK", 100)

    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **kwargs: Cut())
    with pytest.raises(ValueError, match=r"cannot be fetched \(IncompleteRead"):
        load_set("s", tmp_path)
    from made_tf.export.web import litert_js

    with pytest.raises(OSError, match=r"could not be fetched \(IncompleteRead"):
        litert_js.litert_files(tmp_path / "cache")
    assert not (tmp_path / "binary").exists() and not (tmp_path / "cache").exists()
