"""Masked products that skip the empty half of their kernel.

With the units of both sides in the order of their degrees, the mask of a kernel
is a staircase: column j is live in its first rows, and the more so the further
right it is. Cut into blocks of columns, a product needs

    y[:, block] = x[:, :live] @ kernel[:live, block],

`live` being the rows that the deepest column of the block reads. The gradient of
the kernel has the same steps, read by rows.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import keras
import numpy as np
from keras import ops

from made_tf.networks.kernel_mask import KernelMask

__all__ = ["Staircase", "best_num_blocks", "best_staircase"]

#: Of the square kernels that gain by blocks (benchmarks/staircase.py).
SIDE_OF_A_BLOCK = 100

_MOST_BLOCKS = 8
_LANES = 32  # products are fastest where blocks hold a multiple of so many columns


def best_num_blocks(mask: KernelMask) -> int:
    """Returns into how many blocks a kernel's columns are best cut; 1 is the plain product.

    More blocks skip more and start more operators. Units that are not in the
    order of their degrees would have to be sorted first, in every step, which
    costs more than the blocks save (measured: benchmarks/RESULTS.md).
    """
    in_order = all(np.all(np.diff(side) >= 0) for side in (mask.in_degrees, mask.out_degrees))
    if not in_order or keras.backend.backend() not in ("tensorflow", "jax"):
        return 1
    return min(_MOST_BLOCKS, max(1, int(math.sqrt(math.prod(mask.shape)) / SIDE_OF_A_BLOCK)))


@dataclasses.dataclass(frozen=True)
class _Step:
    """One block of columns, `start` to `stop`.

    Attributes:
        start: the first column.
        stop: the column after the last.
        live: rows `[live, in)` are dead in every column.
        above: `live` of the step before.
    """

    start: int
    stop: int
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
        units = len(depths)
        lanes = _LANES if units >= _LANES * num_blocks else 1
        ends = [round(units * index / num_blocks / lanes) * lanes for index in range(num_blocks)]
        self._steps = []
        above = 0
        for start, stop in itertools.pairwise(sorted({*ends, units})):
            live = int(depths[stop - 1])
            self._steps.append(_Step(start, stop, live, above))
            above = live

    def matmul(self, inputs, kernel):
        """Multiplies: `[..., in]`, `[in, out]` -> `[..., out]`."""
        dtype = keras.backend.result_type(inputs.dtype, kernel.dtype)
        rows = ops.reshape(ops.cast(inputs, dtype), (-1, inputs.shape[-1]))
        kernel = ops.cast(kernel, dtype)  # of a variable, a tensor
        outputs = ops.custom_gradient(self._with_gradient)(rows, kernel)
        if len(inputs.shape) == 2:
            return outputs
        return ops.reshape(outputs, (*ops.shape(inputs)[:-1], outputs.shape[-1]))

    def _with_gradient(self, inputs, kernel):
        panels = [self._panel(kernel, step) for step in self._steps]  # [live, columns]
        outputs = [
            ops.matmul(inputs[:, : step.live], panel)
            for step, panel in zip(self._steps, panels, strict=True)
        ]

        def gradient(upstream):
            to_inputs = ops.zeros_like(inputs)
            to_kernel = []
            for step, panel in zip(self._steps, panels, strict=True):
                product = ops.matmul(upstream[:, step.start : step.stop], ops.transpose(panel))
                to_inputs += ops.pad(product, ((0, 0), (0, self._mask.shape[0] - step.live)))
                rows = inputs[:, step.above : step.live]
                update = ops.matmul(ops.transpose(rows), upstream[:, step.start :])
                to_kernel.append(ops.pad(update, ((0, 0), (step.start, 0))))
            to_kernel.append(ops.zeros_like(kernel[self._steps[-1].live :]))
            return to_inputs, self._mask.apply(ops.concatenate(to_kernel, axis=0))

        return ops.concatenate(outputs, axis=1), gradient

    def _panel(self, kernel, step):
        """Returns the masked kernel of a block, `[live, columns]`."""
        return self._mask.part(kernel, slice(step.live), slice(step.start, step.stop))


def best_staircase(mask: KernelMask) -> Staircase | None:
    """Returns the staircase of a kernel where it is faster than the plain product."""
    num_blocks = best_num_blocks(mask)
    return Staircase(mask, num_blocks) if num_blocks > 1 else None
