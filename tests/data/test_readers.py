"""Tables in: what is read, what is refused, and what is said then."""

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


def test_csv_without_pandas(monkeypatch, tmp_path):
    (tmp_path / "x.csv").write_text("a\n1\n")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match=r"pandas.*pip install 'made-tf\[tables\]'"):
        data.load_table(tmp_path / "x.csv")


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


def test_the_header_and_the_index_of_pandas_are_no_data(tmp_path):
    pandas = pytest.importorskip("pandas")
    x = np.random.default_rng(0).integers(0, 3, (10, 4))
    path = tmp_path / "x.csv"
    pandas.DataFrame(x).to_csv(path, index=False)
    rows, names = data.load_table(path)
    np.testing.assert_array_equal(rows, x)
    assert names == ["0", "1", "2", "3"]
    pandas.DataFrame(x, columns=list("abcd")).to_csv(path)
    rows, names = data.load_table(path)
    np.testing.assert_array_equal(rows, x)
    assert names == list("abcd")
    pandas.DataFrame(x, columns=list("abcd"), index=10 + np.arange(10)).to_csv(path)
    assert data.load_table(path)[0].shape == (10, 5)  # another first column is one of values


@pytest.mark.parametrize("line", ["0,1", "1,0,2", "0,2,1"])
def test_other_lines_of_numbers_are_values(tmp_path, line):
    pytest.importorskip("pandas")
    path = tmp_path / "x.csv"
    path.write_text(f"{line}\n{line}\n")
    assert data.load_table(path)[0].shape == (2, line.count(",") + 1)


def test_what_is_no_number_is_located(tmp_path):
    path = tmp_path / "x.csv"
    lines = ["a,b"] + ["1,2"] * 5000
    lines[3334] = "1,?"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"column 'b' is not numeric .*Received: '\?' in row 3334"):
        data.load_table(path)
    lines[3334] = "1" + "0" * 400 + ",2"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"x\.csv: column 'a' .*in row 3334") as told:
        data.load_table(path)
    assert len(str(told.value)) < 400
