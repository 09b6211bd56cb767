"""What rows are conditioned on, as the commands read it: a table of one row, or one for each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from made_tf.cli.options import INPUT_FILE

if TYPE_CHECKING:
    from made_tf.portable.arrays import FloatArray

__all__ = ["CONTEXT", "context_facts", "context_shape", "read_contexts"]

CONTEXT = click.option(
    "--context",
    type=INPUT_FILE,
    help="What the rows are conditioned on, for a model of p(x | context): a table with one row "
    "for all of them, or one for each. Of an .npz with several arrays `context`.",
)


def context_facts(model: Any) -> dict[str, Any] | None:
    """Returns what a model's context is, as JSON values; `None` for a model without one.

    The `shape` is that of one row's context, which is null where an encoder has several inputs or
    one of unknown shape.
    """
    if model.conditioning is None:
        return None
    encoder, size = model.conditioning.encoder, model.conditioning.size
    if encoder is None:
        return {"shape": [size], "size": size, "encoder": None}
    shapes = [list(each.shape[1:]) for each in encoder.inputs]
    known = len(shapes) == 1 and None not in shapes[0]
    return {"shape": shapes[0] if known else None, "size": size, "encoder": encoder.name}


def context_shape(model: Any, path: Path) -> tuple[int, ...] | None:
    """Returns the shape of one row's context; `None` for a model without one.

    Args:
        model: a model or an ensemble.
        path: its file, for the message.

    Raises:
        ValueError: if no row of a table can be the model's context.
    """
    facts = context_facts(model)
    if facts is None:
        return None
    if facts["shape"] is None:
        raise ValueError(
            f"{path} must make its context of one input of known shape, which a row of a table can "
            f"be. It has the encoder {facts['encoder']!r} of other inputs."
        )
    return tuple(facts["shape"])


def read_contexts(
    path: Path | None, model: Path, shape: tuple[int, ...] | None, num_rows: int | None
) -> FloatArray | None:
    """Reads contexts from the file that `--context` names.

    Args:
        path: the file; `None` where the option was not given.
        model: the model's file, for messages.
        shape: that of one row's context; `None` for a model without one.
        num_rows: for how many rows; `None` for any number.

    Returns:
        Float32 `[1 or num_rows, ...]`; `None` for a model without a context.

    Raises:
        ValueError: if the file is missing, superfluous, of another width or number of rows.
    """
    if shape is None:
        if path is not None:
            raise ValueError(f"--context must not be given: {model} is a model without a context.")
        return None
    width = math.prod(shape)
    if path is None:
        raise ValueError(
            f"--context must be given: {model} is a model of p(x | context). It takes a file with "
            f"{width} column(s)."
        )
    from made_tf.data.npz import read_npz
    from made_tf.data.readers import existing_table, load_table

    several = existing_table(path).suffix == ".npz" and "context" in read_npz(path)
    values = load_table(path, "context" if several else None)[0]
    if values.shape[1] != width:
        raise ValueError(
            f"--context {path} must have the {width} column(s) of the context of {model}. "
            f"Received: {values.shape[1]} columns"
        )
    if num_rows is not None and len(values) not in (1, num_rows):
        raise ValueError(
            f"--context {path} must have one row for all, or one for each of the {num_rows} rows. "
            f"Received: {len(values)} rows"
        )
    return values.reshape(-1, *shape)
