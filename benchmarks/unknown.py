"""What it is worth to tell hidden values from zeros: one model of all orders, with and without.

    python benchmarks/unknown.py [--data-dir DIR] [--sets digits,mushrooms]

Trains the candidate `any_order` of the default recipe with plain binary inputs, x, and with
(x, 1 - x) (`Bernoulli(tells_unknown=True)`); prints validation NLL in nats under 1 and 16 orders.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile

from made_tf import Bernoulli, scoring
from made_tf.data.digits import load_digits
from made_tf.data.splits import Splits, load_splits
from made_tf.training.members import train_member
from made_tf.training.recipe import Recipe


def load(name: str, folder: pathlib.Path | None) -> Splits:
    """Returns the rows of a set."""
    if name == "digits":
        return load_digits()
    return load_splits(folder / "binary" / f"{name}.npz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--sets", default="digits")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    recipe = Recipe.load("default").candidate("any_order")
    if options.smoke:
        recipe = recipe.overridden(looks=2, steps=5, hidden_units=[16])
        options.seeds = 1
    for name in options.sets.split(","):
        splits = load(name, options.data_dir)
        for seed in range(options.seeds):
            for told in (False, True):
                with tempfile.TemporaryDirectory() as folder:
                    model, member = train_member(
                        recipe,
                        splits,
                        pathlib.Path(folder) / "member.keras",
                        seed,
                        Bernoulli(tells_unknown=told),
                        progress=False,
                    )
                found = []
                for count in (1, 16):
                    model.num_orders = count
                    found.append(scoring.mean_nll(model, splits.valid)[0])
                print(
                    f"{name:10} seed {seed}, {'(x, 1 - x)' if told else 'x':10}: validation NLL "
                    f"{found[0]:.3f} under one order, {found[1]:.3f} under 16 (look "
                    f"{member.best_look} of {member.looks}, {member.cpu_seconds / 60:.1f} CPU min)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
