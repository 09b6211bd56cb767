"""`made-tf evaluate`: rows scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from made_tf.cli.contexts import CONTEXT, read_contexts
from made_tf.cli.opening import open_model
from made_tf.cli.options import JSON, MODEL, NUM_ORDERS, TABLE_FILE, OutputFile, check_outputs
from made_tf.cli.running import quiet
from made_tf.cli.tables import evaluate_table, is_table_model, reading
from made_tf.cli.texts import json_text, scores_text

if TYPE_CHECKING:
    from made_tf.scoring import Scores

__all__ = ["evaluate"]


@click.command()
@MODEL
@click.argument("data", type=TABLE_FILE)
@click.option(
    "--split", "array", help="Array of an .npz with several.  [default: test, or the only array]"
)
@NUM_ORDERS
@JSON
@click.option(
    "--per-row",
    type=OutputFile(".csv", ".npz"),
    help="Also write the NLL of each row: high values are anomalies.",
)
@CONTEXT
@reading
def evaluate(
    model: Path,
    data: Path,
    array: str | None,
    num_orders: int | None,
    as_json: bool,
    per_row: Path | None,
    context: Path | None,
    **options: Any,
) -> None:
    """Score the rows of DATA under MODEL, a .keras or .tflite file.

    Prints the mean negative log-likelihood (NLL) in nats with its standard
    error, and the same in bits per dimension. Lower is better. Of an average
    over several orders it also prints how far the orders disagree: the spread,
    which is the standard deviation of a row's log-probabilities, and the
    standard error that so few orders leave, both in nats, averaged over rows.
    Of a model that answers all questions it prints how far paths disagree on the marginals
    of random columns, which no order decides: the smaller, the more an answer
    about some of the columns can be trusted.
    """
    check_outputs([per_row], [path for path in (model, data, context) if path])
    from made_tf.data.readers import load_rows
    from made_tf.scoring import Scores

    if is_table_model(model):
        if array is not None or num_orders is not None or context is not None:
            raise click.UsageError("--split, --num-orders and --context are for rows of numbers.")
        log_prob, columns = evaluate_table(model, data, options)
        _report(Scores(log_prob), len(columns), per_row, as_json)
        return
    x = load_rows(data, array)
    scorer = open_model(model)
    if x.shape[1] != scorer.event_size:
        raise ValueError(
            f"{data} must have the {scorer.event_size} columns of {model}. "
            f"Received: {x.shape[1]} columns"
        )
    contexts = read_contexts(context, model, scorer.context_shape, len(x))
    with quiet():
        scored = scorer.score(x, num_orders, contexts)
        paths = scorer.path_spread(x)
    _report(scored, scorer.event_size, per_row, as_json, paths)


def _report(
    scored: Scores,
    event_size: int,
    per_row: Path | None,
    as_json: bool,
    path_spread: float | None = None,
) -> None:
    from made_tf.data.writers import save_rows
    from made_tf.scoring import summarise

    if per_row:
        save_rows(per_row, -scored.log_prob[:, None], ["nll"], array="nll")
    summary = summarise(scored, event_size)
    if path_spread is not None:
        summary["path_spread"] = path_spread
    click.echo(json_text(summary) if as_json else scores_text(summary))
