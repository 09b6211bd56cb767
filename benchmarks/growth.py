"""How the time of a sample grows with D: against one forward pass and against the naive loop.

    python benchmarks/growth.py --output FOLDER

For D = 64 to 4096, hidden width D, trained on random fields: LiteRT, one thread,
uniforms given. The naive loop is timed over its first 16 of D equal steps. Prints
the table and writes `growth.csv` and `growth.png`.
"""

import argparse
import csv
import pathlib
import statistics

import tensorflow as tf
from networks import DenseNetwork, binary_rows, trained
from timing import interleaved, lite, one_thread

from made_tf.sampling import random
from made_tf.sampling.blocked_network import BlockedNetwork

NAIVE_STEPS = 16
SIZES = (64, 256, 784, 2048, 4096)
HEADER = ("D", "rows", "forward_ms", "sample_ms", "naive_ms", "sample/forward", "naive/sample")


def measure(event_size, batches, epochs, num_rows, rounds):
    model = trained(event_size, (event_size,), binary_rows(event_size, None, num_rows), epochs)
    dense = DenseNetwork(model, frozen=True)
    for batch in batches:
        functions = {
            "forward": dense.forward,
            "ours": BlockedNetwork(model, batch_size=batch, frozen=True).sample,
            "naive": lambda u: dense.sample(u, NAIVE_STEPS),
        }
        uniforms = random.uniforms(random.row_seeds(tf.constant([7, 0]), batch), event_size).numpy()
        on_device = lite(functions, event_size)
        calls = {name: lambda f=f, u=uniforms: f(u) for name, f in on_device.items()}
        seconds = interleaved(calls, rounds)
        forward, ours, naive = (1e3 * statistics.median(times) for times in seconds.values())
        naive *= event_size / NAIVE_STEPS
        yield event_size, batch, forward, ours, naive, ours / forward, naive / ours


def plot(table, path):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for batch, style in zip(sorted({row[1] for row in table}), ("-", "--", ":"), strict=False):
        rows = [row for row in table if row[1] == batch]
        for label, column in (("naive loop", 4), ("made_tf", 3), ("one forward pass", 2)):
            axes.plot(
                [row[0] for row in rows],
                [row[column] / batch for row in rows],
                style,
                marker="o",
                color={2: "tab:gray", 3: "tab:blue", 4: "tab:red"}[column],
                label=f"{label}, batch of {batch}",
            )
    axes.set(xscale="log", yscale="log", xlabel="D = hidden width", ylabel="milliseconds per row")
    axes.set_xticks(SIZES, SIZES)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, help="folder for the table and the plot")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--smoke", action="store_true", help="one small size, to see that it runs")
    args = parser.parse_args()
    one_thread()
    sizes, batches, epochs, num_rows = SIZES, (1, 256), 2, 5000
    if args.smoke:
        sizes, batches, epochs, num_rows, args.rounds = (64,), (4,), 1, 500, 1
    table = [row for size in sizes for row in measure(size, batches, epochs, num_rows, args.rounds)]
    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    for row in table:
        print("| " + " | ".join(f"{number:.4g}" for number in row) + " |")
    for batch in batches:
        growth = {row[0]: row[5] for row in table if row[1] == batch}
        if 4096 in growth:
            print(
                f"batch of {batch}: sample over forward pass, D = 4096 against D = 256: "
                f"{growth[4096] / growth[256]:.2f} (asked: <= 2)"
            )
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        with open(args.output / "growth.csv", "w", newline="") as file:
            csv.writer(file).writerows([HEADER, *table])
        plot(table, args.output / "growth.png")


if __name__ == "__main__":
    main()
