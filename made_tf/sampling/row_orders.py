"""Sampling and scoring for rows that have an order each.

Kernels cannot be sorted once for all rows here. But the hidden units, which all
rows share, can; and with them in the order of their degrees a block of units
reads, of each row, the variables that its order places before the block, whole,
and those within the block through a small triangle. So one dense product over
all variables serves all rows, with zeros for what is not known yet, and only
the triangles are gathered row by row.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from made_tf.conditionals.layout import Segments
from made_tf.masks import degrees_to_mask
from made_tf.models.made import MADE
from made_tf.sampling.arrangement import arrange
from made_tf.sampling.block import make_block
from made_tf.sampling.blocked_network import any_order_plan
from made_tf.sampling.sorted_weights import Kernel, Matrix, SortedLayer, Weights, sort_layers

__all__ = ["RowOrderNetwork"]


@dataclasses.dataclass(eq=False)
class _Drawn:
    """What the blocks so far have given, in the model's own order of variables.

    Attributes:
        values: `[n, D]`, 0 where nothing is drawn yet.
        features: `[n, F]`, 0 where nothing is drawn yet.
        units: of each hidden layer the blocks' units, `[n, ...]` each.
        parameters: what all of it gives to all parameters, `[n, P]`.
    """

    values: Any
    features: Any
    units: list[list]
    parameters: Any

    def before(self, level: int):
        """Returns what the next block's hidden layer reads of earlier blocks; `None` if nothing."""
        if level == 0:
            return self.features
        return tf.concat(self.units[level - 1], axis=1) if self.units[level - 1] else None


@dataclasses.dataclass(frozen=True, eq=False)
class _Place:
    """A block's part of every row.

    Attributes:
        index: the block's number.
        span: its places in the order of generation.
        variables: which variables these are, int32 `[n, B]`.
        inputs: their features, int32 `[n, B S]`.
        outputs: their parameters, int32 `[n, B T]`.
    """

    index: int
    span: slice
    variables: Any
    inputs: Any
    outputs: Any


class RowOrderNetwork:
    """A MADE cut into blocks, for rows that have an order each.

    For a model without `mask_weights`, whose biases would differ by row.

    Args:
        model: the model; its weights are read at each call.
        block_length: how many variables a block has; `None` chooses.
        batch_size: for how many rows at a time `None` chooses.
    """

    def __init__(self, model: MADE, block_length: int | None = None, batch_size: int | None = None):
        self._model = model
        self._family = model.conditionals
        self._padded = model.conditionals.layout.padded()
        self._weights = Weights(model)
        self.plan = any_order_plan(model, block_length, batch_size, "host")

    def sample_each(self, uniforms, orders, hidden: list, given, vectors=None):
        """Draws rows, each under its own order.

        Args:
            uniforms: float32 `[n, U]`, see `BlockedNetwork.sample`.
            orders: degrees of the inputs, int32 `[n, D]`.
            hidden: degrees of the hidden layers, int32 `[units]` each.
            given: what is known of each row (`made_tf.sampling.known`).
            vectors: as in `BlockedNetwork.sample`.

        Returns:
            Values, float32 `[n, D]`.
        """
        noise = self._family.noise(uniforms)
        return self._generate_each(noise, orders, hidden, given, vectors)[0]

    def log_prob_each(self, orders, hidden: list, known, asked, vectors=None):
        """Scores some variables of rows, each under its own order.

        Args:
            orders: int32 `[n, D]`, what is known first.
            hidden: as in `sample_each`.
            known: a `KnownValues`: the values asked about and those before them.
            asked: float32 `[n, D]`, 1 for the variables that count.
            vectors: as in `BlockedNetwork.sample`.

        Returns:
            The sum of their log p(x_k | those before), float32 `[n]`, in nats.
        """
        size = self._family.num_uniforms
        anything = tf.zeros_like(known.values[:, :1]) + np.full(size, 0.5, np.float32)
        noise = self._family.noise(anything)  # for what is not known
        found = self._generate_each(noise, orders, hidden, known, vectors)
        values, params, variables = found
        family = self._family.select(variables)
        counted = known._replace(observed=_by_row(asked, variables))
        return counted.log_weight(family, params, _by_row(values, variables))

    def _generate_each(self, noise, orders, hidden: list, given, vectors):
        """Returns values `[n, D]`, and sorted row by row parameters `[n, P]` and variables."""
        self._weights.check(vectors)
        order = np.arange(1, noise.shape[1] + 1, dtype=np.int32)
        natural = arrange(self._family.layout, [order, *hidden])
        layers = sort_layers(self._weights.read(), self.plan, natural, transposed=True)
        layers = [layer.given(vectors) for layer in layers]
        family = self._family.select(natural.variables)
        variables = tf.argsort(orders, axis=1, stable=True)
        noise = _by_row(noise, variables)
        given = given.map(lambda part: _by_row(part, variables))
        drawn = _Drawn(
            values=tf.zeros(tf.shape(noise)[:2]),
            features=tf.zeros([tf.shape(noise)[0], len(self.plan.features.units)]),
            units=[[] for _ in layers[:-1]],
            parameters=tf.zeros([tf.shape(noise)[0], 1]) + layers[-1].bias,
        )
        params = []
        for index in range(self.plan.num_blocks):
            place = self._place(index, variables)
            starts = self._starts(layers, drawn, place)
            triangles = self._triangles(layers, place)
            known = given.map(lambda part, span=place.span: part[:, span])
            block = make_block(
                self._model, self._family, place.variables, triangles, known.transform
            )
            x, found, block_params = block.solve(starts, noise[:, place.span])
            params.append(block_params)
            self._carry(layers, drawn, family, orders - 1 - place.span.start, x, found)
        return drawn.values, tf.concat(params, axis=1), variables

    def _place(self, index: int, variables) -> _Place:
        span = self.plan.variables.span(index, index + 1)
        own = variables[:, span]
        inputs, outputs = (
            _entries(side, own) for side in (self._padded.features, self._padded.parameters)
        )
        return _Place(index, span, own, inputs, outputs)

    def _starts(self, layers: list[SortedLayer], drawn: _Drawn, place: _Place) -> list:
        """What earlier blocks give to each layer of a block."""
        starts = []
        for level, layer in enumerate(layers[:-1]):
            ((_, kernel),) = layer.sources
            before, bias = drawn.before(level), layer.bias_of(place.index)
            if bias is not None and before is not None:
                weights = kernel.weights[kernel.outputs.span(place.index, place.index + 1)]
                weights = weights[:, : before.shape[1]]  # [units of the block, in]
                bias = bias + tf.matmul(before, weights, transpose_b=True)
            starts.append(bias)
        return [*starts, _by_row(drawn.parameters, place.outputs)]

    def _triangles(self, layers: list[SortedLayer], place: _Place) -> list:
        """The block's own kernels, masked: of each layer (level, kernel)."""
        triangles = []
        for layer in layers:
            own = [
                (source, self._triangle(source, kernel, place)) for source, kernel in layer.sources
            ]
            triangles.append(tuple(own))
        return triangles

    def _triangle(self, source: int, kernel: Kernel, place: _Place) -> Matrix:
        if source > 0 and not kernel.strict:  # between hidden layers: the same for all rows
            return kernel.triangle(place.index)
        rows, columns = (
            side.span(place.index, place.index + 1) for side in (kernel.inputs, kernel.outputs)
        )
        mask = degrees_to_mask(
            kernel.inputs.degrees[rows], kernel.outputs.degrees[columns], kernel.strict
        ).T
        if 0 in mask.shape:
            return Matrix(np.zeros(mask.shape, np.float32), True)
        if not kernel.strict:  # [units, F]: columns by row
            own = tf.transpose(
                tf.gather(tf.transpose(kernel.weights[columns]), place.inputs), [0, 2, 1]
            )
        elif source > 0:  # [P, units]: rows by row
            own = tf.gather(kernel.weights[:, rows], place.outputs)
        else:  # [P, F]: both
            entries = place.outputs[:, :, None] * kernel.weights.shape[1] + place.inputs[:, None]
            own = tf.gather(tf.reshape(kernel.weights, [-1]), entries)
        return Matrix(tf.where(mask, own, 0.0), True)

    def _carry(
        self, layers: list[SortedLayer], drawn: _Drawn, family, local, x, found: list
    ) -> None:
        """Adds a solved block: its values `[n, B]` are those of the places `local` 0 to B - 1."""
        length = x.shape[1]
        here = tf.logical_and(local >= 0, local < length)
        drawn.values = tf.where(
            here, _by_row(x, tf.clip_by_value(local, 0, length - 1)), drawn.values
        )
        of_block = tf.repeat(tf.cast(here, tf.float32), self._padded.features.largest, axis=1)
        new = family.encode(drawn.values) * of_block
        for source, kernel in layers[-1].sources:
            if source == 0:
                drawn.parameters += tf.matmul(new, kernel.weights, transpose_b=True)
            elif found[source] is not None:
                start = sum(part.shape[1] for part in drawn.units[source - 1])
                columns = slice(start, start + found[source].shape[1])
                weights = kernel.weights[:, columns]
                drawn.parameters += tf.matmul(found[source], weights, transpose_b=True)
        drawn.features += new
        for units, of_level in zip(drawn.units, found[1:], strict=True):
            if of_level is not None:
                units.append(of_level)


def _by_row(values, index):
    return tf.gather(values, index, axis=1, batch_dims=1)


def _entries(side: Segments, variables):
    """The features (or parameters) of variables `[n, B]`: `[n, B count]`."""
    units = tf.gather(side.table, variables)
    return tf.reshape(units, [-1, variables.shape[1] * side.largest])
