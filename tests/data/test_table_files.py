"""Tables in files as people have them, and files that are none."""

import gzip
import io
import sys
import warnings

import numpy as np
import pandas
import pytest

from made_tf.data.table_files import is_table_file, read_table, write_table

zstandard = pytest.importorskip("zstandard")


@pytest.fixture
def read(tmp_path):
    def of(content, name="table.csv", **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path, **options)

    return of


def cells(frame):
    return {name: column.tolist() for name, column in frame.items()}


PLAIN = {"a": [1.5, 2.25], "b": ["x", "ü"]}


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1.5,x\n2.25,ü\n",
        "a,b\r\n1.5,x\r\n2.25,ü",
        "a;b\n1,5;x\n2,25;ü\n",
        "a;b\n+1,5;x\n22,5e-1;ü\n",
        "a\tb\n1.5\tx\n2.25\tü\n",
        "a|b\n1,5|x\n2,25|ü\n",
        "\ufeffa,b\n1.5,x\n2.25,ü\n",
        '\ufeff"a";"b"\n"1,5";"x"\n"2,25";"ü"\n',
        "\n\na,b\n\n1.5,x\n\n2.25,ü\n\n",
        " a , b \n1.5, x\n2.25, ü\n",
        "a,b,\n1.5,x,\n2.25,ü,\n",
        ",a,b\n0,1.5,x\n1,2.25,ü\n",
    ],
)
def test_separators_decimals_and_names_are_recognised(read, text):
    assert cells(read(text)) == PLAIN
    assert cells(read(text, "table.txt")) == PLAIN


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_are_recognised(read, encoding):
    text = "a;b\n1,5;x\n2,25;ü\n"
    assert cells(read(text.encode(encoding))) == PLAIN
    assert cells(read(text.encode(encoding), encoding=encoding)) == PLAIN


def test_windows_is_read_with_a_warning(read):
    text = "a;b\n1,5;x\n2,25;ü\n".encode("cp1252")
    with pytest.warns(UserWarning, match="no UTF-8: read as Windows-1252"):
        assert cells(read(text)) == PLAIN
    assert cells(read(text, encoding="cp1252")) == PLAIN


@pytest.mark.parametrize("name", ["t.csv.gz", "T.CSV.GZ", "t.csv.zst", "t.tsv.zst", "t.txt.gz"])
def test_archives_are_unpacked(read, name):
    pack = gzip.compress if name.lower().endswith("gz") else zstandard.compress
    parts = b"a;b\n1,5;x\n", "2,25;ü\n".encode()
    assert cells(read(pack(b"".join(parts)), name)) == PLAIN
    assert cells(read(pack(parts[0]) + pack(parts[1]), name)) == PLAIN
    assert is_table_file(name)


@pytest.mark.parametrize("ending, compress", [("gz", gzip.compress), ("zst", zstandard.compress)])
def test_no_part_of_a_damaged_archive_is_read(read, ending, compress):
    rng = np.random.default_rng(0)
    text = "a,b\n" + "\n".join(f"{a},{b}" for a, b in rng.integers(0, 10**9, (400, 2)))
    whole = compress(text.encode())
    assert len(read(whole, f"t.csv.{ending}")) == 400
    damaged = [whole[:-5], whole[: len(whole) // 2], b"abcd", b"", b"a,b\n1,2\n"]
    for content in damaged:
        with pytest.raises(ValueError, match=f"t.csv.{ending} is not a readable"):
            read(content, f"t.csv.{ending}")


def test_fields_keep_their_quotes_and_lines(read):
    text = 'a,b\n1,"x\ny, z"\n2,"say ""hi"""\n'
    assert cells(read(text)) == {"a": [1, 2], "b": ["x\ny, z", 'say "hi"']}


def test_one_column_is_a_table(read):
    assert cells(read("a\n1\n2\n")) == {"a": [1, 2]}
    assert cells(read("a\n1,5\n2,5\n")) == {"a": [1.5, 2.5]}
    assert cells(read("name\nSmith, John\nDoe, Jane\n", separator=";")) == {
        "name": ["Smith, John", "Doe, Jane"]
    }


def test_names_are_not_needed(read):
    assert cells(read("1,2\n3,4\n")) == {"x0": [1, 3], "x1": [2, 4]}


def test_only_what_counts_the_rows_is_an_index(read):
    assert list(read(",a\n0,1\n1,2\n")) == ["a"]
    assert list(read(",a\n3,1\n7,2\n")) == ["Unnamed: 0", "a"]


def test_codes_keep_their_zeros(read):
    lines = [f"{number},0.5,0" for number in range(10, 300)]
    frame = read("\n".join(["zip,share,none", *lines, "00123,0,0"]))
    assert frame["zip"].tolist()[-2:] == ["299", "00123"]
    assert frame.dtypes.astype(str).tolist()[1:] == ["float64", "int64"]


@pytest.mark.parametrize(
    "first, last, expected",
    [
        ("2020-01-01", "2021-12-31", "2021-12-31"),
        ("0001-01-01", "9999-12-31", "9999-12-31"),
        ("2020-01-01T10:00", "2021-12-31 11:12:13", "2021-12-31 11:12:13"),
        ("2020-01-01T10:00:00.5", "2021-12-31T11:12:13.123456789", "2021-12-31T11:12:13.123456789"),
        ("2020-01-01T10:00:00Z", "2020-07-01T10:00:00+02:00", "2020-07-01T08:00:00Z"),
    ],
)
def test_iso_dates_are_moments(read, first, last, expected):
    frame = read(f"day,b\n{first},1\n,2\n{last},3\n")
    assert frame.dtypes.astype(str)["day"].startswith("datetime64")
    assert frame["day"].isna().tolist() == [False, True, False]
    assert frame["day"].iloc[2] == pandas.Timestamp(expected)


@pytest.mark.parametrize("day", ["2020-02-30", "1.2.2020", "2020-01-01T10:00:00Z", "soon"])
def test_what_is_not_all_dates_stays_text(read, day):
    frame = read(f"day,b\n2020-01-01,1\n{day},2\n")
    assert frame["day"].tolist() == ["2020-01-01", day]


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("\ufeff", "it is empty"),
        ("a,b\n", r"must have rows and columns. Received: shape \(0, 2\)"),
        ("a,b,c\n1,2,3\n4,5\n", "first line has 3 field.*line 3 has 2.*`separator`"),
        ("a,b\n1,2\n4,5,6\n", "first line has 2 field.*line 3 has 3"),
        ("# made by hand\na,b\n1,2\n3,4\n", "first line has 1 field.*line 2 has 2"),
        ("a,b\n" + "1,2\n" * 50_000 + "1\n", "line 50002 has 1"),
        ("name\nSmith, John\nDoe, Jane\n", "first line has 1 field"),
        ("a,b,a\n1,2,3\n", r"names twice: \['a'\]"),
        ('a,b\n1,"x\n2,y\n', "EOF inside string"),
        ("a,b\n1,ü\n2,y\n".encode("utf-16-le"), "NUL characters.*`encoding`"),
        (b"a,b\n1,\x81\n", "neither UTF-8 nor Windows-1252.*`encoding`"),
    ],
)
def test_texts_that_are_no_table(read, content, message):
    with pytest.raises(ValueError, match=f"(?s)table.csv .*{message}"):
        read(content)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"separator": "::"}, "`separator` must be one character.*'::'"),
        ({"separator": ""}, "`separator` must be one character"),
        ({"separator": "\n"}, "`separator` must be one character"),
        ({"decimal": ".."}, "`decimal` must be one character"),
        ({"separator": ",", "decimal": ","}, "`decimal` must differ"),
        ({"encoding": "klingon"}, "`encoding` must be one that Python knows.*klingon"),
        ({"encoding": "ascii"}, "not a readable .csv file.*ascii"),
    ],
)
def test_marks_that_cannot_be(read, options, message):
    with pytest.raises(ValueError, match=message):
        read("a,b\n1,ü\n", **options)


def test_files_that_are_none(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="No such file.*none.csv"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path)
    with pytest.raises(ValueError, match="`path` must end in .csv"):
        read("a", "table.xlsx")
    with pytest.raises(ValueError, match="t.parquet is not a readable .parquet file"):
        read(b"PAR1PAR1", "t.parquet")
    with pytest.raises(ValueError, match="`path` must end in"):
        write_table(tmp_path / "t.json", pandas.DataFrame({"a": [1]}))


FRAME = pandas.DataFrame(
    {
        "a, b": ["x", "y\n,z", None, 'q"\t'],
        "day": pandas.to_datetime(
            ["2020-01-01", "2020-01-02 10:00", None, "2021"], format="ISO8601"
        ),
        "real": [0.1, None, 1e-300, 12345678.9],
        "truth": [True, False, True, True],
        "zip": ["01", "02", "10", "11"],
    }
)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "T.CSV", "t.parquet"])
def test_what_is_written_is_read(tmp_path, name):
    write_table(tmp_path / name, FRAME)
    frame = read_table(tmp_path / name)
    pandas.testing.assert_frame_equal(frame, FRAME, check_exact=True)


def test_names_of_rows_are_a_column(tmp_path):
    frame = pandas.DataFrame({"a": [1, 2]}, index=pandas.Index(["x", "y"], name="id"))
    frame.to_parquet(tmp_path / "t.parquet")
    assert cells(read_table(tmp_path / "t.parquet")) == {"id": ["x", "y"], "a": [1, 2]}


def test_stdin_and_stdout_are_tables(monkeypatch, capsys):
    assert is_table_file("-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a;b\n1,5;x\n2,5;y\n")))
    frame = read_table("-")
    assert cells(frame) == {"a": [1.5, 2.5], "b": ["x", "y"]}
    write_table("-", frame)
    assert capsys.readouterr().out == "a,b\n1.5,x\n2.5,y\n"


def test_nothing_warns(read):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read("a,b\n" + "1,x\n" * 300_000 + "z,x\n")
