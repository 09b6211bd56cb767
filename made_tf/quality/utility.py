"""What a model is worth that was trained on synthetic rows: asked of real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from made_tf.data.optional import optional_module
from made_tf.quality.boosting import classifier, few_threads, regressor
from made_tf.quality.columns import Compared, Floats, matrix

__all__ = ["Utility", "area", "choose_target", "probabilities", "utility"]

_FEW_CLASSES = 20
_OF_A_CLASS = 5  # rows, on average, in each frame


class Utility(NamedTuple):
    """Gradient boosting trained on synthetic rows (and on real ones), tried on held-out ones.

    Attributes:
        target: the column that is predicted from all others.
        synthetic: `"auc"` (averaged over classes) and `"accuracy"` of classes, `"r2"` of numbers.
        real: the same of training rows; `None` without them.
        rows: how many synthetic rows were learned from.
    """

    target: str
    synthetic: dict[str, float]
    real: dict[str, float] | None
    rows: int


def choose_target(columns: Sequence[Compared], determined: Sequence[str] = ()) -> str | None:
    """Returns a column to predict: the last one of few classes, else the last one of numbers.

    Args:
        columns: the columns.
        determined: names of those that others determine, or that determine others.
    """
    free = [column for column in columns if column.name not in determined] or list(columns)
    of_classes = [column.name for column in free if _few_classes(column)]
    of_numbers = [column.name for column in free if column.classes is None]
    return next(iter([*of_classes[-1:], *of_numbers[-1:]]), None) if len(columns) > 1 else None


def _few_classes(column: Compared) -> bool:
    if not _has_classes(column):
        return False
    counts = [len(np.unique(column.known(part))) for part in column.parts]
    rows = [len(column.known(part)) for part in column.parts]
    enough = all(own >= _OF_A_CLASS * count for own, count in zip(rows, counts, strict=True))
    return enough and min(counts) > 1 and max(counts) <= _FEW_CLASSES


def _has_classes(column: Compared) -> bool:
    """Returns whether cells are classes, or one of two numbers."""
    return column.classes is not None or len(np.unique(column.known("real"))) == 2


def utility(columns: Sequence[Compared], target: str, seed: int) -> Utility:
    """Trains on synthetic rows and on training rows, if there are some, and tries both."""
    (wanted,) = (column for column in columns if column.name == target)
    inputs = [column for column in columns if column.name != target]
    score = _classes if _has_classes(wanted) else _numbers
    parts = {}
    for part in wanted.parts:
        known = ~np.isnan(wanted.parts[part])
        parts[part] = matrix(inputs, part)[known], wanted.parts[part][known]
    rows = len(parts["synthetic"][1])
    if "train" in parts:
        rows = min(rows, len(parts["train"][1]))  # as many as there are real ones
    x, y = parts["synthetic"]
    own = score((x[:rows], y[:rows]), parts["real"], seed)
    real = score(parts["train"], parts["real"], seed) if "train" in parts else None
    return Utility(target, own, real, rows)


def _classes(train: tuple[Floats, Floats], test: tuple[Floats, Floats], seed: int):
    classes = np.unique(np.concatenate([train[1], test[1]]))
    probs = probabilities(*train, test[0], classes, seed)
    right = classes[probs.argmax(axis=1)] == test[1]
    return {"auc": area(test[1], probs, classes), "accuracy": float(right.mean())}


def _numbers(train: tuple[Floats, Floats], test: tuple[Floats, Floats], seed: int):
    metrics = optional_module("sklearn.metrics", "scikit-learn", "quality")
    with few_threads(len(train[1])):
        predicted = regressor(seed).fit(*train).predict(test[0])
    return {"r2": float(metrics.r2_score(test[1], predicted))}


def probabilities(
    x: Floats, y: npt.NDArray, x_test: Floats, classes: npt.NDArray, seed: int = 0
) -> Floats:
    """Returns the probabilities of classes, by gradient boosting, `[N, K]`.

    Args:
        x: rows to learn from, `[M, C]`, NaN for missing cells.
        y: their classes, `[M]`.
        x_test: rows `[N, C]`.
        classes: all classes, in order; those that `y` lacks have the probability 0.
        seed: of the boosting.
    """
    found = np.zeros((len(x_test), len(classes)))
    own = np.unique(y)
    places: Any = np.searchsorted(classes, own)
    if len(own) == 1:  # nothing to learn
        found[:, places] = 1.0
        return found
    with few_threads(len(x)):
        found[:, places] = classifier(seed).fit(x, y).predict_proba(x_test)
    return found


def area(truth: npt.NDArray, probs: Floats, classes: npt.NDArray) -> float:
    """Returns the area under the curve, averaged over classes against the others.

    Args:
        truth: classes `[N]`.
        probs: probabilities `[N, K]`.
        classes: the K classes; those that `truth` lacks, or has alone, do not count.

    Returns:
        The mean; NaN if no class counts.
    """
    metrics = optional_module("sklearn.metrics", "scikit-learn", "quality")
    found = []
    for number, own in enumerate(classes):
        is_own = truth == own
        if is_own.any() and not is_own.all():
            found.append(float(metrics.roc_auc_score(is_own, probs[:, number])))
    return float(np.mean(found)) if found else float("nan")
