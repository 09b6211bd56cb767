"""Diamonds: one network over mixed columns, in nats of the numbers as they are recorded.

    python benchmarks/diamonds.py --data-dir DIR

Ten columns, every number taken as its rounding interval (hundredths of a carat, whole dollars), so
that all are probabilities and nats compare. 40,000 rows to learn from, of which 2,000 say when to
stop; the others are scored once. Beside it the families themselves before any training: columns
that are independent, about as the quantiles of the data say.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import time

import numpy as np

from made_tf import Binned, Discretized, Mixed, Ordinal, scoring
from made_tf.data.splits import Splits
from made_tf.training.by_recipe import train_ensemble
from made_tf.training.recipe import Recipe

ORDERED = {
    "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
    "color": list("JIHGFED"),
    "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
}
SPIKY = ("carat", "depth", "table")  # with values that occur far more often than their neighbours

RECIPE = {
    "model": {"hidden_units": [256] * 4, "residual": True},
    "training": {
        "batch_size": 512,
        "learning_rate": 1e-3,
        "steps": 100,
        "average_steps": 500,
        "patience": 20,
        "looks": 130,
    },
}


def diamonds(folder: pathlib.Path) -> tuple[np.ndarray, list[str]]:
    """Returns the table with numbers for grades, in a random order."""
    import pandas as pd

    table = pd.read_csv(folder / "tabular" / "diamonds.csv")
    for column, grades in ORDERED.items():
        table[column] = table[column].map({grade: number for number, grade in enumerate(grades)})
    rows = table.to_numpy("float32")
    return rows[np.random.default_rng(0).permutation(len(rows))], list(table.columns)


def made_rows(count: int) -> tuple[np.ndarray, list[str]]:
    """Returns a table of the same kinds of columns, for smoke tests."""
    rng = np.random.default_rng(0)
    carat = np.round(rng.gamma(3, 0.3, count) + 0.2, 2)
    columns = {
        "carat": carat,
        "cut": rng.integers(0, 5, count),
        "price": np.round(4000 * carat**1.6 * np.exp(0.2 * rng.normal(size=count))),
    }
    return np.stack(list(columns.values()), axis=1).astype("float32"), list(columns)


def family_of(train: np.ndarray, columns: list[str]) -> Mixed:
    """Returns a family for each column: bins for spiky ones, grades in order, grids."""

    def one(name: str, values: np.ndarray):
        if name in ORDERED:
            return Ordinal.from_data(values)
        if name in SPIKY:
            return Binned.from_data(values, num_bins=256)
        return Discretized.from_data(values)

    families = [one(name, train[:, [number]]) for number, name in enumerate(columns)]
    return Mixed(families).bind(len(columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--looks", type=int, default=RECIPE["training"]["looks"])
    parser.add_argument("--smoke", action="store_true", help="tiny, on made rows")
    options = parser.parse_args()
    rows, columns = made_rows(600) if options.smoke else diamonds(options.data_dir)
    known, held = (400, 50) if options.smoke else (40_000, 2000)
    train, valid, test = rows[held:known], rows[:held], rows[known:]
    model = {**RECIPE["model"], "dropout": options.dropout}
    training = {**RECIPE["training"], "looks": options.looks}
    if options.smoke:
        model["hidden_units"], training["looks"] = [16, 16], 2
    recipe = {"model": model, "training": training, "members": options.members}
    family = family_of(train, columns)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        trained = train_ensemble(
            Recipe.from_dict("diamonds", recipe),
            Splits(train, valid, test, columns),
            pathlib.Path(folder) / "made",
            0,
            family,
            progress=False,
        )
    minutes = (time.process_time() - started) / 60
    model = trained.ensemble if options.members > 1 else trained.ensemble.members[0]
    nll = -scoring.log_prob(model, test)
    zeros = np.zeros((1000, family.layout.parameters.total), "float32")
    alone = [-np.asarray(family.log_prob(zeros[: len(x)], x)).sum(axis=1) for x in pieces(test)]
    print(f"untrained, independent   NLL {np.concatenate(alone).mean():8.3f}")
    print(
        f"{options.members} network(s)             NLL {nll.mean():8.3f} "
        f"+- {nll.std() / len(nll) ** 0.5:.3f} on {len(test)} held-out rows (validation "
        f"{trained.valid_nll:.3f}), {minutes:.1f} CPU minutes"
    )


def pieces(rows: np.ndarray) -> list[np.ndarray]:
    """Returns a thousand rows at a time."""
    return [rows[start : start + 1000] for start in range(0, len(rows), 1000)]


if __name__ == "__main__":
    main()
