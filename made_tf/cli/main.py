"""The commands as one. Heavy libraries are imported inside them, so that `--help` is instant."""

from __future__ import annotations

import os

import click

from made_tf.cli.anomalies import anomalies
from made_tf.cli.demo import demo
from made_tf.cli.evaluate import evaluate
from made_tf.cli.export import export
from made_tf.cli.impute import impute
from made_tf.cli.inspect import inspect
from made_tf.cli.predict import predict
from made_tf.cli.probability import probability
from made_tf.cli.quality import quality
from made_tf.cli.reproduce import reproduce
from made_tf.cli.running import Commands
from made_tf.cli.sample import sample
from made_tf.cli.schema import schema
from made_tf.cli.score import score
from made_tf.cli.serve import serve
from made_tf.cli.train import train
from made_tf.cli.tune import tune
from made_tf.portable.version import __version__

__all__ = ["main"]

#: In the order in which the help lists them.
COMMANDS = (
    demo,
    train,
    evaluate,
    score,
    sample,
    impute,
    anomalies,
    predict,
    probability,
    quality,
    schema,
    export,
    serve,
    inspect,
    reproduce,
    tune,
)

_HELP = """MADE: learn the distribution of a table, score rows, draw new ones.

Start with 'made-tf demo'. With your own data:

\b
  made-tf train rows.csv --output model.keras
  made-tf evaluate model.keras other.csv
  made-tf sample model.keras --num 100 --output new.csv
  made-tf impute model.keras gaps.csv --output filled.csv
  made-tf anomalies model.keras other.csv
  made-tf predict model.keras other.csv --column price
  made-tf probability model.keras "price < 1000 AND cut = 'Ideal'"
  made-tf quality model.keras other.csv --output report.html
  made-tf export model.keras --output made.tflite --batch-sizes 1,16
  made-tf score made.tflite rows/ --output scores/
  made-tf serve made.tflite

'made-tf COMMAND --help' tells more.
"""


@click.group(cls=Commands, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("-v", "--verbose", is_flag=True, help="Show what TensorFlow and LiteRT log.")
@click.option("--debug", is_flag=True, help="As --verbose, and the whole traceback of an error.")
def main(verbose: bool, debug: bool) -> None:
    """Runs one of the commands below."""
    # TensorFlow reads this once, when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbose or debug else "3")


for command in COMMANDS:
    main.add_command(command)
