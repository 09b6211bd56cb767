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

import keras
import numpy as np
import tensorflow as tf

from made_tf.masks import Degrees
from made_tf.models.made import MADE
from made_tf.sampling.arrangement import Arrangement, arrange, arrange_plan
from made_tf.sampling.block import Block, columns_of, drawer_at, join, make_block
from made_tf.sampling.block_length import RuntimeName, make_plan
from made_tf.sampling.plan import SamplingPlan
from made_tf.sampling.recursion import for_each_block
from made_tf.sampling.sorted_weights import FrozenWeights, SortedLayer, Weights, sort_layers

__all__ = ["BlockedNetwork", "any_order_plan"]


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

    Attributes:
        plan: how the rows are cut.
        weights: what reads the model's weights.
        family: the model's family, its weights frozen where the others are.

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
        self.weights = FrozenWeights(model) if frozen else Weights(model)
        self.family = self.weights.family
        runtime: RuntimeName = "device" if frozen else "host"
        self._sorting: _OwnOrder | _AnyOrder
        if any_mask:
            self.plan = any_order_plan(model, block_length, batch_size, runtime)
            self._sorting = _AnyOrder(model, self.plan, self.weights)
        else:
            layout, direct = model.conditionals.layout, model.direct_connections
            arguments = block_length, batch_size, runtime, direct, _late(model)
            self.plan = make_plan(model.degrees, layout, *arguments)
            self._sorting = _OwnOrder(self.plan, self.weights, frozen)

    def sample(self, uniforms, degrees=None, given=None, temperature=None, vectors=None):
        """Draws the rows that the uniforms stand for.

        Args:
            uniforms: float32 `[n, U]`, strictly between 0 and 1, as many as the family's
                `num_uniforms`; column k decides variable k.
            degrees: the mask set, for a network of `any_mask`.
            given: what is known of the rows (`made_tf.sampling.known`).
            temperature: T, float32 `[n]`: each conditional is taken to the
                power 1 / T.
            vectors: of a model with a context, `MADE.encode_context` of the rows, `[n, W]`; of one
                that reads evidence its `evidence_vectors`, or `None` where nothing is known.

        Returns:
            Values, float32 `[n, D]`.

        Raises:
            tf.errors.InvalidArgumentError: where a weight is not finite (under
                XLA, which has no assertions, and with frozen weights: not).
        """
        noise = self.family.noise(uniforms)
        return self.transform(noise, degrees, given, temperature, vectors)

    def transform(self, noise, degrees=None, given=None, temperature=None, vectors=None):
        """As `sample`, from what the family's `noise` makes of uniforms."""
        arrangement = self._sorting.arrangement(degrees)
        values, _ = self._generate(noise, arrangement, vectors, given, temperature)
        return arrangement.restore(values)

    def sample_and_log_prob(self, uniforms, degrees=None, vectors=None):
        """Returns the rows `[n, D]` and, from the same pass, their log-probabilities `[n]`."""
        arrangement = self._sorting.arrangement(degrees)
        values, params = self._generate(self.family.noise(uniforms), arrangement, vectors)
        return arrangement.restore(values), self._total(values, params, arrangement)

    def sample_and_log_weight(self, uniforms, given, degrees=None, vectors=None):
        """Returns rows `[n, D]` that agree with what is given, and their log-weights `[n]`."""
        arrangement = self._sorting.arrangement(degrees)
        noise = self.family.noise(uniforms)
        values, params = self._generate(noise, arrangement, vectors, given)
        family = self.family.select(arrangement.variables)
        log_weight = given.map(arrangement.sort).log_weight(family, params, values)
        return arrangement.restore(values), log_weight

    def log_prob(self, x, degrees=None, vectors=None):
        """Returns the log-probability of each row in nats: `[n, D]` -> `[n]`."""
        arrangement = self._sorting.arrangement(degrees)
        values, params = self._score(x, arrangement, vectors)
        return self._total(values, params, arrangement)

    def parameters(self, x, degrees=None, vectors=None):
        """Returns the conditionals' parameters: `[n, D]` -> `[n, P]`."""
        arrangement = self._sorting.arrangement(degrees)
        return arrangement.restore_parameters(self._score(x, arrangement, vectors)[1])

    def _total(self, values, params, arrangement: Arrangement):
        family = self.family.select(arrangement.variables)
        return tf.reduce_sum(family.log_prob(params, values), axis=1)

    def _generate(
        self, noise, arrangement: Arrangement, vectors=None, given=None, temperature=None
    ):
        """Returns values `[n, D]` and parameters `[n, P]`, both in the order of generation."""
        self.weights.check(vectors)
        noise = arrangement.sort(noise)
        if given is not None:
            given = given.map(arrangement.sort)
        layers = self._layers(arrangement, vectors)
        values, params = [], []
        draw = None if temperature is None else drawer_at(temperature[:, None])

        def leaf(index: int, starts: list):
            places = self.plan.variables.span(index, index + 1)
            transform = draw
            if given is not None:
                transform = given.map(lambda part: columns_of(part, places)).transform
            block = self._block(layers, index, arrangement, transform)
            x, units, block_params = block.solve(starts, columns_of(noise, places))
            values.append(x)
            params.append(block_params)
            return units

        for_each_block(self.plan, layers, leaf)
        return join(values), join(params)

    def _score(self, x, arrangement: Arrangement, vectors=None):
        """Returns values `[n, D]` and parameters `[n, P]`, both in the order of generation."""
        values = arrangement.sort(x)
        layers = self._layers(arrangement, vectors)
        params = []

        def leaf(index: int, starts: list):
            x = columns_of(values, self.plan.variables.span(index, index + 1))
            units, block_params = self._block(layers, index, arrangement).finish(starts, x)
            params.append(block_params)
            return units

        features = self.family.select(arrangement.variables).encode(values)
        for_each_block(self.plan, layers, leaf, features)
        return values, join(params)

    def _layers(self, arrangement: Arrangement, vectors) -> list[SortedLayer]:
        vectors = self.weights.nothing_known() if vectors is None else vectors
        return [layer.given(vectors) for layer in self._sorting.layers(arrangement)]

    def _block(
        self, layers: list[SortedLayer], index: int, arrangement: Arrangement, transform=None
    ) -> Block:
        triangles = [
            tuple((source, kernel.triangle(index)) for source, kernel in layer.sources)
            for layer in layers
        ]
        variables = arrangement.variables[self.plan.variables.span(index, index + 1)]
        return make_block(self._model, self.family, variables, triangles, transform)


class _OwnOrder:
    """The units of a network sorted for the model's own mask set."""

    def __init__(self, plan: SamplingPlan, weights: Weights, frozen: bool):
        self._plan, self._weights = plan, weights
        self._arrangement = arrange_plan(plan)
        self._sorted = self._sort() if frozen else None

    def arrangement(self, degrees) -> Arrangement:
        del degrees  # there are no others
        return self._arrangement

    def layers(self, arrangement: Arrangement) -> list[SortedLayer]:
        del arrangement
        return self._sorted or self._sort()

    def _sort(self) -> list[SortedLayer]:
        return sort_layers(self._weights.read(), self._plan, self._arrangement, transposed=False)


class _AnyOrder:
    """The units of a network sorted in the graph, at each call, for the mask set that it names."""

    def __init__(self, model: MADE, plan: SamplingPlan, weights: Weights):
        self._layout = model.conditionals.layout
        self._plan, self._weights = plan, weights

    def arrangement(self, degrees) -> Arrangement:
        return arrange(self._layout, degrees)

    def layers(self, arrangement: Arrangement) -> list[SortedLayer]:
        return sort_layers(self._weights.read(), self._plan, arrangement, transposed=True)


def any_order_plan(
    model: MADE, block_length: int | None, batch_size: int | None, runtime: RuntimeName
) -> SamplingPlan:
    """Returns a plan for all mask sets of a model, which are alike once their units are sorted."""
    degrees = Degrees(
        np.arange(1, model.event_size + 1), tuple(np.sort(level) for level in model.degrees.hidden)
    )
    layout, direct = model.conditionals.layout.padded(), model.direct_connections
    return make_plan(degrees, layout, block_length, batch_size, runtime, direct, _late(model))


def _late(model: MADE) -> float:
    """Returns the share of variables that settle late."""
    return float(model.conditionals.settles_late.mean())
