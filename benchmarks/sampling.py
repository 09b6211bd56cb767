"""Samplers and scorers against each other and against one forward pass, on one thread.

    python benchmarks/sampling.py --data-dir DIR --output FOLDER

Trains D = 784, hidden 500-500, for five epochs on binarized_mnist (without data,
on random fields) and times batches of 1, 16 and 256 rows: the textbook loop of D
passes (eager, graph, XLA, LiteRT), other libraries where they are installed
(`pip install 'made-tf[benchmark]'`), and made_tf (graph, XLA, LiteRT). Prints
all times and the ratios that matter; writes `sampling.csv` and `sampling.png`.
"""

import argparse
import csv
import pathlib
import statistics
import tempfile
import time

import numpy as np
import tensorflow as tf
from networks import DenseNetwork, binary_rows, trained
from peers import available_peers
from timing import interleaved, lite, one_thread, ratio

import made_tf
from made_tf.export.runtime import LiteSampler
from made_tf.sampling import random
from made_tf.sampling.blocked_network import BlockedNetwork

SEED = 7
BATCHES = (1, 16, 256)
SLOW_ROUNDS = 3  # of what takes D passes, and of what it is compared to, in turn
BESIDE_SLOW = (
    "made_tf, LiteRT",
    "made_tf for 1 row, LiteRT",
    "made_tf, graph",
    "made_tf, XLA",
    "made_tf with generator, graph",
    "made_tf with generator, XLA",
)
MODES = {"graph": {}, "XLA": {"jit_compile": True}}

# What is compared: batch, numerator, denominator (of several the fastest counts), bound.
RATIOS = (
    (256, ["made_tf, LiteRT"], ["dense log_prob, LiteRT"], "<= 1.7"),
    (256, ["made_tf with generator, LiteRT"], ["dense log_prob, LiteRT"], "<= 2.2"),
    (1, ["naive, LiteRT"], ["made_tf, LiteRT"], ">= 200"),
    (1, ["naive, LiteRT"], ["made_tf for 1 row, LiteRT"], ">= 200"),
    (256, ["naive, LiteRT"], ["made_tf, LiteRT"], ">= 350"),
    (256, ["made_tf, {host}"], ["forward pass, {host}"], "<= 2.0"),
    (256, ["{peer}"], ["made_tf, {host}"], ">= 400"),
    (256, ["{peer}"], ["made_tf with generator, {host}"], ">= 400"),
    (256, ["made_tf + log_prob, {host}"], ["made_tf, {host}"], "<= 1.1"),
    (256, ["experimental_sample_and_log_prob(n)"], ["sample(n)"], "<= 1.1"),
    (256, ["made_tf + log_prob, LiteRT"], ["made_tf, LiteRT"], "<= 1.1"),
    (256, ["made_tf log_prob, LiteRT"], ["dense log_prob, LiteRT"], "<= 0.75"),
    (256, ["made_tf log_prob, {host}"], ["dense log_prob, {host}"], "<= 0.75"),
)


def compiled(function, width, dtype=tf.float32, **options):
    return tf.function(function, [tf.TensorSpec([None, width], dtype)], autograph=False, **options)


def make_contest(model):
    """Everything that is timed: name -> (function, its input: u uniforms, s seeds, x rows)."""
    size, dense, frozen = model.event_size, DenseNetwork(model), DenseNetwork(model, frozen=True)
    host, device = BlockedNetwork(model), BlockedNetwork(model, frozen=True)

    def with_generator(sample):
        return lambda seeds: sample(random.uniforms(seeds, size))

    from_uniforms = {
        "naive": frozen.sample,
        "made_tf": device.sample,
        "made_tf for 1 row": BlockedNetwork(model, batch_size=1, frozen=True).sample,
        "made_tf + log_prob": device.sample_and_log_prob,
        "dense log_prob": frozen.log_prob,
        "made_tf log_prob": device.log_prob,
        "forward pass": frozen.forward,
    }
    inputs = {"dense log_prob": "x", "made_tf log_prob": "x", "forward pass": "x"}
    contest = {
        f"{name}, LiteRT": (function, inputs.get(name, "u"))
        for name, function in lite(from_uniforms, size).items()
    }
    seeded = {
        "naive with generator": with_generator(frozen.sample),
        "made_tf with generator": with_generator(device.sample),
    }
    for name, function in lite(seeded, 2, tf.int32).items():
        contest[f"{name}, LiteRT"] = (function, "s")
    contest["naive, eager"] = (lambda uniforms: eager_loop(dense, uniforms), "u")
    distribution = made_tf.MADEDistribution(model)
    for mode, options in MODES.items():
        for name, function, kind in (
            ("naive", dense.sample, "u"),
            ("forward pass", dense.forward, "x"),
            ("dense log_prob", dense.log_prob, "x"),
            ("made_tf log_prob", distribution.log_prob, "x"),
            ("made_tf", host.sample, "u"),
            ("made_tf + log_prob", host.sample_and_log_prob, "u"),
        ):
            contest[f"{name}, {mode}"] = (compiled(function, size, **options), kind)
        function = compiled(with_generator(host.sample), 2, tf.int32, **options)
        contest[f"made_tf with generator, {mode}"] = (function, "s")
    return contest


def make_public(model):
    """What a user of TensorFlow Probability calls: name -> function of n."""
    distribution = made_tf.MADEDistribution(model)
    return {
        "sample(n)": lambda n: distribution.sample(n, seed=SEED).numpy(),
        "experimental_sample_and_log_prob(n)": lambda n: (
            distribution.experimental_sample_and_log_prob(n, seed=SEED)[1].numpy()
        ),
    }


def eager_loop(dense, uniforms):
    """The textbook loop as a user would write it first: each step one eager forward pass."""
    noise, x = dense.family.noise(uniforms), np.zeros(uniforms.shape, np.float32)
    for column in dense.order:
        x[:, column] = dense.family.transform(dense.forward(x), noise)[:, column]
    return x


def make_inputs(model, batch):
    seeds = random.row_seeds(tf.constant([SEED, 0]), batch)
    uniforms = random.uniforms(seeds, model.event_size)
    rows = made_tf.MADEDistribution(model).sample(batch, seed=SEED)
    return {"u": uniforms.numpy(), "s": seeds.numpy(), "x": rows.numpy()}


def check(model, contest, inputs):
    """Compares all rows with those of the naive loop; stops where a tie does not explain it.

    The first variable in which two rows differ was decided from equal values before
    it: a tie is a uniform within rounding of the probability that it was compared to.
    """
    uniforms = inputs["u"].astype(np.float64)
    noise = np.log(uniforms) - np.log1p(-uniforms)
    rows = {
        name: np.asarray(function(inputs[kind]))
        for name, (function, kind) in contest.items()
        if kind != "x" and "log_prob" not in name
    }
    expected = rows["naive, graph"]
    gaps = np.abs(np.asarray(model(expected)) - noise)
    ties = {}
    for name, x in rows.items():
        different = x != expected
        for row in np.flatnonzero(different.any(axis=1)):
            column = int(np.argmax(different[row]))  # in the natural order
            if gaps[row, column] > 2e-5:
                raise AssertionError(f"{name}: row {row}, variable {column} differs without a tie")
            ties[name] = ties.get(name, 0) + 1
    print(f"{len(expected)} rows equal those of the naive loop; but for ties: {ties or 'none'}")


def measure(contest, public, peers, inputs, rounds):
    """Returns name -> seconds of each round; what takes D passes has rounds of its own."""
    tensors = {kind: tf.constant(values) for kind, values in inputs.items()}
    calls = {
        name: lambda f=function, x=(inputs if "LiteRT" in name else tensors)[kind]: f(x)
        for name, (function, kind) in contest.items()
    }
    batch = len(inputs["u"])
    calls |= {name: lambda f=function: f(batch) for name, function in public.items()}
    slow = {name: call for name, call in calls.items() if name.startswith("naive")}
    slow |= {name: lambda f=function: f(batch) for name, function in peers.items()}
    fast = {name: call for name, call in calls.items() if name not in slow}
    times = interleaved(fast, rounds)
    beside = interleaved(slow | {name: fast[name] for name in BESIDE_SLOW}, SLOW_ROUNDS)
    return times, beside


def fastest(times, names, peers):
    expanded = []
    for name in names:
        if name == "{peer}":
            expanded += list(peers)
        else:
            expanded += [name.format(host=mode) for mode in MODES] if "{" in name else [name]
    return min(expanded, key=lambda name: statistics.median(times[name]))


def print_ratios(results, peers):
    print("\n| rows | what | against | median of ratios | asked |")
    print("|---|---|---|---|---|")
    for batch, over, under, bound in RATIOS:
        if batch not in results or ("{peer}" in over and not peers):
            continue
        fast, slow = results[batch]
        times = slow if "{peer}" in over or "naive" in over[0] else fast
        over, under = (fastest(times, names, peers) for names in (over, under))
        print(f"| {batch} | {over} | {under} | {ratio(times, over, under):.3g} | {bound} |")


def report_file(model):
    live = 4 * sum(
        int(layer.mask.numpy().sum()) + (layer.units if layer.use_bias else 0)
        for layer in model.masked_layers()
    )
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "made.tflite"
        made_tf.export.to_tflite(model, path)
        size = path.stat().st_size
        opening, first = [], []
        for _ in range(5):
            started = time.perf_counter()
            device = LiteSampler(path, num_threads=1)
            opened = time.perf_counter()
            device.sample(1)
            opening.append(opened - started)
            first.append(time.perf_counter() - opened)
    print(
        f"file: {size} bytes, {size / live:.3f} times the {live} bytes of live weights "
        f"(asked: <= 1.15); opens in {1e3 * statistics.median(opening):.1f} ms, first sample in "
        f"{1e3 * statistics.median(first):.1f} ms"
    )


def write_table(results, folder):
    merged = [slow | fast for fast, slow in results.values()]
    names = list(dict.fromkeys(name for times in merged for name in times))
    table = [[name, *(1e3 * statistics.median(times[name]) for times in merged)] for name in names]
    header = ["ms for the whole batch", *(f"{batch} rows" for batch in results)]
    print("\n| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for name, *numbers in table:
        print(f"| {name} | " + " | ".join(f"{number:.3f}" for number in numbers) + " |")
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "sampling.csv", "w", newline="") as file:
            csv.writer(file).writerows([header, *table])
        plot([row for row in table if "log_prob" not in row[0]], list(results), folder)


def plot(table, batches, folder):
    import matplotlib.pyplot as plt

    table = sorted(table, key=lambda row: -row[-1])
    figure, axes = plt.subplots(figsize=(9, 0.32 * len(table) + 1.5), layout="constrained")
    for column, batch in enumerate(batches, start=1):
        per_row = [row[column] / batch for row in table]
        axes.plot(per_row, range(len(table)), "o", label=f"batch of {batch}")
    axes.set_yticks(range(len(table)), [row[0] for row in table])
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds for each row, one thread")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(folder / "sampling.png", dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path, help="folder with binary/*.npz")
    parser.add_argument("--output", type=pathlib.Path, help="folder for the table and the plot")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-peers", action="store_true", help="leave other libraries out")
    parser.add_argument("--smoke", action="store_true", help="a small network, to see that it runs")
    args = parser.parse_args()
    one_thread()
    event_size, hidden, epochs, batches = 784, (500, 500), 5, BATCHES
    if args.smoke:
        event_size, hidden, epochs, batches, args.rounds = 48, (32,), 1, (1, 256), 1
    rows = binary_rows(event_size, args.data_dir, 500 if args.smoke else 20_000)
    model = trained(event_size, hidden, rows, epochs)
    report_file(model)
    contest = make_contest(model)
    public = make_public(model)
    peers = {} if args.no_peers else available_peers(event_size, list(hidden))
    results = {}
    for batch in batches:
        inputs = make_inputs(model, batch)
        check(model, contest, inputs)
        results[batch] = measure(contest, public, peers, inputs, args.rounds)
    write_table(results, args.output)
    print_ratios(results, peers)


if __name__ == "__main__":
    main()
