"""Real variables with normal conditionals."""

from __future__ import annotations

import math
import numbers

import numpy as np
from keras import ops

from made_tf.conditionals.base import Conditionals, as_float32, register
from made_tf.conditionals.layout import Layout
from made_tf.conditionals.special_functions import normal_quantile

__all__ = ["Normal"]

_LOG_SCALE_BOUND = 7.0  # scales between e^-7 and e^7 of the data's own scale
_LARGEST = float(np.finfo(np.float32).max)
_INPUT_BOUND = 1e3  # of the standardised values that the network sees


@register
class Normal(Conditionals):
    """Real variables; a location and a log scale each.

    The network sees and predicts standardised values, (x - data_loc) /
    data_scale, as inputs bounded to +-1000; densities are those of x itself.
    The log scale is bounded smoothly to [-7, 7], so that no conditional can
    collapse to a point. All of it is float32: from values with a large offset
    and a small spread, such as timestamps, subtract the offset first.

    Args:
        data_loc: where the data lie, a number or one for each variable.
        data_scale: how far they spread, a positive number or one for each.

    Raises:
        ValueError: if a number is not finite, or a scale not positive.
    """

    name = "normal"
    support = "a finite number"

    def __init__(self, data_loc=0.0, data_scale=1.0):
        self.data_loc = _numbers("data_loc", data_loc)
        self.data_scale = _numbers("data_scale", data_scale)
        if np.any(np.asarray(self.data_scale, np.float32) < np.finfo(np.float32).tiny):
            raise ValueError(
                "`data_scale` must be positive, and at least 1.2e-38 to be a normal float32. "
                f"Received: data_scale={data_scale!r}"
            )

    def make_layout(self, event_size):
        return Layout.of_sizes(np.ones(event_size), np.full(event_size, 2))

    def make_constants(self, event_size):
        for name, values in self.get_config().items():
            if isinstance(values, list) and len(values) != event_size:
                raise ValueError(
                    f"`{name}` must have one entry for each of {event_size} variables. "
                    f"Received: {name}={values}"
                )
        return {name: np.asarray(values, np.float32) for name, values in self.get_config().items()}

    @property
    def is_discrete(self):
        return np.zeros(self.event_size, bool)

    def encode(self, x):
        # Bounded, so that no product with a masked weight is 0 times infinity: in float16
        # too, which ends at 65504.
        return ops.clip(self._standardise(x), -_INPUT_BOUND, _INPUT_BOUND)

    def unpack(self, params):
        (params,) = as_float32(params)
        loc, log_scale = self._loc_and_log_scale(params)
        data_loc, data_scale = self.constant("data_loc"), self.constant("data_scale")
        return {"loc": data_loc + data_scale * loc, "scale": data_scale * ops.exp(log_scale)}

    def log_prob(self, params, x):
        params, x = as_float32(params, x)
        loc, log_scale = self._loc_and_log_scale(params)
        data_scale = self.constant("data_scale")
        z = (self._standardise(x) - loc) * ops.exp(-log_scale)
        log = np.log if isinstance(data_scale, np.ndarray) else ops.log
        constant = ops.cast(0.5 * math.log(2 * math.pi) + log(data_scale), "float32")
        return -0.5 * z * z - log_scale - constant

    def noise(self, uniforms):
        return normal_quantile(uniforms)

    def transform(self, params, noise):
        parameters = self.unpack(params)
        return parameters["loc"] + parameters["scale"] * noise

    def transform_at(self, params, noise, temperature):
        # A normal density to the power 1 / T is that of T times the variance.
        return self.transform(params, noise * ops.sqrt(temperature))

    def in_support(self, x):
        return ops.isfinite(x)

    def distribution(self, params):
        from tensorflow_probability import distributions as tfd

        return tfd.Independent(tfd.Normal(**self.unpack(params)), 1)

    @classmethod
    def of_table(cls, x):
        """Takes each variable's mean and standard deviation (1 for a constant)."""
        x = np.asarray(x, np.float64)
        scale = np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 1.0)
        return cls(x.mean(axis=0).tolist(), scale.tolist()).bind(x.shape[1])

    def get_config(self):
        return {"data_loc": self.data_loc, "data_scale": self.data_scale}

    def _standardise(self, x):
        return (x - self.constant("data_loc")) / self.constant("data_scale")

    def _loc_and_log_scale(self, params):
        params = self.layout.parameters.pad(params)  # [N, 2 D] -> [N, D, 2]
        bound = _LOG_SCALE_BOUND
        return params[..., 0], bound * ops.tanh(params[..., 1] / bound)


def _numbers(name, values):
    several = isinstance(values, list | tuple | np.ndarray)
    for value in values if several else [values]:
        if not isinstance(value, numbers.Real) or not abs(float(value)) <= _LARGEST:
            raise ValueError(
                f"`{name}` must be a finite number or a sequence of such. "
                f"Received: {name}={values!r}"
            )
    return [float(value) for value in values] if several else float(values)
