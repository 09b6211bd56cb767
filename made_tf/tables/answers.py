"""What the network of questions says of some cells, given the others of their row."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping

import numpy as np

from made_tf.portable.arrays import BoolArray, FloatArray, Rows
from made_tf.portable.patterns import pattern_groups
from made_tf.portable.schema import Cells, Schema
from made_tf.portable.schema.facts import Total
from made_tf.portable.schema.numbers import Numbers
from made_tf.portable.seeds import seed_of_round
from made_tf.queries.one_variable import OneVariable, one_variable
from made_tf.queries.subsets import Queries

__all__ = ["absent_codes", "column_excess", "column_surprise", "conditionals_of", "fill"]

_DRAWS = 16  # of a cell, whose mean surprise is what is usual
_ROUNDS = 100  # of draws, until a filled cell is not missing again


def absent_codes(schema: Schema) -> FloatArray:
    """Returns the number that stands for a missing cell, of each variable; NaN for none."""
    codes = [column.absent for column in schema.columns for _ in column.variables]
    return np.array(codes, np.float32)


def fill(
    queries: Queries,
    schema: Schema,
    table: Mapping[str, Cells],
    x: FloatArray,
    seed: int,
    numbers: Rows | None = None,
) -> dict[str, Cells]:
    """Draws what is not known given the rest of each row, but never a missing cell.

    Row i is drawn from the seeds (s_r, i) for r = 0, 1, ... until no cell of it is missing, none
    contradicts the others, and none lies out of range to make a total that is known. s_0 is `seed`;
    later ones are those of no neighbouring seed.

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
    absent, asked = absent_codes(schema), np.isnan(x)
    values = np.where(asked, np.float32(0), x)  # which the schema has checked
    filled = values.copy()
    left = np.arange(len(x))
    numbers = left if numbers is None else numbers
    for number in range(_ROUNDS):
        to_draw = left[asked[left].any(axis=1)]
        if len(to_draw):
            own = seed_of_round(seed, number)
            known_here = ~asked[to_draw]
            filled[to_draw] = queries.draw_rows(
                values[to_draw], known_here, 1, own, numbers[to_draw]
            )[0]
        known = {name: cells.at(left) for name, cells in table.items()}
        whole = schema.merged(known, schema.decode(filled[left]))
        is_wrong = (asked[left] & (filled[left] == absent)).any(axis=1) | ~schema.agrees(whole)
        is_wrong |= _parts_out_of_range(schema, known, whole)
        left = left[is_wrong & asked[left].any(axis=1)]
        if not len(left):
            break
    else:
        warnings.warn(
            f"{len(left)} row(s) have cells left that are missing, contradict others, or lie out "
            "of range to make a total: given the rest of their row nearly all draws are so.",
            stacklevel=4,
        )
    return schema.merged(table, schema.decode(filled))


def _parts_out_of_range(
    schema: Schema, known: Mapping[str, Cells], whole: Mapping[str, Cells]
) -> BoolArray:
    """Returns in which rows a part of a known total is what the data never had, `[N]`.

    Where a single part was not known it is what it must be.
    """
    wrong = np.zeros(len(next(iter(whole.values())).known), bool)
    for column in schema.columns:
        if not isinstance(column, Total) or column.name not in known:
            continue
        free = np.stack([whole[n].known & ~_known(known, n, len(wrong)) for n in column.needs])
        several = known[column.name].known & (free.sum(axis=0) > 1)
        for name, is_free in zip(column.needs, free, strict=True):
            part, values = schema.column(name), whole[name].values
            if isinstance(part, Numbers):
                inside = (values >= part.low) & (values <= part.high)
                wrong |= several & is_free & ~(inside & np.isfinite(part.codes(values)))
    return wrong


def _known(table: Mapping[str, Cells], name: str, count: int) -> BoolArray:
    return table[name].known if name in table else np.zeros(count, bool)


def conditionals_of(
    queries: Queries, x: FloatArray, variable: int
) -> Iterator[tuple[Rows, OneVariable]]:
    """Yields rows of one pattern and the conditional of a variable given what they know.

    Args:
        queries: of a model of all orders.
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
                usual = np.mean(
                    [conditional.log_prob(conditional.draw(own)) for own in uniforms], axis=0
                )
                own = x[rows, variable]
                typical = conditional.family.typical()[0]
                log_prob = conditional.log_prob(np.where(np.isnan(own), typical, own))
                found[rows, part] = np.where(np.isnan(own), 0.0, usual - log_prob)
        if found.shape[1]:
            excess[:, number] = found.max(axis=1)
    return excess
