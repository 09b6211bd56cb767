r"""What masks cost in training: MADE against the same network of plain `Dense` layers.

    python benchmarks/training_step.py --data-dir DIR
    python benchmarks/training_step.py --data-dir DIR --hidden-units 2000 2000 --one-thread \
        --steps 100 --jit-compile yes
    python benchmarks/training_step.py --data-dir DIR --hidden-units 500 500 --resampled \
        --steps 100 --jit-compile yes

Trains both in turn, epoch by epoch, on binarized_mnist (or, without data, on
random bits of the same shape) and prints the time per step of each, the ratio
of the two in each epoch, and the peak memory of the process. With `--resampled`
it compares models of many masks with models of one fixed mask instead.
"""

import argparse
import pathlib
import resource
import statistics
import time

import keras
import numpy as np
from keras import ops
from timing import one_thread

import made_tf

RESAMPLED_RATIOS = (  # asked of the first: at most 1.3
    ("fresh masks", "fixed random order"),
    ("fresh masks", "fixed natural order"),
    ("32 masks", "fixed random order"),
    ("32 masks", "fixed natural order"),
    ("fresh orders", "fixed random order"),
)


class Plain(keras.Model):
    """The network of a MADE without its masks; its loss is no likelihood."""

    def __init__(self, event_size, hidden_units):
        super().__init__()
        self.family = made_tf.Bernoulli()
        self.hidden = [keras.layers.Dense(units, activation="relu") for units in hidden_units]
        self.outputs_layer = keras.layers.Dense(event_size)
        self.direct = keras.layers.Dense(event_size, use_bias=False)

    def call(self, x):
        x = units = ops.cast(x, "float32")
        for layer in self.hidden:
            units = layer(units)
        return self.outputs_layer(units) + self.direct(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return -ops.mean(ops.sum(self.family.log_prob(y_pred, x), axis=-1))


class Clock(keras.callbacks.Callback):
    """The seconds that the steps of one epoch take, without what `fit` does around them."""

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.started


def plain_and_masked(args):
    return {
        "masked": made_tf.MADE(784, args.hidden_units, input_order=args.input_order, seed=0),
        "plain": Plain(784, args.hidden_units),
    }


def resampled(hidden_units):
    """Models of one mask, with which the product skips what it can or not, and of many."""
    return {
        "fixed natural order": made_tf.MADE(784, hidden_units, seed=0),
        "fixed random order": made_tf.MADE(784, hidden_units, input_order="random", seed=0),
        "fresh masks": made_tf.MADE(784, hidden_units, seed=0, num_masks=None),
        "fresh orders": made_tf.MADE(784, hidden_units, seed=0, num_masks=None, resample="order"),
        "32 masks": made_tf.MADE(784, hidden_units, seed=0, num_masks=32),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path, help="folder with binary/*.npz")
    parser.add_argument("--hidden-units", type=int, nargs="+", default=[500])
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=7, help="counted epochs of each")
    parser.add_argument("--steps", type=int, help="steps of an epoch; all rows by default")
    parser.add_argument("--input-order", default="natural", choices=["natural", "random"])
    parser.add_argument(
        "--resampled", action="store_true", help="fresh masks and 32 masks against fixed ones"
    )
    parser.add_argument("--one-thread", action="store_true", help="use one core")
    parser.add_argument(
        "--jit-compile",
        choices=["auto", "yes", "no"],
        default="auto",
        help="XLA for both networks, for neither, or as each chooses by default",
    )
    parser.add_argument("--smoke", action="store_true", help="one small epoch, to see that it runs")
    args = parser.parse_args()
    if args.one_thread:
        one_thread()
    if args.data_dir:
        with np.load(args.data_dir / "binary" / "binarized_mnist.npz") as data:
            rows = data["train"].astype("float32")
    else:
        rows = np.random.default_rng(0).integers(0, 2, (50_000, 784)).astype("float32")
    if args.smoke:
        rows, args.epochs = rows[:1000], 1
    if args.steps:
        rows = rows[: args.steps * args.batch_size]
    steps = -(-len(rows) // args.batch_size)

    keras.utils.set_random_seed(0)
    models = resampled(args.hidden_units) if args.resampled else plain_and_masked(args)
    for model in models.values():
        jit_compile = {"auto": "auto", "yes": True, "no": False}[args.jit_compile]
        model.compile("adam", jit_compile=jit_compile)
        model.fit(rows[: 10 * args.batch_size], batch_size=args.batch_size, verbose=0)  # traces
    clock = Clock()
    seconds = {name: [] for name in models}
    for epoch in range(args.epochs):
        for name in list(models)[:: 1 if epoch % 2 else -1]:
            models[name].fit(rows, batch_size=args.batch_size, verbose=0, callbacks=[clock])
            seconds[name].append(clock.seconds)
    for name, times in seconds.items():
        print(f"{name:20s} {1e3 * statistics.median(times) / steps:8.2f} ms a step (median)")
    print(f"ratios, epoch by epoch, over {args.epochs} epochs of {steps} steps:")
    for over, under in RESAMPLED_RATIOS if args.resampled else [("masked", "plain")]:
        ratios = [a / b for a, b in zip(seconds[over], seconds[under], strict=True)]
        print(
            f"{over} / {under}: median {statistics.median(ratios):.3f}, "
            f"from {min(ratios):.3f} to {max(ratios):.3f}"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
