"""Functions that LiteRT has no builtin operator for, from arithmetic, log and sqrt."""

from __future__ import annotations

import numpy as np
from keras import ops

__all__ = [
    "bounded",
    "largest",
    "log_of_difference",
    "log_softmax",
    "log_sum_exp",
    "normal_quantile",
    "softplus",
]


def normal_quantile(p):
    """The standard normal quantile function, from arithmetic, log and sqrt alone.

    LiteRT has no builtin for it. Relative accuracy about 1e-7 in exact
    arithmetic.

    Args:
        p: float32 tensor, between 2^-25 and 1 - 2^-25.

    References:
        Wichura 1988, Algorithm AS 241, PPND7 (Applied Statistics 37, 477-484).
    """
    q = p - 0.5
    tail = ops.sqrt(-ops.log(ops.minimum(p, 1.0 - p)))
    r = 0.180625 - q * q
    centre = q * _ratio(
        r,
        (3.3871327179, 50.434271938, 159.29113202, 59.109374720),
        (1.0, 17.895169469, 78.757757664, 67.187563600),
    )
    outside = _ratio(
        tail - 1.6,
        (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103),
        (1.0, 0.73700164250, 0.12021132975),
    )
    return ops.where(ops.abs(q) <= 0.425, centre, ops.where(q < 0, -outside, outside))


def _ratio(x, numerator, denominator):
    return _polynomial(x, numerator) / _polynomial(x, denominator)


def _polynomial(x, coefficients):
    total = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def bounded(x, bound):
    """Returns about x where it is small, and never more than the bound on either side."""
    return bound * ops.tanh(x / bound)


def largest(x):
    """Returns the largest over the last axis, `[..., K]` -> `[..., 1]`; of no rows, too."""
    # Keras refuses a tensor of no elements unless it is told where to begin.
    return ops.max(x, axis=-1, keepdims=True, initial=-np.inf if 0 in x.shape else None)


def log_sum_exp(logits):
    """Returns log sum exp over the last axis: `[..., K]` -> `[...]`."""
    highest = largest(logits)
    return ops.log(ops.sum(ops.exp(logits - highest), axis=-1)) + highest[..., 0]


def log_softmax(logits):
    """Returns the logs of probabilities, `[..., K]`: accurate for large logits of any sign, too."""
    # What is common to all logits goes first: in a difference at the end it would round.
    logits = logits - ops.stop_gradient(largest(logits))
    return logits - ops.log(ops.sum(ops.exp(logits), axis=-1, keepdims=True))


def softplus(x):
    """Returns log(1 + exp(x)), finite for every x; log sigmoid(x) is -softplus(-x)."""
    # relu(x) + log(1 + exp(-|x|)); -|x| is written as x - 2 relu(x) because its gradient is then
    # right at 0 too.
    positive = ops.relu(x)
    return positive + ops.log(1.0 + ops.exp(x - 2.0 * positive))


def log_of_difference(width):
    """Returns log(1 - exp(-width)), accurate for small widths, too; of positive ones.

    With it the probability of an interval of the logistic distribution is a product:
    sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)).
    """
    # 1 - exp(-w) = tanh(w / 2) (1 + exp(-w)): LiteRT has no builtin expm1.
    return ops.log(ops.tanh(0.5 * width)) + ops.log(1.0 + ops.exp(-width))
