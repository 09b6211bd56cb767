"""The same rows on Apache Beam: on one worker, and on two processes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("apache_beam", reason="needs apache-beam: pip install 'made-tf[beam]'")

import apache_beam
from apache_beam.options.pipeline_options import PipelineOptions

from made_tf.batch import beam
from made_tf.batch.model import open_rows
from made_tf.export.runtime import LiteSampler, LiteTable

pytestmark = pytest.mark.filterwarnings("ignore")  # of Beam's own

WORKERS = {
    "one": ["--runner=DirectRunner"],
    "two": [
        "--runner=DirectRunner",
        "--direct_num_workers=2",
        "--direct_running_mode=multi_processing",
    ],
}


@pytest.fixture(params=WORKERS)
def run(request, tmp_path):
    """Runs transforms and returns the rows that come out, by their numbers."""

    def run(*transforms, schema):
        with apache_beam.Pipeline(options=PipelineOptions(WORKERS[request.param])) as rows:
            for number, transform in enumerate(transforms):
                rows = rows | f"step {number}" >> transform
            rows = rows | apache_beam.io.WriteToParquet(str(tmp_path / "out" / "part"), schema)
        return pq.read_table(tmp_path / "out").sort_by("row").to_pylist()

    return run


def columns_of(model, *more):
    own = open_rows(model).drawn_schema()
    return pa.schema([pa.field("row", pa.int64()), *own, *more])


def matrix(rows):
    return np.array([[row[f"x{k}"] for k in range(len(row) - 1)] for row in rows], np.float32)


def test_drawn_rows(bits, run):
    rows = run(beam.Sample(bits, 3003, seed=7, row="row"), schema=columns_of(bits))
    assert [row["row"] for row in rows] == list(range(3003))
    np.testing.assert_array_equal(matrix(rows), LiteSampler(bits).sample(3003, seed=7))


def test_filled_rows(bits, run, tmp_path, write_rows):
    x = LiteSampler(bits).sample(700, seed=1)
    x[np.random.default_rng(0).random(x.shape) < 0.3] = np.nan
    write_rows(tmp_path / "rows" / "a.parquet", x[:400])
    write_rows(tmp_path / "rows" / "b.parquet", x[400:])
    transforms = beam.ReadNumbered(tmp_path / "rows"), beam.Impute(bits, seed=4)
    rows = run(*transforms, schema=columns_of(bits))
    np.testing.assert_array_equal(matrix(rows), LiteSampler(bits).impute(x, seed=4))


def test_rows_that_lack_entries(bits, run):
    """The first of them as well: what others know stays."""
    x = LiteSampler(bits).sample(60, seed=1)
    gaps = np.random.default_rng(0).random(x.shape) < 0.5
    gaps[0] = True
    gaps[:, 3] = True  # which no row has
    records = [
        {"row": row, **{f"x{k}": float(x[row, k]) for k in range(5) if not gaps[row, k]}}
        for row in range(60)
    ]
    transforms = apache_beam.Create(records), beam.Impute(bits, seed=4)
    rows = run(*transforms, schema=columns_of(bits))
    expected = LiteSampler(bits).impute(np.where(gaps, np.nan, x), seed=4)
    np.testing.assert_array_equal(matrix(rows), expected)


def test_a_table_is_scored_row_by_row(rides, run):
    """One dict a row in and out, with dates and texts."""
    drawn = LiteTable(rides).sample(300, seed=2)
    records = [
        {"row": number, **{name: cells[number] for name, cells in drawn.items()}}
        for number in range(300)
    ]
    rows = run(
        apache_beam.Create(records),
        beam.Score(rides),
        schema=columns_of(rides, pa.field("log_prob", pa.float32())),
    )
    assert [row["ride"] for row in rows] == drawn["ride"]
    expected = LiteTable(rides).log_prob(drawn)
    np.testing.assert_array_equal(np.array([row["log_prob"] for row in rows], np.float32), expected)


def test_bad_arguments(bits, tmp_path):
    with pytest.raises(ValueError, match="`num_samples` must be an integer in"):
        beam.Sample(bits, 0)
    with pytest.raises(ValueError, match="`seed` must be an integer in"):
        beam.Impute(bits, seed=2**40)
    with pytest.raises(OSError, match="nowhere"):
        beam.Score("nowhere.tflite")
    rows = [{f"x{number}": 1.0 for number in range(5)}]
    with (
        pytest.raises(Exception, match=r"each row must have its number, an integer, under 'row'"),
        apache_beam.Pipeline() as pipeline,
    ):
        pipeline | apache_beam.Create(rows) | beam.Impute(bits)


def test_a_model_that_was_replaced(bits, numbers, tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(bits.read_bytes())
    transform = beam.Sample(model, 5)
    model.write_bytes(numbers.read_bytes())
    with (
        pytest.raises(Exception, match="model.tflite was replaced: its SHA-256"),
        apache_beam.Pipeline() as pipeline,
    ):
        pipeline | transform
