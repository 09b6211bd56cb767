"""`train_member`: one model by a recipe without candidates; found again where it was trained."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from made_tf import conditionals as families
from made_tf.conditionals.starts import Start
from made_tf.data.splits import Splits
from made_tf.models.made import MADE
from made_tf.portable.digests import digest
from made_tf.portable.files import replacing
from made_tf.scoring import mean_nll
from made_tf.training.distributed import from_first
from made_tf.training.fitting import fit_resumably
from made_tf.training.parts import facts_path
from made_tf.training.race import is_beaten
from made_tf.training.recipe import Recipe
from made_tf.training.shuffled_rows import digest_of_rows

__all__ = ["TrainedMember", "train_member"]


@dataclasses.dataclass
class TrainedMember:
    """How one model came out.

    Attributes:
        candidate: which of the recipe's candidates it is; "" where there is one
            network alone.
        seed: the seed of its order, weights, shuffles and dropout.
        valid_nll: of the validation rows under the average of `num_orders`
            orders, in nats.
        looks: how many looks at the validation rows its training took.
        best_look: which one was the best.
        wall_seconds: how long it took (since it was last resumed).
        cpu_seconds: the same, of all threads.
        history: the metrics of each look.
        beaten_by: the validation NLL of the candidate that it could no longer overtake, where that
            ended its training.
    """

    candidate: str
    seed: int
    valid_nll: float
    looks: int
    best_look: int
    wall_seconds: float
    cpu_seconds: float
    history: list[dict[str, float]]
    beaten_by: float | None = None


def train_member(
    recipe: Recipe,
    splits: Splits,
    path: Path,
    seed: int,
    conditionals: str | families.Conditionals = "bernoulli",
    candidate: str = "",
    progress: bool | str = True,
    save_seconds: float = 10.0,
    rival: float = math.inf,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    start: Start | None = None,
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
        save_seconds: how much training a killed process may lose.
        rival: the validation NLL of another candidate: training stops where it will hardly be
            reached. (With a schedule, or more orders in the end than at a look, it does not.)
        callbacks: further callbacks of training.
        start: where the outputs start to learn; `None` for where the layers do.

    Raises:
        FloatingPointError: if training diverges.
        ValueError: if what lies at `path` was trained by another recipe.
    """
    training, conditionals = recipe.training, recipe.family(conditionals)
    facts = facts_path(path)
    made_by = json.loads(json.dumps({"recipe": recipe.to_dict(), "seed": seed}))
    made_by["data"] = digest_of_rows(splits.train, splits.valid)
    family = _digest_of(families.get(conditionals, splits.train.shape[1]))
    for key in ("members", "about", "tells_unknown"):  # a member's own family says the last one
        made_by["recipe"].pop(key, None)
    found = from_first(lambda: json.loads(facts.read_text()) if facts.exists() else None)
    if found is not None:
        before = found.pop("made_by")
        density = before.pop("conditionals", family)  # which older members do not tell
        if density != family or _with_defaults(before) != _with_defaults(made_by):
            raise ValueError(
                f"{path} was trained on other rows, by another recipe or with other conditionals "
                "or another seed. "
                "Remove it, write elsewhere, or (`train_ensemble`) start afresh with "
                "`restart=True`."
            )
        member = TrainedMember(**found)
        if member.beaten_by is None or rival <= member.beaten_by:
            return from_first(lambda: keras.saving.load_model(path, compile=False)), member

    rival = rival if recipe.looks_judge else math.inf
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
        if start is not None:
            _start_at(model, start)
        model.compile(training.make_optimizer(splits.train.shape[0]))
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
        save_seconds=save_seconds,
        rival=rival,
        callbacks=callbacks,
    )
    model.num_orders = recipe.num_orders
    member = TrainedMember(
        candidate,
        seed,
        mean_nll(model, splits.valid)[0],
        state.epoch,
        state.best_epoch,
        round(time.perf_counter() - started[0], 1),
        round(time.process_time() - started[1], 1),
        state.history,
        rival if is_beaten([look["val_nll"] for look in state.history], rival) else None,
    )
    made_by["conditionals"] = family

    def write() -> None:
        with replacing(path) as temporary:
            model.save(temporary)
        with replacing(facts) as temporary:
            temporary.write_text(json.dumps({**dataclasses.asdict(member), "made_by": made_by}))

    from_first(write)
    return model, member


def _start_at(model: MADE, start: Start) -> None:
    last: Any = model.direct_layer if model.output_layer is None else model.output_layer
    last.bias.assign_add(start.parameters)
    own: Any = model.family_weights
    for name, values in start.weights.items():
        own.named[name].assign(values)


def _digest_of(family: families.Conditionals) -> str:
    content = json.dumps([family.name, family.get_config()])
    return digest(np.frombuffer(content.encode(), np.uint8))


def _with_defaults(made_by: dict[str, Any]) -> dict[str, Any]:
    # A member may be older than some setting, which then had its default.
    return {**made_by, "recipe": Recipe.from_dict("member", made_by["recipe"])}
