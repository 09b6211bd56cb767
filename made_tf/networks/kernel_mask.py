"""`KernelMask`: the mask of one kernel, kept as the degrees of its two sides.

Here, on tensors, and in `made_tf.masks.degrees_to_mask`, in NumPy, are the two places that compare
degrees: a connection leads to a degree that is not lower, or, if it is strict, higher.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf import masks
from made_tf.portable.arrays import BoolArray

__all__ = ["KernelMask", "connected", "masked"]


def connected(in_degrees, out_degrees, strict: bool):
    """Returns the mask between units as a tensor: `[..., in]`, `[..., out]` -> `[..., in, out]`.

    The comparison of two short vectors in the graph is far smaller than a stored mask.

    Args:
        in_degrees: integer degrees of the incoming units, an array or a tensor.
        out_degrees: those of the outgoing units.
        strict: whether a connection needs `out > in` instead of `out >= in`.
    """
    compare = ops.less if strict else ops.less_equal
    # What is known beforehand costs no operator.
    in_side, out_side = (
        np.expand_dims if isinstance(degrees, np.ndarray) else ops.expand_dims
        for degrees in (in_degrees, out_degrees)
    )
    return compare(in_side(in_degrees, -1), out_side(out_degrees, -2))


def masked(mask, kernel):
    """Returns a kernel with zeros where the mask is false.

    A choice, not a product: NaN times 0 would still be NaN. The gradient of a masked weight is
    exactly zero.
    """
    return ops.where(mask, kernel, ops.zeros_like(kernel))


class KernelMask:
    """The mask `[in, out]` of one kernel, kept as the degrees of its two sides.

    Args:
        in_degrees: integer degrees of the incoming units, shape `[in]`.
        out_degrees: integer degrees of the outgoing units, shape `[out]`.
        strict: whether a connection needs `out > in` instead of `out >= in`.

    Raises:
        ValueError: if the degrees are not sequences of integers.
    """

    def __init__(self, in_degrees: npt.ArrayLike, out_degrees: npt.ArrayLike, strict: bool = False):
        self.in_degrees = _degrees("in_degrees", in_degrees)
        self.out_degrees = _degrees("out_degrees", out_degrees)
        self.strict = bool(strict)

    @property
    def shape(self) -> tuple[int, int]:
        """The kernel's shape, `(in, out)`."""
        return len(self.in_degrees), len(self.out_degrees)

    def numpy(self) -> BoolArray:
        """Returns the mask as a boolean array `[in, out]`."""
        return masks.degrees_to_mask(self.in_degrees, self.out_degrees, self.strict)

    def apply(self, kernel):
        """Returns `kernel`, shape `[in, out]`, with zeros where no connection is allowed."""
        if tuple(kernel.shape) != self.shape:
            raise ValueError(
                f"`kernel` must have the shape {self.shape} of its degrees. "
                f"Received: kernel.shape={tuple(kernel.shape)}"
            )
        mask = connected(self.in_degrees, self.out_degrees, self.strict)
        return masked(mask, ops.convert_to_tensor(kernel))

    def part(self, kernel, rows: slice, columns: slice):
        """Returns a part of the kernel, masked: some of its inputs and some of its outputs."""
        mask = connected(self.in_degrees[rows], self.out_degrees[columns], self.strict)
        return masked(mask, kernel[rows, columns])

    def get_config(self) -> dict:
        """Returns the constructor's arguments as plain Python values."""
        return {
            "in_degrees": self.in_degrees.tolist(),
            "out_degrees": self.out_degrees.tolist(),
            "strict": self.strict,
        }


def _degrees(name: str, degrees: npt.ArrayLike) -> npt.NDArray[np.int32]:
    array = np.asarray(degrees)
    if array.ndim != 1 or array.size == 0 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be a non-empty sequence of integers. Received: {name}={degrees!r}"
        )
    return array.astype(np.int32)
