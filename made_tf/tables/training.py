"""The networks of a table: trained by recipes, within a time if there is one."""

from __future__ import annotations

import math
import numbers
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from made_tf.conditionals import Conditionals
from made_tf.data.splits import Splits
from made_tf.models.made import MADE
from made_tf.portable.arguments import fraction as checked_fraction
from made_tf.portable.arrays import FloatArray
from made_tf.training.callbacks import StopAfter
from made_tf.training.members import TrainedMember, train_member
from made_tf.training.parts import member_path
from made_tf.training.recipe import Recipe

__all__ = ["checked_budget", "split_rows", "train_network"]

_MOST_VALIDATION = 5000
_CONSTANT_RATE = 1e-3


def checked_budget(budget: Any) -> float | None:
    """Returns how many seconds there are for training.

    Raises:
        ValueError: if that is no such number.
    """
    is_number = isinstance(budget, numbers.Real) and not isinstance(budget, bool)
    if budget is None or (is_number and 0 < float(budget) < math.inf):
        return budget
    raise ValueError(
        f"`time_budget` must be a positive number of seconds, or None. Received: "
        f"time_budget={budget!r}"
    )


def split_rows(x: FloatArray, fraction: float, seed: int, names: list[str]) -> Splits:
    """Sets rows aside to stop by, 5,000 at most.

    Raises:
        ValueError: if no rows would be left for one of both.
    """
    fraction = checked_fraction("validation_fraction", fraction)
    held = min(round(len(x) * fraction), _MOST_VALIDATION)
    if not 0 < held < len(x):
        raise ValueError(
            f"`validation_fraction` must leave rows for training and for validation. Received: "
            f"{fraction} of {len(x)} row(s)"
        )
    x = x[np.random.default_rng(seed).permutation(len(x))]
    return Splits(x[held:], x[:held], x[:0], names)


def train_network(
    recipe: Recipe,
    splits: Splits,
    family: Conditionals,
    seed: int,
    seconds: float | None = None,
    folder: Path | None = None,
    title: str = "",
) -> tuple[MADE, TrainedMember]:
    """Trains one network.

    Args:
        recipe: of its candidates the first one that is for so many rows.
        splits: rows to learn from and rows to stop by.
        family: of the variables.
        seed: of weights, order, shuffles and dropout.
        seconds: how long training may take.
        folder: where the run lies, to be resumed; a temporary one by default.
        title: of the progress bar; "" for none.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as own:
            return train_network(recipe, splits, family, seed, seconds, Path(own), title)
    recipe = _for_rows(recipe, splits)
    callbacks = []
    if seconds is not None:
        # A schedule would have to know beforehand how many steps there is time for.
        recipe = recipe.overridden(schedule="constant", learning_rate=_CONSTANT_RATE)
        callbacks = [StopAfter(seconds)]
    folder.mkdir(parents=True, exist_ok=True)
    path = member_path(folder, recipe.name, 0)
    progress = title or False
    return train_member(recipe, splits, path, seed, family, progress=progress, callbacks=callbacks)


def _for_rows(recipe: Recipe, splits: Splits) -> Recipe:
    """Returns the candidate that is for such rows."""
    num_rows, num_variables = splits.train.shape
    return next(iter(recipe.candidates_for(num_rows, num_variables, is_binary=False).values()))
