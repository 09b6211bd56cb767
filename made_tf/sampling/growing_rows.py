"""Rows that come to know one variable after the other, each in an order of its own.

With the same number of variables known, all rows wait for the same hidden units: those of this
degree. A unit reads what its row knows, zeros standing for the rest, so that dense products serve
all rows. Nothing is computed for variables that no row comes to. In NumPy: the products are small.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import keras
import numpy as np

from made_tf.masks import degrees_to_mask
from made_tf.models.made import MADE
from made_tf.portable.arrays import FloatArray, IntArray
from made_tf.sampling.sorted_weights import Weights

__all__ = ["GrowingRows", "StepNetwork", "as_array"]


@dataclasses.dataclass(frozen=True, eq=False)
class _Layer:
    """A layer with its units, and those that it reads, in the order of their degrees.

    Attributes:
        kernels: by the level that they read, `[in, out]`.
        mask_kernels: likewise.
        bias: `[1 or N, out]`, what the context adds among it.
    """

    kernels: dict[int, FloatArray]
    mask_kernels: dict[int, FloatArray]
    bias: FloatArray


class StepNetwork:
    """The weights of a model of all orders as they are now, under its first mask set.

    Args:
        model: the model.
        weights: what reads them.
        vectors: the encoded context of N rows, `[N, W]`; `None` for a model without one.
    """

    def __init__(self, model: MADE, weights: Weights, vectors: FloatArray | None = None):
        weights.check(vectors)
        self.model, self.layout = model, model.conditionals.layout
        hidden = [level[0] for level in model.mask_sets.first(1).hidden]
        self.degrees = [np.sort(level) for level in hidden]
        features = np.arange(self.layout.features.total)
        parameters = np.arange(self.layout.parameters.total)
        units = [features, *(np.argsort(level, kind="stable") for level in hidden), parameters]
        self.layers = []
        for level, stored in enumerate(weights.read(), start=1):
            own = units[level]
            kernels, mask_kernels = (
                {
                    source: _masked(
                        as_array(kernel)[units[source]][:, own], self.degrees, source, level
                    )
                    for source, kernel in each
                }
                for each in (stored.kernels, stored.mask_kernels)
            )
            bias = sum(map(as_array, stored.biases), np.zeros(len(own), np.float32))[own][None]
            if vectors is not None:
                bias = bias + (vectors @ as_array(stored.context_kernel))[:, own]
            self.layers.append(_Layer(kernels, mask_kernels, bias))


def _masked(kernel, degrees, source: int, level: int):
    """Between hidden layers the mask is that of all rows."""
    if source == 0 or level > len(degrees):
        return kernel
    return np.where(degrees_to_mask(degrees[source - 1], degrees[level - 1]), kernel, 0)


def as_array(weights) -> FloatArray:
    """Returns weights as float32, whatever they lie in."""
    return np.asarray(keras.ops.convert_to_numpy(weights), np.float32)


class GrowingRows:
    """Rows, and what the network has made of what they know.

    Args:
        network: the weights.
        owners: which row of the network's context each row has, `[n]`.
        features: `[n, F]`, zeros for what is not known.
        known: float32 `[n, D]`, 1 for what is.
        units: of each hidden layer, `[n, units]`; those of a low degree are computed.
    """

    def __init__(self, network: Any, owners: IntArray, features, known, units: list):
        self._network, self.owners = network, owners
        self._features, self._known, self._units = features, known, units

    @classmethod
    def knowing_nothing(cls, network: Any, count: int) -> Self:
        """Returns a row for each of the context's."""
        layout = network.layout
        widths = layout.features.total, layout.event_size, *map(len, network.degrees)
        features, known, *units = (np.zeros((count, width), np.float32) for width in widths)
        return cls(network, np.arange(count), features, known, units)

    def take(self, rows: IntArray) -> Self:
        """Returns some of the rows, one or several times."""
        return type(self)(
            self._network,
            self.owners[rows],
            self._features[rows],
            self._known[rows],
            [units[rows] for units in self._units],
        )

    def learn(self, rows: IntArray, variable: int, features: FloatArray) -> None:
        """Tells rows the features of one more variable, `[m, entries]`."""
        entries = self._network.layout.features.entries(np.array([variable]))
        self._features[rows[:, None], entries] = features[:, : len(entries)]
        self._known[rows, variable] = 1.0

    def compute_units(self, count: int) -> None:
        """Computes the hidden units of a degree, that of the variables that all rows know."""
        network = self._network
        levels = [self._features, *self._units]
        for level, (layer, degrees) in enumerate(
            zip(network.layers, network.degrees, strict=False)
        ):
            own = _of_degree(degrees, count)
            if own.start == own.stop:
                continue
            source, read = levels[level], slice(None)
            flags = network.layout.features.repeat(self._known) if level == 0 else None
            if level > 0:
                read = slice(_of_degree(network.degrees[level - 1], count).stop)
            total = source[:, read] @ layer.kernels[level][read, own] + self._bias(layer, own)
            if level in layer.mask_kernels:
                kernel = layer.mask_kernels[level][read, own]
                total += kernel.sum(axis=0) if flags is None else flags @ kernel
            new = keras.ops.convert_to_numpy(network.model.activation(total))
            if network.model.residual and level > 0:
                new = new + source[:, own]
            self._units[level][:, own] = new

    def parameters(self, rows: IntArray, variable: int, count: int) -> FloatArray:
        """Returns a variable's parameters, `[m, entries]`, of rows that know `count` others."""
        network = self._network
        layer, depth = network.layers[-1], len(self._units)
        own = network.layout.parameters.entries(np.array([variable]))
        total = self._bias(layer, own, rows)
        for source, kernel in layer.kernels.items():
            if source == 0:
                total = total + self._features[rows] @ kernel[:, own]
                continue
            read = slice(_of_degree(network.degrees[depth - 1], count).stop)
            total = total + self._units[depth - 1][rows, read] @ kernel[read, own]
            if source in layer.mask_kernels:
                total = total + layer.mask_kernels[source][read, own].sum(axis=0)
        return total

    def _bias(self, layer: _Layer, own, rows=slice(None)) -> FloatArray:
        bias = layer.bias[:, own]
        return bias if len(bias) == 1 else bias[self.owners[rows]]


def _of_degree(degrees: IntArray, count: int) -> slice:
    """Returns which of sorted units have this degree."""
    return slice(*np.searchsorted(degrees, [count, count + 1]))
