"""The exact sampler, and the same blocks for scoring: one code for host and export.

Drawing variable after variable takes D passes through the network. Here each
weight is used about once, by divide and conquer over the blocks of a plan: solve
the left half, let dense products carry it over to the blocks of the right half,
solve the right half. What is left to solve is a single block, and there the
sample x is the fixed point of

    x = transform(network(x), noise)

for given noise. Variable k of the block depends on the variables before it
alone, so that pass k makes at least variable k final: at most B passes for a
block of B variables, and one more that finds nothing changed. The fixed point is
unique and is what drawing variable after variable from the same noise gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from made_tf.masks import Degrees
from made_tf.models.made import MADE
from made_tf.sampling.arrangement import Arrangement, arrange, arrange_plan, float32
from made_tf.sampling.block import Block, _draw, columns_of, drawer_at, join, plus_product
from made_tf.sampling.block_length import make_plan
from made_tf.sampling.plan import SamplingPlan
from made_tf.sampling.sorted_weights import IMPOSSIBLE, Kernel, Layer, Stored, mask_bias

__all__ = ["BlockedNetwork"]


class BlockedNetwork:
    """A MADE cut into blocks: sampling and scoring at the price of about one pass.

    All values are in float32 and in the model's own layout: variables `[n, D]`.

    Args:
        model: the model; its weights are read at each call.
        block_length: how many variables a block has; `None` chooses.
        batch_size: for how many rows at a time `None` chooses.
        frozen: whether to read the weights now, once, as constants.
        any_mask: whether calls say which mask set they are for, by `degrees`:
            int32 degrees of the inputs `[D]` and of each hidden layer, tensors
            or arrays. The units are then sorted in the graph, at each call.

    Raises:
        RuntimeError: if Keras does not run on TensorFlow.
        ValueError: if `block_length` or `batch_size` is not a positive integer.
    """

    def __init__(
        self,
        model: MADE,
        block_length: int | None = None,
        batch_size: int | None = None,
        frozen: bool = False,
        any_mask: bool = False,
    ):
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "Sampling and export need Keras on TensorFlow (KERAS_BACKEND=tensorflow). "
                f"Received: backend {keras.backend.backend()!r}"
            )
        self._model = model
        self._family = model.conditionals
        degrees, size = model.degrees, model.event_size
        sizes = self._family.input_sizes(size), self._family.parameter_sizes(size)
        if any_mask:  # all sets are alike once their units are sorted
            hidden = tuple(np.sort(level) for level in degrees.hidden)
            degrees = Degrees(np.arange(1, size + 1), hidden)
            sizes = np.full(size, sizes[0].max()), np.full(size, sizes[1].max())
        self.plan: SamplingPlan = make_plan(
            degrees,
            *sizes,
            block_length,
            batch_size,
            "device" if frozen else "host",
            model.direct_connections,
        )
        self._own = None if any_mask else arrange_plan(self.plan)
        self._stored = self._read(np.asarray) if frozen else None
        self._sorted = self._layers(self._own) if frozen and self._own else None

    def sample(self, uniforms, degrees=None, given=None, temperature=None):
        """Draws the rows that the uniforms stand for.

        Args:
            uniforms: float32 `[n, D]`, strictly between 0 and 1; column k
                decides variable k.
            degrees: the mask set, for a network of `any_mask`.
            given: what is known of the rows (`made_tf.given`).
            temperature: T, float32 `[n]`: each conditional is taken to the
                power 1 / T.

        Returns:
            Values, float32 `[n, D]`.

        Raises:
            tf.errors.InvalidArgumentError: where a weight is not finite (under
                XLA, which has no assertions, and with frozen weights: not).
        """
        arrangement = self._arranged(degrees)
        values, _ = self._generate(uniforms, arrangement, given, temperature)
        return arrangement.restore(values)

    def sample_and_log_prob(self, uniforms, degrees=None):
        """Returns the rows `[n, D]` and, from the same pass, their log-probabilities `[n]`."""
        arrangement = self._arranged(degrees)
        values, params = self._generate(uniforms, arrangement)
        return arrangement.restore(values), self._total(values, params, arrangement)

    def sample_and_log_weight(self, uniforms, given, degrees=None):
        """Returns rows `[n, D]` that agree with what is given, and their log-weights `[n]`."""
        arrangement = self._arranged(degrees)
        values, params = self._generate(uniforms, arrangement, given)
        family = self._family.select(arrangement.variables)
        log_weight = given.map(arrangement.sort).log_weight(family, params, values)
        return arrangement.restore(values), log_weight

    def log_prob(self, x, degrees=None):
        """Returns the log-probability of each row in nats: `[n, D]` -> `[n]`."""
        arrangement = self._arranged(degrees)
        values, params = self._score(x, arrangement)
        return self._total(values, params, arrangement)

    def parameters(self, x, degrees=None):
        """Returns the conditionals' parameters: `[n, D]` -> `[n, P]`."""
        arrangement = self._arranged(degrees)
        return arrangement.restore_parameters(self._score(x, arrangement)[1])

    def _arranged(self, degrees) -> Arrangement:
        return arrange(self._family, degrees) if self._own is None else self._own

    def _total(self, values, params, arrangement: Arrangement):
        family = self._family.select(arrangement.variables)
        return tf.reduce_sum(family.log_prob(params, values), axis=1)

    def _generate(self, uniforms, arrangement: Arrangement, given=None, temperature=None):
        """Returns values `[n, D]` and parameters `[n, P]`, both in the order of generation."""
        if self._stored is None:
            self._assert_finite()
        noise = arrangement.sort(self._family.noise(uniforms))
        if given is not None:
            given = given.map(arrangement.sort)
        values, params = [], []
        draw = _draw if temperature is None else drawer_at(temperature[:, None])

        def leaf(index: int, block: Block, starts: list):
            places = self.plan.variables.span(index, index + 1)
            block = dataclasses.replace(block, transform=draw)
            if given is not None:
                known = given.map(lambda part: columns_of(part, places))
                block = dataclasses.replace(block, transform=known.transform)
            x, units, block_params = block.solve(starts, columns_of(noise, places))
            values.append(x)
            params.append(block_params)
            return units

        self._recurse(arrangement, leaf)
        return join(values), join(params)

    def _score(self, x, arrangement: Arrangement):
        """Returns values `[n, D]` and parameters `[n, P]`, both in the order of generation."""
        values = arrangement.sort(x)
        params = []

        def leaf(index: int, block: Block, starts: list):
            x = columns_of(values, self.plan.variables.span(index, index + 1))
            units, block_params = block.finish(starts, x)
            params.append(block_params)
            return units

        features = self._family.select(arrangement.variables).encode(values)
        self._recurse(arrangement, leaf, features)
        return values, join(params)

    def _recurse(self, arrangement: Arrangement, leaf: Callable, features=None) -> None:
        """Calls `leaf(index, block, starts)` on block after block.

        `starts` is what the bias and earlier blocks give to each layer of the
        block; a leaf returns the block's units by level. Features, where all
        are known, need not be put together from theirs.
        """
        layers = self._sorted or self._layers(arrangement)
        blocks = range(self.plan.num_blocks)
        starts = [[layer.bias_of(b) for b in blocks] for layer in layers]
        units: list[list] = [[None for _ in blocks] for _ in layers]  # by level

        def known(level: int, first: int, last: int):
            if level == 0 and features is not None:
                return columns_of(features, self.plan.features.span(first, last))
            return join(units[level][first:last])

        def carry(first: int, middle: int, last: int) -> None:
            """Adds what a left half gives to each block of the right half beside it."""
            left = [known(level, first, middle) for level in range(len(units))]
            for layer, start in zip(layers, starts, strict=True):
                for source, kernel in layer.sources:
                    for b in range(middle, last):
                        rectangle = kernel.rectangle(first, middle, b)
                        start[b] = plus_product(start[b], left[source], rectangle)

        def solve(first: int, last: int) -> None:
            if last - first == 1:
                block = self._block(layers, first, arrangement)
                found = leaf(first, block, [start[first] for start in starts])
                for level, block_units in zip(units, found, strict=True):
                    level[first] = block_units
                return
            middle = (first + last) // 2
            solve(first, middle)
            carry(first, middle, last)
            solve(middle, last)

        solve(0, self.plan.num_blocks)

    def _block(self, layers: list[Layer], index: int, arrangement: Arrangement) -> Block:
        triangles = [
            tuple((source, kernel.triangle(index)) for source, kernel in layer.sources)
            for layer in layers
        ]
        places = self.plan.variables.span(index, index + 1)
        family = self._family.select(arrangement.variables[places])
        model = self._model
        return Block(family, _draw, model.activation, triangles, model.residual)

    def _block_of(self, variables, triangles: list, given) -> Block:
        """Returns a block of rows that have variables `[n, B]` of their own."""
        family = self._family.select(variables)
        model = self._model
        return Block(family, given.transform, model.activation, triangles, model.residual)

    def _read(self, convert: Callable = tf.convert_to_tensor) -> list[Stored]:
        """Reads the weights: hidden layers, then the output with its direct connections."""
        depth = len(self._model.hidden_layers)
        layers = [[(k, dense)] for k, dense in enumerate(self._model.hidden_layers)]
        last = [(depth, self._model.output_layer), (0, self._model.direct_layer)]
        layers.append([(source, dense) for source, dense in last if dense is not None])
        return [
            Stored(
                tuple((source, convert(dense.unmasked_kernel())) for source, dense in dense_layers),
                tuple(
                    (source, convert(dense.mask_kernel))
                    for source, dense in dense_layers
                    if getattr(dense, "mask_kernel", None) is not None
                ),
                tuple(convert(dense.bias) for _, dense in dense_layers if dense.bias is not None),
            )
            for dense_layers in layers
        ]

    def _layers(self, arrangement: Arrangement) -> list[Layer]:
        """Sorts the weights by the degrees of their units."""
        levels = [self.plan.features, *self.plan.hidden, self.plan.parameters]
        layers = []
        for target, stored in enumerate(self._stored or self._read(), start=1):
            is_last = target == len(levels) - 1
            kernels = []
            for source, kernel in stored.kernels:
                weights = arrangement.sort_units(kernel, source, axis=0)
                transposed = self._own is None
                if transposed:
                    # Gathered at each call, and rows are gathered faster than columns.
                    weights = arrangement.sort_units(tf.transpose(weights), target, axis=0)
                else:
                    weights = arrangement.sort_units(weights, target, axis=1)
                ends = levels[source], levels[target]
                kernels.append((source, Kernel(weights, *ends, is_last, transposed)))
            biases = [float32(bias) for bias in stored.biases]
            for source, kernel in stored.mask_kernels:
                ends = arrangement.degrees[source], arrangement.degrees[target]
                biases.append(mask_bias(kernel, *ends, is_last))
            zeros = np.zeros(arrangement.sizes[target], np.float32)
            bias = arrangement.sort_units(sum(biases, start=zeros), target, 0, IMPOSSIBLE)
            layers.append(Layer(tuple(kernels), bias, levels[target]))
        return layers

    def _assert_finite(self) -> None:
        """Fails, when the sampler runs, where a live weight is NaN or infinite."""
        for layer in self._model.masked_layers():
            self._assert_finite_layer(layer)

    def _assert_finite_layer(self, layer) -> None:
        def check():
            for weights in (layer.masked_kernel(), layer.bias):
                if weights is not None:
                    tf.debugging.Assert(
                        tf.reduce_all(tf.math.is_finite(float32(weights))),
                        [f"The weights of layer {layer.name} must be finite, and are not."],
                    )
            return True

        # The sum tells at a fraction of the price, unless a dead weight is not finite.
        stored = (layer.kernel, layer.kernel_scale, layer.bias)
        total = sum(tf.reduce_sum(float32(part)) for part in stored if part is not None)
        tf.cond(tf.math.is_finite(total), lambda: True, check)
