"""The contexts of a distribution: their batch shape, and what a model makes of them."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from made_tf.models.density_model import DensityModel

__all__ = ["Contexts", "contexts_of"]


class Contexts:
    """The contexts of a batch of distributions over rows.

    Args:
        model: a model with a context; its weights are read at each call.
        context: of a vector context `[..., W]`; of a Keras model what it takes, with the batch
            shape in place of the rows.

    Attributes:
        batch_shape: the static shape of the batch.
        event_ndims: the ranks of a context without its batch shape, in the structure of `context`.

    Raises:
        ValueError: if it has another width, or parts of different batch shapes.
    """

    def __init__(self, model: DensityModel, context: Any):
        self._model = model
        encoder = model.conditioning.encoder
        if encoder is None:
            ranks = [1]
            width = model.conditioning.size
            if context.shape.rank == 0 or context.shape[-1] not in (None, width):
                raise ValueError(
                    f"`context` must have the shape [..., {width}]. "
                    f"Received: context.shape={tuple(context.shape)}"
                )
        else:
            ranks = [len(each.shape) - 1 for each in encoder.inputs]
        self._parts = keras.tree.flatten(context)
        shapes = [
            part.shape[: part.shape.rank - rank]
            for part, rank in zip(self._parts, ranks, strict=True)
        ]
        if any(part.shape.rank < rank for part, rank in zip(self._parts, ranks, strict=True)) or (
            any(not shape.is_compatible_with(shapes[0]) for shape in shapes)
        ):
            raise ValueError(
                "`context` must have parts of one batch shape, each before the shape that the "
                f"Keras model takes. Received: shapes {[tuple(part.shape) for part in self._parts]}"
            )
        self._structure, self._ranks = context, ranks
        self.batch_shape = shapes[0]
        self.event_ndims = keras.tree.pack_sequence_as(context, ranks)

    def batch_shape_tensor(self):
        """Returns the shape of the batch, int32."""
        rank = self.batch_shape.rank
        return tf.shape(self._parts[0])[:rank]

    def vectors(self):
        """Returns what the layers see: float32 `[B, W]`, B contexts in all."""
        flat = []
        for part, rank in zip(self._parts, self._ranks, strict=True):
            own = tf.shape(part)[part.shape.rank - rank :]
            rows = tf.reshape(part, tf.concat([[-1], own], 0))
            flat.append(tf.ensure_shape(rows, [None, *part.shape[part.shape.rank - rank :]]))
        context = keras.tree.pack_sequence_as(self._structure, flat)
        return self._model.encode_context(context)


def contexts_of(model: DensityModel, context: Any) -> Contexts | None:
    """Returns the contexts of a distribution; `None` for a model without a context.

    Raises:
        ValueError: if the context is missing, given to a model without one, or does not suit it.
    """
    if model.conditioning is None:
        if context is not None:
            raise ValueError(
                "`context` must be None: the model was made without one. "
                f"Received: context of type {type(context).__name__}"
            )
        return None
    if context is None:
        raise ValueError(
            "`context` must be given: this is a model of p(x | context), with "
            f"{model.conditioning.describe()}"
        )
    return Contexts(model, context)
