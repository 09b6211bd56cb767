"""`survey`: the schema of a table in files and the spread of its numbers, in bounded memory.

A uniform sample of rows says of which kind columns are, which grids their numbers lie on and which
facts seem to hold. With it come the rows in which something occurs for the first time
(`RowSample`). Then one pass turns all rows into numbers under that schema. It measures them: means
and variances merged exactly, values that are few counted, and quantiles of the others by Arrow's
t-digest (`hash_tdigest` of Acero, whose results, on one thread, follow from the rows alone; the
KLL sketch of DataSketches seeds itself from the clock). A row that does not fit, because a number
leaves the grid of the sample or contradicts a fact, joins the sample, and the pass begins anew
under the schema that follows: so in the end all rows fit.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from made_tf.data.constraints import Constraint
from made_tf.data.row_files import RowFiles
from made_tf.data.row_sample import MOST_CLASSES, RowSample
from made_tf.data.table_schema import Overrides, TableSchema, checked_overrides
from made_tf.portable.arrays import FloatArray
from made_tf.portable.files import PathLike, replacing
from made_tf.portable.schema.columns import MISSING
from made_tf.portable.version import __version__

__all__ = ["Survey", "survey"]

_FILE = "survey.npz"
_SAMPLE = 50_000  # rows: a share of one in a hundred is known to 1 part in 20
_PASSES = 5
_UNFIT = 200  # rows of 16,384 that join the sample, for each column
_FEW = 2_000  # different numbers in the sample, up to which all are counted
_RANKS = (np.arange(16_384) + 0.5) / 16_384  # at which numbers are kept
_TAIL = np.geomspace(1e-5, 1e-3, 12)
# At which the t-digest is asked, which takes longer with each of them.
_ASKED = np.concatenate([_TAIL, np.linspace(0, 1, 513)[1:-1], 1 - _TAIL[::-1]])
_DETAIL = 500  # of the t-digest: ranks are off by 1e-3 at most, less in the tails


class Survey(NamedTuple):
    """What is known of a table in files.

    Attributes:
        schema: what the columns are.
        values: each variable on its own: numbers at evenly spaced ranks, float32 `[M, D]`.
        moments: mean and standard deviation of each variable, without what is missing and points
            of their own, float64 `[D, 2]`; `None` where `values` are all rows.
        validation: the rows that are held out, float32 `[V, D]`.
    """

    schema: TableSchema
    values: FloatArray
    moments: npt.NDArray[np.float64] | None
    validation: FloatArray


def survey(
    files: RowFiles,
    held_out: npt.NDArray[np.int64],
    overrides: Overrides | PathLike | None = None,
    constraints: Sequence[Constraint] = (),
    find_facts: bool = True,
    seed: int = 0,
    folder: Path | None = None,
) -> Survey:
    """Finds the schema of a table in files and the spread of its numbers.

    A table of 50,000 rows or less is taken as it is: schema and numbers are those of
    `TableSchema.infer`. Of a larger one grids, facts and whether the `constraints` hold in the table
    are judged by the sample; of facts all that do not hold in each row are dropped.

    Args:
        files: the table.
        held_out: numbers of the rows to validate by, in order: they are not measured.
        overrides: as of `TableSchema.infer`.
        constraints: likewise.
        find_facts: likewise.
        seed: of the sample.
        folder: keeps what was found, for the next call with the same arguments.

    Raises:
        ValueError: as `TableSchema.infer`; if a file cannot be read; if there is no schema that all
            rows fit, or a column has more than 20,000 different texts.
    """
    known = checked_overrides(overrides, files.names)
    if folder is not None:
        asked = [files.identity(), held_out.tolist(), known, list(map(repr, constraints))]
        key = json.dumps([*asked, find_facts, seed, __version__])
        found = _kept(folder / _FILE, key)
        if found is None:
            found = survey(files, held_out, known, constraints, find_facts, seed)
            _keep(folder / _FILE, key, found)
        return found
    sample = RowSample(files, _SAMPLE, seed)
    known = _row_numbers(files, sample, known) | known
    for _ in range(_PASSES):
        frame = sample.frame()
        schema = TableSchema.infer(frame, known, constraints, find_facts)
        _check_classes(schema, sample.crowded)
        schema.num_rows = files.num_rows
        own = schema.encode_frame(frame).x
        if files.num_rows <= _SAMPLE:
            return Survey(schema, np.delete(own, held_out, axis=0), None, own[held_out])
        measured = _Pass(files, schema, held_out, sample, own).measured()
        if measured is not None:
            return measured
    raise ValueError(f"After {_PASSES} passes rows still came that the schema does not fit")


def _row_numbers(files: RowFiles, sample: RowSample, known: Any) -> dict[str, Any]:
    """Returns the columns that count the rows, which a sample of them does not show."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = {}
    for name in set(files.names) - set(known):
        column = sample.table.column(name)
        if pa.types.is_integer(column.type) and not column.null_count:
            ends = pc.min_max(column).as_py()
            is_gapless = ends["max"] - ends["min"] == files.num_rows - 1
            if is_gapless and len(column.unique()) == len(column):
                found[name] = {"kind": "identifier"}
    return found


def _check_classes(schema: TableSchema, crowded: list[str]) -> None:
    for name in crowded:
        if name in schema.names and schema.column(name).kind != "identifier":
            raise ValueError(
                f"column {name!r} has more than {MOST_CLASSES:,} different texts. Say that it is an "
                '"identifier", or "drop" it, by `overrides`'
            )


def _keep(path: Path, key: str, found: Survey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "key": np.frombuffer(key.encode(), np.uint8),
        "schema": np.frombuffer(json.dumps(found.schema.to_dict()).encode(), np.uint8),
        "values": found.values,
        "validation": found.validation,
    }
    if found.moments is not None:
        content["moments"] = found.moments
    with replacing(path) as temporary:
        np.savez(temporary, **content)


def _kept(path: Path, key: str) -> Survey | None:
    """Returns what `_keep` has written for the same key; `None` if there is no such file."""
    try:
        with np.load(path) as content:
            if content["key"].tobytes() != key.encode():
                return None
            schema = TableSchema.from_dict(json.loads(content["schema"].tobytes()))
            moments = content["moments"] if "moments" in content else None
            return Survey(schema, content["values"], moments, content["validation"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # it is found anew


class _Pass:
    """One reading of all rows under a schema.

    Args:
        files: the table.
        schema: that rows must fit.
        held_out: numbers of rows that are kept and not measured.
        sample: which rows that do not fit join.
        own: the sample in numbers, `[S, D]`.
    """

    def __init__(self, files, schema, held_out, sample: RowSample, own: FloatArray):
        self.files, self.schema, self.held_out, self.sample = files, schema, held_out, sample
        self.atoms = [
            np.array([MISSING, *_points(column)], np.float32)
            for column in schema.columns
            for _ in column.variables
        ]
        self.is_whole = [bool(np.all(x == np.rint(x))) for x in own.T]
        self.counts: dict[int, dict[float, int]] = {
            place: {} for place, x in enumerate(own.T) if len(np.unique(x)) <= _FEW
        }
        self.sketched = [place for place in range(own.shape[1]) if place not in self.counts]
        self.validation: list[FloatArray] = []
        self.fits = True

    def measured(self) -> Survey | None:
        """Reads all rows; `None` if some did not fit, which are in the sample now."""
        sketches = _sketches(self._numbers(), len(self.sketched))
        if not self.fits:
            return None
        values = np.zeros((len(_RANKS), len(self.atoms)), np.float32)
        moments = np.zeros((len(self.atoms), 2))
        for place, counts in self.counts.items():
            numbers = np.array(sorted(counts))
            ends = np.cumsum([counts[number] for number in numbers.tolist()])
            values[:, place] = numbers[np.searchsorted(ends, _RANKS * ends[-1])]
            given = ~np.isin(numbers, self.atoms[place])
            moments[place] = _moments(numbers[given], np.diff(ends, prepend=0)[given])
        for place, (quantiles, *own) in zip(self.sketched, sketches, strict=True):
            # That points recur tells that there is a grid, between whose points there is nothing.
            whole = np.repeat(np.rint(quantiles[::2]), 2)
            values[:, place], moments[place] = whole if self.is_whole[place] else quantiles, own
        for place, x in enumerate(values.T):
            given = x[~np.isin(x, self.atoms[place])]
            if self.is_whole[place] and len(given):
                x[:2] = given.min() + [0, 1]  # the step of the codes, however rare it is
        return Survey(self.schema, values, moments, np.concatenate(self.validation))

    def _numbers(self) -> Iterator[list[FloatArray]]:
        """Yields those columns of numbers that are sketched, NaN where there is a point or nothing."""
        for first, table in self.files.all_tables():
            x, new, broken = self.schema.encode_frame(table, "rows")
            self._keep_unfit(table, new | broken)
            inner = slice(*np.searchsorted(self.held_out, [first, first + len(x)]))
            rows = self.held_out[inner] - first
            self.validation.append(x[rows])
            if not self.fits:  # then the numbers will be others
                continue
            x = np.delete(x, rows, axis=0)
            for place, counts in self.counts.items():
                found, times = np.unique(x[:, place], return_counts=True)
                for number, count in zip(found.tolist(), times.tolist(), strict=True):
                    counts[number] = counts.get(number, 0) + count
            yield [
                np.where(np.isin(x[:, place], self.atoms[place]), np.nan, x[:, place])
                for place in self.sketched
            ]

    def _keep_unfit(self, table: Any, unfit: npt.NDArray[np.bool_]) -> None:
        for wrong in unfit.T:
            if wrong.any():
                self.fits = False
                self.sample.add(table, np.flatnonzero(wrong)[:_UNFIT])


def _points(column: Any) -> list[float]:
    """Returns the numbers of a column that have a probability of their own."""
    return getattr(getattr(column, "difference", column), "points", [])


def _moments(numbers: npt.NDArray, counts: npt.NDArray) -> tuple[float, float]:
    if not len(numbers):
        return 0.0, 0.0
    mean = np.average(numbers, weights=counts)
    return mean, np.sqrt(np.average((numbers - mean) ** 2, weights=counts))


def _sketches(
    batches: Iterator[list[FloatArray]], count: int
) -> list[tuple[npt.NDArray, float, float]]:
    """Returns quantiles, mean and standard deviation of columns whose numbers come in batches."""
    import pyarrow as pa
    import pyarrow.acero as acero
    import pyarrow.compute as pc

    if not count:
        for _ in batches:
            pass
        return []
    names = [f"x{number}" for number in range(count)]
    # Quantiles of a column are told for each group: here of one group.
    schema = pa.schema([*((name, pa.float64()) for name in names), ("all", pa.int8())])

    def records() -> Iterator[Any]:
        for columns in batches:
            arrays = [pa.array(each, pa.float64(), from_pandas=True) for each in columns]
            group = pa.array(np.zeros(len(columns[0]), np.int8))
            yield pa.record_batch([*arrays, group], schema=schema)

    asked = [
        ("tdigest", pc.TDigestOptions(_ASKED.tolist(), delta=_DETAIL)),
        ("mean", None),
        ("stddev", pc.VarianceOptions(ddof=0)),
    ]
    node = acero.AggregateNodeOptions(
        [(name, f"hash_{what}", options, f"{name} {what}") for name in names for what, options in asked],
        keys=["all"],
    )
    reader = pa.RecordBatchReader.from_batches(schema, records())
    source = acero.RecordBatchReaderSourceNodeOptions(reader)
    plan = acero.Declaration(
        "aggregate", node, [acero.Declaration("record_batch_reader_source", source)]
    )
    found = plan.to_table(use_threads=False).to_pylist()
    return [
        (
            np.interp(_RANKS, _ASKED, np.nan_to_num(row[f"{name} tdigest"])),
            row[f"{name} mean"] or 0.0,
            row[f"{name} stddev"] or 0.0,
        )
        for row in found  # of the one group; none, if there were no rows
        for name in names
    ]
