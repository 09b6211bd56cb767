"""Which block length samples fastest, and does the plan know?

    python benchmarks/block_length.py --data-dir DIR --output block_length.csv

Times the sampler on LiteRT and on the host (graph mode), one thread, for several
block lengths, batches and networks; fits the prices of `made_tf.sampling.block_length.RUNTIMES` to
the times (non-negative least squares of relative errors); and prints for each
case how much slower the length is that the prices in use choose than the best
one. Also counts how many passes a block takes.
"""

import argparse
import csv
import pathlib
import statistics

import numpy as np
import scipy.optimize
import tensorflow as tf
from networks import binary_rows, trained
from timing import interleaved, lite, one_thread

from made_tf.sampling import block_length as plan
from made_tf.sampling import random
from made_tf.sampling.blocked_network import BlockedNetwork

NETWORKS = ((128, (256,)), (784, (1000,)), (784, (500, 500)))
COUNTS = (2, 4, 6, 8, 11, 14, 17, 22, 28, 40)
BATCHES = (1, 16, 256)


def measure(model, counts, batches, rounds):
    """Yields (where, plan, rows, seconds)."""
    event_size = model.event_size
    lengths = sorted({-(-event_size // count) for count in counts if count <= event_size // 4})
    networks = {length: BlockedNetwork(model, length, frozen=True) for length in lengths}
    device = lite({str(length): network.sample for length, network in networks.items()}, event_size)
    signature = [tf.TensorSpec([None, event_size], tf.float32)]
    functions = {("device", length): device[str(length)] for length in lengths}
    for length in lengths:
        sample = BlockedNetwork(model, length).sample
        functions["host", length] = tf.function(sample, signature, autograph=False)
    for rows in batches:
        uniforms = random.uniforms(random.row_seeds(tf.constant([7, 0]), rows), event_size).numpy()
        calls = {key: lambda f=f, u=uniforms: f(u) for key, f in functions.items()}
        for (where, length), seconds in interleaved(calls, rounds).items():
            yield where, networks[length].plan, rows, statistics.median(seconds)


def print_passes(model, lengths, batches):
    """Prints how many passes the slowest row of a batch takes for a block, on average."""
    counted = []

    class Counting(type(model.conditionals)):
        def transform(self, params, noise):
            counted.append(1)
            return super().transform(params, noise)

    own = type(model.conditionals)
    model.conditionals.__class__ = Counting
    print("passes for a block, counted (and expected), for batches of", *batches)
    for length in lengths:
        network, cells = BlockedNetwork(model, length), []
        for rows in batches:
            counted.clear()
            repeats = max(1, 16 // rows)
            for seed in range(repeats):
                seeds = random.row_seeds(tf.constant([seed, 0]), rows)
                network.sample(random.uniforms(seeds, model.event_size))  # eagerly
            mean = len(counted) / repeats / network.plan.num_blocks
            cells.append(f"{mean:.2f} ({plan.expected_passes(length, rows):.2f})")
        print(f"  length {length:3d}: ", "  ".join(cells))
    model.conditionals.__class__ = own


def fit(measured):
    """Returns the prices that explain the times best."""
    work = np.array([plan.sampling_work(cut, rows) for cut, rows, _ in measured])
    seconds = np.array([seconds for *_, seconds in measured])
    prices, _ = scipy.optimize.nnls(work / seconds[:, None], np.ones(len(seconds)))
    return plan.Work(*(1e9 * prices).tolist())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path, help="folder with binary/*.npz")
    parser.add_argument("--output", help="a .csv for the times")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--smoke", action="store_true", help="one small network, to see it run")
    args = parser.parse_args()
    one_thread()
    networks, counts, batches = NETWORKS, COUNTS, BATCHES
    if args.smoke:
        networks, counts, batches, args.rounds = ((32, (16,)),), (2, 4), (4,), 1
    rows = []
    for event_size, hidden in networks:
        data = binary_rows(event_size, args.data_dir, 500 if args.smoke else 20_000)
        model = trained(event_size, hidden, data, 1 if args.smoke else 3)
        if (event_size, hidden) == networks[-1]:
            print_passes(model, [4, 8] if args.smoke else [14, 28, 47, 64, 98, 131, 196], batches)
        for where, cut, batch, seconds in measure(model, counts, batches, args.rounds):
            rows.append((where, event_size, hidden, batch, cut, seconds))
    for where, (in_use, _) in plan.RUNTIMES.items():
        here = [row[1:] for row in rows if row[0] == where]
        fitted = fit([(cut, batch, seconds) for *_, batch, cut, seconds in here])
        print(f"{where}: prices in use {tuple(in_use)}, fitted {tuple(np.round(fitted, 4))}")
        for case in dict.fromkeys(row[:3] for row in here):
            times = {row[3]: row[4] for row in here if row[:3] == case}
            best = min(times, key=times.get)
            chosen = min(times, key=lambda cut: plan.sampling_cost(cut, case[2], in_use))
            print(
                f"  D={case[0]:4d} hidden {case[1]}, {case[2]:3d} rows: best {best.num_blocks:2d} "
                f"blocks {1e3 * times[best]:7.3f} ms, chosen {chosen.num_blocks:2d} "
                f"at {times[chosen] / times[best]:.2f} times that"
            )
    if args.output:
        with open(args.output, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["where", "event_size", "hidden", "rows", "blocks", "seconds"])
            writer.writerows((*row[:4], row[4].num_blocks, row[5]) for row in rows)


if __name__ == "__main__":
    main()
