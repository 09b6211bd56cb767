"""What commands do with a table as it is: names, categories, dates, missing cells."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from made_tf.cli.opening import check_finite
from made_tf.cli.parts import forget_folder, parts_folder
from made_tf.cli.running import quiet, warnings_in_lines

if TYPE_CHECKING:
    from made_tf.data.table_schema import TableSchema
    from made_tf.export.runtime import LiteSampler
    from made_tf.portable.arrays import FloatArray
    from made_tf.tables.model import TableModel
    from made_tf.training.recipe import Recipe

__all__ = [
    "READING",
    "Seconds",
    "drawn_table",
    "evaluate_table",
    "imputed_table",
    "is_table_model",
    "is_whole_table",
    "open_table",
    "read",
    "reading",
    "train_table",
    "write",
]

_CLASS = "TableNetwork"
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}


class Seconds(click.ParamType):
    """A time such as 90, 90s, 5m or 1h."""

    name = "time"

    def convert(self, value, param, ctx):
        """Parses the text."""
        if isinstance(value, int | float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|)", value.strip())
        if not found or float(found[1]) <= 0:
            self.fail(f"{value!r} must be a time such as 90s, 5m or 1h.", param, ctx)
        return float(found[1]) * _SECONDS[found[2]]


READING = (
    click.option("--separator", help="What stands between fields.  [default: as found]"),
    click.option("--decimal", help="What stands before decimals.  [default: as found]"),
    click.option("--encoding", help="Of the text.  [default: as found]"),
)


def reading(command):
    """Gives a command the options of how a table is written."""
    for option in reversed(READING):
        command = option(command)
    return command


def read(path: Path, options: dict[str, Any]) -> Any:
    """Reads a table: a frame of pandas."""
    from made_tf.data.table_files import read_table

    with warnings_in_lines():
        return read_table(path, **options)


def write(path: Path, frame: Any) -> None:
    """Writes a frame and says so (on stderr where the frame goes to stdout)."""
    from made_tf.data.table_files import STANDARD, write_table

    write_table(path, frame)
    to_stdout = str(path) == STANDARD
    click.echo(f"{len(frame):,} rows in {'stdout' if to_stdout else path}", err=to_stdout)


def is_whole_table(data: Path, conditionals: str | None, options: dict[str, Any]) -> Any:
    """Returns the frame of a file that is to be modelled as a table; `None` for rows of bits.

    Args:
        data: the file.
        conditionals: the family that was asked for; with one a table is numbers.
        options: how the table is written.
    """
    from made_tf.data.table_files import is_table_file

    if conditionals is not None or not is_table_file(data):
        if any(options.values()):
            raise click.UsageError("--separator, --decimal and --encoding are for tables.")
        return None
    frame = read(data, options)
    import numpy as np

    bits = all(
        column.dtype.kind in "biuf" and np.isin(column.to_numpy(), (0, 1)).all()
        if isinstance(column.dtype, np.dtype)
        else False
        for _, column in frame.items()
    )
    return None if bits and not any(options.values()) else frame


def is_table_model(path: Path) -> bool:
    """Returns whether a file has a table's model."""
    if path.suffix == ".tflite":
        from made_tf.export.runtime import read_metadata

        with contextlib.suppress(ValueError, OSError):
            return "schema" in (read_metadata(path) or {})
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json")).get("class_name") == _CLASS
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, AttributeError):
        return False


def open_table(path: Path) -> TableModel:
    """Opens the `.keras` file of a table's model.

    Raises:
        ValueError: if it is none, or of a model that diverged.
    """
    if path.suffix == ".tflite" or not is_table_model(path):
        raise ValueError(
            f"{path} must be the model of a table: a .keras file that 'made-tf train' wrote for a "
            "table with names."
        )
    with quiet():
        from made_tf.tables.model import TableModel
    try:
        model = TableModel.load(path)
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"{path} is not a readable model (truncated?): {reason}") from error
    for member in model.network_.members:
        check_finite(path, member)
    return model


def drawn_table(path: Path, num: int, seed: int, given: tuple[str, ...]) -> Any:
    """Draws rows of a table's model, a `.keras` or `.tflite` file: a frame of pandas."""
    from made_tf.portable.schema.distinct import draw_rows

    wanted = dict(_cell(text) for text in given)
    if path.suffix == ".tflite":
        if wanted:
            raise click.UsageError("--given is for models that end in .keras.")
        with quiet():
            sampler, schema = _on_device(path)
            return schema.frame(schema.decode(draw_rows(sampler, schema, num, seed)))
    model = open_table(path)
    cells = {name: _read_cell(model, name, text) for name, text in wanted.items()}
    with quiet(), warnings_in_lines():
        return model.sample(num, seed, cells or None)


def _on_device(path: Path) -> tuple[LiteSampler, TableSchema]:
    from made_tf.data.table_schema import TableSchema
    from made_tf.export.runtime import LiteSampler

    sampler = LiteSampler(path)
    return sampler, TableSchema.from_dict((sampler.metadata or {})["schema"])


def _cell(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--given must be COLUMN=CELL. Received: {text!r}")
    return name, value


def _read_cell(model: TableModel, name: str, text: str) -> Any:
    """Returns a cell as its column has it."""
    source = model.schema_.column(name).source
    if source.sort in _READ:
        what, read_text = _READ[source.sort]
        try:
            return read_text(text)
        except ValueError as error:
            raise click.UsageError(f"--given {name}={text!r} must be {what}.") from error
    if source.sort == "boolean":
        if text.lower() not in ("true", "false"):
            raise click.UsageError(f"--given {name}={text!r} must be true or false.")
        return text.lower() == "true"
    classes = getattr(model.schema_.column(name), "values", [])
    return next((value for value in classes if str(value) == text), text)


def _number(text: str) -> int | float:
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _moment(text: str) -> Any:
    import pandas

    moment = pandas.Timestamp(text)
    if moment is pandas.NaT:
        raise ValueError
    return moment


def _duration(text: str) -> Any:
    import pandas

    duration = pandas.Timedelta(text)
    if duration is pandas.NaT:
        raise ValueError
    return duration


#: For each sort of cells what a text of one is, and what reads it.
_READ: dict[str, tuple[str, Callable[[str], Any]]] = {
    "integer": ("a number", _number),
    "real": ("a number", _number),
    "moment": ("a moment such as 2026-03-01 12:30", _moment),
    "date": ("a date such as 2026-03-01", _moment),
    "duration": ("a duration such as 1:30:00 or 5 min", _duration),
    "time": ("a time such as 12:30", datetime.time.fromisoformat),
}


def evaluate_table(path: Path, data: Path, options: dict[str, Any]) -> tuple[FloatArray, list[str]]:
    """Scores the rows of a table under its model: log-probabilities `[N]`, and the columns."""
    frame = read(data, options)
    if path.suffix == ".tflite":
        with quiet():
            sampler, schema = _on_device(path)
            x, new, broken = schema.encode_frame(frame, str(data))
            odd = (new | broken).any(axis=1)
            if odd.any():
                raise ValueError(
                    f"{data} has {odd.sum():,} row(s) with cells that the table never had, or that "
                    f"contradict others; the first is row {int(odd.argmax())} (from 0). The .keras "
                    "file scores them"
                )
            return sampler.log_prob(x), schema.names
    model = open_table(path)
    with quiet():
        return model.log_prob(frame), model.schema_.names


def imputed_table(path: Path, data: Path, seed: int, options: dict[str, Any]) -> Any:
    """Fills in the missing cells of a table under its model: a frame of pandas."""
    frame = read(data, options)
    if path.suffix != ".tflite":
        model = open_table(path)
        with quiet(), warnings_in_lines():
            return model.impute(frame, seed)
    with quiet(), warnings_in_lines():
        import numpy as np

        from made_tf.data.table_schema import TableSchema
        from made_tf.export.runtime import LiteTable

        table = LiteTable(path)
        schema = TableSchema.from_dict(table.schema.to_dict())
        cells = schema.cells_of(frame, str(data), absent=True)
        if not cells:
            raise ValueError(f"{data} must have columns of the table: {schema.names}")
        rows = np.arange(len(frame))
        return schema.frame(table.impute_cells(cells, rows, seed), frame.index)


def train_table(
    frame: Any,
    output: Path,
    recipe: Recipe,
    questions: Recipe,
    *,
    schema: Path | None,
    seed: int,
    validation_fraction: float,
    time_budget: float | None,
    memory: str,
    restart: bool,
    history: Path | None,
) -> None:
    """Fits a `TableModel` in a folder beside the output, which a later call goes on with.

    Args:
        frame: a frame, or where Parquet files lie.
        output: the model's file.
        recipe: of the density of whole rows.
        questions: of the network of questions.
        schema: a file of what columns are.
        seed: as of `TableModel`, like what follows.
        validation_fraction: likewise.
        time_budget: likewise.
        memory: likewise.
        restart: whether to forget an unfinished run.
        history: where the metrics go.
    """
    with quiet():
        from made_tf.tables.model import TableModel
    from made_tf.data.writers import save_history
    from made_tf.training.parts import forget_parts

    model = TableModel(
        overrides=schema,
        recipe=recipe,
        questions=questions,
        validation_fraction=validation_fraction,
        time_budget=time_budget,
        memory=memory,
        seed=seed,
        verbose=1,
    )
    with parts_folder(output) as folder:
        if restart and folder.exists():
            forget_parts(folder)
        model.fit_in(frame, folder, echo=click.echo)
    if history:
        save_history(history, model.history_)
    model.save(output)
    forget_folder(folder)
    click.echo(f"recipe          {recipe.name}")
    click.echo(f"validation NLL  {model.validation_nll_:.4f} nats per row")
    click.echo(f"model           {output}")
