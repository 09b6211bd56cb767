"""Which units become final when: the NumPy half of the sampler.

The D steps of generation are cut into blocks of consecutive degrees. With the
units of every layer sorted by degree, block b of a layer depends on blocks
0..b of the layer before it: the kernel becomes a staircase of an *outer* part
(all earlier blocks, final by then) and an *inner* part (the block itself).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from made_tf.arguments import integer
from made_tf.masks import Degrees, IntArray

__all__ = ["Level", "SamplingPlan", "default_block_length", "make_plan"]


@dataclasses.dataclass(frozen=True, eq=False)
class Level:
    """The units of one level of the network (features, a hidden layer, parameters).

    Attributes:
        units: unit indices sorted by degree, shape `[units]`.
        offsets: where each block begins among the sorted units, and the end;
            shape `[blocks + 1]`.
    """

    units: IntArray
    offsets: IntArray

    def block(self, index: int) -> slice:
        """Returns the sorted units of one block."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def before(self, index: int) -> slice:
        """Returns the sorted units of all blocks before one block."""
        return slice(0, int(self.offsets[index]))


@dataclasses.dataclass(frozen=True, eq=False)
class SamplingPlan:
    """How the D steps are cut into blocks.

    Attributes:
        variables: the variables as a level: `variables.units` is the order of
            generation.
        features: the network's inputs.
        hidden: the hidden layers.
        parameters: the network's outputs.
    """

    variables: Level
    features: Level
    hidden: tuple[Level, ...]
    parameters: Level

    @property
    def num_blocks(self) -> int:
        """The number of blocks."""
        return len(self.variables.offsets) - 1

    def block_variables(self, index: int) -> IntArray:
        """Returns the variables of a block, in the order of generation."""
        return self.variables.units[self.variables.block(index)]


def default_block_length(event_size: int) -> int:
    """Returns how many variables a block has: at least 16, at most 14 blocks.

    Long blocks need more iterations, short ones more (and slower converted)
    loops.
    """
    return max(16, -(-event_size // 14))


def make_plan(
    degrees: Degrees,
    input_sizes: IntArray,
    parameter_sizes: IntArray,
    block_length: int | None = None,
) -> SamplingPlan:
    """Cuts a network into blocks.

    Args:
        degrees: the network's degrees.
        input_sizes: the number of network inputs of each variable, `[D]`.
        parameter_sizes: the number of parameters of each variable, `[D]`.
        block_length: how many variables a block has; `None` chooses.

    Raises:
        ValueError: if `block_length` is not a positive integer.
    """
    if block_length is None:
        block_length = default_block_length(degrees.event_size)
    block_length = integer("block_length", block_length)
    # Block b holds the degrees lasts[b - 1] + 1 .. lasts[b].
    lasts = np.append(np.arange(block_length, degrees.event_size, block_length), degrees.event_size)

    def level(unit_degrees: IntArray) -> Level:
        units = np.argsort(unit_degrees, kind="stable")
        ends = np.searchsorted(unit_degrees[units], lasts, side="right")
        return Level(units, np.concatenate([[0], ends]))

    return SamplingPlan(
        variables=level(degrees.inputs),
        features=level(np.repeat(degrees.inputs, input_sizes)),
        hidden=tuple(level(layer) for layer in degrees.hidden),
        parameters=level(np.repeat(degrees.inputs, parameter_sizes)),
    )
