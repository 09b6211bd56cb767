"""The folder beside an output that keeps the parts of a training that is cut off."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from made_tf.cli.running import warnings_in_lines
from made_tf.cli.texts import interruption_text

__all__ = ["forget_folder", "parts_folder"]


@contextlib.contextmanager
def parts_folder(output: Path) -> Iterator[Path]:
    """Yields the folder to train in; when training is interrupted, says what is there and exits.

    Raises:
        ValueError: if something else lies in the folder.
    """
    from made_tf.training.parts import foreign_files, parts_in

    folder = output.with_name(f"{output.name}.parts")
    foreign = foreign_files(folder) if folder.exists() else []
    if foreign:
        raise ValueError(f"{folder} is kept for parts of {output}. It holds {foreign[0]}.")
    try:
        with warnings_in_lines():
            yield folder
    except KeyboardInterrupt:
        parts = parts_in(folder) if folder.exists() else []
        if not parts:
            with contextlib.suppress(OSError):  # nothing was begun, or more lies there
                folder.rmdir()
        click.echo(interruption_text(parts, output), err=True)
        sys.exit(130)


def forget_folder(folder: Path) -> None:
    """Removes the parts of a training that is over."""
    from made_tf.training.parts import forget_parts

    forget_parts(folder)
    with contextlib.suppress(OSError):  # something else came to lie there
        folder.rmdir()
