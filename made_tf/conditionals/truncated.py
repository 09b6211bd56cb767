"""The standard normal and logistic distributions within an interval: how probable, and draws.

Differences of distribution functions cancel: both are 1 far to the right, and nearly equal where
the interval is narrow. Here the mass of an interval comes from the nearer tail, whose log is
computed without the tail itself, and that of a narrow one from the density inside. Both
distributions are symmetric: the lower tail at z is the upper tail at -z.
"""

from __future__ import annotations

import abc
import math

import numpy as np
from keras import ops

from made_tf.conditionals.special_functions import log_of_difference, softplus

__all__ = ["LARGEST", "Standard", "StandardLogistic", "StandardNormal", "draw_between"]

#: The largest standardised end of an interval: squares of what becomes of it stay finite.
LARGEST = 1e15

_NARROW = 0.02  # narrower than this the log of a density is a straight line, up to 1e-4
_SMALLEST = float(np.finfo(np.float32).tiny)
_LOG_SQRT_2_PI = 0.5 * math.log(2 * math.pi)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_NEWTON_STEPS = 6

#: log(M(x) / t) as a polynomial of t = 3 / (3 + x) for x >= 0, M being the upper tail of the
#: normal distribution over its density (Mills' ratio). Fitted at Chebyshev's points; wrong by less
#: than 1e-7.
_LOG_MILLS = (
    -1.09861235,
    1.00001328,
    0.38839523,
    0.11806121,
    -0.10033878,
    0.05590915,
    -0.43913109,
    0.23355531,
    0.32265862,
    -0.35031516,
    0.09559600,
)


class Standard(abc.ABC):
    """A distribution symmetric about 0."""

    @staticmethod
    @abc.abstractmethod
    def log_above(z):
        """Returns log P(Z > z), accurate in both tails."""

    @staticmethod
    @abc.abstractmethod
    def log_between(lower, upper, width):
        """Returns log P(lower < Z < upper) of finite ends; `width` is positive."""

    @staticmethod
    @abc.abstractmethod
    def quantile(log_below, log_above):
        """Returns z, given the logs of P(Z < z) and P(Z > z)."""

    @staticmethod
    @abc.abstractmethod
    def fall(z):
        """Returns how fast the log density falls: minus its derivative."""


class StandardLogistic(Standard):
    """The logistic distribution, all of it in closed form."""

    @staticmethod
    def log_above(z):
        return -softplus(z)

    @staticmethod
    def log_between(lower, upper, width):
        return -softplus(-upper) - softplus(lower) + log_of_difference(width)

    @staticmethod
    def quantile(log_below, log_above):
        return log_below - log_above

    @staticmethod
    def fall(z):
        return ops.tanh(0.5 * z)


class StandardNormal(Standard):
    """The normal distribution."""

    @staticmethod
    def log_above(z):
        tail = _log_tail(ops.abs(z))
        return ops.where(z >= 0, tail, _log_of_rest(tail))

    @staticmethod
    def log_between(lower, upper, width):
        # The mirror image has the same mass: the middle of the interval is at or above 0.
        is_below = lower + upper < 0
        a = ops.where(is_below, -upper, lower)
        b = ops.where(is_below, -lower, upper)
        half = 0.5 * width
        middle = ops.maximum(a + half, 0.0)
        is_smooth = ops.logical_and(half <= 1.0, middle * half <= 1.5)
        # Elsewhere the tail beyond the interval is at most e^-2 of the one that it begins, or the
        # interval has 0 inside and both tails are small.
        a_tail, b_tail = _log_tail(ops.abs(a)), _log_tail(ops.maximum(b, 0.0))
        begun = ops.maximum(a, 0.0)
        ratio = _log_mills(ops.maximum(b, 0.0)) - _log_mills(begun) - width * middle
        right = a_tail + _log_of_rest(ops.minimum(ratio, -0.5))
        across = ops.log1p(-ops.minimum(ops.exp(a_tail) + ops.exp(b_tail), 0.75))
        wide = ops.where(a >= 0, right, across)
        return ops.where(is_smooth, _log_integral(middle, half), wide)

    @staticmethod
    def quantile(log_below, log_above):
        # Newton's method for the log of the smaller tail, which is concave: from the right, where
        # this bound on the tail puts it, it comes down to the root.
        target = ops.minimum(log_below, log_above)
        z = ops.sqrt(ops.maximum(-2.0 * (target + math.log(2)), 0.0))
        for _ in range(_NEWTON_STEPS):
            step = (_log_tail(z) - target) * ops.exp(_log_mills(z))
            z = ops.maximum(z + step, 0.0)
        return ops.where(log_above < log_below, z, -z)

    @staticmethod
    def fall(z):
        return z


def draw_between(standard: type[Standard], noise, lower, upper, width):
    """Returns draws from a distribution within intervals.

    Args:
        standard: the distribution.
        noise: what a draw from all of it would be.
        lower: where the intervals begin, finite.
        upper: where they end.
        width: upper - lower, computed without cancellation.
    """
    log_u, log_rest = standard.log_above(-noise), standard.log_above(noise)  # of the uniform
    # Sums of tails, so that nothing cancels.
    log_below, log_above = (
        ops.logaddexp(
            log_rest + standard.log_above(sign * lower), log_u + standard.log_above(sign * upper)
        )
        for sign in (-1.0, 1.0)
    )
    z = standard.quantile(log_below, log_above)
    # In a narrow interval float32 tells no two tails apart; but there the density is exponential.
    fall = standard.fall(lower + 0.5 * width) * width
    u, rest = ops.exp(log_u), ops.exp(log_rest)
    steep = ops.clip(ops.abs(fall), 1e-20, 1e30)
    share = -ops.log1p(ops.where(fall < 0, rest, u) * ops.expm1(-steep)) / steep
    share = ops.where(fall < 0, 1.0 - share, share)
    z = ops.where(width < _NARROW, lower + width * share, z)
    return ops.maximum(ops.minimum(z, upper), lower)


def _log_mills(x):
    """Returns the log of Mills' ratio for x >= 0."""
    t = 3.0 / (3.0 + x)
    total = _LOG_MILLS[-1]
    for coefficient in reversed(_LOG_MILLS[:-1]):
        total = total * t + coefficient
    return ops.log(t) + total


def _log_tail(x):
    """Returns log P(Z > x) of the normal distribution for x >= 0."""
    return _log_mills(x) - 0.5 * x * x - _LOG_SQRT_2_PI


def _log_of_rest(log_part):
    """Returns log(1 - exp(log_part))."""
    return ops.log1p(-ops.exp(log_part))


def _log_integral(middle, half):
    """Returns the log mass from middle - half to middle + half, where the density is smooth."""
    half = ops.clip(half, _SMALLEST, 1.0)
    slope = ops.minimum(middle * half, 1.5)
    total = 0.0
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        total = total + float(weight) * ops.exp(
            -float(node) * slope - 0.5 * float(node) ** 2 * half * half
        )
    return ops.log(total) + ops.log(half) - 0.5 * middle * middle - _LOG_SQRT_2_PI
