"""Which family suits a column of numbers, judged by its values alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from made_tf.conditionals.base import FAMILIES
from made_tf.conditionals.grids import is_recorded_on_grid

__all__ = ["hint", "suggest"]

_FEW_CLASSES = 32  # up to here numbers from 0 on are ordered classes
_FEW_POINTS = 300  # up to here a bin can be a single point


def suggest(values: npt.ArrayLike) -> str:
    """Returns the name of a family that holds a column's values, finite numbers `[N]`.

    0 and 1 are `"bernoulli"`; few integers from 0 on `"ordinal"`; other numbers on a grid
    `"binned"` if few of them differ, else `"count"` for counts of many sizes and `"discretized"`
    for the rest; and numbers on no grid `"logistic_mixture"`.
    """
    numbers = np.asarray(values, np.float64)
    distinct = np.unique(numbers)
    whole = bool(np.all(distinct == np.rint(distinct))) and distinct[0] >= 0
    if whole and distinct[-1] <= 1:
        return "bernoulli"
    if whole and distinct[-1] < _FEW_CLASSES:
        return "ordinal"
    if not is_recorded_on_grid(numbers):
        return "logistic_mixture"
    if len(distinct) <= _FEW_POINTS:
        return "binned"
    # Counts of many sizes: as many below a thousandth of the largest as above.
    is_count = whole and distinct[0] == 0 and np.median(numbers) < 1e-3 * distinct[-1]
    return "count" if is_count else "discretized"


def hint(values: npt.ArrayLike) -> str:
    """Returns a sentence that names a family for a column's values; none if they are not finite."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if not len(known) or not np.isfinite(known).all():
        return ""
    return f". A column of these values can be {FAMILIES[suggest(known)].__name__}"
