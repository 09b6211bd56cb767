"""The kernel constraint that keeps a masked kernel masked after every update."""

from __future__ import annotations

import keras

from made_tf.networks.kernel_mask import KernelMask

__all__ = ["MaskConstraint", "MaskedInitializer"]


@keras.saving.register_keras_serializable(package="made_tf")
class MaskConstraint(keras.constraints.Constraint):
    """Sets the weights to zero that the degrees forbid; may wrap another constraint.

    An inner constraint sees only live weights (the kernel is masked before it)
    and cannot revive others (the kernel is masked again after it).

    Args:
        in_degrees: integer degrees of the incoming units, shape `[in]`.
        out_degrees: integer degrees of the outgoing units, shape `[out]`.
        strict: whether a connection needs `out > in` instead of `out >= in`.
        constraint: a further Keras constraint (object, name or config) or `None`.

    References:
        Germain et al. 2015, arXiv:1502.03509, equations 12 and 13.
    """

    def __init__(self, in_degrees, out_degrees, strict=False, constraint=None):
        self.mask = KernelMask(in_degrees, out_degrees, strict)
        self.constraint = keras.constraints.get(constraint)

    def __call__(self, w):
        w = self.mask.apply(w)
        return w if self.constraint is None else self.mask.apply(self.constraint(w))

    def get_config(self):
        return {
            **self.mask.get_config(),
            "constraint": keras.constraints.serialize(self.constraint) if self.constraint else None,
        }


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
