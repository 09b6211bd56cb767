"""The commands. Heavy libraries are imported inside them, so that `--help` is instant."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import click

import made_tf
from made_tf.cli.base import (
    INPUT_FILE,
    MODEL,
    NUM_ORDERS,
    SEED,
    Commands,
    Integers,
    OutputFile,
    check_outputs,
    quiet,
)
from made_tf.cli.exporting import export
from made_tf.cli.imputing import impute
from made_tf.cli.models import load_keras, open_model, summarise
from made_tf.cli.reproducing import reproduce
from made_tf.cli.serving import serve
from made_tf.cli.texts import (
    keras_facts,
    keras_text,
    scores_text,
    tflite_text,
)
from made_tf.cli.training import train
from made_tf.cli.tuning import tune

__all__ = ["main"]

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


_HELP = """MADE: learn the distribution of a table, score rows, draw new ones.

Start with 'made-tf demo'. With your own data:

\b
  made-tf train rows.csv --output model.keras
  made-tf evaluate model.keras other.csv
  made-tf sample model.keras --num 100 --output new.csv
  made-tf impute model.keras gaps.csv --output filled.csv
  made-tf export model.keras --output made.tflite --batch-sizes 1,16
  made-tf serve made.tflite

'made-tf COMMAND --help' tells more.
"""


@click.group(cls=Commands, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(made_tf.__version__)
@click.option("--debug", is_flag=True, help="Show the whole traceback of an error.")
def main(debug: bool) -> None:
    """Runs one of the commands below."""
    # TensorFlow reads this once, when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if debug else "3")


@main.command()
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
def demo(output: Path, seed: int, epochs: int) -> None:
    """Fit MADE to 8x8 digits, draw new ones, export and compare. No download.

    Leaves a folder with model.keras, made.tflite, samples.png, history.csv
    and report.json.
    """
    with quiet():
        from made_tf.demo import run_demo
    run_demo(output, seed=seed, epochs=epochs, quiet=quiet)


main.add_command(train)


@main.command()
@MODEL
@click.argument("data", type=INPUT_FILE)
@click.option("--split", help="Array of an .npz with several.  [default: test, or the only array]")
@NUM_ORDERS
@_JSON
@click.option(
    "--per-row",
    type=OutputFile(".csv", ".npz"),
    help="Also write the NLL of each row: high values are anomalies.",
)
def evaluate(
    model: Path,
    data: Path,
    split: str | None,
    num_orders: int | None,
    as_json: bool,
    per_row: Path | None,
) -> None:
    """Score the rows of DATA under MODEL, a .keras or .tflite file.

    Prints the mean negative log-likelihood (NLL) in nats with its standard
    error, and the same in bits per dimension. Lower is better. Of an average
    over several orders it also prints how far the orders disagree: the spread,
    which is the standard deviation of a row's log-probabilities, and the
    standard error that so few orders leave, both in nats, averaged over rows.
    """
    check_outputs([per_row], [model, data])
    from made_tf.data import load_rows, save_rows

    x = load_rows(data, split)
    scorer = open_model(model)
    if x.shape[1] != scorer.event_size:
        raise ValueError(
            f"{data} must have the {scorer.event_size} columns of {model}. "
            f"Received: {x.shape[1]} columns"
        )
    with quiet():
        scored = scorer.score(x, num_orders)
    if per_row:
        save_rows(per_row, -scored.log_prob[:, None], ["nll"], array="nll")
    scores = summarise(scored, scorer.event_size)
    click.echo(json.dumps(scores) if as_json else scores_text(scores))


@main.command()
@MODEL
@click.option(
    "-n",
    "--num",
    type=click.IntRange(1, 2**31 - 1),
    metavar="INTEGER",
    default=16,
    show_default=True,
    help="How many rows.",
)
@SEED
@click.option(
    "-o",
    "--output",
    type=OutputFile(".npz", ".csv", ".png"),
    required=True,
    help="The rows as .npz (array x) or .csv, or as pictures in a .png.",
)
@click.option(
    "--image-shape",
    type=Integers("8x8", "x", 2),
    help="Height and width of a row's picture, for .png.",
)
def sample(
    model: Path, num: int, seed: int, output: Path, image_shape: tuple[int, int] | None
) -> None:
    """Draw new rows from MODEL, a .keras or .tflite file.

    The same seed gives the same rows from either file: bit for bit for bits
    and classes, within rounding for real numbers.
    """
    check_outputs([output], [model])
    from made_tf.data import MAX_PICTURES, save_rows, save_stream
    from made_tf.progress import with_progress

    if (image_shape is None) == (output.suffix == ".png"):
        raise click.UsageError("--image-shape and an --output that ends in .png go together.")
    if image_shape is not None and num > MAX_PICTURES:
        raise click.UsageError(f"--num must be at most {MAX_PICTURES} for pictures.")
    with quiet():
        opened = open_model(model)
        drawn = opened.stream(num, seed)
        first = next(drawn)  # what libraries have to tell, they tell now
    rows = itertools.chain([first], drawn)
    batches = with_progress(rows, num, delay=1, mininterval=0.5)  # a bar after one second
    if image_shape is None:
        save_stream(output, batches, (num, opened.event_size))
    else:
        save_rows(output, [row for rows in batches for row in rows], image_shape=image_shape)
    click.echo(f"{num} rows in {output}")


main.add_command(impute)


main.add_command(export)
main.add_command(serve)


@main.command()
@click.argument("file", type=INPUT_FILE)
@_JSON
def inspect(file: Path, as_json: bool) -> None:
    """Tell what a .keras or .tflite FILE holds.

    Of a .keras: variables, order, degrees, layers and sizes. Of a .tflite:
    signatures, operators and size.
    """
    if file.suffix == ".tflite":
        with quiet():
            from made_tf.export import inspect_tflite

            facts = inspect_tflite(file)
        text = tflite_text(facts)
    else:
        model = load_keras(file, or_ensemble=True)
        members = getattr(model, "members", [])  # of an ensemble
        facts = keras_facts(members[0] if members else model, file)
        if members:
            facts["members"] = len(members)
        text = f"{model.describe()}\n{keras_text(facts)}"
    click.echo(json.dumps(facts) if as_json else text)


main.add_command(reproduce)
main.add_command(tune)
