"""The masked layers of one network, put together, and the way of values through them."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from made_tf.networks.evidence_encoder import EvidenceEncoder
from made_tf.networks.masked_dense import MaskedDense
from made_tf.networks.shared_dense import SharedDense

__all__ = ["Assembly", "are_twins"]


class Assembly:
    """Hidden layers, the output, direct connections, dropout; from features to parameters.

    The layers belong to the model, under whose attributes its files know them; this is how they
    work together.

    Args:
        settings: the model's record of settings.
        policy: the dtype policy of the hidden layers.

    Attributes:
        hidden: a `MaskedDense` for each hidden layer.
        output: the layer of the parameters; `None` without hidden layers.
        direct: from features straight to parameters; `None` without such connections.
        dropout: what drops hidden units, a layer each; none without dropout.
        context: what adds the context, or what `evidence` gives, to each hidden layer and to the
            output, none without it.
        evidence: the layers that read what is known of a row; `None` without such.
        input_dropout: what hides variables, or `None`.
    """

    def __init__(self, settings: Any, policy: Any):
        self._degrees, self._layout = settings.degrees, settings.conditionals.layout
        self._residual, self._vector_size = settings.residual, settings.vector_size
        self._may_change = not settings.mask_sets.is_fixed
        # Parameters of a density need float32 even where hidden layers compute in half.
        mixed = policy.compute_dtype != policy.variable_dtype
        to_parameters = {"strict": True, "dtype": policy.variable_dtype if mixed else policy}
        to_units = {"mask_weights": settings.mask_weights} if self._may_change else {}
        make = SharedDense if self._may_change else MaskedDense

        def masked(in_degrees, out_degrees, **kwargs) -> MaskedDense:
            initializer = settings.kernel_initializer
            return make(
                in_degrees,
                out_degrees,
                kernel_initializer=_fresh(initializer),
                kernel_regularizer=settings.kernel_regularizer,
                **kwargs,
            )

        features = self._layout.features.repeat(self._degrees.inputs)
        parameters = self._layout.parameters.repeat(self._degrees.inputs)
        levels = [features, *self._degrees.hidden]
        self.hidden = [
            masked(
                *ends,
                activation=settings.activation,
                dtype=policy,
                name=f"hidden_{index}",
                **to_units,
            )
            for index, ends in enumerate(itertools.pairwise(levels), start=1)
        ]
        self.output = self.direct = None
        if self.hidden:
            self.output = masked(levels[-1], parameters, name="output", **to_parameters, **to_units)
        if settings.direct_connections:
            own_bias = self.output is None
            self.direct = masked(
                features, parameters, use_bias=own_bias, name="direct", **to_parameters
            )
        self.dropout = [
            keras.layers.Dropout(settings.dropout, dtype=policy, name=f"dropout_{index + 1}")
            for index in range(len(self.hidden) if settings.dropout else 0)
        ]
        self.context = []
        if settings.vector_size:
            # Of degree 0: every unit and every output may see all of it.
            last: Any = self.direct if self.output is None else self.output
            self.context = [
                keras.layers.Dense(
                    layer.units,
                    use_bias=False,
                    kernel_initializer=_fresh(settings.kernel_initializer),
                    kernel_regularizer=settings.kernel_regularizer,
                    dtype=layer.dtype_policy,
                    name=f"context_{layer.name}",
                )
                for layer in (*self.hidden, last)
            ]
        self.evidence = None
        if settings.evidence_units:
            self.evidence = EvidenceEncoder(
                settings.evidence_units,
                self._layout,
                settings.dropout,
                activation=settings.activation,
                kernel_initializer=functools.partial(_fresh, settings.kernel_initializer),
                kernel_regularizer=settings.kernel_regularizer,
                dtype=policy,
            )
        self.input_dropout = None
        if settings.input_dropout:
            self.input_dropout = keras.layers.Dropout(
                settings.input_dropout, dtype=policy.variable_dtype, name="input_dropout"
            )

    def build(self) -> None:
        """Makes the variables of the layers that have none yet."""
        layers = [(layer, layer.mask.shape[0]) for layer in self.masked_layers()]
        layers += [(layer, self._vector_size) for layer in self.context]
        for layer, width in layers:
            if layer.built:
                continue
            layer.build((None, width))
            if self._residual and layer in self.hidden[1:] and not layer.quantized:
                # Sums of many layers then start as large as one of two layers is (Zhang, Dauphin
                # and Ma 2019, Fixup initialization, arXiv:1901.09321, section 2).
                layer.kernel.assign(layer.kernel * (len(self.hidden) - 1) ** -0.5)
        if self.evidence is not None:
            self.evidence.build()

    def masked_layers(self) -> Iterator[MaskedDense]:
        """Yields the masked layers: hidden, output, direct."""
        yield from self.hidden
        for layer in (self.output, self.direct):
            if layer is not None:
                yield layer

    def parameters(self, features, training, degrees=None, context=None):
        """Returns the conditionals' parameters under one mask: `[N, F]` -> `[N, P]`.

        Args:
            features: of all variables, `[N, F]`.
            training: whether to drop units and hide variables.
            degrees: those of one mask set, see `MADE.call`; `None` for the model's own.
            context: what the rows are conditioned on, `[N, W]`.
        """
        if self.input_dropout is not None and training:
            kept = ops.repeat(ops.ones_like(features[:, :1]), self._layout.event_size, axis=1)
            kept = self.input_dropout(kept, training=True)
            # All features of a variable, or none.
            features = features * self._layout.features.repeat(kept)
        shifts = [layer(context) for layer in self.context] or [None] * (len(self.hidden) + 1)
        units = features
        levels = self._levels(degrees)
        for index, layer in enumerate(self.hidden):
            before, units = units, layer(units, *levels[index : index + 2], shift=shifts[index])
            if self.dropout:
                units = self.dropout[index](units, training=training)
            if self._residual and index:
                units = units + before
        parts = []
        if self.output is not None:
            parts.append(self.output(units, *levels[-2:]))
        if self.direct is not None:
            parts.append(self.direct(features, *levels[:1], *levels[-1:]))
        if self.context:
            parts.append(shifts[-1])
        # Not `ops.add`, which takes no rows of P parameters for a bias.
        return functools.reduce(operator.add, parts)  # [N, P]

    def unconditional(self, num_rows, context=None):
        """Returns the parameters of variables of which nothing is known, `[N, P]`: biases."""
        last: Any = self.direct if self.output is None else self.output
        bias = ops.convert_to_tensor(last.bias)
        if context is None:
            return ops.broadcast_to(bias, (num_rows, bias.shape[0]))
        return bias + self.context[-1](context)

    def given_one(self, features, known, context=None):
        """Returns the parameters of all variables given one, which differs from row to row.

        They are what `parameters` gives where this variable comes first in the order, and no output
        sees another one. Of the hidden units those of degree 1 alone see it and are seen.

        Args:
            features: of all variables, `[N, F]`.
            known: 1 for the variable that is known, float32 `[N, D]`.
            context: as in `parameters`.
        """
        flags = self._layout.features.repeat(known)
        features = units = features * flags
        shifts = [layer(context) for layer in self.context] or [None] * (len(self.hidden) + 1)
        below = np.arange(self._layout.features.total)
        for index, (layer, shift) in enumerate(zip(self.hidden, shifts, strict=False)):
            own = np.flatnonzero(layer.mask.out_degrees == 1)
            before, units = units, layer.part(units, flags, below, own, shift)
            if self._residual and index:
                units = units + before
            flags, below = ops.ones_like(units), own
        every = np.arange(self._layout.parameters.total)
        parts = shifts[-1:] if self.context else []
        if self.output is not None:
            parts.append(self.output.part(units, flags, below, every))
        if self.direct is not None:
            inputs = np.arange(self._layout.features.total)
            parts.append(self.direct.part(features, features, inputs, every))
        return functools.reduce(operator.add, parts)

    def _levels(self, degrees) -> list:
        """Degrees of features, hidden units and parameters; none for the layers' own."""
        if degrees is None:
            return []
        if not self._may_change:
            raise ValueError("`degrees` must be None for a model of one mask (num_masks=1).")
        inputs, *hidden = levels = [ops.cast(level, "int32") for level in degrees]
        widths = [len(level) for level in (self._degrees.inputs, *self._degrees.hidden)]
        outputs = inputs
        if len(levels) == len(widths) + 1:
            *hidden, outputs = hidden
            widths.append(widths[0])
        if self._residual:
            hidden = hidden[:1] * len(hidden)
        if [level.shape[-1] for level in levels] != widths:
            raise ValueError(
                f"`degrees` must be those of the inputs and of each hidden layer, widths {widths}. "
                f"Received shapes: {[tuple(level.shape) for level in levels]}"
            )
        layout = self._layout
        return [layout.features.repeat(inputs), *hidden, layout.parameters.repeat(outputs)]


def are_twins(levels) -> bool:
    """Returns whether there are several hidden layers, all with the same degrees."""
    return len(levels) > 1 and all(np.array_equal(level, levels[0]) for level in levels)


def _fresh(initializer):
    # One initializer object gives equal shapes equal values: each layer needs its own.
    return initializer.clone() if hasattr(initializer, "clone") else initializer
