"""Functions of Keras layers with their weights frozen into them: a file has no variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

__all__ = ["frozen"]


def frozen(function: Callable, specs: Sequence[tf.TensorSpec], width: int) -> Callable:
    """Returns a function whose variables are constants, as they are now.

    Args:
        function: from tensors to one tensor, `[n, width]`.
        specs: of its arguments.
        width: of what it returns.
    """
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    traced = tf.function(function, specs, autograph=False)
    constant = convert_variables_to_constants_v2(traced.get_concrete_function())

    def call(*arguments):
        (found,) = constant(*arguments)
        return tf.ensure_shape(found, [None, width])

    return call
