"""How probable it is to come near a row: to the same classes and nearly the same numbers.

Densities of cells of different sorts are hard to compare: a zero that half of the rows have counts
as 0.7 nats, any other number of the column as six, and how many digits it has decides how many. The
probability of nearly the same number, within a part of the column's standard deviation, has none of
that. Cell by cell it is given the cells before it in the network's order, as they are.
"""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from made_tf.conditionals.regions import Region
from made_tf.models.made import MADE
from made_tf.portable.arrays import BoolArray, FloatArray, Rows
from made_tf.portable.patterns import pattern_groups, pieces
from made_tf.portable.seeds import seed_pairs
from made_tf.queries.evidence_first import EvidenceFirst
from made_tf.tables.fitted import Fitted

__all__ = ["checked_near", "log_prob_near"]

_AT_ONCE = 2**22  # numbers of a table of what rows may be
_ROWS_AT_ONCE = 1000
_DRAWS = 32  # of the cells of a row that are not known
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
    """Returns the sum over the cells k of log P(as near as this to x_k | x_<k), `[N]`, in nats.

    Args:
        fitted: the networks, of which several count as their mean.
        x: rows `[N, D]`; a NaN counts nothing, and what comes after it is averaged over draws.
        near: how far numbers may lie apart, in standard deviations of their columns.
    """
    width = np.float32(near) * np.asarray(fitted.spread, np.float32)
    found = np.zeros((len(fitted.members), len(x)))
    for known, rows in pattern_groups(~np.isnan(x)):
        for number, model in enumerate(fitted.members):
            if known.all():
                found[number, rows] = _of_whole_rows(model, x[rows], known, width)
            elif known.any():
                found[number, rows] = _of_parts(
                    fitted.in_order[number], x[rows], known, width, rows
                )
    return np.maximum(_log_mean(found), _LEAST).astype(np.float32)


def _of_parts(
    in_order: EvidenceFirst, x: FloatArray, known: BoolArray, width: FloatArray, numbers: Rows
) -> NDArray[np.float64]:
    """Returns the same of rows that know some cells, the others drawn given those before them."""
    parts = []
    for part in pieces(np.arange(len(x)), max(1, _ROWS_AT_ONCE // _DRAWS)):
        values = np.repeat(np.where(known, x[part], 0), _DRAWS, axis=0).astype(np.float32)
        draws = (numbers[part][:, None] * _DRAWS + np.arange(_DRAWS)).reshape(-1)
        rows, _ = in_order.draw(seed_pairs(0, draws), known, values, in_order.own)
        found = _of_whole_rows(in_order.model, ops.convert_to_numpy(rows), known, width)
        parts.append(_log_mean(found.reshape(-1, _DRAWS).T))
    return np.concatenate(parts)


def _of_whole_rows(
    model: MADE, x: FloatArray, known: BoolArray, width: FloatArray
) -> NDArray[np.float64]:
    """Returns the same of rows without a NaN, of the known cells alone, over the model's orders."""
    family = model.conditionals
    choices = _padded(family.choices())
    sets = None if model.mask_sets.is_fixed else model.mask_sets.first(model.num_orders)
    parts: list[NDArray[np.float64]] = [np.zeros(0)]
    for rows in pieces(x, max(1, min(_ROWS_AT_ONCE, _AT_ONCE // max(1, choices.size)))):
        allowed = np.abs(choices - rows[:, :, None]) <= width[:, None]  # [N, D, K]
        region = Region(allowed.astype(np.float32), rows - width, rows + width)
        found = []
        for number in range(1 if sets is None else sets.num_sets):
            params = model.parameters(rows, None, None if sets is None else sets.at(number))
            terms = ops.convert_to_numpy(family.log_prob_in(params, region)).astype(np.float64)
            found.append(np.where(known, terms, 0).sum(axis=1))
        parts.append(_log_mean(np.stack(found)))
    return np.concatenate(parts)


def _log_mean(log_probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the log of the mean over the first axis."""
    return np.logaddexp.reduce(log_probs) - math.log(len(log_probs))


def _padded(choices: list[FloatArray]) -> FloatArray:
    """Returns the values that columns can have as a table, `[D, K]`; infinity where none is."""
    padded = np.full((len(choices), max(map(len, choices))), np.inf, np.float32)
    for row, own in zip(padded, choices, strict=True):
        row[: len(own)] = own
    return padded
