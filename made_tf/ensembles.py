"""The average of a density over several orders, and how far they disagree."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

__all__ = ["OrderStatistics", "combine"]


class OrderStatistics(NamedTuple):
    """What M orders say about rows, each a float32 tensor `[N]` in nats.

    Attributes:
        log_prob: the log of the mean of their densities: itself the log of a
            normalised density. (The mean of logits is not.)
        standard_error: that of `log_prob` as an estimate of the same average
            over all orders, to first order; NaN for M = 1, which cannot tell.
        spread: the standard deviation of their log-probabilities; NaN for
            M = 1.
    """

    log_prob: Any
    standard_error: Any
    spread: Any

    @classmethod
    def of_one(cls, log_prob) -> OrderStatistics:
        """Returns the statistics of a single order."""
        unknown = ops.full_like(log_prob, np.nan)
        return cls(log_prob, unknown, unknown)


def combine(log_prob: Callable, sets: list) -> OrderStatistics:
    """Averages densities over mask sets, one after the other in bounded memory.

    Args:
        log_prob: from the degrees of each level to log-probabilities `[N]`.
        sets: the degrees of each level, int32 `[M, units]`, M at least 2.
    """
    count = len(sets[0])
    first = log_prob([level[0] for level in sets])
    ones, zeros = ops.ones_like(first), ops.zeros_like(first)
    # Relative to the largest so far: the sum of weights and of their squares; and, relative to the
    # first, the sum of log-probabilities and of their squares.
    start = (first, ones, ones, zeros, zeros)

    def step(carry, degrees):
        largest, total, squares, moved, moved_squares = carry
        current = log_prob(degrees)
        new = ops.maximum(largest, current)
        # Where all are -inf so far there is nothing to scale (and -inf - -inf is NaN).
        finite = ops.where(ops.isinf(new), zeros, new)
        old_weight, weight = ops.exp(largest - finite), ops.exp(current - finite)
        difference = current - first
        return (
            new,
            total * old_weight + weight,
            squares * old_weight**2 + weight**2,
            moved + difference,
            moved_squares + difference**2,
        ), None

    rest = [ops.convert_to_tensor(level[1:]) for level in sets]
    (largest, total, squares, moved, moved_squares), _ = ops.scan(step, start, rest)
    variance = (moved_squares - moved**2 / count) / (count - 1)
    weight_variance = (squares - total**2 / count) / (count - 1)
    relative = ops.sqrt(ops.maximum(weight_variance, 0.0) * count) / total
    return OrderStatistics(
        largest + ops.log(total) - math.log(count),
        relative,
        ops.sqrt(ops.maximum(variance, 0.0)),
    )
