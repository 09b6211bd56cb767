import os
import sys
import tokenize
import zipfile

import numpy as np
import pytest

from made_tf import data


@pytest.fixture
def x():
    return np.arange(12, dtype=np.float32).reshape(4, 3)


def test_digits_are_split_with_a_seed():
    splits = data.load_digits(seed=3)
    assert [part.shape for part in splits[:3]] == [(1257, 64), (180, 64), (360, 64)]
    assert set(np.unique(splits.train)) == {0.0, 1.0}
    assert splits.train.dtype == np.float32
    assert len(splits.columns) == 64
    np.testing.assert_array_equal(splits.test, data.load_digits(seed=3).test)
    assert not np.array_equal(splits.test, data.load_digits(seed=4).test)


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"scikit-learn.*pip install 'made-tf\[demo\]'"):
        data.load_digits()


def test_csv_without_pandas(monkeypatch, tmp_path):
    (tmp_path / "x.csv").write_text("a\n1\n")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match=r"pandas.*pip install 'made-tf\[tables\]'"):
        data.load_table(tmp_path / "x.csv")


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


def test_png(tmp_path, x):
    data.save_rows(tmp_path / "x.png", x[:, :2], image_shape=(1, 2))
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="`image_shape` must be given"):
        data.save_rows(tmp_path / "y.png", x)
    assert os.listdir(tmp_path) == ["x.png"]


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


def test_csv_with_and_without_header(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("height, alive\n1.5, True\n-2e3, False\n")
    values, columns = data.load_table(path)
    np.testing.assert_array_equal(values, [[1.5, 1], [-2000, 0]])
    assert columns == ["height", "alive"]
    path.write_text("1,2\n3,4\n")
    values, columns = data.load_table(path)
    np.testing.assert_array_equal(values, [[1, 2], [3, 4]])
    assert columns == ["x0", "x1"]


def test_csv_with_byte_order_mark(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("1,2\n3,4\n".encode("utf-8-sig"))
    assert data.load_table(path)[0].shape == (2, 2)


def test_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "x.parquet"
    frame = pandas.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, 1.5]})
    frame.to_parquet(path)
    values, columns = data.load_table(path)
    np.testing.assert_array_equal(values, [[1, 1, 0.5], [2, 0, 1.5]])
    assert columns == ["a", "b", "c"]
    frame["d"] = pandas.array([1, None], dtype="Int64")
    frame.to_parquet(path)
    with pytest.raises(ValueError, match="nan in row 2 .*column 'd'"):
        data.load_table(path)
    frame["d"] = ["one", "two"]
    frame.to_parquet(path)
    with pytest.raises(ValueError, match="column 'd' is not numeric"):
        data.load_table(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"not a readable .parquet file"):
        data.load_table(path)


@pytest.mark.parametrize("text", ["a,b,c\n1,,2.5\n,nan,NA\n", "1,,2.5\n, ,null\n"])
def test_missing_values_where_they_are_allowed(tmp_path, text):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="finite numbers. Received: nan in row 1"):
        data.load_table(path)
    values, _ = data.load_table(path, allow_missing=True)
    np.testing.assert_array_equal(values, [[1, np.nan, 2.5], [np.nan] * 3])
    np.savez(tmp_path / "x.npz", values)
    np.testing.assert_array_equal(
        data.load_table(tmp_path / "x.npz", allow_missing=True)[0], values
    )
    with pytest.raises(ValueError, match="finite numbers. Received: nan in row 1"):
        data.load_table(tmp_path / "x.npz")


def test_missing_values_of_a_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "x.parquet"
    columns = {
        "a": pandas.array([1, None], dtype="Int64"),
        "b": [None, True],
        "c": [0.5, np.nan],
    }
    pandas.DataFrame(columns).to_parquet(path)
    values, names = data.load_table(path, allow_missing=True)
    np.testing.assert_array_equal(values, [[1, np.nan, 0.5], [np.nan, 1, np.nan]])
    assert names == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n1,,2\n1,2\n", r"line 3 has 2 field\(s\), and the first has 3"),
        ("\na,b\n1,2\n\n1\n", r"line 5 has 1 field\(s\), and the first has 2"),
        ("a,b\n1,inf\n", "finite numbers. Received: inf in row 1"),
        ("a,b\n1,1e39\n", "finite numbers. Received: inf in row 1"),
    ],
)
def test_missing_values_excuse_nothing_else(tmp_path, text, message):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        data.load_table(path, allow_missing=True)


def test_values_known_in_part_are_checked():
    from made_tf import Categorical

    x = np.array([[0, np.nan], [1, 2]], np.float32)
    data.check_support("x.csv", x, ["a", "b"], Categorical([2, 3]))
    with pytest.raises(ValueError, match=r"x.csv must .* 2.0 in row 2 .*column 'b'; 1 such"):
        data.check_support("x.csv", x, ["a", "b"], Categorical([2, 2]))


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


def test_npz_splits(tmp_path, x):
    path = tmp_path / "x.npz"
    np.savez(path, train=x.astype(np.uint8), valid=x[:2], test=x[2:])
    splits = data.load_splits(path)
    np.testing.assert_array_equal(splits.train, x)
    np.testing.assert_array_equal(splits.valid, x[:2])
    np.testing.assert_array_equal(splits.test, x[2:])
    np.testing.assert_array_equal(data.load_rows(path), x[2:])
    np.testing.assert_array_equal(data.load_rows(path, "valid"), x[:2])
    with pytest.raises(ValueError, match=r"has no array 'fold'. It holds: \['test', 'train'"):
        data.load_rows(path, "fold")


def test_validation_rows_are_split_off(tmp_path):
    x = np.arange(20, dtype=np.float32)[:, None]
    path = tmp_path / "x.npz"
    np.savez(path, train=x, test=x[:3])
    splits = data.load_splits(path, validation_fraction=0.25, seed=1)
    assert [len(part) for part in splits[:3]] == [15, 5, 3]
    assert sorted([*splits.train[:, 0], *splits.valid[:, 0]]) == list(range(20))
    np.savez(path, anything=x)
    again = data.load_splits(path, validation_fraction=0.25, seed=1)
    np.testing.assert_array_equal(again.train, splits.train)
    assert again.test.shape == (0, 1)
    other = data.load_splits(path, validation_fraction=0.25, seed=2)
    assert not np.array_equal(other.train, splits.train)


def test_one_array_among_several(tmp_path, x):
    path = tmp_path / "x.npz"
    np.savez(path, data=x, fold=np.arange(4))
    with pytest.raises(ValueError, match=r"It holds: \['data', 'fold'\]"):
        data.load_splits(path)
    assert len(data.load_splits(path, 0.5, array="data").train) == 2
    with pytest.raises(ValueError, match=r"array 'fold' must be numeric, of shape \[rows, col"):
        data.load_splits(path, array="fold")
    with pytest.raises(ValueError, match=r"`array` .*--split\) is for .npz files only"):
        (tmp_path / "x.csv").write_text("1\n")
        data.load_table(tmp_path / "x.csv", array="data")


def test_splits_that_contradict(tmp_path, x):
    path = tmp_path / "x.npz"
    np.savez(path, train=x, valid=x[:, :2])
    with pytest.raises(ValueError, match="equal widths"):
        data.load_splits(path)
    np.savez(path, x=x[:1])
    with pytest.raises(ValueError, match="leaves no rows"):
        data.load_splits(path)
    with pytest.raises(ValueError, match="`validation_fraction` must lie between 0 and 1"):
        data.load_splits(path, validation_fraction=1.0)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such file: .*x\.npz"):
        data.load_table(tmp_path / "x.npz")


@pytest.mark.parametrize("kept", [0, 0.001, 0.01, 0.1, 0.5, 0.99])
def test_truncated_npz(tmp_path, kept):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(100, 10)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=r"x.npz is not a readable .npz file \(truncated or for"):
        data.load_table(path)


def test_damaged_npz(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(100, 10)))
    content = bytearray(path.read_bytes())
    content[500:520] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not a readable .npz file"):
        data.load_table(path)


def test_foreign_npz(tmp_path, x):
    path = tmp_path / "x.npz"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"not a readable .npz file"):
        data.load_table(path)
    with open(path, "wb") as file:
        np.save(file, x)  # an .npy under the name of an .npz
    with pytest.raises(ValueError, match=r"not a readable .npz file"):
        data.load_table(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no arrays")
    with pytest.raises(ValueError, match="It holds: \\[\\]"):
        data.load_table(path)


def test_a_pickle_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    path = tmp_path / "x.npz"
    np.savez(path, x=np.array([Bomb()], dtype=object))
    with pytest.raises(ValueError, match=r"not a readable .npz file.*allow_pickle"):
        data.load_table(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable .csv file"),
        ("a,b\n", "must have rows and columns"),
        ("a,b\n1,2\n3,4,5\n", "not a readable .csv file"),
        ("a,b\n1,2\n3,x\n", "column 'b' is not numeric .*only numeric columns are supported"),
        ("a,b\n1,2\n3,\n", r"nan in row 2 \(the first is 1\), column 'b'; 1 such value"),
        ("a,b\n1,inf\n", "inf in row 1 .*column 'b'"),
        ("a\n1e300\n", "inf in row 1 .*column 'a'"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        data.load_table(path)


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


def test_shared_tables(data_dir):
    splits = data.load_splits(data_dir / "binary" / "adult.npz")
    assert [part.shape for part in splits[:3]] == [(5000, 123), (1414, 123), (26147, 123)]
    wine = data.load_splits(data_dir / "tabular" / "red_wine_10fold.npz", array="data")
    assert len(wine.train) + len(wine.valid) == 1599
    with pytest.raises(ValueError, match="column 'cut' is not numeric"):
        data.load_table(data_dir / "tabular" / "diamonds.csv")
    with pytest.raises(ValueError, match="column 'species' is not numeric"):
        data.load_table(data_dir / "tabular" / "penguins.csv")


@pytest.mark.parametrize(
    "text", ["a,b\n1,2,3\n4,5,6\n", "# made by hand\n1,2,3\n4,5,6\n", "a,b\n1\n2\n"]
)
def test_a_first_line_of_another_length_is_an_error(tmp_path, text):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"x.csv.*line 1 has . field\(s\) and line 2 has ."):
        data.load_table(path)
    path.write_text("\n \n" + text)
    with pytest.raises(ValueError, match=r"x.csv.*line 3 has . field\(s\) and line 4 has ."):
        data.load_table(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("  \n\r\n1,2\n\n3,4\n", [[1, 2], [3, 4]]),
        ("True,False\nfalse,true\n", [[1, 0], [0, 1]]),
        ("1,True\n0,False\n", [[1, 1], [0, 0]]),
        ("123456789012345678901234567890,1\n2,3\n", [[1.2345679e29, 1], [2, 3]]),
    ],
)
def test_a_first_line_of_data_is_no_header(tmp_path, text, expected):
    path = tmp_path / "x.csv"
    path.write_text(text)
    x, columns = data.load_table(path)
    np.testing.assert_array_equal(x, np.float32(expected))
    assert columns == ["x0", "x1"]


@pytest.mark.parametrize("text", ["1,\n1,2\n", "True,\nFalse,2\n", "1,NA\n1,2\n"])
def test_an_empty_field_in_the_first_line_is_found(tmp_path, text):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"nan in row 1 \(the first is 1\), column 'x1'"):
        data.load_table(path)


def test_other_separators(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a;b\n1;2\n3;4\n")
    with pytest.raises(ValueError, match="column 'a;b' is not numeric.*Commas must separate"):
        data.load_table(path)


def test_parquet_with_an_index(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [3, 4]})
    frame.set_index("a").to_parquet(tmp_path / "x.parquet")
    x, columns = data.load_table(tmp_path / "x.parquet")
    np.testing.assert_array_equal(x, [[1, 3], [2, 4]])
    assert columns == ["a", "b"]
    frame.iloc[::-1].to_parquet(tmp_path / "x.parquet")  # an index without a name is no data
    assert data.load_table(tmp_path / "x.parquet")[1] == ["a", "b"]


@pytest.mark.parametrize("member", ["train", "valid", "test"])
def test_values_outside_the_support_are_named(tmp_path, x, member):
    path = tmp_path / "x.npz"
    arrays = {name: np.zeros([5, 3]) for name in ("train", "valid", "test")}
    arrays[member][3, 1] = 2.5
    np.savez(path, **arrays)
    data.load_splits(path)
    data.load_splits(path, conditionals="normal")
    for family in ("bernoulli", "categorical"):
        message = rf"x.npz, array '{member}' must contain, for {family}.*Received: 2.5 in row 4 "
        with pytest.raises(ValueError, match=message + r"\(the first is 1\), column 'x1'"):
            data.load_splits(path, conditionals=family)


def test_rows_are_counted_before_the_shuffle(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "0,1\n" * 30 + "0,7\n" + "1,1\n" * 30)
    with pytest.raises(ValueError, match=r"x.csv must contain.*7.0 in row 31 .*column 'b'; 1 such"):
        data.load_splits(path, conditionals="bernoulli")


@pytest.mark.parametrize(
    "error", [RuntimeError, MemoryError, SyntaxError, tokenize.TokenError, KeyError]
)
def test_whatever_a_damaged_npz_raises(tmp_path, x, monkeypatch, error):
    np.savez(tmp_path / "x.npz", x)

    def fail(*args, **kwargs):
        raise error("odd")

    monkeypatch.setattr(np, "load", fail)
    with pytest.raises(ValueError, match=r"x.npz is not a readable .npz file.*odd"):
        data.load_table(tmp_path / "x.npz")


def test_all_pictures_are_drawn(tmp_path, monkeypatch):
    from made_tf import plotting

    drawn = []
    monkeypatch.setattr(plotting, "save", lambda figure, path: drawn.append(figure))
    data.save_rows(tmp_path / "x.png", np.ones([100, 1]), image_shape=(1, 1))
    picture = drawn[0].axes[0].get_images()[0].get_array()
    assert np.isfinite(np.ma.filled(picture, np.nan)).sum() == 100
    with pytest.raises(ValueError, match="at most 1024 rows, to be drawn. Received: 1025"):
        data.save_rows(tmp_path / "x.png", np.ones([1025, 1]), image_shape=(1, 1))


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
