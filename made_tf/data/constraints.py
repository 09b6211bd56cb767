"""What a user knows of a table, so that it holds in every row that is drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from made_tf.data.table_facts import at_least, total, wrong_total
from made_tf.portable.schema import Cells, Column
from made_tf.portable.schema.facts import AtLeast, Total
from made_tf.portable.schema.moments import Moments
from made_tf.portable.schema.numbers import Numbers

__all__ = ["Inequality", "Sum", "facts_of"]


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


def facts_of(
    constraints: Sequence[Inequality | Sum],
    columns: Mapping[str, Column],
    table: Mapping[str, Cells],
) -> dict[str, AtLeast | Total]:
    """Returns the columns that constraints determine, by name.

    Raises:
        ValueError: if a column is not there, or determined twice, or the table itself breaks a
            constraint.
    """
    found: dict[str, AtLeast | Total] = {}
    for constraint in constraints:
        if not isinstance(constraint, Inequality | Sum):
            raise ValueError(
                f"`constraints` must be a list of Inequality and Sum. Received: {constraint!r}"
            )
        names = [
            name
            for value in vars(constraint).values()
            for name in ([value] if isinstance(value, str) else value)
        ]
        unknown = [name for name in names if name not in columns]
        if unknown:
            raise ValueError(f"{constraint} names columns that are not there: {unknown}")
        fact = constraint.fact(columns, table)
        if fact.name in found:
            raise ValueError(f"{constraint} determines {fact.name!r}, as another one does.")
        broken = ~fact.agrees(table[fact.name], table)
        if broken.any():
            row = int(broken.argmax())
            raise ValueError(
                f"{constraint} does not hold in {broken.sum():,} of {len(broken):,} rows; the "
                f"first is row {row} (counted from 0)"
            )
        found[fact.name] = fact
    return found
