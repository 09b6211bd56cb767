"""A training step of the same model on Keras' TensorFlow and JAX backends.

    python benchmarks/backends.py

Each way is a process of its own, on made-up rows; they take turns. Prints the median
milliseconds of a step and the ratio to TensorFlow without XLA.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

RUNS = {  # backend, whether compiled by XLA, environment
    "tensorflow": ("tensorflow", False, {}),
    "tensorflow, XLA": ("tensorflow", True, {}),
    "jax": ("jax", True, {}),
    "jax, huge pages": ("jax", True, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}),  # Linux
}


def step_ms(args):
    """Returns how long a step of `fit` takes, in the process's own backend."""
    import keras
    import numpy as np

    import made_tf

    size, units = args.event_size, args.hidden_units
    rows = args.batch_size * args.steps
    x = np.random.default_rng(0).integers(0, 2, (rows, size)).astype("float32")
    model = made_tf.MADE(size, (units,) * args.layers, "bernoulli", "random", dropout=0.3, seed=0)
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=args.jit)
    ends = []
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(time.perf_counter()))
    model.fit(x, batch_size=args.batch_size, epochs=4, verbose=0, callbacks=[clock])
    return 1e3 * min(np.diff(ends)) / args.steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--event-size", type=int, default=123)
    parser.add_argument("--hidden-units", type=int, default=500)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="a small model, one round")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--jit", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.smoke:
        args.event_size, args.hidden_units, args.steps, args.rounds = 8, 16, 5, 1
    if args.worker:
        print(step_ms(args))
        return
    found = {name: [] for name in RUNS}
    own = [sys.executable, __file__, *sys.argv[1:], "--worker"]
    for _ in range(args.rounds):
        for name, (backend, jit, environment) in RUNS.items():
            result = subprocess.run(
                own + ["--jit"] * jit,
                env={**os.environ, "KERAS_BACKEND": backend, **environment},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found[name].append(float(result.stdout.split()[-1]))
    base = statistics.median(found["tensorflow"])
    for name, times in found.items():
        ms = statistics.median(times)
        print(f"{name:16s} {ms:8.2f} ms a step, {ms / base:.2f} of TensorFlow's without XLA")


if __name__ == "__main__":
    main()
