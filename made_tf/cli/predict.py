"""`made-tf predict`: a column of a table from the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from made_tf.cli.options import MODEL, SEED, TABLE_FILE, OutputFile, check_outputs
from made_tf.cli.running import quiet
from made_tf.cli.tables import open_table, read, reading, write

__all__ = ["predict"]


@click.command()
@MODEL
@click.argument("data", type=TABLE_FILE)
@click.option("--column", required=True, help="The column that is asked for.")
@click.option("--proba", is_flag=True, help="The probability of each class, for a column of such.")
@click.option(
    "-o",
    "--output",
    type=OutputFile(".csv", ".tsv", ".parquet", standard=True),
    default="-",
    help="Where the answers go, a row for each of DATA.  [default: - for stdout]",
)
@SEED
@reading
def predict(
    model: Path, data: Path, column: str, proba: bool, output: Path, seed: int, **options: Any
) -> None:
    """Predict a column of DATA under MODEL, the .keras file of a table.

    From all other cells that are there: the most probable class, or the median
    of a number. DATA need not have the column, and cells may be missing.
    """
    check_outputs([output], [model, data])
    frame = read(data, options)
    opened = open_table(model)
    with quiet():
        found = (
            opened.predict_proba(frame, column) if proba else opened.predict(frame, column, seed)
        )
    write(output, found)
