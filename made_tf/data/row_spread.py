"""`RowSpread`: all rows of a table in files, turned into numbers once and measured.

Means and variances are merged exactly, values that are few are counted, and quantiles of the others
are those of Arrow's t-digest (`hash_tdigest` of Acero), whose results on one thread follow from the
rows alone. (The KLL sketch of DataSketches seeds itself anew in each process.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from made_tf.data.row_files import RowFiles
from made_tf.data.row_sample import RowSample
from made_tf.data.table_schema import TableSchema
from made_tf.portable.arrays import FloatArray
from made_tf.portable.schema.columns import MISSING

__all__ = ["RowSpread"]

_UNFIT = 20  # rows of 16,384 that join the sample, for each column
_FEW = 2_000  # different numbers in the sample, up to which all are counted
_RANKS = (np.arange(16_384) + 0.5) / 16_384  # at which numbers are kept
_TAIL = np.geomspace(1e-5, 1e-3, 12)
# At which the t-digest is asked, which takes longer with each of them.
_ASKED = np.concatenate([_TAIL, np.linspace(0, 1, 513)[1:-1], 1 - _TAIL[::-1]])
_DETAIL = 500  # of the t-digest: ranks are off by 1e-3 at most, less in the tails


class RowSpread:
    """What one reading of all rows under a schema finds.

    Args:
        files: the table.
        schema: that rows must fit.
        held_out: numbers of rows that are kept and not measured.
        sample: some of them; rows that do not fit join it.

    Attributes:
        unfit: columns that have cells that do not fit. If there are any, nothing is measured.
        values: each variable on its own: its numbers at evenly spaced ranks, float32 `[M, D]`.
        moments: mean and standard deviation of each variable, without what is missing and points
            of their own, float64 `[D, 2]`.
        validation: the rows that are held out, float32 `[V, D]`.
    """

    def __init__(
        self,
        files: RowFiles,
        schema: TableSchema,
        held_out: npt.NDArray[np.int64],
        sample: RowSample,
    ):
        self.files, self.schema, self.held_out, self.sample = files, schema, held_out, sample
        own = schema.encode_frame(sample.table).x
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
        self._held: list[FloatArray] = []
        self.unfit: set[str] = set()
        sketches = _sketches(self._numbers(), len(self.sketched))
        self.validation = np.concatenate(self._held)
        self.values, self.moments = np.empty((0, own.shape[1]), np.float32), np.empty((0, 2))
        if not self.unfit:
            self.values, self.moments = self._measured(sketches)

    def _measured(self, sketches: Any) -> tuple[FloatArray, npt.NDArray[np.float64]]:
        values = np.zeros((len(_RANKS), len(self.atoms)), np.float32)
        moments = np.zeros((len(self.atoms), 2))
        for place, counts in self.counts.items():
            numbers = np.array(sorted(counts))
            ends = np.cumsum([counts[number] for number in numbers.tolist()])
            values[:, place] = numbers[np.searchsorted(ends, _RANKS * ends[-1])]
            inner = ~np.isin(numbers, self.atoms[place])
            moments[place] = _moments(numbers[inner], np.diff(ends, prepend=0)[inner])
        for place, (quantiles, *own) in zip(self.sketched, sketches, strict=True):
            # That points recur tells that there is a grid, between whose points there is nothing.
            whole = np.repeat(np.rint(quantiles[::2]), 2)
            values[:, place], moments[place] = whole if self.is_whole[place] else quantiles, own
        for place, x in enumerate(values.T):
            given = x[~np.isin(x, self.atoms[place])]
            if self.is_whole[place] and len(given):
                x[:2] = given.min(), given.min() + 1  # the step of the codes, however rare it is
        return values, moments

    def _numbers(self) -> Iterator[list[FloatArray]]:
        """Yields the columns that are sketched, NaN for what is missing and for points."""
        for first, table in self.files.all_tables():
            x, new, broken = self.schema.encode_frame(table, "rows")
            self._keep_unfit(table, new | broken)
            inner = slice(*np.searchsorted(self.held_out, [first, first + len(x)]))
            rows = self.held_out[inner] - first
            self._held.append(x[rows])
            if self.unfit:  # then the numbers will be others
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
        for name, wrong in zip(self.schema.names, unfit.T, strict=True):
            if wrong.any():
                self.unfit.add(name)
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
        [
            (name, f"hash_{what}", options, f"{name} {what}")
            for name in names
            for what, options in asked
        ],
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
