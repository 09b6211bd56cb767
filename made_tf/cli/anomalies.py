"""`made-tf anomalies`: odd rows of a table, and what is odd about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from made_tf.cli.options import MODEL, TABLE_FILE, OutputFile, check_outputs
from made_tf.cli.running import quiet
from made_tf.cli.tables import open_table, read, reading, write

__all__ = ["anomalies"]


@click.command()
@MODEL
@click.argument("data", type=TABLE_FILE)
@click.option(
    "-o",
    "--output",
    type=OutputFile(".csv", ".tsv", ".parquet"),
    help="Where the rows go.  [default: to the screen]",
)
@click.option(
    "--top",
    type=click.IntRange(1),
    metavar="INTEGER",
    default=10,
    show_default=True,
    help="How many rows, the oddest first.",
)
@reading
def anomalies(model: Path, data: Path, output: Path | None, top: int, **options: Any) -> None:
    """Find the oddest rows of DATA under MODEL, the .keras file of a table.

    Tells for each its number in the table (from 0), how improbable it is to
    come near it in nats, and which cells are surprising given the others.
    """
    check_outputs([output], [model, data])
    frame = read(data, options)
    opened = open_table(model)
    with quiet():
        found = opened.anomalies(frame, top=top)
    if output is not None:
        write(output, found)
        return
    for row, score, why in zip(*(found[name] for name in ("row", "score", "why")), strict=True):
        click.echo(f"row {row}  {score:.2f} nats  {why}")
