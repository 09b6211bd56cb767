"""How many variables a block has: what each length would cost, and the plan of the cheapest."""

from __future__ import annotations

import itertools
from typing import Literal, NamedTuple

import numpy as np

from made_tf.conditionals.layout import Layout
from made_tf.masks import Degrees
from made_tf.portable.arguments import integer
from made_tf.sampling.plan import SamplingPlan, cut

__all__ = [
    "RUNTIMES",
    "Runtime",
    "RuntimeName",
    "Work",
    "expected_passes",
    "make_plan",
    "sampling_cost",
    "sampling_work",
]


_LANES = 16  # products compute this many columns at a time
_READING = 2  # a kernel costs as much as products with so many rows
_LEAF_OPERATORS = 8  # of one pass over a block beside its products
_LATE_OPERATORS = 24  # more of them for families of many states, and of several in one block


class Work(NamedTuple):
    """What sampling takes, in counts; or the price of one of each, in nanoseconds.

    Attributes:
        operators: operators that are started.
        products: multiplications, in whole vectors.
        copies: numbers that go through an operator that is no product.
    """

    operators: float
    products: float
    copies: float


RuntimeName = Literal["host", "device"]


class Runtime(NamedTuple):
    """What a sampler runs on.

    Attributes:
        prices: on one thread, in nanoseconds; of these only the ratios matter.
        typical_rows: how many rows are drawn at once where nobody says.
    """

    prices: Work
    typical_rows: int


# Near the fit of benchmarks/block_length.py, where the lengths that they choose take at most 1.13
# times as long as the best. TensorFlow's graphs start operators slowly.
RUNTIMES = {
    "host": Runtime(Work(1800.0, 0.021, 0.1), 128),
    "device": Runtime(Work(180.0, 0.017, 0.12), 32),
}


def make_plan(
    degrees: Degrees,
    layout: Layout,
    block_length: int | None = None,
    batch_size: int | None = None,
    runtime: RuntimeName = "device",
    direct_connections: bool = False,
    late: float = 0.0,
) -> SamplingPlan:
    """Cuts a network into blocks.

    Args:
        degrees: the network's degrees.
        layout: where each variable's features and parameters lie.
        block_length: how many variables a block has; `None` takes the length of
            the lowest `sampling_cost`.
        batch_size: for how many rows at a time the length is chosen; `None`
            stands for what is typical of the runtime. Any plan serves any
            number of rows.
        runtime: where the sampler will run, see `RUNTIMES`.
        direct_connections: whether the inputs lead to the outputs, too.
        late: the share of variables whose values change as long as any before them does.

    Raises:
        ValueError: if `block_length` or `batch_size` is not a positive integer.
    """
    prices, typical_rows = RUNTIMES[runtime]
    rows = typical_rows if batch_size is None else integer("batch_size", batch_size)

    def plan(length: int) -> SamplingPlan:
        return cut(degrees, layout, length, direct_connections, late)

    if block_length is not None:
        return plan(integer("block_length", block_length))
    lengths = _candidates(degrees.event_size)
    return min(map(plan, lengths), key=lambda candidate: sampling_cost(candidate, rows, prices))


def sampling_cost(plan: SamplingPlan, rows: int, prices: Work) -> float:
    """Estimates the time of sampling some rows at once; in nanoseconds, to compare plans."""
    return sum(a * b for a, b in zip(sampling_work(plan, rows), prices, strict=True))


def sampling_work(plan: SamplingPlan, rows: int) -> Work:
    """Counts what the recursion of `made_tf.sampling` does."""
    levels = plan.levels
    offsets = [level.offsets.tolist() for level in levels]
    variables = plan.variables.offsets.tolist()
    kernels = list(itertools.pairwise(range(len(levels))))
    if plan.direct_connections and plan.hidden:
        kernels.append((0, len(levels) - 1))
    operators = products = copies = 0.0

    def product(
        source: int, target: int, first: int, last: int, block: int, times: float = 1.0
    ) -> None:
        """Counts what some blocks give to another, in a product and a sum."""
        nonlocal operators, products, copies
        width = offsets[source][last] - offsets[source][first]
        height = offsets[target][block + 1] - offsets[target][block]
        if width and height:
            operators += 2 * times
            products += times * (rows + _READING) * width * -(-height // _LANES) * _LANES
            copies += times * rows * height

    def count(first: int, last: int) -> None:
        nonlocal operators, copies
        if last - first == 1:
            length = variables[last] - variables[first]
            passes = expected_passes(length, rows, plan.late) + 1
            inside = kernels
            if plan.late and length == 1:  # which needs no loop; others stay as they were cut
                passes = 1.0
                inside = [ends for ends in kernels if ends[1] < len(levels) - 1]
            for source, target in inside:
                product(source, target, first, last, first, passes)
            leaf = _LEAF_OPERATORS + plan.late * _LATE_OPERATORS
            operators += passes * leaf
            copies += passes * rows * length * leaf / 2
            return
        middle = (first + last) // 2
        for level in offsets[:-1]:
            operators += 1
            copies += rows * (level[middle] - level[first])  # put side by side
        for source, target in kernels:
            for block in range(middle, last):
                product(source, target, first, middle, block)
        count(first, middle)
        count(middle, last)

    count(0, plan.num_blocks)
    return Work(operators, products, copies)


def expected_passes(block_length: int, rows: int, late: float = 0.0) -> float:
    """Returns how many passes the slowest of some rows needs for a block, on average.

    They grow with a power of the block and the logarithm of the rows, as counted
    by benchmarks/block_length.py on a network trained on binarized MNIST. A value of
    many states or a real one changes with every variable before it, so that a block of
    such takes all the passes that it can.
    """
    passes = 1 + (0.11 + 0.015 * np.log2(rows)) * block_length**0.7 + late * block_length
    return min(passes, block_length + 1)


def _candidates(event_size: int) -> list[int]:
    """Lengths that cut D into equal blocks: one to 64 of them (files of more convert slowly)."""
    return sorted({-(-event_size // count) for count in range(1, min(event_size, 64) + 1)})
