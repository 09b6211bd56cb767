"""How odd rows are, which of their cells are surprising, and why, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from made_tf import scoring
from made_tf.data.frames import take_rows
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import FloatArray
from made_tf.portable.schema import Cells, Encoded
from made_tf.portable.schema.plain import list_of_cells
from made_tf.tables import likeness, words
from made_tf.tables.answers import column_excess, column_surprise
from made_tf.tables.fitted import Fitted
from made_tf.tables.frames import plain_frame

__all__ = ["anomalies", "log_prob", "log_prob_near", "surprise"]

_REASONS = 3  # cells that a text about a row names
_SURPRISING = 2.0  # nats beyond what is usual, below which a cell is nothing to speak of


def log_prob(fitted: Fitted, encoded: Encoded) -> FloatArray:
    """Returns the log-probability of rows, `[N]`, as `TableModel.log_prob`."""
    x, new, broken = encoded
    odd = np.isnan(x).any(axis=1)
    found = np.zeros(len(x), np.float32)
    if (~odd).any():
        found[~odd] = scoring.log_prob(fitted.joint, x[~odd])
    if odd.any():
        found[odd] = fitted.marginals.log_marginal(x[odd]).log_prob
    return found - _never(fitted) * (new.sum(axis=1) + broken.sum(axis=1)).astype(np.float32)


def _never(fitted: Fitted) -> np.float32:
    """Returns the surprise, in nats, of what never came in the rows so far (Laplace's rule)."""
    return np.float32(math.log(fitted.schema.num_rows + 1))


def surprise(fitted: Fitted, frame: Any) -> Any:
    """Returns what `TableModel.surprise` does."""
    cells = _surprise(fitted, fitted.schema.encode_frame(frame, "X"))
    found = {name: Cells.of(cells[:, n]) for n, name in enumerate(fitted.schema.names)}
    return plain_frame(found, fitted.schema.library, getattr(frame, "index", None))


def _surprise(fitted: Fitted, encoded: Encoded) -> FloatArray:
    x, new, broken = encoded
    own = column_surprise(fitted.queries, fitted.schema, x)
    return np.where(new, np.float32(0), own) + _never(fitted) * (new | broken)


def log_prob_near(fitted: Fitted, encoded: Encoded, near: float) -> FloatArray:
    """Returns how probable it is to come near rows, `[N]`, as `TableModel.log_prob_near`."""
    x, new, broken = encoded
    found = likeness.log_prob_near(fitted, x, near)
    return found - _never(fitted) * (new.sum(axis=1) + broken.sum(axis=1)).astype(np.float32)


def anomalies(fitted: Fitted, frame: Any, top: int | None, near: float) -> Any:
    """Returns what `TableModel.anomalies` does."""
    schema = fitted.schema
    table = schema.cells_of(frame, "X")
    encoded = schema.encode(table)
    scores = -log_prob_near(fitted, encoded, near)
    rows = np.arange(len(scores))
    if top is not None:
        rows = np.argsort(-scores, kind="stable")[: integer("top", top)]
        frame = take_rows(frame, rows)
    chosen = Encoded(encoded.x[rows], encoded.new[rows], encoded.broken[rows])
    reasons = _reasons(fitted, chosen, {name: own.at(rows) for name, own in table.items()})
    cells = {
        "row": Cells.of(rows.astype(np.int64)),
        "score": Cells.of(scores[rows].astype(np.float64)),
        "why": Cells.of(np.array([*reasons, None], object)[:-1]),
    }
    return plain_frame(cells, schema.library, getattr(frame, "index", None))


def _reasons(fitted: Fitted, encoded: Encoded, table: Mapping[str, Cells]) -> list[str]:
    """Returns a text for each row: its most surprising cells, and what was expected."""
    nats = column_excess(fitted.queries, fitted.schema, encoded.x)
    nats = np.where(encoded.new | encoded.broken, np.inf, nats)  # whatever the network thinks
    order = np.argsort(-nats, axis=1)[:, :_REASONS]
    said: dict[tuple[int, int], str] = {}
    for number, name in enumerate(fitted.schema.names):
        rows = np.flatnonzero((order == number).any(axis=1) & (nats[:, number] >= _SURPRISING))
        if not len(rows):
            continue
        place = fitted.schema.place(name)
        expected = [""] * len(rows)
        if place.stop > place.start:
            expected = words.expectations(fitted.queries, fitted.schema, encoded.x[rows], name)
        given = list_of_cells(table[name], fitted.schema.column(name).source)
        for row, text in zip(rows.tolist(), expected, strict=True):
            if encoded.broken[row, number]:
                text = f"contradicts {fitted.schema.column(name).describe()}"
            elif encoded.new[row, number]:
                text = f"never seen, {text}".rstrip(", ")
            said[row, number] = f"{name} {words.text_of(given[row])}: {text}".rstrip(": ")
    texts = [
        [said[row, number] for number in numbers if (row, number) in said]
        for row, numbers in enumerate(order.tolist())
    ]
    return ["; ".join(each) for each in texts]
