"""Models as the commands see them: opened from files of either kind, scored, drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from made_tf.cli.contexts import context_shape
from made_tf.cli.running import quiet

if TYPE_CHECKING:
    import numpy.typing as npt

    from made_tf.conditionals import Conditionals
    from made_tf.data.splits import Splits
    from made_tf.distributions.questions import AnswersQuestions
    from made_tf.export.runtime import LiteSampler
    from made_tf.models.made import MADE
    from made_tf.portable.arrays import FloatArray
    from made_tf.scoring import Scores

__all__ = [
    "check_finite",
    "distribution_of",
    "family_of",
    "is_ensemble",
    "load_keras",
    "open_device",
    "open_model",
]


_ROWS = 1024  # drawn at once


class Scorer(Protocol):
    """What `evaluate` and `sample` need of a model on the host or on the device.

    Contexts are `[1, ...]`, one for all rows, or have one for each; `None` for a model without.
    """

    event_size: int

    @property
    def context_shape(self) -> tuple[int, ...] | None:
        """The shape of one row's context; `None` for a model without one."""
        ...

    def score(self, x: npt.NDArray, num_orders: int | None, contexts: FloatArray | None) -> Scores:
        """Scores rows `[N, D]` under the average of M orders; `None` for the model's own M."""
        ...

    def path_spread(self, x: npt.NDArray) -> float | None:
        """Returns how far paths disagree on marginals, in nats; `None` where there are none."""
        ...

    def stream(
        self, num_samples: int, seed: int, contexts: FloatArray | None
    ) -> Iterator[npt.NDArray]:
        """Draws rows, `num_samples` in all: `[some, D]` at a time."""
        ...


class _Host:
    """A `.keras` file of a model or of an ensemble."""

    def __init__(self, path: Path):
        self.path = path
        self.model = load_keras(path, or_ensemble=True)
        self.event_size = self.model.event_size

    @property
    def context_shape(self) -> tuple[int, ...] | None:
        return context_shape(self.model, self.path)

    def score(self, x: npt.NDArray, num_orders: int | None, contexts: FloatArray | None) -> Scores:
        import numpy as np

        from made_tf.scoring import score

        _check_orders(self.path, self.model, num_orders)
        if contexts is not None:
            contexts = np.broadcast_to(contexts, (len(x), *contexts.shape[1:]))
        return score(self.model, x, num_orders, contexts)

    def path_spread(self, x: npt.NDArray) -> float | None:
        from made_tf.models.paths import path_spread

        if is_ensemble(self.model) or not self.model.answers_all or self.model.conditioning:
            return None
        return float(path_spread(self.model, x).spread.mean())

    def stream(
        self, num_samples: int, seed: int, contexts: FloatArray | None
    ) -> Iterator[npt.NDArray]:
        dist = distribution_of(self.path, self.model, context=_for_all_or_each(contexts))
        return dist.stream(num_samples, seed)


class _Device:
    """A `.tflite` file."""

    def __init__(self, path: Path):
        self.path = path
        self.sampler = open_device(path)
        self.event_size = self.sampler.event_size

    @property
    def context_shape(self) -> tuple[int, ...] | None:
        return self.sampler.context_shape

    def score(self, x: npt.NDArray, num_orders: int | None, contexts: FloatArray | None) -> Scores:
        if num_orders is not None:
            raise ValueError(
                f"{self.path} has the density that it was exported with: --num-orders is for "
                "files that end in .keras."
            )
        from made_tf.scoring import Scores

        return Scores(self.sampler.log_prob(x, context=_for_all_or_each(contexts)))

    def path_spread(self, x: npt.NDArray) -> float | None:
        return None  # a file has the paths that it was exported with

    def stream(
        self, num_samples: int, seed: int, contexts: FloatArray | None
    ) -> Iterator[npt.NDArray]:
        return self.sampler.stream(num_samples, seed, context=_for_all_or_each(contexts))


def _for_all_or_each(contexts: FloatArray | None) -> FloatArray | None:
    return contexts[0] if contexts is not None and len(contexts) == 1 else contexts


def is_ensemble(model: Any) -> bool:
    """Returns whether what `load_keras` has loaded is an `Ensemble`."""
    return hasattr(model, "members")


def _check_orders(path: Path, model: Any, num_orders: int | None) -> None:
    if num_orders is not None and is_ensemble(model):
        raise ValueError(
            f"{path} holds an ensemble, which averages over as many orders as its members "
            "do: --num-orders is for single models."
        )


def distribution_of(
    path: Path,
    model: Any,
    num_orders: int | None = None,
    num_particles: int = 1000,
    context: Any = None,
) -> AnswersQuestions:
    """Returns the distribution of a model or of an ensemble.

    Args:
        path: its file, for the message.
        model: what it holds.
        num_orders: as in `MADEDistribution`, of a single model.
        num_particles: likewise, like the last.
        context: likewise.
    """
    _check_orders(path, model, num_orders)
    with quiet():
        from made_tf.distributions.ensemble import EnsembleDistribution
        from made_tf.distributions.made import MADEDistribution
    given = {"num_particles": num_particles, "context": context}
    if is_ensemble(model):
        return EnsembleDistribution(model, **given)
    return MADEDistribution(model, num_orders=num_orders, **given)


def open_model(path: Path) -> Scorer:
    """Opens a `.keras` or `.tflite` file."""
    return _Device(path) if path.suffix == ".tflite" else _Host(path)


def open_device(path: Path) -> LiteSampler:
    """Opens a `.tflite` file."""
    with quiet():
        from made_tf.export.runtime import LiteSampler

        return LiteSampler(path)


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

        from made_tf.models.ensemble import Ensemble
        from made_tf.models.made import MADE
        from made_tf.models.stored_sizes import check_stored_sizes
    check_stored_sizes(path)
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
        check_finite(path, member)
    return model


def check_finite(path: Path, model: MADE) -> None:
    """Raises a ValueError if weights of a model that was read are NaN or infinite."""
    from made_tf.verification import not_finite

    for name in not_finite(model):
        raise ValueError(f"{path} must have finite weights. Layer {name!r} has others.")


def family_of(splits: Splits, name: str) -> str | Conditionals:
    """Returns the family of this name for these rows; that of bits by its name, for the recipe.

    Args:
        splits: the rows.
        name: of the family.
    """
    import numpy as np

    from made_tf.conditionals import FAMILIES

    rows = splits.train
    if name not in ("bernoulli", "normal"):  # a class or a step may be missing in one split
        rows = np.concatenate(splits[:3])
    family = FAMILIES[name].from_data(rows)
    return name if name == "bernoulli" else family
