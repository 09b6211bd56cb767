"""Which units become final when: the NumPy half of the sampler.

The D steps of generation are cut into blocks of consecutive degrees, and the
row of blocks into halves, halves of halves, and so on. With the units of every
layer sorted by degree, a kernel is then a staircase: what a left half gives to
the blocks beside it are dense rectangles, a single block keeps a small triangle,
and what a right half would give to the left is zero and never stored.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from made_tf.conditionals.layout import Layout
from made_tf.masks import Degrees
from made_tf.portable.arrays import IntArray

__all__ = ["Level", "SamplingPlan", "cut"]


@dataclasses.dataclass(frozen=True, eq=False)
class Level:
    """The units of one level of the network (variables, features, a hidden layer, parameters).

    Attributes:
        units: unit indices sorted by degree, shape `[units]`.
        degrees: their degrees, in this order.
        offsets: where each block begins among the sorted units, and the end;
            shape `[blocks + 1]`.
    """

    units: IntArray
    degrees: IntArray
    offsets: IntArray

    def span(self, first: int, last: int) -> slice:
        """Returns the sorted units of the blocks `first` to `last - 1`."""
        return slice(int(self.offsets[first]), int(self.offsets[last]))

    @property
    def is_sorted(self) -> bool:
        """Whether the units lie in the order of their degrees anyway."""
        return bool(np.all(self.units == np.arange(len(self.units))))


@dataclasses.dataclass(frozen=True, eq=False)
class SamplingPlan:
    """How the D steps are cut into blocks.

    Attributes:
        variables: the variables as a level: `variables.units` is the order of
            generation.
        features: the network's inputs.
        hidden: the hidden layers.
        parameters: the network's outputs.
        direct_connections: whether the inputs lead to the outputs, too.
        late: the share of variables whose values change as long as any before them does.
    """

    variables: Level
    features: Level
    hidden: tuple[Level, ...]
    parameters: Level
    direct_connections: bool
    late: float = 0.0

    @property
    def levels(self) -> tuple[Level, ...]:
        """What the layers read and make, one after the other: features, hidden, parameters."""
        return self.features, *self.hidden, self.parameters

    @property
    def num_blocks(self) -> int:
        """The number of blocks."""
        return len(self.variables.offsets) - 1

    def block_variables(self, index: int) -> IntArray:
        """Returns the variables of a block, in the order of generation."""
        return self.variables.units[self.variables.span(index, index + 1)]


def cut(
    degrees: Degrees, layout: Layout, length: int, direct_connections: bool, late: float = 0.0
) -> SamplingPlan:
    """Cuts a network into blocks of `length` variables, as `made_tf.sampling.block_length` asks."""
    # Block b holds the degrees lasts[b - 1] + 1 .. lasts[b].
    lasts = np.append(np.arange(length, degrees.event_size, length), degrees.event_size)

    def level(unit_degrees: IntArray) -> Level:
        units = np.argsort(unit_degrees, kind="stable")
        ordered = unit_degrees[units]
        ends = np.searchsorted(ordered, lasts, side="right")
        return Level(units, ordered, np.concatenate([[0], ends]))

    return SamplingPlan(
        variables=level(degrees.inputs),
        features=level(layout.features.repeat(degrees.inputs)),
        hidden=tuple(level(layer) for layer in degrees.hidden),
        parameters=level(layout.parameters.repeat(degrees.inputs)),
        direct_connections=direct_connections,
        late=late,
    )
