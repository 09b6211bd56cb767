"""How probable a row like a given one is: of the same classes, with nearly the same numbers.

Densities of cells of different sorts are hard to compare: a zero that half of the rows have counts
as 0.7 nats, any other number of the column as six, and how many digits it has decides how many. The
probability of nearly the same number, within a part of the column's standard deviation, has none of
that, and says better which rows are odd.
"""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
from keras import ops

from made_tf.conditionals.regions import Region
from made_tf.models.made import MADE
from made_tf.portable.arrays import FloatArray
from made_tf.tables.fitted import Fitted

__all__ = ["checked_near", "log_prob_near"]

_AT_ONCE = 2**22  # numbers of a table of what rows may be
_LEAST = -1e38  # nats, of what is impossible


def checked_near(near: Any) -> float:
    """Returns how far numbers may lie apart, in standard deviations.

    Raises:
        ValueError: if it is no positive number.
    """
    is_number = isinstance(near, numbers.Real) and not isinstance(near, bool)
    if not is_number or not 0 < float(near) < math.inf:
        raise ValueError(f"`near` must be a positive number. Received: near={near!r}")
    return float(near)


def log_prob_near(fitted: Fitted, x: FloatArray, near: float) -> FloatArray:
    """Returns the log-probability of a row like each one, `[N]`, in nats.

    Args:
        fitted: the networks.
        x: rows `[N, D]`; of a NaN nothing is known, and it counts nothing.
        near: how far numbers may lie apart, in standard deviations of their columns.
    """
    width = np.float32(near) * np.asarray(fitted.spread, np.float32)
    networks = getattr(fitted.joint, "members", [fitted.joint])
    choices = _padded(networks[0].conditionals.choices())
    count = max(1, _AT_ONCE // max(1, choices.size))
    pieces = [
        np.logaddexp.reduce(
            [_by_one(each, x[at : at + count], width, choices) for each in networks]
        )
        for at in range(0, len(x), count)
    ]
    found = np.concatenate(pieces) if pieces else np.zeros(0)
    return np.maximum(found - math.log(len(networks)), _LEAST).astype(np.float32)


def _by_one(
    network: MADE, x: FloatArray, width: FloatArray, choices: FloatArray
) -> np.ndarray[Any, Any]:
    """Returns what `log_prob_near` does, by one network: float64."""
    family, unknown = network.conditionals, np.isnan(x)
    x = np.where(unknown, family.typical(), x).astype(np.float32)
    allowed = np.abs(choices - x[:, :, None]) <= width[:, None]  # [N, D, K]
    region = Region(allowed.astype(np.float32), x - width, x + width)
    log_prob = ops.convert_to_numpy(family.log_prob_in(network(x), region))
    return np.where(unknown, 0, log_prob.astype(np.float64)).sum(axis=1)


def _padded(choices: list[FloatArray]) -> FloatArray:
    """Returns the values that columns can have as a table, `[D, K]`; infinity where none is."""
    padded = np.full((len(choices), max(map(len, choices))), np.inf, np.float32)
    for row, own in zip(padded, choices, strict=True):
        row[: len(own)] = own
    return padded
