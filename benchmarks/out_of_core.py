"""Training on more rows than memory holds: rows a second, memory and NLL beside training in memory.

    python benchmarks/out_of_core.py --rows 20000000 --folder rows/

Writes Parquet files of 20 mixed columns (unless the folder has some), finds their schema and trains
a table's network on them and, in turn, on a sample in memory. Of what reading costs each row is
charged its share.
"""

import argparse
import os
import pathlib
import resource
import sys
import tempfile
import time

if "--smoke" not in sys.argv:  # faster, but for the first steps, of which a smoke run has no others
    os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import pandas as pd

import made_tf
from made_tf.data import RowStream
from made_tf.data.row_files import RowFiles
from made_tf.data.survey import survey
from made_tf.scoring import score
from made_tf.tables.families import families_of
from made_tf.training import ShuffledRows

_CLASSES = {"city": 300, "colour": 8, "kind": 3, "grade": 5}


def make_rows(count, rng):
    """Rows of reals, prices, counts, categories, flags, missing cells, dates: 20 columns."""
    z = rng.normal(size=(count, 6))
    z[:, 1] += z[:, 0]
    z[:, 2] -= z[:, 1]
    columns = {f"real_{number}": z[:, number] * (number + 1) for number in range(6)}
    columns["price"] = np.round(np.exp(z[:, 0] / 2 + 3), 2)
    columns["depth"] = np.round(60 + z[:, 1], 1)
    columns["items"] = rng.poisson(np.exp(0.3 * z[:, 2] + 1))
    columns["age"] = np.clip(np.rint(40 + 12 * z[:, 3]), 0, 99).astype(int)
    columns["score"] = rng.integers(0, 5, count)
    for name, size in _CLASSES.items():
        names = np.array([f"{name}_{number}" for number in range(size)], object)
        place = np.abs(z[:, 0] + rng.normal(size=count)) * size / 4
        columns[name] = names[np.minimum(place.astype(int), size - 1)]
    columns["flag"] = z[:, 4] > 0
    columns["member"] = rng.random(count) < 0.3
    columns["gap"] = np.where(rng.random(count) < 0.1, np.nan, 3 * z[:, 5])
    days = pd.to_timedelta(rng.integers(0, 1000, count), "D")
    columns["day"] = pd.Timestamp("2020-01-01") + days
    columns["hours"] = rng.integers(0, 200, count) / 4
    return pd.DataFrame(columns)


def write(folder, rows, part_rows):
    folder.mkdir(parents=True, exist_ok=True)
    for part, first in enumerate(range(0, rows, part_rows)):
        frame = make_rows(min(part_rows, rows - first), np.random.default_rng([0, part]))
        path = folder / f"part-{part:04d}.parquet"
        frame.to_parquet(path, row_group_size=max(1, part_rows // 8))


def bytes_in_memory(frame):
    """How much a frame takes with texts as objects, as NumPy has them."""
    return frame.astype(dict.fromkeys(_CLASSES, object)).memory_usage(deep=True).sum()


def forget_peak():
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak():
    """The largest resident memory since `forget_peak`, in bytes."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def make_model(found, args, seed=0):
    keras.utils.set_random_seed(seed)
    family = families_of(found.schema, found.values, found.moments)
    residual = len(args.hidden_units) > 1
    size = len(found.schema.variables)
    model = made_tf.MADE(size, args.hidden_units, family, residual=residual, seed=seed)
    rate = keras.optimizers.schedules.CosineDecay(args.learning_rate, args.rounds * args.steps)
    model.compile(keras.optimizers.Adam(rate), run_eagerly=args.smoke)
    return model


def timed(function, *arguments, **options):
    """What a function returns, and the seconds that it took and that cores computed."""
    clocks = time.perf_counter, time.process_time
    started = [clock() for clock in clocks]
    found = function(*arguments, **options)
    return found, np.array([clock() - start for clock, start in zip(clocks, started, strict=True)])


def told(seconds):
    """Rates, of seconds that a row takes."""
    return f"{1 / seconds[0]:,.0f} rows a second, {1 / seconds[1]:,.0f} for a second of a core"


def fit(model, rows, number):
    rows.set_epoch(number)
    options = {"shuffle": False, "initial_epoch": number, "epochs": number + 1, "verbose": 0}
    return timed(model.fit, rows, **options)[1]


def sample_of(stream, files, count):
    """Rows that were drawn uniformly from the files, as numbers in memory."""
    chosen = files.draw(count, 1, without=stream.held_out)
    parts = []
    for first, table in files.all_tables():
        inner = slice(*np.searchsorted(chosen, [first, first + len(table)]))
        if inner.start < inner.stop:
            some = table.take(chosen[inner] - first)
            parts.append(stream.schema.encode_frame(some).x)
    return np.concatenate(parts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--folder", type=pathlib.Path, help="where the files lie, or are written")
    parser.add_argument("--part-rows", type=int, default=500_000)
    parser.add_argument("--sample", type=int, default=200_000, help="rows in memory")
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--hidden-units", type=int, nargs="*", default=[256, 256, 256, 256])
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="falls to 0 by cosine")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=100, help="batches in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="networks of each kind, for the NLL")
    parser.add_argument("--new-rows", type=int, default=10_000, help="to compare the NLL of")
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    if args.smoke:
        args.rows, args.part_rows, args.sample, args.batch_size = 4000, 2000, 2048, 64
        args.hidden_units, args.steps, args.rounds = [16], 2, 1
        args.new_rows = 200
    with tempfile.TemporaryDirectory() as temporary:
        measure(args, args.folder or pathlib.Path(temporary) / "rows")


def measure(args, folder):
    if not list(folder.glob("*.parquet")):
        _, seconds = timed(write, folder, args.rows, args.part_rows)
        print(f"{args.rows:,} rows written in {seconds[0]:.0f} s")
    files = RowFiles(folder)
    on_disk = sum(source.size for source in files.sources)
    some = make_rows(1000, np.random.default_rng(0))
    in_memory = bytes_in_memory(some) / len(some) * files.num_rows
    print(
        f"{files.num_rows:,} rows of {len(files.names)} columns: {on_disk / 1e9:.2f} GB on disk, "
        f"{in_memory / 1e9:.2f} GB in memory"
    )
    before = peak()
    forget_peak()
    held = files.held_out(0.1, 0, 5000)
    found, seconds = timed(survey, files, held)
    print(
        f"schema and spread: {told(seconds / files.num_rows)}, "
        f"{(peak() - before) / 1e9:.2f} GB more than before"
    )
    models = {name: make_model(found, args) for name in ("memory", "files")}
    stream = RowStream(files, found.schema, memory=args.memory, held_out=held)
    sample = sample_of(stream, files, args.sample)
    rows = {
        "memory": ShuffledRows(sample, args.batch_size, 0, args.steps),
        "files": stream.batches(args.batch_size, 0, args.steps),
    }
    forget_peak()
    for model in models.values():  # compiles
        model.fit(sample[: args.batch_size], batch_size=args.batch_size, verbose=0)
    one_batch = peak()
    forget_peak()
    _, reading = timed(rows["files"].__getitem__, 0)
    reading /= rows["files"].rows_in_memory  # of a row
    print(f"reading: {rows['files'].rows_in_memory:,} rows at a time, {told(reading)}")
    seconds = {name: [] for name in rows}
    for number in range(args.rounds):
        for name in rows if number % 2 else reversed(rows):
            took = fit(models[name], rows[name], number + 1)
            seconds[name].append(took / (args.steps * args.batch_size))
    # The last rows of a pass are others: they are read in the place of the first ones.
    rows["files"] = rows.pop("files").batches(args.batch_size, 0)
    rows["files"][stream.shape[0] // args.batch_size - 1]
    print(f"memory: {(peak() - one_batch) / 1e9:.2f} GB above what one batch needs")
    seconds["files"] = [own + reading for own in seconds["files"]]
    for name, own in seconds.items():
        print(f"{name}: {told(np.median(own, axis=0))} (median of {args.rounds} rounds)")
    ratio = np.median(np.divide(seconds["memory"], seconds["files"]), axis=0)
    print(f"files to memory: {ratio[0]:.2f}, by seconds of a core {ratio[1]:.2f}")
    fresh = found.schema.encode_frame(make_rows(args.new_rows, np.random.default_rng(1))).x
    fresh = fresh[np.isfinite(fresh).all(axis=1)]
    nll = [{name: told_nll(name, model, fresh) for name, model in models.items()}]
    for seed in range(1, args.seeds):
        both = {
            "memory": ShuffledRows(sample, args.batch_size, seed, args.steps),
            "files": stream.batches(args.batch_size, seed, args.steps),
        }
        models = {name: make_model(found, args, seed) for name in both}
        for number in range(args.rounds):
            for name, model in models.items():
                fit(model, both[name], number + 1)
        nll.append({name: told_nll(name, model, fresh) for name, model in models.items()})
    away = [own["files"].mean() - own["memory"].mean() for own in nll]
    error = nll[0]["memory"].std() / len(fresh) ** 0.5
    print(f"files less memory: {np.mean(away):+.3f} nats, standard error over rows {error:.3f}")
    if len(away) > 1:
        print(f"  over {len(away)} seeds {np.std(away, ddof=1) / len(away) ** 0.5:.3f}")


def told_nll(name, model, rows):
    """Prints the NLL of rows and returns that of each."""
    nll = -score(model, rows).log_prob
    print(f"{name}: {nll.mean():.3f} nats, of new rows")
    return nll


if __name__ == "__main__":
    main()
