"""A column of a table from all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from made_tf import scoring
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import FloatArray, Rows
from made_tf.portable.patterns import pieces
from made_tf.portable.schema import Cells, Column
from made_tf.portable.schema.cells import as_column
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.combined import Combined
from made_tf.tables import words
from made_tf.tables.answers import conditionals_of
from made_tf.tables.combinations import settle_combinations
from made_tf.tables.fitted import Fitted
from made_tf.tables.frames import plain_frame
from made_tf.tables.rows import draws, partial_table
from made_tf.tables.states import States, states_of

__all__ = ["predict", "predict_proba"]

_ROWS = 2048  # whose classes are scored at once
_SETTLED = 32  # draws of a combination of which a part is known


def predict_proba(fitted: Fitted, frame: Any, name: str) -> Any:
    """Returns what `TableModel.predict_proba` does."""
    column = _column(fitted, name)
    states = states_of(fitted.schema, column)
    if states is None:
        raise ValueError(
            f"`column` must be one of classes. {column.name!r} is {column.describe()}: use "
            "`predict`, or several draws of `impute`"
        )
    values, probs = _probabilities(fitted, frame, column, states)
    cells = {
        words.text_of(value): Cells.of(probs[:, number]) for number, value in enumerate(values)
    }
    return plain_frame(cells, fitted.schema.library, getattr(frame, "index", None))


def predict(fitted: Fitted, frame: Any, name: str, seed: int, num_draws: int) -> Any:
    """Returns what `TableModel.predict` does."""
    schema, index = fitted.schema, getattr(frame, "index", None)
    column, count = _column(fitted, name), integer("num_draws", num_draws)
    name = column.name
    states = states_of(schema, column)
    if states is not None and isinstance(column, Classes | Combined):
        classes, probs = _probabilities(fitted, frame, column, states)
        objects = np.empty(len(probs), object)
        objects[:] = [classes[number] for number in probs.argmax(axis=1)]
        cells = Cells.of(objects)
        if isinstance(column, Combined):
            cells = Cells.of(as_column(objects, cells.known))
        return schema.frame({name: cells}, index)
    table = partial_table(fitted, frame, "X", name)
    drawn = [each[name] for each in draws(fitted, table, seed, count, missing_is_known=True)]
    known = np.logical_and.reduce([cells.known for cells in drawn])
    values = np.stack([cells.values for cells in drawn])
    if values.dtype == object:  # determined by a column of classes: what is drawn most often
        return schema.frame({name: _most_frequent(drawn)}, index)
    middle = np.quantile(values, 0.5, axis=0, method="closest_observation")
    return schema.frame({name: Cells(middle, known)}, index)


def _column(fitted: Fitted, name: Any) -> Column:
    """Returns the column of a name, or of the label that it has in a frame of pandas."""
    schema = fitted.schema
    for column in schema.columns:
        label = column.source.label
        if label is not None and name == (tuple(label) if isinstance(label, list) else label):
            return column
    return schema.column(name)


def _most_frequent(drawn: list[Cells]) -> Cells:
    rows = zip(*(cells.objects().tolist() for cells in drawn), strict=True)
    best = [max(set(row), key=row.count) for row in map(list, rows)]
    values = np.empty(len(best), object)
    values[:] = best
    return Cells(values, np.array([value is not None for value in best], bool))


def _probabilities(
    fitted: Fitted, frame: Any, column: Column, states: States
) -> tuple[list[Any], FloatArray]:
    """Returns a column's cells and their probabilities `[N, V]`; that of a missing one left out.

    Where all else of a row is known, they also follow from the density of whole rows: both answers
    are averaged, which is better than either (`benchmarks/RESULTS.md`).
    """
    table = partial_table(fitted, frame, "X", column.name)
    x = fitted.schema.encode(table).x
    found = _of_states(fitted, x, states)
    for rows, settled in _settled(fitted, table, x):
        found[rows] = np.mean([_of_states(fitted, each, states) for each in settled], axis=0)
    possible = np.where(states.possible(table), found, np.zeros_like(found))
    found = np.where(possible.any(axis=1, keepdims=True), possible, found)
    values, places = states.values()
    sums = np.zeros((len(x), len(values)), np.float32)
    for place, number in enumerate(places):
        if number >= 0:
            sums[:, number] += found[:, place]
    return values, sums / np.maximum(sums.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _settled(
    fitted: Fitted, table: Mapping[str, Cells], x: FloatArray
) -> Iterator[tuple[Rows, list[FloatArray]]]:
    """Yields the rows of whose combinations a part is known, with draws of the rest of these."""
    combined = [c for c in fitted.schema.columns if isinstance(c, Combined) and c.variables]
    if not combined or not fitted.has_questions or not len(x):
        return
    numbers = np.arange(len(x))

    def settled(rows: Rows, seed: int) -> FloatArray:
        some = {name: cells.at(rows) for name, cells in table.items()}
        return settle_combinations(
            fitted.queries, fitted.schema, some, x[rows], seed, rows, True, lacks_nothing=False
        )

    first = settled(numbers, 0)
    rows = np.flatnonzero((np.isnan(x) & ~np.isnan(first)).any(axis=1))
    if len(rows):
        yield rows, [first[rows], *(settled(rows, seed) for seed in range(1, _SETTLED))]


def _of_states(fitted: Fitted, x: FloatArray, states: States) -> FloatArray:
    """Returns probabilities of a variable's states given the rest of each row, `[N, K]`."""
    variable, count = states.variable, len(states.numbers)
    x = x.copy()
    x[:, variable] = np.nan
    is_whole = np.isfinite(np.delete(x, variable, axis=1)).all(axis=1)
    whole = np.flatnonzero(is_whole)
    found = np.zeros((len(x), count), np.float32)
    if fitted.has_questions or len(whole) < len(x):
        for rows, conditional in conditionals_of(fitted.queries, x, variable):
            there = conditional.family.finite_states()[0].tolist()  # a missing cell among them
            places = [there.index(number) for number in states.numbers.tolist()]
            found[rows] = _normalised(conditional.state_log_probs()[:, places])
    for rows in pieces(whole, _ROWS):
        each = np.repeat(x[rows], count, axis=0)
        each[:, variable] = np.tile(states.numbers, len(rows))
        log_probs = scoring.log_prob(fitted.joint, each).reshape(len(rows), count)
        found[rows] += _normalised(log_probs)
    return found / np.maximum(found.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _normalised(log_probs: FloatArray) -> FloatArray:
    probs = np.exp(log_probs - log_probs.max(axis=1, keepdims=True))
    return probs / probs.sum(axis=1, keepdims=True)
