"""The exact sampler, which host and export share. Here TensorFlow begins."""

from __future__ import annotations

from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.sampling.sorted_weights import Kernel, Matrix, SortedLayer

__all__ = ["BlockedNetwork", "Kernel", "Matrix", "SortedLayer"]
