"""Sampling and scoring for rows that have an order each.

Kernels cannot be sorted once for all rows here. But the hidden units, which all
rows share, can; and with them in the order of their degrees a block of units
reads, of each row, the variables that its order places before the block, whole,
and those within the block through a small triangle. So one dense product over
all variables serves all rows, with zeros for what is not known yet, and only
the triangles are gathered row by row. What the mask itself adds (`mask_weights`)
is read likewise, as a kernel over inputs that are 1 where something is known.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from made_tf.conditionals.layout import Segments
from made_tf.masks import degrees_to_mask
from made_tf.models.made import MADE
from made_tf.sampling.arrangement import Arrangement, arrange
from made_tf.sampling.block import Block, make_block
from made_tf.sampling.blocked_network import any_order_plan
from made_tf.sampling.sorted_weights import (
    Kernel,
    Matrix,
    SortedLayer,
    Stored,
    Weights,
    sort_layers,
)

__all__ = ["RowOrderNetwork"]


@dataclasses.dataclass(eq=False)
class _Drawn:
    """What the blocks so far have given, in the model's own order of variables.

    Attributes:
        values: `[n, D]`, 0 where nothing is drawn yet.
        features: `[n, F]`, 0 where nothing is drawn yet.
        flags: `[n, F]`, 1 where something is.
        units: of each hidden layer the blocks' units, `[n, ...]` each.
        parameters: what all of it gives to all parameters, `[n, P]`.
    """

    values: Any
    features: Any
    flags: Any
    units: list[list]
    parameters: Any

    def before(self, level: int):
        """Returns what the next block's hidden layer reads of earlier blocks; `None` if nothing."""
        if level == 0:
            return self.features
        return tf.concat(self.units[level - 1], axis=1) if self.units[level - 1] else None

    def next_columns(self, source: int, kernel: Kernel, read):
        """Returns the weights `[P, in]` of what a block has found at a level: `read`, `[n, in]`."""
        if source == 0:
            return kernel.weights
        start = sum(part.shape[1] for part in self.units[source - 1])
        return kernel.weights[:, start : start + read.shape[1]]


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

    Args:
        model: the model; its weights are read at each call.
        block_length: how many variables a block has; `None` chooses.
        batch_size: for how many rows at a time `None` chooses.
    """

    def __init__(self, model: MADE, block_length: int | None = None, batch_size: int | None = None):
        self._model = model
        self._family = model.conditionals
        self._typical = model.conditionals.typical()
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
        variables = tf.argsort(orders, axis=1, stable=True)
        noise = _by_row(noise, variables)
        given = given.map(lambda part: _by_row(part, variables))

        def draw(place: _Place, triangles: list, starts: list):
            known = given.map(lambda part: part[:, place.span])
            block = self._block(place, triangles, known.transform)
            return block.solve(starts, noise[:, place.span])

        return self._each_block(draw, orders, variables, hidden, vectors)[0]

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
        variables = tf.argsort(orders, axis=1, stable=True)
        # What is not known comes last, where it changes nothing that counts.
        whole = tf.where(known.observed > 0, known.values, self._typical[None])
        values = _by_row(whole, variables)

        def score(place: _Place, triangles: list, starts: list):
            x = values[:, place.span]
            return x, *self._block(place, triangles).finish(starts, x)

        _, params = self._each_block(score, orders, variables, hidden, vectors)
        family = self._family.select(variables)
        counted = known._replace(observed=_by_row(asked, variables))
        return counted.log_weight(family, params, values)

    def _block(self, place: _Place, triangles: list, transform=None) -> Block:
        return make_block(self._model, self._family, place.variables, triangles, transform)

    def _each_block(self, solve: Callable, orders, variables, hidden: list, vectors):
        """Passes rows through, block by block.

        Args:
            solve: (place, triangles, starts) -> values, units by level and parameters of a block.
            orders: int32 `[n, D]`.
            variables: the order of generation, int32 `[n, D]`.
            hidden: as in `sample_each`.
            vectors: likewise.

        Returns:
            Values `[n, D]`, and sorted row by row parameters `[n, P]`.
        """
        self._weights.check(vectors)
        order = np.arange(1, self._model.event_size + 1, dtype=np.int32)
        natural = arrange(self._family.layout, [order, *hidden])
        layers, masks = self._sorted(natural, vectors)
        family = self._family.select(natural.variables)
        nothing = tf.zeros(tf.shape(orders), tf.float32)
        no_features = tf.zeros([tf.shape(orders)[0], len(self.plan.features.units)])
        drawn = _Drawn(
            values=nothing,
            features=no_features,
            flags=no_features,
            units=[[] for _ in layers[:-1]],
            parameters=nothing[:, :1] + layers[-1].bias,
        )
        params = []
        for index in range(self.plan.num_blocks):
            place = self._place(index, variables)
            starts = self._with_masks(masks, self._starts(layers, drawn, place), drawn, place)
            x, found, block_params = solve(place, self._triangles(layers, place), starts)
            params.append(block_params)
            self._carry(layers, masks, drawn, family, orders - 1 - place.span.start, x, found)
        return drawn.values, tf.concat(params, axis=1)

    def _sorted(self, natural: Arrangement, vectors) -> tuple[list[SortedLayer], list[SortedLayer]]:
        """Returns the layers, and those of the mask's own kernels whose mask differs by row."""
        stored = self._weights.read()
        last = len(stored) - 1
        layers, masks = [], []
        for level, weights in enumerate(stored):
            by_row = [each for each in weights.mask_kernels if each[0] == 0 or level == last]
            shared = [each for each in weights.mask_kernels if each not in by_row]
            layers.append(dataclasses.replace(weights, mask_kernels=tuple(shared)))
            masks.append(Stored(tuple(by_row), (), ()))
        sort = functools.partial(sort_layers, plan=self.plan, arrangement=natural, transposed=True)
        return [layer.given(vectors) for layer in sort(layers)], sort(masks)

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

    def _with_masks(
        self, masks: list[SortedLayer], starts: list, drawn: _Drawn, place: _Place
    ) -> list:
        """Adds what the mask gives to a block's units, and to its parameters within the block."""
        starts = list(starts)
        for level, layer in enumerate(masks):
            for source, kernel in layer.sources:
                if starts[level] is None:
                    continue
                triangle = self._triangle(source, kernel, place).weights  # [.., out, in]
                if 0 not in triangle.shape:
                    starts[level] += tf.reduce_sum(triangle, axis=-1)
                if level < len(masks) - 1:
                    units = kernel.outputs.span(place.index, place.index + 1)
                    starts[level] += tf.matmul(drawn.flags, kernel.weights[units], transpose_b=True)
        return starts

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
        self,
        layers: list[SortedLayer],
        masks: list[SortedLayer],
        drawn: _Drawn,
        family,
        local,
        x,
        found: list,
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
            read = new if source == 0 else found[source]
            if read is not None:
                weights = drawn.next_columns(source, kernel, read)
                drawn.parameters += tf.matmul(read, weights, transpose_b=True)
        for source, kernel in masks[-1].sources:  # whose inputs are 1 where something is known
            if source == 0:
                drawn.parameters += tf.matmul(of_block, kernel.weights, transpose_b=True)
            elif found[source] is not None:
                weights = drawn.next_columns(source, kernel, found[source])
                drawn.parameters += tf.reduce_sum(weights, axis=1)
        drawn.features += new
        drawn.flags += of_block
        for units, of_level in zip(drawn.units, found[1:], strict=True):
            if of_level is not None:
                units.append(of_level)


def _by_row(values, index):
    return tf.gather(values, index, axis=1, batch_dims=1)


def _entries(side: Segments, variables):
    """The features (or parameters) of variables `[n, B]`: `[n, B count]`."""
    units = tf.gather(side.table, variables)
    return tf.reshape(units, [-1, variables.shape[1] * side.largest])
