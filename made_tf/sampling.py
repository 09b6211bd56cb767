"""The exact sampler, and the same blocks for scoring: one code for host and export.

Drawing variable after variable takes D passes through the network. Here whole
blocks of variables are solved at once. Inside a block the sample x is the fixed
point of

    x = quantile(network(x), u)

for given uniforms u. Variable k of the block depends on the variables before it
alone, so that pass k makes at least variable k final: at most B passes for a
block of B variables, and one more that finds nothing changed. The fixed point is
unique and is what drawing variable after variable from the same uniforms gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from made_tf.conditionals import Conditionals
from made_tf.models import MADE
from made_tf.plan import Level, SamplingPlan, make_plan

__all__ = ["BlockedNetwork"]


@dataclasses.dataclass(frozen=True, eq=False)
class _Kernel:
    """One block of a sorted, masked kernel, cut into its two parts."""

    outer: tf.Tensor | np.ndarray  # [units of all blocks before, units]
    inner: tf.Tensor | np.ndarray  # [units of this block, units]


@dataclasses.dataclass(frozen=True, eq=False)
class _Layer:
    """One block of a layer: a bias, and the kernels from one level or two."""

    sources: tuple[tuple[int, _Kernel], ...]  # (level, kernel from there)
    bias: tf.Tensor | np.ndarray  # [units]

    def start(self, levels: list[list]):
        """Adds up what earlier blocks give: `[n, units]`, or `[units]` where they give none."""
        total = self.bias
        for level, kernel in self.sources:
            if levels[level]:
                total = _plus_product(total, tf.concat(levels[level], axis=1), kernel.outer)
        return total

    def finish(self, start, units: list):
        """Adds what the block's own units give."""
        for level, kernel in self.sources:
            start = _plus_product(start, units[level], kernel.inner)
        if len(start.shape) == 1:  # nothing but a bias: [units] -> [n, units]
            start = start + tf.zeros_like(units[0][:, :1])
        return start


@dataclasses.dataclass(frozen=True, eq=False)
class _Block:
    """One block of the network: its variables' family, its hidden layers, its outputs."""

    family: Conditionals
    activation: Callable
    hidden: list[_Layer]
    output: _Layer

    def start(self, levels: list[list]) -> list:
        """Returns what earlier blocks give to each layer; `levels` holds their units."""
        return [layer.start(levels) for layer in (*self.hidden, self.output)]

    def finish(self, starts: list, x):
        """Passes the block's variables `[n, B]` through: its units by level, its parameters."""
        units = [self.family.encode(x)]
        for layer, start in zip(self.hidden, starts, strict=False):
            units.append(self.activation(layer.finish(start, units)))
        return units, self.output.finish(starts[-1], units)

    def solve(self, starts: list, u):
        """Solves x = quantile(finish(x), u): values, units by level, parameters.

        It ends: pass k makes the first k variables final (by induction, since
        parameter k is a function of the variables before k alone), and what is
        final is computed from equal numbers by equal operations ever after. So
        after B passes nothing changes, whatever the weights; the bound covers
        values that never equal themselves (NaN).

        The values carry no gradient: units and parameters are functions of the
        weights at these values, as in `log_prob`.
        """

        def next_pass(x):
            _, params = self.finish(starts, x)
            return self.family.sample(params, u)

        def keep_going(count, changed, _):
            return tf.logical_and(changed, count < u.shape[1] + 2)

        def body(count, _, x):
            new = next_pass(x)
            return count + 1, tf.reduce_any(new != x), new

        first = tf.zeros_like(u)
        x = next_pass(first)
        state = (tf.constant(1), tf.reduce_any(x != first), x)
        x = tf.stop_gradient(tf.while_loop(keep_going, body, state)[2])
        return x, *self.finish(starts, x)


class BlockedNetwork:
    """A MADE cut into blocks: sampling and scoring at the price of about one pass.

    All values are in float32 and in the model's own layout: variables `[n, D]`.

    Args:
        model: the model; its weights are read at each call.
        block_length: how many variables a block has; `None` chooses.
        frozen: whether to read the weights now, once, as constants.

    Raises:
        RuntimeError: if Keras does not run on TensorFlow.
        ValueError: if `block_length` is not a positive integer.
    """

    def __init__(self, model: MADE, block_length: int | None = None, frozen: bool = False):
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "Sampling and export need Keras on TensorFlow (KERAS_BACKEND=tensorflow). "
                f"Received: backend {keras.backend.backend()!r}"
            )
        self._model = model
        self.plan: SamplingPlan = make_plan(
            model.degrees,
            model.conditionals.input_sizes(model.event_size),
            model.conditionals.parameter_sizes(model.event_size),
            block_length,
        )
        self._constants = self._cut(self._sorted_weights(), np.asarray) if frozen else None

    def sample(self, uniforms):
        """Draws the rows that the uniforms stand for.

        Args:
            uniforms: float32 `[n, D]`, strictly between 0 and 1; column k
                decides variable k.

        Returns:
            Values, float32 `[n, D]`.
        """
        return self._generate(uniforms)[0]

    def sample_and_log_prob(self, uniforms):
        """Returns the rows `[n, D]` and, from the same pass, their log-probabilities `[n]`."""
        x, values, params, blocks = self._generate(uniforms)
        return x, _log_prob(blocks, params, values)

    def log_prob(self, x):
        """Returns the log-probability of each row in nats: `[n, D]` -> `[n]`."""
        params, values, blocks = self._score(x)
        return _log_prob(blocks, params, values)

    def parameters(self, x):
        """Returns the conditionals' parameters: `[n, D]` -> `[n, P]`."""
        params, _, _ = self._score(x)
        return _restore(params, self.plan.parameters)

    def _generate(self, uniforms):
        levels: list[list] = [[] for _ in range(len(self.plan.hidden) + 1)]
        values, all_params, blocks = [], [], self._blocks()
        for block, u in zip(blocks, self._split(uniforms), strict=True):
            x, units, params = block.solve(block.start(levels), u)
            _append(levels, units)
            values.append(x)
            all_params.append(params)
        return _restore(values, self.plan.variables), values, all_params, blocks

    def _score(self, x):
        levels: list[list] = [[] for _ in range(len(self.plan.hidden) + 1)]
        values, all_params, blocks = self._split(x), [], self._blocks()
        for block, x_block in zip(blocks, values, strict=True):
            units, params = block.finish(block.start(levels), x_block)
            _append(levels, units)
            all_params.append(params)
        return all_params, values, blocks

    def _split(self, values) -> list:
        """Splits `[n, D]` into blocks of columns in the order of generation."""
        level = self.plan.variables
        ordered = tf.gather(values, level.units.astype(np.int32), axis=1)
        return [ordered[:, level.block(index)] for index in range(self.plan.num_blocks)]

    def _sorted_weights(self) -> list:
        """Returns the sorted kernel and bias of each masked layer, in float32."""
        model, levels = self._model, [self.plan.features, *self.plan.hidden]
        ends = list(zip(levels, [*levels[1:], self.plan.parameters], strict=True))
        ends = ends if model.output_layer is not None else []
        if model.direct_layer is not None:
            ends.append((self.plan.features, self.plan.parameters))
        weights = []
        for layer, (inputs, outputs) in zip(model.masked_layers(), ends, strict=True):
            kernel = tf.cast(tf.convert_to_tensor(layer.masked_kernel()), tf.float32)
            kernel = tf.gather(tf.gather(kernel, inputs.units), outputs.units, axis=1)
            bias = tf.zeros([layer.units]) if layer.bias is None else layer.bias
            bias = tf.gather(tf.cast(tf.convert_to_tensor(bias), tf.float32), outputs.units)
            weights.append((kernel, bias))
        return weights

    def _blocks(self) -> list[_Block]:
        return self._constants or self._cut(self._sorted_weights(), lambda weights: weights)

    def _cut(self, weights: list, convert: Callable) -> list[_Block]:
        """Cuts the sorted weights into blocks; `convert` turns each piece into what is kept."""
        plan, model = self.plan, self._model
        levels = [plan.features, *plan.hidden]

        def layer(b: int, outputs: Level, sources: list[tuple[int, int]]) -> _Layer:
            columns = outputs.block(b)
            kernels = []
            for level, index in sources:
                kernel, rows = weights[index][0][:, columns], levels[level]
                pieces = kernel[rows.before(b)], kernel[rows.block(b)]
                kernels.append((level, _Kernel(*map(convert, pieces))))
            bias = sum(weights[index][1][columns] for _, index in sources)
            return _Layer(tuple(kernels), convert(bias))

        depth = len(plan.hidden)
        to_output = [(depth, depth)] if model.output_layer is not None else []
        if model.direct_layer is not None:
            to_output.append((0, len(weights) - 1))
        return [
            _Block(
                family=model.conditionals.select(plan.block_variables(b)),
                activation=model.activation,
                hidden=[layer(b, plan.hidden[k], [(k, k)]) for k in range(depth)],
                output=layer(b, plan.parameters, to_output),
            )
            for b in range(plan.num_blocks)
        ]


def _plus_product(total, x, kernel):
    """Adds `x @ kernel`, unless one of them is empty (LiteRT has no empty tensors)."""
    return total if 0 in kernel.shape else total + tf.matmul(x, kernel)


def _append(levels: list[list], units: list) -> None:
    for level, block_units in zip(levels, units, strict=True):
        if block_units.shape[1] > 0:
            level.append(block_units)


def _restore(parts: list, level: Level):
    """Joins blocks of columns and puts the columns back into the model's own order."""
    return tf.gather(tf.concat(parts, axis=1), np.argsort(level.units).astype(np.int32), axis=1)


def _log_prob(blocks: list[_Block], params: list, values: list):
    """Adds up the conditionals' log-probabilities: nats, `[n]`."""
    parts = [
        tf.reduce_sum(block.family.log_prob(p, x), axis=1)
        for block, p, x in zip(blocks, params, values, strict=True)
    ]
    return tf.add_n(parts)
