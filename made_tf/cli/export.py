"""`made-tf export`: one file for devices."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import click

from made_tf.cli.contexts import context_shape, read_contexts
from made_tf.cli.opening import load_keras
from made_tf.cli.options import ARRAY, INPUT_FILE, MODEL, Integers, OutputFile, check_outputs
from made_tf.cli.running import quiet
from made_tf.cli.tables import is_table_model, open_table

__all__ = ["export"]


@click.command()
@MODEL
@click.option(
    "-o", "--output", type=OutputFile(".tflite"), required=True, help="The file to write."
)
@click.option(
    "--weights",
    type=click.Choice(["float32", "float16", "int8", "static_int8"]),
    default="float32",
    show_default=True,
    help="How weights are stored; int8 with a scale for each unit. static_int8 multiplies "
    "integers, too, and scores only.",
)
@click.option(
    "--signatures",
    metavar="NAME,NAME,...|all",
    help="What the file can be asked.  [default: sample,log_prob,conditionals and, of a model of "
    "all orders, impute; of an ensemble no conditionals]",
)
@click.option(
    "--batch-sizes",
    type=Integers("1 or 1,16", ","),
    default=(),
    help="Also signatures of so many rows, such as sample_16, for browsers and other runtimes "
    "that cannot resize.",
)
@click.option("--data", type=INPUT_FILE, help="Rows to report the change of the NLL on.")
@click.option("--calibration", type=INPUT_FILE, help="Rows like those to come, for static_int8.")
@ARRAY
@click.option(
    "--image-shape", type=Integers("8x8", "x", 2), help="Height and width of a row's picture."
)
@click.option(
    "--variables",
    type=INPUT_FILE,
    help="Names for the file to tell: a .csv with a header, or a .json such as "
    '[{"name": "colour", "categories": ["red", "blue"]}, ...].',
)
@click.option(
    "--context",
    type=INPUT_FILE,
    help="What the rows of --data are conditioned on, for a model of p(x | context): a table with "
    "one row for all of them, or one for each.",
)
@click.option(
    "--context-names", metavar="NAME,NAME,...", help="Names of its numbers, for the file to tell."
)
@click.option(
    "--network",
    type=click.Choice(["joint", "questions"]),
    help="Of the model of a table: joint scores and samples whole rows, questions fills in cells, "
    "too.  [default: joint]",
)
@click.option("--licence", help="The model's licence, for the file to tell.")
@click.option(
    "--card",
    type=INPUT_FILE,
    help="The model card, for the file to tell: a .toml or .json with data, metrics, intended_use "
    "and limitations.",
)
@click.option(
    "--micro",
    is_flag=True,
    help="Write for TensorFlow Lite for Microcontrollers: one signature, of one row, that takes "
    "its random numbers as input. Of the other options --licence and --card go with it.",
)
def export(
    model: Path,
    output: Path,
    weights: str,
    signatures: str | None,
    batch_sizes: tuple[int, ...],
    data: Path | None,
    calibration: Path | None,
    array: str | None,
    image_shape: tuple[int, int] | None,
    variables: Path | None,
    context: Path | None,
    context_names: str | None,
    network: str | None,
    licence: str | None,
    card: Path | None,
    micro: bool,
) -> None:
    """Write MODEL (.keras), a model or an ensemble, as one .tflite file for devices; verify it.

    The file is compared with the model before it is handed over; what was
    compared is printed.
    """
    inputs = (model, data, calibration, variables, context, card)
    check_outputs([output], [path for path in inputs if path])
    if model.suffix == ".tflite":
        raise ValueError(f"{model} is exported already: MODEL must be a file that ends in .keras.")
    from made_tf.export.file.card import read_card

    told = None if card is None else read_card(card)
    if is_table_model(model):
        of_numbers = (data, calibration, variables, image_shape, context, context_names)
        if micro or any(option is not None for option in of_numbers):
            raise click.UsageError(
                "--network, --weights, --signatures, --batch-sizes, --licence and --card go with "
                "the model of a table."
            )
        table = open_table(model)
        with quiet():
            text = str(
                table.to_tflite(
                    output,
                    network or "joint",
                    weights=weights,
                    signatures=_names(signatures),
                    batch_sizes=batch_sizes,
                    licence=licence,
                    card=told,
                )
            )
        click.echo(text)
        return
    if network is not None:
        raise click.UsageError("--network goes with the model of a table.")
    if micro:
        others = (data, calibration, variables, context, signatures, image_shape, context_names)
        if batch_sizes or weights != "float32" or any(other is not None for other in others):
            raise click.UsageError("--micro goes with MODEL, --output, --licence and --card alone.")
        loaded = load_keras(model)
        with quiet():
            from made_tf.export import to_micro

            text = str(to_micro(loaded, output, licence=licence, card=told))
        click.echo(text)
        return
    named = None if variables is None else _read_variables(variables)
    from made_tf.data.readers import load_rows

    rows, calibrating = (
        None if file is None else load_rows(file, array) for file in (data, calibration)
    )
    loaded = load_keras(model, or_ensemble=True)
    contexts = None
    if context is not None or (rows is not None and loaded.conditioning is not None):
        if rows is None:
            raise click.UsageError("--context goes with --data.")
        contexts = read_contexts(context, model, context_shape(loaded, model), len(rows))
        if contexts is not None and len(contexts) == 1:
            contexts = contexts.repeat(len(rows), axis=0)
    with quiet():
        from made_tf.export import to_tflite

        report = to_tflite(
            loaded,
            output,
            weights=weights,
            signatures=_names(signatures),
            batch_sizes=batch_sizes,
            data=rows,
            calibration=calibrating,
            variables=named,
            image_shape=image_shape,
            licence=licence,
            card=told,
            context=contexts,
            context_names=None if context_names is None else context_names.split(","),
        )
    click.echo(str(report))


def _names(signatures: str | None) -> Any:
    return signatures if signatures in (None, "all") else str(signatures).split(",")


def _read_variables(path: Path) -> Any:
    """Reads names of variables: all of a `.json`, the header of a `.csv`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            return json.loads(text)
        if path.suffix == ".csv":
            return [{"name": name.strip()} for name in next(csv.reader(text.splitlines()), [])]
    except ValueError as error:
        raise ValueError(f"{path} is not readable: {error}") from error
    raise ValueError(f"{path} must end in .json or .csv.")
