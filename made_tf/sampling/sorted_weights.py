"""A model's weights with the units of every layer sorted by degree."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from made_tf.conditionals import Conditionals
from made_tf.masks import degrees_to_mask
from made_tf.models.made import MADE
from made_tf.networks.kernel_mask import connected, masked
from made_tf.sampling.arrangement import Arrangement, float32
from made_tf.sampling.plan import Level, SamplingPlan

__all__ = [
    "FrozenWeights",
    "Kernel",
    "Matrix",
    "SortedLayer",
    "Stored",
    "Weights",
    "sort_layers",
]


_IMPOSSIBLE = -1e9  # the logit of a class that its variable does not have


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """The weights of a layer as the model has them, with the levels that they read.

    Attributes:
        kernels: `[in, out]` each.
        mask_kernels: those of the mask itself (`SharedDense.mask_kernel`).
        biases: `[out]` each.
        context_kernel: `[W, out]`, what the context adds; `None` without one.
    """

    kernels: tuple[tuple[int, Any], ...]
    mask_kernels: tuple[tuple[int, Any], ...]
    biases: tuple
    context_kernel: Any = None


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
        """Returns what leads from a block to itself, masked; of no inputs where nothing does."""
        rows, columns = self.inputs.span(block, block + 1), self.outputs.span(block, block + 1)
        mask = degrees_to_mask(
            self.inputs.degrees[rows], self.outputs.degrees[columns], self.strict
        )
        if not mask.any():  # no parameter of a single variable sees anything of the block
            return self._part(slice(rows.start, rows.start), columns)
        part = self._part(rows, columns)
        where = np.where if isinstance(part.weights, np.ndarray) else tf.where
        mask = mask.T if self.transposed else mask
        return part._replace(weights=where(mask, part.weights, np.float32(0)))

    def _part(self, rows: slice, columns: slice) -> Matrix:
        if self.transposed:
            return Matrix(self.weights[columns, rows], True)
        return Matrix(self.weights[rows, columns], False)


@dataclasses.dataclass(frozen=True, eq=False)
class SortedLayer:
    """A layer: its kernels with the levels that they read, its bias, its own level.

    Attributes:
        sources: its kernels.
        bias: `[units]`, or `[n, units]` once it holds what the rows' context adds.
        level: its own level.
        context_kernel: `[W, units]`; `None` without a context.
    """

    sources: tuple[tuple[int, Kernel], ...]
    bias: Any
    level: Level
    context_kernel: Any = None

    def given(self, vectors) -> SortedLayer:
        """Returns the layer for rows of a context, `[n, W]`: computed once, for all blocks.

        Raises:
            ValueError: if there is a context and no vectors, or the other way round.
        """
        if (vectors is None) != (self.context_kernel is None):
            given = None if vectors is None else vectors.shape
            raise ValueError(
                "`vectors` must be given for a model with a context, and for no other. "
                f"Received: vectors of shape {given}"
            )
        if vectors is None:
            return self
        shift = tf.matmul(vectors, self.context_kernel)
        if vectors.shape[0] == 1:  # the same for all rows, and no more than a bias
            shift = tf.reshape(shift, [-1])
        bias = self.bias + shift
        return dataclasses.replace(self, bias=bias, context_kernel=None)

    def bias_of(self, block: int):
        """Returns the bias of a block, `[units]`; `None` where it has no units."""
        units = self.level.span(block, block + 1)
        if units.stop == units.start:
            return None
        return self.bias[units] if len(self.bias.shape) == 1 else self.bias[:, units]


class Weights:
    """A model's weights, read at each call.

    Args:
        model: the model.
    """

    def __init__(self, model: MADE):
        self._model = model
        self.family: Conditionals = model.conditionals

    def read(self) -> list[Stored]:
        """Returns the hidden layers, then the output with its direct connections."""
        return _read(self._model, tf.convert_to_tensor)

    def nothing_known(self):
        """Returns what the units of a model that reads evidence see of none; else `None`."""
        return self._model.nothing_known()

    def check(self, vectors=None) -> None:
        """Fails, when the graph runs, where a live weight or a vector is NaN or infinite."""
        if vectors is not None:
            message = "The context, or what encodes it, must be finite, and is not."
            tf.debugging.Assert(tf.reduce_all(tf.math.is_finite(vectors)), [message])
        model = self._model
        live: list[tuple[keras.layers.Layer, Callable]] = [
            (layer, lambda layer=layer: (layer.masked_kernel(), layer.bias))
            for layer in model.masked_layers()
        ]
        stored = [
            part
            for layer in model.masked_layers()
            for part in (layer.kernel, layer.kernel_scale, layer.bias)
        ]
        for layer in (*model.context_layers, *model.evidence_layers):
            live.append((layer, lambda layer=layer: layer.weights))
            stored.extend(layer.weights)
        if (layer := model.family_weights) is not None:
            live.append((layer, lambda: layer.weights))
            stored.extend(layer.weights)
        _assert_finite(stored, live)


class FrozenWeights(Weights):
    """A model's weights, read now, once, as constants; what they are was checked before."""

    def __init__(self, model: MADE):
        super().__init__(model)
        self._stored = _read(model, np.asarray)
        nothing = model.nothing_known()
        self._nothing_known = None if nothing is None else np.asarray(nothing)
        weights = model.conditionals.weights()
        self.family = model.conditionals.with_weights(
            {name: np.asarray(weight) for name, weight in weights.items()}
        )

    def read(self) -> list[Stored]:
        """Returns what was read."""
        return self._stored

    def nothing_known(self):
        """Returns what was computed then."""
        return self._nothing_known

    def check(self, vectors=None) -> None:
        """Does nothing."""


def sort_layers(
    stored: list[Stored], plan: SamplingPlan, arrangement: Arrangement, transposed: bool
) -> list[SortedLayer]:
    """Sorts weights by the degrees of their units.

    Args:
        stored: the weights, from `Weights.read`.
        plan: the blocks that they are cut into.
        arrangement: where the plan's units lie in the model.
        transposed: whether to gather rows in place of columns, which is faster where that is done
            at each call.
    """
    layers = []
    for target, weights in enumerate(stored, start=1):
        is_last = target == len(plan.levels) - 1
        kernels = []
        for source, kernel in weights.kernels:
            values = arrangement.sort_units(kernel, source, axis=0)
            if transposed:
                values = arrangement.sort_units(tf.transpose(values), target, axis=0)
            else:
                values = arrangement.sort_units(values, target, axis=1)
            ends = plan.levels[source], plan.levels[target]
            kernels.append((source, Kernel(values, *ends, is_last, transposed)))
        biases = [float32(bias) for bias in weights.biases]
        for source, kernel in weights.mask_kernels:
            mask = connected(arrangement.degrees[source], arrangement.degrees[target], is_last)
            biases.append(tf.reduce_sum(masked(mask, float32(kernel)), axis=0))
        zeros = np.zeros(arrangement.sizes[target], np.float32)
        bias = arrangement.sort_units(sum(biases, start=zeros), target, 0, _IMPOSSIBLE)
        context_kernel = weights.context_kernel
        if context_kernel is not None:
            context_kernel = arrangement.sort_units(context_kernel, target, axis=1)
        layers.append(SortedLayer(tuple(kernels), bias, plan.levels[target], context_kernel))
    return layers


def _read(model: MADE, convert: Callable) -> list[Stored]:
    depth = len(model.hidden_layers)
    layers = [[(index, dense)] for index, dense in enumerate(model.hidden_layers)]
    last = [(depth, model.output_layer), (0, model.direct_layer)]
    layers.append([(source, dense) for source, dense in last if dense is not None])
    contexts = model.context_layers or [None] * len(layers)
    return [
        Stored(
            tuple((source, convert(dense.unmasked_kernel())) for source, dense in dense_layers),
            tuple(
                (source, convert(dense.mask_kernel))
                for source, dense in dense_layers
                if getattr(dense, "mask_kernel", None) is not None
            ),
            tuple(convert(dense.bias) for _, dense in dense_layers if dense.bias is not None),
            convert(context.kernel) if context is not None else None,
        )
        for dense_layers, context in zip(layers, contexts, strict=True)
    ]


def _assert_finite(stored: Iterable, live: Iterable[tuple[keras.layers.Layer, Callable]]) -> None:
    """Asserts that what each layer gives is finite."""

    def check():
        for layer, parts in live:
            for weights in parts():
                if weights is not None:
                    tf.debugging.Assert(
                        tf.reduce_all(tf.math.is_finite(float32(weights))),
                        [f"The weights of layer {layer.name} must be finite, and are not."],
                    )
        return True

    # The sum tells at a fraction of the price, unless a dead weight is not finite.
    total = sum(tf.reduce_sum(float32(part)) for part in stored if part is not None)
    tf.cond(tf.math.is_finite(total), lambda: True, check)
