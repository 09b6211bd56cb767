"""What is known of a row, beside its chain of conditionals: a vector that every unit sees.

A chain sees of the variables before each one what it needs for p(x_k | x_<k), and of a variable
after it nothing. Evidence may be seen by all: it is no part of what is predicted. So it comes in
from the side, as a context does, through dense layers without masks, and the chain goes on in its
one order beyond it: p(x_k | x_E, x_<k) for whatever variables E are known, in one pass, under one
mask. Of a known variable the chain's own conditional tells nothing, and is not looked at.

The layers read the features of what is known, and which variables these are. A chain need not show
all variables: what is neither known nor asked for it shows as nothing, like the layers here, so
that conditionals of few variables are exact as well. A family's features should tell nothing from
every value then (hat functions do, classes do, and `Bernoulli(tells_unknown=True)`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from made_tf.conditionals.layout import Layout
from made_tf.networks.kernel_mask import masked

__all__ = ["EvidenceEncoder"]


class EvidenceEncoder:
    """Dense layers from evidence to a vector. The layers belong to the model, as `Assembly`'s do.

    Args:
        units: of each layer; from the second one on they are added to what they read, where the
            widths are equal.
        layout: of the model's family.
        dropout: the rate of dropped units.
        **options: `activation`, `kernel_initializer`, `kernel_regularizer` and `dtype`.

    Attributes:
        layers: the dense layers.
        dropout: what drops units, a layer each; none without dropout.
    """

    def __init__(self, units: Sequence[int], layout: Layout, dropout: float, **options: Any):
        self._layout = layout
        initializer = options.pop("kernel_initializer")
        self.layers = [
            keras.layers.Dense(
                width, kernel_initializer=initializer(), name=f"evidence_{number}", **options
            )
            for number, width in enumerate(units, start=1)
        ]
        self.dropout = [
            keras.layers.Dropout(dropout, dtype=options["dtype"], name=f"evidence_dropout_{number}")
            for number in range(1, len(units) + 1 if dropout else 1)
        ]

    def build(self) -> None:
        """Makes the variables of the layers."""
        width = int(self._layout.features.total) + self._layout.event_size
        for layer in self.layers:
            if not layer.built:
                layer.build((None, width))
            width = layer.units

    def vector(self, features, known, training=False):
        """Returns what every unit of the chain sees: `[N, W]`.

        Args:
            features: of all variables, `[N, F]`; anything of unknown ones.
            known: 1 for what is known, float32 `[N, D]`.
            training: whether to drop units.
        """
        shown = masked(self._layout.features.repeat(known) > 0, features)
        units = ops.concatenate([shown, known], axis=-1)
        for number, layer in enumerate(self.layers):
            before, units = units, layer(units)
            if self.dropout:
                units = self.dropout[number](units, training=training)
            if number and before.shape[-1] == units.shape[-1]:
                units = units + before
        return ops.cast(units, "float32")

    def nothing(self):
        """Returns the vector of a row of which nothing is known: `[1, W]`."""
        features = ops.zeros((1, int(self._layout.features.total)))
        return self.vector(features, ops.zeros((1, self._layout.event_size)))
