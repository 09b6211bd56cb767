"""What densities as Keras models share: data checked first, no targets, a loss of their own."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from made_tf.conditionals import Conditionals
from made_tf.conditionals.row_checks import (
    as_rows,
    check_data,
    check_rows,
    is_stream,
    is_target,
)
from made_tf.models.context import check_presence, split_inputs
from made_tf.models.devices import check_devices, rows_over_devices

__all__ = ["DensityModel", "row_weights"]

_ADAFACTOR_EPSILON = 1e-18
_LESS_IS_BETTER = ("nll", "bits_per_dim", "order_spread")
_XLA_PAYS = 500_000  # parameters from which compilation is soon made up for


class DensityModel(keras.Model):
    """A Keras model of the density of rows `[N, D]`; its loss is their negative log-likelihood.

    A subclass has `event_size`, `conditionals`, `conditioning`, `checked_log_prob` and `describe`.
    Where the model has a context, its *inputs* are rows with their context
    (`made_tf.models.context`); else they are the rows.
    """

    event_size: int
    conditionals: Conditionals
    conditioning: Any  # a `Context`, or None

    def __init__(self, **kwargs):
        # Rows must not be cast: half precision would merge classes and round real values.
        super().__init__(autocast=False, **kwargs)
        self.nll_tracker = keras.metrics.Mean(name="nll")
        self.bits_tracker = keras.metrics.Mean(name="bits_per_dim")

    def track_each(self, name: str, parts: Sequence[keras.layers.Layer]) -> None:
        """Gives parts that lie in a list an attribute each, `NAME_0`, `NAME_1`, ...

        `tf.train.Checkpoint` follows attributes and not Keras' lists, and would leave them out
        without a word. Keras' own files name what they meet first, in the order of the alphabet:
        the list's own name must come before `NAME_0`.
        """
        for number, part in enumerate(parts):
            setattr(self, f"{name}_{number}", part)

    def checked_log_prob(self, inputs):
        """Returns what `log_prob` does, of inputs that were checked before."""
        raise NotImplementedError

    def checked(self, x, context=None):
        """Returns inputs as tensors or arrays, their values checked where they are known.

        Raises:
            ValueError: if `x` or `context` has the wrong shape, NaN, or `x` has values outside the
                support (shape alone where they are symbolic), or if a context is missing or
                given to a model without one.
        """
        if self.conditioning is None:
            check_presence(None, context)
        elif context is not None or not isinstance(x, tuple | dict):
            x = x, context
        inputs = self._arrays("x", x)
        self._check_inputs("x", inputs)
        return inputs

    def split(self, inputs):
        """Returns the rows and the context of inputs; `None` for no context."""
        return split_inputs("x", inputs, self.conditioning)

    def log_prob(self, x, *, context=None):
        """Returns the log-probability (or log-density) of each row, in nats.

        Args:
            x: values `[N, D]`: an array, or a tensor inside a traced function.
            context: of a model with a context `[N, W]`, or what its Keras model takes.

        Returns:
            A float32 tensor `[N]`.

        Raises:
            ValueError: as `checked`.
        """
        return self.checked_log_prob(self.checked(x, context))

    def compile(self, optimizer="adam", loss=None, jit_compile="auto", **kwargs):
        """Configures training. The loss is the model's own: leave `loss` out.

        With `jit_compile="auto"` a large model trains under XLA on TensorFlow
        on CPUs too, where Keras would not: it fuses masks, update and
        constraint (benchmarks/RESULTS.md).

        Raises:
            ValueError: for a `loss`, for `metrics`, and for an Adafactor whose
                `epsilon_1` ends in NaN under masks.
        """
        if loss is not None:
            raise ValueError(
                "MADE's loss is its negative log-likelihood: compile without `loss`. "
                f"Received: loss={loss!r}"
            )
        if kwargs.get("metrics") or kwargs.get("weighted_metrics"):
            raise ValueError(
                "MADE has no targets to compute `metrics` from, and reports `nll` and "
                "`bits_per_dim` itself: compile without `metrics`."
            )
        optimizer = keras.optimizers.get(optimizer)
        _check_adafactor(getattr(optimizer, "inner_optimizer", optimizer))  # of a loss scale
        on_tensorflow = keras.backend.backend() == "tensorflow"
        if jit_compile == "auto" and on_tensorflow and self.count_params() >= _XLA_PAYS:
            # What XLA compiles reaches the variables of one device alone.
            jit_compile = self._num_replicas() == 1
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)

    def compile_from_config(self, config):
        # Keras restores a compiled model only where `compile` is its own or this is defined.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def mean_loss(self, nll, sample_weight=None):
        """Returns the mean of `[N]` negative log-likelihoods, and lets the metrics know them."""
        sample_weight = row_weights(sample_weight, nll)
        self.nll_tracker.update_state(nll, sample_weight)
        self.bits_tracker.update_state(nll / (self.event_size * math.log(2)), sample_weight)
        return ops.mean(nll if sample_weight is None else nll * sample_weight)

    # A backend's own state, if it has one, comes before the batch.
    def train_step(self, *args):
        return super().train_step(*args[:-1], rows_over_devices(args[-1]))

    def test_step(self, *args):
        return super().test_step(*args[:-1], rows_over_devices(args[-1]))

    def predict_step(self, *args):
        return super().predict_step(*args[:-1], rows_over_devices(args[-1]))

    def _num_replicas(self) -> int:
        if keras.backend.backend() != "tensorflow":
            return 1
        return self.distribute_strategy.num_replicas_in_sync

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains the model on rows: `keras.Model.fit` with the data checked first."""
        check_devices(getattr(self, "distribute_strategy", None))
        x = self._arrays("x", x)
        options = inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments
        if options.get("class_weight") is not None:
            raise ValueError("MADE has no classes: fit without `class_weight`.")
        if getattr(x, "is_shuffled", False):
            x.check_by(self.conditionals)
            _leave_order_to(x, options)
        self._check_rows_and_weights("x", options)
        self._say_that_less_is_better(options.get("callbacks"))
        validation = options.get("validation_data")
        if isinstance(validation, tuple):
            names = ("x", "y", "sample_weight")
            parts = dict(
                zip(
                    names,
                    (self._arrays("validation_data[0]", validation[0]), *validation[1:]),
                    strict=False,
                )
            )
            self._check_rows_and_weights("validation_data", parts)
            options["validation_data"] = tuple(parts.get(name) for name in names)
        elif validation is not None:
            inputs = self._arrays("validation_data", validation)
            self._check_data("validation_data", inputs)
            # A pair of inputs alone would be inputs and targets.
            options["validation_data"] = (inputs,) if isinstance(inputs, tuple) else inputs
        self._build_optimizer()
        return super().fit(**options)

    def _build_optimizer(self) -> None:
        """Makes the variables of the optimizer: a step that makes them is traced twice."""
        optimizer = getattr(self, "optimizer", None)
        on_tensorflow = keras.backend.backend() == "tensorflow"
        if on_tensorflow and optimizer and not optimizer.built and self._num_replicas() == 1:
            with self.distribute_strategy.scope():
                optimizer.build(self.trainable_variables)

    def _say_that_less_is_better(self, callbacks: Any) -> None:
        """Sets the mode of callbacks that monitor a metric of the model and leave it to Keras.

        Keras asks only the metrics of `compile` which way they improve.
        """
        callbacks = getattr(callbacks, "callbacks", callbacks) or []
        for callback in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
            monitor = getattr(callback, "monitor", None)
            is_own = isinstance(monitor, str) and monitor.removeprefix("val_") in _LESS_IS_BETTER
            if is_own and getattr(callback, "mode", None) == "auto":
                callback.mode = "min"

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Returns the loss and metrics: `keras.Model.evaluate` with the data checked first."""
        signature = inspect.signature(super().evaluate)
        bound = signature.bind(self._arrays("x", x), y, *args, **kwargs)
        self._check_rows_and_weights("x", bound.arguments)
        return super().evaluate(*bound.args, **bound.kwargs)

    def predict(self, x, *args, **kwargs):
        """Returns what the model gives for each row, the data checked first."""
        x = self._arrays("x", x)
        self._check_data("x", x)
        return super().predict(x, *args, **kwargs)

    def load_weights(self, filepath, **kwargs):
        """Loads weights; if they do not fit, the model stays as it was."""
        before = self.get_weights()
        try:
            super().load_weights(filepath, **kwargs)
        except Exception:
            self.set_weights(before)  # those of the layers that were loaded before the failure
            raise

    def describe(self) -> str:
        """Tells of the density in a few lines of text."""
        raise NotImplementedError

    def summary(self, *args, **kwargs):
        """Prints Keras' summary, then the density's: D, order, degrees."""
        super().summary(*args, **kwargs)
        (kwargs.get("print_fn") or print)(self.describe())

    def _check_rows_and_weights(self, name: str, options: dict[str, Any]) -> None:
        self._check_data(name, options.get("x"), options.get("y"))
        if options.get("sample_weight") is not None:
            options["y"] = _no_targets(self.split(options["x"])[0])

    def _check_data(self, name: str, x: Any, y: Any = None) -> None:
        if is_target(y):
            hint = f"`{name}` alone"
            if self.conditioning is not None:
                hint = f"the context together with the rows, `{name}=(x, context)`"
            raise ValueError(f"{type(self).__name__} has no targets: pass {hint}. Received a `y`.")
        check_data(name, x, self.conditionals, self._check_inputs)

    def _check_inputs(self, name: str, inputs: Any) -> None:
        rows, context = split_inputs(name, inputs, self.conditioning)
        check_rows(name, rows, self.conditionals)
        if self.conditioning is not None:
            self.conditioning.check(self.conditioning.arrays(context), np.shape(rows)[0])

    def _arrays(self, name: str, inputs: Any) -> Any:
        """Returns what Keras may take for inputs: arrays or tensors, or a stream as it is."""
        if self.conditioning is None:
            if isinstance(inputs, dict) or (
                isinstance(inputs, tuple) and any(len(np.shape(part)) > 1 for part in inputs)
            ):
                raise ValueError(
                    f"`{name}` must be rows alone: the model was made without a context. "
                    f"Received: {name} of type {type(inputs).__name__}"
                )
            return as_rows(name, inputs)
        if inputs is None or is_stream(inputs):
            return inputs
        rows, context = split_inputs(name, inputs, self.conditioning)
        return as_rows(name, rows), self.conditioning.arrays(context)


def row_weights(sample_weight, nll):
    """Returns weights `[N]` of rows that came as `[N]` or `[N, 1]`; `None` for none.

    Raises:
        ValueError: if they have another shape.
    """
    if sample_weight is None:
        return None
    sample_weight = ops.cast(sample_weight, nll.dtype)
    if len(sample_weight.shape) == 2 and sample_weight.shape[-1] == 1:
        sample_weight = ops.squeeze(sample_weight, -1)
    if len(sample_weight.shape) != 1:
        raise ValueError(
            "`sample_weight` must have one weight for each row. Received: "
            f"sample_weight.shape={tuple(sample_weight.shape)}"
        )
    return sample_weight


def _no_targets(x) -> np.ndarray:
    # Keras drops the weights of arrays that come without targets: these are none.
    return np.zeros((len(x), 0), np.float32)


def _leave_order_to(stream: Any, options: dict[str, Any]) -> None:
    """Lets a stream shuffle for each epoch; Keras would shuffle batches, by a global generator."""
    callbacks = options.get("callbacks") or []
    own = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: stream.set_epoch(epoch))
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.append(own)
    else:
        several = isinstance(callbacks, list | tuple)
        options["callbacks"] = [own, *(callbacks if several else [callbacks])]
    options["shuffle"] = False


def _check_adafactor(optimizer: Any) -> None:
    if (
        isinstance(optimizer, keras.optimizers.Adafactor)
        and optimizer.epsilon_1 < _ADAFACTOR_EPSILON
    ):
        # Its factored moments of a weight whose row and column are all masked are products
        # of two `epsilon_1`, which underflow: 0 / 0 spreads NaN over the whole kernel.
        raise ValueError(
            "`optimizer` Adafactor must have `epsilon_1` of at least 1e-18 under masks. "
            f"Received: epsilon_1={optimizer.epsilon_1}. Use "
            "keras.optimizers.Adafactor(epsilon_1=1e-16)."
        )
