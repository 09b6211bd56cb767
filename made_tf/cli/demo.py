"""`made-tf demo`: the whole path on one small data set."""

from __future__ import annotations

from pathlib import Path

import click

from made_tf.cli.options import SEED
from made_tf.cli.running import quiet

__all__ = ["demo"]


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("made-demo"),
    show_default=True,
    help="Folder for the results.",
)
@SEED
@click.option(
    "--epochs", type=click.IntRange(1), default=200, show_default=True, help="At most this many."
)
@click.option("--table", is_flag=True, help="A table with names (irises) in place of digits.")
def demo(output: Path, seed: int, epochs: int, table: bool) -> None:
    """Fit MADE to 8x8 digits, draw new ones, export and compare. No download.

    Leaves a folder with model.keras, made.tflite, samples.png, history.csv
    and report.json; of a table with model.keras, model.tflite, form.tflite,
    drawn.csv and report.json. It ends with the command that shows the result
    in the browser.
    """
    with quiet():
        from made_tf.reproduction.demo import run_demo
        from made_tf.tables.demo import run_table_demo
    run = run_table_demo if table else run_demo
    run(output, seed=seed, epochs=epochs, echo=click.echo, quiet=quiet)
