"""What a table's owner says of it, as text: what columns are, and what holds in all rows."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from made_tf.data.column_kinds import KINDS
from made_tf.data.constraints import Constraint, FixedCombinations, Inequality, Sum, Unique
from made_tf.portable.arguments import shown
from made_tf.portable.schema import Column, Schema
from made_tf.portable.schema.combined import Combined
from made_tf.portable.schema.facts import AtLeast, Total

__all__ = ["DROP", "Overrides", "checked_overrides", "schema_text"]

DROP = "drop"
_SETTINGS = {"kind", "family", "order"}
_FAMILIES = ("binned", "count", "discretized", "logistic_mixture", "normal_mixture", "ordinal")

#: The array of tables in the file; with a "_" behind it where a column has that name.
_CONSTRAINTS = "constraints"
_NOTE = "# What holds in all rows. Delete what need not hold in rows to come."
_KINDS: dict[str, type] = {
    "inequality": Inequality,
    "sum": Sum,
    "fixed_combinations": FixedCombinations,
    "unique": Unique,
}

#: What a user may say of columns: a kind, or a mapping with `kind`, `family` and `order`.
Overrides = Mapping[str, str | Mapping[str, Any]]


def schema_text(schema: Schema) -> str:
    """Returns what each column was taken for and what holds in all rows, as TOML."""
    sections = []
    for column in schema.columns:
        own = _override_of(column)
        if own:
            sections.append((f"[{_toml(column.name)}]", own))
    key = _CONSTRAINTS
    while key in schema.names:
        key += "_"
    kinds = {kind: name for name, kind in _KINDS.items()}
    for constraint in _constraints_of(schema):
        own = {"kind": kinds[type(constraint)], **dataclasses.asdict(constraint)}
        sections.append((f"[[{key}]]", own))
    lines: list[str] = []
    for header, own in sections:
        if header.startswith("[[") and _NOTE not in lines:
            lines.append(_NOTE)
        lines += [header, *(f"{name} = {_toml(value)}" for name, value in own.items()), ""]
    return "\n".join(lines)


def _constraints_of(schema: Schema) -> list[Constraint]:
    """Returns what a user would say to get what a schema's columns follow from."""
    found: list[Constraint] = []
    for column in schema.columns:
        if isinstance(column, Total):
            found.append(Sum(column.name, column.plus, column.minus))
        elif isinstance(column, AtLeast):
            found.append(Inequality(column.base, column.name))
        elif isinstance(column, Combined) and column.name == column.together[0]:
            found.append(FixedCombinations(column.together))
    return [*found, *map(Unique, schema.unique)]


def _constraint(content: Any) -> Constraint:
    """Returns a constraint of the file.

    Raises:
        ValueError: if it is none.
    """
    own = dict(content) if isinstance(content, Mapping) else {}
    kind = _KINDS.get(str(own.pop("kind", "")))
    if kind is None:
        raise ValueError(
            f"`overrides` must have constraints with a kind among {', '.join(_KINDS)}. "
            f"Received: {shown(content)}"
        )
    names = [field.name for field in dataclasses.fields(kind)]
    texts = all(
        isinstance(each, str)
        for value in own.values()
        for each in (value if isinstance(value, list) else [value])
    )
    one = all(isinstance(own.get(name, ""), str) for name in ("low", "high", "total"))
    lacking = set(names) - set(own) - {"minus"}
    if not texts or not one or lacking or not set(own) <= set(names):
        raise ValueError(
            f"`overrides` must name the columns of a constraint {content['kind']!r} by "
            f"{', '.join(names)}. Received: {shown(content)}"
        )
    return kind(**own)


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
    if isinstance(column, Combined) and column.source.sort == "text":
        return {"kind": "category"}  # whatever it looks like: it is one of the combination
    known = {"moments": "moment", "identifier": "identifier", "constant": "constant"}
    return {"kind": known[column.kind]} if column.kind in known else {}


def checked_overrides(
    overrides: Any, names: list[str]
) -> tuple[dict[str, dict[str, Any]], list[Constraint]]:
    """Returns what is said of each column, as arguments of `column_of`, and the constraints.

    Args:
        overrides: as of `TableSchema.infer`.
        names: those of the table's columns.

    Raises:
        ValueError: if a column, a kind, a family or a key is unknown, or a constraint is none.
    """
    if overrides is None:
        return {}, []
    if not isinstance(overrides, Mapping):
        path = Path(overrides)
        try:
            overrides = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
            raise ValueError(f"`overrides` must be a TOML file. {path}: {error}") from error
    found: dict[str, dict[str, Any]] = {}
    constraints: list[Constraint] = []
    for name, own in overrides.items():
        if isinstance(own, list) and name.rstrip("_") == _CONSTRAINTS:
            constraints += map(_constraint, own)
            continue
        said = {"kind": own} if isinstance(own, str) else own
        if name not in names:
            raise ValueError(f"`overrides` names a column {name!r}. The table has: {names}")
        if not isinstance(said, Mapping) or not set(said) <= _SETTINGS:
            raise ValueError(
                f"`overrides` must say `kind`, `family` or `order` of a column. "
                f"Received: {name!r}: {shown(own)}"
            )
        for key, allowed in (("kind", (*KINDS, DROP)), ("family", _FAMILIES)):
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
    return found, constraints
