"""The networks of a table: trained by recipes, within a time if there is one."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from made_tf.conditionals import Conditionals
from made_tf.conditionals.starts import Start
from made_tf.data.row_files import RowFiles
from made_tf.data.row_stream import RowStream, bytes_of
from made_tf.data.splits import Splits
from made_tf.data.survey import survey
from made_tf.data.table_schema import TableSchema
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE
from made_tf.portable.arguments import fraction as checked_fraction
from made_tf.portable.arguments import positive
from made_tf.portable.arrays import FloatArray
from made_tf.scoring import mean_nll
from made_tf.tables.families import families_of
from made_tf.tables.network import TableNetwork
from made_tf.tables.spread import spread_of
from made_tf.training.callbacks import StopAfter
from made_tf.training.members import TrainedMember, train_member
from made_tf.training.parts import member_path
from made_tf.training.recipe import Recipe

__all__ = [
    "Prepared",
    "Trained",
    "checked_budget",
    "prepare",
    "recipes_of",
    "split_rows",
    "together",
    "train_network",
]

_MOST_VALIDATION = 5000
_CONSTANT_RATE = 1e-3
_LEAST_SECONDS = 1.0  # less is not worth the beginning
_BETWEEN_MEMBERS = 2**20  # so that neighbouring seeds share no member


class Prepared(NamedTuple):
    """A table, ready to be learned from.

    Attributes:
        schema: what its columns are.
        splits: its rows as numbers; those to learn from are a `RowStream` where they lie in files.
        family: of the variables.
        start: where its networks start to learn.
    """

    schema: TableSchema
    splits: Splits
    family: Conditionals
    start: Start


class Trained(NamedTuple):
    """What was learned of whole rows, or of questions.

    Attributes:
        network: one network, or several of equal weight.
        valid_nll: of the rows to stop by, in nats.
        history: the metrics of the looks at them that the first network's training took.
    """

    network: MADE | Ensemble
    valid_nll: float
    history: list[dict[str, float]]


def prepare(table: Any, model: Any, seed: int, folder: Path | None = None) -> Prepared:
    """Returns a table as `TableModel.fit` takes it, with the schema that is found in it.

    Args:
        table: a frame, or where Parquet files lie.
        model: the `TableModel` whose settings count.
        seed: of what is drawn.
        folder: keeps what was found in files; `None` to find it anew.
    """
    settings = model.overrides, model.constraints, model.find_facts
    if not isinstance(table, str | os.PathLike):
        schema = TableSchema.infer(table, *settings)
        x = schema.encode_frame(table).x
        splits = split_rows(x, model.validation_fraction, seed, schema.variables)
        family = families_of(schema, splits.train)
        return Prepared(schema, splits, family, family.start(splits.train))
    bytes_of(model.memory)  # before all is read
    files = RowFiles(table)
    held = files.held_out(model.validation_fraction, seed, _MOST_VALIDATION)
    found = survey(files, held, *settings, seed=seed, folder=folder)
    stream = RowStream(files, found.schema, memory=model.memory, held_out=held)
    rows = found.validation
    splits = Splits(cast(FloatArray, stream), rows, rows[:0], found.schema.variables)
    family = families_of(found.schema, found.values, found.moments)
    return Prepared(found.schema, splits, family, family.start(found.values))


def recipes_of(model: Any) -> list[Recipe]:
    """Returns how a `TableModel` is trained: the density of whole rows, and the questions' network.

    Raises:
        ValueError: if there is no such recipe, or that of questions has several members.
    """
    recipes = [
        each if isinstance(each, Recipe) else Recipe.load(each)
        for each in (model.recipe, model.questions)
        if each is not None
    ]
    for recipe in recipes[1:]:
        most = max(recipe.candidate(name).members for name in ("", *recipe.candidates))
        if most > 1:
            raise ValueError(
                f"`questions` must be a recipe of one member. Received: {recipe.name}, of {most}"
            )
    return recipes


def checked_budget(budget: Any) -> float | None:
    """Returns how many seconds there are for training.

    Raises:
        ValueError: if that is no such number.
    """
    return None if budget is None else positive("time_budget", budget, " of seconds, or None")


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
    table: Prepared,
    seed: int,
    seconds: float | None = None,
    folder: Path | None = None,
    title: str = "",
) -> Trained:
    """Trains one network, or as many as the recipe has members.

    Args:
        recipe: of its candidates the first one that is for so many rows.
        table: what to learn from.
        seed: of weights, order, shuffles and dropout.
        seconds: how long training may take: further members share what the first one leaves.
        folder: where the run lies, to be resumed; a temporary one by default.
        title: of the progress bar; "" for none.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as own:
            return train_network(recipe, table, seed, seconds, Path(own), title)
    recipe = _for_rows(recipe, table.splits)
    if seconds is not None:
        # A schedule would have to know beforehand how many steps there is time for.
        recipe = recipe.overridden(schedule="constant", learning_rate=_CONSTANT_RATE)
    folder.mkdir(parents=True, exist_ok=True)
    networks: list[MADE] = []
    members: list[TrainedMember] = []
    started = time.monotonic()
    for index in range(recipe.members):
        callbacks = []
        if seconds is not None:
            left = (seconds - (time.monotonic() - started)) / max(1, recipe.members - index)
            if index and left < _LEAST_SECONDS:
                break
            callbacks = [StopAfter(left if index else seconds)]
        network, member = train_member(
            recipe,
            table.splits,
            member_path(folder, recipe.name, index),
            (seed + index * _BETWEEN_MEMBERS) % 2**31,
            table.family,
            progress=f"{title} {index + 1}/{recipe.members}" if title and index else title or False,
            callbacks=callbacks,
            start=table.start,
        )
        networks.append(network)
        members.append(member)
    if len(networks) == 1:
        return Trained(networks[0], members[0].valid_nll, members[0].history)
    ensemble = Ensemble(networks)
    return Trained(ensemble, mean_nll(ensemble, table.splits.valid)[0], members[0].history)


def together(table: Prepared, trained: list[Trained]) -> TableNetwork:
    """Returns what was learned as one model.

    Args:
        table: what it was learned from.
        trained: of whole rows, and of questions if there is such a network.
    """
    schema, splits = table.schema, table.splits
    known = splits.train if isinstance(splits.train, np.ndarray) else splits.valid
    joint, *others = (each.network for each in trained)
    questions = cast(MADE, others[0]) if others else None
    behind = trained[1].valid_nll - trained[0].valid_nll if others else None
    return TableNetwork(schema, joint, questions, spread_of(schema, known), behind)


def _for_rows(recipe: Recipe, splits: Splits) -> Recipe:
    """Returns the candidate that is for such rows."""
    num_rows, num_variables = splits.train.shape
    return next(iter(recipe.candidates_for(num_rows, num_variables, is_binary=False).values()))
