"""What enters is what was meant, or an error."""

import decimal

import numpy as np
import pytest

from made_tf.portable.rows import finite_table, merged_by_float32, plain_array

pandas = pytest.importorskip("pandas")

NAN = np.nan
ROWS = np.array([[0, 1, 1], [1, 0, 0]])
FRAME = pandas.DataFrame(ROWS, columns=list("abc"))


def with_gap(frame):
    frame = frame.copy()
    frame.iloc[0, 1] = pandas.NA
    return frame


@pytest.mark.parametrize(
    "x",
    [
        ROWS,
        ROWS.tolist(),
        tuple(map(tuple, ROWS.tolist())),
        ROWS.astype(object),
        np.ma.masked_array(ROWS, mask=False),
        FRAME,
        FRAME.astype({"a": bool}),
        FRAME.astype("Int64"),
        FRAME.astype("boolean"),
        FRAME.astype("category"),
        FRAME.astype("float32"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_rows_of_every_kind_are_the_same_numbers(x):
    array = plain_array("x", x)
    assert array.dtype.kind in "biuf"
    np.testing.assert_array_equal(array, ROWS)


@pytest.mark.parametrize(
    "x",
    [
        np.ma.masked_array(ROWS, mask=[[0, 1, 0], [0, 0, 0]]),
        np.ma.masked_array(ROWS.astype(np.uint8), mask=[[0, 1, 0], [0, 0, 0]]),
        [[0, None, 1], [1, 0, 0]],
        with_gap(FRAME.astype("Int64")),
        with_gap(FRAME.astype("boolean")),
        with_gap(FRAME.astype("category")),
        with_gap(FRAME.astype(float)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_is_missing_becomes_nan(x):
    np.testing.assert_array_equal(plain_array("x", x), [[0, NAN, 1], [1, 0, 0]])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([["a", "b"]], "`x` must be numeric. Received: x.dtype="),
        (np.array([[1, "a"]], object), "`x` must be numeric"),
        ([[decimal.Decimal(1)]], "`x` must be numeric"),
        (np.ones((2, 2), complex), "`x` must be numeric"),
        (np.zeros(2, [("a", int), ("b", int)]), "`x` must be numeric"),
        ([[1, 2], [3]], "`x` must have rows of equal lengths"),
        (pandas.DataFrame({"a": [1], "b": ["z"]}), r"`x` must be numeric. Received: x\['b'\]"),
        (pandas.DataFrame({"a": pandas.to_datetime(["2020-01-01"])}), "`x` must be numeric"),
    ],
)
def test_what_is_no_number_is_refused_in_few_words(x, message):
    with pytest.raises(ValueError, match=message) as error:
        plain_array("x", x)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 2)), r"`x` must have rows and columns. Received: x.shape=\(0, 2\)"),
        ([1.0, 2.0], "`x` must have rows and columns"),
        ([[1.0, NAN]], r"`x` must be finite. Received: x\[0, 1\]=nan"),
        ([[np.inf]], r"Received: x\[0, 0\]=inf"),
    ],
)
def test_a_table_to_learn_from_is_finite(x, message):
    with pytest.raises(ValueError, match=message):
        finite_table("x", x)


MINUTES = 1_700_000_000.0 + 60 * np.arange(200)


@pytest.mark.parametrize(
    ("column", "merged"),
    [
        (MINUTES, (200, 94)),
        (MINUTES.astype(np.int64), (200, 94)),
        (2**53 - np.arange(120), (120, 1)),
        (MINUTES - MINUTES[0], None),
        (MINUTES.astype(np.float32), None),
        (np.random.default_rng(0).normal(size=5000), None),
        (1e6 + np.random.default_rng(0).random(500), (500, 17)),
        (np.zeros(10), None),
        (np.full(10, NAN), None),
    ],
)
def test_values_that_float32_merges_are_found(column, merged):
    x = np.stack([np.arange(len(column)), column], axis=1)
    if column.dtype == np.float32:
        x = x.astype(np.float32)
    found = merged_by_float32(x)
    assert found == (None if merged is None else (1, *merged))
