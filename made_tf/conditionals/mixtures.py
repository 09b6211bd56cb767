"""Real variables whose conditionals are mixtures: several peaks, skew, tails."""

from __future__ import annotations

import abc
import math

import numpy as np
from keras import ops

from made_tf.conditionals.base import as_float32, register
from made_tf.conditionals.classes import number_of_steps
from made_tf.conditionals.layout import Layout
from made_tf.conditionals.lines import IMPROBABLE
from made_tf.conditionals.numbers_of_columns import check_positive, spread
from made_tf.conditionals.real_columns import RealColumns
from made_tf.conditionals.special_functions import (
    log_softmax,
    log_sum_exp,
    normal_quantile,
    softplus,
)
from made_tf.conditionals.truncated import (
    Standard,
    StandardLogistic,
    StandardNormal,
    draw_between,
)
from made_tf.portable.arguments import boolean, integer

__all__ = ["LogisticMixture", "Mixture", "NormalMixture"]

_LOG_SCALE_BOUND = 7.0  # components are e^7 times as wide as the data at most
_LARGEST = 1e15  # of standardised values
_START = math.log(0.5)  # how wide the components are at the start, on a log scale
_NARROWEST_START = 2e-3  # of standardised values
_ROWS_OF_LOCAL_STARTS = 2000  # that tell how dense the data are around each component


class Mixture(RealColumns):
    """Mixtures of K components of one shape; K logits, K locations and K log scales each.

    The network sees and predicts standardised values; densities are those of x itself. At the
    start the components lie on quantiles of the data. Their scales are bounded smoothly, by e^7
    times `data_scale` and by `min_scale`.

    A value is made from two uniforms: one chooses the component, one the place in it.

    Args:
        num_components: K.
        data_loc: where the data lie, a number or one for each variable.
        data_scale: how far they spread, a positive number or one for each.
        knots: for each variable increasing numbers where the hat functions peak that the network
            sees beside the standardised value; `None` for none.
        min_scale: the smallest scale of a component, a positive number or one for each variable;
            `None`, for all or for one, for e^-7 times `data_scale`; 0.3 times `data_scale` at
            most. A density may grow as narrow as this around a repeated value: where the data are
            rounded, `from_data` takes half of the smallest difference between two values.
        num_hats: how many of the knots, at even distances from the first to the last, have hat
            functions; `None` for all.
        local_start: whether each component starts as wide as the data around it are sparse, by the
            knots, which finds narrow peaks; else all start at half of `data_scale`.

    Raises:
        ValueError: if a number is out of range, or `local_start` has no `knots` to go by.
    """

    per_column = (*RealColumns.per_column, "min_scale")
    has_temperature = False

    def __init__(
        self,
        num_components=10,
        data_loc=0.0,
        data_scale=1.0,
        knots=None,
        min_scale=None,
        num_hats=None,
        local_start=False,
    ):
        super().__init__(data_loc, data_scale, knots, num_hats)
        if local_start and knots is None:
            raise ValueError(
                "`local_start` must be False where there are no `knots`. Received: "
                f"local_start={local_start!r}"
            )
        self.local_start = boolean("local_start", local_start)
        self.num_components = integer("num_components", num_components)
        self.min_scale = check_positive("min_scale", min_scale, optional=True)

    #: The component, restricted to intervals.
    standard: type[Standard]

    @staticmethod
    @abc.abstractmethod
    def component_log_prob(z):
        """Returns the log density of the standard component."""

    @staticmethod
    @abc.abstractmethod
    def component_quantile(p):
        """Returns the quantile function of the standard component."""

    def make_layout(self, event_size):
        features = np.full(event_size, self.num_features)
        return Layout.of_sizes(features, np.full(event_size, 3 * self.num_components))

    def make_constants(self, event_size):
        constants = super().make_constants(event_size)
        lowest = spread("min_scale", self.min_scale, event_size, 0.0) / constants["data_scale"]
        lowest = np.log(np.clip(lowest, math.exp(-_LOG_SCALE_BOUND), 0.3))
        constants["log_min_scale"] = np.broadcast_to(lowest, (event_size,)).astype(np.float32)
        shares = (np.arange(self.num_components) + 0.5) / self.num_components
        starts = np.broadcast_to(np.log(shares) - np.log1p(-shares), (event_size, len(shares)))
        scales = np.full(starts.shape, _START)
        if self.knots is not None:
            at = np.linspace(0, 1, len(self.knots[0]))
            places = self.knot_places(event_size)
            starts = np.stack([np.interp(shares, at, column) for column in places])
            if self.local_start:
                ends = np.linspace(0, 1, len(shares) + 1)
                widths = np.stack([np.diff(np.interp(ends, at, column)) for column in places])
                scales = np.log(np.clip(0.5 * widths, _NARROWEST_START, math.exp(_START)))
        constants["starts"] = np.stack([starts, scales], axis=1).astype(np.float32)  # [D, 2, K]
        return constants

    def together_with(self):
        return f"{super().together_with()} {self.local_start}"

    @property
    def settles_late(self):
        return np.ones(self.event_size, bool)

    @property
    def channels(self):
        return np.full(self.event_size, 2)

    def components(self, params):
        """Returns logits, locations and log scales of standardised values, `[N, D, K]` each."""
        logits, shapes = self._logits_and_shapes(params)
        below = ops.expand_dims(self.constant("log_min_scale"), -1)
        return logits, shapes[..., 0, :], _bounded(shapes[..., 1, :], below)

    def _logits_and_shapes(self, params):
        """Returns logits `[N, D, K]`, and locations beside unbounded log scales `[N, D, 2, K]`."""
        (params,) = as_float32(params)
        params, k = self.layout.parameters.pad(params), self.num_components  # [N, D, 3 K]
        shapes = ops.reshape(params[..., k:], (-1, self.event_size, 2, k))
        return params[..., :k], self.constant("starts") + shapes

    def unpack(self, params):
        logits, loc, log_scale = self.components(params)
        data_loc, data_scale = self._of_data()
        return {
            "logits": logits,
            "loc": data_loc + data_scale * loc,
            "scale": data_scale * ops.exp(log_scale),
        }

    def log_prob(self, params, x):
        (x,) = as_float32(x)
        logits, loc, log_scale = self.components(params)
        # Bounded, so that the square of the largest numbers stays finite.
        x = ops.clip(self.standardise(x), -_LARGEST, _LARGEST)
        z = (ops.expand_dims(x, -1) - loc) * ops.exp(-log_scale)
        parts = log_softmax(logits) + (self.component_log_prob(z) - log_scale)
        return log_sum_exp(parts) - ops.log(self.constant("data_scale"))

    def noise(self, uniforms):
        size = self.event_size
        place = self.component_quantile(uniforms[:, size:])
        return ops.stack([uniforms[:, :size], place], axis=-1)

    def transform(self, params, noise):
        logits, shapes = self._logits_and_shapes(params)
        component = number_of_steps(logits, noise[..., 0])
        # Bounded after the choice: of one scale in place of K.
        shape = ops.sum(self._one_of(ops.expand_dims(component, -1)) * shapes, axis=-1)
        log_scale = _bounded(shape[..., 1], self.constant("log_min_scale"))
        z = shape[..., 0] + ops.exp(log_scale) * noise[..., 1]
        return self.constant("data_loc") + self.constant("data_scale") * z

    def log_prob_between(self, params, low, high):
        log_mass = self.log_mass(params, *self.standardised_ends(low, high))
        return ops.where(low < high, log_mass, -np.inf)

    def transform_between(self, params, noise, low, high):
        z = self.place_between(params, noise, *self.standardised_ends(low, high))
        x = self.constant("data_loc") + self.constant("data_scale") * z
        return ops.maximum(ops.minimum(x, high), low)

    def log_mass(self, params, lower, upper, width):
        """Returns the log probabilities of intervals of standardised values, `[N, D]`.

        Args:
            params: `[N, P]`.
            lower: where they begin, finite: `[N or 1, D]`.
            upper: where they end, likewise.
            width: upper - lower, computed without cancellation.
        """
        logits, loc, log_scale = self.components(params)
        ends = _within_components(loc, log_scale, lower, upper, width)
        return log_sum_exp(log_softmax(logits) + self._log_masses(*ends))

    def place_between(self, params, noise, lower, upper, width):
        """Returns standardised values drawn within intervals, `[N, D]`; the same arguments."""
        logits, loc, log_scale = self.components(params)
        ends = _within_components(loc, log_scale, lower, upper, width)
        log_weights = log_softmax(logits) + self._log_masses(*ends)
        chosen = self._one_of(number_of_steps(log_weights, noise[..., 0]))
        loc, log_scale, *ends = (
            ops.sum(chosen * part, axis=-1) for part in (loc, log_scale, *ends)
        )
        return loc + ops.exp(log_scale) * draw_between(self.standard, noise[..., 1], *ends)

    def _log_masses(self, lower, upper, width):
        smallest = float(np.finfo(np.float32).tiny)
        log_masses = self.standard.log_between(lower, upper, ops.maximum(width, smallest))
        return ops.where(width > 0, log_masses, IMPROBABLE)

    def _one_of(self, component):
        """Returns 1 for the component of a number and 0 for the others: `[...]` -> `[..., K]`."""
        components = np.arange(self.num_components, dtype=np.float32)
        return ops.cast(ops.equal(ops.expand_dims(component, -1), components), "float32")

    @classmethod
    def arguments_of(cls, x):
        return {
            **super().arguments_of(x),
            "min_scale": [_half_a_step(column) for column in x.T],
            "local_start": len(x) >= _ROWS_OF_LOCAL_STARTS,
        }

    def get_config(self):
        config = {
            "num_components": self.num_components,
            **super().get_config(),
            "min_scale": self.min_scale,
        }
        return {**config, "local_start": True} if self.local_start else config

    def _of_data(self):
        """Returns `data_loc` and `data_scale` beside components, `[D, 1]`."""
        names = "data_loc", "data_scale"
        return tuple(ops.expand_dims(self.constant(name), -1) for name in names)


@register
class NormalMixture(Mixture):
    """Real variables with mixtures of K normal distributions.

    References:
        Bishop 1994, Mixture density networks; Uria, Murray, Larochelle 2013, RNADE,
        arXiv:1306.0186.
    """

    name = "normal_mixture"
    standard = StandardNormal

    @staticmethod
    def component_log_prob(z):
        return -0.5 * z * z - 0.5 * math.log(2 * math.pi)

    @staticmethod
    def component_quantile(p):
        return normal_quantile(p)

    def distribution(self, params):
        from tensorflow_probability import distributions as tfd

        return _mixture(self.unpack(params), tfd.Normal)


@register
class LogisticMixture(Mixture):
    """Real variables with mixtures of K logistic distributions, whose tails are wider.

    References:
        Salimans, Karpathy, Chen, Kingma 2017, PixelCNN++, arXiv:1701.05517.
    """

    name = "logistic_mixture"
    standard = StandardLogistic

    @staticmethod
    def component_log_prob(z):
        return -z - 2.0 * softplus(-z)

    @staticmethod
    def component_quantile(p):
        return ops.log(p) - ops.log(1.0 - p)

    def distribution(self, params):
        from tensorflow_probability import distributions as tfd

        return _mixture(self.unpack(params), tfd.Logistic)


def _bounded(raw, below):
    """Returns log scales within their bounds, of which the lower one is `below`."""
    # Downwards and upwards the bounds differ; both sides start with the slope 1.
    down = below * ops.tanh(ops.minimum(raw, 0.0) / below)
    return down + _LOG_SCALE_BOUND * ops.tanh(ops.maximum(raw, 0.0) / _LOG_SCALE_BOUND)


def _within_components(loc, log_scale, lower, upper, width):
    """Returns ends and widths of intervals in the units of each component, `[N, D, K]` each."""
    narrow = ops.exp(-log_scale)
    lower, upper, width = (ops.expand_dims(each, -1) for each in (lower, upper, width))
    return (lower - loc) * narrow, (upper - loc) * narrow, width * narrow


def _mixture(parameters, component):
    from tensorflow_probability import distributions as tfd

    mixture = tfd.MixtureSameFamily(
        tfd.Categorical(logits=parameters["logits"]),
        component(parameters["loc"], parameters["scale"]),
    )
    return tfd.Independent(mixture, 1)


def _half_a_step(values) -> float | None:
    """Half of the smallest difference between two values; `None` if there is none."""
    steps = np.diff(np.unique(values))
    # What float32 cannot tell from rounding is no step.
    steps = steps[steps > 1e-6 * np.abs(values).max()] if len(steps) else steps
    return float(steps.min()) / 2 if len(steps) else None
