"""Products with a kernel of which each row of the inputs sees its own part.

A mask for each row is `[N, in, out]` numbers, and nothing of it is a product of matrices. But masks
compare degrees, and there are groups of outputs that have one degree in every row: the parameters
of a variable, or hidden units of one degree, where all rows share these. What a row hides from one
of a group it hides from all. So there is one product for each group, of inputs that are hidden
first, and all together they are as large as the product of a mask that rows share. (Hidden inputs
are zeros here, so that a weight that is no number spoils all rows.)
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf.networks.kernel_mask import connected, masked

__all__ = ["Groups", "product_by_row"]

_MOST_GROUPS = 64  # a hundred take TensorFlow ten seconds to compile, and steps gain nothing


@dataclasses.dataclass(frozen=True, eq=False)  # a tuple of arrays Keras would make tensors of
class Groups:
    """Which units of a kernel's two sides have one degree in every row: a number for each unit.

    Attributes:
        inputs: `[in]`; `None` where each may have a degree of its own.
        outputs: `[out]`, likewise.
    """

    inputs: npt.NDArray[np.integer] | None
    outputs: npt.NDArray[np.integer] | None

    @property
    def are_few(self) -> bool:
        """Whether a product for each group of outputs is worth what it takes to compile."""
        return self.outputs is not None and len(np.unique(self.outputs)) <= _MOST_GROUPS


def product_by_row(
    inputs: Any,
    kernel: Any,
    mask_kernel: Any,
    in_degrees: Any,
    out_degrees: Any,
    strict: bool,
    groups: Groups,
) -> Any:
    """Returns the product of each row with the part of a kernel that its mask leaves: `[N, out]`.

    Args:
        inputs: `[N, in]`.
        kernel: `[in, out]`, anything where a mask forbids a connection.
        mask_kernel: `[in, out]`, of the mask's own weights, whose inputs are 1; `None` without.
        in_degrees: integers `[in]` or `[N, in]`.
        out_degrees: integers `[out]` or `[N, out]`.
        strict: as in `connected`.
        groups: of the outputs, and of the inputs where these are known.
    """
    kinds = np.arange(kernel.shape[0]) if groups.inputs is None else groups.inputs
    _, first, number = np.unique(kinds, return_index=True, return_inverse=True)
    of_kinds = None
    if mask_kernel is not None:  # which is read of a group of inputs as a whole
        of_kinds = ops.segment_sum(mask_kernel, number.astype(np.int32), len(first))
        kind_degrees = ops.take(in_degrees, first, axis=-1)
    own, parts, places = np.asarray(groups.outputs), [], []
    for group in np.unique(own):
        columns = np.flatnonzero(own == group)
        degree = out_degrees[..., columns[0] : columns[0] + 1]
        seen = masked(connected(in_degrees, degree, strict)[..., 0], inputs)
        part = ops.matmul(seen, ops.take(kernel, columns, axis=1))
        if of_kinds is not None:
            flags = ops.cast(connected(kind_degrees, degree, strict)[..., 0], part.dtype)
            part = part + ops.matmul(flags, ops.take(of_kinds, columns, axis=1))
        parts.append(part)
        places.append(columns)
    return ops.take(ops.concatenate(parts, axis=-1), np.argsort(np.concatenate(places)), axis=-1)
