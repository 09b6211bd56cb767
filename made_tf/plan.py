"""Which units become final when: the NumPy half of the sampler.

The D steps of generation are cut into blocks of consecutive degrees, and the
row of blocks into halves, halves of halves, and so on. With the units of every
layer sorted by degree, a kernel is then a staircase: what a left half gives to
the right half beside it is one dense rectangle, a single block keeps a small
triangle, and what a right half would give to the left is zero and never stored.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from made_tf.arguments import integer
from made_tf.masks import Degrees, IntArray

__all__ = ["Level", "SamplingPlan", "expected_passes", "make_plan", "sampling_cost"]

# What one thread of the LiteRT interpreter takes on x86-64, in nanoseconds: of these only the
# ratios matter. Fitted by `benchmarks/block_length.py`; see benchmarks/RESULTS.md.
_OPERATOR = 200.0  # to start an operator
_PRODUCT = 0.0185  # for one multiplication and addition
_COPY = 0.1  # for one number through an operator that is no product
_LANES = 16  # products compute this many columns at a time
_LEAF_OPERATORS = 8  # of one pass over a block beside its products

_TYPICAL_BATCH = 32


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
        return self.variables.units[self.variables.span(index, index + 1)]


def make_plan(
    degrees: Degrees,
    input_sizes: IntArray,
    parameter_sizes: IntArray,
    block_length: int | None = None,
    batch_size: int | None = None,
) -> SamplingPlan:
    """Cuts a network into blocks.

    Args:
        degrees: the network's degrees.
        input_sizes: the number of network inputs of each variable, `[D]`.
        parameter_sizes: the number of parameters of each variable, `[D]`.
        block_length: how many variables a block has; `None` takes the length of
            the lowest `sampling_cost`.
        batch_size: for how many rows at a time the length is chosen; `None`
            stands for 32. Any plan serves any number of rows.

    Raises:
        ValueError: if `block_length` or `batch_size` is not a positive integer.
    """
    rows = _TYPICAL_BATCH if batch_size is None else integer("batch_size", batch_size)

    def plan(length: int) -> SamplingPlan:
        return _cut(degrees, input_sizes, parameter_sizes, length)

    if block_length is not None:
        return plan(integer("block_length", block_length))
    lengths = _candidates(degrees.event_size)
    return min(map(plan, lengths), key=lambda candidate: sampling_cost(candidate, rows))


def sampling_cost(plan: SamplingPlan, rows: int) -> float:
    """Estimates the time of sampling some rows at once; in nanoseconds, to compare plans.

    It counts the operators, the multiplications (in whole vectors) and the
    numbers that are copied, in the recursion of `made_tf.sampling`. Direct
    connections, which weigh on all plans alike, are left out.
    """
    levels = [plan.features, *plan.hidden, plan.parameters]

    def products(inputs: slice, outputs: slice, layer: int) -> float:
        width, height = _width(levels[layer], inputs), _width(levels[layer + 1], outputs)
        if not width or not height:
            return 0.0
        padded = -(-height // _LANES) * _LANES
        return _OPERATOR + rows * (_PRODUCT * width * padded + _COPY * height)

    def cost(first: int, last: int) -> float:
        blocks, layers = slice(first, last), range(len(levels) - 1)
        if last - first == 1:
            one_pass = sum(products(blocks, blocks, layer) for layer in layers)
            one_pass += _LEAF_OPERATORS * _OPERATOR
            length = _width(plan.variables, blocks)
            return one_pass * (expected_passes(length, rows) + 1)
        middle = (first + last) // 2
        left, right = slice(first, middle), slice(middle, last)
        across = sum(products(left, right, layer) for layer in layers)
        moved = sum(2 * _width(level, blocks) for level in levels)
        across += 3 * len(levels) * _OPERATOR + rows * _COPY * moved
        return across + cost(first, middle) + cost(middle, last)

    return cost(0, plan.num_blocks)


def expected_passes(block_length: int, rows: int) -> float:
    """Returns how many passes the slowest of some rows needs for a block, on average.

    Counted on networks trained on binarized MNIST (benchmarks/RESULTS.md): they
    grow with the square root of the block and the logarithm of the rows.
    """
    return min(1 + (0.25 + 0.03 * np.log2(rows)) * np.sqrt(block_length), block_length + 1)


def _candidates(event_size: int) -> list[int]:
    """Lengths that cut D into equal blocks: one to 64 of them."""
    return sorted({-(-event_size // count) for count in range(1, min(event_size, 64) + 1)})


def _width(level: Level, blocks: slice) -> int:
    return int(level.offsets[blocks.stop] - level.offsets[blocks.start])


def _cut(
    degrees: Degrees, input_sizes: IntArray, parameter_sizes: IntArray, length: int
) -> SamplingPlan:
    # Block b holds the degrees lasts[b - 1] + 1 .. lasts[b].
    lasts = np.append(np.arange(length, degrees.event_size, length), degrees.event_size)

    def level(unit_degrees: IntArray) -> Level:
        units = np.argsort(unit_degrees, kind="stable")
        ordered = unit_degrees[units]
        ends = np.searchsorted(ordered, lasts, side="right")
        return Level(units, ordered, np.concatenate([[0], ends]))

    return SamplingPlan(
        variables=level(degrees.inputs),
        features=level(np.repeat(degrees.inputs, input_sizes)),
        hidden=tuple(level(layer) for layer in degrees.hidden),
        parameters=level(np.repeat(degrees.inputs, parameter_sizes)),
    )
