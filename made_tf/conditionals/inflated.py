"""Columns with masses at single points: zeros, caps, missing cells."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from made_tf.conditionals.base import Conditionals, as_float32, register
from made_tf.conditionals.classes import number_of_steps
from made_tf.conditionals.groups import take
from made_tf.conditionals.layout import Layout
from made_tf.conditionals.lines import IMPROBABLE
from made_tf.conditionals.numbers_of_columns import check_numbers
from made_tf.conditionals.special_functions import largest, log_softmax, log_sum_exp
from made_tf.conditionals.starts import Start, log_frequencies

__all__ = ["MISSING", "Inflated"]

#: A number that stands for a missing cell: a point of its own, far from all data.
MISSING = -(2.0**100)


@register
class Inflated(Conditionals):
    """Another family with some of its probability moved to single points.

    For columns that are zero half of the time, that end at a cap, or that have missing cells,
    which the point `made_tf.conditionals.MISSING` stands for. (NaN is no value: it says that
    nothing is known, or nothing asked.) A density is that of the other family, times the
    probability of no point; at a point it is a probability.

    The network sees which point it is, and else the features of the other family.

    Args:
        family: the other family; not bound to columns, or to as many as there are.
        points: the points, the same for all variables, or a list of them for each; as many for all.

    Raises:
        ValueError: if the points are not different finite numbers, or not as many for all.
    """

    name = "inflated"
    parts = ("family",)
    has_temperature = False

    def __init__(self, family, points=(0.0,)):
        if isinstance(family, dict):
            family = keras.saving.deserialize_keras_object(family)
        if not isinstance(family, Conditionals):
            raise ValueError(f"`family` must be a Conditionals. Received: family={family!r}")
        self.family = family
        if not isinstance(points, list | tuple | np.ndarray):
            raise ValueError(f"`points` must be a sequence of numbers. Received: points={points!r}")
        several = len(points) > 0 and all(isinstance(each, list | tuple) for each in points)
        if several:
            self.points = [check_numbers("points", list(each)) for each in points]
        else:
            self.points = check_numbers("points", list(points))
        self.support = f"{family.support}, or one of the points {self.points}"
        lists = self.points if several else [self.points]
        sizes = {len(each) for each in lists}
        distinct = {len(np.unique(np.asarray(each, np.float32))) for each in lists}
        if sizes != distinct or len(sizes) != 1 or 0 in sizes:
            raise ValueError(
                "`points` must be different numbers, one at least and as many for each variable. "
                f"Received: points={points!r}"
            )

    @property
    def num_points(self) -> int:
        """How many points each variable has."""
        first = self.points[0]
        return len(first) if isinstance(first, list) else len(self.points)

    def make_layout(self, event_size):
        inner, more = self.family.layout, self.num_points
        return Layout.of_sizes(inner.features.sizes + more, inner.parameters.sizes + more)

    def make_constants(self, event_size):
        points = np.asarray(self.points, np.float32)
        if points.ndim == 2 and len(points) != event_size:
            raise ValueError(
                f"`points` must have one list for each of {event_size} variables. "
                f"Received: {len(points)} lists"
            )
        points = np.broadcast_to(points, (event_size, self.num_points))
        # Where a discrete family can have a point itself, both add up.
        has = [ops.convert_to_numpy(self.family.in_support(column[None])) for column in points.T]
        shared = np.concatenate(has).T & self.family.is_discrete[:, None]
        return {
            "points": points,
            "shared": shared.astype(np.float32),
            "inside": self.family.typical(),
        }

    @property
    def is_discrete(self):
        return self.family.is_discrete

    @property
    def settles_late(self):
        return self.family.settles_late

    @property
    def channels(self):
        return 1 + self.family.channels

    def states(self):
        return [
            None if values is None else np.union1d(values, points).astype(np.float32)
            for values, points in zip(self.family.states(), self.constant("points"), strict=True)
        ]

    def encode(self, x):
        at, other = self._split(x)
        inner = self.family.encode(other)
        outside = self.family.layout.features.repeat(1.0 - ops.sum(at, axis=-1))
        parts = ops.reshape(at, (-1, self.layout.event_size * self.num_points)), inner * outside
        return take(ops.concatenate(parts, axis=-1), self._order(self.layout.features))

    def unpack(self, params):
        masses, inner = self._parameters(params)
        return {"point_logits": masses, **self.family.unpack(inner)}

    def log_prob(self, params, x):
        params, x = as_float32(params, x)
        masses, inner = self._parameters(params)
        at, other = self._split(x)
        # The logit of no point is 0.
        logits = ops.concatenate([masses, ops.zeros_like(masses[..., :1])], axis=-1)
        log_probs = log_softmax(logits)
        elsewhere = self.family.log_prob(inner, other) + log_probs[..., -1]
        is_point = ops.sum(at, axis=-1)
        mass = ops.sum(at * log_probs[..., :-1], axis=-1)
        # Both in one: log(exp(mass) + exp(elsewhere)), where the other family has the point, too.
        top = ops.maximum(mass, elsewhere)
        both = top + ops.log(ops.exp(mass - top) + ops.exp(elsewhere - top))
        shared = ops.sum(at * self.constant("shared"), axis=-1)
        at_point = ops.where(shared > 0, both, mass)
        return ops.where(is_point > 0, at_point, elsewhere)

    def start(self, x):
        at = x.astype(np.float32)[..., None] == self.constant("points")  # [N, D, J]
        is_point, j = at.any(axis=-1), self.num_points
        kinds = np.where(np.isnan(x), np.nan, np.where(is_point, at.argmax(axis=-1), j))
        shares = np.stack(log_frequencies(kinds, [j + 1] * self.event_size))
        inner = self.family.start(np.where(is_point, np.nan, x))
        parts = (shares[:, :j] - shares[:, j:]).reshape(-1), inner.parameters
        return Start(
            np.concatenate(parts)[self._order(self.layout.parameters)],
            {f"family_{name}": values for name, values in inner.weights.items()},
        )

    def noise(self, uniforms):
        size = self.event_size
        inner = self.family.noise(uniforms[:, size:])
        inner = inner if len(inner.shape) == 3 else ops.expand_dims(inner, -1)
        return ops.concatenate([ops.expand_dims(uniforms[:, :size], -1), inner], axis=-1)

    def transform(self, params, noise):
        masses, inner = self._parameters(params)
        drawn = self.family.transform(inner, _rest_of(noise))
        return self._at_point_or(masses, noise[..., 0], drawn)

    def transform_nearby(self, params, noise, slack):
        masses, inner = self._parameters(params)
        return tuple(
            self._at_point_or(masses, noise[..., 0], drawn)
            for drawn in self.family.transform_nearby(inner, _rest_of(noise), slack)
        )

    def _at_point_or(self, masses, uniforms, drawn):
        """Returns the point that each uniform chooses, or what was drawn where it chooses none."""
        # The points come first, and what is left is the other family's.
        highest = ops.relu(largest(masses))
        weights = ops.exp(masses - highest)
        sums = ops.cumsum(weights, axis=-1)
        total = sums[..., -1:] + ops.exp(-highest)
        passed = ops.cast(ops.expand_dims(uniforms, -1) >= sums / total, "float32")
        return self._chosen_point_or(ops.sum(passed, axis=-1, keepdims=True), drawn)

    def _chosen_point_or(self, index, drawn):
        """Returns the point of each number `[N, D, 1]`, or what was drawn where it is of none."""
        chosen = ops.equal(index, np.arange(self.num_points, dtype=np.float32))
        at = ops.sum(ops.where(chosen, self.constant("points"), 0.0), axis=-1)
        return ops.where(index[..., 0] < self.num_points, at, drawn)

    def in_support(self, x):
        at, other = self._split(x)
        return ops.logical_or(ops.sum(at, axis=-1) > 0, self.family.in_support(other))

    def choices(self):
        points, inner = self.constant("points"), self.family.choices()
        return [np.concatenate([own, each]) for own, each in zip(points, inner, strict=True)]

    @property
    def is_line(self):
        return self.family.is_line

    def on_line(self, x):
        return self.family.on_line(x)

    def log_prob_in(self, params, region):
        return self._restricted(params, region)[0]

    def transform_in(self, params, noise, region):
        log_parts = self._restricted(params, region)[1]
        _, inner = self._parameters(params)
        drawn = self.family.transform_in(inner, _rest_of(noise), self._region_of_other(region))
        index = number_of_steps(log_parts, noise[..., 0])
        return self._chosen_point_or(ops.expand_dims(index, -1), drawn)

    def _restricted(self, params, region):
        """Returns log P(region), `[N, D]`, and its parts: points, other values `[N, D, J + 1]`."""
        masses, inner = self._parameters(params)
        allowed = region.allowed[..., : self.num_points]
        others = self.family.log_prob_in(inner, self._region_of_other(region))
        logits = ops.concatenate([masses, ops.zeros_like(masses[..., :1])], axis=-1)
        log_probs = log_softmax(logits)
        at_points = ops.where(allowed > 0, log_probs[..., :-1], IMPROBABLE)
        elsewhere = ops.expand_dims(ops.maximum(others + log_probs[..., -1], IMPROBABLE), -1)
        parts = ops.concatenate([at_points, elsewhere], axis=-1)
        total = log_sum_exp(parts)
        total = ops.where(total > 0.5 * IMPROBABLE, total, -np.inf)
        is_all = ops.logical_and(largest(-allowed)[..., 0] < 0, ops.equal(others, 0.0))
        return ops.where(is_all, 0.0, total), parts

    def _region_of_other(self, region):
        return region._replace(allowed=region.allowed[..., self.num_points :])

    def together_with(self):
        return f"{type(self).__name__} {self.num_points} {self.family.together_with()}"

    @classmethod
    def merged(cls, families):
        inner = type(families[0].family).merged([family.family for family in families])
        points = [each.tolist() for family in families for each in family.constant("points")]
        return cls(inner, points).bind(inner.event_size)

    @classmethod
    def of_table(cls, x, **options):
        raise ValueError(
            "`x` does not tell what an inflated family inflates: construct "
            "made_tf.Inflated(family, points)"
        )

    def get_config(self):
        return {
            "family": keras.saving.serialize_keras_object(self.family),
            "points": self.points,
        }

    def _split(self, x):
        """Returns at which point values are, `[N, D, J]`, and values of the other family.

        The latter are the values themselves, but for points that the other family cannot have.
        """
        at = ops.cast(ops.equal(ops.expand_dims(x, -1), self.constant("points")), "float32")
        is_alone = ops.sum(at * (1.0 - self.constant("shared")), axis=-1) > 0
        return at, ops.where(is_alone, self.constant("inside"), x)

    def _parameters(self, params):
        """Returns the points' logits `[N, D, J]` and the other family's parameters `[N, P']`."""
        (params,) = as_float32(params)
        is_own = self.layout.parameters.ranks < self.num_points
        own, inner = np.flatnonzero(is_own), np.flatnonzero(~is_own)
        masses = ops.reshape(take(params, own), (-1, self.event_size, self.num_points))
        return masses, take(params, inner)

    def _order(self, side) -> np.ndarray:
        """Where each entry of a side lies: the points' entries first, then the other family's."""
        is_own = side.ranks < self.num_points
        return np.where(
            is_own, np.cumsum(is_own) - 1, is_own.sum() + np.cumsum(~is_own) - 1
        ).astype(np.int32)


def _rest_of(noise):
    """Returns the noise of the other family."""
    return noise[..., 1] if noise.shape[-1] == 2 else noise[..., 1:]
