"""`made-tf probability`: how probable conditions on the columns of a table are."""

from __future__ import annotations

import json
from pathlib import Path

import click

from made_tf.cli.options import JSON, MODEL, SEED
from made_tf.cli.running import quiet
from made_tf.cli.tables import open_table

__all__ = ["probability"]


@click.command()
@MODEL
@click.argument("where", nargs=-1, required=True)
@click.option("--given", help="What is known of the row: a condition as well.")
@click.option(
    "-n",
    "--num-samples",
    type=click.IntRange(2),
    default=1000,
    show_default=True,
    help="How many draws an answer takes.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="A standard error, as a part of the probability, from which on no more draws are made. "
    "Few draws may miss rare ones that count much; 0 is for all of them.",
)
@click.option(
    "--of-whole-rows/--of-single-passes",
    default=None,
    help="Draw all columns, or those alone that a condition is about.  [default: all for "
    "conditions that, with --given, are about four or more]",
)
@SEED
@JSON
def probability(
    model: Path,
    where: tuple[str, ...],
    given: str | None,
    num_samples: int,
    tolerance: float,
    of_whole_rows: bool | None,
    seed: int,
    as_json: bool,
) -> None:
    """Tell how probable each condition WHERE is under MODEL, the .keras file of a table.

    Conditions are those of SQL: "price < 1000 AND cut IN ('Ideal', 'Premium')
    AND depth IS NOT NULL". Prints each with its probability, the standard
    error of the draws, and how many rows of the table that would be.
    """
    opened = open_table(model)
    with quiet():
        options = num_samples, seed, tolerance, of_whole_rows
        found = opened.probability(list(where), given, *options)
    answers = [
        {"where": text, "probability": float(p), "standard_error": float(e), "count": float(c)}
        for text, p, e, c in zip(
            where, found.probability, found.standard_error, found.count, strict=True
        )
    ]
    if as_json:
        click.echo(json.dumps(answers))
        return
    for answer in answers:
        click.echo(
            f"{answer['probability']:.6g} +- {answer['standard_error']:.2g}  "
            f"({answer['count']:.1f} of {found.num_rows} rows)  {answer['where']}"
        )
