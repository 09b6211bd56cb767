"""Tables there and back, for tests: frames, columns of every type, rows that a model may draw."""

import datetime
import decimal
import json

import numpy as np
import pandas
import polars
import polars.testing
import pyarrow

from made_tf.data.table_schema import TableSchema
from made_tf.portable.schema.columns import MISSING


def opened(schema):
    """The schema as it comes out of a file."""
    return TableSchema.from_dict(json.loads(json.dumps(schema.to_dict())))


def there_and_back(frame, **known):
    """A frame's schema, its numbers, and the frame that they make."""
    schema = opened(TableSchema.infer(frame, **known))
    encoded = schema.encode_frame(frame)
    return schema, encoded, schema.frame(schema.decode(encoded.x), getattr(frame, "index", None))


def assert_same(left, right):
    if isinstance(left, pandas.DataFrame):
        pandas.testing.assert_frame_equal(left, right, check_exact=True)
    elif isinstance(left, polars.DataFrame):
        polars.testing.assert_frame_equal(left, right, check_exact=True)
    else:
        assert left.schema.equals(right.schema), (left.schema, right.schema)
        assert left.equals(right)


def assert_returns(frame, **known):
    schema, encoded, back = there_and_back(frame, **known)
    assert not encoded.new.any()
    assert not encoded.broken.any()
    assert_same(frame, back)
    return schema


def arbitrary_rows(x, count=2000, seed=0):
    """Rows that have nothing in common with a table but the values that each variable may have."""
    rng = np.random.default_rng(seed)
    columns = []
    for values in x.T:
        absent = values == np.float32(MISSING)
        given = values[~absent]
        low, high = given.min(), given.max()
        if np.all(given == np.rint(given)):
            own = rng.integers(int(low), int(high) + 1, count).astype(float)
        else:
            own = rng.uniform(low, high, count)
        if absent.any():
            own[rng.random(count) < 0.2] = MISSING
        columns.append(own)
    return np.stack(columns, axis=1).astype(np.float32)


def _with_gaps(rng, values, nothing=None):
    return [nothing if rng.random() < 0.2 else value for value in values]


def _choice(rng, count, values):
    return [values[number] for number in rng.integers(len(values), size=count)]


_START = np.datetime64("1995-01-01T00:00:00", "s").astype(np.int64)

#: Cells of many sorts: what makes them of a generator and their number.
CELLS = {
    "truths": lambda rng, n: _choice(rng, n, [True, False]),
    "texts": lambda rng, n: _choice(rng, n, ["a", "nan", "None", "ü\n", "", "1"]),
    "grades": lambda rng, n: _choice(rng, n, ["low", "mid", "high"]),
    "counts": lambda rng, n: rng.poisson(2, n).tolist(),
    "far": lambda rng, n: (10**15 + 7 * rng.integers(0, 1000, n)).tolist(),
    "cents": lambda rng, n: (rng.integers(-5000, 5000, n) / 100).tolist(),
    "reals": lambda rng, n: rng.normal(size=n).astype(np.float32).astype(float).round(5).tolist(),
    "days": lambda rng, n: [
        datetime.date.fromordinal(int(day)) for day in rng.integers(600_000, 800_000, n)
    ],
    "seconds": lambda rng, n: (_START + rng.integers(-(10**9), 10**9, n)).tolist(),
    "nanoseconds": lambda rng, n: (_START * 10**9 + rng.integers(-(10**18), 10**18, n)).tolist(),
    "spans": lambda rng, n: rng.integers(-(10**15), 10**15, n).tolist(),
    "hours": lambda rng, n: [datetime.time(int(h), 30) for h in rng.integers(0, 24, n)],
    "decimals": lambda rng, n: [
        decimal.Decimal(int(cents)).scaleb(-2) for cents in rng.integers(-500, 500, n)
    ],
}


def _numpy(values, kind):
    return np.array([("NaT" if value is None else value) for value in values], kind)


#: Columns of pandas: of which cells, and how.
PANDAS = {
    "bool": ("truths", lambda v: pandas.Series(v, dtype="bool"), False),
    "boolean": ("truths", lambda v: pandas.Series(v, dtype="boolean"), True),
    "bool objects": ("truths", lambda v: pandas.Series(v, dtype=object), True),
    "bool[pyarrow]": ("truths", lambda v: pandas.Series(v, dtype="bool[pyarrow]"), True),
    "str": ("texts", lambda v: pandas.Series(v, dtype="str"), True),
    "string": ("texts", lambda v: pandas.Series(v, dtype="string"), True),
    "string[python]": ("texts", lambda v: pandas.Series(v, dtype="string[python]"), True),
    "arrow string": (
        "texts",
        lambda v: pandas.Series(v, dtype=pandas.ArrowDtype(pyarrow.string())),
        True,
    ),
    "text objects": ("texts", lambda v: pandas.Series(v, dtype=object), True),
    "category": ("texts", lambda v: pandas.Series(v, dtype="category"), True),
    "numbered category": ("counts", lambda v: pandas.Series(v, dtype="category"), True),
    "grades": (
        "grades",
        lambda v: pandas.Series(
            pandas.Categorical(v, ["none", "low", "mid", "high"], ordered=True)
        ),
        True,
    ),
    "int8": ("counts", lambda v: pandas.Series(v, dtype="int8"), False),
    "uint64": ("far", lambda v: pandas.Series(v, dtype="uint64"), False),
    "Int64": ("far", lambda v: pandas.Series(v, dtype="Int64"), True),
    "int32[pyarrow]": ("counts", lambda v: pandas.Series(v, dtype="int32[pyarrow]"), True),
    "float64 of whole": ("far", lambda v: pandas.Series(v, dtype="float64"), True),
    "float64": ("cents", lambda v: pandas.Series(v, dtype="float64"), True),
    "float32": ("reals", lambda v: pandas.Series(v, dtype="float32"), True),
    "float32 of cents": ("cents", lambda v: pandas.Series(v, dtype="float32"), True),
    "float16": ("counts", lambda v: pandas.Series(v, dtype="float16"), True),
    "Float64": ("cents", lambda v: pandas.Series(v, dtype="Float64"), True),
    "double[pyarrow]": ("cents", lambda v: pandas.Series(v, dtype="double[pyarrow]"), True),
    "decimals": ("decimals", lambda v: pandas.Series(v, dtype=object), True),
    "arrow decimals": (
        "decimals",
        lambda v: pandas.Series(v, dtype=pandas.ArrowDtype(pyarrow.decimal128(10, 2))),
        True,
    ),
    "dates": ("days", lambda v: pandas.Series(v, dtype=object), True),
    "times": ("hours", lambda v: pandas.Series(v, dtype=object), True),
    "datetime64[s]": ("seconds", lambda v: pandas.Series(_numpy(v, "M8[s]")), True),
    "datetime64[ns]": ("nanoseconds", lambda v: pandas.Series(_numpy(v, "M8[ns]")), True),
    "with zone": (
        "seconds",
        lambda v: (
            pandas.Series(_numpy(v, "M8[s]")).dt.tz_localize("UTC").dt.tz_convert("Europe/Vienna")
        ),
        True,
    ),
    "timestamp[ns][pyarrow]": (
        "nanoseconds",
        lambda v: pandas.Series(_numpy(v, "M8[ns]")).astype("timestamp[ns][pyarrow]"),
        True,
    ),
    "timedelta64[ns]": ("spans", lambda v: pandas.Series(_numpy(v, "m8[ns]")), True),
    "timedelta64[ms]": ("counts", lambda v: pandas.Series(_numpy(v, "m8[ms]")), True),
}

#: Columns of polars and of Arrow: of which cells, and of which type.
POLARS = {
    "Boolean": ("truths", polars.Boolean),
    "String": ("texts", polars.String),
    "Categorical": ("texts", polars.Categorical),
    "Enum": ("grades", polars.Enum(["none", "low", "mid", "high"])),
    "Int8": ("counts", polars.Int8),
    "UInt64": ("far", polars.UInt64),
    "Int128": ("far", polars.Int128),
    "Float32": ("reals", polars.Float32),
    "Float32 of cents": ("cents", polars.Float32),
    "Float64": ("cents", polars.Float64),
    "Decimal": ("decimals", polars.Decimal(10, 2)),
    "Date": ("days", polars.Date),
    "Time": ("hours", polars.Time),
    "Datetime(ms)": ("seconds", polars.Datetime("ms")),
    "Datetime(ns)": ("nanoseconds", polars.Datetime("ns")),
    "with zone": ("nanoseconds", polars.Datetime("ns", "Europe/Vienna")),
    "Duration(us)": ("spans", polars.Duration("us")),
    "Duration(ms)": ("counts", polars.Duration("ms")),
}
ARROW = {
    "bool": ("truths", pyarrow.bool_()),
    "string": ("texts", pyarrow.string()),
    "large_string": ("texts", pyarrow.large_string()),
    "dictionary": ("texts", pyarrow.dictionary(pyarrow.int8(), pyarrow.string())),
    "grades": ("grades", pyarrow.dictionary(pyarrow.int16(), pyarrow.string(), ordered=True)),
    "numbered": ("counts", pyarrow.dictionary(pyarrow.int32(), pyarrow.int64())),
    "int16": ("counts", pyarrow.int16()),
    "uint64": ("far", pyarrow.uint64()),
    "float": ("reals", pyarrow.float32()),
    "float of cents": ("cents", pyarrow.float32()),
    "double": ("cents", pyarrow.float64()),
    "decimal": ("decimals", pyarrow.decimal128(12, 2)),
    "date32": ("days", pyarrow.date32()),
    "date64": ("days", pyarrow.date64()),
    "time32": ("hours", pyarrow.time32("s")),
    "time64": ("hours", pyarrow.time64("us")),
    "timestamp[s]": ("seconds", pyarrow.timestamp("s")),
    "timestamp[ns, tz]": ("nanoseconds", pyarrow.timestamp("ns", "America/New_York")),
    "duration[us]": ("spans", pyarrow.duration("us")),
}


def pandas_column(key, rng, count, gaps):
    sort, make, may_lack = PANDAS[key]
    values = CELLS[sort](rng, count)
    return make(_with_gaps(rng, values) if gaps and may_lack else values)


def polars_column(key, rng, count, gaps):
    sort, dtype = POLARS[key]
    values = CELLS[sort](rng, count)
    values = _with_gaps(rng, values) if gaps else values
    if isinstance(values[0], int) and dtype.is_temporal():
        return polars.Series(values, dtype=polars.Int64).cast(dtype)
    return polars.Series(values, dtype=dtype)


def arrow_column(key, rng, count, gaps):
    sort, dtype = ARROW[key]
    values = CELLS[sort](rng, count)
    values = _with_gaps(rng, values) if gaps else values
    if pyarrow.types.is_dictionary(dtype):
        plain = pyarrow.array(values, dtype.value_type).dictionary_encode()
        indices = plain.indices.cast(dtype.index_type)
        return pyarrow.DictionaryArray.from_arrays(indices, plain.dictionary, ordered=dtype.ordered)
    return pyarrow.array(values, dtype)
