"""Files are written whole or not at all, and what is no file is never replaced."""

import os
import pathlib
import stat
import threading
import time

import pytest

from made_tf.portable.files import replacing


def test_a_file_is_there_at_the_end_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.suffix == ".txt" and temporary.parent == tmp_path
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_disk_has_the_content_before_the_name(tmp_path, monkeypatch):
    done, replace = [], os.replace

    def fsync(descriptor):
        done.append(("synced", os.fstat(descriptor).st_ino, os.fstat(descriptor).st_size))

    def rename(source, target):
        done.append(("named", os.stat(source).st_ino, os.stat(source).st_size))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    number = (tmp_path / "a.txt").stat().st_ino
    assert done == [("synced", number, 5), ("named", number, 5)]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_nobody_knows_the_temporary_name_beforehand(tmp_path):
    names = set()
    for _ in range(3):
        with replacing(tmp_path / "a.txt") as temporary:
            names.add(temporary.name)
            temporary.touch()
    assert len(names) == 3


def test_two_writers_do_not_mix(tmp_path):
    path = tmp_path / "a.txt"

    def write(letter):
        for _ in range(20):
            with replacing(path) as temporary:
                temporary.write_text(letter * 10_000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("x" * 10_000, "y" * 10_000)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_leads_to_the_file_that_is_replaced(tmp_path):
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    path.write_text("old")
    link.symlink_to(path)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and path.read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_written_through(tmp_path):
    path = tmp_path / "a.csv"
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    with replacing(path) as temporary:
        temporary.write_text("rows")
    reader.join(timeout=10)
    assert read == ["rows"] and stat.S_ISFIFO(path.stat().st_mode)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_stays_one_and_its_error_is_told(tmp_path):
    link = tmp_path / "full.csv"
    link.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"), replacing(link) as temporary:
        temporary.write_text("rows")
    assert stat.S_ISCHR(pathlib.Path("/dev/full").stat().st_mode)


def test_what_killed_processes_left_is_removed_once_it_is_old(tmp_path):
    path, token = tmp_path / "m.keras", "0123456789abcdef"
    names = {
        f".m.{token}.tmp.keras": 90_000,
        f".m.{token[::-1]}.tmp.keras": 10,  # somebody may be writing it
        f".n.{token}.tmp.keras": 90_000,
        f".m.{token}.tmp.npz": 90_000,
        ".m.mine.tmp.keras": 90_000,
    }
    for name, age in names.items():
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with replacing(path) as temporary:
        temporary.write_text("whole")
    left = {found.name for found in tmp_path.iterdir()}
    assert left == {"m.keras", *list(names)[1:]}
