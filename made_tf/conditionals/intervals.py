"""Isolated points whose probabilities are those of intervals of a logistic mixture."""

from __future__ import annotations

import abc
from typing import NamedTuple

import numpy as np
from keras import ops

from made_tf.conditionals.base import Conditionals, as_float32
from made_tf.conditionals.mixtures import LogisticMixture
from made_tf.conditionals.special_functions import (
    log_of_difference,
    log_softmax,
    log_sum_exp,
    softplus,
)

__all__ = ["Interval", "Intervals"]


class Interval(NamedTuple):
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


class Intervals(Conditionals):
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
    def interval(self, x) -> Interval:
        """Returns the intervals of values `[N, D]`."""

    @abc.abstractmethod
    def value(self, hidden):
        """Returns the values whose intervals hold these numbers, `[N, D]`."""

    @abc.abstractmethod
    def hidden(self, x):
        """Returns a number inside each value's interval, `[N, D]`."""

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
