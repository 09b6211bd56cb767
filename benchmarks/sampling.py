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
from made_tf import random
from made_tf.export.runtime import LiteSampler
from made_tf.sampling import BlockedNetwork

SEED = 7
BATCHES = (1, 16, 256)
MODES = {"graph": {}, "XLA": {"jit_compile": True}}

# What is compared: batch, numerator, denominator (of several the fastest counts), bound.
RATIOS = (
    (256, ["made_tf, LiteRT"], ["dense log_prob, LiteRT"], "<= 1.7"),
    (256, ["made_tf with generator, LiteRT"], ["dense log_prob, LiteRT"], "<= 2.2"),
    (1, ["naive, LiteRT"], ["made_tf, LiteRT"], ">= 200"),
    (256, ["naive, LiteRT"], ["made_tf, LiteRT"], ">= 350"),
    (256, ["made_tf, {host}"], ["forward pass, {host}"], "<= 2.0"),
    (256, ["{peer}"], ["made_tf with generator, {host}"], ">= 400"),
    (256, ["made_tf + log_prob, {host}"], ["made_tf, {host}"], "<= 1.1"),
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


def check(contest, inputs):
    """Prints how many rows of each sampler differ from those of the textbook loop."""
    rows = {
        name: np.asarray(function(inputs[kind]))
        for name, (function, kind) in contest.items()
        if kind != "x" and "log_prob" not in name
    }
    expected = rows["naive, graph"]
    differing = {name: int((x != expected).any(axis=1).sum()) for name, x in rows.items()}
    found = {name: count for name, count in differing.items() if count}
    print(f"{len(expected)} rows; not bit for bit those of the naive loop: {found or 'none'}")


def measure(contest, peers, inputs, rounds):
    """Returns name -> seconds of each round; what takes D passes has three rounds."""
    calls = {
        name: lambda f=function, x=inputs[kind]: f(x) for name, (function, kind) in contest.items()
    }
    slow = {name: call for name, call in calls.items() if name.startswith("naive")}
    fast = {name: call for name, call in calls.items() if name not in slow}
    times = interleaved(fast, rounds)
    references = {
        name: fast[name] for name in ("made_tf, LiteRT", "made_tf with generator, LiteRT")
    }
    beside = interleaved(slow | references, 3)
    times |= {name: seconds for name, seconds in beside.items() if name in slow}
    batch = len(inputs["u"])
    for name, sample in peers.items():
        sample(batch)  # traces, compiles
        started = time.perf_counter()
        sample(batch)
        times[name] = [time.perf_counter() - started]
    return times


def fastest(times, names, peers):
    expanded = []
    for name in names:
        if name == "{peer}":
            expanded += list(peers)
        else:
            expanded += [name.format(host=mode) for mode in MODES] if "{" in name else [name]
    return min(expanded, key=lambda name: statistics.median(times[name]), default=None)


def print_ratios(results, peers):
    print(
        "\n| rows | what | against | ratio of medians | paired | asked |\n|---|---|---|---|---|---|"
    )
    for batch, over, under, bound in RATIOS:
        times = results.get(batch)
        over, under = (fastest(times, names, peers) for names in (over, under)) if times else (0, 0)
        if not over or not under:
            continue
        value = statistics.median(times[over]) / statistics.median(times[under])
        same = len(times[over]) == len(times[under])
        paired = f"{ratio(times, over, under):.3g}" if same else ""
        print(f"| {batch} | {over} | {under} | {value:.3g} | {paired} | {bound} |")


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
    names = list(dict.fromkeys(name for times in results.values() for name in times))
    table = [
        [name, *(1e3 * statistics.median(times.get(name, [np.nan])) for times in results.values())]
        for name in names
    ]
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
        event_size, hidden, epochs, batches, args.rounds = 48, (32,), 1, (4,), 1
    rows = binary_rows(event_size, args.data_dir, 500 if args.smoke else 20_000)
    model = trained(event_size, hidden, rows, epochs)
    report_file(model)
    contest = make_contest(model)
    peers = {} if args.no_peers else available_peers(event_size, hidden)
    results = {}
    for batch in batches:
        inputs = make_inputs(model, batch)
        check(contest, inputs)
        results[batch] = measure(contest, peers, inputs, args.rounds)
    write_table(results, args.output)
    print_ratios(results, peers)


if __name__ == "__main__":
    main()
