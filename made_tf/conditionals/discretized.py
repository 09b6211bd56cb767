"""Numbers that are recorded on a grid: prices in cents, carats in hundredths, grey levels."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from made_tf.conditionals.base import register
from made_tf.conditionals.grids import LARGEST_INDEX, OnGrids, find_step, grid_constants
from made_tf.conditionals.intervals import Intervals, Span
from made_tf.conditionals.mixtures import LogisticMixture
from made_tf.conditionals.numbers_of_columns import check_numbers, check_positive, spread

__all__ = ["Discretized"]


@register
class Discretized(Intervals, OnGrids):
    """Numbers on a grid, each with the probability of the interval that rounds to it.

    A density would reward values that occur often without a bound; a probability cannot exceed 1.
    The points of the grid are `origin`, plus or minus whole steps, from `low` to `high`; the
    outermost points, if there are any, hold all that lies beyond them.

    Args:
        mixture: a `LogisticMixture`, the density that is rounded.
        step: the distance of two points, a positive number or one for each variable.
        low: the smallest value that can occur, a number or one for each variable; `None`, for all
            or for one, for no such value.
        high: the largest value that can occur, likewise.
        origin: one point of the grid, a number or one for each variable.

    Raises:
        ValueError: if an argument is out of range.

    References:
        Salimans, Karpathy, Chen, Kingma 2017, PixelCNN++, arXiv:1701.05517, section 2.1.
    """

    name = "discretized"
    support = "a number on the grid of its variable"
    per_column = ("step", "low", "high", "origin")

    def __init__(self, mixture, step=1.0, low=None, high=None, origin=0.0):
        if isinstance(mixture, dict):
            mixture = keras.saving.deserialize_keras_object(mixture)
        super().__init__(mixture)
        self.step = check_positive("step", step)
        self.low = check_numbers("low", low, optional=True)
        self.high = check_numbers("high", high, optional=True)
        self.origin = check_numbers("origin", origin)

    def make_constants(self, event_size):
        for name in self.per_column:
            spread(name, getattr(self, name), event_size)  # has as many entries as columns
        step, origin, low, high = (
            np.broadcast_to(np.asarray(getattr(self, name), np.float64), (event_size,))
            for name in ("step", "origin", "low", "high")
        )
        scale = spread("data_scale", self.mixture.data_scale, event_size)
        constants = grid_constants(step, origin)
        ends = {"low": (low, -LARGEST_INDEX), "high": (high, LARGEST_INDEX)}
        for name, (end, beyond) in ends.items():
            place = (end - origin) / step
            index = np.where(np.isnan(end), beyond, np.rint(place))
            if np.any(np.abs(place - index) > 1e-2):
                raise ValueError(
                    f"`{name}` must be a point of the grid. Received: {name}="
                    f"{getattr(self, name)}, step={self.step}, origin={self.origin}"
                )
            index = np.clip(index, -LARGEST_INDEX, LARGEST_INDEX)
            constants[f"{name}_index"] = index.astype(np.float32)
        if np.any(constants["low_index"] >= constants["high_index"]):
            raise ValueError(
                "`low` must be smaller than `high` by a step at least. "
                f"Received: low={self.low}, high={self.high}, step={self.step}"
            )
        return {**constants, "width": (step / scale).astype(np.float32)}

    def states(self):
        names = "numerator", "start", "denominator", "low_index", "high_index"
        columns = zip(*(self.constant(name) for name in names), strict=True)
        return [
            None
            if max(-low, high) >= LARGEST_INDEX
            else (np.arange(low, high + 1, dtype=np.float32) * numerator + start) / denominator
            for numerator, start, denominator, low, high in columns
        ]

    def interval(self, x):
        index = self.grid_index(x)
        middle, half = (
            self.mixture.standardise(self.grid_point(index)),
            0.5 * self.constant("width"),
        )
        return Span(
            middle - half,
            middle + half,
            ops.zeros_like(middle) + self.constant("width"),
            index <= self.constant("low_index"),
            index >= self.constant("high_index"),
        )

    def value(self, hidden):
        index = self.grid_index(hidden)
        index = ops.minimum(index, self.constant("high_index"))
        return self.grid_point(ops.maximum(index, self.constant("low_index")))

    def hidden(self, x):
        return x

    def ends(self, low, high):
        first, last = self.indices_between(low, high)
        first = ops.maximum(first, self.constant("low_index"))
        last = ops.minimum(last, self.constant("high_index"))
        return self.grid_point(first), self.grid_point(last)

    def width(self, first, last):
        steps = self.grid_index(last) - self.grid_index(first) + 1.0
        return steps * self.constant("width")

    def in_support(self, x):
        index = self.grid_index(x)
        inside = ops.logical_and(
            index >= self.constant("low_index"), index <= self.constant("high_index")
        )
        return ops.logical_and(self.is_on_grid(x), inside)

    @classmethod
    def merged(cls, families):
        mixture = type(families[0].mixture).merged([family.mixture for family in families])
        config = {
            name: [value for family in families for value in family.listed(name)]
            for name in cls.per_column
        }
        return cls(mixture, **config).bind(mixture.event_size)

    @classmethod
    def of_table(cls, x, num_components=10, **options):
        """Takes each variable's step, and what `LogisticMixture.from_data` takes."""
        x = np.asarray(x, np.float64)
        grids = [find_step(column) for column in x.T]
        # A probability has no peak to keep low: components may be narrower than a step.
        arguments = {**LogisticMixture.arguments_of(x), "min_scale": None}
        mixture = LogisticMixture(num_components, **arguments)
        steps, origins = (list(each) for each in zip(*grids, strict=True))
        return cls(mixture, **{"step": steps, "origin": origins, **options}).bind(x.shape[1])

    def get_config(self):
        return {
            "mixture": keras.saving.serialize_keras_object(self.mixture),
            **{name: getattr(self, name) for name in self.per_column},
        }
