"""Models as the commands see them: made from settings, opened from files, scored."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from made_tf.cli.base import quiet

if TYPE_CHECKING:
    import numpy.typing as npt

    from made_tf.data import Splits
    from made_tf.models import MADE

__all__ = ["load_keras", "log_prob", "make_model", "open_model", "summarise"]


class Scorer(Protocol):
    """What `evaluate` and `sample` need of a model on the host or on the device."""

    event_size: int

    def log_prob(self, x: npt.NDArray) -> npt.NDArray:
        """Scores rows, in nats: `[N, D]` -> `[N]`."""
        ...

    def stream(self, num_samples: int, seed: int) -> Iterator[npt.NDArray]:
        """Draws rows, `num_samples` in all: `[some, D]` at a time."""
        ...


class _Host:
    """A `.keras` file with the methods of `LiteSampler`."""

    def __init__(self, path: Path):
        self.model = load_keras(path)
        self.event_size = self.model.event_size

    def log_prob(self, x: npt.NDArray) -> npt.NDArray:
        return log_prob(self.model, x)

    def stream(self, num_samples: int, seed: int) -> Iterator[npt.NDArray]:
        with quiet():
            from made_tf.distributions import MADEDistribution
        return MADEDistribution(self.model).stream(num_samples, seed)


def open_model(path: Path) -> Scorer:
    """Opens a `.keras` or `.tflite` file."""
    if path.suffix != ".tflite":
        return _Host(path)
    from made_tf.export.runtime import LiteSampler

    with quiet():
        return LiteSampler(path)


def load_keras(path: Path) -> MADE:
    """Loads a MADE model; a foreign file, or one of a diverged model, is a ValueError."""
    if path.suffix != ".keras":
        raise ValueError(f"{path} must be a model: a file that ends in .keras (or .tflite).")
    with quiet():
        import keras

        from made_tf.models import MADE
        from made_tf.verification import not_finite
    try:
        model = keras.saving.load_model(path)
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"{path} is not a readable MADE model (truncated or foreign?): {reason}"
        ) from error
    if not isinstance(model, MADE):
        raise ValueError(f"{path} must hold a MADE model. It holds a {type(model).__name__}.")
    for name in not_finite(model):
        raise ValueError(f"{path} must have finite weights. Layer {name!r} has others.")
    return model


def make_model(splits: Splits, seed: int, settings: dict[str, Any]) -> MADE:
    """Returns a compiled MADE for these rows, as the settings of `train` say."""
    import keras
    import numpy as np

    from made_tf.conditionals import FAMILIES
    from made_tf.models import MADE

    family = FAMILIES[settings["conditionals"]]
    rows = splits.train
    if settings["conditionals"] == "categorical":  # a class may be missing in one split
        rows = np.concatenate(splits[:3])
    keras.utils.set_random_seed(seed)  # of weights and dropout
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MADE(
            splits.train.shape[1],
            hidden_units=settings["hidden_units"],
            conditionals=family.from_data(rows),
            input_order=settings["input_order"],
            hidden_degrees=settings["hidden_degrees"],
            direct_connections=settings["direct"],
            activation=settings["activation"],
            dropout=settings["dropout"],
            seed=seed,
        )
    for warning in caught:
        click.echo(f"Warning: {warning.message}", err=True)
    model.compile(keras.optimizers.Adam(settings["learning_rate"]))
    return model


def log_prob(model: MADE, x: npt.NDArray) -> npt.NDArray:
    """Returns log-probabilities in nats, in bounded memory: `[N, D]` -> `[N]`."""
    import numpy as np

    parts = [model.log_prob(x[start : start + 1000]) for start in range(0, len(x), 1000)]
    return np.concatenate([np.asarray(part) for part in parts])


def summarise(nll: npt.NDArray, event_size: int) -> dict[str, float]:
    """Returns the mean of negative log-likelihoods `[N]`, its error, bits per dimension."""
    mean = float(nll.mean(dtype="float64"))
    error = float(nll.std(dtype="float64", ddof=1) / math.sqrt(len(nll))) if len(nll) > 1 else 0.0
    return {
        "rows": len(nll),
        "nll": mean,
        "nll_standard_error": error,
        "bits_per_dim": mean / event_size / math.log(2),
    }
