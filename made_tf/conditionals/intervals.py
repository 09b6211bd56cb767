"""Isolated points whose probabilities are those of intervals of a logistic mixture."""

from __future__ import annotations

import abc
from typing import NamedTuple

import numpy as np
from keras import ops

from made_tf.conditionals.base import as_float32
from made_tf.conditionals.lines import Lines
from made_tf.conditionals.mixtures import LogisticMixture
from made_tf.conditionals.special_functions import (
    log_of_difference,
    log_softmax,
    log_sum_exp,
    softplus,
)
from made_tf.conditionals.truncated import LARGEST

__all__ = ["Intervals", "Span"]


class Span(NamedTuple):
    """The intervals of values, on the line of the mixture's standardised values; `[N, D]` each.

    Attributes:
        lower: where they begin; anything finite where they have no end there.
        upper: where they end; likewise.
        width: upper - lower, computed without cancellation.
        is_lowest: whether they have no lower end, and hold all that lies below.
        is_highest: whether they have no upper end.
    """

    lower: object
    upper: object
    width: object
    is_lowest: object
    is_highest: object


class Intervals(Lines):
    """Values that stand for intervals of a hidden real variable with a logistic mixture.

    What is drawn is drawn from the mixture and put into its interval, so that the law of the draws
    is that of the probabilities, exactly.

    Args:
        mixture: the mixture, for the hidden variable.
    """

    parts = ("mixture",)
    has_temperature = False

    def __init__(self, mixture: LogisticMixture):
        if not isinstance(mixture, LogisticMixture):
            raise ValueError(
                "`mixture` must be a LogisticMixture: the probability of an interval under a "
                "normal distribution has no closed form that devices compute. "
                f"Received: mixture={mixture!r}"
            )
        self.mixture = mixture

    @abc.abstractmethod
    def interval(self, x) -> Span:
        """Returns the intervals of values `[N, D]`."""

    @abc.abstractmethod
    def value(self, hidden):
        """Returns the values whose intervals hold these numbers, `[N, D]`."""

    @abc.abstractmethod
    def hidden(self, x):
        """Returns a number inside each value's interval, `[N, D]`."""

    @abc.abstractmethod
    def ends(self, low, high):
        """Returns the first and the last value from `low` to `high`, `[N or 1, D]` each.

        The last one is less than the first where there is no value.
        """

    @abc.abstractmethod
    def width(self, first, last):
        """Returns how long the intervals of all values from one to another are together, `[N, D]`.

        On the line of the standardised values, computed without cancellation.
        """

    def together_with(self):
        return f"{type(self).__name__} {self.mixture.together_with()}"

    def make_layout(self, event_size):
        del event_size
        return self.mixture.layout

    @property
    def is_discrete(self):
        return np.ones(self.event_size, bool)

    @property
    def settles_late(self):
        return np.ones(self.event_size, bool)

    @property
    def channels(self):
        return self.mixture.channels

    def encode(self, x):
        return self.mixture.encode(self.hidden(x))

    def unpack(self, params):
        return self.mixture.unpack(params)

    def log_prob(self, params, x):
        (x,) = as_float32(x)
        logits, loc, log_scale = self.mixture.components(params)
        lower, upper, width, is_lowest, is_highest = (
            ops.expand_dims(part, -1) for part in self.interval(x)
        )
        narrow = ops.exp(-log_scale)
        above = ops.where(is_lowest, 0.0, -softplus((lower - loc) * narrow))
        below = ops.where(is_highest, 0.0, -softplus((loc - upper) * narrow))
        closed = ops.where(
            ops.logical_or(is_lowest, is_highest), 0.0, log_of_difference(width * narrow)
        )
        return log_sum_exp(log_softmax(logits) + (above + below + closed))

    def noise(self, uniforms):
        return self.mixture.noise(uniforms)

    def transform(self, params, noise):
        return self.value(self.mixture.transform(params, noise))

    def transform_nearby(self, params, noise, slack):
        hidden = self.mixture.transform(params, noise)
        loc, scale = (self.mixture.constant(name) for name in ("data_loc", "data_scale"))
        moved = slack * (ops.abs(hidden) + ops.abs(loc) + scale)
        return self.value(hidden - moved), self.value(hidden + moved)

    def log_prob_between(self, params, low, high):
        first, last = self.ends(low, high)
        log_mass = self.mixture.log_mass(params, *self._hidden_ends(first, last))
        return ops.where(first <= last, log_mass, -np.inf)

    def transform_between(self, params, noise, low, high):
        first, last = self.ends(low, high)
        z = self.mixture.place_between(params, noise, *self._hidden_ends(first, last))
        loc, scale = (self.mixture.constant(name) for name in ("data_loc", "data_scale"))
        return ops.maximum(ops.minimum(self.value(loc + scale * z), last), first)

    def _hidden_ends(self, first, last):
        """Returns where the intervals of values from `first` to `last` begin, end; how wide."""
        begin, end = self.interval(first), self.interval(last)
        lower = ops.where(begin.is_lowest, -LARGEST, begin.lower)
        upper = ops.where(end.is_highest, LARGEST, end.upper)
        is_open = ops.logical_or(begin.is_lowest, end.is_highest)
        width = ops.where(is_open, 2.0 * LARGEST, self.width(first, last))
        return lower, upper, ops.maximum(width, 0.0)
