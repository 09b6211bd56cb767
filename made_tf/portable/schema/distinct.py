"""Rows of which no two share the cells of some columns: those that do are drawn again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..arrays import FloatArray, Rows
from ..patterns import pieces
from ..seeds import seed_of_round, seed_pairs
from .cells import Cells
from .columns import Identifier
from .schema import Schema

__all__ = ["distinct_rows", "draw_rows"]

_ROUNDS = 100
_FIRST_ROUND = 1000  # whose seeds are those of no other rounds


def draw_rows(source: Any, schema: Schema, n: int, seed: int, at_once: int = 1024) -> FloatArray:
    """Draws rows of a table: row i from (seed, i), or, where it repeats one, from later seeds.

    Args:
        source: a distribution or a sampler: `stream(n, seed, batch_size)`, `sample_from(seeds)`.
        schema: of the table.
        n: how many rows.
        seed: a 32-bit integer.
        at_once: how many rows are drawn at once: bounds the memory, and changes no row.

    Returns:
        The numbers `[n, D]`. The first rows do not depend on n.

    Raises:
        ValueError: if an argument is out of range, or there are not so many different rows.
    """
    found = np.concatenate(list(source.stream(n, seed, at_once)))
    if not schema.unique:
        return found

    def draw(rows: Rows, own: int) -> Mapping[str, Cells]:
        for part in pieces(rows, at_once):
            found[part] = source.sample_from(seed_pairs(own, part))
        return schema.decode(found[rows])

    distinct_rows(schema, schema.decode(found), seed, draw)
    return found


def distinct_rows(
    schema: Schema,
    table: Mapping[str, Cells],
    seed: int,
    draw: Callable[[Rows, int], Mapping[str, Cells]],
    given: Mapping[str, Cells] | None = None,
) -> None:
    """Draws rows again until none shares the cells of unique columns with an earlier one.

    Whether row i is drawn again depends on earlier rows alone.

    Args:
        schema: of the table, with `unique` columns.
        table: the rows' cells.
        seed: that they were drawn from.
        draw: draws rows, of these numbers, from another seed; returns their cells.
        given: cells that no draw changes.

    Raises:
        ValueError: if a hundred rounds left rows that repeat others, or they must.
    """
    # (An identifier is new in each row.)
    groups = [
        names
        for names in schema.unique
        if not any(isinstance(schema.column(name), Identifier) for name in names)
    ]
    keys = [_keys(table, names) for names in groups]
    count = len(next(iter(table.values())).known)
    for number in range(_ROUNDS + 1):
        repeated = _repeated(keys, count)
        if not len(repeated):
            return
        if number == _ROUNDS or _must_repeat(groups, given or {}, count):
            break
        again = draw(repeated, seed_of_round(seed, _FIRST_ROUND + number))
        for own, names in zip(keys, groups, strict=True):
            for row, key in zip(repeated.tolist(), _keys(again, names), strict=True):
                own[row] = key
    raise ValueError(
        f"`n` must be so few that no two rows share their cells in {' or '.join(map(str, groups))}:"
        f" {count - len(repeated):,} different ones were found in {number} rounds of draws. "
        f"Received: {count:,} rows"
    )


def _must_repeat(groups: Sequence[Sequence[str]], given: Mapping[str, Cells], count: int) -> bool:
    """Returns whether rows share their cells in columns that are given."""
    for names in groups:
        own = {name: given[name] for name in names if name in given}
        whole = len(own) == len(names) and all(cells.known.all() for cells in own.values())
        if whole and len(_repeated([_keys(own, names)], count)):
            return True
    return False


def _keys(table: Mapping[str, Cells], names: Sequence[str]) -> list[tuple]:
    """Returns what each row has in some columns; a missing cell is like another one."""
    return list(zip(*(table[name].objects().tolist() for name in names), strict=True))


def _repeated(keys: Sequence[list[tuple]], count: int) -> Rows:
    """Returns the rows that share a key with an earlier row that stays."""
    seen: list[set[tuple]] = [set() for _ in keys]
    found = []
    for row in range(count):
        own = [each[row] for each in keys]
        if any(key in there for key, there in zip(own, seen, strict=True)):
            found.append(row)
            continue
        for key, there in zip(own, seen, strict=True):
            there.add(key)
    return np.array(found, np.int64)
