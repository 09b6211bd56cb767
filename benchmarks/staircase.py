"""One masked product, cut into more and more blocks, against a plain product of the same size.

    python benchmarks/staircase.py --batch 100

Square kernels with sorted degrees, one thread, forward and with gradients of inputs
and kernel, under XLA and in graph mode. A ratio below 1 is faster than a `Dense`
layer's product; the column `mask` is the product with a masked kernel in one piece;
the count that `made_tf.networks.staircase` takes by default stands in brackets.
"""

import argparse

import numpy as np
import tensorflow as tf
from timing import interleaved, one_thread, ratio

from made_tf.networks.kernel_mask import KernelMask
from made_tf.networks.staircase import Staircase, best_num_blocks

SIDES = (100, 200, 300, 500, 1000, 2000)
COUNTS = (2, 3, 4, 5, 6, 8, 12)
MODES = {"XLA": {"jit_compile": True}, "graph": {}}


def with_gradients(product):
    def step(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            loss = tf.reduce_sum(tf.square(product(x, kernel)))
        return tape.gradient(loss, [x, kernel])

    return step


def measure(side, batch, counts, rounds):
    """Returns (mode, what) -> count or name -> ratio to the plain product."""
    degrees = np.arange(1, side + 1)
    mask = KernelMask(degrees, degrees)
    products = {
        "plain": lambda x, kernel: tf.matmul(x, kernel),
        "mask": lambda x, kernel: tf.matmul(x, mask.apply(kernel)),
    }
    products |= {count: Staircase(mask, count).matmul for count in counts if side >= 32 * count}
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(batch, side)), tf.float32)
    kernel = tf.constant(rng.normal(size=(side, side)), tf.float32)
    calls = {}
    for mode, options in MODES.items():
        for name, product in products.items():
            for what, function in (("forward", product), ("gradient", with_gradients(product))):
                compiled = tf.function(function, autograph=False, **options)
                calls[mode, what, name] = lambda f=compiled: f(x, kernel)
    times = interleaved(calls, rounds)
    for mode in MODES:
        for what in ("forward", "gradient"):
            found = {
                name: ratio(times, (mode, what, name), (mode, what, "plain"))
                for name in products
                if name != "plain"
            }
            yield mode, what, found, best_num_blocks(mask)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--smoke", action="store_true", help="one small side, to see that it runs")
    args = parser.parse_args()
    one_thread()
    sides, counts = (SIDES, COUNTS) if not args.smoke else ((100,), (2,))
    print("| side | mode | what | mask | " + " | ".join(map(str, counts)) + " |")
    print("|---" * (4 + len(counts)) + "|")
    for side in sides:
        for mode, what, found, best in measure(side, args.batch, counts, args.rounds):
            cells = [f"{found['mask']:.2f}" if best > 1 else f"[{found['mask']:.2f}]"]
            for count in counts:
                cell = f"{found[count]:.2f}" if count in found else ""
                cells.append(f"[{cell}]" if count == best else cell)
            print(f"| {side} | {mode} | {what} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
