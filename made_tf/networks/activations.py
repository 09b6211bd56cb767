"""Activations that act on each unit alone."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

__all__ = ["elementwise"]


def elementwise(activation) -> Callable:
    """Returns an activation that acts on each unit alone.

    Anything else (softmax, a normalising layer) would connect units past the
    masks.

    Raises:
        ValueError: if it is unknown, mixes units, or cannot be saved.
    """
    received = f"Received: activation={activation!r}"
    if isinstance(activation, keras.layers.Layer) or (
        getattr(activation, "__name__", "") == "<lambda>"
    ):
        raise ValueError(
            "`activation` must be a name or a named function (register your own with "
            f"keras.saving.register_keras_serializable, so that models load). {received}"
        )
    probe = np.array([[0.1, -0.4, 0.7, 0.3], [1.9, -0.4, 0.7, 0.3]], np.float32)
    try:
        function = keras.activations.get(activation)
        values = ops.convert_to_numpy(function(ops.convert_to_tensor(probe)))
    except (TypeError, ValueError) as error:
        raise ValueError(f"`activation` must be a Keras activation. {received}") from error
    if values.shape != probe.shape or not np.array_equal(values[0, 1:], values[1, 1:]):
        raise ValueError(
            f"`activation` must act on each unit alone: mixing units would bypass the masks. "
            f"{received}"
        )
    return function
