"""Many rows by the device runtime: Parquet in, Parquet out; on Beam and on Spark.

An exported file scores, samples and fills in rows with NumPy, LiteRT and pyarrow alone: workers
need no TensorFlow, and row i is the same row however the rows are cut and wherever they are drawn.

    made_tf.batch.score("made.tflite", "rows/", "scores/")
    made_tf.batch.oddest("scores/", top=10)
    made_tf.batch.sample("made.tflite", 10_000_000, "drawn/", seed=7)
    made_tf.batch.impute("made.tflite", "rows/", "filled/")

`made_tf.batch.beam` and `made_tf.batch.spark` have the same three for pipelines.
"""

from __future__ import annotations

try:
    import pyarrow  # noqa: F401 - all that follows reads and writes by it
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("pyarrow is not installed: pip install 'made-tf[tables]'") from error

from made_tf.batch.folders import Report, impute, sample, score
from made_tf.batch.jobs import JobError
from made_tf.batch.oddest import OddRow, oddest

__all__ = ["JobError", "OddRow", "Report", "impute", "oddest", "sample", "score"]
