"""The context as a file takes it: one input of float32, and the Keras model that reads it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.export.frozen import frozen
from made_tf.models.context import check_presence
from made_tf.models.density_model import DensityModel
from made_tf.models.made import MADE
from made_tf.portable.arrays import FloatArray
from made_tf.portable.rows import plain_array

__all__ = ["check_contexts", "context_shape", "encoder_of", "example_contexts"]


def context_shape(model: DensityModel) -> tuple[int, ...] | None:
    """Returns the shape of one row's context in a file; `None` for a model without a context.

    Raises:
        ValueError: if the model's encoder has several inputs, or one of unknown shape.
    """
    if model.conditioning is None:
        return None
    encoder = model.conditioning.encoder
    if encoder is None:
        return (model.conditioning.size,)
    shapes = [tuple(each.shape[1:]) for each in encoder.inputs]
    is_numeric = all(each.dtype.startswith(("float", "int", "uint")) for each in encoder.inputs)
    if len(shapes) != 1 or None in shapes[0] or not shapes[0] or not is_numeric:
        raise ValueError(
            "`model` must encode its context from one input of numbers, of known shape "
            "[rows, ...], to be exported: put several side by side, and let the Keras model take "
            "them apart. "
            f"Received: inputs of shapes {shapes}"
        )
    return shapes[0]


def encoder_of(model: MADE) -> Callable:
    """Returns a function from a file's context, float32 `[n, ...]`, to what the layers see.

    The encoder's weights are frozen into it: a file has no variables.
    """
    shape = context_shape(model)
    if shape is None or model.conditioning.encoder is None:
        return lambda context: context
    dtype = model.conditioning.encoder.inputs[0].dtype
    return frozen(
        lambda context: model.encode_context(tf.cast(context, dtype)),
        [tf.TensorSpec([None, *shape], tf.float32)],
        model.conditioning.size,
    )


def check_contexts(model: DensityModel, context: npt.ArrayLike) -> FloatArray:
    """Returns contexts as a file takes them, `[N, ...]`.

    Raises:
        ValueError: if they have another shape or are not finite.
    """
    check_presence(model.conditioning, context)
    shape = context_shape(model) or ()
    values = np.asarray(plain_array("context", context), np.float32)
    if values.shape[1:] != shape or not len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"`context` must be finite, of shape {['rows', *shape]}. "
            f"Received: context.shape={values.shape}"
        )
    return values


def example_contexts(model: DensityModel, num_rows: int, seed: int) -> FloatArray | None:
    """Returns contexts to compare a file with its model by, where none are given.

    Normal numbers; between 0 and 1 for an encoder, which may know few integers.
    """
    shape = context_shape(model)
    if shape is None:
        return None
    rng = np.random.default_rng(seed)
    make = rng.normal if model.conditioning.encoder is None else rng.uniform
    return make(size=(num_rows, *shape)).astype(np.float32)
