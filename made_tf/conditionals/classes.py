"""What families with a finite number of classes share: all but their logits and their encoding."""

from __future__ import annotations

import abc

import numpy as np
from keras import ops

from made_tf.conditionals.base import Conditionals, as_float32
from made_tf.conditionals.special_functions import largest, log_sum_exp
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import IntArray

__all__ = ["IMPOSSIBLE", "Classes", "number_of_steps", "number_of_steps_at"]

_MANY_CLASSES, _SPARSE = 4096, 4  # numbers as large as these beside the classes that occur

#: The logit of a class that does not exist: exp gives exactly 0.
IMPOSSIBLE = -1e9


class Classes(Conditionals):
    """Variables with classes 0..K-1, each variable with its own K.

    Args:
        num_classes: K for all variables, or a sequence with the K of each; at
            least 2.

    Raises:
        ValueError: if a number of classes is not an integer of at least 2.
    """

    support = "an integer from 0 to num_classes - 1 of its variable"
    per_column: tuple[str, ...] = ("num_classes",)

    def __init__(self, num_classes):
        several = isinstance(num_classes, list | tuple | np.ndarray)
        sizes = [
            integer("num_classes", size, low=2)
            for size in (num_classes if several else [num_classes])
        ]
        self.num_classes = sizes if several else sizes[0]

    @abc.abstractmethod
    def class_logits(self, params):
        """Returns the logits of all classes: `[N, P]` -> float32 `[N, D, K]`, K the largest."""

    def check_event_size(self, event_size: int) -> IntArray:
        """Returns the number of classes of each of so many columns, `[D]`.

        Raises:
            ValueError: if there are more or less of them.
        """
        if isinstance(self.num_classes, list) and len(self.num_classes) != event_size:
            raise ValueError(
                f"`num_classes` must have one entry for each of {event_size} variables. "
                f"Received: num_classes={self.num_classes}"
            )
        return np.broadcast_to(np.asarray(self.num_classes), (event_size,))

    def make_constants(self, event_size):
        return {"num_classes": self.check_event_size(event_size).astype(np.float32)}

    def together_with(self):
        # Columns of few classes are not padded to as many as others have.
        return f"{super().together_with()} {int(max(self.listed('num_classes'))).bit_length()}"

    @property
    def is_discrete(self):
        return np.ones(self.event_size, bool)

    def states(self):
        return [np.arange(size, dtype=np.float32) for size in self.constant("num_classes")]

    def unpack(self, params):
        return {"logits": self.class_logits(params)}

    def log_prob(self, params, x):
        (x,) = as_float32(x)
        logits = self.class_logits(params)  # [N, D, K]
        logits = logits - ops.stop_gradient(largest(logits))
        classes = np.arange(logits.shape[-1], dtype=np.float32)
        chosen = ops.cast(ops.equal(ops.expand_dims(x, -1), classes), "float32")
        log_total = ops.log(ops.sum(ops.exp(logits), axis=-1))
        # A value that is no class is impossible, not of an average logit.
        impossible = IMPOSSIBLE * (1.0 - ops.sum(chosen, axis=-1))
        return ops.sum(chosen * logits, axis=-1) - log_total + impossible

    def transform(self, params, noise):
        # The noise is u itself.
        return number_of_steps(self.class_logits(params), noise)

    def transform_within(self, params, noise, allowed):
        return number_of_steps(self._restricted(params, allowed)[1], noise)

    def log_prob_within(self, params, allowed):
        logits, within = self._restricted(params, allowed)
        log_prob = log_sum_exp(within) - log_sum_exp(logits)
        return ops.where(log_prob > 0.5 * IMPOSSIBLE, log_prob, -np.inf)

    def in_support(self, x):
        whole = ops.equal(x, ops.floor(x))
        return ops.logical_and(whole, ops.logical_and(x >= 0, x < self.constant("num_classes")))

    def distribution(self, params):
        from tensorflow_probability import distributions as tfd

        logits = self.class_logits(params)
        return tfd.Independent(tfd.Categorical(logits=logits, dtype="float32"), 1)

    @classmethod
    def of_table(cls, x, num_classes=None, **options):
        """Takes each variable's number of classes from its largest value, if it is not given."""
        if num_classes is not None:
            return cls(num_classes, **options).bind(x.shape[1])
        for column, values in enumerate(x.T):
            distinct = len(np.unique(values))
            if values.max() >= max(_MANY_CLASSES, _SPARSE * distinct):
                raise ValueError(
                    "`x` must have classes numbered from 0 without large gaps. Received: "
                    f"{distinct} different values up to {values.max():.0f} in column {column}. "
                    f"Number them 0 to {distinct - 1}"
                )
        sizes = [max(2, int(largest) + 1) for largest in x.max(axis=0)]
        return cls(sizes, **options).bind(len(sizes))

    def get_config(self):
        return {"num_classes": self.num_classes}

    def _restricted(self, params, allowed):
        """Returns the logits `[N, D, K]`, and those of the classes that are allowed."""
        logits = self.class_logits(params)
        # Other columns of the model may have classes that none of these has.
        allowed = allowed[..., : logits.shape[-1]]
        return logits, ops.where(allowed > 0, logits, IMPOSSIBLE)


def number_of_steps(logits, uniforms):
    """Returns how many steps of the CDF lie at or below each uniform: `[..., K]` -> `[...]`."""
    weights = ops.exp(logits - largest(logits))
    sums = ops.cumsum(weights, axis=-1)
    # Division by the last sum itself ends the CDF at exactly 1 > u with the last class that can
    # occur.
    cdf = sums[..., :-1] / sums[..., -1:]
    return ops.sum(ops.cast(ops.expand_dims(uniforms, -1) >= cdf, "float32"), axis=-1)


def number_of_steps_at(logits, uniforms, temperature):
    """Returns `number_of_steps` of logits over T, `[N, D, K]`, `[N, D]`, `[N, 1]` -> `[N, D]`.

    What is impossible stays so at every temperature.
    """
    scaled = logits / ops.expand_dims(temperature, -1)
    return number_of_steps(ops.where(logits > 0.5 * IMPOSSIBLE, scaled, IMPOSSIBLE), uniforms)
