"""Binary variables."""

from __future__ import annotations

import numpy as np
from keras import ops

from made_tf.conditionals.base import Conditionals, as_float32, register
from made_tf.conditionals.layout import Layout
from made_tf.conditionals.special_functions import softplus
from made_tf.conditionals.starts import Start, log_frequencies
from made_tf.portable.arguments import boolean

__all__ = ["Bernoulli"]


@register
class Bernoulli(Conditionals):
    """Variables that are 0 or 1; one logit each.

    The negative log-likelihood is the cross entropy of Germain et al. 2015,
    equation 2.

    Args:
        tells_unknown: whether the network sees x and 1 - x. Where it sees x alone, a
            variable that a mask or `input_dropout` hides looks as if it were 0: of no
            matter under one order, but of much in a model of all orders.
    """

    name = "bernoulli"
    support = "0 or 1"

    def __init__(self, tells_unknown=False):
        self.tells_unknown = boolean("tells_unknown", tells_unknown)

    def make_layout(self, event_size):
        return Layout.of_sizes(np.full(event_size, 1 + self.tells_unknown), np.ones(event_size))

    @property
    def is_discrete(self):
        return np.ones(self.event_size, bool)

    def states(self):
        return [np.array([0.0, 1.0], np.float32)] * self.event_size

    def encode(self, x):
        if not self.tells_unknown:
            return x
        return ops.reshape(ops.stack([x, 1.0 - x], axis=-1), (-1, 2 * x.shape[-1]))

    def unpack(self, params):
        return {"logits": params}

    def log_prob(self, params, x):
        logits, x = as_float32(params, x)
        return -softplus((1.0 - 2.0 * x) * logits)  # of the logit of the other value

    def noise(self, uniforms):
        # u < sigmoid(l) is logit(u) < l, without the sigmoid's saturation.
        return ops.log(uniforms) - ops.log(1.0 - uniforms)

    def transform(self, params, noise):
        (logits,) = as_float32(params)
        return ops.cast(logits > noise, "float32")

    def transform_within(self, params, noise, allowed):
        # 1 if it is the only value allowed, 0 if the other is, else what is drawn.
        zero, one = allowed[..., 0], allowed[..., 1]
        return one * ops.maximum(self.transform(params, noise), 1.0 - zero)

    def log_prob_within(self, params, allowed):
        zero, one = allowed[..., 0], allowed[..., 1]
        single = self.log_prob(params, one * ops.ones_like(params))
        log_prob = ops.where(zero * one > 0, 0.0, single)
        return ops.where(zero + one > 0, log_prob, -np.inf)

    def start(self, x):
        zero, one = np.stack(log_frequencies(x, [2] * self.event_size), axis=1)
        return Start(one - zero, {})

    def in_support(self, x):
        return ops.logical_or(ops.equal(x, 0), ops.equal(x, 1))

    def distribution(self, params):
        from tensorflow_probability import distributions as tfd

        (logits,) = as_float32(params)
        return tfd.Independent(tfd.Bernoulli(logits=logits, dtype="float32"), 1)

    def get_config(self):
        return {"tells_unknown": True} if self.tells_unknown else {}  # as in files of before
