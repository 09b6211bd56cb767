"""The initializer that starts a kernel on its mask."""

from __future__ import annotations

import keras

from made_tf.constraints import KernelMask

__all__ = ["MaskedInitializer"]


@keras.saving.register_keras_serializable(package="made_tf")
class MaskedInitializer(keras.initializers.Initializer):
    """Draws from another initializer and sets to zero what the degrees forbid.

    Args:
        initializer: the Keras initializer (object, name or config) to draw from.
        in_degrees: integer degrees of the incoming units, shape `[in]`.
        out_degrees: integer degrees of the outgoing units, shape `[out]`.
        strict: whether a connection needs `out > in` instead of `out >= in`.
    """

    def __init__(self, initializer, in_degrees, out_degrees, strict=False):
        self.initializer = keras.initializers.get(initializer)
        self.mask = KernelMask(in_degrees, out_degrees, strict)

    def __call__(self, shape, dtype=None):
        return self.mask.apply(self.initializer(shape, dtype=dtype))

    def get_config(self):
        return {
            "initializer": keras.initializers.serialize(self.initializer),
            **self.mask.get_config(),
        }
