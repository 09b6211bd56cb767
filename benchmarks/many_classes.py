"""Columns of many classes: one-hot codes (`Categorical`) beside learned vectors (`Embedded`).

    python benchmarks/many_classes.py [--classes 100,1000,5000] [--families Categorical,Embedded]

Two columns of K classes, the second being a shuffle of the first in nine rows of ten, and a column
of ten; one hidden layer of 200 units. For each K: weights, milliseconds for a training step of 100
rows, and the NLL of held-out rows after as many steps, in nats (the best there is: the entropy).
"""

from __future__ import annotations

import argparse
import time

import keras
import numpy as np

from made_tf import MADE, Categorical, Embedded, scoring


def rows_of(classes: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Returns rows `[count, 3]`, popular classes first, and their entropy in nats."""
    weights = 1 / np.arange(1, classes + 1)
    weights /= weights.sum()
    partner, group = (np.random.default_rng(classes).permutation(classes) for _ in range(2))
    first = rng.choice(classes, count, p=weights)
    other = rng.choice(classes, count, p=weights)
    second = np.where(rng.random(count) < 0.9, partner[first], other)
    third = group[first] % 10
    own = -np.sum(weights * np.log(weights))
    # Given the first, the second is its partner or any class.
    change = np.broadcast_to(0.1 * weights, (classes, classes)).copy()
    change[np.arange(classes), partner] += 0.9
    second_entropy = -np.sum(weights[:, None] * change * np.log(change))
    rows = np.stack([first, second, third], axis=1).astype("float32")
    return rows, float(own + second_entropy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", default="100,1000,5000")
    parser.add_argument("--families", default="Categorical,Embedded")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.classes, options.steps = "30", 5
    for classes in map(int, options.classes.split(",")):
        rng = np.random.default_rng(0)
        train, entropy = rows_of(classes, 100 * options.steps, rng)
        test, _ = rows_of(classes, 5000, rng)
        print(f"{classes} classes, entropy {entropy:.3f}")
        for family in (Categorical, Embedded):
            if family.__name__ not in options.families.split(","):
                continue
            keras.utils.set_random_seed(0)
            columns = [family(classes), family(classes), Categorical(10)]
            model = MADE(3, (200,), columns, seed=0)
            model.compile(keras.optimizers.Adam(3e-3))
            model.fit(train[:200], batch_size=100, verbose=0)
            started = time.perf_counter()
            model.fit(train, batch_size=100, verbose=0)
            taken = 1e3 * (time.perf_counter() - started) / options.steps
            nll = -scoring.log_prob(model, test).mean()
            print(
                f"  {family.__name__:12} {model.count_params():12,} weights, {taken:7.2f} ms a "
                f"step, NLL {nll:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
