"""`made-tf train`: a model by a recipe, whose entries options override."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from made_tf.cli.devices import on_devices
from made_tf.cli.opening import family_of
from made_tf.cli.options import (
    ARRAY,
    CONDITIONALS_OR_TABLE,
    SEED,
    VALIDATION_FRACTION,
    FiniteRange,
    Integers,
    MaskCount,
    OutputFile,
    RowsPath,
    check_outputs,
)
from made_tf.cli.parts import forget_folder, parts_folder
from made_tf.cli.running import quiet
from made_tf.cli.tables import Seconds, is_whole_table, reading, train_table
from made_tf.cli.texts import nll_text

if TYPE_CHECKING:
    from made_tf.conditionals import Conditionals
    from made_tf.data.splits import Splits
    from made_tf.training.recipe import Recipe

__all__ = ["train"]

#: What an option says of both networks of a table; the others are of the density's alone.
_OF_BOTH = (
    "hidden_units",
    "activation",
    "dropout",
    "epochs",
    "batch_size",
    "learning_rate",
    "patience",
)


def _override(*names: str, text: str, **attributes: Any) -> Any:
    """Returns an option that overrides an entry of the recipe, and has no default of its own."""
    return click.option(*names, help=f"{text}  [default: as the recipe says]", **attributes)


@click.command()
@click.argument("data", type=RowsPath())
@click.option(
    "-o", "--output", type=OutputFile(".keras"), required=True, help="Where the best model goes."
)
@ARRAY
@CONDITIONALS_OR_TABLE
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    help="How to train: a few networks to choose from, of which 'single' has one. The following "
    "options, down to --patience, override what it says, of all of these networks.  [default: "
    "default; table for a table as it is]",
)
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["density", "questions"]),
    default="density",
    show_default=True,
    help="What rows of numbers are modelled for: 'questions' trains a network of all orders that "
    "answers any question about some columns given others (the recipe 'questions'). A table as it "
    "is always gets one.",
)
@_override(
    "--hidden-units",
    type=Integers("500 or 500,500", ","),
    metavar="INTEGER,...",
    text="Width of each hidden layer, separated by commas, such as 500 or 500,500.",
)
@_override(
    "--input-order",
    type=click.Choice(["natural", "random"]),
    text="The order in which the columns are modelled.",
)
@_override(
    "--hidden-degrees",
    type=click.Choice(["equal", "early", "random"]),
    text="How many inputs each hidden unit sees: evenly spread, rather few, or drawn.",
)
@_override(
    "--direct/--no-direct",
    "direct_connections",
    default=None,
    text="Connect inputs to outputs directly as well.",
)
@_override(
    "--residual/--no-residual",
    default=None,
    text="Add each hidden layer's units to the next one's.",
)
@_override(
    "--num-masks",
    type=MaskCount(),
    metavar="INTEGER|fresh",
    text="Learn under so many masks in turn, or under a fresh one at each step. With 'fresh', "
    "impute is exact whatever is missing.",
)
@_override(
    "--resample",
    type=click.Choice(["both", "order", "connectivity", "evidence"]),
    text="What differs between masks: the order of the columns, which hidden unit sees which, "
    "both, or which columns come first as evidence.",
)
@_override(
    "--num-orders",
    type=click.IntRange(1),
    metavar="INTEGER",
    text="The density is the average over this many masks; evaluate and impute use it, too.",
)
@_override("--activation", text="Of the hidden units.")
@_override(
    "--dropout",
    type=FiniteRange(0, 1, max_open=True),
    text="The fraction of hidden units dropped in training.",
)
@_override(
    "--epochs",
    type=click.IntRange(1),
    metavar="INTEGER",
    text="Look at the validation rows after each pass through the training rows, and end after "
    "at most this many.",
)
@_override("--batch-size", type=click.IntRange(1), metavar="INTEGER", text="Rows in a step.")
@_override(
    "--learning-rate", type=FiniteRange(0, min_open=True), metavar="FLOAT", text="Of the optimizer."
)
@_override(
    "--patience",
    type=click.IntRange(1),
    metavar="INTEGER",
    text="Stop after this many looks at the validation rows without improvement.",
)
@click.option(
    "--members",
    type=click.IntRange(1),
    metavar="INTEGER",
    default=1,
    show_default=True,
    help="How many models the ensemble has.",
)
@click.option(
    "--schema",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What columns of a table are and what holds in all rows, a .toml file as 'made-tf schema' "
    "writes it.",
)
@click.option(
    "--time-budget",
    type=Seconds(),
    help="How long training on a table may take, such as 90s or 5m.  [default: as long as the "
    "recipes say]",
)
@click.option(
    "--memory",
    metavar="SIZE",
    help="How much memory rows may take that are read from .parquet files as training goes on: a "
    "quarter of a GB for reading, the rest for rows, which are shuffled among each other. With it "
    "a single file is read so, too.  [default: 2GB for folders and patterns]",
)
@reading
@SEED
@VALIDATION_FRACTION
@click.option("--history", type=OutputFile(".csv"), help="Also write the metrics of every look.")
@click.option("--restart", is_flag=True, help="Forget an unfinished run instead of resuming it.")
@on_devices
def train(
    data: Path,
    output: Path,
    array: str | None,
    conditionals: str | None,
    recipe: str | None,
    purpose: str,
    schema: Path | None,
    time_budget: float | None,
    memory: str | None,
    separator: str | None,
    decimal: str | None,
    encoding: str | None,
    members: int,
    seed: int,
    validation_fraction: float,
    history: Path | None,
    restart: bool,
    **overrides: Any,
) -> None:
    """Fit MADE to the rows of DATA and keep the best model.

    DATA is a table as it is (.csv, .tsv, .parquet, - for stdin), with names,
    categories, dates and missing cells; or rows of numbers: an .npz with one
    array or with the arrays train, valid and test, or a table with
    --conditionals. A folder of .parquet files, or a pattern such as
    'rows/*.parquet', is a table that need not fit into memory.

    A recipe says how: the default one trains a few networks that differ in
    depth, order, dropout and masks, as the number of rows suggests, and keeps
    the one that is best on the validation rows. Options override entries of the
    recipe, for all of its networks; one that becomes impossible is left out.

    A run that was killed or stopped with Ctrl-C resumes where it was when the
    same command is given again.
    """
    check_outputs([output, history], [data])
    with quiet():
        import made_tf.training  # noqa: F401 - what libraries have to tell, they tell now
    from made_tf.data.splits import load_splits
    from made_tf.data.writers import save_history
    from made_tf.portable.files import replacing
    from made_tf.scoring import score, summarise
    from made_tf.training.by_recipe import train_ensemble

    options = {"separator": separator, "decimal": decimal, "encoding": encoding}
    in_files = memory is not None or (not data.is_file() and str(data) != "-")
    if in_files and (conditionals or any(options.values())):
        raise click.UsageError(
            "--conditionals, --separator, --decimal and --encoding are not for .parquet files that "
            "are read while training goes on."
        )
    frame = str(data) if in_files else is_whole_table(data, conditionals, options)
    if frame is not None:
        if members > 1:
            raise click.UsageError("--members is for rows of numbers, with --conditionals.")
        train_table(
            frame,
            output,
            _followed(recipe or "table", overrides),
            _followed("questions", {name: overrides[name] for name in _OF_BOTH}),
            schema=schema,
            seed=seed,
            validation_fraction=validation_fraction,
            time_budget=time_budget,
            memory=memory or "2GB",
            restart=restart,
            history=history,
        )
        return
    if schema is not None or time_budget is not None:
        raise click.UsageError("--schema and --time-budget are for tables as they are.")
    conditionals = conditionals or "bernoulli"
    for_questions = purpose == "questions"
    if for_questions and overrides["num_masks"] not in (None, "fresh"):
        raise click.UsageError("--num-masks must be fresh with --for questions.")
    name = recipe or ("questions" if for_questions else "default")
    followed = _followed(name, {"members": members, **overrides})
    if for_questions and followed.tells_unknown is None:
        followed = dataclasses.replace(followed, tells_unknown=True)
    splits = load_splits(data, validation_fraction, seed, array, conditionals=conditionals)
    family = family_of(splits, conditionals)
    _check_masks(followed, splits, family, overrides)
    with parts_folder(output) as folder:
        trained = train_ensemble(
            followed, splits, folder, seed, family, echo=click.echo, restart=restart
        )
    model = trained.ensemble if members > 1 else trained.ensemble.members[0]
    if history:
        save_history(history, trained.members[0].history)
    with replacing(output, folder / f".{output.stem}.tmp.keras") as path:
        model.save(path)
    click.echo(f"recipe          {trained.origin}")
    click.echo(f"validation NLL  {trained.valid_nll:.4f} nats per row")
    forget_folder(folder)
    if len(splits.test):
        scores = summarise(score(model, splits.test), model.event_size)
        click.echo(f"test NLL        {nll_text(scores)}")
    click.echo(f"model           {output}")


def _followed(name: str, overrides: dict[str, Any]) -> Recipe:
    """Returns the recipe with what the options say."""
    from made_tf.training.recipe import Recipe

    given = {name: value for name, value in overrides.items() if value is not None}
    if "epochs" in given:
        given |= {"steps": 0, "looks": given.pop("epochs")}
    return Recipe.load(name).overridden(**given)


def _check_masks(
    recipe: Recipe, splits: Splits, family: str | Conditionals, overrides: dict[str, Any]
) -> None:
    """Fails if `--resample` would say nothing."""
    from made_tf.training.by_recipe import candidates_for

    candidates = candidates_for(recipe, splits, family).values()
    if overrides["resample"] and any(each.model.get("num_masks", 1) == 1 for each in candidates):
        raise click.UsageError("--resample is for several masks: give --num-masks, too.")
