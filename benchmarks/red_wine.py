"""Red wine, ten folds: mean test log-likelihoods beside published ones and peers of the same run.

    python benchmarks/red_wine.py --data-dir DIR --hold-out --members 1
    python benchmarks/red_wine.py --data-dir DIR

The columns of each fold are standardised by its training rows, as Uria, Murray and Larochelle 2013
(RNADE, arXiv:1306.0186) do; they report -9.36 nats a row. With `--hold-out` a tenth of the training
rows is kept apart, for settings to be chosen by: it prints their log-likelihood, and after how many
passes its mean over the folds is highest. Without it all of them are learnt from, in so many passes
(`LOOKS`), and the weights are those of the pass that is best on a tenth of the rows learnt from:
one of the last.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile

import numpy as np
import scipy.stats
from sklearn.mixture import GaussianMixture

from made_tf import MADE, NormalMixture, scoring
from made_tf.data.splits import Splits
from made_tf.models.ensemble import Ensemble
from made_tf.training.by_recipe import train_ensemble
from made_tf.training.recipe import Recipe

LOOKS = 62  # by validation rows, see RESULTS.md
RECIPE = {
    "model": {"hidden_units": [500], "dropout": 0.5, "input_order": "random"},
    "training": {
        "batch_size": 50,
        "learning_rate": 3e-3,
        "steps": 0,
        "average_steps": 500,
        "patience": 20,
    },
}


def folds(data: np.ndarray, fold: np.ndarray, count: int, hold_out: bool):
    """Yields standardised training, validation and test rows of each fold."""
    for number in range(count):
        rows, test = data[fold != number], data[fold == number]
        loc, scale = rows.mean(axis=0), rows.std(axis=0)
        rows, test = (rows - loc) / scale, (test - loc) / scale
        rows = rows[np.random.default_rng(number).permutation(len(rows))]
        valid = len(rows) // 10
        columns = [f"x{k}" for k in range(data.shape[1])]
        yield Splits(rows[valid:] if hold_out else rows, rows[:valid], test, columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--hidden-units", type=int, nargs="+", default=[500])
    parser.add_argument("--hold-out", action="store_true", help="choose by a tenth of the rows")
    parser.add_argument("--smoke", action="store_true", help="tiny, on made rows")
    options = parser.parse_args()
    looks = 200 if options.hold_out else LOOKS
    training = {**RECIPE["training"], "learning_rate": options.learning_rate, "looks": looks}
    model = {**RECIPE["model"], "hidden_units": options.hidden_units}
    recipe = {"model": model, "training": training, "members": options.members}
    if options.smoke:
        rng = np.random.default_rng(0)
        data, fold = rng.normal(size=(200, 3)).astype("float32"), np.arange(200) % 10
        options.folds, recipe["members"] = 1, 2
        training["looks"] = 2
    else:
        found = np.load(options.data_dir / "tabular" / "red_wine_10fold.npz")
        data, fold = found["data"], found["fold"]
    results: dict[str, list[float]] = {}
    curves = []
    for number, splits in enumerate(folds(data, fold, options.folds, options.hold_out)):
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
        if options.hold_out:  # whose choices are made before any test row is looked at
            found = {"one MADE, validation rows": -trained.members[0].valid_nll}
            curves.append([look["val_nll"] for look in trained.members[0].history])
        else:
            found = scores(splits, members)
        for name, value in found.items():
            results.setdefault(name, []).append(float(value))
        print(f"fold {number}: " + ", ".join(f"{name} {v:.3f}" for name, v in found.items()))
    if curves:
        mean = np.mean([curve[: min(map(len, curves))] for curve in curves], axis=0)
        print(f"\nfor all folds {mean.argmin() + 1} passes are best: {-mean.min():.3f}")
    kind = "validation" if options.hold_out else "test"
    print(f"\nmean {kind} log-likelihood, nats a row, over {options.folds} folds:")
    for name, values in results.items():
        error = np.std(values) / max(1, len(values) - 1) ** 0.5
        print(f"  {name:28} {np.mean(values):8.3f} +- {error:.3f}")
    print("  RNADE (published)               -9.36")


def scores(splits: Splits, members: list[MADE]) -> dict[str, float]:
    """Returns mean log-likelihoods of the test rows, by whose they are."""
    gaussian = scipy.stats.multivariate_normal(
        splits.train.mean(axis=0), np.cov(splits.train.T), allow_singular=True
    )
    mixture = GaussianMixture(5, reg_covar=1e-2, random_state=0).fit(splits.train)
    return {
        "one MADE": scoring.log_prob(members[0], splits.test).mean(),
        f"ensemble of {len(members)}": scoring.log_prob(Ensemble(members), splits.test).mean(),
        "a Gaussian": gaussian.logpdf(splits.test).mean(),
        "5 Gaussians (scikit-learn)": mixture.score(splits.test),
    }


if __name__ == "__main__":
    main()
