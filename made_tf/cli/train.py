"""`made-tf train`: by a recipe, or as the options say."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from made_tf.cli.opening import family_of
from made_tf.cli.running import quiet

if TYPE_CHECKING:
    from made_tf.data.splits import Splits
    from made_tf.models.made import MADE

import dataclasses
import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from click.core import ParameterSource

from made_tf.cli.options import (
    ARRAY,
    CONDITIONALS,
    INPUT_FILE,
    SEED,
    VALIDATION_FRACTION,
    FiniteRange,
    Integers,
    MaskCount,
    OutputFile,
    check_outputs,
)
from made_tf.cli.texts import interruption_text

if TYPE_CHECKING:
    from made_tf.data.splits import Splits

__all__ = ["make_model", "train"]

# What these settings say, a recipe leaves open; where any other is given, no recipe is followed.
_BESIDE_A_RECIPE = {"conditionals", "seed", "validation_fraction"}


@click.command()
@click.argument("data", type=INPUT_FILE)
@click.option(
    "-o", "--output", type=OutputFile(".keras"), required=True, help="Where the best model goes."
)
@ARRAY
@CONDITIONALS
@click.option(
    "--hidden-units",
    type=Integers("500 or 500,500", ","),
    default="500",
    show_default=True,
    help="Width of each hidden layer, separated by commas.",
)
@click.option(
    "--input-order",
    type=click.Choice(["natural", "random"]),
    default="natural",
    show_default=True,
    help="The order in which the columns are modelled.",
)
@click.option(
    "--hidden-degrees",
    type=click.Choice(["equal", "early", "random"]),
    default="equal",
    show_default=True,
    help="How many inputs each hidden unit sees: evenly spread, rather few, or drawn.",
)
@click.option(
    "--direct/--no-direct",
    default=True,
    show_default=True,
    help="Connect inputs to outputs directly as well.",
)
@click.option(
    "--residual/--no-residual",
    default=False,
    show_default=True,
    help="Add each hidden layer's units to the next one's.",
)
@click.option(
    "--num-masks",
    type=MaskCount(),
    metavar="INTEGER|fresh",
    default=1,
    show_default=True,
    help="Learn under so many masks in turn, or under a fresh one at each step. With 'fresh', "
    "impute is exact whatever is missing.",
)
@click.option(
    "--resample",
    type=click.Choice(["both", "order", "connectivity"]),
    help="What differs between masks: the order of the columns, which hidden unit sees which, or "
    "both.  [default: both]",
)
@click.option(
    "--num-orders",
    type=click.IntRange(1),
    metavar="INTEGER",
    default=1,
    show_default=True,
    help="The density is the average over this many masks; evaluate and impute use it, too.",
)
@click.option("--activation", default="relu", show_default=True, help="Of the hidden units.")
@click.option(
    "--dropout",
    type=FiniteRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="The fraction of hidden units dropped in training.",
)
@click.option(
    "--epochs", type=click.IntRange(1), default=500, show_default=True, help="At most this many."
)
@click.option("--batch-size", type=click.IntRange(1), default=50, show_default=True)
@click.option(
    "--learning-rate",
    type=FiniteRange(0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Of the Adam optimizer.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Stop after this many epochs without improvement on the validation rows.",
)
@SEED
@VALIDATION_FRACTION
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    help="How to train, where no option above says so.  [default: default]",
)
@click.option(
    "--members",
    type=click.IntRange(1),
    metavar="INTEGER",
    help="How many models the recipe's ensemble has. A single one can be exported.  [default: 1]",
)
@click.option("--history", type=OutputFile(".csv"), help="Also write the metrics of every epoch.")
@click.option("--restart", is_flag=True, help="Forget an unfinished run instead of resuming it.")
def train(
    data: Path,
    output: Path,
    array: str | None,
    history: Path | None,
    restart: bool,
    recipe: str | None,
    members: int | None,
    **settings,
) -> None:
    """Fit MADE to the rows of DATA and keep the best model.

    DATA is a .csv or .parquet table of numbers, or an .npz with one array or
    with the arrays train, valid and test.

    Without options for the network and its training a recipe chooses them: the
    default one trains a few networks that differ in depth, order, dropout and
    masks, as the number of rows suggests, and keeps the one that is best on the
    validation rows. With any such option one network is trained, as the
    options and their defaults say.

    A run that was killed or stopped with Ctrl-C resumes after its last epoch
    when the same command is given again.
    """
    check_outputs([output, history], [data])
    source = click.get_current_context().get_parameter_source
    given = [
        name
        for name in settings
        if name not in _BESIDE_A_RECIPE and source(name) is ParameterSource.COMMANDLINE
    ]
    if given and (recipe is not None or members is not None):
        option = f"--{given[0].replace('_', '-')}"
        raise click.UsageError(f"a recipe says itself what {option} says: leave one of them out.")
    if settings["num_masks"] == 1 and settings["resample"]:
        raise click.UsageError("--resample is for several masks: give --num-masks, too.")
    settings["resample"] = settings["resample"] or "both"
    with quiet():
        import made_tf.callbacks  # noqa: F401 - what libraries have to tell, they tell now
    from made_tf.data import load_splits
    from made_tf.data.writers import save_history
    from made_tf.scoring import score, summarise

    splits = load_splits(
        data,
        settings["validation_fraction"],
        settings["seed"],
        array,
        conditionals=settings["conditionals"],
    )

    def keep(rows: list[dict[str, float]]) -> None:
        if history:
            save_history(history, rows)

    if given:
        model = _as_options_say(splits, output, keep, restart, settings)
    else:
        model = _as_recipe_says(
            recipe or "default", members or 1, splits, output, keep, restart, settings
        )
    if len(splits.test):
        scores = summarise(score(model, splits.test), model.event_size)
        click.echo(
            f"test NLL        {scores['nll']:.4f} nats per row, standard error "
            f"{scores['nll_standard_error']:.4f}"
        )
    click.echo(f"model           {output}")


def _as_options_say(
    splits: Splits, output: Path, keep: Callable, restart: bool, settings: dict[str, Any]
) -> Any:
    from made_tf.training import runs
    from made_tf.training.fitting import fit_resumably

    own = {name: settings.pop(name) for name in ("epochs", "batch_size", "patience", "seed")}
    try:
        model, state = fit_resumably(
            lambda: make_model(splits, own["seed"], settings),
            splits.train,
            splits.valid,
            output,
            **own,
            settings=settings,
            restart=restart,
            on_end=lambda state: keep(state.history),
            progress=True,
        )
    except KeyboardInterrupt:
        left = runs.read_state(runs.run_directory(output))
        kept = runs.best_path(output, left) if left else output
        click.echo(interruption_text(left, output, kept), err=True)
        sys.exit(130)
    best = state.history[state.best_epoch - 1]
    click.echo(f"epochs          {state.epoch}, the best being {state.best_epoch}")
    click.echo(f"validation NLL  {best['val_nll']:.4f} nats per row")
    return model


def _as_recipe_says(
    name: str,
    members: int,
    splits: Splits,
    output: Path,
    keep: Callable,
    restart: bool,
    settings: dict[str, Any],
) -> Any:
    from made_tf.cli.opening import family_of
    from made_tf.portable.files import replacing
    from made_tf.training.by_recipe import foreign_files, train_ensemble
    from made_tf.training.recipe import Recipe

    recipe = dataclasses.replace(Recipe.load(name), members=members)
    folder = output.with_name(f"{output.name}.parts")
    if folder.exists():
        foreign = foreign_files(folder)
        if foreign:
            raise ValueError(f"{folder} is kept for parts of {output}. It holds {foreign[0]}.")
        if restart:
            shutil.rmtree(folder)
    try:
        trained = train_ensemble(
            recipe,
            splits,
            folder,
            settings["seed"],
            family_of(splits, settings["conditionals"]),
            click.echo,
        )
    except KeyboardInterrupt:
        click.echo(
            f"Interrupted. What was trained so far is in {folder}. The same command resumes.",
            err=True,
        )
        sys.exit(130)
    model = trained.ensemble if members > 1 else trained.ensemble.members[0]
    keep(trained.members[0].history)
    with replacing(output, folder / f".{output.stem}.tmp.keras") as path:
        model.save(path)
    if trained.candidate:
        click.echo(f"network         {trained.candidate}, of {', '.join(recipe.candidates)}")
    click.echo(f"validation NLL  {trained.valid_nll:.4f} nats per row")
    shutil.rmtree(folder)
    return model


def make_model(splits: Splits, seed: int, settings: dict[str, Any]) -> MADE:
    """Returns a compiled MADE for these rows, as the settings of `train` say."""
    import keras

    from made_tf.models.made import MADE

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
