"""`TableSchema`: what a data frame is to a model; found in the frame, or said by its owner."""

from __future__ import annotations

import json
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from made_tf.data.column_kinds import KINDS, column_of
from made_tf.data.constraints import Constraint, Unique, facts_of
from made_tf.data.frames import frame_of, library_of, read_columns
from made_tf.data.table_facts import find_dependencies, find_orders, find_totals
from made_tf.portable.arguments import shown
from made_tf.portable.files import PathLike, replacing
from made_tf.portable.schema import Cells, Column, Encoded, Schema
from made_tf.portable.schema.moments import in_unit

__all__ = ["Overrides", "TableSchema", "checked_overrides"]

_DROP = "drop"
_SETTINGS = {"kind", "family", "order"}
_FAMILIES = ("binned", "count", "discretized", "logistic_mixture", "normal_mixture", "ordinal")

#: What a user may say of columns: a kind, or a mapping with `kind`, `family` and `order`.
Overrides = Mapping[str, str | Mapping[str, Any]]


class TableSchema(Schema):
    """The columns of a table, and the way from frames to numbers and back.

    Print it to read what each column was taken for.
    """

    @classmethod
    def infer(
        cls,
        frame: Any,
        overrides: Overrides | PathLike | None = None,
        constraints: Sequence[Constraint] = (),
        find_facts: bool = True,
    ) -> TableSchema:
        """Returns the schema of a frame.

        Args:
            frame: a data frame of any library that narwhals knows, `[N, D]` of numbers, or a
                mapping of names to lists.
            overrides: what is known of columns: by name a kind (`"boolean"`, `"category"`,
                `"ordered"`, `"number"`, `"moment"`, `"identifier"`, `"constant"`; `"drop"` leaves
                the column out), or a mapping with `kind`, `family` (of numbers) and `order` (the
                categories, lowest first). Or a TOML file of them, as `to_toml` writes it.
            constraints: what holds in all rows.
            find_facts: whether to look for columns that others determine, sums and orders.

        Raises:
            ModuleNotFoundError: if `narwhals` or `pandas` is not installed.
            ValueError: if columns cannot be modelled: a line for each, with a remedy.

        Warns:
            UserWarning: of identifiers, which are not modelled.

        Example:
            >>> print(TableSchema.infer({"size": ["S", "M", "S", "M"], "price": [1, 2, 1, 3]}))
            column  type   what it is
            size    str    2 classes: M, S
            price   int64  whole numbers from 1 to 3
        """
        series, unread = read_columns("frame", frame)
        known = checked_overrides(overrides, [*series, *unread])
        table = {name: each.cells for name, each in series.items()}
        count = len(next(iter(table.values())).known) if table else 0
        if count < 2:
            raise ValueError(f"`frame` must have two rows at least. Received: {count}")
        columns: dict[str, Column] = {}
        dropped = {name for name, own in known.items() if own.get("kind") == _DROP}
        refused = [f"column {n!r} {reason}" for n, reason in unread.items() if n not in dropped]
        for name, each in series.items():
            if name in dropped:
                continue
            try:
                columns[name] = column_of(name, each, **known.get(name, {}))
            except ValueError as error:
                refused.append(f"column {name!r} {error}")
        if refused:
            raise ValueError(
                f"{len(refused)} column(s) cannot be modelled as they are (say what they are, or "
                '"drop", by `overrides`):\n  ' + "\n  ".join(refused)
            )
        facts: dict[str, Any] = facts_of(constraints, columns, table)
        if find_facts:
            said = {name for name, own in known.items() if own}
            for find in (find_dependencies, find_totals, find_orders):
                free = {k: v for k, v in columns.items() if k not in facts}
                needed = {name for fact in facts.values() for name in fact.needs}
                facts |= find(free, table, said | needed)
        columns |= facts
        unique = [each.names for each in constraints if isinstance(each, Unique)]
        schema = cls(list(columns.values()), library_of(frame), count, unique)
        unmodelled = [name for name, each in columns.items() if each.kind == "identifier"]
        if unmodelled:
            warnings.warn(
                f"Columns taken for identifiers, which are not modelled: {', '.join(unmodelled)}",
                stacklevel=2,
            )
        if not schema.variables:
            raise ValueError(
                "`frame` must have a column that varies. Received: constants and identifiers alone"
            )
        return schema

    def encode_frame(
        self, frame: Any, name: str = "frame", absent_is_unknown: bool = False
    ) -> Encoded:
        """Returns the numbers of a frame, whose columns are found by their names.

        Args:
            frame: as of `infer`; columns in any order, and others beside them.
            name: the argument's name, for messages.
            absent_is_unknown: whether nothing is known of missing cells and of columns that are not
                there; else these must all be there, and a missing cell is known to be missing.

        Raises:
            ValueError: if columns are not there, or hold cells of another sort.
        """
        return self.encode(self.cells_of(frame, name, absent_is_unknown), absent_is_unknown)

    def cells_of(self, frame: Any, name: str = "frame", absent: bool = False) -> dict[str, Cells]:
        """Returns the cells of a frame's columns, as `encode` takes them.

        Raises:
            ValueError: as `encode_frame`.
        """
        series, unread = read_columns(name, frame)
        there = [*series, *unread]
        if not absent and not set(self.names) <= set(there):
            lacking = [each for each in self.names if each not in there]
            raise ValueError(
                f"`{name}` must have the columns of the table. It lacks {lacking}; it has: {there}"
            )
        found = {}
        refused = [f"column {own!r} {unread[own]}" for own in self.names if own in unread]
        for own, each in series.items():
            if own not in self.names:
                continue
            try:
                found[own] = _like(each, self.column(own))
            except ValueError as error:
                refused.append(f"column {own!r} {error}")
        if refused:
            raise ValueError(f"`{name}` has columns of another sort:\n  " + "\n  ".join(refused))
        return found

    def frame(self, table: Mapping[str, Cells], index: Any = None) -> Any:
        """Returns cells as a frame of the library that the table came in, with its dtypes.

        Args:
            table: the cells of columns.
            index: of a frame of pandas.
        """
        sources = {name: self.column(name).source for name in table}
        return frame_of(table, sources, self.library, index)

    def to_toml(self, path: PathLike) -> None:
        """Writes what each column was taken for, as a file of `overrides` to edit."""
        lines = []
        for column in self.columns:
            own = _override_of(column)
            if own:
                lines += [f"[{_toml(column.name)}]"]
                lines += [f"{key} = {_toml(own[key])}" for key in own]
                lines += [""]
        with replacing(path) as temporary:
            Path(temporary).write_text("\n".join(lines), encoding="utf-8")


def _toml(value: Any) -> str:
    """Returns texts, numbers or lists of them as TOML, which escapes as JSON does but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _override_of(column: Column) -> dict[str, Any]:
    """Returns what a user would say to get this column; nothing of one that others determine."""
    if column.kind == "numbers":
        return {"kind": "number", "family": column.family}  # type: ignore[attr-defined]
    if column.kind == "classes":
        values = column.values  # type: ignore[attr-defined]
        if column.ordered:  # type: ignore[attr-defined]
            return {"kind": "ordered", "order": values}
        return {"kind": "boolean" if column.source.sort == "boolean" else "category"}
    known = {"moments": "moment", "identifier": "identifier", "constant": "constant"}
    return {"kind": known[column.kind]} if column.kind in known else {}


def checked_overrides(overrides: Any, names: list[str]) -> dict[str, dict[str, Any]]:
    """Returns what is said of each column, as arguments of `column_of`.

    Raises:
        ValueError: if a column, a kind, a family or a key is unknown.
    """
    if overrides is None:
        return {}
    if not isinstance(overrides, Mapping):
        path = Path(overrides)
        try:
            overrides = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
            raise ValueError(f"`overrides` must be a TOML file. {path}: {error}") from error
    found = {}
    for name, own in overrides.items():
        said = {"kind": own} if isinstance(own, str) else own
        if name not in names:
            raise ValueError(f"`overrides` names a column {name!r}. The table has: {names}")
        if not isinstance(said, Mapping) or not set(said) <= _SETTINGS:
            raise ValueError(
                f"`overrides` must say `kind`, `family` or `order` of a column. "
                f"Received: {name!r}: {shown(own)}"
            )
        for key, allowed in (("kind", (*KINDS, _DROP)), ("family", _FAMILIES)):
            if said.get(key, allowed[0]) not in allowed:
                raise ValueError(
                    f"`overrides` of {name!r} must have a {key} among {', '.join(allowed)}. "
                    f"Received: {shown(said[key])}"
                )
        order = said.get("order", ("",))
        plain = isinstance(order, list | tuple) and all(
            isinstance(each, str | int | float) for each in order
        )
        if not plain or not order or len(set(order)) < len(order):
            raise ValueError(
                f"`overrides` of {name!r} must have an order that lists different categories. "
                f"Received: {shown(order)}"
            )
        found[name] = dict(said)
    return found


def _like(series: Any, column: Column) -> Cells:
    """Returns cells as a column has them: numbers as numbers, texts as texts, moments in its unit.

    Raises:
        ValueError: if they are of another sort; without a subject.
    """
    source, cells = series
    own = column.source
    if not cells.known.any():
        return Cells.missing(len(cells.known))._replace(values=_zeros(own.sort, len(cells.known)))
    numeric, moments = {"integer", "real"}, {"moment", "date"}
    if own.sort in numeric and source.sort in numeric | {"boolean"}:
        values = cells.values
        if values.dtype == object:
            values = np.where(cells.known, values, 0).astype(np.int64)
        whole = values.dtype.kind == "f" and own.sort == "integer"
        if whole and np.all(np.abs(values) < 2**53) and np.all(values == np.rint(values)):
            values = values.astype(np.int64)
        return Cells(values, cells.known)
    same = own.sort == source.sort and own.sort in ("duration", "time")
    if same or (own.sort in moments and source.sort in moments):
        if source.unit != own.unit:
            return Cells(in_unit(cells.values, source.unit, own.unit), cells.known)
        return cells
    texts = {"text", "category", "ordered", "boolean"}
    if own.sort in texts and source.sort in texts:
        return cells
    if own.sort in ("category", "ordered") and source.sort in numeric:
        return Cells(np.array(cells.values.tolist(), object), cells.known)
    if own.sort == "boolean" and source.sort in numeric and np.isin(cells.values, (0, 1)).all():
        return Cells(np.array([bool(value) for value in cells.values], object), cells.known)
    if source.sort != own.sort:
        raise ValueError(
            f"must hold cells of the sort {own.sort!r}. Received: {source.sort!r} "
            f"({source.dtype}). Convert it to {own.dtype or own.sort}"
        )
    return cells


def _zeros(sort: str, count: int) -> np.ndarray:
    if sort in ("text", "category", "ordered", "boolean"):
        return np.full(count, None, object)
    return np.zeros(count, np.float64 if sort == "real" else np.int64)
