"""Cells that are not known, drawn such that the facts of the table hold: on host and device."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..arrays import BoolArray, FloatArray, Rows
from ..seeds import seed_of_round
from .cells import Cells
from .facts import Total
from .numbers import Numbers
from .schema import Schema

__all__ = ["Draw", "fill", "left_text"]

_ROUNDS = 100  # of draws, until a filled cell is not missing again

#: From values `[n, D]`, which of them are known, a seed and the numbers of the rows to whole rows.
Draw = Callable[[FloatArray, BoolArray, int, Rows], FloatArray]


def fill(
    draw: Draw,
    schema: Schema,
    table: Mapping[str, Cells],
    x: FloatArray,
    seed: int,
    rows: Rows,
) -> tuple[dict[str, Cells], int]:
    """Draws what is not known given the rest of each row, but never a missing cell.

    Row i is drawn from the seeds (s_r, i) for r = 0, 1, ... until no cell of it is missing, none
    contradicts the others, and none lies out of range to make a total that is known. s_0 is `seed`;
    later ones are those of no neighbouring seed.

    Args:
        draw: what draws; row i from its seed and i.
        schema: of the table.
        table: the cells that are known.
        x: the same as numbers `[N, D]`, NaN where nothing is known.
        seed: a 32-bit integer.
        rows: the numbers of the rows, `[N]`.

    Returns:
        The cells of all columns, and in how many rows a hundred rounds left a missing cell or a
        contradiction.
    """
    absent, asked = _absent_codes(schema), np.isnan(x)
    values = np.where(asked, np.float32(0), x)  # which the schema has checked
    filled = values.copy()
    left = np.arange(len(x))
    for number in range(_ROUNDS):
        to_draw = left[asked[left].any(axis=1)]
        if len(to_draw):
            own = seed_of_round(seed, number)
            filled[to_draw] = draw(values[to_draw], ~asked[to_draw], own, rows[to_draw])
        known = {name: cells.at(left) for name, cells in table.items()}
        whole = schema.merged(known, schema.decode(filled[left]))
        is_wrong = (asked[left] & (filled[left] == absent)).any(axis=1) | ~schema.agrees(whole)
        is_wrong |= _parts_out_of_range(schema, known, whole)
        left = left[is_wrong & asked[left].any(axis=1)]
        if not len(left):
            break
    return schema.merged(table, schema.decode(filled, rows)), len(left)


def left_text(count: int) -> str:
    """Returns what to warn of, where so many rows were left."""
    return (
        f"{count} row(s) have cells left that are missing, contradict others, or lie out "
        "of range to make a total: given the rest of their row nearly all draws are so."
    )


def _absent_codes(schema: Schema) -> FloatArray:
    """Returns the number that stands for a missing cell, of each variable; NaN for none."""
    codes = [column.absent for column in schema.columns for _ in column.variables]
    return np.array(codes, np.float32)


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
