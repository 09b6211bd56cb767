"""What the network of questions says of some cells, given the others of their row."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping

import numpy as np

from made_tf.portable.arrays import BoolArray, FloatArray, Rows
from made_tf.portable.patterns import pattern_groups
from made_tf.portable.schema import Cells, Schema, filling
from made_tf.queries.one_variable import OneVariable, one_variable
from made_tf.queries.subsets import Queries

__all__ = ["column_excess", "column_surprise", "conditionals_of", "fill"]

_DRAWS = 16  # of a cell, whose mean surprise is what is usual


def fill(
    queries: Queries,
    schema: Schema,
    table: Mapping[str, Cells],
    x: FloatArray,
    seed: int,
    numbers: Rows | None = None,
) -> dict[str, Cells]:
    """Draws what is not known given the rest of each row: `made_tf.portable.schema.filling.fill`.

    Args:
        queries: what answers.
        schema: of the table.
        table: the cells that are known.
        x: the same as numbers `[N, D]`, NaN where nothing is known.
        seed: a 32-bit integer.
        numbers: i of each row; from 0 on by default.

    Returns:
        The cells of all columns.

    Warns:
        UserWarning: if a hundred rounds left a missing cell or a contradiction.
    """

    def draw(values: FloatArray, known: BoolArray, own: int, rows: Rows) -> FloatArray:
        return queries.draw_rows(values, known, 1, own, rows)[0]

    filled, left = filling.fill(
        draw, schema, table, x, seed, np.arange(len(x)) if numbers is None else numbers
    )
    if left:
        warnings.warn(filling.left_text(left), stacklevel=4)
    return filled


def conditionals_of(
    queries: Queries, x: FloatArray, variable: int
) -> Iterator[tuple[Rows, OneVariable]]:
    """Yields rows of one pattern and the conditional of a variable given what they know.

    Args:
        queries: of a model that answers all questions.
        x: rows `[N, D]`, NaN where nothing is known.
        variable: which one is asked for; what rows say of it is not looked at.
    """
    known: BoolArray = ~np.isnan(x)
    known[:, variable] = False
    values = np.where(known, x, np.float32(0))
    typical = queries.model.conditionals.typical()
    values = np.where(known, values, typical)
    for pattern, rows in pattern_groups(known):
        yield rows, one_variable(queries, values[rows], pattern, variable)


def column_surprise(queries: Queries, schema: Schema, x: FloatArray) -> FloatArray:
    """Returns -log p(cell | the other cells of its row) for each column, in nats: `[N, C]`."""
    surprise = np.zeros((len(x), len(schema.columns)), np.float32)
    for number, column in enumerate(schema.columns):
        place = schema.place(column.name)
        if place.start == place.stop:
            continue
        asked, evidence = np.full((2, *x.shape), np.nan, np.float32)
        asked[:, place] = x[:, place]
        evidence[:] = x
        evidence[:, place] = np.nan
        surprise[:, number] = -queries.conditional_log_prob(asked, evidence).log_prob
    return surprise


def column_excess(queries: Queries, schema: Schema, x: FloatArray) -> FloatArray:
    """Returns how much more surprising cells are than cells in their places are on average.

    A number of many digits is always a surprise: what counts is -log p(x_k | the others) beyond its
    mean over draws of x_k. Of a column with several variables the oddest one counts.

    Returns:
        Nats, `[N, C]`; 0 where nothing is known.
    """
    excess = np.zeros((len(x), len(schema.columns)), np.float32)
    rng = np.random.default_rng(0)
    for number, column in enumerate(schema.columns):
        place = schema.place(column.name)
        found = np.full((len(x), place.stop - place.start), -np.inf, np.float32)
        for part, variable in enumerate(range(place.start, place.stop)):
            for rows, conditional in conditionals_of(queries, x, variable):
                shape = _DRAWS, len(rows), conditional.family.num_uniforms
                uniforms = rng.uniform(1e-6, 1 - 1e-6, shape).astype(np.float32)
                usual = np.mean(conditional.draws(uniforms)[1], axis=0)
                own = x[rows, variable]
                typical = conditional.family.typical()[0]
                log_prob = conditional.log_prob(np.where(np.isnan(own), typical, own))
                found[rows, part] = np.where(np.isnan(own), 0.0, usual - log_prob)
        if found.shape[1]:
            excess[:, number] = found.max(axis=1)
    return excess
