"""Many rows by the device runtime: rates, what a second process brings, the same rows everywhere.

    python benchmarks/batch.py

Writes Parquet files of rows that a MADE of mixtures draws, scores them with one process and with
two, in turn, and beside that by `model.log_prob` in a loop. Then draws rows with one process, with
four, on Apache Beam and on Spark (where these are installed), and counts those that differ in any
bit from the rows of `LiteSampler.sample`.
"""

import argparse
import importlib.util
import os
import pathlib
import resource
import shutil
import statistics
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from made_tf import batch


def make_model(folder, columns, hidden_units):
    """A MADE of mixtures with weights that were drawn, not trained: it costs the same."""
    import keras

    import made_tf

    keras.utils.set_random_seed(0)
    rows = np.random.default_rng(0).normal(size=(2000, columns)).cumsum(axis=1)
    family = made_tf.NormalMixture.from_data(rows.astype("float32"))
    model = made_tf.MADE(columns, hidden_units, family, seed=0)
    made_tf.export.to_tflite(model, folder / "made.tflite", signatures=["sample", "log_prob"])
    return model, folder / "made.tflite"


def timed(function, *arguments, **options):
    started = time.perf_counter()
    found = function(*arguments, **options)
    return found, time.perf_counter() - started


def core_seconds():
    """What cores have computed so far for this process and for those of its own that have ended."""
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def score_rates(model, path, rows, folder, rounds):
    count = sum(pq.read_metadata(file).num_rows for file in rows.glob("*.parquet"))
    seconds, computed = {1: [], 2: []}, {1: [], 2: []}
    for _ in range(rounds):
        for workers, own in seconds.items():
            shutil.rmtree(folder / "scores", ignore_errors=True)
            before = core_seconds()
            _, took = timed(batch.score, path, rows, folder / "scores", num_workers=workers)
            own.append(took)
            computed[workers].append(core_seconds() - before)
    ratio = statistics.median(one / two for one, two in zip(*seconds.values(), strict=True))
    for workers, own in seconds.items():
        rate, cost = count / statistics.median(own), statistics.median(computed[workers]) / count
        print(
            f"score, {workers} process(es): {count:,} rows, {rate:,.0f} a second; "
            f"{1e6 * cost:.1f} microseconds of a core each"
        )
    print(f"two processes to one: {ratio:.2f} (median of {rounds} rounds)")
    few = pq.read_table(sorted(rows.glob("*.parquet"))[0]).to_pandas().to_numpy()
    model.log_prob(few)  # traces
    host, took = timed(model.log_prob, few)
    print(f"model.log_prob in a loop: {len(few):,} rows, {len(few) / took:,.0f} a second")
    first = pq.read_table(sorted((folder / "scores").glob("*.parquet"))[0])["log_prob"]
    away = np.abs(first.to_numpy() - np.asarray(host)[: len(first)]).max()
    print(f"largest difference of a log-probability between the two: {away:.1e} nats")


def score_engines(path, rows, folder, rounds):
    """Prints what a second worker brings on Beam and on Spark, start and end of it among it."""
    engines = {}
    if importlib.util.find_spec("apache_beam"):
        engines["Beam"] = score_on_beam
    if importlib.util.find_spec("pyspark") and shutil.which("java"):
        engines["Spark"] = score_on_spark
    count = sum(pq.read_metadata(file).num_rows for file in rows.glob("*.parquet"))
    for name, score in engines.items():
        seconds = {1: [], 2: []}
        for _ in range(rounds):
            for workers, own in seconds.items():
                shutil.rmtree(folder / "scores", ignore_errors=True)
                own.append(timed(score, path, rows, folder / "scores", workers)[1])
        ratio = statistics.median(one / two for one, two in zip(*seconds.values(), strict=True))
        rates = [f"{count / statistics.median(own):,.0f}" for own in seconds.values()]
        print(
            f"{name}: {count:,} rows, {' and '.join(rates)} a second with one worker and with two; "
            f"two to one: {ratio:.2f} (median of {rounds} rounds)"
        )


def differing(folder, expected):
    """How many rows have other bits; the parts may have the rows' numbers, in any order."""
    table = pq.read_table(folder)
    if "row" in table.column_names:
        table = table.sort_by("row").drop_columns("row")
    found = np.stack([table[name].to_numpy() for name in table.column_names], axis=1)
    return int((found.view(np.uint32) != expected.view(np.uint32)).any(axis=1).sum())


def sample_everywhere(path, count, folder):
    from made_tf.export.runtime import LiteSampler

    sampler = LiteSampler(path, num_threads=1)
    expected, took = timed(sampler.sample, count, seed=7)
    print(f"LiteSampler.sample: {count:,} rows, {count / took:,.0f} a second")
    engines = {
        "one process": lambda out: batch.sample(path, count, out, 7, num_workers=1),
        "four processes": lambda out: batch.sample(path, count, out, 7, num_workers=4),
    }
    if importlib.util.find_spec("apache_beam"):
        engines["Beam, one worker"] = lambda out: on_beam(path, count, out, 1)
        engines["Beam, two workers"] = lambda out: on_beam(path, count, out, 2)
    if importlib.util.find_spec("pyspark") and shutil.which("java"):
        engines["Spark, two cores"] = lambda out: on_spark(path, count, out)
    for name, draw in engines.items():
        out = folder / "".join(each for each in name if each.isalnum())
        _, took = timed(draw, out)
        print(f"{name}: {differing(out, expected)} of {count:,} rows differ; {took:.1f} s")


def pipeline_of(workers):
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions

    options = {"runner": "DirectRunner", "direct_num_workers": workers}
    options["direct_running_mode"] = "multi_processing"
    return apache_beam.Pipeline(options=PipelineOptions(**options))


def score_on_beam(path, rows, out, workers):
    import apache_beam

    from made_tf.batch import beam

    first = pq.read_schema(sorted(rows.glob("*.parquet"))[0])
    schema = pa.schema([*first, pa.field("log_prob", pa.float32())])
    with pipeline_of(workers) as pipeline:
        read = pipeline | apache_beam.io.ReadFromParquet(str(rows / "*.parquet"))
        _ = read | beam.Score(path) | apache_beam.io.WriteToParquet(str(out / "part"), schema)


def score_on_spark(path, rows, out, workers):
    from made_tf.batch import spark

    session = spark_session(workers)
    frame, score = session.read.parquet(str(rows)), spark.Score(path)
    frame.mapInPandas(score, score.schema(frame.schema)).write.parquet(str(out))
    session.stop()


def on_beam(path, count, out, workers):
    import apache_beam

    from made_tf.batch import beam
    from made_tf.batch.model import open_rows

    schema = pa.schema([pa.field("row", pa.int64()), *open_rows(path).drawn_schema()])
    with pipeline_of(workers) as pipeline:
        rows = pipeline | beam.Sample(path, count, 7, row="row")
        _ = rows | apache_beam.io.WriteToParquet(str(out / "part"), schema)


def spark_session(workers):
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", "false")
    # A task for each file: with the default, 128 MB, few large ones are left for two workers.
    return session.config("spark.sql.files.maxPartitionBytes", "16m").getOrCreate()


def on_spark(path, count, out):
    from made_tf.batch import spark

    session = spark_session(2)
    sample = spark.Sample(path, 7)
    session.range(count, numPartitions=8).mapInPandas(sample, sample.schema()).write.parquet(
        str(out)
    )
    session.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000, help="to score")
    parser.add_argument("--samples", type=int, default=1_000_000, help="to draw everywhere")
    parser.add_argument("--columns", type=int, default=16)
    parser.add_argument("--hidden-units", type=int, nargs="+", default=[128, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", action="store_true", help="Beam and Spark, scoring, alone")
    parser.add_argument("--smoke", action="store_true", help="few rows, to see that it runs")
    args = parser.parse_args()
    if args.smoke:
        args.rows, args.samples, args.columns, args.rounds = 4_000, 3_000, 4, 1
        args.hidden_units = [16]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model, path = make_model(folder, args.columns, args.hidden_units)
        print(f"MADE, {args.columns} columns, hidden {args.hidden_units}, mixtures of normals")
        print(batch.sample(path, args.rows, folder / "rows", part_rows=1 << 17), "drawn")
        if not args.engines:
            score_rates(model, path, folder / "rows", folder, args.rounds)
        score_engines(path, folder / "rows", folder, args.rounds)
        if not args.engines:
            sample_everywhere(path, args.samples, folder)


if __name__ == "__main__":
    main()
