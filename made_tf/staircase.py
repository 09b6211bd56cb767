"""Masked products that skip the empty half of their kernel.

With the units of both sides in the order of their degrees, the mask of a kernel
is a staircase: column j is live in its first rows, and the more so the further
right it is. Cut into blocks of columns, a product needs

    y[:, block] = x[:, :live] @ kernel[:live, block],

where only the rows between the shallowest and the deepest column of the block
need the mask at all. The gradient has the same steps, read by rows.
"""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
from keras import ops

from made_tf.constraints import KernelMask

__all__ = ["Staircase", "best_num_blocks", "best_staircase"]

_SIDE_OF_A_BLOCK = 150  # of the square kernels that gain by it (benchmarks/staircase.py)
_MOST_BLOCKS = 8


def best_num_blocks(mask: KernelMask) -> int:
    """Returns into how many blocks a kernel's columns are best cut; 1 is the plain product.

    More blocks skip more and start more operators. Units that are not in the
    order of their degrees would have to be sorted first, in every step, which
    costs more than the blocks save.
    """
    in_order = all(np.all(np.diff(side) >= 0) for side in (mask.in_degrees, mask.out_degrees))
    if not in_order or keras.backend.backend() not in ("tensorflow", "jax"):
        return 1
    return min(_MOST_BLOCKS, max(1, int(math.sqrt(math.prod(mask.shape)) / _SIDE_OF_A_BLOCK)))


@dataclasses.dataclass(frozen=True)
class _Step:
    """One block of columns, `start` to `stop`.

    Attributes:
        start: the first column.
        stop: the column after the last.
        full: rows `[0, full)` are live in every column.
        live: rows `[live, in)` are dead in every column.
        above: `live` of the step before.
    """

    start: int
    stop: int
    full: int
    live: int
    above: int


class Staircase:
    """The product of inputs and a masked kernel, without the kernel's empty blocks.

    Equal to `inputs @ mask.apply(kernel)` within rounding, and so is its
    gradient; what the mask forbids is never read, and gets the gradient zero.

    Args:
        mask: the mask of the kernel; both sides in the order of their degrees.
        num_blocks: into how many blocks the columns are cut.
    """

    def __init__(self, mask: KernelMask, num_blocks: int):
        self._mask = mask
        depths = np.searchsorted(
            mask.in_degrees, mask.out_degrees, side="left" if mask.strict else "right"
        )
        ends = np.unique(np.linspace(0, len(depths), num_blocks + 1).round().astype(int))
        self._steps = []
        above = 0
        for start, stop in zip(ends[:-1], ends[1:], strict=True):
            step = _Step(int(start), int(stop), int(depths[start]), int(depths[stop - 1]), above)
            self._steps.append(step)
            above = step.live

    def matmul(self, inputs, kernel):
        """Multiplies: `[..., in]`, `[in, out]` -> `[..., out]`."""
        rows = ops.reshape(inputs, (-1, inputs.shape[-1])) if len(inputs.shape) != 2 else inputs
        kernel = ops.cast(kernel, inputs.dtype)  # of a variable, a tensor
        outputs = ops.custom_gradient(self._with_gradient)(rows, kernel)
        if len(inputs.shape) == 2:
            return outputs
        return ops.reshape(outputs, (*ops.shape(inputs)[:-1], outputs.shape[-1]))

    def _with_gradient(self, inputs, kernel):
        outputs = []
        for step in self._steps:
            columns = slice(step.start, step.stop)
            live = ops.concatenate(
                [kernel[: step.full, columns], self._masked(kernel, step.full, step)], axis=0
            )
            outputs.append(ops.matmul(inputs[:, : step.live], live))

        def gradient(upstream):
            to_inputs, to_kernel = [], []
            for step in self._steps:
                if step.live == step.above:
                    continue
                rows, later = slice(step.above, step.live), upstream[:, step.start :]
                live = ops.concatenate(
                    [self._masked(kernel, step.above, step), kernel[rows, step.stop :]], axis=1
                )
                to_inputs.append(ops.matmul(later, ops.transpose(live)))
                update = ops.matmul(ops.transpose(inputs[:, rows]), later)  # [rows, later columns]
                width = step.stop - step.start
                dead = ops.zeros((step.live - step.above, step.start), update.dtype)
                masked = self._select(update[:, :width], rows, step)
                to_kernel.append(ops.concatenate([dead, masked, update[:, width:]], axis=1))
            unused = self._mask.shape[0] - self._steps[-1].live
            if unused:
                to_inputs.append(ops.zeros_like(inputs[:, :unused]))
                to_kernel.append(ops.zeros_like(kernel[:unused]))
            return ops.concatenate(to_inputs, axis=1), ops.concatenate(to_kernel, axis=0)

        return ops.concatenate(outputs, axis=1), gradient

    def _masked(self, kernel, first, step):
        rows = slice(first, step.live)
        return self._select(kernel[rows, step.start : step.stop], rows, step)

    def _select(self, values, rows, step):
        compare = ops.less if self._mask.strict else ops.less_equal
        columns = slice(step.start, step.stop)
        in_degrees, out_degrees = self._mask.in_degrees[rows], self._mask.out_degrees[columns]
        live = compare(in_degrees[:, None], out_degrees[None, :])
        return ops.where(live, values, ops.zeros_like(values))


def best_staircase(mask: KernelMask) -> Staircase | None:
    """Returns the staircase of a kernel where it is faster than the plain product."""
    num_blocks = best_num_blocks(mask)
    return Staircase(mask, num_blocks) if num_blocks > 1 else None
