"""The average of a density over several orders, and how far they disagree."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from made_tf.networks.mask_sets import StackedSets

__all__ = ["OrderStatistics", "combine", "nll_and_spread"]


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


def combine(log_prob: Callable, sets: StackedSets) -> OrderStatistics:
    """Averages densities over mask sets, one after the other in bounded memory.

    Args:
        log_prob: from the degrees of one set to log-probabilities `[N]`.
        sets: M sets, at least 2.
    """
    count, tensors = sets.num_sets, sets.tensors()
    first = log_prob(sets.at(0))
    ones, zeros = ops.ones_like(first), ops.zeros_like(first)
    # The mean of n densities relative to the largest, and of log-probabilities; with each the sum
    # of squared differences from it, by Welford's updates: sums of squares would cancel.
    start = (first, ones, zeros, first, zeros)

    def step(index, carry):
        largest, mean, squares, log_mean, log_squares = carry
        n = ops.cast(index + 1, first.dtype)
        current = log_prob(tensors.at(index))
        new = ops.maximum(largest, current)
        # Where all are -inf so far there is nothing to scale (and -inf - -inf is NaN).
        finite = ops.where(ops.isinf(new), zeros, new)
        scale = ops.exp(largest - finite)
        mean, squares = _updated(ops.exp(current - finite), n, mean * scale, squares * scale**2)
        log_mean, log_squares = _updated(current, n, log_mean, log_squares)
        return new, mean, squares, log_mean, log_squares

    # (Keras' `scan` would allocate M rows of outputs, though there are none.)
    largest, mean, squares, _, log_squares = ops.fori_loop(1, count, step, start)
    return OrderStatistics(
        largest + ops.log(mean),
        ops.sqrt(squares / (count * (count - 1))) / mean,
        ops.sqrt(log_squares / (count - 1)),
    )


def nll_and_spread(model: Any, inputs: Any, params: Any) -> tuple[Any, Any]:
    """Returns negative log-likelihoods `[N]` and the spread of at least two orders.

    Args:
        model: a `MADE` of several mask sets.
        inputs: rows, or rows and their context.
        params: the conditionals' parameters under the model's own mask, `[N, P]`.
    """
    if model.num_orders > 1:
        statistics = model.checked_order_statistics(inputs)
        return -statistics.log_prob, statistics.spread
    x = model.split(inputs)[0]
    log_prob = model.row_log_prob(x, params)
    second = model.mask_sets.first(2).at(1)
    other = model.row_log_prob(x, model(inputs, training=False, degrees=second))
    return -log_prob, ops.abs(log_prob - other) / math.sqrt(2.0)


def _updated(value, n, mean, squares):
    """Adds value number n to a mean and to the squared differences from it."""
    difference = value - mean
    mean = mean + difference / n
    return mean, squares + difference * (value - mean)
