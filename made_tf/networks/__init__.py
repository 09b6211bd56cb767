"""Masked layers and what they are put together from; `keras.ops` alone."""

from __future__ import annotations

from made_tf.networks.kernel_mask import KernelMask
from made_tf.networks.mask_sets import MaskSets
from made_tf.networks.masked_dense import MaskedDense
from made_tf.networks.masking import MaskConstraint, MaskedInitializer
from made_tf.networks.shared_dense import SharedDense

__all__ = [
    "KernelMask",
    "MaskConstraint",
    "MaskSets",
    "MaskedDense",
    "MaskedInitializer",
    "SharedDense",
]
