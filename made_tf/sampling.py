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
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from made_tf.conditionals import Conditionals
from made_tf.masks import degrees_to_mask
from made_tf.models import MADE
from made_tf.plan import Level, SamplingPlan, make_plan

__all__ = ["BlockedNetwork"]

_CONCATENATED = 4  # tensors at once: of many, LiteRT's fast kernels (XNNPACK) take none


@dataclasses.dataclass(frozen=True, eq=False)
class _Kernel:
    """A kernel `[in, out]` with both sides sorted by degree."""

    weights: Any
    inputs: Level
    outputs: Level
    strict: bool

    def rectangle(self, first: int, middle: int, block: int):
        """Returns what leads from the blocks `first` to `middle - 1` to a later one: all live."""
        return self.weights[self.inputs.span(first, middle), self.outputs.span(block, block + 1)]

    def triangle(self, block: int):
        """Returns what leads from a block to itself, masked."""
        rows, columns = self.inputs.span(block, block + 1), self.outputs.span(block, block + 1)
        mask = degrees_to_mask(
            self.inputs.degrees[rows], self.outputs.degrees[columns], self.strict
        )
        where = np.where if isinstance(self.weights, np.ndarray) else tf.where
        return where(mask, self.weights[rows, columns], np.float32(0))


@dataclasses.dataclass(frozen=True, eq=False)
class _Layer:
    """A layer: its kernels with the levels that they read, its bias, its own level."""

    sources: tuple[tuple[int, _Kernel], ...]
    bias: Any  # [units]
    level: Level

    def bias_of(self, block: int):
        """Returns the bias of a block, `[units]`; `None` where it has no units."""
        units = self.level.span(block, block + 1)
        return self.bias[units] if units.stop > units.start else None


@dataclasses.dataclass(frozen=True, eq=False)
class _Block:
    """One block of the network: small triangles, from its variables to their parameters."""

    family: Conditionals
    activation: Callable
    layers: list[tuple[tuple[int, Any], ...]]  # of each layer: (level, triangle)

    def finish(self, starts: list, x):
        """Passes the block's variables `[n, B]` through: its units by level, its parameters."""
        return self._through(starts, self.family.encode(x), x)

    def solve(self, starts: list, noise):
        """Solves x = transform(finish(x), noise): values, units by level, parameters.

        It ends: pass k makes the first k variables final (by induction, since
        parameter k is a function of the variables before k alone), and what is
        final is computed from equal numbers by equal operations ever after. So
        after B passes nothing changes, and pass B + 1 finds that. Only where
        activations overflow does a later variable reach an earlier one (zero
        times infinity): there the bound on the passes ends the loop.

        The first pass sees no variable of the block; it may, since the first
        variable depends on none and the others are not final before.

        The values carry no gradient: units and parameters are functions of the
        weights at these values, as in `log_prob`.
        """

        def keep_going(count, changed, _):
            return tf.logical_and(changed, count <= noise.shape[1])

        def body(count, _, x):
            new = self.family.transform(self.finish(starts, x)[1], noise)
            return count + 1, tf.reduce_any(new != x), new

        first = self.family.transform(self._through(starts, None, noise)[1], noise)
        state = (tf.constant(1), tf.constant(True), first)
        x = tf.stop_gradient(tf.while_loop(keep_going, body, state)[2])
        return x, *self.finish(starts, x)

    def _through(self, starts: list, features, rows):
        """Passes features (or none) through; `rows` is any tensor `[n, 1 or more]`."""
        units = [features]
        for start, sources in zip(starts, self.layers, strict=True):
            total = start
            for source, triangle in sources:
                total = _plus_product(total, units[source], triangle)
            if total is not None and len(total.shape) == 1:  # a bias alone: [units] -> [n, units]
                total = total + tf.zeros_like(rows[:, :1])
            units.append(total if total is None else self.activation(total))
        return units[:-1], total


class BlockedNetwork:
    """A MADE cut into blocks: sampling and scoring at the price of about one pass.

    All values are in float32 and in the model's own layout: variables `[n, D]`.

    Args:
        model: the model; its weights are read at each call.
        block_length: how many variables a block has; `None` chooses.
        batch_size: for how many rows at a time `None` chooses.
        frozen: whether to read the weights now, once, as constants.

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
    ):
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "Sampling and export need Keras on TensorFlow (KERAS_BACKEND=tensorflow). "
                f"Received: backend {keras.backend.backend()!r}"
            )
        self._model = model
        self._family = model.conditionals
        self.plan: SamplingPlan = make_plan(
            model.degrees,
            self._family.input_sizes(model.event_size),
            self._family.parameter_sizes(model.event_size),
            block_length,
            batch_size,
            "device" if frozen else "host",
            model.direct_connections,
        )
        self._sorted_family = self._family.select(self.plan.variables.units)
        self._constants = self._layers(np.asarray) if frozen else None

    def sample(self, uniforms):
        """Draws the rows that the uniforms stand for.

        Args:
            uniforms: float32 `[n, D]`, strictly between 0 and 1; column k
                decides variable k.

        Returns:
            Values, float32 `[n, D]`.

        Raises:
            tf.errors.InvalidArgumentError: where a weight is not finite (under
                XLA, which has no assertions, and with frozen weights: not).
        """
        values, _ = self._generate(uniforms)
        return _restore(values, self.plan.variables)

    def sample_and_log_prob(self, uniforms):
        """Returns the rows `[n, D]` and, from the same pass, their log-probabilities `[n]`."""
        values, params = self._generate(uniforms)
        log_prob = tf.reduce_sum(self._sorted_family.log_prob(params, values), axis=1)
        return _restore(values, self.plan.variables), log_prob

    def log_prob(self, x):
        """Returns the log-probability of each row in nats: `[n, D]` -> `[n]`."""
        values, params = self._score(x)
        return tf.reduce_sum(self._sorted_family.log_prob(params, values), axis=1)

    def parameters(self, x):
        """Returns the conditionals' parameters: `[n, D]` -> `[n, P]`."""
        return _restore(self._score(x)[1], self.plan.parameters)

    def _generate(self, uniforms):
        """Returns values `[n, D]` and parameters `[n, P]`, both in the order of generation."""
        if self._constants is None:
            self._assert_finite()
        noise = _sort(self._family.noise(uniforms), self.plan.variables)
        values, params = [], []

        def leaf(index: int, block: _Block, starts: list):
            block_noise = _columns(noise, self.plan.variables.span(index, index + 1))
            x, units, block_params = block.solve(starts, block_noise)
            values.append(x)
            params.append(block_params)
            return units

        self._recurse(self._constants or self._layers(), leaf)
        return _join(values), _join(params)

    def _score(self, x):
        """Returns values `[n, D]` and parameters `[n, P]`, both in the order of generation."""
        values = _sort(x, self.plan.variables)
        params = []

        def leaf(index: int, block: _Block, starts: list):
            x = _columns(values, self.plan.variables.span(index, index + 1))
            units, block_params = block.finish(starts, x)
            params.append(block_params)
            return units

        features = self._sorted_family.encode(values)
        self._recurse(self._constants or self._layers(), leaf, features)
        return values, _join(params)

    def _recurse(self, layers: list[_Layer], leaf: Callable, features=None) -> None:
        """Calls `leaf(index, block, starts)` on block after block.

        `starts` is what the bias and earlier blocks give to each layer of the
        block; a leaf returns the block's units by level. Features, where all
        are known, need not be put together from theirs.
        """
        blocks = range(self.plan.num_blocks)
        starts = [[layer.bias_of(b) for b in blocks] for layer in layers]
        units: list[list] = [[None for _ in blocks] for _ in layers]  # by level

        def known(level: int, first: int, last: int):
            if level == 0 and features is not None:
                return _columns(features, self.plan.features.span(first, last))
            return _join(units[level][first:last])

        def carry(first: int, middle: int, last: int) -> None:
            """Adds what a left half gives to each block of the right half beside it."""
            left = [known(level, first, middle) for level in range(len(units))]
            for layer, start in zip(layers, starts, strict=True):
                for source, kernel in layer.sources:
                    for b in range(middle, last):
                        rectangle = kernel.rectangle(first, middle, b)
                        start[b] = _plus_product(start[b], left[source], rectangle)

        def solve(first: int, last: int) -> None:
            if last - first == 1:
                found = leaf(first, self._block(layers, first), [start[first] for start in starts])
                for level, block_units in zip(units, found, strict=True):
                    level[first] = block_units
                return
            middle = (first + last) // 2
            solve(first, middle)
            carry(first, middle, last)
            solve(middle, last)

        solve(0, self.plan.num_blocks)

    def _block(self, layers: list[_Layer], index: int) -> _Block:
        triangles = [
            tuple((source, kernel.triangle(index)) for source, kernel in layer.sources)
            for layer in layers
        ]
        family = self._family.select(self.plan.block_variables(index))
        return _Block(family, self._model.activation, triangles)

    def _layers(self, convert: Callable = tf.identity) -> list[_Layer]:
        """Reads the weights: hidden layers, then the output with its direct connections."""
        model, plan = self._model, self.plan
        levels = [plan.features, *plan.hidden, plan.parameters]

        def layer(masked: list[tuple[int, Any]], level: int) -> _Layer:
            sources, biases = [], []
            for source, dense in masked:
                weights = _sort(dense.unmasked_kernel(), levels[level])
                weights = convert(_sort(weights, levels[source], axis=0))
                strict = dense.mask.strict
                sources.append((source, _Kernel(weights, levels[source], levels[level], strict)))
                if dense.bias is not None:
                    biases.append(_sort(dense.bias, levels[level], axis=0))
            zeros = tf.zeros([len(levels[level].units)])
            return _Layer(tuple(sources), convert(sum(biases, start=zeros)), levels[level])

        depth = len(plan.hidden)
        output = [(0, model.direct_layer)] if model.direct_layer is not None else []
        if model.output_layer is not None:
            output.insert(0, (depth, model.output_layer))
        hidden = [layer([(k, dense)], k + 1) for k, dense in enumerate(model.hidden_layers)]
        return [*hidden, layer(output, depth + 1)]

    def _assert_finite(self) -> None:
        """Fails, when the sampler runs, where a live weight is NaN or infinite."""
        for layer in self._model.masked_layers():
            self._assert_finite_layer(layer)

    def _assert_finite_layer(self, layer) -> None:
        def check():
            for weights in (layer.masked_kernel(), layer.bias):
                if weights is not None:
                    tf.debugging.Assert(
                        tf.reduce_all(tf.math.is_finite(_float32(weights))),
                        [f"The weights of layer {layer.name} must be finite, and are not."],
                    )
            return True

        # The sum tells at a fraction of the price, unless a dead weight is not finite.
        stored = (layer.kernel, layer.kernel_scale, layer.bias)
        total = sum(tf.reduce_sum(_float32(part)) for part in stored if part is not None)
        tf.cond(tf.math.is_finite(total), lambda: True, check)


def _float32(weights):
    return tf.cast(tf.convert_to_tensor(weights), tf.float32)


def _columns(values, columns: slice):
    # LiteRT's fast kernels (XNNPACK) take this form of a slice, and not `tf.slice`.
    return values[:, columns]


def _plus_product(total, x, kernel):
    """Adds `x @ kernel`, unless one of them is empty (LiteRT has no empty tensors)."""
    if total is None or x is None or 0 in kernel.shape:
        return total
    return total + tf.matmul(x, kernel)


def _join(parts: list):
    """Puts columns side by side; `None` where there are none."""
    parts = [part for part in parts if part is not None]
    while len(parts) > 1:
        groups = [parts[i : i + _CONCATENATED] for i in range(0, len(parts), _CONCATENATED)]
        parts = [tf.concat(group, axis=1) if len(group) > 1 else group[0] for group in groups]
    return parts[0] if parts else None


def _sort(values, level: Level, axis: int = 1):
    """Puts the model's own order into the order of degrees, in float32."""
    values = _float32(values)
    return values if level.is_sorted else tf.gather(values, level.units.astype(np.int32), axis=axis)


def _restore(values, level: Level):
    """Puts columns back into the model's own order."""
    if level.is_sorted:
        return values
    return tf.gather(values, np.argsort(level.units).astype(np.int32), axis=1)
