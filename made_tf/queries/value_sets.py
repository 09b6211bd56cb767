"""What a query may say: sets of values as arrays of 0 and 1, or as they are written, and ranges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from made_tf.conditionals.regions import Region
from made_tf.models.density_model import DensityModel
from made_tf.portable.arrays import BoolArray, FloatArray
from made_tf.queries.interval import Interval
from made_tf.queries.regions import regions_of_mappings

__all__ = ["Values", "allowed_sets", "written_down"]

#: For each query: variable (from 0) -> the values that it may have.
Values = Sequence[Mapping[int, Interval | Iterable[float | Interval]]]


def allowed_sets(model: DensityModel, queries: Values) -> FloatArray:
    """Writes down sets of values for `log_prob_in`.

    Args:
        model: a model whose variables all have classes.
        queries: for each query, variable (from 0) -> the values it may have;
            variables that are not named may have any.

    Returns:
        float32 `[queries, D, K]`.

    Raises:
        ValueError: if there is no such variable or value, or the model has other variables.

    Example:
        >>> from made_tf import MADE
        >>> model = MADE(3, conditionals="bernoulli")
        >>> allowed_sets(model, [{0: [1], 2: [0, 1]}])[0, :, 1]
        array([1., 1., 1.], dtype=float32)
    """
    _existing(model)
    return regions_of_mappings("queries", model, queries).allowed


def written_down(model: DensityModel, allowed: npt.ArrayLike | Values) -> Region:
    """Returns the argument `allowed` of `log_prob_in` as arrays.

    Args:
        model: the model.
        allowed: a list of mappings; or `[queries, D, K]`, if its variables all have classes.

    Returns:
        float32 `[queries, D, K]`, and `[queries, D]` twice.

    Raises:
        ValueError: if the model has no classes, the shape is another or an
            entry is wrong.
    """
    if isinstance(allowed, Mapping):
        raise ValueError(
            "`allowed` must be a list of mappings or an array. Received: one mapping; write [{...}]"
        )
    if isinstance(allowed, list | tuple) and any(isinstance(one, Mapping) for one in allowed):
        return regions_of_mappings("allowed", model, allowed)
    exists = _existing(model)
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
    ends = np.full(array.shape[:2], np.inf, np.float32)
    return Region(array, -ends, ends)


def _existing(model: DensityModel) -> BoolArray:
    """Returns which of the values 0 to K - 1 each variable can have, `[D, K]`.

    Raises:
        ValueError: if a variable has other values.
    """
    family = model.conditionals
    states = family.finite_states()
    for variable, values in enumerate(states):
        if family.is_line[variable] or not np.array_equal(values, np.arange(len(values))):
            raise ValueError(
                "Sets of values are arrays of 0 and 1 only where all variables have classes "
                f"0 to K - 1: write mappings. Received: variable {variable} of {family.name} "
                "conditionals"
            )
    sizes = np.array([len(values) for values in states])
    return np.arange(sizes.max()) < sizes[:, None]
