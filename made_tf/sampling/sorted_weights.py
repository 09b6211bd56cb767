"""A model's weights with the units of every layer sorted by degree."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from made_tf.masks import degrees_to_mask
from made_tf.sampling.arrangement import float32
from made_tf.sampling.plan import Level

__all__ = ["IMPOSSIBLE", "Kernel", "Layer", "Matrix", "Stored", "mask_bias"]


IMPOSSIBLE = -1e9  # the logit of a class that its variable does not have


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """The weights of a layer as the model has them, with the levels that they read.

    Attributes:
        kernels: `[in, out]` each.
        mask_kernels: those of the mask itself (`SharedDense.mask_kernel`).
        biases: `[out]` each.
    """

    kernels: tuple[tuple[int, Any], ...]
    mask_kernels: tuple[tuple[int, Any], ...]
    biases: tuple


class Matrix(NamedTuple):
    """Weights that a product takes as they are or transposed."""

    weights: Any
    transposed: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel with both sides sorted by degree.

    Attributes:
        weights: `[in, out]`, or `[out, in]` where they are transposed.
        inputs: the level that it reads.
        outputs: the level that it leads to.
        strict: whether a connection needs a higher degree.
        transposed: whether the weights are.
    """

    weights: Any
    inputs: Level
    outputs: Level
    strict: bool
    transposed: bool

    def rectangle(self, first: int, middle: int, block: int):
        """Returns what leads from the blocks `first` to `middle - 1` to a later one: all live."""
        return self._part(self.inputs.span(first, middle), self.outputs.span(block, block + 1))

    def triangle(self, block: int):
        """Returns what leads from a block to itself, masked."""
        rows, columns = self.inputs.span(block, block + 1), self.outputs.span(block, block + 1)
        mask = degrees_to_mask(
            self.inputs.degrees[rows], self.outputs.degrees[columns], self.strict
        )
        part = self._part(rows, columns)
        where = np.where if isinstance(part.weights, np.ndarray) else tf.where
        mask = mask.T if self.transposed else mask
        return part._replace(weights=where(mask, part.weights, np.float32(0)))

    def _part(self, rows: slice, columns: slice) -> Matrix:
        if self.transposed:
            return Matrix(self.weights[columns, rows], True)
        return Matrix(self.weights[rows, columns], False)


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """A layer: its kernels with the levels that they read, its bias, its own level."""

    sources: tuple[tuple[int, Kernel], ...]
    bias: Any  # [units]
    level: Level

    def bias_of(self, block: int):
        """Returns the bias of a block, `[units]`; `None` where it has no units."""
        units = self.level.span(block, block + 1)
        return self.bias[units] if units.stop > units.start else None


def mask_bias(kernel, in_degrees, out_degrees, strict: bool):
    """What a layer's mask itself adds to its outputs, `[out]` (`SharedDense.mask_bias`)."""
    compare = tf.less if strict else tf.less_equal
    connected = compare(in_degrees[:, None], out_degrees[None, :])
    return tf.reduce_sum(tf.where(connected, float32(kernel), np.float32(0)), axis=0)
