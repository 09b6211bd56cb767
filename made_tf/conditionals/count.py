"""Counts: 0, 1, 2, ... without an end."""

from __future__ import annotations

import numpy as np
from keras import ops

from made_tf.conditionals.base import register
from made_tf.conditionals.intervals import Intervals, Span
from made_tf.conditionals.mixtures import LogisticMixture

__all__ = ["Count"]

_LARGEST = 2.0**24 - 1  # the last count of which float32 knows all that are smaller


@register
class Count(Intervals):
    """Counts 0, 1, 2, ... of any size, with mixtures of K discrete log-logistic distributions.

    P(x <= n) = F(log(n + 1)) under a logistic mixture F: counts of a few and of many thousands
    alike have components as wide as suits them, and the tail falls as a power. The distribution
    function and its inverse have a closed form, unlike those of Poisson and negative binomial
    distributions, so that nothing is cut off and a draw takes one step. The largest count,
    2^24 - 1, stands for all that are larger.

    Args:
        num_components: K.
        data_loc: where log(x + 1) lies, a number or one for each variable.
        data_scale: how far it spreads, a positive number or one for each.
        knots: as in `LogisticMixture`, of log(x + 1).
        min_scale: as in `LogisticMixture`, of log(x + 1).
        num_hats: as in `LogisticMixture`.
        local_start: likewise.

    Raises:
        ValueError: if an argument is out of range.
    """

    name = "count"
    support = "a count: an integer of at least 0"
    per_column = LogisticMixture.per_column

    def __init__(
        self,
        num_components=5,
        data_loc=1.0,
        data_scale=1.0,
        knots=None,
        min_scale=None,
        num_hats=None,
        local_start=False,
    ):
        mixture = num_components, data_loc, data_scale, knots, min_scale, num_hats, local_start
        super().__init__(LogisticMixture(*mixture))

    def interval(self, x):
        log_above = ops.log(x + 1.0)
        # Below the interval of 0 there is nothing: its lower end counts as -infinity.
        log_below = ops.log(ops.maximum(x, 1.0))
        upper = self.mixture.standardise(log_above)
        lower = self.mixture.standardise(log_below)
        # log(1 + 1 / x) from its series where 1 / x is small: log would round.
        t = 1.0 / ops.maximum(x, 1.0)
        series = t * (1.0 - t * (0.5 - t * (1.0 / 3.0 - t * 0.25)))
        width = ops.where(t < 0.01, series, log_above - log_below)
        width = ops.where(x < 0.5, 1.0, width)  # of an interval without a lower end: any
        return Span(
            lower, upper, width / self.mixture.constant("data_scale"), x < 0.5, x >= _LARGEST
        )

    def value(self, hidden):
        bounded = ops.minimum(hidden, 17.0)
        return ops.clip(ops.ceil(ops.exp(bounded)) - 1.0, 0.0, _LARGEST)

    def hidden(self, x):
        return ops.log(ops.maximum(x, 0.0) + 1.0)

    def ends(self, low, high):
        return ops.maximum(ops.ceil(low), 0.0), ops.minimum(ops.floor(high), _LARGEST)

    def width(self, first, last):
        # From the upper end of `last` down to that of the count before `first`.
        below = ops.maximum(first, 1.0)
        wide = ops.log1p(ops.maximum(last + 1.0 - below, 0.0) / below)
        return wide / self.mixture.constant("data_scale")

    def in_support(self, x):
        whole = ops.equal(x, ops.floor(x))
        return ops.logical_and(whole, ops.logical_and(x >= 0, x <= _LARGEST))

    @classmethod
    def of_table(cls, x, **options):
        """Takes what `LogisticMixture.from_data` takes, of log(x + 1)."""
        x = np.log1p(np.maximum(np.asarray(x, np.float64), 0.0))
        # The interval of a large count is narrower than what the data resolve.
        arguments = {**LogisticMixture.arguments_of(x), "min_scale": None}
        return cls(**LogisticMixture.chosen(arguments, options)).bind(x.shape[1])

    def get_config(self):
        return self.mixture.get_config()
