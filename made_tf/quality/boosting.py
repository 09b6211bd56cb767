"""Gradient boosting as the tests of synthetic rows use it."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

from made_tf.data.optional import optional_module

__all__ = ["classifier", "few_threads", "regressor"]

_SMALL = 20_000  # rows


def classifier(seed: int) -> Any:
    """Returns a classifier of scikit-learn with its defaults, which takes missing cells."""
    module = optional_module("sklearn.ensemble", "scikit-learn", "quality")
    return module.HistGradientBoostingClassifier(random_state=seed)


def regressor(seed: int) -> Any:
    """Returns the same for numbers."""
    module = optional_module("sklearn.ensemble", "scikit-learn", "quality")
    return module.HistGradientBoostingRegressor(random_state=seed)


def few_threads(rows: int) -> AbstractContextManager:
    """Returns a context in which so many rows are learned from on one thread, if they are few.

    Threads wait for each other at each leaf: where others use the machine, too, a tenth of a second
    of work took fifteen.
    """
    if rows > _SMALL:
        return contextlib.nullcontext()
    return optional_module("threadpoolctl", "scikit-learn", "quality").threadpool_limits(1)
