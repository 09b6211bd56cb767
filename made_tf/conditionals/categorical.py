"""Variables with a finite number of classes."""

from __future__ import annotations

import numpy as np
from keras import ops

from made_tf.conditionals.base import Conditionals, as_float32, register
from made_tf.conditionals.layout import Layout
from made_tf.conditionals.special_functions import log_sum_exp
from made_tf.portable.arguments import integer

__all__ = ["Categorical"]

_MANY_CLASSES, _SPARSE = 4096, 4  # numbers as large as these beside the classes that occur
_MINUS_INFINITY = -1e9  # of a logit that pads a shorter variable: exp gives exactly 0


@register
class Categorical(Conditionals):
    """Variables with classes 0..K-1, each variable with its own K; K logits each.

    The network's inputs are the one-hot codes of the classes.

    Args:
        num_classes: K for all variables, or a sequence with the K of each; at
            least 2.

    Raises:
        ValueError: if a number of classes is not an integer of at least 2.
    """

    name = "categorical"
    support = "an integer from 0 to num_classes - 1 of its variable"

    def __init__(self, num_classes):
        several = isinstance(num_classes, list | tuple | np.ndarray)
        sizes = [
            integer("num_classes", size, low=2)
            for size in (num_classes if several else [num_classes])
        ]
        self.num_classes = sizes if several else sizes[0]

    def make_layout(self, event_size):
        if isinstance(self.num_classes, list) and len(self.num_classes) != event_size:
            raise ValueError(
                f"`num_classes` must have one entry for each of {event_size} variables. "
                f"Received: num_classes={self.num_classes}"
            )
        sizes = np.broadcast_to(np.asarray(self.num_classes), (event_size,))
        return Layout.of_sizes(sizes, sizes)

    @property
    def is_discrete(self):
        return np.ones(self.event_size, bool)

    def states(self):
        return [np.arange(size, dtype=np.float32) for size in self.layout.parameters.sizes]

    def encode(self, x):
        # [N, D] -> [N, F]: feature f is 1 where its variable has its class.
        features = self.layout.features
        classes = features.ranks.astype(np.float32)
        return ops.cast(ops.equal(ops.take(x, features.owners, axis=-1), classes), "float32")

    def unpack(self, params):
        return {"logits": self._logits(params)}

    def log_prob(self, params, x):
        params, x = as_float32(params, x)
        logits = self._logits(params)  # [N, D, K]
        logits = logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
        classes = np.arange(self.layout.parameters.largest, dtype=np.float32)
        chosen = ops.cast(ops.equal(ops.expand_dims(x, -1), classes), "float32")
        log_total = ops.log(ops.sum(ops.exp(logits), axis=-1))
        # A value that is no class is impossible, not of an average logit.
        impossible = _MINUS_INFINITY * (1.0 - ops.sum(chosen, axis=-1))
        return ops.sum(chosen * logits, axis=-1) - log_total + impossible

    def transform(self, params, noise):
        (params,) = as_float32(params)
        return self._transform(self._logits(params), noise)

    @staticmethod
    def _transform(logits, noise):
        weights = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
        sums = ops.cumsum(weights, axis=-1)  # [N, D, K]
        # The noise is u itself. The class is the number of steps of the CDF below u. Division by
        # the last sum itself ends the CDF at exactly 1 > u with the last class that can occur.
        cdf = sums[..., :-1] / sums[..., -1:]
        return ops.sum(ops.cast(ops.expand_dims(noise, -1) >= cdf, "float32"), axis=-1)

    def transform_within(self, params, noise, allowed):
        return self._transform(self._restricted(params, allowed)[1], noise)

    def log_prob_within(self, params, allowed):
        logits, within = self._restricted(params, allowed)
        log_prob = log_sum_exp(within) - log_sum_exp(logits)
        return ops.where(log_prob > 0.5 * _MINUS_INFINITY, log_prob, -np.inf)

    def in_support(self, x):
        sizes = self.layout.parameters.sizes.astype(np.float32)
        whole = ops.equal(x, ops.floor(x))
        return ops.logical_and(whole, ops.logical_and(x >= 0, x < sizes))

    def distribution(self, params):
        from tensorflow_probability import distributions as tfd

        (params,) = as_float32(params)
        return tfd.Independent(tfd.Categorical(logits=self._logits(params), dtype="float32"), 1)

    @classmethod
    def of_table(cls, x):
        """Takes each variable's number of classes from its largest value."""
        for column, values in enumerate(x.T):
            distinct = len(np.unique(values))
            if values.max() >= max(_MANY_CLASSES, _SPARSE * distinct):
                raise ValueError(
                    "`x` must have classes numbered from 0 without large gaps. Received: "
                    f"{distinct} different values up to {values.max():.0f} in column {column}. "
                    f"Number them 0 to {distinct - 1}"
                )
        sizes = [max(2, int(largest) + 1) for largest in x.max(axis=0)]
        return cls(sizes).bind(len(sizes))

    def get_config(self):
        return {"num_classes": self.num_classes}

    def _logits(self, params):
        """Flat parameters `[N, P]` -> `[N, D, K]`, K the largest number of classes."""
        return self.layout.parameters.pad(params, _MINUS_INFINITY)

    def _restricted(self, params, allowed):
        """Returns the logits `[N, D, K]`, and those of the classes that are allowed."""
        (params,) = as_float32(params)
        logits = self._logits(params)
        # Other columns of the model may have classes that none of these has.
        allowed = allowed[..., : logits.shape[-1]]
        return logits, ops.where(allowed > 0, logits, _MINUS_INFINITY)
