"""`made-tf tune`: a search for a recipe."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from made_tf.cli.opening import family_of
from made_tf.cli.options import (
    ARRAY,
    CONDITIONALS,
    INPUT_FILE,
    SEED,
    VALIDATION_FRACTION,
    OutputFile,
    check_outputs,
)
from made_tf.cli.running import quiet

__all__ = ["tune"]


@click.command()
@click.argument("data", type=INPUT_FILE)
@click.option(
    "-o",
    "--output",
    type=OutputFile(".toml"),
    required=True,
    help="The recipe that was the best, for train --recipe and reproduce --recipe.",
)
@click.option(
    "--trials", type=click.IntRange(1), default=20, show_default=True, help="How many, in all."
)
@ARRAY
@CONDITIONALS
@click.option(
    "--looks",
    type=click.IntRange(1),
    default=3000,
    show_default=True,
    help="Each training ends after so many looks at the validation rows, if not before.",
)
@SEED
@VALIDATION_FRACTION
def tune(
    data: Path,
    output: Path,
    trials: int,
    array: str | None,
    conditionals: str,
    looks: int,
    seed: int,
    validation_fraction: float,
) -> None:
    """Search for the recipe that suits DATA best.

    Trains one network after the other, of depths, widths, orders, degrees,
    dropouts, activations, optimizers and learning rates that Optuna proposes,
    and judges them by the validation rows. Trials are kept beside the output:
    the same command goes on where it was cut off, and --trials with a larger
    number goes further.
    """
    check_outputs([output], [data])
    with quiet():
        from made_tf.training.search import search
    from made_tf.data.splits import load_splits
    from made_tf.portable.files import replacing

    splits = load_splits(data, validation_fraction, seed, array, conditionals=conditionals)
    study = output.with_suffix(".trials")
    try:
        recipe, nll = search(
            splits, study, trials, seed, family_of(splits, conditionals), looks, click.echo
        )
    except KeyboardInterrupt:
        click.echo(f"Interrupted. Trials are in {study}. The same command goes on.", err=True)
        sys.exit(130)
    with replacing(output) as path:
        path.write_text(recipe.to_toml(), encoding="utf-8")
    click.echo(f"validation NLL  {nll:.4f} nats per row, the best")
    click.echo(f"recipe          {output}")
