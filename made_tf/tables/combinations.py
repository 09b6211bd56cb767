"""Combinations of cells of which some are known: drawn among those that have them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from made_tf.portable.arrays import BoolArray, FloatArray, Rows
from made_tf.portable.schema import Cells, Schema
from made_tf.portable.schema.combined import Combined
from made_tf.queries.subsets import Queries
from made_tf.tables.answers import conditionals_of

__all__ = ["settle_combinations"]


def settle_combinations(
    queries: Queries,
    schema: Schema,
    table: Mapping[str, Cells],
    x: FloatArray,
    seed: int,
    numbers: Rows,
    missing_is_known: bool = False,
    lacks_nothing: bool = True,
) -> FloatArray:
    """Draws the combinations that are not known, where the row says something of them.

    Each is drawn from p(combination | the rest of the row), within those that have the cells that
    are known and none that is missing, as rejection would leave them. A combination of which
    nothing is said, and none has a missing cell, is left to what draws the rest.

    Args:
        queries: what answers.
        schema: of the table.
        table: the cells that are known.
        x: the same as numbers `[N, D]`, NaN where nothing is known.
        seed: a 32-bit integer.
        numbers: i of each row, which with the seed fixes what is drawn.
        missing_is_known: whether cells of `table` that are missing are known to be so.
        lacks_nothing: whether no cell that is not known may turn out to be missing.

    Returns:
        The numbers, with those of combinations added.
    """
    x = x.copy()
    for column in schema.columns:
        if not isinstance(column, Combined) or not column.variables:
            continue
        variable = schema.place(column.name).start
        rows = np.flatnonzero(np.isnan(x[:, variable]))
        if not len(rows):
            continue
        some = {name: cells.at(rows) for name, cells in table.items()}
        fits = _fitting(column, some, missing_is_known, lacks_nothing)
        narrow = ~fits.all(axis=1)
        rows, fits = rows[narrow], fits[narrow]
        if not len(rows):
            continue
        probs = np.zeros(fits.shape)
        for own, conditional in conditionals_of(queries, x[rows], variable):
            states = conditional.family.finite_states()[0].tolist()
            places = [states.index(number) for number in range(column.num_classes)]
            probs[own] = np.exp(conditional.state_log_probs()[:, places].astype(np.float64))
        probs = np.where(fits, np.maximum(probs, np.finfo(np.float32).tiny), 0)
        uniforms = np.random.default_rng([seed % 2**32, variable]).random(int(numbers.max()) + 1)
        cumulative = probs.cumsum(axis=1)
        wanted = uniforms[numbers[rows]] * cumulative[:, -1]
        x[rows, variable] = (cumulative <= wanted[:, None]).sum(axis=1)
    return x


def _fitting(
    column: Combined, table: Mapping[str, Cells], missing_is_known: bool, lacks_nothing: bool
) -> BoolArray:
    """Returns which combinations may be drawn, `[N, K]`."""
    count = len(next(iter(table.values())).known)
    told = {
        name: np.ones(count, bool) if missing_is_known else table[name].known
        for name in column.together
        if name in table
    }
    fits = column.fitting(table, told) if told else np.ones((count, column.num_classes), bool)
    if lacks_nothing:
        whole = fits.copy()
        for place, name in enumerate(column.together):
            there = np.array([each[place] is not None for each in column.combinations])
            whole &= there | told.get(name, np.zeros(count, bool))[:, None]
        fits = np.where(whole.any(axis=1, keepdims=True), whole, fits)
    # Cells that contradict each other narrow nothing.
    return np.where(fits.any(axis=1, keepdims=True), fits, True)
