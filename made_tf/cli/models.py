"""Models as the commands see them: made from settings, opened from files, scored."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import click

from made_tf.cli.base import quiet

if TYPE_CHECKING:
    import numpy.typing as npt

    from made_tf.conditionals import Conditionals
    from made_tf.data import Splits
    from made_tf.ensembles import Ensemble
    from made_tf.models import MADE

__all__ = ["Scores", "family_of", "load_keras", "make_model", "open_model", "score", "summarise"]


_ROWS = 1000  # scored at once


class Scores(NamedTuple):
    """Rows scored under one order, or under the average of several.

    Attributes:
        log_prob: `[N]`, in nats.
        num_orders: M.
        standard_error: that of `log_prob` as an average over orders, `[N]`;
            `None` for one order.
        spread: how far the orders disagree, `[N]`; `None` for one order.
    """

    log_prob: npt.NDArray
    num_orders: int = 1
    standard_error: npt.NDArray | None = None
    spread: npt.NDArray | None = None


class Scorer(Protocol):
    """What `evaluate` and `sample` need of a model on the host or on the device."""

    event_size: int

    def score(self, x: npt.NDArray, num_orders: int | None) -> Scores:
        """Scores rows `[N, D]` under the average of M orders; `None` for the model's own M."""
        ...

    def stream(self, num_samples: int, seed: int) -> Iterator[npt.NDArray]:
        """Draws rows, `num_samples` in all: `[some, D]` at a time."""
        ...


class _Host:
    """A `.keras` file of a model or of an ensemble."""

    def __init__(self, path: Path):
        self.model = load_keras(path, or_ensemble=True)
        self.event_size = self.model.event_size

    def score(self, x: npt.NDArray, num_orders: int | None) -> Scores:
        return score(self.model, x, num_orders)

    def stream(self, num_samples: int, seed: int) -> Iterator[npt.NDArray]:
        with quiet():
            from made_tf.distributions import MADEDistribution
            from made_tf.ensemble_distributions import EnsembleDistribution
            from made_tf.models import MADE
        single = isinstance(self.model, MADE)
        distribution = MADEDistribution if single else EnsembleDistribution
        return distribution(self.model).stream(num_samples, seed)


class _Device:
    """A `.tflite` file."""

    def __init__(self, path: Path):
        from made_tf.export.runtime import LiteSampler

        self.path = path
        with quiet():
            self.sampler = LiteSampler(path)
        self.event_size = self.sampler.event_size

    def score(self, x: npt.NDArray, num_orders: int | None) -> Scores:
        if num_orders is not None:
            raise ValueError(
                f"{self.path} has the density that it was exported with: --num-orders is for "
                "files that end in .keras."
            )
        return Scores(self.sampler.log_prob(x))

    def stream(self, num_samples: int, seed: int) -> Iterator[npt.NDArray]:
        return self.sampler.stream(num_samples, seed)


def open_model(path: Path) -> Scorer:
    """Opens a `.keras` or `.tflite` file."""
    return _Device(path) if path.suffix == ".tflite" else _Host(path)


def load_keras(path: Path, or_ensemble: bool = False) -> Any:
    """Loads a MADE model; a foreign file, or one of a diverged model, is a ValueError.

    Args:
        path: the file.
        or_ensemble: whether it may be an `Ensemble`, too.
    """
    if path.suffix != ".keras":
        raise ValueError(f"{path} must be a model: a file that ends in .keras (or .tflite).")
    with quiet():
        import keras

        from made_tf.ensembles import Ensemble
        from made_tf.models import MADE
        from made_tf.verification import not_finite
    try:
        model = keras.saving.load_model(path)
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"{path} is not a readable MADE model (truncated or foreign?): {reason}"
        ) from error
    members = model.members if or_ensemble and isinstance(model, Ensemble) else [model]
    for member in members:
        if not isinstance(member, MADE):
            raise ValueError(f"{path} must hold a MADE model. It holds: {type(model).__name__}.")
        for name in not_finite(member):
            raise ValueError(f"{path} must have finite weights. Layer {name!r} has others.")
    return model


def make_model(splits: Splits, seed: int, settings: dict[str, Any]) -> MADE:
    """Returns a compiled MADE for these rows, as the settings of `train` say."""
    import keras

    from made_tf.models import MADE

    keras.utils.set_random_seed(seed)  # of weights and dropout
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MADE(
            splits.train.shape[1],
            hidden_units=settings["hidden_units"],
            conditionals=family_of(splits, settings["conditionals"]),
            input_order=settings["input_order"],
            hidden_degrees=settings["hidden_degrees"],
            direct_connections=settings["direct"],
            residual=settings["residual"],
            activation=settings["activation"],
            dropout=settings["dropout"],
            num_masks=None if settings["num_masks"] == "fresh" else settings["num_masks"],
            resample=settings["resample"],
            num_orders=settings["num_orders"],
            seed=seed,
        )
    for warning in caught:
        click.echo(f"Warning: {warning.message}", err=True)
    model.compile(keras.optimizers.Adam(settings["learning_rate"]))
    return model


def family_of(splits: Splits, name: str) -> Conditionals:
    """Returns the family of this name for these rows."""
    import numpy as np

    from made_tf.conditionals import FAMILIES

    rows = splits.train
    if name == "categorical":  # a class may be missing in one split
        rows = np.concatenate(splits[:3])
    return FAMILIES[name].from_data(rows)


def score(model: MADE | Ensemble, x: npt.NDArray, num_orders: int | None = None) -> Scores:
    """Scores rows `[N, D]` in bounded memory; `num_orders=None` takes the model's own."""
    import numpy as np

    from made_tf.models import MADE

    pieces = (x[start : start + _ROWS] for start in range(0, len(x), _ROWS))
    if not isinstance(model, MADE):
        if num_orders is not None:
            raise ValueError(
                "an ensemble averages over as many orders as its members do: --num-orders is for "
                "single models."
            )
        return Scores(np.concatenate([np.asarray(model.log_prob(piece)) for piece in pieces]))
    count = model.num_orders if num_orders is None else num_orders
    parts = [model.order_statistics(piece, count) for piece in pieces]
    log_prob, error, spread = (
        np.concatenate([np.asarray(part) for part in column]) for column in zip(*parts, strict=True)
    )
    return Scores(log_prob) if count == 1 else Scores(log_prob, count, error, spread)


def summarise(scores: Scores, event_size: int) -> dict[str, float]:
    """Returns the mean negative log-likelihood, its error, bits per dimension; of orders, too."""
    nll = -scores.log_prob
    mean = float(nll.mean(dtype="float64"))
    error = float(nll.std(dtype="float64", ddof=1) / math.sqrt(len(nll))) if len(nll) > 1 else 0.0
    summary = {
        "rows": len(nll),
        "nll": mean,
        "nll_standard_error": error,
        "bits_per_dim": mean / event_size / math.log(2),
    }
    if scores.spread is not None and scores.standard_error is not None:
        summary["num_orders"] = scores.num_orders
        summary["order_spread"] = float(scores.spread.mean(dtype="float64"))
        summary["order_standard_error"] = float(scores.standard_error.mean(dtype="float64"))
    return summary
