"""What one column of a table is to a model: some variables, or none."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ..arrays import BoolArray, Rows
from ..fields import check_fields, is_scalar
from .cells import Cells, Source

__all__ = [
    "MISSING",
    "Column",
    "Constant",
    "Identifier",
    "Numbers64",
    "Unmodelled",
    "column_from",
    "register",
]

#: The number that stands for a missing cell (`made_tf.conditionals.MISSING`).
MISSING = -(2.0**100)

Numbers64 = npt.NDArray[np.float64]

#: All kinds of columns by name.
KINDS: dict[str, type[Column]] = {}


def register(cls):
    """Gives a kind of columns its name in files."""
    KINDS[cls.kind] = cls
    return cls


@dataclasses.dataclass
class Column(abc.ABC):
    """One column: how its cells become numbers, and numbers become cells.

    Attributes:
        name: the column's name.
        source: what it is in its library.
    """

    kind: ClassVar[str]
    name: str
    source: Source

    @property
    @abc.abstractmethod
    def variables(self) -> list[str]:
        """The names of the variables that stand for it in a model; none if it needs none."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns that must be known before this one is decoded."""
        return ()

    @property
    def reads(self) -> str:
        """The column in whose place its variables lie: itself, for most."""
        return self.name

    @property
    def made_of(self) -> tuple[str, ...]:
        """The columns that its numbers are made of, all of which must be known."""
        return (self.name,)

    @property
    def absent(self) -> float:
        """The number that stands for a missing cell, in each variable; NaN where there is none."""
        return math.nan

    @abc.abstractmethod
    def encode(self, cells: Cells, table: Mapping[str, Cells]) -> Numbers64:
        """Returns the numbers `[N, W]`; NaN where a cell is none that the column can have.

        Args:
            cells: the column's own cells.
            table: all columns that are there.
        """

    @abc.abstractmethod
    def decode(self, x: Numbers64, table: Mapping[str, Cells]) -> Cells:
        """Returns the cells of numbers `[N, W]`.

        Args:
            x: as from `encode`.
            table: the columns that this one `needs`.
        """

    def agrees(self, cells: Cells, table: Mapping[str, Cells]) -> BoolArray:
        """Returns which cells are what other columns say that they must be, `[N]`."""
        del table
        return np.ones(len(cells.known), bool)

    def is_new(
        self, cells: Cells, own: Numbers64, table: Mapping[str, Cells], absent_is_unknown: bool
    ) -> BoolArray:
        """Returns which cells are none that the column has had, `[N]`.

        Args:
            cells: the column's own cells.
            own: what `encode` made of them.
            table: all columns that are there.
            absent_is_unknown: as of `Schema.encode`.
        """
        del cells, absent_is_unknown
        found: BoolArray = np.asarray(np.isnan(own).any(axis=1))
        for name in self.needs:  # what it is measured from must be there
            found &= table[name].known if name in table else np.zeros_like(found)
        return found

    @abc.abstractmethod
    def describe(self) -> str:
        """Returns what it is, in a few words."""

    def check(self) -> None:
        """Checks what a file says of the column; a subclass also how its fields fit together.

        Raises:
            ValueError: if a field has a value that it cannot have.
        """
        check_fields(self)
        check_fields(self.source)
        self.source.check()

    def to_dict(self) -> dict[str, Any]:
        """Returns the column as JSON values."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Makes the column from what `to_dict` returned."""
        return cls(**content)


def column_from(content: Mapping[str, Any]) -> Column:
    """Makes a column of any kind from what `Column.to_dict` returned.

    Raises:
        ValueError: if there is no such kind, or an entry is missing or unknown.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"A column must be a mapping. Received: {type(content).__name__}")
    content = dict(content)
    kind = content.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"A column must be one of {sorted(KINDS)}. Received: kind={kind!r:.100}")
    try:
        content["source"] = Source(**content["source"])
        column = KINDS[kind].from_dict(content)
        column.check()
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The column {content.get('name')!r:.100} is damaged: {error}") from error
    return column


class Unmodelled(Column):
    """A column that needs no variable: its cells are known, or follow from others."""

    @property
    def variables(self):
        return []

    def encode(self, cells, table):
        del table
        return np.zeros((len(cells.known), 0))


@register
@dataclasses.dataclass
class Constant(Unmodelled):
    """The same cell in every row.

    Attributes:
        value: the cell; `None` for a column without any value.
    """

    kind = "constant"

    value: Any

    def check(self):
        super().check()
        if self.value is not None and not is_scalar(self.value):
            raise ValueError(f"`value` must be a cell. Received: {type(self.value).__name__}")

    def decode(self, x, table):
        del table
        if self.value is None:
            return Cells.missing(len(x))
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        return Cells.of(np.full(len(x), self.value, None if is_number else object))

    def agrees(self, cells, table):
        del table
        if self.value is None:
            return ~cells.known
        same = np.zeros(len(cells.known), bool)
        same[cells.known] = cells.values[cells.known] == self.value
        return same

    def describe(self):
        return f"constant {self.value!r}"


@register
@dataclasses.dataclass
class Identifier(Unmodelled):
    """A name of its own for each row: it tells nothing, and rows that are drawn get new ones.

    Attributes:
        prefix: what stands before the number of new names; `None` for whole numbers.
        start: the first new number.
    """

    kind = "identifier"

    prefix: str | None
    start: int

    def decode(self, x, table):
        del table
        return self.of_rows(np.arange(len(x)))

    def of_rows(self, rows: Rows) -> Cells:
        """Returns the new names of rows with these numbers."""
        numbers = self.start + rows
        if self.prefix is None:
            return Cells.of(numbers)
        names = [f"{self.prefix}{number}" for number in numbers]
        return Cells.of(np.array(names, object))

    def describe(self):
        return "identifier, drawn anew"
