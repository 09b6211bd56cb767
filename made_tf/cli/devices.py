"""`--devices`: a command that trains, on several devices and perhaps in several processes."""

from __future__ import annotations

import contextlib
import functools
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from made_tf.cli.running import quiet, show_native_lines

__all__ = ["on_devices"]


def on_devices(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command with `output` and `history` the option `--devices`.

    The variables of several processes count without the option, too. Of these the first alone
    tells and writes; the others do the same work, and their files are thrown away.
    """

    @click.option(
        "--devices",
        type=click.IntRange(1),
        metavar="INTEGER",
        help="Train on so many devices (of each process), with the result of one. Needs "
        "KERAS_BACKEND=jax; see the page on several GPUs and hosts.",
    )
    @functools.wraps(command)
    def run(devices: int | None, output: Path, history: Path | None, **arguments: Any) -> None:
        with quiet():
            from made_tf.training.distributed import data_parallel, is_first, names_others
        if devices is None and not names_others():
            command(output=output, history=history, **arguments)
            return
        if names_others():
            show_native_lines()
        with data_parallel(devices):
            if is_first():
                command(output=output, history=history, **arguments)
                return
            nowhere = contextlib.redirect_stdout(io.StringIO())
            with nowhere, tempfile.TemporaryDirectory() as folder:
                thrown_away = Path(folder) / output.name
                thrown_away.with_name(f"{output.name}.parts").mkdir()  # that `parts_folder` names
                command(output=thrown_away, history=None, **arguments)

    return run
