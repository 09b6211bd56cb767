"""What a user knows of a table, so that it holds in every row that is drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from made_tf.data.table_facts import at_least, total, wrong_total
from made_tf.portable.schema import Cells, Column
from made_tf.portable.schema.combined import Combined
from made_tf.portable.schema.facts import AtLeast, Total
from made_tf.portable.schema.moments import Moments
from made_tf.portable.schema.numbers import Numbers

__all__ = ["Constraint", "FixedCombinations", "Inequality", "Sum", "Unique", "facts_of"]


@dataclasses.dataclass(frozen=True)
class Inequality:
    """`high` is never below `low`: numbers or moments, of which `low` is never missing.

    Attributes:
        low: the name of a column.
        high: the name of another one.
    """

    low: str
    high: str

    def fact(self, columns: Mapping[str, Column], table: Mapping[str, Cells]) -> AtLeast:
        """Returns the column `high` as `low` and what it lies above.

        Raises:
            ValueError: if the columns cannot be compared.
        """
        if self.low == self.high:
            raise ValueError(f"{self} needs two columns.")
        for name in (self.low, self.high):
            if not isinstance(columns[name], Numbers | Moments):
                raise ValueError(
                    f"{self} needs numbers or moments. Received: {name!r}, "
                    f"{columns[name].describe()}"
                )
        kinds = {(type(columns[name]), columns[name].source.unit) for name in (self.low, self.high)}
        if len(kinds) > 1:
            raise ValueError(f"{self} needs two columns of one sort and unit.")
        if not table[self.low].known.all():
            raise ValueError(f"{self} needs a column {self.low!r} without missing cells.")
        return at_least(columns[self.high], columns[self.low], table)


@dataclasses.dataclass(frozen=True)
class Sum:
    """`total` is the sum of other columns, less that of some.

    Attributes:
        total: the name of a column.
        plus: names of those that are added.
        minus: names of those that are subtracted.
    """

    total: str
    plus: Sequence[str]
    minus: Sequence[str] = ()

    def __post_init__(self):
        if isinstance(self.plus, str) or isinstance(self.minus, str) or not self.plus:
            raise ValueError(f"{self} needs lists of names, of which `plus` is not empty.")

    def fact(self, columns: Mapping[str, Column], table: Mapping[str, Cells]) -> Total:
        """Returns the column `total` as a sum.

        Raises:
            ValueError: if one of the columns has no numbers, or sums are none of its type.
        """
        parts = [*self.plus, *self.minus]
        if self.total in parts:
            raise ValueError(f"{self} needs a total that is no part of itself.")
        for name in (self.total, *parts):
            if not isinstance(columns[name], Numbers):
                raise ValueError(
                    f"{self} needs numbers. Received: {name!r}, {columns[name].describe()}"
                )
        found = total(self.total, self.plus, self.minus, columns)
        wrong = wrong_total(found, columns)
        if wrong:
            raise ValueError(f"{self} cannot hold in all rows: {wrong}.")
        known = np.logical_and.reduce([table[name].known for name in parts])
        if np.any(known != table[self.total].known):
            raise ValueError(
                f"{self} needs a total that is missing where a part is, and only there."
            )
        return found


@dataclasses.dataclass(frozen=True)
class FixedCombinations:
    """Only combinations of cells come that the table has: a town is in its own country.

    Attributes:
        columns: names of two columns or more, of any sort but identifiers and constants.
    """

    columns: Sequence[str]

    def __post_init__(self):
        _check_names(self, self.columns, 2)

    def facts(
        self, columns: Mapping[str, Column], table: Mapping[str, Cells]
    ) -> dict[str, Combined]:
        """Returns the columns as one variable.

        Raises:
            ValueError: if one of them does not vary.
        """
        for name in self.columns:
            if columns[name].kind in ("constant", "identifier"):
                raise ValueError(
                    f"{self} needs columns that vary. Received: {name!r}, "
                    f"{columns[name].describe()}"
                )
        parts = (table[name].objects().tolist() for name in self.columns)
        found = [list(row) for row in sorted(set(zip(*parts, strict=True)), key=_in_order)]
        return {
            name: Combined(name, columns[name].source, list(self.columns), found)
            for name in self.columns
        }


@dataclasses.dataclass(frozen=True)
class Unique:
    """No two rows that are drawn share their cells in all of some columns.

    A missing cell is like another one here. Rows that are filled in are not drawn, and stay.

    Attributes:
        columns: the name of a column, or names of several.
    """

    columns: str | Sequence[str]

    def __post_init__(self):
        if not isinstance(self.columns, str):
            _check_names(self, self.columns, 1)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [self.columns] if isinstance(self.columns, str) else list(self.columns)

    def check(self, table: Mapping[str, Cells]) -> None:
        """Fails if rows of a table share their cells.

        Raises:
            ValueError: if they do.
        """
        rows = list(zip(*(table[name].objects().tolist() for name in self.names), strict=True))
        first: dict[tuple, int] = {}
        for number, row in enumerate(rows):
            if first.setdefault(row, number) != number:
                raise ValueError(
                    f"{self} does not hold: {len(set(rows)):,} of {len(rows):,} rows are different;"
                    f" rows {first[row]} and {number} (counted from 0) are not"
                )


Constraint = Inequality | Sum | FixedCombinations | Unique


def _check_names(constraint: Any, names: Any, fewest: int) -> None:
    """Fails if a constraint's columns are not different names, so many at least.

    Raises:
        ValueError: if they are not.
    """
    several = isinstance(names, Sequence) and not isinstance(names, str)
    if not several or len(names) < fewest or len(set(names)) < len(names):
        more = "names" if fewest == 1 else f"{fewest} names or more"
        raise ValueError(f"{constraint} needs a list of {more}, each once.")


def _in_order(row: Sequence[Any]) -> list[tuple]:
    """Returns what sorts rows: numbers by size, others as texts, missing cells last."""
    return [
        (2, 0, "")
        if cell is None
        else (0, cell, "")
        if isinstance(cell, int | float)
        else (1, 0, str(cell))
        for cell in row
    ]


def facts_of(
    constraints: Sequence[Constraint],
    columns: Mapping[str, Column],
    table: Mapping[str, Cells],
) -> dict[str, Column]:
    """Returns the columns that constraints determine, by name.

    Raises:
        ValueError: if a column is not there, or determined twice, or the table itself breaks a
            constraint.
    """
    found: dict[str, Column] = {}
    for constraint in constraints:
        if not isinstance(constraint, Constraint):
            raise ValueError(
                "`constraints` must be a list of Inequality, Sum, FixedCombinations and Unique. "
                f"Received: {constraint!r}"
            )
        names = [
            name
            for value in vars(constraint).values()
            for name in ([value] if isinstance(value, str) else value)
        ]
        unknown = [name for name in names if name not in columns]
        if unknown:
            raise ValueError(f"{constraint} names columns that are not there: {unknown}")
        if isinstance(constraint, Unique):
            constraint.check(table)
            continue
        if isinstance(constraint, FixedCombinations):
            facts: dict[str, Column] = {**constraint.facts(columns, table)}
        else:
            fact = constraint.fact(columns, table)
            facts = {fact.name: fact}
        for name, each in facts.items():
            if name in found:
                raise ValueError(f"{constraint} determines {name!r}, as another one does.")
            broken = ~each.agrees(table[name], table)
            if broken.any():
                row = int(broken.argmax())
                raise ValueError(
                    f"{constraint} does not hold in {broken.sum():,} of {len(broken):,} rows; the "
                    f"first is row {row} (counted from 0)"
                )
        found |= facts
    _check_apart(found)
    return found


def _check_apart(facts: Mapping[str, Column]) -> None:
    """Fails if a column has a part in a sum or an order, and in fixed combinations, too.

    Raises:
        ValueError: if one has.
    """
    for name, fact in facts.items():
        for other in fact.needs:
            if isinstance(facts.get(other), Combined):
                raise ValueError(
                    f"`constraints` must not have {other!r} both in FixedCombinations and as what "
                    f"{name!r} follows from: leave one of them out."
                )
