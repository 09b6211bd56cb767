"""What the commands on folders of Parquet share: `made_tf.batch` with a bar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from made_tf.cli.running import quiet, warnings_in_lines

__all__ = ["PART_ROWS", "WORKERS", "check_device_file", "is_folder", "run_job"]

WORKERS = click.option(
    "--workers",
    "num_workers",
    type=click.IntRange(1),
    metavar="INTEGER",
    help="How many processes, for folders.  [default: one for each core]",
)
PART_ROWS = click.option(
    "--part-rows",
    type=click.IntRange(1),
    metavar="INTEGER",
    help="How many rows a file has, about, for folders.  [default: 262144]",
)


def is_folder(path: Path) -> bool:
    """Returns whether an output is a folder: it is one, or has no ending."""
    return path.is_dir() or (path.suffix == "" and str(path) != "-")


def check_device_file(model: Path) -> None:
    """Fails if a model is none for a folder of Parquet.

    Raises:
        ValueError: if it does not end in .tflite.
    """
    if model.suffix != ".tflite":
        raise ValueError(
            f"{model} must be a file that ends in .tflite, for folders of .parquet: "
            "'made-tf export' writes it."
        )


def run_job(
    job: Callable[..., Any],
    model: Path,
    *arguments: Any,
    num_workers: int | None,
    part_rows: int | None,
    **options: Any,
) -> None:
    """Runs a job of `made_tf.batch` and says what it did.

    Args:
        job: one of its functions.
        model: the `.tflite` file.
        *arguments: what else the job takes, the folder to write to last.
        num_workers: as of the job.
        part_rows: likewise; `None` for its default.
        **options: of the job.
    """
    from made_tf.batch.model import open_rows

    with quiet():
        open_rows(model)  # what LiteRT has to tell, it tells now
    if part_rows is not None:
        options["part_rows"] = part_rows
    with warnings_in_lines():
        report = job(model, *arguments, num_workers=num_workers, progress=True, **options)
    click.echo(f"{report} in {arguments[-1]}")
