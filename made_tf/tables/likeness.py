"""How probable it is to come near a row: to the same classes and nearly the same numbers.

Densities of cells of different sorts are hard to compare: a zero that half of the rows have counts
as 0.7 nats, any other number of the column as six, and how many digits it has decides how many. The
probability of nearly the same number, within a part of the column's spread, has none of that. Cell
by cell it is given the cells before it in the network's order, as they are.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from made_tf.conditionals.regions import Region
from made_tf.models.made import MADE
from made_tf.models.order_statistics import combine
from made_tf.portable.arrays import BoolArray, FloatArray, Rows
from made_tf.portable.patterns import pattern_groups, pieces
from made_tf.portable.seeds import seed_pairs
from made_tf.queries.evidence_first import EvidenceFirst
from made_tf.tables.fitted import Fitted

__all__ = ["log_prob_near"]

_AT_ONCE = 2**22  # numbers of a table of what rows may be
_ROWS_AT_ONCE = 1000
_DRAWS = 32  # of the cells of a row that are not known
_LEAST = -1e38  # nats, of what is impossible


class _Near(NamedTuple):
    """What is near a row.

    Attributes:
        width: how far numbers may lie apart, `[D]`.
        choices: the values that columns can have, `[D, K]`; infinity where none is.
    """

    width: FloatArray
    choices: FloatArray

    def region(self, x: FloatArray) -> Region:
        """Returns what is near rows `[N, D]`."""
        allowed = np.abs(self.choices - x[:, :, None]) <= self.width[:, None]
        return Region(allowed.astype(np.float32), x - self.width, x + self.width)


def log_prob_near(fitted: Fitted, x: FloatArray, near: float) -> FloatArray:
    """Returns the sum over the cells k of log P(as near as this to x_k | x_<k), `[N]`, in nats.

    Args:
        fitted: the networks, of which several count as their mean.
        x: rows `[N, D]`; a NaN counts nothing, and what comes after it is averaged over draws.
        near: how far numbers may lie apart, in spreads of their columns (`made_tf.tables.spread`).
    """
    width = np.float32(near) * np.asarray(fitted.spread, np.float32)
    what = _Near(width, _padded(fitted.members[0].conditionals.choices()))
    found = np.zeros((len(fitted.members), len(x)))
    for known, rows in pattern_groups(~np.isnan(x)):
        for number, model in enumerate(fitted.members):
            if known.all():
                found[number, rows] = _of_whole_rows(model, x[rows], known, what)
            elif known.any():
                in_order = fitted.in_order[number]
                found[number, rows] = _of_parts(in_order, x[rows], known, what, rows)
    return np.maximum(_log_mean(found), _LEAST).astype(np.float32)


def _of_parts(
    in_order: EvidenceFirst, x: FloatArray, known: BoolArray, what: _Near, numbers: Rows
) -> NDArray[np.float64]:
    """Returns the same of rows that know some cells, the others drawn given those before them."""
    parts = []
    for part in pieces(np.arange(len(x)), max(1, _ROWS_AT_ONCE // _DRAWS)):
        values = np.repeat(np.where(known, x[part], 0), _DRAWS, axis=0).astype(np.float32)
        draws = (numbers[part][:, None] * _DRAWS + np.arange(_DRAWS)).reshape(-1)
        rows, _ = in_order.draw(seed_pairs(0, draws), known, values, in_order.own)
        found = _of_whole_rows(in_order.model, ops.convert_to_numpy(rows), known, what)
        parts.append(_log_mean(found.reshape(-1, _DRAWS).T))
    return np.concatenate(parts)


def _of_whole_rows(
    model: MADE, x: FloatArray, known: BoolArray, what: _Near
) -> NDArray[np.float64]:
    """Returns the same of rows without a NaN, of the known cells alone, over the model's orders."""
    sets = model.mask_sets.first(model.num_orders)
    parts = [np.zeros(0)]
    for rows in pieces(x, max(1, min(_ROWS_AT_ONCE, _AT_ONCE // max(1, what.choices.size)))):
        log_prob = functools.partial(_under_one_order, model, rows, known, what.region(rows))
        found = log_prob() if sets.num_sets == 1 else combine(log_prob, sets).log_prob
        parts.append(ops.convert_to_numpy(found).astype(np.float64))
    return np.concatenate(parts)


def _under_one_order(model: MADE, x: FloatArray, known: BoolArray, region: Region, degrees=None):
    params = model.parameters(x, degrees=degrees)
    terms = model.conditionals.log_prob_in(params, region)
    return ops.sum(ops.where(known, terms, 0.0), axis=-1)


def _log_mean(log_probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the log of the mean over the first axis."""
    return np.logaddexp.reduce(log_probs) - math.log(len(log_probs))


def _padded(choices: list[FloatArray]) -> FloatArray:
    """Returns the values that columns can have as a table, `[D, K]`; infinity where none is."""
    padded = np.full((len(choices), max(map(len, choices))), np.inf, np.float32)
    for row, own in zip(padded, choices, strict=True):
        row[: len(own)] = own
    return padded
