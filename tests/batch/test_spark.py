"""The same rows on Spark, which needs a JRE (Debian: default-jre-headless)."""

import shutil
import sys

import numpy as np
import pytest

pytest.importorskip("pyspark", reason="needs pyspark: pip install 'made-tf[spark]'")
if shutil.which("java") is None:
    pytest.skip("needs a JRE (Debian: default-jre-headless)", allow_module_level=True)

from pyspark.sql import SparkSession

from made_tf.batch import spark
from made_tf.export.runtime import LiteSampler, LiteTable

pytestmark = pytest.mark.filterwarnings("ignore")  # of Spark's own


@pytest.fixture(scope="module")
def session():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "2",
        }
        session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
        yield session
        session.stop()


def matrix(frame):
    frame = frame.toPandas().sort_values("row")
    return frame[[name for name in frame if name.startswith("x")]].to_numpy()


def test_drawn_and_filled_rows(bits, session):
    sample = spark.Sample(bits, seed=7)
    drawn = session.range(3003, numPartitions=5).mapInPandas(sample, sample.schema())
    expected = LiteSampler(bits).sample(3003, seed=7)
    np.testing.assert_array_equal(matrix(drawn), expected)
    gaps = np.random.default_rng(0).random(expected.shape) < 0.3
    cells = [
        (number, *[None if gap else float(cell) for cell, gap in zip(row, own, strict=True)])
        for number, (row, own) in enumerate(zip(expected, gaps, strict=True))
    ]
    names = [f"x{number}" for number in range(5)]
    types = ", ".join(f"{name} float" for name in names)
    rows = session.createDataFrame(cells, f"row bigint, {types}").repartition(4)
    impute = spark.Impute(bits, seed=4)
    filled = rows.mapInPandas(impute, impute.schema(rows.schema))
    x = np.where(gaps, np.float32(np.nan), expected)
    np.testing.assert_array_equal(matrix(filled), LiteSampler(bits).impute(x, seed=4))


def test_a_table_is_drawn_and_scored(rides, session):
    sample, score = spark.Sample(rides, seed=3), spark.Score(rides)
    drawn = session.range(300, numPartitions=3).mapInPandas(sample, sample.schema())
    scored = drawn.mapInPandas(score, score.schema(drawn.schema))
    frame = scored.toPandas().sort_values("row")
    expected = LiteTable(rides).sample(300, seed=3)
    for name in ("ride", "zone", "fare", "shared", "payment"):
        own = [None if cell != cell else cell for cell in frame[name].tolist()]
        assert own == expected[name], name
    pickup = [moment.to_pydatetime() for moment in frame["pickup"]]
    assert pickup == expected["pickup"]
    np.testing.assert_array_equal(frame["log_prob"], LiteTable(rides).log_prob(expected))


def test_a_file_that_was_sent_along(bits, session, tmp_path):
    """Workers find it where Spark has put it."""
    here, sent = tmp_path / "here" / "model.tflite", tmp_path / "sent" / "model.tflite"
    for path in (here, sent):
        path.parent.mkdir()
        shutil.copy(bits, path)
    sample = spark.Sample(here, seed=7)
    schema = sample.schema()
    session.sparkContext.addFile(str(sent))
    here.unlink()
    drawn = session.range(10).mapInPandas(sample, schema)
    np.testing.assert_array_equal(matrix(drawn), LiteSampler(bits).sample(10, seed=7))


def test_bad_arguments(bits, session):
    with pytest.raises(ValueError, match="`seed` must be an integer in"):
        spark.Impute(bits, seed=2**40)
    with pytest.raises(FileNotFoundError, match="No such file: nowhere.tflite"):
        spark.Score("nowhere.tflite")
    impute = spark.Impute(bits)
    rows = session.createDataFrame([(1.0,) * 5], "x0 float, x1 float, x2 float, x3 float, x4 float")
    with pytest.raises(Exception, match="must have a column 'row'"):
        rows.mapInPandas(impute, impute.schema(rows.schema)).toPandas()
