"""1,000 digits with half of their pixels observed: `impute` against the naive loop.

    python benchmarks/inpainting.py --data-dir DIR --output FOLDER

Trains an order-agnostic model, D = 784, hidden 500-500, for a few epochs on
binarized_mnist (without data, on random fields), and fills in rows that it has not
seen, with the top half given (the same for all) and with a random half given
(another for each row). The naive loop is a full masked forward pass for each
unobserved pixel, under the order that puts the observed pixels first; where each
row has an order of its own it goes row by row and is timed on a few rows. Checks
that both draw the same pixels from the same uniforms. One thread; prints the
ratios and writes `inpainting.csv` and `inpainting.png`.
"""

import argparse
import csv
import itertools
import pathlib
import statistics

import numpy as np
import tensorflow as tf
from networks import binary_rows, trained
from timing import interleaved, one_thread, ratio

import made_tf
from made_tf.masks import evidence_first
from made_tf.sampling import random

SEED = 7
TIE = 2e-5  # logits closer than this to their noise may round to either side
MODES = {"graph": {}, "XLA": {"jit_compile": True}}
HEADER = ("observed", "what", "rows timed", "ms a row", "over impute", "over a forward pass")


class NaiveLoop:
    """A masked forward pass for each unobserved variable, under any mask set."""

    def __init__(self, model, **options):
        self.family, self.own = model.conditionals, model.mask_sets.first(1)
        layers = list(model.masked_layers())
        self.layers = [(tf.constant(layer.kernel), tf.constant(layer.bias)) for layer in layers]
        rows = tf.TensorSpec([None, model.event_size], tf.float32)
        order = tf.TensorSpec([model.event_size], tf.int32)
        signature = [rows, order, tf.TensorSpec([], tf.int32), rows]
        self._loop = tf.function(self._make_loop, signature, autograph=False, **options)
        self.forward = tf.function(
            lambda x, order: self._forward(self._kernels(order), x),
            signature[:2],
            autograph=False,
            **options,
        )

    def order(self, known):
        return evidence_first(self.own[0][0], known)

    def impute(self, x, uniforms):
        """Fills in rows `[n, D]` that lack the same variables."""
        known = ~np.isnan(x[0])
        return self._loop(np.nan_to_num(x), self.order(known), np.int32(known.sum()), uniforms)

    def impute_each(self, x, uniforms):
        """The same, row by row: each may lack others."""
        return tf.concat([self.impute(x[i : i + 1], uniforms[i : i + 1]) for i in range(len(x))], 0)

    def _make_loop(self, x, order, first, uniforms):
        kernels, noise = self._kernels(order), self.family.noise(uniforms)

        def body(step, x):
            values = self.family.transform(self._forward(kernels, x), noise)
            return step + 1, tf.where(order == step + 1, values, x)

        return tf.while_loop(lambda step, x: step < tf.size(order), body, (first, x))[1]

    def _kernels(self, order):
        """The kernels with zeros where this order forbids a connection; once for all passes."""
        levels = [order, *(level[0] for level in self.own[1:]), order]
        compare = [tf.less_equal] * (len(self.layers) - 1) + [tf.less]
        return [
            tf.where(allowed(a[:, None], b[None, :]), kernel, 0.0)
            for (kernel, _), (a, b), allowed in zip(
                self.layers, itertools.pairwise(levels), compare, strict=True
            )
        ]

    def _forward(self, kernels, x):
        biases = [bias for _, bias in self.layers]
        for kernel, bias in zip(kernels[:-1], biases, strict=False):
            x = tf.nn.relu(tf.matmul(x, kernel) + bias)
        return tf.matmul(x, kernels[-1]) + biases[-1]


def patterns(rows, rng):
    """What is observed: name -> booleans `[N, D]`."""
    size = rows.shape[1]
    top = np.broadcast_to(np.arange(size) < size // 2, rows.shape)
    return {"top half": top, "random half": rng.permuted(top, axis=1)}


def check(loop, name, ours, naive, uniforms, known):
    """Compares rows; stops where they differ in a variable that no tie explains."""
    noise = loop.family.noise(uniforms).numpy()
    ties = 0
    for row in np.flatnonzero((ours != naive).any(axis=1)):
        order = loop.order(known[row])
        different = np.flatnonzero(ours[row] != naive[row])
        first = different[np.argmin(order[different])]
        gap = abs(loop.forward(naive[row : row + 1], order).numpy() - noise[row])[0, first]
        if gap > TIE:
            raise AssertionError(f"{name}: row {row}, variable {first} differs without a tie")
        ties += 1
    print(f"{name}: {len(ours)} rows equal those of the naive loop, but for {ties} ties")


def measure(model, rows, name, known, num_naive, rounds):
    """Times one pattern; returns the rows of the table and what was imputed."""
    distribution = made_tf.MADEDistribution(model)
    missing = np.where(known, rows, np.float32(np.nan))
    seeds = random.row_seeds(tf.constant([SEED, 0]), len(rows))
    uniforms = random.uniforms(seeds, model.event_size + 1)[:, :-1]  # one more chooses the order
    loops = {mode: NaiveLoop(model, **options) for mode, options in MODES.items()}
    num_rows = {"impute": len(rows)}
    calls = {"impute": lambda: distribution.impute(missing, seed=SEED)}
    if not (known == known[0]).all():  # each call of the sampler then gets one row
        single = made_tf.MADEDistribution(model, batch_size=1)
        calls["impute, batch_size=1"] = lambda: single.impute(missing, seed=SEED)
        num_rows["impute, batch_size=1"] = len(rows)
    for mode, loop in loops.items():
        shared = (known == known[0]).all()
        count = len(rows) if shared else num_naive
        function = loop.impute if shared else loop.impute_each
        arguments = missing[:count], uniforms[:count]
        calls[f"naive loop, {mode}"] = lambda f=function, a=arguments: f(*a).numpy()
        order = loop.order(known[0])
        calls[f"forward pass, {mode}"] = lambda f=loop, o=order: f.forward(rows, o).numpy()
        num_rows |= {f"naive loop, {mode}": count, f"forward pass, {mode}": len(rows)}
    ours = calls["impute"]()
    for mode, loop in loops.items():
        filled = calls[f"naive loop, {mode}"]()
        part = slice(0, len(filled))
        check(loop, f"{name}, {mode}", ours[part], filled, uniforms[part], known[part])
    assert np.array_equal(ours[known], rows[known])
    times = interleaved(calls, rounds)
    times = {what: [s / num_rows[what] for s in seconds] for what, seconds in times.items()}

    def fastest(prefix):
        names = [what for what in times if what.startswith(prefix)]
        return min(names, key=lambda what: statistics.median(times[what]))

    table = [
        (
            name,
            what,
            num_rows[what],
            1e3 * statistics.median(seconds),
            ratio(times, what, "impute"),
            ratio(times, what, fastest("forward")),
        )
        for what, seconds in times.items()
    ]
    return table, ours, ratio(times, fastest("naive"), "impute")


def plot(rows, pictures, path, count=12):
    import matplotlib.pyplot as plt

    lines = [("the digits", rows, None)]
    for name, (known, filled) in pictures.items():
        lines.append((f"given: {name}", rows, known))
        lines.append(("drawn", filled, None))
    figure, axes = plt.subplots(
        len(lines), count, figsize=(count * 0.75, len(lines) * 0.8), layout="constrained"
    )
    for line, (label, values, known) in zip(axes, lines, strict=True):
        for index, axis in enumerate(line):
            image = (
                np.where(known[index], values[index], 0.5) if known is not None else values[index]
            )
            axis.imshow(image.reshape(28, 28), cmap="gray_r", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize="small")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path, help="folder with binary/*.npz")
    parser.add_argument("--output", type=pathlib.Path, help="folder for the table and the pictures")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--naive-rows", type=int, default=16, help="of the row-by-row loop")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="a small network, to see that it runs")
    args = parser.parse_args()
    one_thread()
    event_size, hidden, num_rows = 784, (500, 500), 20_000
    if args.smoke:
        event_size, hidden, num_rows = 48, (32, 32), 600
        args.rows, args.naive_rows, args.epochs, args.rounds = 20, 2, 1, 1
    rows = binary_rows(event_size, args.data_dir, num_rows)
    rows, unseen = rows[: -args.rows], rows[-args.rows :]
    model = trained(event_size, hidden, rows, args.epochs, num_masks=None)
    table, pictures = [], {}
    for name, known in patterns(unseen, np.random.default_rng(0)).items():
        found, filled, times_faster = measure(
            model, unseen, name, known, args.naive_rows, args.rounds
        )
        table += found
        pictures[name] = known, filled
        print(f"{name}: fastest naive loop / impute, for each row: {times_faster:.1f}")
    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    for *words, ms, slower, passes in table:
        print(f"| {' | '.join(map(str, words))} | {ms:.4g} | {slower:.4g} | {passes:.4g} |")
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        with open(args.output / "inpainting.csv", "w", newline="") as file:
            csv.writer(file).writerows([HEADER, *table])
        if event_size == 784:
            plot(unseen, pictures, args.output / "inpainting.png")


if __name__ == "__main__":
    main()
