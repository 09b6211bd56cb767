"""Batches of Parquet files: each row once a pass, in bounded memory, the same whenever asked."""

import os

import keras
import numpy as np
import pandas as pd
import pytest

from made_tf import MADE
from made_tf.data import RowStream
from made_tf.data.row_stream import bytes_of
from made_tf.data.table_schema import TableSchema

ROWS = 900
READING = 256_000_000
BITS = [f"b{place}" for place in range(10)]  # of the row's number, which they tell


def numbers_of(batch):
    return (np.asarray(batch) @ 2.0 ** np.arange(10)).astype(int)


def write(folder, frame, parts=3, **options):
    for part, rows in enumerate(np.array_split(np.arange(len(frame)), parts)):
        frame.iloc[rows].to_parquet(folder / f"part-{part}.parquet", **options)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    bits = (np.arange(ROWS)[:, None] >> np.arange(10)) & 1
    frame = pd.DataFrame(bits, columns=BITS)
    return write(tmp_path_factory.mktemp("rows"), frame, row_group_size=100)


def stream_of(paths, room=250, **options):
    """A stream that has memory for so many rows of the bits."""
    return RowStream(paths, memory=READING + room * 44, **{"batch_size": 64, **options})


def one_pass(stream, epoch=0):
    stream.set_epoch(epoch)
    return np.concatenate([numbers_of(stream[index]) for index in range(stream.num_batches)])


@pytest.mark.parametrize("room", [100, 250, 10_000])
def test_each_pass_has_each_row_once_in_another_order(folder, room):
    stream = stream_of(folder, room)
    first, second = one_pass(stream), one_pass(stream, 1)
    assert stream.shape == (ROWS, 10)
    assert stream.num_batches == 15
    np.testing.assert_array_equal(np.sort(first), np.arange(ROWS))
    np.testing.assert_array_equal(np.sort(second), np.arange(ROWS))
    assert np.mean(first == second) < 0.05
    assert np.mean(np.diff(first) == 1) < 0.05


def test_no_more_groups_are_mixed_than_there_is_memory_for(folder):
    groups = one_pass(stream_of(folder, 250)) // 100
    windows = [set(groups[start : start + 200].tolist()) for start in range(0, ROWS, 200)]
    assert [len(each) for each in windows] == [2, 2, 2, 2, 1]
    assert set.union(*windows) == set(range(9))


def test_batches_follow_from_seed_and_place_alone(folder):
    stream = stream_of(folder, seed=5)
    for epoch, index in [(3, 11), (0, 2), (3, 12)]:
        stream.set_epoch(epoch)
        fresh = stream_of(folder, seed=5)
        fresh.set_epoch(epoch)
        np.testing.assert_array_equal(stream[index], fresh[index])
    other = stream_of(folder, seed=6)
    assert not np.array_equal(other[0], stream_of(folder, seed=5)[0])


def test_epochs_of_few_batches_make_up_passes(folder):
    stream, whole = stream_of(folder, steps=4), stream_of(folder)
    found = np.concatenate([one_pass(stream, epoch) for epoch in range(8)])
    expected = np.concatenate([one_pass(whole, epoch) for epoch in range(3)])
    np.testing.assert_array_equal(found, expected[: len(found)])


def test_rows_that_are_held_out_never_come(folder):
    held = np.array([0, 99, 100, 543, 899])
    stream = stream_of(folder, held_out=held)
    assert stream.shape == (ROWS - 5, 10)
    np.testing.assert_array_equal(np.sort(one_pass(stream)), np.delete(np.arange(ROWS), held))


def test_rows_are_drawn_from_those_that_are_left(folder):
    files = stream_of(folder).files
    held = files.held_out(0.5, seed=1, most=600)
    assert len(set(held.tolist())) == 450
    rest = files.draw(1000, 2, without=held)
    np.testing.assert_array_equal(np.sort(np.concatenate([held, rest])), np.arange(ROWS))
    often = sum(np.isin(np.arange(ROWS), files.draw(90, seed)) for seed in range(300))
    assert 10 < often.min() <= often.max() < 60  # 30 are expected


def make_model():
    keras.utils.set_random_seed(0)
    model = MADE(10, (8,), seed=0)
    model.compile(keras.optimizers.Adam(0.01))
    return model


def test_fit_takes_the_batches_as_they_come(folder):
    stream = stream_of(folder, batch_size=100)
    model, expected = make_model(), make_model()
    history = model.fit(stream, epochs=2, validation_data=stream[0], verbose=0).history
    rows = [np.concatenate([stream[i] for i in range(9)]) for epoch in (0, 1) if go(stream, epoch)]
    for x in rows:
        own = expected.fit(x, batch_size=100, shuffle=False, verbose=0).history
    assert history["nll"][-1] == pytest.approx(own["nll"][0], rel=1e-5)
    for ours, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def go(stream, epoch):
    stream.set_epoch(epoch)
    return True


def test_a_schema_makes_numbers_of_cells(tmp_path):
    frame = pd.DataFrame({"size": ["S", "L", None] * 40, "price": np.arange(120) / 4})
    write(tmp_path, frame, row_group_size=11)
    schema = TableSchema.infer(frame)
    stream = RowStream(tmp_path / "*.parquet", schema, batch_size=50)
    found = np.concatenate([stream[index] for index in range(3)])
    expected = schema.encode_frame(frame).x
    np.testing.assert_array_equal(found[np.argsort(found[:, 1])], expected)
    (tmp_path / "new").mkdir()
    frame.assign(size="M").to_parquet(tmp_path / "new" / "x.parquet")
    with pytest.raises(
        ValueError, match=r"column 'size' must have cells.*'M' in row 0 of .*x.parq"
    ):
        RowStream(tmp_path / "new", schema)[0]


def test_what_is_no_number_is_told(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0, None], "b": [True, False, True]})
    frame.to_parquet(tmp_path / "gap.parquet")
    with pytest.raises(ValueError, match=r"'a' must have finite numbers.*None in row 2 of .*gap"):
        RowStream(tmp_path)[0]
    frame.fillna(0).assign(c="x").to_parquet(tmp_path / "gap.parquet")
    with pytest.raises(ValueError, match="column 'c' must hold numbers. Received"):
        RowStream(tmp_path)[0]


def test_a_folder_without_rows_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="No Parquet files"):
        RowStream(tmp_path)
    pd.DataFrame({"a": []}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="must have rows and columns"):
        RowStream(tmp_path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (lambda frame: frame.drop(columns="a"), r"part-1.* lacks \['a'\], and has \[\] more"),
        (lambda frame: frame.assign(d=1), r"part-1.* lacks \[\], and has \['d'\] more"),
        (lambda frame: frame.astype({"a": str}), "part-1.*column 'a' of (large_)?string, there of"),
    ],
)
def test_parts_that_differ_are_told(tmp_path, changed, told):
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1]})
    frame.to_parquet(tmp_path / "part-0.parquet")
    changed(frame).to_parquet(tmp_path / "part-1.parquet")
    with pytest.raises(ValueError, match=told):
        RowStream(tmp_path)


def test_columns_may_stand_in_another_order_or_be_missing_throughout_a_part(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    frame.to_parquet(tmp_path / "part-0.parquet")
    frame[["b", "a"]].assign(b=None).to_parquet(tmp_path / "part-1.parquet")
    schema = TableSchema.infer(pd.concat([frame, frame.assign(b=None)]), find_facts=False)
    found = RowStream(tmp_path, schema)[0]
    assert sorted(map(tuple, found.tolist())) == [(0, 0), (0, 2), (1, 1), (1, 2)]


def test_damaged_and_changed_parts_are_told(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).integers(0, 2, [600, 10]), columns=BITS)
    write(tmp_path, frame, row_group_size=100)
    stream = stream_of(tmp_path, room=200)
    one_pass_of = lambda: [stream[index] for index in range(stream.num_batches)]  # noqa: E731
    one_pass_of()
    path = tmp_path / "part-1.parquet"
    before = path.stat()
    content = path.read_bytes()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    with pytest.raises(ValueError, match="part-1.parquet was written to since"):
        one_pass_of()
    path.write_bytes(content[:300] + b"?" * 200 + content[500:])
    with pytest.raises(ValueError, match="part-1.parquet"):
        list(stream_of(tmp_path, room=200).files.all_tables())
    path.write_bytes(content[:-20])
    with pytest.raises(ValueError, match="part-1.parquet is not a readable .parquet file"):
        stream_of(tmp_path)


def test_memory_that_is_too_small_says_what_is_needed(folder):
    with pytest.raises(ValueError, match=r"`memory` must be 256MB at least.* 100 rows of 10 numb"):
        RowStream(folder, memory="100MB")
    assert stream_of(folder, room=100).room == 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2GB", 2 * 10**9), ("1.5 gb", 15 * 10**8), ("3MiB", 3 * 2**20), ("512", 512), (7, 7)],
)
def test_sizes_of_memory(text, expected):
    assert bytes_of(text) == expected


@pytest.mark.parametrize("wrong", ["", "GB", "2XB", "-1GB", True, 0, None, 1.5])
def test_what_is_no_size_is_told(wrong):
    with pytest.raises(ValueError, match="`memory` must be a size such as '2GB'"):
        bytes_of(wrong)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("held_out", [1, 1, 5], "different rows, from 0 to 899"),
        ("held_out", [900], "different rows, from 0 to 899"),
        ("held_out", [-1], "different rows, from 0 to 899"),
        ("held_out", [0.5], "different rows, from 0 to 899"),
        ("steps", 2.5, "`steps` must be a positive integer"),
        ("steps", -1, "`steps` must be a positive integer"),
    ],
)
def test_arguments_are_checked(folder, option, value, message):
    with pytest.raises(ValueError, match=message):
        stream_of(folder, **{option: value})


def test_rows_that_are_held_out_may_be_named_in_any_order(folder):
    left = one_pass(stream_of(folder, held_out=[700, 3, 250]))
    np.testing.assert_array_equal(np.sort(left), np.delete(np.arange(ROWS), [3, 250, 700]))


def test_a_file_counts_once_however_it_is_called(folder, monkeypatch):
    monkeypatch.chdir(folder)
    stream = stream_of(["part-0.parquet", folder / "part-0.parquet"])
    assert stream.shape == (ROWS // 3, 10)


def test_columns_that_are_folders_are_not_lost(tmp_path):
    frame = pd.DataFrame({"a": [0, 1, 0, 1], "year": [2020, 2020, 2021, 2021]})
    frame.to_parquet(tmp_path / "by-year", partition_cols=["year"])
    with pytest.raises(ValueError, match=r"named by the columns \['year'\]"):
        RowStream(tmp_path / "by-year")


def test_values_that_a_family_cannot_have_are_found_where_they_lie(tmp_path):
    rows = np.random.default_rng(0).integers(0, 2, (400, 2))
    rows[333, 1] = 5
    write(tmp_path, pd.DataFrame(rows, columns=["a", "b"]), parts=2)
    model = MADE(2, (4,))
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"column 'b' .* 0 or 1 only.*5.0 in row 133 of .*part-1"):
        model.fit(RowStream(tmp_path), verbose=0)
