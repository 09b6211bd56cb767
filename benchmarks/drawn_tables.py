"""Drawn rows of several generators beside real ones, each by the same report.

    python benchmarks/drawn_tables.py --data-dir DIR --tables census,magic,diamonds --folder ROWS
    made-tf sample census.keras -n 24420 --seed 0 -o ROWS/census/ours.csv
    argn/bin/python benchmarks/table_peers.py --peer argn --folder ROWS/census
    python benchmarks/drawn_tables.py --data-dir DIR --tables census,magic,diamonds --folder ROWS

The first line writes `ROWS/TABLE/train.csv`: the three quarters of the rows that `tables.py` learns
from. Whoever draws rows puts a CSV beside it (`table_peers.py` has the environments). The last line
prints a line for each of these files, and one for the training rows in their place:
- told: the area under the curve of gradient boosting that tells drawn rows from held-out ones;
- C2ST: the score of SDMetrics' detection with XGBoost, 1 for rows that cannot be told and 0 for
  those that always can, against training rows, as publications have it; next to it against held-out
  ones. Needs `pip install xgboost` (`xgboost-cpu` will do), prints - without;
- utility: how well gradient boosting that learned from drawn rows predicts a column of held-out
  ones: the area under the curve of income and magic's class, R2 of the price of diamonds;
- shapes, pairs: how like the columns and pairs of columns are, 1 for the same.
"""

from __future__ import annotations

import argparse
import importlib.util
import pathlib
import tempfile
from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from tables import TARGETS, load, rides

from made_tf.quality import assess
from made_tf.quality.columns import Compared

TRAIN = "train.csv"
PREDICTED = {**TARGETS, "diamonds": "price"}
HEADS = ("told", "C2ST", "held out", "utility", "shapes", "pairs")
SHUFFLES = 3


def xgboost_score(columns: list[Compared], parts: tuple[str, str]) -> float:
    """Returns the score of SDMetrics' detection with XGBoost; NaN where that is not installed.

    Three folds, each with 1 - (2 max(AUC, 0.5) - 1), averaged; SDMetrics takes one shuffle, this
    the mean of some. Missing numbers are the mean of the others.

    Args:
        columns: what is compared.
        parts: the names of the two frames that are to be told apart.
    """
    if importlib.util.find_spec("xgboost") is None:
        return np.nan
    from xgboost import XGBClassifier

    rows = np.concatenate([as_numbers(columns, part) for part in parts])
    truth = np.repeat([0, 1], [len(columns[0].parts[part]) for part in parts])
    found = []
    for seed in range(SHUFFLES):
        for learned, tried in StratifiedKFold(3, shuffle=True, random_state=seed).split(
            rows, truth
        ):
            filled = np.where(np.isnan(rows), np.nanmean(rows[learned], axis=0), rows)
            model = XGBClassifier(random_state=seed).fit(filled[learned], truth[learned])
            area = roc_auc_score(truth[tried], model.predict_proba(filled[tried])[:, 1])
            found.append(2 - 2 * max(area, 0.5))
    return float(np.mean(found))


def as_numbers(columns: list[Compared], part: str) -> np.ndarray:
    """Returns the rows of a frame: numbers as they are, a column of 0 and 1 for each class."""
    found = []
    for column in columns:
        cells = column.parts[part]
        if column.classes is None:
            found.append(cells[:, None])
        else:  # a missing cell is of no class
            found.append((cells[:, None] == np.arange(len(column.classes))).astype(float))
    return np.concatenate(found, axis=1)


def drawn_rows(path: pathlib.Path, train: pd.DataFrame) -> pd.DataFrame:
    """Reads what somebody has drawn, with the columns and dtypes of the training rows."""
    frame = pd.read_csv(path)[list(train)]
    return frame.astype({name: train[name].dtype for name in train})


def figures(
    test: pd.DataFrame, drawn: pd.DataFrame, train: pd.DataFrame, target: str
) -> list[float]:
    """Returns what `HEADS` names."""
    report = assess(test, drawn, train, target=target)
    same = drawn is train  # nothing to tell apart
    return [
        report.two_sample.auc,
        np.nan if same else xgboost_score(report.compared, ("train", "synthetic")),
        xgboost_score(report.compared, ("real", "synthetic")),
        next(iter(report.utility.synthetic.values())),
        report.shapes,
        report.trends,
    ]


def show(name: str, cells: Iterable[str]) -> None:
    print(f"{name:20}" + "".join(f"{cell:>9}" for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--tables", default="census,magic,diamonds")
    parser.add_argument("--folder", type=pathlib.Path, help="of a folder for each table")
    parser.add_argument("--smoke", action="store_true", help="made rows, drawn again")
    options = parser.parse_args()
    if not options.smoke and options.folder is None:
        parser.error("--folder must say where the drawn rows lie")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or pathlib.Path(temporary)
        for name in ["made"] if options.smoke else options.tables.split(","):
            frame = load(name, options.data_dir)
            train, test = frame[: len(frame) * 3 // 4], frame[len(frame) * 3 // 4 :]
            own = folder / name
            own.mkdir(parents=True, exist_ok=True)
            text = train.to_csv(index=False)
            if (own / TRAIN).exists() and (own / TRAIN).read_text(encoding="utf-8") != text:
                parser.error(f"{own / TRAIN} must have the rows to learn from. It has others")
            (own / TRAIN).write_text(text, encoding="utf-8")
            if options.smoke:
                rides(400, seed=1).to_csv(own / "again.csv", index=False)
            show(name, HEADS)
            files = {path.stem: path for path in sorted(own.glob("*.csv")) if path.name != TRAIN}
            for what in ["training rows", *files]:
                drawn = drawn_rows(files[what], train) if what in files else train
                found = figures(test, drawn, train, PREDICTED[name])
                show(what, ["-" if np.isnan(each) else f"{each:.3f}" for each in found])


if __name__ == "__main__":
    main()
