"""What a density is conditioned on: a vector for each row, or what a Keras model makes of inputs.

A model of p(x | context) takes rows together with their context: a pair `(x, context)`, or
`{"x": x, "context": context}`. These *inputs* are split here alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from made_tf.conditionals.row_checks import is_concrete, to_numpy
from made_tf.portable.arguments import integer

__all__ = ["Context", "check_presence", "number_of_rows", "split_inputs"]


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

    def map(self, function: Callable, context: Any) -> Any:
        """Applies a function to each part of a context and the shape of its rows.

        Args:
            function: from a part and its event shape (`None` where a size is open) to anything.
            context: an array or a tensor; of an encoder of several inputs a mapping or a list.

        Returns:
            What the function gives, in the structure that the encoder takes.

        Raises:
            ValueError: if there are other parts than the encoder has inputs.
        """
        if self.encoder is None:
            return function(context, (self.size,))
        inputs = self.encoder.inputs
        if len(inputs) == 1 and not isinstance(context, Mapping):
            return function(context, tuple(inputs[0].shape[1:]))
        if isinstance(context, Mapping):
            named = self.encoder.input if len(inputs) > 1 else None
            if not isinstance(named, Mapping):
                named = {each.name: each for each in inputs}
            if set(context) == set(named):
                return {
                    name: function(part, tuple(named[name].shape[1:]))
                    for name, part in context.items()
                }
            expected = f"the parts {sorted(named)}"
        elif isinstance(context, tuple | list) and len(context) == len(inputs):
            pairs = zip(context, inputs, strict=True)
            return [function(part, tuple(each.shape[1:])) for part, each in pairs]
        else:
            expected = f"{len(inputs)} parts, a mapping or a list of them"
        received = sorted(context) if isinstance(context, Mapping) else type(context).__name__
        raise ValueError(f"`context` must have {expected}. Received: {received}")

    def arrays(self, context: Any) -> Any:
        """Returns the same as arrays, unless they are tensors.

        Raises:
            ValueError: if a value of a vector is no number, or parts are missing.
        """

        def array(part, shape):
            del shape
            if ops.is_tensor(part):
                return part
            return np.asarray(part) if self.encoder is not None else to_numpy("context", part)

        return context if context is None else self.map(array, context)

    def check(self, context: Any, num_rows: int | None) -> None:
        """Raises unless `context` suits so many rows (`None` where that is not known).

        Args:
            context: arrays or tensors.
            num_rows: N.

        Raises:
            ValueError: if it is missing, of another width or number of rows, or not finite.
        """
        check_presence(self, context)

        def check(part, event_shape):
            shape = tuple(part.shape)
            expected = (num_rows, *event_shape)
            if len(shape) != len(expected) or any(
                None not in ends and ends[0] != ends[1]
                for ends in zip(shape, expected, strict=True)
            ):
                rows = "rows" if num_rows is None else num_rows
                wanted = ", ".join(str(size) for size in (rows, *event_shape))
                raise ValueError(
                    f"`context` must have the shape [{wanted}]. Received: context.shape={shape}"
                )
            values = np.asarray(part) if is_concrete(part) else np.zeros(0)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                place = tuple(int(index) for index in np.argwhere(~np.isfinite(values))[0])
                where = ", ".join(map(str, place))
                raise ValueError(
                    f"`context` must be finite. Received: context[{where}]={values[place]}"
                )

        self.map(check, context)

    def describe(self) -> str:
        """Tells what the context is, in a few words."""
        if self.encoder is None:
            return f"a context of {self.size} numbers"
        return f"a context of {self.size} numbers by the model {self.encoder.name!r}"


def check_presence(conditioning: Context | None, context: Any) -> None:
    """Raises unless a context is given to a model that has one, and to no other.

    Args:
        conditioning: what the model is conditioned on.
        context: what was given.

    Raises:
        ValueError: if it is missing or superfluous.
    """
    if conditioning is None and context is not None:
        raise ValueError(
            "`context` must be None: the model was made without one. "
            f"Received: context of type {type(context).__name__}"
        )
    if conditioning is not None and context is None:
        raise ValueError(
            "`context` must be given: this is a model of p(x | context), with "
            f"{conditioning.describe()}"
        )


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


def number_of_rows(input_shape: Any) -> int | None:
    """Returns N of the shape of rows, or of the shapes of inputs; `None` where it is open."""
    if isinstance(input_shape, Mapping):
        input_shape = input_shape["x"]
    first = input_shape[0]
    return first[0] if isinstance(first, tuple | list) else first
