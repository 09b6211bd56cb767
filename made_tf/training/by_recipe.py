"""Trains what a recipe says: candidates, members, one ensemble. Resumable at any moment."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from made_tf import conditionals as families
from made_tf.data.splits import Splits
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE
from made_tf.models.settings import Settings
from made_tf.scoring import mean_nll
from made_tf.training.distributed import from_first, is_first
from made_tf.training.members import TrainedMember, train_member
from made_tf.training.parts import foreign_files, forget_parts, member_path
from made_tf.training.recipe import Recipe

__all__ = [
    "TrainedEnsemble",
    "TrainedMember",
    "candidates_for",
    "foreign_files",
    "train_ensemble",
    "train_member",
]

_MEMBERS_PER_SEED = 1000  # so that no two ensembles share a member


@dataclasses.dataclass
class TrainedEnsemble:
    """An ensemble and what its record tells.

    Attributes:
        ensemble: the members that were chosen, as one density.
        members: how these came out.
        rejected: the candidates that validation did not choose.
        candidate: the one that it did; "" where the recipe has none.
        valid_nll: of the validation rows, in nats.
        recipe: the recipe's name.
        candidates: those that were trained, in the recipe's order.
    """

    ensemble: Ensemble
    members: list[TrainedMember]
    rejected: list[TrainedMember]
    candidate: str
    valid_nll: float
    recipe: str
    candidates: list[str]

    @property
    def origin(self) -> str:
        """Which recipe and which candidate it is: `default, candidate deep (of wide, deep)`."""
        candidate = f", candidate {self.candidate}" if self.candidate else ""
        others = f" (of {', '.join(self.candidates)})" if len(self.candidates) > 1 else ""
        return f"{self.recipe}{candidate}{others}"


def train_ensemble(
    recipe: Recipe,
    splits: Splits,
    folder: Path,
    seed: int = 0,
    conditionals: str | families.Conditionals = "bernoulli",
    echo: Callable[[str], Any] = print,
    progress: bool = True,
    restart: bool = False,
    save_seconds: float = 10.0,
) -> TrainedEnsemble:
    """Trains the candidates, chooses one by validation NLL, trains its other members.

    A candidate that is impossible (residual connections of a single layer, say,
    or more orders than masks) is left out. Sets Keras' global seed. Test rows
    are not looked at.

    Args:
        recipe: what to do.
        splits: rows to learn from and rows to choose by.
        folder: where finished models go, to be found there when called again.
        seed: seed of the ensemble.
        conditionals: as of `MADE`.
        echo: prints one line.
        progress: whether to show a bar on stderr.
        restart: whether to forget what an earlier call left in the folder.
        save_seconds: how much training a killed process may lose.

    Raises:
        FloatingPointError: if training diverges.
        ValueError: if the rows do not suit the conditionals, a model in the
            folder was trained otherwise, or no candidate is possible.
    """
    candidates = candidates_for(recipe, splits, conditionals)
    candidates = _possible(candidates, splits.train.shape[1], conditionals, seed, echo)
    from_first(lambda: folder.mkdir(parents=True, exist_ok=True))
    if restart:
        from_first(lambda: forget_parts(folder))

    def train(candidate: str, index: int, rival: float = math.inf) -> tuple[MADE, TrainedMember]:
        members = candidates[candidate].members
        count = f"model {index + 1} of {members}" if members > 1 else ""
        name = ", ".join(filter(None, (candidate, count))) or "training"
        model, member = train_member(
            candidates[candidate],
            splits,
            member_path(folder, candidate, index),
            (seed * _MEMBERS_PER_SEED + index) % 2**31,
            conditionals,
            candidate,
            progress and name,
            save_seconds,
            rival,
        )
        echo(
            f"  {name}: validation NLL {member.valid_nll:.4f} after {member.best_look} of "
            f"{member.looks} looks, {member.wall_seconds:.0f} s"
        )
        return model, member

    try:
        first: dict[str, tuple[MADE, TrainedMember]] = {}
        for name in candidates:
            rival = min((member.valid_nll for _, member in first.values()), default=math.inf)
            first[name] = train(name, 0, rival)
        chosen = min(first, key=lambda name: first[name][1].valid_nll)
        members = candidates[chosen].members
        models = [first[chosen], *(train(chosen, index) for index in range(1, members))]
    finally:
        with contextlib.suppress(OSError):  # where anything was trained, it lies there
            if is_first():
                folder.rmdir()
    rejected = [member for name, (_, member) in first.items() if name != chosen]
    trained = [member for _, member in models]
    ensemble = Ensemble([model for model, _ in models])
    alone = len(trained) == 1
    valid_nll = trained[0].valid_nll if alone else mean_nll(ensemble, splits.valid)[0]
    named = [name for name in candidates if name]
    return TrainedEnsemble(ensemble, trained, rejected, chosen, valid_nll, recipe.name, named)


def candidates_for(
    recipe: Recipe, splits: Splits, conditionals: str | families.Conditionals
) -> dict[str, Recipe]:
    """Returns the candidates of a recipe that are for such rows, see `Recipe.candidates_for`."""
    num_rows, num_variables = splits.train.shape
    states = families.get(conditionals, num_variables).states()
    is_binary = all(values is not None and len(values) == 2 for values in states)
    return recipe.candidates_for(num_rows, num_variables, is_binary)


def _possible(
    candidates: dict[str, Recipe],
    event_size: int,
    conditionals: str | families.Conditionals,
    seed: int,
    echo: Callable[[str], Any],
) -> dict[str, Recipe]:
    """Leaves out, with a line each, the candidates that no model can be made of.

    Raises:
        ValueError: if none is left: what is wrong with the first.
    """
    errors: dict[str, ValueError] = {}
    for name, candidate in candidates.items():
        try:
            for num_orders in {candidate.training.validation_orders, candidate.num_orders}:
                Settings(
                    event_size,
                    conditionals=conditionals,
                    seed=seed,
                    num_orders=num_orders,
                    **candidate.model_arguments(),
                )
        except ValueError as error:
            errors[name] = error
    if len(errors) == len(candidates):
        raise next(iter(errors.values()))
    for name, reason in errors.items():
        echo(f"  {name} is left out: {reason}")
    return {name: each for name, each in candidates.items() if name not in errors}
