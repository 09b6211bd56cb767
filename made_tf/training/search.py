"""Searches the recipes' space on validation rows, with Optuna; resumable."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from made_tf import conditionals as families
from made_tf.data.splits import Splits
from made_tf.portable.digests import digest
from made_tf.portable.files import PathLike
from made_tf.training.members import train_member
from made_tf.training.recipe import Recipe, check_name
from made_tf.training.schedule import Training

if TYPE_CHECKING:
    import optuna

__all__ = ["search", "suggest_recipe"]

# Where the search begins: what often is good.
_FIRST = (
    {"layers": 1, "width": 500, "order": "natural", "dropout": 0.3}
    | {"hidden_degrees": "equal", "optimizer": "adamax", "learning_rate": 3e-3},
    {"layers": 2, "width": 500, "order": "random", "dropout": 0.5, "residual": False}
    | {"hidden_degrees": "early", "optimizer": "adamax", "learning_rate": 3e-3},
    {"layers": 1, "width": 500, "order": "any", "dropout": 0.3, "input_dropout": 0.2}
    | {"hidden_degrees": "equal", "optimizer": "adam", "learning_rate": 3e-3},
)
_SPACE = 2  # counted up when `suggest_recipe` changes: older trials would not fit


def search(
    splits: Splits,
    study_file: PathLike,
    num_trials: int,
    seed: int = 0,
    conditionals: str | families.Conditionals = "bernoulli",
    looks: int = 3000,
    echo: Callable[[str], Any] = print,
) -> tuple[Recipe, float]:
    """Trains one network after the other, each by a recipe that Optuna proposes.

    A search that was cut off, wherever that was, ends as one that was not: what is proposed depends
    on the trials that ended alone, so that the one that was in training comes again. A network
    whose training diverges counts as a trial that came to nothing.

    Args:
        splits: rows to learn from and rows to choose by; test rows are not
            looked at.
        study_file: where trials are kept; those that are there count. The
            recipe is named after it.
        num_trials: how many there shall be in all.
        seed: seed of the proposals and of each training.
        conditionals: as of `MADE`.
        looks: the largest number of looks (see `Training`) of each training.
        echo: prints one line.

    Returns:
        The recipe that was the best on the validation rows, and its NLL in nats.

    Raises:
        ModuleNotFoundError: if Optuna is not installed.
        ValueError: if the study was made with other rows or another seed, or no
            recipe can have its name, or the training of all of them diverged.
    """
    recipe_name = Path(study_file).stem
    check_name("study_file", recipe_name)
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("optuna is not installed: pip install 'made-tf[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = digest(splits.train, splits.valid)
    settings = {"data": data, "seed": seed, "looks": looks, "space": _SPACE}
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(study_file))),
        study_name="made_tf",
        load_if_exists=True,
    )
    for name, value in settings.items():
        if name not in study.user_attrs:
            study.set_user_attr(name, value)
    if study.user_attrs != settings:
        raise ValueError(
            f"{study_file} is a search on other rows, or with other settings: {study.user_attrs}. "
            "Remove it, or write elsewhere."
        )

    def objective(trial: optuna.Trial) -> float:
        recipe = suggest_recipe(trial, looks)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "member-0.keras"
            name = f"trial {len(_ended(study)) + 1}"
            summary = ", ".join(f"{key} {_short(value)}" for key, value in trial.params.items())
            try:
                _, member = train_member(recipe, splits, path, seed, conditionals, name)
            except FloatingPointError as error:
                echo(f"  {name}: training diverges: {summary}")
                raise optuna.TrialPruned from error
        echo(f"  {name}: validation NLL {member.valid_nll:.4f}: {summary}")
        return member.valid_nll

    while (count := len(_ended(study))) < num_trials:
        if params := _next_params(study, count):
            study.enqueue_trial(params)
        study.sampler = optuna.samplers.TPESampler(seed=seed + count, n_startup_trials=8)
        study.optimize(objective, n_trials=1)
    if not any(trial.value is not None for trial in study.trials):
        raise ValueError(f"The training of all {count} trials in {study_file} diverged.")
    best, nll = study.best_trial, study.best_value
    recipe = suggest_recipe(optuna.trial.FixedTrial(best.params), looks)
    about = f"The best of {len(_ended(study))} trials, validation NLL {nll:.4f} nats."
    return dataclasses.replace(recipe, name=recipe_name, about=about), nll


def suggest_recipe(trial: optuna.trial.BaseTrial, looks: int = 3000) -> Recipe:
    """Returns the recipe of a trial: network, order, dropout, optimizer."""
    layers = trial.suggest_int("layers", 1, 2)
    width = trial.suggest_categorical("width", [200, 500, 1000])
    order = trial.suggest_categorical("order", ["natural", "random", "any"])
    model: dict[str, Any] = {
        "hidden_units": [width] * layers,
        "dropout": trial.suggest_float("dropout", 0.0, 0.7, step=0.1),
        "activation": trial.suggest_categorical("activation", ["relu", "silu"]),
        "hidden_degrees": trial.suggest_categorical("hidden_degrees", ["equal", "early"]),
    }
    if layers > 1:
        model["residual"] = trial.suggest_categorical("residual", [False, True])
    optimizer = trial.suggest_categorical("optimizer", ["adam", "adamax"])
    rate = trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True)
    training = Training(optimizer=optimizer, learning_rate=float(f"{rate:.2g}"), looks=looks)
    if order != "any":
        return Recipe("tuned", model={**model, "input_order": order}, training=training)
    model |= {
        "num_masks": "fresh",
        "input_dropout": trial.suggest_float("input_dropout", 0.0, 0.3, step=0.1),
    }
    training = dataclasses.replace(training, validation_orders=4)
    return Recipe("tuned", model=model, training=training, num_orders=32)


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Returns the trials whose training ended, well or not."""
    return [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]


def _next_params(study: optuna.Study, count: int) -> dict[str, Any]:
    """Returns what to try next: one of the first, or (empty) what the sampler proposes."""
    is_waiting = any(trial.state.name == "WAITING" for trial in study.trials)  # of a call before
    return {} if is_waiting or count >= len(_FIRST) else dict(_FIRST[count])


def _short(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
