"""Rows whose chain shows more and more variables: `growing_rows` of models that read evidence.

Here all rows have the model's own order, and what a row does not show stays nothing. So units are
computed anew at each step, by dense products that serve all rows.
"""

from __future__ import annotations

import keras
import numpy as np

from made_tf.models.made import MADE
from made_tf.portable.arrays import FloatArray, IntArray
from made_tf.sampling.growing_rows import GrowingRows, as_array
from made_tf.sampling.sorted_weights import Weights

__all__ = ["ChainNetwork", "ChainRows"]


class ChainNetwork:
    """The weights of a model that reads evidence, as they are now, where nothing is known.

    Args:
        model: the model.
        weights: what reads them.

    Attributes:
        degrees: of the units of each hidden layer.
        layers: of each layer the masked kernels by the level that they read, and the bias.
    """

    def __init__(self, model: MADE, weights: Weights):
        weights.check()
        self.model, self.layout = model, model.conditionals.layout
        self.degrees = model.degrees.hidden
        masks = iter(model.masked_layers())
        nothing = as_array(weights.nothing_known())
        self.layers = []
        for stored in weights.read():
            kernels = {
                source: np.where(next(masks).mask.numpy(), as_array(kernel), np.float32(0))
                for source, kernel in stored.kernels
            }
            bias = (nothing @ as_array(stored.context_kernel))[0]
            self.layers.append((kernels, sum(map(as_array, stored.biases), bias)))

    def units(self, features) -> list:
        """Returns the units of each hidden layer: `[N, F]` -> `[N, units]`, arrays or tensors."""
        found: list = []
        below = features
        for level, (kernels, bias) in enumerate(self.layers[:-1]):
            above = self.model.activation(below @ kernels[level] + bias)
            below = above + below if self.model.residual and level > 0 else above
            found.append(below)
        return found

    def parameters(self, features, units: list, own=slice(None)):
        """Returns parameters, all or those of these entries: `[N, F]` -> `[N, P]`."""
        kernels, bias = self.layers[-1]
        total = bias[own]
        for source, kernel in kernels.items():
            total = total + (features if source == 0 else units[-1]) @ kernel[:, own]
        return total


class ChainRows(GrowingRows):
    """`GrowingRows` of a `ChainNetwork`."""

    def compute_units(self, count: int) -> None:
        """Computes all hidden units."""
        del count
        self._units = [*map(keras.ops.convert_to_numpy, self._network.units(self._features))]

    def parameters(self, rows: IntArray, variable: int, count: int) -> FloatArray:
        """Returns a variable's parameters, `[m, entries]`."""
        del count
        network = self._network
        own = network.layout.parameters.entries(np.array([variable]))
        units = [layer[rows] for layer in self._units[-1:]]
        return network.parameters(self._features[rows], units, own)
