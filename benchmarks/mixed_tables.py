"""What each candidate of a recipe is worth on tables of mixed columns, and what it costs.

    python benchmarks/mixed_tables.py --data-dir DIR [--tables census,diamonds,wine] [--test]

Every column gets the family that `made_tf.conditionals.suggest` names for its numbers, categories
(a missing cell being one more) `Categorical` or `Embedded`. One model of each candidate; by the
validation rows alone. With `--test` the ensemble of the candidate that they choose is scored on
rows that nothing else has seen.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile

import numpy as np
from diamonds import diamonds, made_rows
from diamonds import family_of as diamonds_family

from made_tf import Categorical, Embedded, Mixed, scoring
from made_tf.data.splits import Splits
from made_tf.training.by_recipe import candidates_for, train_ensemble
from made_tf.training.members import train_member
from made_tf.training.recipe import Recipe

_MOST_ONE_HOT = 20  # classes; of more `Embedded` (see `--embed-from`)


def census(folder: pathlib.Path, embed_from: int) -> tuple[np.ndarray, list]:
    """Returns the rows, with numbers for categories, and the families of these (else None)."""
    import pandas as pd

    table = pd.read_csv(folder / "tabular" / "census.csv")
    table = table.drop(columns="education_num")  # which is `education` again
    families = []
    for name, values in table.items():
        if not pd.api.types.is_numeric_dtype(values):
            codes, classes = pd.factorize(values, use_na_sentinel=False)
            table[name] = codes
            many = len(classes) >= embed_from
            families.append(Embedded(len(classes), 16) if many else Categorical(len(classes)))
        else:
            families.append(None)
    return _shuffled(table.to_numpy("float32")), families


def _shuffled(rows: np.ndarray) -> np.ndarray:
    return rows[np.random.default_rng(0).permutation(len(rows))]


def load(name: str, folder: pathlib.Path | None, embed_from: int) -> tuple[Splits, Mixed]:
    """Returns a table's rows and its family, found in the training rows."""
    known: list = []
    if name == "made":
        rows, columns = made_rows(600)
    elif name == "census":
        rows, known = census(folder, embed_from)
    elif name == "diamonds":
        rows, columns = diamonds(folder)
    else:
        rows = _shuffled(np.load(folder / "tabular" / "red_wine_10fold.npz")["data"])
    valid, test = len(rows) // 20, len(rows) // 4
    train = rows[valid:-test]
    if name in ("made", "diamonds"):
        family = diamonds_family(train, columns)
    else:
        family = Mixed.from_data(train)
        if known:
            found = [given or own for given, own in zip(known, family.families, strict=True)]
            family = Mixed(found).bind(len(found))
    names = [f"x{k}" for k in range(rows.shape[1])]
    return Splits(train, rows[:valid], rows[-test:], names), family


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--tables", default="census,diamonds,wine")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--candidates", help="some of them, separated by commas")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--embed-from", type=int, default=_MOST_ONE_HOT)
    parser.add_argument("--test", action="store_true", help="score test rows, too")
    parser.add_argument("--smoke", action="store_true", help="tiny, on made rows")
    options = parser.parse_args()
    recipe = Recipe.load("smoke" if options.smoke else options.recipe)
    for name in ["made"] if options.smoke else options.tables.split(","):
        splits, family = load(name, options.data_dir, options.embed_from)
        print(f"{name}: {splits.train.shape[0]} training rows of {splits.train.shape[1]} columns")
        candidates = candidates_for(recipe, splits, family)
        if options.candidates:
            candidates = {key: candidates[key] for key in options.candidates.split(",")}
        for candidate, own in candidates.items():
            for seed in range(options.seeds):
                with tempfile.TemporaryDirectory() as folder:
                    path = pathlib.Path(folder) / "member.keras"
                    _, member = train_member(own, splits, path, seed, family, progress=False)
                print(
                    f"  {candidate:12} seed {seed}: validation NLL {member.valid_nll:8.3f}, look "
                    f"{member.best_look} of {member.looks}, {member.cpu_seconds / 60:.1f} CPU min",
                    flush=True,
                )
        if options.test:
            with tempfile.TemporaryDirectory() as folder:
                made = train_ensemble(
                    recipe,
                    splits,
                    pathlib.Path(folder) / "made",
                    conditionals=family,
                    progress=False,
                )
            nll = -scoring.log_prob(made.ensemble, splits.test)
            print(
                f"  test: {made.origin}: NLL {nll.mean():.3f} +- {nll.std() / len(nll) ** 0.5:.3f}"
            )


if __name__ == "__main__":
    main()
