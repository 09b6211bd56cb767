"""Divide and conquer over the blocks of a plan, so that each weight is used about once.

Solve the left half, let dense products carry it over to the blocks of the right half, solve the
right half.
"""

from __future__ import annotations

from collections.abc import Callable

from made_tf.sampling.block import columns_of, join, plus_product
from made_tf.sampling.plan import SamplingPlan
from made_tf.sampling.sorted_weights import SortedLayer

__all__ = ["for_each_block"]


def for_each_block(
    plan: SamplingPlan, layers: list[SortedLayer], leaf: Callable, features=None
) -> None:
    """Calls `leaf(index, starts)` on block after block.

    Args:
        plan: the blocks.
        layers: the weights, sorted for the plan.
        leaf: from a block's number and what the bias and earlier blocks give to each layer of it
            to the block's units by level.
        features: of all variables, `[n, F]`, where they are known beforehand and need not be put
            together from those of the blocks.
    """
    blocks = range(plan.num_blocks)
    starts = [[layer.bias_of(b) for b in blocks] for layer in layers]
    units: list[list] = [[None for _ in blocks] for _ in layers]  # by level

    def known(level: int, first: int, last: int):
        if level == 0 and features is not None:
            return columns_of(features, plan.features.span(first, last))
        return join(units[level][first:last])

    def carry(first: int, middle: int, last: int) -> None:
        """Adds what a left half gives to each block of the right half beside it."""
        left = [known(level, first, middle) for level in range(len(units))]
        for layer, start in zip(layers, starts, strict=True):
            for source, kernel in layer.sources:
                for b in range(middle, last):
                    rectangle = kernel.rectangle(first, middle, b)
                    start[b] = plus_product(start[b], left[source], rectangle)

    def solve(first: int, last: int) -> None:
        if last - first == 1:
            found = leaf(first, [start[first] for start in starts])
            for level, block_units in zip(units, found, strict=True):
                level[first] = block_units
            return
        middle = (first + last) // 2
        solve(first, middle)
        carry(first, middle, last)
        solve(middle, last)

    solve(0, plan.num_blocks)
