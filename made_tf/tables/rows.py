"""Rows of a table: drawn, drawn given some cells, filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from made_tf.portable.arguments import integer
from made_tf.portable.arrays import Rows
from made_tf.portable.schema import Cells
from made_tf.portable.schema.distinct import distinct_rows, draw_rows
from made_tf.portable.schema.plain import list_of_cells
from made_tf.portable.seeds import checked_seed
from made_tf.tables.answers import fill
from made_tf.tables.combinations import settle_combinations
from made_tf.tables.fitted import Fitted

__all__ = ["drawn", "draws", "filled", "impute", "partial_table", "sample"]

_AT_ONCE = 16_384  # rows that are drawn at once: bounds the memory, and changes no row


def sample(fitted: Fitted, n: int, seed: int, given: Any) -> Any:
    """Returns what `TableModel.sample` does."""
    n = integer("n", n)
    schema = fitted.schema
    if given is None:
        return schema.frame(drawn(fitted, n, seed))
    if isinstance(given, Mapping):
        given = {name: [cell] for name, cell in given.items()}
    table = partial_table(fitted, given, "given")
    seed = checked_seed(seed)
    _check_cells(fitted, table)
    rows = np.repeat(np.arange(_length(table)), n)
    table = {name: cells.at(rows) for name, cells in table.items()}
    found = filled(fitted, table, seed)
    if not schema.unique:
        return schema.frame(found)

    def draw(some: Rows, own: int) -> dict[str, Cells]:
        part = {name: cells.at(some) for name, cells in table.items()}
        again = filled(fitted, part, own, numbers=some)
        for name, cells in again.items():
            for all_of, new in zip(found[name], cells, strict=True):
                all_of[some] = new
        return again

    distinct_rows(schema, found, seed, draw, table)
    return schema.frame(found)


def drawn(fitted: Fitted, n: int, seed: int) -> dict[str, Cells]:
    """Returns the cells of rows that are drawn from nothing."""
    return fitted.schema.decode(draw_rows(fitted.rows, fitted.schema, n, seed, _AT_ONCE))


def impute(fitted: Fitted, frame: Any, seed: int, num_draws: int | None) -> Any:
    """Returns what `TableModel.impute` does."""
    table = partial_table(fitted, frame, "X")
    index = getattr(frame, "index", None)
    count = integer("num_draws", 1 if num_draws is None else num_draws)
    frames = [fitted.schema.frame(each, index) for each in draws(fitted, table, seed, count)]
    return frames[0] if num_draws is None else frames


def partial_table(
    fitted: Fitted, frame: Any, name: str, hidden: str | None = None
) -> dict[str, Cells]:
    """Returns the cells of a frame of which some are not known, and what follows from them.

    Args:
        fitted: the networks.
        frame: a frame, or a mapping.
        name: the argument's name, for messages.
        hidden: a column of which nothing is to be known.

    Raises:
        ValueError: if a mapping names columns that are not there, a frame has none of the table's,
            or cells are of another sort.
    """
    schema = fitted.schema
    if isinstance(frame, Mapping):
        unknown = [each for each in map(str, frame) if each not in schema.names]
        if unknown:
            raise ValueError(
                f"`{name}` names columns that are not there: {unknown}. The table has: "
                f"{schema.names}"
            )
    table = schema.cells_of(frame, name, absent=True)
    if not table:
        raise ValueError(f"`{name}` must have columns of the table: {schema.names}")
    if hidden is not None:
        table[hidden] = Cells.missing(_length(table))
    table = schema.complete(table)
    return {own: cells for own, cells in table.items() if own != hidden} or table


def draws(
    fitted: Fitted, table: Mapping[str, Cells], seed: int, count: int, **options: Any
) -> Iterator[dict[str, Cells]]:
    """Yields the cells of rows of which some are known, filled in several times.

    All at once: rows that lack the same cells are drawn together. Row i of draw k is row k N + i of
    the seed.

    Args:
        fitted: the networks.
        table: the cells that are known, `[N]`.
        seed: a 32-bit integer.
        count: how many times.
        **options: of `filled`.
    """
    size = _length(table)
    rows = np.tile(np.arange(size), count)
    table = {name: cells.at(rows) for name, cells in table.items()}
    whole = filled(fitted, table, checked_seed(seed), **options)
    for number in range(count):
        part = slice(number * size, (number + 1) * size)
        yield {name: cells.at(part) for name, cells in whole.items()}


def filled(
    fitted: Fitted,
    table: Mapping[str, Cells],
    seed: int,
    missing_is_known: bool = False,
    numbers: Rows | None = None,
) -> dict[str, Cells]:
    """Returns all cells of rows of which some are known.

    Args:
        fitted: the networks.
        table: the cells that are known.
        seed: a 32-bit integer.
        missing_is_known: whether cells of `table` that are missing are so, and are not filled in.
        numbers: i of each row; from 0 on by default.
    """
    schema = fitted.schema
    x = schema.encode(table, absent_is_unknown=not missing_is_known).x
    numbers = np.arange(len(x)) if numbers is None else numbers
    if len(x):
        x = settle_combinations(fitted.queries, schema, table, x, seed, numbers, missing_is_known)
    return fill(fitted.queries, schema, table, x, seed, numbers)


def _check_cells(fitted: Fitted, table: Mapping[str, Cells]) -> None:
    """Raises if a cell is none that the table has had, or contradicts others."""
    schema = fitted.schema
    _, new, broken = schema.encode(table, absent_is_unknown=True)
    for wrong, what in (
        (new, "have cells that the table has had"),
        (broken, "not have cells that contradict others"),
    ):
        if wrong.any():
            row, column = (int(number) for number in np.argwhere(wrong)[0])
            name = schema.names[column]
            cell = list_of_cells(table[name].at([row]), schema.column(name).source)[0]
            raise ValueError(
                f"`given` must {what}. Received: {cell!r} for {name!r} in row {row}; it is "
                f"{schema.column(name).describe()}"
            )


def _length(table: Mapping[str, Cells]) -> int:
    return len(next(iter(table.values())).known)
