"""`AveragedWeights`: validate and keep an average of the weights along training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from made_tf.models.made import MADE
from made_tf.portable.files import replacing
from made_tf.training.distributed import from_first

__all__ = ["AveragedWeights"]


class AveragedWeights(keras.callbacks.Callback):
    """Keeps an exponential average of the trainable weights, and validates with it.

    The weights of a constant learning rate wander around a minimum; their
    average lies in it, as if the rate had been lowered, without a schedule whose
    length must be known beforehand. The average takes the weights in at each
    validation; the first few count evenly. (Keras' `use_ema` takes them in at
    each step, but on JAX a model with it can be fitted once only.)

    Args:
        model: the model in training.
        decay: the part of the average that each validation keeps, in [0, 1).
    """

    def __init__(self, model: MADE, decay: float):
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"`decay` must be a number in [0, 1). Received: decay={decay!r}")
        self.set_model(model)
        self.decay = decay
        self.count = 0
        self.values: list[npt.NDArray] = []
        self._own: list[npt.NDArray] | None = None

    def on_test_begin(self, logs=None):
        weights = _values(self.model)
        kept = min(self.decay, self.count / (self.count + 1))
        old = self.values or weights
        self.values = [kept * a + (1 - kept) * w for a, w in zip(old, weights, strict=True)]
        self.count += 1
        self._enter()

    def on_test_end(self, logs=None):
        self._leave()

    @contextlib.contextmanager
    def in_model(self) -> Iterator[None]:
        """Puts the average into the model for a while."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def save(self, path: Path) -> None:
        """Writes the average to an `.npz`."""
        with replacing(path) as temporary:
            np.savez(temporary, *self.values, count=self.count)

    def load(self, path: Path) -> None:
        """Reads what `save` wrote.

        Raises:
            ValueError: if the file is not readable.
        """
        self.count, self.values = from_first(lambda: _read(path))

    def _enter(self) -> None:
        self._own = _values(self.model)
        _assign(self.model, self.values)

    def _leave(self) -> None:
        if self._own is not None:  # an evaluation may be over without having begun
            _assign(self.model, self._own)
        self._own = None


def _read(path: Path) -> tuple[int, list[npt.NDArray]]:
    try:
        with np.load(path) as arrays:
            values = [arrays[f"arr_{index}"] for index in range(len(arrays) - 1)]
            return int(arrays["count"]), values
    except Exception as error:
        raise ValueError(
            f"{path}, the averaged weights of an unfinished run, is not readable. "
            "Start afresh with `restart=True`."
        ) from error


def _values(model: MADE) -> list[npt.NDArray]:
    return [np.array(variable) for variable in model.trainable_variables]


def _assign(model: MADE, values: list[npt.NDArray]) -> None:
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
