"""Anomalies: how well densities of normal rows rank the others, beside what people use.

    KERAS_BACKEND=jax python benchmarks/anomalies.py --data-dir DIR --models FOLDER --fit-only
    python benchmarks/anomalies.py --data-dir DIR --models FOLDER

Sets of ADBench (Han et al. 2022): half of the normal rows to learn from, the others and all
anomalies to rank; area under the ROC curve. Of `TableModel` the scores of `anomalies`, and
the same with the weights of an int8 file; beside them the distance to the fifth nearest neighbour,
a mixture of five Gaussians, an isolation forest, and ECOD (Li et al. 2022), all on standardised
columns.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from made_tf import TableModel
from made_tf.export.file.weights import members_with_weights
from made_tf.tables import TableNetwork


def neighbours(train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the distance of rows to the fifth nearest row of training."""
    return NearestNeighbors(n_neighbors=5).fit(train).kneighbors(rows)[0][:, -1]


def gaussians(train: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    mixture = GaussianMixture(min(5, len(train)), reg_covar=1e-3, random_state=seed).fit(train)
    return -mixture.score_samples(rows)


def forest(train: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    return -IsolationForest(random_state=seed).fit(train).score_samples(rows)


def ecod(train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the largest of three sums over columns of -log of tails: left, right, by skewness."""
    left, right, skewed = np.zeros((3, len(rows)))
    for own, column in zip(train.T, rows.T, strict=True):
        ordered = np.sort(own)
        below = np.searchsorted(ordered, column, "right") + 1.0
        above = len(own) - np.searchsorted(ordered, column, "left") + 1.0
        tails = [-np.log(count / (len(own) + 2.0)) for count in (below, above)]
        skewness = np.mean((own - own.mean()) ** 3)
        left, right = left + tails[0], right + tails[1]
        skewed = skewed + tails[0 if skewness < 0 else 1]
    return np.max([left, right, skewed], axis=0)


def with_int8(model: TableModel) -> TableModel:
    """Returns a model with the weights of its int8 file."""
    rounded = TableModel()
    network = model.network_
    joint = members_with_weights(network.joint, "int8")
    rounded.network_ = TableNetwork(model.schema_, joint, spread=network.spread)
    return rounded


def fitted(path: pathlib.Path | None, train: np.ndarray, **options) -> TableModel:
    """Returns a model of rows, from the file where it is kept if it is there."""
    if path is not None and path.exists():
        return TableModel.load(path)
    model = TableModel(questions=None, find_facts=False, **options).fit(train)
    if path is not None:
        model.save(path)
    return model


def made_up() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 3))
    rows[:, 2] = rows[:, 0] + 0.1 * rows[:, 2]
    rows[:20, 2] *= -1
    return rows, (np.arange(200) < 20).astype(int)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--sets", help="some of them, separated by commas")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--time-budget", type=float, help="seconds for a model")
    parser.add_argument("--models", type=pathlib.Path, help="where models are kept, or are found")
    parser.add_argument("--fit-only", action="store_true", help="on any backend of Keras")
    parser.add_argument("--smoke", action="store_true", help="tiny, on made rows")
    options = parser.parse_args()
    if options.fit_only and not options.models:
        parser.error("--fit-only needs --models")
    if options.models:
        options.models.mkdir(parents=True, exist_ok=True)
    if options.smoke:
        sets = {"made": made_up()}
    else:
        sets = {}
        for path in sorted((options.data_dir / "anomaly").glob("*.npz")):
            if options.sets is None or path.stem in options.sets.split(","):
                with np.load(path) as arrays:
                    sets[path.stem] = arrays["X"].astype(float).round(6), arrays["y"]
    found = []
    for name, (x, y) in sets.items():
        for seed in range(options.seeds):
            rng = np.random.default_rng(seed)
            normal = rng.permutation(np.flatnonzero(y == 0))
            half = len(normal) // 2
            rows = np.concatenate([normal[half:], np.flatnonzero(y == 1)])
            train, rows, truth = x[normal[:half]], x[rows], y[rows]
            scale = np.where(train.std(axis=0) > 0, train.std(axis=0), 1.0)
            z_train, z = ((each - train.mean(axis=0)) / scale for each in (train, rows))
            path = options.models and options.models / f"{name}-{seed}.keras"
            seconds = 5 if options.smoke else options.time_budget
            model = fitted(path, train, seed=seed, time_budget=seconds)
            if options.fit_only:
                continue
            areas = [
                roc_auc_score(truth, scores)
                for scores in (
                    -model.log_prob_near(rows),
                    -with_int8(model).log_prob_near(rows),
                    neighbours(z_train, z),
                    gaussians(z_train, z, seed),
                    forest(z_train, z, seed),
                    ecod(z_train, z),
                )
            ]
            found.append(areas)
            print(
                f"{name:18} {len(train):6} rows  ", *(f"{area:.3f}" for area in areas), flush=True
            )
    if not found:
        return
    names = "TableModel, with int8 weights, neighbours, Gaussians, forest, ECOD"
    print(f"mean ({names}):", *(f"{area:.4f}" for area in np.mean(found, axis=0)))


if __name__ == "__main__":
    main()
