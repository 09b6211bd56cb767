"""Families on a device: sampling times as multiples of Bernoulli's, and host against device.

    python benchmarks/columns.py [--event-size 64] [--rows 10000]

One network (two hidden layers of 256 units, random weights) for each family and for a table of
mixed columns, exported to a `.tflite` file; all files are timed in turn, in one process and on one
thread, in seconds of the core, which other work on the machine moves less. Then rows of the mixed
file against the host's rows of the same seed.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import time

import keras
import numpy as np

from made_tf import MADE, MADEDistribution, Mixed
from made_tf import conditionals as families
from made_tf.export import LiteSampler, to_tflite
from made_tf.export.checks.verify import verify_rows
from made_tf.portable.seeds import seed_pairs
from made_tf.sampling.random import row_uniforms


def columns(event_size: int) -> dict[str, families.Conditionals]:
    """Returns a family of so many columns for each name."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(500, event_size))
    amounts = np.round(np.exp(3 + real), 2)
    counts = rng.poisson(np.exp(1 + 0.5 * real))
    few = np.clip(np.rint(real + 5), 0, 9)
    every = ["bernoulli", "ordinal", "categorical", "logistic_mixture"]
    every += ["discretized", "count", "binned", "inflated"]
    each = {
        "bernoulli": families.Bernoulli().bind(event_size),
        "categorical of 10": families.Categorical(10).bind(event_size),
        "ordinal of 10": families.Ordinal.from_data(few),
        "normal": families.Normal.from_data(real),
        "mixture of 5 normals": families.NormalMixture.from_data(real, num_components=5),
        "mixture of 10 logistics": families.LogisticMixture.from_data(real),
        "discretized, 10 logistics": families.Discretized.from_data(amounts),
        "count, 5 logistics": families.Count.from_data(counts),
        "binned, 64 bins": families.Binned.from_data(real),
        "inflated mixture of 5": families.Inflated(
            families.NormalMixture.from_data(real, num_components=5), [0.0]
        ).bind(event_size),
    }
    one = {
        "bernoulli": lambda k: families.Bernoulli(),
        "ordinal": lambda k: families.Ordinal.from_data(few[:, [k]]),
        "categorical": lambda k: families.Categorical(3 + k % 5),
        "logistic_mixture": lambda k: families.LogisticMixture.from_data(real[:, [k]]),
        "discretized": lambda k: families.Discretized.from_data(amounts[:, [k]]),
        "count": lambda k: families.Count.from_data(counts[:, [k]]),
        "binned": lambda k: families.Binned.from_data(real[:, [k]]),
        "inflated": lambda k: families.Inflated(families.NormalMixture(5), [0.0]),
    }
    mixed = Mixed([one[every[k % len(every)]](k) for k in range(event_size)])
    return {**each, "mixed": mixed.bind(event_size)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--event-size", type=int, default=64)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--families", help="names of some, separated by commas")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.event_size, options.rows, options.families = 4, 50, "bernoulli,mixed"
    every = columns(options.event_size)
    names = options.families.split(",") if options.families else list(every)
    units = (8,) if options.smoke else (256, 256)
    with tempfile.TemporaryDirectory() as folder:
        models, files = {}, {}
        for name in names:
            keras.utils.set_random_seed(0)
            models[name] = MADE(options.event_size, units, every[name])
            path = pathlib.Path(folder) / f"{len(files)}.tflite"
            to_tflite(models[name], path, signatures="sample", batch_size=options.batch_size)
            files[name] = LiteSampler(path, num_threads=1)
        times: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(3 if options.smoke else 12):
            for name, file in files.items():
                seeds = turn * 1000
                started = time.process_time()
                for batch in range(4):
                    file.sample(options.batch_size, seeds + batch)
                times[name].append((time.process_time() - started) / 4)
        first = max(min(times[names[0]]), 1e-9)  # clocks of processes may tick in hundredths
        print(f"D = {options.event_size}, batches of {options.batch_size}, shortest of 12 turns:")
        for name, each in times.items():
            values = options.batch_size * options.event_size
            price = 1e9 * min(each) / values
            print(f"  {name:26} {min(each) / first:6.2f}  {price:8.0f} ns a value")
        if "mixed" in names:
            compare(models["mixed"], files["mixed"], options.rows)


def compare(model: MADE, file: LiteSampler, count: int) -> None:
    """Prints in how many cells host and device differ, and whether ties begin all of it.

    Of a tie the uniform is as near to a step of the CDF as float32 rounds. Each value of the
    device's rows is compared with what the host draws after the values before it.
    """
    device, host = file.sample(count, 1), np.asarray(MADEDistribution(model).sample(count, seed=1))
    discrete = model.conditionals.is_discrete
    cells = (device != host)[:, discrete]
    rows = int((device != host)[:, discrete].any(axis=1).sum())
    scale = np.maximum(host.std(axis=0), 1e-9)
    same = ~(device != host)[:, discrete].any(axis=1)
    apart = (np.abs(device - host) / scale)[same][:, ~discrete]
    print(
        f"mixed, {count} rows: {int(cells.sum())} of {cells.size} discrete cells differ, in {rows} "
        f"rows; in the others real cells differ by at most {apart.max(initial=0):.1e} of a "
        "standard deviation"
    )
    verify_rows(model, device, row_uniforms(seed_pairs(1, np.arange(count)), model.conditionals))
    print("  value by value, after the same values before it, all that differ are ties")


if __name__ == "__main__":
    main()
