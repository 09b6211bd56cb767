"""Families of numbers that are too many to list: they are restricted to intervals, not to sets."""

from __future__ import annotations

import abc

import numpy as np
from keras import ops

from made_tf.conditionals.base import Conditionals

__all__ = ["IMPROBABLE", "Lines", "log_of_share"]

#: The log of what stands for a probability of 0 until all parts are added up: finite, since
#: infinities would meet in differences.
IMPROBABLE = -1e38


class Lines(Conditionals):
    """Families whose columns all lie on a line: reals, and integers or grids without an end."""

    @abc.abstractmethod
    def log_prob_between(self, params, low, high):
        """Returns log P(low <= x_k <= high | x_<k) in nats.

        Accurate in both tails; where a probability is too small for float32, its log still is a
        number. It is -infinity where no value lies between the ends.

        Args:
            params: `[N, P]`.
            low: `[N or 1, D]`, which may be -infinity.
            high: `[N or 1, D]`, which may be infinity.

        Returns:
            `[N, D]`.
        """

    @abc.abstractmethod
    def transform_between(self, params, noise, low, high):
        """Returns `transform` for the conditionals restricted to `low <= x_k <= high`.

        The values lie between the ends, exactly. Where there are none, it is any number.

        Args:
            params: `[N, P]`.
            noise: as from `noise`.
            low: `[N or 1, D]`.
            high: `[N or 1, D]`.

        Returns:
            `[N, D]`.
        """

    def choices(self):
        return [np.zeros(0, np.float32)] * self.event_size

    @property
    def is_line(self):
        return np.ones(self.event_size, bool)

    def on_line(self, x):
        return self.in_support(x)

    def log_prob_in(self, params, region):
        low, high = region.low, region.high
        log_prob = self.log_prob_between(params, low, high)
        return ops.where(_is_everything(low, high), 0.0, log_prob)

    def transform_in(self, params, noise, region):
        low, high = region.low, region.high
        restricted = self.transform_between(params, noise, low, high)
        # What is not restricted, or cannot be, is drawn as ever.
        free = ops.logical_or(_is_everything(low, high), low > high)
        return ops.where(free, self.transform(params, noise), restricted)


def _is_everything(low, high):
    return ops.logical_and(ops.equal(low, -np.inf), ops.equal(high, np.inf))


def log_of_share(share):
    """Returns the log of what is at least 0, `IMPROBABLE` in place of -infinity."""
    smallest = float(np.finfo(np.float32).tiny)
    return ops.where(share > 0, ops.log(ops.maximum(share, smallest)), IMPROBABLE)
