"""What is odd about a cell, in words: what it is, and what was to be expected instead."""

from __future__ import annotations

import datetime

import numpy as np

from made_tf.portable.arrays import FloatArray
from made_tf.portable.schema import Column, Schema
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.columns import MISSING
from made_tf.portable.schema.combined import Combined
from made_tf.portable.schema.durations import duration_text
from made_tf.portable.schema.plain import list_of_cells
from made_tf.queries.subsets import Queries
from made_tf.tables.answers import conditionals_of

__all__ = ["expectations", "text_of"]

_DRAWS = 200
_TAILS = 0.05, 0.95
_SHOWN = 2  # classes
_LIKELY = 0.05


def expectations(queries: Queries, schema: Schema, x: FloatArray, name: str) -> list[str]:
    """Tells what was to be expected of a column, given the other cells of each row.

    Args:
        queries: of the network of questions.
        schema: of the table.
        x: rows `[N, D]`.
        name: a column that has variables.

    Returns:
        A text for each row: the most probable classes, or the range that holds 90 %.
    """
    column, place = schema.column(name), schema.place(name)
    if place.stop - place.start != 1:  # moments: a range of weeks would tell little
        return [""] * len(x)
    texts = np.full(len(x), "", object)
    for rows, conditional in conditionals_of(queries, x, place.start):
        if isinstance(column, Classes | Combined):
            log_probs = conditional.state_log_probs()
            states = conditional.family.finite_states()[0]
            for row, own in zip(rows, log_probs, strict=True):
                texts[row] = _likely(column, states, np.exp(own))
            continue
        uniforms = (
            np.random.default_rng(0)
            .uniform(size=(_DRAWS, conditional.family.num_uniforms))
            .astype(np.float32)
        )
        shape = _DRAWS, len(rows), uniforms.shape[1]
        drawn = conditional.draws(np.broadcast_to(uniforms[:, None], shape))[0]  # [S, n]
        drawn = np.where(drawn == MISSING, np.nan, drawn)
        for row, values in zip(rows, drawn.T, strict=True):
            texts[row] = _range(column, x[row], place.start, values, schema)
    return texts.tolist()


def _likely(column: Classes | Combined, states, probs) -> str:
    cells = column.decode(np.asarray(states, np.float64)[:, None], {})
    texts = ["missing" if value is None else str(value) for value in cells.objects().tolist()]
    sums: dict[str, float] = {}
    for text, prob in zip(texts, probs, strict=True):
        sums[text] = sums.get(text, 0.0) + float(prob)
    named: list[str] = []
    for text in sorted(sums, key=lambda each: -sums[each])[:_SHOWN]:
        if sums[text] < _LIKELY and named:
            continue
        named.append(f"{text} ({sums[text]:.0%})")
    return f"expected {' or '.join(named)}"


def _range(column: Column, row, variable: int, values, schema: Schema) -> str:
    if np.isnan(values).mean() > 0.5:
        return "expected to be missing"
    ends = np.nanquantile(values, _TAILS, method="closest_observation")
    # (Of a cell that the table never had nothing is known; others do not look at it.)
    rows = np.repeat(np.nan_to_num(row[None]).astype(np.float64), 2, axis=0)
    rows[:, variable] = ends
    ends = list_of_cells(schema.decode(rows)[column.name], column.source)
    low, high = map(text_of, ends)
    return f"expected {low}" if low == high else f"expected {low} to {high}"


def text_of(value) -> str:
    """Returns a cell as people write it: 2,100 for 2100, 3 h 20 min, missing for none."""
    if value is None:
        return "missing"
    if isinstance(value, datetime.timedelta):
        return duration_text(value // datetime.timedelta(microseconds=1), "us")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
