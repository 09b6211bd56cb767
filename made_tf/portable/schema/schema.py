"""`Schema`: a whole table, to numbers and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrays import BoolArray, FloatArray, Rows
from . import classes, combined, facts, moments, numbers
from .cells import Cells
from .columns import Column, Identifier, column_from

__all__ = ["Encoded", "Schema"]

FORMAT = 1


class Encoded(NamedTuple):
    """A table as numbers.

    Attributes:
        x: float32 `[N, D]`; NaN where nothing is known, or what is there is `new`.
        new: which cells are none that the table has had: an unknown category, a number off the
            grid, a missing cell in a column without any; `[N, C]`.
        broken: which cells contradict what other columns say, `[N, C]`.
    """

    x: FloatArray
    new: BoolArray
    broken: BoolArray


class Schema:
    """The columns of a table, in its order.

    Args:
        columns: what each of them is.
        library: whose frames the table came in: `"pandas"`, `"polars"`, `"pyarrow"`, ...
        num_rows: of how many rows the columns were found.
        unique: columns whose cells no two drawn rows share, any number of times.

    Raises:
        ValueError: if two columns have one name, or one needs another that is not there.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        library: str = "pandas",
        num_rows: int = 0,
        unique: Sequence[Sequence[str]] = (),
    ):
        self.columns = list(columns)
        self.unique = [list(names) for names in unique]
        self.library = library
        self.num_rows = num_rows
        self.names = [column.name for column in self.columns]
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"`columns` must have different names. Received: {self.names}")
        self._order = _in_order(self.columns)
        widths = [len(column.variables) for column in self.columns]
        ends = np.cumsum(widths)
        self._places = {
            name: slice(int(end - width), int(end))
            for name, end, width in zip(self.names, ends, widths, strict=True)
        }
        self._places |= {each.name: self._places[each.reads] for each in self.columns}

    @property
    def variables(self) -> list[str]:
        """The names of the variables, of which a column may have none, one or several."""
        return [name for column in self.columns for name in column.variables]

    @property
    def owners(self) -> list[str]:
        """For each variable the column that it belongs to."""
        return [column.name for column in self.columns for _ in column.variables]

    def column(self, name: str) -> Column:
        """Returns the column of a name.

        Raises:
            ValueError: if there is none.
        """
        if name not in self.names:
            raise ValueError(f"The table has no column {name!r}. It has: {self.names}")
        return self.columns[self.names.index(name)]

    def place(self, name: str) -> slice:
        """Returns where a column's variables lie."""
        return self._places[name]

    def encode(self, table: Mapping[str, Cells], absent_is_unknown: bool = False) -> Encoded:
        """Returns the numbers of a table's cells.

        Args:
            table: cells by the column's name; of columns that are not there nothing is known.
            absent_is_unknown: whether a missing cell is one of which nothing is known (one to fill
                in), rather than one that is known to be missing.
        """
        count = len(next(iter(table.values())).known) if table else 0
        x = np.full((count, len(self.variables)), np.nan)
        new, broken = np.zeros((2, count, len(self.columns)), bool)
        for number, column in enumerate(self.columns):
            cells = table.get(column.name)
            if cells is None:
                continue
            own = column.encode(cells, table)
            told = cells.known if absent_is_unknown else np.ones(count, bool)
            broken[:, number] = told & ~column.agrees(cells, table)
            is_new = column.is_new(cells, own, table, absent_is_unknown)
            new[:, number] = told & is_new & ~broken[:, number]
            if column.reads != column.name:
                continue
            if absent_is_unknown:
                for name in column.made_of:
                    told = told & (table[name].known if name in table else False)
            x[:, self.place(column.name)] = np.where(told[:, None], own, np.nan)
        return Encoded(x.astype(np.float32), new, broken)

    def complete(self, table: Mapping[str, Cells]) -> dict[str, Cells]:
        """Returns a table with cells added that others determine, either way."""
        found = dict(table)
        for column in self._order:
            if isinstance(column, facts.Dependent):
                found |= column.filled_from(found)
        return found

    def merged(self, known: Mapping[str, Cells], drawn: Mapping[str, Cells]) -> dict[str, Cells]:
        """Returns known cells, and drawn ones in the places of those that are not.

        Of a known total with several unknown parts the last part is what is left; what a known end
        began from lies as far before it as was drawn. Unknown totals and ends follow from the parts
        as they then are: a known one may lie where nothing is drawn.
        """
        found = {name: _known_or(known.get(name), cells) for name, cells in drawn.items()}
        for column in self.columns:
            if isinstance(column, facts.Total | facts.AtLeast) and column.name in known:
                found |= column.settled(known, found, drawn)
        for column in self._order:
            if isinstance(column, facts.Total | facts.AtLeast):
                follows = column.following(found, drawn)
                found[column.name] = _known_or(known.get(column.name), follows)
        return found

    def agrees(self, table: Mapping[str, Cells]) -> BoolArray:
        """Returns in which rows no cell contradicts what other columns say, `[N]`."""
        return np.logical_and.reduce(
            [column.agrees(table[column.name], table) for column in self.columns]
        )

    def decode(self, x: Any, rows: Rows | None = None) -> dict[str, Cells]:
        """Returns the cells of numbers `[N, D]`, by name in the table's order.

        Args:
            x: the numbers.
            rows: the numbers of the rows, which make their identifiers; 0, 1, ... by default.
        """
        x = np.asarray(x, np.float64)
        found: dict[str, Cells] = {}
        for column in self._order:
            if isinstance(column, Identifier) and rows is not None:
                found[column.name] = column.of_rows(rows)
            else:
                found[column.name] = column.decode(x[:, self.place(column.name)], found)
        return {name: found[name] for name in self.names}

    def to_dict(self) -> dict[str, Any]:
        """Returns the schema as JSON values."""
        unique = {"unique": self.unique} if self.unique else {}
        return {
            "format": FORMAT,
            "library": self.library,
            "num_rows": self.num_rows,
            "columns": [column.to_dict() for column in self.columns],
            **unique,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]):
        """Makes the schema from what `to_dict` returned.

        Raises:
            ValueError: if it is damaged, or of a later version.
        """
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            form = content.get("format") if isinstance(content, Mapping) else content
            raise ValueError(f"The schema must have the format {FORMAT}. Received: {form!r:.100}")
        try:
            parts, library, num_rows = (content[k] for k in ("columns", "library", "num_rows"))
            columns = [column_from(each) for each in parts]
        except (KeyError, TypeError) as error:
            raise ValueError(f"The schema is damaged: {error}") from error
        if not isinstance(library, str) or not isinstance(num_rows, int):
            raise ValueError(
                f"The schema is damaged: library={library!r:.100}, num_rows={num_rows!r:.100}"
            )
        return cls(columns, library, num_rows, content.get("unique", ()))

    def __str__(self) -> str:
        """Returns a table of the columns, for people."""
        rows = [("column", "type", "what it is")]
        rows += [(column.name, column.source.dtype, column.describe()) for column in self.columns]
        rows = [
            (name, dtype, f"{text}; may be missing" if getattr(column, "missing", False) else text)
            for (name, dtype, text), column in zip(rows, [None, *self.columns], strict=True)
        ]
        first, second = (max(len(row[place]) for row in rows) for place in (0, 1))
        lines = [f"{name:{first}}  {dtype:{second}}  {text}" for name, dtype, text in rows]
        lines += [f"no two rows share: {', '.join(names)}" for names in self.unique]
        return "\n".join(lines)


def _known_or(cells: Cells | None, drawn: Cells) -> Cells:
    if cells is None:
        return drawn
    values = np.where(cells.known, cells.values, drawn.values)
    return Cells(values.astype(drawn.values.dtype), cells.known | drawn.known)


def _in_order(columns: Sequence[Column]) -> list[Column]:
    """Returns the columns, those that others need first.

    Raises:
        ValueError: if one needs another that is not there, or itself in the end.
    """
    left, done = {column.name: column for column in columns}, []
    known: set[str] = set()
    while left:
        ready = [column for column in left.values() if known.issuperset(column.needs)]
        if not ready:
            needs = {name: list(column.needs) for name, column in left.items()}
            raise ValueError(f"`columns` must not need each other in a circle. Received: {needs}")
        for column in ready:
            done.append(left.pop(column.name))
            known.add(column.name)
    return done


_ALL_KINDS = (classes, combined, facts, moments, numbers)  # which their import has registered
