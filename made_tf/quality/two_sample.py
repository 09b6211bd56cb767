"""Can a classifier tell synthetic rows from real ones?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from made_tf.data.optional import optional_module
from made_tf.quality.boosting import classifier, few_threads
from made_tf.quality.columns import Compared, Floats, matrix

__all__ = ["FEWEST", "TwoSample", "told_apart", "two_sample_test"]

#: Rows of each sort, without which folds say nothing.
FEWEST = 20
_MOST = 20_000  # rows of each sort
_FOLDS = 5


class TwoSample(NamedTuple):
    """The classifier two-sample test: gradient boosting, five folds, as many rows of each sort.

    Attributes:
        auc: the area under the curve of telling synthetic rows from held-out ones: 0.5 for rows
            that cannot be told, 1 for rows that always can.
        reference: the same of training rows in place of synthetic ones; `None` without them.
        rows: how many of each sort `auc` was found with.
    """

    auc: float
    reference: float | None
    rows: int


def two_sample_test(columns: Sequence[Compared], seed: int) -> TwoSample:
    """Tells synthetic rows from real ones, and training rows if there are some."""
    parts = {part: matrix(columns, part) for part in columns[0].parts}
    reference = None
    if "train" in parts:
        reference = told_apart(parts["real"], parts["train"], seed)
    rows = min(len(parts["real"]), len(parts["synthetic"]), _MOST)
    return TwoSample(told_apart(parts["real"], parts["synthetic"], seed), reference, rows)


def told_apart(real: Floats, other: Floats, seed: int = 0) -> float:
    """Returns the area under the curve of gradient boosting that tells rows apart.

    Args:
        real: rows `[N, C]`, NaN for missing cells.
        other: rows `[M, C]`; of the longer ones as many are chosen as there are of the others.
        seed: of the choice, the folds and the boosting.
    """
    metrics = optional_module("sklearn.metrics", "scikit-learn", "quality")
    selection = optional_module("sklearn.model_selection", "scikit-learn", "quality")
    rng = np.random.default_rng(seed)
    count = min(len(real), len(other), _MOST)
    chosen = [
        rows if len(rows) == count else rows[np.sort(rng.choice(len(rows), count, replace=False))]
        for rows in (real, other)
    ]
    truth = np.repeat([0, 1], count)
    folds = selection.StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    with few_threads(len(truth)):
        scores = selection.cross_val_predict(
            classifier(seed), np.concatenate(chosen), truth, cv=folds, method="predict_proba"
        )
    return float(metrics.roc_auc_score(truth, scores[:, 1]))
