"""Where a plan's units lie in the model: fixed beforehand, or found in the graph from degrees."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from made_tf.conditionals.layout import Layout
from made_tf.sampling.plan import SamplingPlan

__all__ = ["Arrangement", "argsort", "arrange", "arrange_plan", "evidence_first", "float32", "take"]


@dataclasses.dataclass(frozen=True, eq=False)
class Arrangement:
    """One index vector for each level: entry j is the model's unit in place j of the plan.

    They are NumPy arrays where they are known beforehand, and tensors where the
    order is an input of the graph. Where variables have different numbers of
    features, an order that is not known beforehand pads them: the index one past
    the last then stands for a feature or parameter that does not exist.

    Attributes:
        variables: int32 `[D]`, the order of generation.
        places: int32 `[D]`, the inverse permutation.
        levels: features, hidden layers, parameters; int32 `[units]` each.
        degrees: the model's own units' degrees, level by level as `levels`.
        sizes: how many units the model's levels have.
        parameter_places: int32 `[P]`, where the model's own parameters are.
    """

    variables: Any
    places: Any
    levels: tuple
    degrees: tuple
    sizes: tuple[int, ...]
    parameter_places: Any

    def sort(self, values, axis: int = 1):
        """Puts variables `[n, D]` into the order of generation, in float32."""
        return take(values, self.variables, axis)

    def restore(self, values):
        """Puts variables `[n, D]` back into the model's own order."""
        return take(values, self.places, 1)

    def sort_units(self, values, level: int, axis: int, padding: float = 0.0):
        """Puts the units of a level into the plan's order, in float32."""
        units = self.levels[level]
        if units.shape[0] > self.sizes[level]:  # some are padded
            shape = list(values.shape)
            shape[axis] = 1
            values = _concat([float32(values), np.full(shape, padding, np.float32)], axis)
        return take(values, units, axis)

    def restore_parameters(self, values):
        """Puts the last level `[n, P]` back into the model's own order."""
        return take(values, self.parameter_places, 1)


def arrange_plan(plan: SamplingPlan) -> Arrangement:
    """Returns the arrangement of a plan that was made for the model's own degrees."""
    return Arrangement(
        plan.variables.units.astype(np.int32),
        np.argsort(plan.variables.units).astype(np.int32),
        tuple(level.units.astype(np.int32) for level in plan.levels),
        tuple(level.degrees[np.argsort(level.units)].astype(np.int32) for level in plan.levels),
        tuple(len(level.units) for level in plan.levels),
        np.argsort(plan.parameters.units).astype(np.int32),
    )


def arrange(layout: Layout, degrees: list) -> Arrangement:
    """Returns the arrangement of a mask set.

    Args:
        layout: where the features and parameters of the model's variables lie.
        degrees: int32 degrees of the inputs `[D]` and of each hidden layer,
            arrays for hidden layers that are known beforehand.
    """
    inputs, *hidden = degrees
    inputs = tf.convert_to_tensor(inputs)  # families pad what is not known beforehand
    variables = argsort(inputs)
    features, parameters = (
        tf.reshape(tf.gather(side.table, variables), [-1])
        for side in (layout.features, layout.parameters)
    )
    # Every variable has as many places, of which its own parameters are the first.
    each = layout.parameters.largest
    place = tf.reshape((inputs - 1)[:, None] * each + tf.range(each)[None], [-1])
    existing = np.flatnonzero(layout.parameters.exists).astype(np.int32)
    return Arrangement(
        variables,
        inputs - 1,
        (features, *map(argsort, hidden), parameters),
        (layout.features.repeat(inputs), *hidden, layout.parameters.repeat(inputs)),
        (
            layout.features.total,
            *(int(level.shape[0]) for level in hidden),
            layout.parameters.total,
        ),
        tf.gather(place, existing),
    )


def argsort(values):
    """Returns the stable order along the last axis, with an operator that LiteRT has."""
    if isinstance(values, np.ndarray):
        return np.argsort(values, axis=-1, kind="stable").astype(np.int32)
    # Of equal ones the first comes first.
    return tf.math.top_k(-values, k=values.shape[-1]).indices


def evidence_first(order, rank):
    """Moves variables of a high rank to the front of an order, which otherwise stays as it is.

    On tensors what `made_tf.masks.evidence_first` is in NumPy.

    Args:
        order: degrees of the inputs, int32 `[D]`.
        rank: `[..., D]`: 1 for what is known and 0 for the rest, or 2, 1, 0, ...

    Returns:
        The new degrees of the inputs, int32 `[..., D]`.
    """
    generation = argsort(order - order.shape[-1] * tf.cast(rank, tf.int32))
    return argsort(generation) + 1


def take(values, units, axis: int):
    """Gathers along an axis, in float32; of arrays and known units an array."""
    known = isinstance(units, np.ndarray)
    if known and np.array_equal(units, np.arange(values.shape[axis])):
        return float32(values)
    if known and isinstance(values, np.ndarray):
        return np.take(values, units, axis).astype(np.float32)
    return tf.gather(float32(values), units, axis=axis)


def float32(values):
    """Returns an array or a tensor in float32."""
    if isinstance(values, np.ndarray):
        return values.astype(np.float32, copy=False)
    return tf.cast(tf.convert_to_tensor(values), tf.float32)


def _concat(parts, axis):
    concat = np.concatenate if all(isinstance(p, np.ndarray) for p in parts) else tf.concat
    return concat(parts, axis=axis)
