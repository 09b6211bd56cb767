"""`made-tf score`: folders of rows scored by all cores."""

from __future__ import annotations

from pathlib import Path

import click

from made_tf.cli.folders import PART_ROWS, WORKERS, check_device_file, run_job
from made_tf.cli.options import MODEL

__all__ = ["score"]


@click.command()
@MODEL
@click.argument("rows", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The folder for the scores.",
)
@click.option("--keep", is_flag=True, help="Write all columns of the rows beside their scores.")
@click.option(
    "--top",
    type=click.IntRange(1),
    metavar="INTEGER",
    help="Also print so many rows, the oddest first: file, row, -log-probability.",
)
@WORKERS
@PART_ROWS
def score(
    model: Path,
    rows: tuple[str, ...],
    output: Path,
    keep: bool,
    top: int | None,
    num_workers: int | None,
    part_rows: int | None,
) -> None:
    """Score ROWS under MODEL, a .tflite file: many, by all cores, in bounded memory.

    ROWS are folders or files of .parquet. For each a file of log-probabilities
    in nats is written, or several: columns row (its number in its file, from 0)
    and log_prob; low ones are anomalies. The same command goes on where it was
    cut off.
    """
    check_device_file(model)
    from made_tf import batch

    run_job(
        batch.score, model, rows, output, num_workers=num_workers, part_rows=part_rows, keep=keep
    )
    if top is not None:
        for odd in batch.oddest(output, top):
            click.echo(f"{odd.file} row {odd.row}  {odd.score:.2f} nats")
