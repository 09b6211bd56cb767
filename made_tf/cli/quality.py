"""`made-tf quality`: how good rows drawn from a table's model are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from made_tf.cli.options import MODEL, SEED, TABLE_FILE, OutputFile, check_outputs
from made_tf.cli.running import quiet, warnings_in_lines
from made_tf.cli.tables import open_table, read, reading
from made_tf.cli.texts import printable

__all__ = ["quality"]


@click.command()
@MODEL
@click.argument("data", type=TABLE_FILE)
@click.option(
    "-o",
    "--output",
    type=OutputFile(".html", ".json"),
    help="Also write the report: with pictures as .html, for programs as .json.",
)
@click.option(
    "--train",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The rows that MODEL has learned from: figures to compare with, and whether it knows any "
    "by heart.",
)
@click.option("--target", help="The column to predict from the others.  [default: chosen]")
@click.option(
    "-n",
    "--num",
    type=click.IntRange(20),
    metavar="INTEGER",
    help="How many rows are drawn.  [default: as many as the longer table has]",
)
@SEED
@reading
def quality(
    model: Path,
    data: Path,
    output: Path | None,
    train: Path | None,
    target: str | None,
    num: int | None,
    seed: int,
    **options: Any,
) -> None:
    """Tell how good rows drawn from MODEL are, the .keras file of a table.

    DATA has real rows that MODEL has not learned from. Tells whether a
    classifier can tell the drawn rows from them, how alike columns and pairs of
    columns are, what a model trained on drawn rows is worth, and whether rows
    were learned by heart.
    """
    check_outputs([output], [path for path in (model, data, train) if path])
    frame = read(data, options)
    learned = None if train is None else read(train, options)
    opened = open_table(model)
    with quiet(), warnings_in_lines():
        report = opened.quality(frame, learned, target, num, seed)
        if output is not None:
            write = report.to_html if output.suffix == ".html" else report.to_json
            write(output)
    click.echo(printable(str(report)))
    if output is not None:
        click.echo(f"\n{output}")
