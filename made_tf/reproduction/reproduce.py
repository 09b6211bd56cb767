"""One set, one recipe, one seed: train, choose, test once, record, tabulate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from made_tf.data.splits import Splits
from made_tf.portable.files import replacing
from made_tf.reproduction.records import Record, read_records, record_name
from made_tf.reproduction.tables import write_tables
from made_tf.scoring import mean_nll
from made_tf.training.by_recipe import train_ensemble
from made_tf.training.recipe import Recipe

__all__ = ["reproduce_set"]


def reproduce_set(
    name: str,
    recipe: Recipe,
    splits: Splits,
    output: Path,
    seed: int = 0,
    smoke: bool = False,
    echo: Callable[[str], Any] = print,
) -> Record:
    """Trains an ensemble, scores the test rows once, and writes what came out.

    In `output` there will be `models/SET-RECIPE-SEED.keras` and a folder with its
    members, `records/SET-RECIPE-SEED.json`, `table.md` and `plot.png`.

    Args:
        name: the set's name.
        recipe: how to train.
        splits: the set.
        output: a folder.
        seed: seed of the ensemble.
        smoke: whether the rows are made up.
        echo: prints one line.

    Returns:
        The record; that of an earlier call, where there is one.

    Raises:
        FloatingPointError: if training diverges.
        ValueError: if the record or a model that is there was made by a recipe
            with the same name and another content.
    """
    records, models = output / "records", output / "models"
    stem = record_name(name, recipe.name, seed).removesuffix(".json")
    done = [each for each in read_records(records) if each.file_name == f"{stem}.json"]
    if done:
        if Recipe.from_dict(recipe.name, done[0].settings) != recipe:
            raise ValueError(
                f"{records / stem}.json was made by another recipe of the same name. Write to "
                "another folder, or remove it."
            )
        echo(f"{stem}: done before, test NLL {done[0].test_nll:.4f}")
    else:
        echo(f"{stem}: {len(splits.train)} rows to learn from, {splits.train.shape[1]} variables")
        trained = train_ensemble(recipe, splits, models / stem, seed, echo=echo)
        test = mean_nll(trained.ensemble, splits.test)
        with replacing(models / f"{stem}.keras") as path:
            trained.ensemble.save(path)
        done = [Record.of(name, recipe, seed, trained, test, smoke)]
        done[0].write(records)
        echo(f"{stem}: recipe {trained.origin}")
        echo(f"{stem}: test NLL {test[0]:.4f}, standard error {test[1]:.4f}")
    write_tables(read_records(records), output)
    return done[0]
