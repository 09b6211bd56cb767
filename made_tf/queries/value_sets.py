"""Sets of values, written down as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from made_tf.models.made import MADE
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import FloatArray

__all__ = ["Values", "allowed_sets"]


Values = Sequence[Mapping[int, Iterable[int]]]


def allowed_sets(model: MADE, queries: Values) -> FloatArray:
    """Writes down sets of values for `log_prob_in`.

    Args:
        model: a model with discrete conditionals.
        queries: for each query, variable (from 0) -> the values it may have;
            variables that are not named may have any.

    Returns:
        float32 `[queries, D, K]`.

    Raises:
        ValueError: if there is no such variable or value.

    Example:
        >>> model = MADE(3, conditionals="bernoulli")
        >>> allowed_sets(model, [{0: [1], 2: [0, 1]}])[0, :, 1]
        array([1., 1., 1.], dtype=float32)
    """
    states = [len(values) for values in model.conditionals.states(model.event_size)]
    exists = np.arange(max(states)) < np.array(states)[:, None]
    allowed = np.repeat(exists[None].astype(np.float32), len(queries), axis=0)
    for number, query in enumerate(queries):
        for variable, values in query.items():
            variable = integer("queries", variable, 0, model.event_size)
            allowed[number, variable] = 0.0
            for value in values:
                allowed[number, variable, integer("queries", value, 0, states[variable])] = 1.0
    return allowed
