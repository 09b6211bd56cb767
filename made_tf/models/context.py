"""What a density is conditioned on: a vector for each row, or what a Keras model makes of inputs.

A model of p(x | context) takes rows together with their context: a pair `(x, context)`, or
`{"x": x, "context": context}`. These *inputs* are split here alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from made_tf.conditionals.row_checks import to_numpy
from made_tf.portable.arguments import integer

__all__ = ["Context", "split_inputs"]


@dataclasses.dataclass(frozen=True, eq=False)
class Context:
    """The context of a model.

    Attributes:
        size: W, the width of the vector that the layers see.
        encoder: the Keras model that makes the vector of other inputs, or `None`.
    """

    size: int
    encoder: Any = None

    @classmethod
    def of(cls, context: Any) -> Context | None:
        """Returns what the argument `context` of `MADE` stands for.

        Raises:
            ValueError: if it is neither `None`, a positive integer, nor a Keras model that gives
                one vector for each row.
        """
        if context is None:
            return None
        if isinstance(context, Mapping):  # of a file
            context = keras.saving.deserialize_keras_object(context)
        if not isinstance(context, keras.layers.Layer):
            hint = ", the width of a vector (or a Keras model that gives one)"
            return cls(integer("context", context, 1, hint=hint))
        try:
            shape = tuple(context.output_shape)
        except (AttributeError, TypeError, ValueError):
            shape = ()
        if len(shape) != 2 or not isinstance(shape[-1], int):
            raise ValueError(
                "`context` must be a Keras model that is built and gives one vector for each row, "
                "[rows, W], such as keras.Sequential([keras.Input(...), ...]). Received: "
                f"context={context!r} with outputs of shape {shape or 'unknown'}"
            )
        return cls(shape[-1], context)

    def config(self) -> Any:
        """Returns the argument as a JSON value."""
        if self.encoder is None:
            return self.size
        return keras.saving.serialize_keras_object(self.encoder)

    def vector(self, context: Any, training: bool | None = False):
        """Returns the vector that the layers see, float32 `[N, W]`."""
        if self.encoder is not None:
            context = self.encoder(context, training=training)
        return ops.cast(ops.convert_to_tensor(context), "float32")

    def arrays(self, context: Any) -> Any:
        """Returns the same as arrays, unless they are tensors."""

        def array(part):
            return part if ops.is_tensor(part) else np.asarray(part)

        if self.encoder is None:
            return context if ops.is_tensor(context) else to_numpy("context", context)
        return keras.tree.map_structure(array, context)

    def check(self, name: str, context: Any, num_rows: int | None) -> None:
        """Raises unless `context` suits so many rows (`None` where that is not known).

        Raises:
            ValueError: if it is missing, of another width or number of rows, or not finite.
        """
        if context is None:
            raise ValueError(
                f"`{name}` must be given: this is a model of p(x | context), with {self.describe()}"
            )
        if self.encoder is not None:
            parts = keras.tree.flatten(context)
            lengths = {np.shape(part)[0] if np.ndim(part) else None for part in parts}
            if num_rows is not None and lengths != {num_rows}:
                raise ValueError(
                    f"`{name}` must have {num_rows} rows, as many as `x`. Received: parts of "
                    f"{sorted(map(str, lengths))} rows"
                )
            return
        shape = tuple(context.shape)
        unequal = num_rows is not None and shape[:1] not in ((num_rows,), (None,))
        if len(shape) != 2 or shape[-1] != self.size or unequal:
            rows = "rows" if num_rows is None else num_rows
            raise ValueError(
                f"`{name}` must have the shape [{rows}, {self.size}]. "
                f"Received: {name}.shape={shape}"
            )
        if isinstance(context, np.ndarray) and not np.isfinite(context).all():
            row, column = np.argwhere(~np.isfinite(context))[0]
            raise ValueError(
                f"`{name}` must be finite. Received: {name}[{row}, {column}]={context[row, column]}"
            )

    def describe(self) -> str:
        """Tells what the context is, in a few words."""
        if self.encoder is None:
            return f"a context of {self.size} numbers"
        return f"a context of {self.size} numbers by the model {self.encoder.name!r}"


def split_inputs(name: str, inputs: Any, context: Context | None) -> tuple[Any, Any]:
    """Returns the rows and the context of inputs; `None` for the context of a model without one.

    Args:
        name: the argument's name, for the message.
        inputs: rows; or of a model with a context a pair, or a mapping of `x` and `context`.
        context: what the model is conditioned on.

    Raises:
        ValueError: if they are neither.
    """
    if context is None:
        return inputs, None
    if isinstance(inputs, Mapping) and set(inputs) == {"x", "context"}:
        return inputs["x"], inputs["context"]
    if isinstance(inputs, tuple | list) and len(inputs) == 2:
        return inputs[0], inputs[1]
    raise ValueError(
        f"`{name}` must be rows with their context, (x, context) or {{'x': x, 'context': context}}:"
        f" this is a model of p(x | context), with {context.describe()}. Received: {name} of type "
        f"{type(inputs).__name__}"
    )
