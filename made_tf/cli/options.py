"""What the commands take: kinds of options, and the options that several of them share."""

from __future__ import annotations

import glob
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

__all__ = [
    "ARRAY",
    "CONDITIONALS",
    "CONDITIONALS_OR_TABLE",
    "INPUT_FILE",
    "JSON",
    "MODEL",
    "NUM_ORDERS",
    "SEED",
    "TABLE_FILE",
    "TABLE_FILE_OR_FOLDER",
    "VALIDATION_FRACTION",
    "FiniteRange",
    "Integers",
    "MaskCount",
    "OutputFile",
    "RowsPath",
    "check_outputs",
]


class OutputFile(click.Path):
    """A file to write: with one of these endings, in a folder that exists; stdout; or a folder."""

    def __init__(self, *endings: str, standard: bool = False, folder: bool = False):
        super().__init__(dir_okay=folder)
        self.endings = endings
        self.standard = standard  # whether - may stand for stdout
        self.folder = folder  # whether a name without an ending stands for a folder

    def convert(self, value, param, ctx):
        """Checks the path before any work is done."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if str(path) == "-" and self.standard:
            return path
        if self.folder and (path.suffix == "" or path.is_dir()):
            if path.exists() and not path.is_dir():
                self.fail(f"{str(path)!r} is no folder.", param, ctx)
            return path
        if path.suffix not in self.endings:
            self.fail(f"{str(path)!r} must end in {' or '.join(self.endings)}.", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"folder {str(path.parent)!r} does not exist.", param, ctx)
        if not os.access(path.parent, os.W_OK):
            self.fail(f"folder {str(path.parent)!r} is not writable.", param, ctx)
        return path


def check_outputs(outputs: Sequence[Path | None], inputs: Sequence[Path]) -> None:
    """Fails if a file to write is one that is read."""
    for output in outputs:
        for path in inputs:
            there = output is not None and output.exists() and path.exists()
            if there and output.samefile(path):  # type: ignore[union-attr]
                raise click.UsageError(f"'{output}' would overwrite the input '{path}'.")


class FiniteRange(click.FloatRange):
    """A range of floats without NaN and infinity."""

    def convert(self, value, param, ctx):
        """Parses the text."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} must be a finite number.", param, ctx)
        return number


class MaskCount(click.IntRange):
    """A positive number of masks, or `fresh`."""

    def __init__(self):
        super().__init__(1)

    def convert(self, value, param, ctx):
        """Parses the text."""
        if value == "fresh":
            return value
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} must be a positive integer or 'fresh'.", param, ctx)


class Integers(click.ParamType):
    """Positive integers with a separator between them."""

    def __init__(self, name: str, separator: str, count: int | None = None):
        self.name = name
        self.separator = separator
        self.count = count

    def convert(self, value, param, ctx):
        """Parses the text."""
        if not isinstance(value, str):
            return value
        try:
            numbers = tuple(int(part) for part in value.split(self.separator))
        except ValueError:
            numbers = ()
        if not numbers or min(numbers) < 1 or self.count not in (None, len(numbers)):
            self.fail(f"{value!r} must be positive integers such as {self.name}.", param, ctx)
        return numbers


class RowsPath(click.Path):
    """A table in a file or on stdin, a folder of Parquet files or a pattern of their names."""

    def __init__(self):
        super().__init__(exists=True, path_type=Path, allow_dash=True)

    def convert(self, value, param, ctx):
        """Checks that there is something, but for what a pattern stands for."""
        is_pattern = glob.has_magic(os.fspath(value)) and not os.path.exists(value)
        return Path(value) if is_pattern else super().convert(value, param, ctx)


INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
#: A table, of which - stands for stdin.
TABLE_FILE = click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True)
#: The same, or a folder of .parquet.
TABLE_FILE_OR_FOLDER = click.Path(exists=True, path_type=Path, allow_dash=True)
MODEL = click.argument("model", type=INPUT_FILE)
ARRAY = click.option("--array", help="The array to use, in an .npz that holds several tables.")
SEED = click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    metavar="INTEGER",
    default=0,
    show_default=True,
    help="The same seed gives the same result.",
)
NUM_ORDERS = click.option(
    "--num-orders",
    type=click.IntRange(1),
    metavar="INTEGER",
    help="Average over this many orders, for a .keras model of several masks.  "
    "[default: as in training]",
)
# (The names of `made_tf.conditionals.FAMILIES`, which would cost `--help` an import of Keras.)
_FAMILIES = (
    "bernoulli",
    "binned",
    "categorical",
    "count",
    "discretized",
    "embedded",
    "logistic_mixture",
    "mixed",
    "normal",
    "normal_mixture",
    "ordinal",
)


def _conditionals(more: str = "", **attributes: Any) -> Any:
    return click.option(
        "--conditionals",
        metavar="FAMILY",
        type=click.Choice(_FAMILIES),
        help="What columns of numbers hold: bernoulli (0 and 1), categorical, embedded (of many) "
        "or ordinal (classes 0, 1, 2, ...), count, discretized or binned (numbers that repeat), "
        "normal, normal_mixture or logistic_mixture (real numbers); mixed chooses for each column "
        f"by its values.{more}",
        **attributes,
    )


CONDITIONALS = _conditionals(default="bernoulli", show_default=True)
CONDITIONALS_OR_TABLE = _conditionals(
    "  [default: a table is taken as it is; bernoulli for .npz and for bits]"
)
VALIDATION_FRACTION = click.option(
    "--validation-fraction",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="The part of the rows set aside where the file has no validation rows.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
