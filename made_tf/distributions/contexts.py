"""The contexts of a distribution: their batch shape, and what a model makes of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability.python.internal import tensor_util

from made_tf.models.context import check_presence
from made_tf.models.density_model import DensityModel

__all__ = ["Contexts", "as_tensors"]


class Contexts:
    """The contexts of a batch of distributions over rows.

    Args:
        model: a model with a context; its weights are read at each call.
        context: tensors as `as_tensors` gives, of any batch shape before that of one context.

    Attributes:
        batch_shape: the static shape of the batch.
        event_ndims: the ranks of a context without its batch shape, in the structure of `context`.

    Raises:
        ValueError: if it has another width, or parts of different batch shapes.
    """

    def __init__(self, model: DensityModel, context: Any):
        self._model, self._context = model, context
        shapes: list[tf.TensorShape] = []

        def batch_shape(part, event_shape):
            shape, rank = part.shape, len(event_shape)
            if shape.rank < rank or not shape[shape.rank - rank :].is_compatible_with(event_shape):
                wanted = ", ".join(["...", *map(str, event_shape)])
                raise ValueError(
                    f"`context` must have the shape [{wanted}]. "
                    f"Received: context.shape={tuple(shape)}"
                )
            shapes.append(shape[: shape.rank - rank])
            return rank

        self.event_ndims = model.conditioning.map(batch_shape, context)
        if any(not shape.is_compatible_with(shapes[0]) for shape in shapes):
            raise ValueError(
                "`context` must have parts of one batch shape. "
                f"Received: parts of {[tuple(shape) for shape in shapes]}"
            )
        self.batch_shape = shapes[0]

    def batch_shape_tensor(self):
        """Returns the shape of the batch, int32."""
        first = keras.tree.flatten(self._context)[0]
        return tf.shape(first)[: self.batch_shape.rank]

    def broadcast(self, shape: tuple[int, ...]) -> Any:
        """Returns the contexts in a larger batch, of the known shape `shape`."""

        def larger(part, event_shape):
            rank = len(event_shape)
            part = tf.convert_to_tensor(part)
            return tf.broadcast_to(part, [*shape, *part.shape[part.shape.rank - rank :]])

        return self._model.conditioning.map(larger, self._context)

    def vectors(self):
        """Returns what the layers see: float32 `[B, W]`, B contexts in all; a list for members."""

        def flat(part, event_shape):
            part = tf.convert_to_tensor(part)
            own = part.shape[part.shape.rank - len(event_shape) :]
            rows = tf.reshape(
                part, tf.concat([[-1], tf.shape(part)[len(part.shape) - len(own) :]], 0)
            )
            return tf.ensure_shape(rows, [None, *own])

        return self._model.encode_context(self._model.conditioning.map(flat, self._context))


def as_tensors(model: DensityModel, context: Any) -> Any:
    """Returns what a distribution is conditioned on as tensors; variables stay variables.

    Args:
        model: the model.
        context: arrays, lists, tensors or variables.

    Returns:
        float32 for a vector; `None` for a model without a context.

    Raises:
        ValueError: if the context is missing, given to a model without one, or not finite.
    """
    check_presence(model.conditioning, context)
    if context is None:
        return None
    dtype = tf.float32 if model.conditioning.encoder is None else None

    def tensor(part, event_shape):
        del event_shape
        if not tf.is_tensor(part):  # a variable is one
            part = np.asarray(part)
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                raise ValueError(
                    f"`context` must be finite. Received: {part[~np.isfinite(part)][0]}"
                )
        elif dtype is not None and part.dtype != dtype:
            part = tf.cast(part, dtype)
        return tensor_util.convert_nonref_to_tensor(part, dtype)

    return model.conditioning.map(tensor, context)
