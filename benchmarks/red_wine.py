"""Red wine, ten folds: mean test log-likelihoods beside published ones and peers of the same run.

    python benchmarks/red_wine.py --data-dir DIR

The columns of each fold are standardised by its training rows, as Uria, Murray and Larochelle 2013
(RNADE, arXiv:1306.0186) do; they report -9.36 nats a row. A tenth of the training rows says when to
stop.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile

import numpy as np
import scipy.stats
from sklearn.mixture import GaussianMixture

from made_tf import NormalMixture, scoring
from made_tf.data.splits import Splits
from made_tf.models.ensemble import Ensemble
from made_tf.training.by_recipe import train_ensemble
from made_tf.training.recipe import Recipe

RECIPE = {
    "model": {"hidden_units": [200], "dropout": 0.5, "input_order": "random"},
    "training": {
        "batch_size": 50,
        "learning_rate": 3e-3,
        "steps": 0,
        "average_steps": 500,
        "patience": 20,
        "looks": 200,
    },
}


def folds(data: np.ndarray, fold: np.ndarray, count: int):
    """Yields standardised training, validation and test rows of each fold."""
    for number in range(count):
        rows, test = data[fold != number], data[fold == number]
        loc, scale = rows.mean(axis=0), rows.std(axis=0)
        rows, test = (rows - loc) / scale, (test - loc) / scale
        rows = rows[np.random.default_rng(number).permutation(len(rows))]
        valid = len(rows) // 10
        columns = [f"x{k}" for k in range(data.shape[1])]
        yield Splits(rows[valid:], rows[:valid], test, columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--smoke", action="store_true", help="tiny, on made rows")
    options = parser.parse_args()
    training = {**RECIPE["training"], "learning_rate": options.learning_rate}
    recipe = {**RECIPE, "training": training, "members": options.members}
    if options.smoke:
        rng = np.random.default_rng(0)
        data, fold = rng.normal(size=(200, 3)).astype("float32"), np.arange(200) % 10
        options.folds, recipe["members"] = 1, 2
        training["looks"] = 2
    else:
        found = np.load(options.data_dir / "tabular" / "red_wine_10fold.npz")
        data, fold = found["data"], found["fold"]
    results: dict[str, list[float]] = {}
    for number, splits in enumerate(folds(data, fold, options.folds)):
        family = NormalMixture.from_data(splits.train, num_components=20, knots=None)
        with tempfile.TemporaryDirectory() as folder:
            trained = train_ensemble(
                Recipe.from_dict("red_wine", recipe),
                splits,
                pathlib.Path(folder) / "fold",
                number,
                family,
                echo=lambda _: None,
                progress=False,
            )
        members = trained.ensemble.members
        gaussian = scipy.stats.multivariate_normal(
            splits.train.mean(axis=0), np.cov(splits.train.T), allow_singular=True
        )
        mixture = GaussianMixture(5, reg_covar=1e-2, random_state=0).fit(splits.train)
        found = {
            "one MADE, validation rows": -trained.members[0].valid_nll,
            "one MADE": scoring.log_prob(members[0], splits.test).mean(),
            f"ensemble of {len(members)}": scoring.log_prob(Ensemble(members), splits.test).mean(),
            "a Gaussian": gaussian.logpdf(splits.test).mean(),
            "5 Gaussians (scikit-learn)": mixture.score(splits.test),
        }
        for name, value in found.items():
            results.setdefault(name, []).append(float(value))
        print(f"fold {number}: " + ", ".join(f"{name} {v:.3f}" for name, v in found.items()))
    print(f"\nmean test log-likelihood, nats a row, over {options.folds} folds:")
    for name, values in results.items():
        error = np.std(values) / max(1, len(values) - 1) ** 0.5
        print(f"  {name:28} {np.mean(values):8.3f} +- {error:.3f}")
    print("  RNADE (published)               -9.36")


if __name__ == "__main__":
    main()
