"""Real variables with normal conditionals."""

from __future__ import annotations

import math

import numpy as np
from keras import ops

from made_tf.conditionals.base import as_float32, register
from made_tf.conditionals.layout import Layout
from made_tf.conditionals.real_columns import RealColumns
from made_tf.conditionals.special_functions import bounded, normal_quantile
from made_tf.conditionals.truncated import StandardNormal, draw_between
from made_tf.portable.arguments import boolean

__all__ = ["Normal"]

_LOG_SCALE_BOUND = 7.0  # scales between e^-7 and e^7 of the data's own scale


@register
class Normal(RealColumns):
    """Real variables; a location and a log scale each.

    The network sees and predicts standardised values, (x - data_loc) /
    data_scale, as inputs bounded to +-1000; densities are those of x itself.
    The log scale is bounded smoothly to [-7, 7], so that no conditional can
    collapse to a point. All of it is float32: from values with a large offset
    and a small spread, such as timestamps, subtract the offset first.

    Args:
        data_loc: where the data lie, a number or one for each variable.
        data_scale: how far they spread, a positive number or one for each.
        tells_unknown: whether the network also sees that a variable is known, as a
            constant 1: without it, one that is hidden looks as if it were `data_loc`.

    Raises:
        ValueError: if a number is not finite, or a scale not positive.
    """

    name = "normal"
    per_column = ("data_loc", "data_scale")

    def __init__(self, data_loc=0.0, data_scale=1.0, tells_unknown=False):
        super().__init__(data_loc, data_scale)
        self.tells_unknown = boolean("tells_unknown", tells_unknown)

    @property
    def num_features(self):
        return 1 + self.tells_unknown

    def make_layout(self, event_size):
        return Layout.of_sizes(np.full(event_size, self.num_features), np.full(event_size, 2))

    def encode(self, x):
        z = super().encode(x)
        if not self.tells_unknown:
            return z
        return ops.reshape(ops.stack([z, ops.ones_like(z)], axis=-1), (-1, 2 * z.shape[-1]))

    def unpack(self, params):
        (params,) = as_float32(params)
        loc, log_scale = self._loc_and_log_scale(params)
        data_loc, data_scale = self.constant("data_loc"), self.constant("data_scale")
        return {"loc": data_loc + data_scale * loc, "scale": data_scale * ops.exp(log_scale)}

    def log_prob(self, params, x):
        params, x = as_float32(params, x)
        loc, log_scale = self._loc_and_log_scale(params)
        data_scale = self.constant("data_scale")
        z = (self.standardise(x) - loc) * ops.exp(-log_scale)
        log = np.log if isinstance(data_scale, np.ndarray) else ops.log
        constant = ops.cast(0.5 * math.log(2 * math.pi) + log(data_scale), "float32")
        return -0.5 * z * z - log_scale - constant

    def noise(self, uniforms):
        return normal_quantile(uniforms)

    def transform(self, params, noise):
        parameters = self.unpack(params)
        return parameters["loc"] + parameters["scale"] * noise

    def log_prob_between(self, params, low, high):
        log_prob = StandardNormal.log_between(*self._ends(params, low, high)[2:])
        return ops.where(low < high, log_prob, -np.inf)

    def transform_between(self, params, noise, low, high):
        loc, scale, *ends = self._ends(params, low, high)
        z = loc + scale * draw_between(StandardNormal, noise, *ends)
        x = self.constant("data_loc") + self.constant("data_scale") * z
        return ops.maximum(ops.minimum(x, high), low)

    def transform_at(self, params, noise, temperature):
        # A normal density to the power 1 / T is that of T times the variance.
        return self.transform(params, noise * ops.sqrt(temperature))

    def distribution(self, params):
        from tensorflow_probability import distributions as tfd

        return tfd.Independent(tfd.Normal(**self.unpack(params)), 1)

    @classmethod
    def arguments_of(cls, x):
        arguments = super().arguments_of(x)
        return {name: arguments[name] for name in cls.per_column}

    def get_config(self):
        config = {"data_loc": self.data_loc, "data_scale": self.data_scale}
        return {**config, "tells_unknown": True} if self.tells_unknown else config

    def _loc_and_log_scale(self, params):
        params = self.layout.parameters.pad(params)  # [N, 2 D] -> [N, D, 2]
        return params[..., 0], bounded(params[..., 1], _LOG_SCALE_BOUND)

    def _ends(self, params, low, high):
        """Returns locations, scales, and the ends and the width of intervals in their units."""
        (params,) = as_float32(params)
        loc, log_scale = self._loc_and_log_scale(params)
        lower, upper, width = self.standardised_ends(low, high)
        narrow = ops.exp(-log_scale)
        ends = (lower - loc) * narrow, (upper - loc) * narrow
        return loc, ops.exp(log_scale), *ends, width * narrow
