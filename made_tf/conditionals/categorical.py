"""Variables with a finite number of classes."""

from __future__ import annotations

import numpy as np
from keras import ops

from made_tf.conditionals.base import Conditionals, as_float32, register
from made_tf.portable.arguments import integer

__all__ = ["Categorical"]

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
    is_discrete = True

    def __init__(self, num_classes):
        several = isinstance(num_classes, list | tuple | np.ndarray)
        sizes = [
            integer("num_classes", size, low=2)
            for size in (num_classes if several else [num_classes])
        ]
        self.num_classes = sizes if several else sizes[0]

    def input_sizes(self, event_size):
        return self._classes(event_size)

    def parameter_sizes(self, event_size):
        return self._classes(event_size)

    def encode(self, x):
        # [N, D] -> [N, F]: feature f is 1 where its variable has its class.
        sizes = self._classes(x.shape[-1])
        variable = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
        klass = np.concatenate([np.arange(size) for size in sizes]).astype(np.float32)
        return ops.cast(ops.equal(ops.take(x, variable, axis=-1), klass), "float32")

    def unpack(self, params):
        sizes = self._classes_of_parameters(params.shape[-1])
        return {"logits": self._padded(params, sizes)}

    def log_prob(self, params, x):
        params, x = as_float32(params, x)
        sizes = self._classes(x.shape[-1])
        logits = self._padded(params, sizes)  # [N, D, K]
        logits = logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
        classes = np.arange(sizes.max(), dtype=np.float32)
        chosen = ops.cast(ops.equal(ops.expand_dims(x, -1), classes), "float32")
        log_total = ops.log(ops.sum(ops.exp(logits), axis=-1))
        # A value that is no class is impossible, not of an average logit.
        impossible = _MINUS_INFINITY * (1.0 - ops.sum(chosen, axis=-1))
        return ops.sum(chosen * logits, axis=-1) - log_total + impossible

    def transform(self, params, noise):
        (params,) = as_float32(params)
        return self._transform(self._padded(params, self._classes(noise.shape[-1])), noise)

    @staticmethod
    def _transform(logits, noise):
        weights = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
        sums = ops.cumsum(weights, axis=-1)  # [N, D, K]
        # The noise is u itself. The class is the number of steps of the CDF below u. Division by
        # the last sum itself ends the CDF at exactly 1 > u with the last class that can occur.
        cdf = sums[..., :-1] / sums[..., -1:]
        return ops.sum(ops.cast(ops.expand_dims(noise, -1) >= cdf, "float32"), axis=-1)

    def transform_within(self, params, noise, allowed):
        (params,) = as_float32(params)
        logits = self._padded(params, self._classes(noise.shape[-1]))
        allowed = _first_classes(allowed, logits.shape[-1])
        return self._transform(ops.where(allowed > 0, logits, _MINUS_INFINITY), noise)

    def log_prob_within(self, params, allowed):
        (params,) = as_float32(params)
        logits = self._padded(params, self._classes(allowed.shape[-2]))
        allowed = _first_classes(allowed, logits.shape[-1])
        within = ops.where(allowed > 0, logits, _MINUS_INFINITY)
        log_prob = _log_sum_exp(within) - _log_sum_exp(logits)
        return ops.where(log_prob > 0.5 * _MINUS_INFINITY, log_prob, -np.inf)

    def in_support(self, x):
        sizes = self._classes(x.shape[-1]).astype(np.float32)
        whole = ops.equal(x, ops.floor(x))
        return ops.logical_and(whole, ops.logical_and(x >= 0, x < sizes))

    def distribution(self, params):
        from tensorflow_probability import distributions as tfd

        (params,) = as_float32(params)
        logits = self._padded(params, self._classes_of_parameters(params.shape[-1]))
        return tfd.Independent(tfd.Categorical(logits=logits, dtype="float32"), 1)

    def states(self, event_size):
        return [np.arange(size, dtype=np.float32) for size in self._classes(event_size)]

    def select(self, variables):
        if isinstance(self.num_classes, int):
            return self
        if not isinstance(variables, np.ndarray):  # not known beforehand: all padded alike
            return Categorical(max(self.num_classes))
        return Categorical([self.num_classes[variable] for variable in variables])

    @classmethod
    def from_data(cls, x):
        """Takes each variable's number of classes from its largest value."""
        return cls([max(2, int(largest) + 1) for largest in np.max(np.asarray(x), axis=0)])

    def get_config(self):
        return {"num_classes": self.num_classes}

    def _classes(self, event_size):
        if isinstance(self.num_classes, list) and len(self.num_classes) != event_size:
            raise ValueError(
                f"`num_classes` must have one entry for each of {event_size} variables. "
                f"Received: num_classes={self.num_classes}"
            )
        return np.broadcast_to(np.asarray(self.num_classes, np.int64), (event_size,))

    def _classes_of_parameters(self, num_parameters):
        if isinstance(self.num_classes, int):
            return self._classes(num_parameters // self.num_classes)
        return self._classes(len(self.num_classes))

    def _padded(self, params, sizes):
        """Flat parameters `[N, P]` -> `[N, D, K]`, K the largest number of classes."""
        largest = int(sizes.max())
        if not np.all(sizes == largest):
            exists = np.arange(largest)[None, :] < sizes[:, None]  # [D, K]
            first = np.cumsum(sizes) - sizes
            index = np.where(exists, first[:, None] + np.arange(largest), 0)
            params = ops.take(params, index.reshape(-1).astype(np.int32), axis=-1)
            padding = np.where(exists, 0.0, _MINUS_INFINITY).reshape(-1).astype(np.float32)
            keep = exists.reshape(-1).astype(np.float32)
            params = params * keep + padding
        return ops.reshape(params, (-1, len(sizes), largest))


def _log_sum_exp(logits):
    largest = ops.max(logits, axis=-1, keepdims=True)
    return ops.log(ops.sum(ops.exp(logits - largest), axis=-1)) + largest[..., 0]


def _first_classes(allowed, count: int):
    """Leaves out the classes that none of the variables has, which others of the model may have."""
    return allowed if allowed.shape[-1] == count else allowed[..., :count]
