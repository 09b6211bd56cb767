"""Sets of values, written down as arrays of 0 and 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from made_tf.models.made import MADE
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import BoolArray, FloatArray

__all__ = ["Values", "allowed_sets", "restricted_variables", "written_down"]

#: For each query: variable (from 0) -> the values that it may have.
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
    return _of_mappings("queries", model, queries)


def written_down(model: MADE, allowed: npt.ArrayLike | Values) -> FloatArray:
    """Returns the argument `allowed` of `log_prob_in` as an array.

    Args:
        model: a model with discrete conditionals.
        allowed: a list of mappings, or `[queries, D, K]`.

    Returns:
        float32 `[queries, D, K]`, K being the largest number of states.

    Raises:
        ValueError: if the model is not discrete, the shape is another or an
            entry is wrong.
    """
    exists = _existing(model)
    if isinstance(allowed, Mapping):
        raise ValueError(
            "`allowed` must be a list of mappings or an array. Received: one mapping; write [{...}]"
        )
    if isinstance(allowed, list | tuple) and any(isinstance(one, Mapping) for one in allowed):
        return _of_mappings("allowed", model, allowed)
    try:
        array = np.asarray(allowed, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`allowed` must be a list of mappings or an array of numbers. Received: {error}"
        ) from error
    if array.ndim != 3 or not len(array) or array.shape[1:] != exists.shape:
        size, largest = exists.shape
        raise ValueError(
            f"`allowed` must have the shape [queries, {size}, {largest}]. "
            f"Received: allowed.shape={array.shape}"
        )
    if not np.isin(array, (0, 1)).all():
        raise ValueError("`allowed` must hold 0 and 1 alone. Received: other values")
    return array


def restricted_variables(model: MADE, allowed: FloatArray) -> BoolArray:
    """Returns which variables may not have all their values: `[N, D, K]` -> `[N, D]`."""
    return (_existing(model) & (allowed == 0)).any(axis=2)


def _existing(model: MADE) -> BoolArray:
    """Returns which of the values 0 to K - 1 each variable can have, `[D, K]`."""
    sizes = np.array([len(values) for values in model.conditionals.finite_states()])
    return np.arange(sizes.max()) < sizes[:, None]


def _of_mappings(name: str, model: MADE, queries: Sequence[Any]) -> FloatArray:
    exists = _existing(model)
    states = exists.sum(axis=1)
    allowed = np.repeat(exists[None].astype(np.float32), len(queries), axis=0)
    for number, query in enumerate(queries):
        if not isinstance(query, Mapping):
            raise ValueError(
                f"`{name}` must be mappings of variables to the values that they may have. "
                f"Received: {query!r} as query {number}"
            )
        for variable, values in query.items():
            hint = f" for a variable (query {number})"
            variable = integer(name, variable, 0, len(states), hint)
            if not isinstance(values, Iterable):
                raise ValueError(
                    f"`{name}` must give each variable a list of values. "
                    f"Received: {variable}: {values!r} in query {number}"
                )
            allowed[number, variable] = 0.0
            hint = f" for a value of variable {variable} (query {number})"
            for value in values:
                allowed[number, variable, integer(name, value, 0, states[variable], hint)] = 1.0
    return allowed
