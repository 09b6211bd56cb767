"""Trains what a recipe says: candidates, members, one ensemble. Resumable at any moment."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from made_tf import conditionals as families
from made_tf.data.splits import Splits
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE
from made_tf.portable.digests import digest
from made_tf.portable.files import replacing
from made_tf.scoring import mean_nll
from made_tf.training.fitting import fit_resumably
from made_tf.training.recipe import Recipe

__all__ = ["TrainedEnsemble", "TrainedMember", "foreign_files", "train_ensemble", "train_member"]

_MEMBERS_PER_SEED = 1000  # so that no two ensembles share a member
_SAVE_SECONDS = 10

_OWN = re.compile(r"(\w+-)?member-\d+\.(json|keras|keras\.run)|\..*\.tmp\.\w+")


@dataclasses.dataclass
class TrainedMember:
    """How one model came out.

    Attributes:
        candidate: which way of the recipe it went; "" where there is one.
        seed: the seed of its order, weights, shuffles and dropout.
        valid_nll: of the validation rows under the average of `num_orders`
            orders, in nats.
        looks: how many looks at the validation rows its training took.
        best_look: which one was the best.
        wall_seconds: how long it took (since it was last resumed).
        cpu_seconds: the same, of all threads.
        history: the metrics of each look.
    """

    candidate: str
    seed: int
    valid_nll: float
    looks: int
    best_look: int
    wall_seconds: float
    cpu_seconds: float
    history: list[dict[str, float]]


@dataclasses.dataclass
class TrainedEnsemble:
    """An ensemble and what its record tells.

    Attributes:
        ensemble: the members that were chosen, as one density.
        members: how these came out.
        rejected: the candidates that validation did not choose.
        candidate: the one that it did; "" where there is one.
        valid_nll: of the validation rows, in nats.
    """

    ensemble: Ensemble
    members: list[TrainedMember]
    rejected: list[TrainedMember]
    candidate: str
    valid_nll: float


def train_ensemble(
    recipe: Recipe,
    splits: Splits,
    folder: Path,
    seed: int = 0,
    conditionals: str | families.Conditionals = "bernoulli",
    echo: Callable[[str], Any] = print,
    progress: bool = True,
) -> TrainedEnsemble:
    """Trains the candidates, chooses one by validation NLL, trains its other members.

    Sets Keras' global seed. Test rows are not looked at.

    Args:
        recipe: what to do.
        splits: rows to learn from and rows to choose by.
        folder: where finished models go, to be found there when called again.
        seed: seed of the ensemble.
        conditionals: as of `MADE`.
        echo: prints one line.
        progress: whether to show a bar on stderr.

    Raises:
        FloatingPointError: if training diverges.
        ValueError: if the rows do not suit the conditionals.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ways = recipe.ways(*splits.train.shape)

    def train(candidate: str, index: int) -> tuple[MADE, TrainedMember]:
        path = folder / f"{'-'.join(filter(None, (candidate, 'member', str(index))))}.keras"
        own_seed = seed * _MEMBERS_PER_SEED + index
        name = ", ".join(filter(None, (candidate, f"model {index + 1} of {recipe.members}")))
        model, member = train_member(
            ways[candidate], splits, path, own_seed, conditionals, candidate, progress and name
        )
        echo(
            f"  {name}: validation NLL {member.valid_nll:.4f} after {member.best_look} of "
            f"{member.looks} looks, {member.wall_seconds:.0f} s"
        )
        return model, member

    first = {name: train(name, 0) for name in ways}
    chosen = min(first, key=lambda name: first[name][1].valid_nll)
    models = [first[chosen], *(train(chosen, index) for index in range(1, recipe.members))]
    rejected = [member for name, (_, member) in first.items() if name != chosen]
    members = [member for _, member in models]
    ensemble = Ensemble([model for model, _ in models])
    alone = len(members) == 1
    valid_nll = members[0].valid_nll if alone else mean_nll(ensemble, splits.valid)[0]
    return TrainedEnsemble(ensemble, members, rejected, chosen, valid_nll)


def foreign_files(folder: Path) -> list[str]:
    """Returns the names in a folder that `train_ensemble` does not write."""
    return sorted(path.name for path in folder.iterdir() if not _OWN.fullmatch(path.name))


def train_member(
    recipe: Recipe,
    splits: Splits,
    path: Path,
    seed: int,
    conditionals: str | families.Conditionals = "bernoulli",
    candidate: str = "",
    progress: bool | str = True,
) -> tuple[MADE, TrainedMember]:
    """Trains one model, or reads it where it was trained before.

    Args:
        recipe: a recipe without candidates.
        splits: rows to learn from and rows to stop by.
        path: the model's file, which ends in `.keras`; beside it lies a `.json`
            with the `TrainedMember`.
        seed: of order, weights, shuffles and dropout.
        conditionals: as of `MADE`.
        candidate: what to call the recipe.
        progress: whether to show a bar on stderr; a text is its title.

    Raises:
        ValueError: if what lies at `path` was trained by another recipe.
    """
    training = recipe.training
    facts = path.with_suffix(".json")
    made_by = json.loads(json.dumps({"recipe": recipe.to_dict(), "seed": seed}))
    made_by["data"] = digest(splits.train, splits.valid)
    for key in ("members", "about"):  # they say nothing of a single member
        made_by["recipe"].pop(key, None)
    if facts.exists():
        found = json.loads(facts.read_text())
        if _with_defaults(found.pop("made_by")) != _with_defaults(made_by):
            raise ValueError(
                f"{path} was trained on other rows, by another recipe or with another seed. "
                "Remove it, or write elsewhere."
            )
        return keras.saving.load_model(path, compile=False), TrainedMember(**found)

    started = time.perf_counter(), time.process_time()

    def make_model() -> MADE:
        keras.utils.set_random_seed(seed)
        model = MADE(
            splits.train.shape[1],
            conditionals=conditionals,
            seed=seed,
            num_orders=training.validation_orders,
            **recipe.model_arguments(),
        )
        model.compile(training.make_optimizer())
        return model

    model, state = fit_resumably(
        make_model,
        splits.train,
        splits.valid,
        path,
        epochs=training.looks,
        batch_size=training.batch_size,
        patience=training.patience,
        seed=seed,
        settings=made_by,
        progress=progress,
        steps=training.steps,
        average_steps=training.average_steps,
        save_seconds=_SAVE_SECONDS,
    )
    model.num_orders = recipe.num_orders
    with replacing(path) as temporary:
        model.save(temporary)
    member = TrainedMember(
        candidate,
        seed,
        mean_nll(model, splits.valid)[0],
        state.epoch,
        state.best_epoch,
        round(time.perf_counter() - started[0], 1),
        round(time.process_time() - started[1], 1),
        state.history,
    )
    with replacing(facts) as temporary:
        temporary.write_text(json.dumps({**dataclasses.asdict(member), "made_by": made_by}))
    return model, member


def _with_defaults(made_by: dict[str, Any]) -> dict[str, Any]:
    # A member may be older than some setting, which then had its default.
    return {**made_by, "recipe": Recipe.from_dict("", made_by["recipe"])}
