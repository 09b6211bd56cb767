"""Conditions in SQL's words, as a tree of tests of single columns.

SQL knows three answers: a comparison with a missing cell is neither true nor false, and neither it
nor its negation chooses the row. So negations are pushed down to the tests, where `NOT a < 5` is
`a >= 5`, which a missing cell does not pass either.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import Any

from made_tf.portable.arguments import shown

__all__ = ["COMPARED", "AllOf", "AnyOf", "Condition", "Test", "parse"]

#: What two values that can be compared must be to pass a test of this operator.
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_SUPPORTED = (
    "AND, OR, NOT, =, <>, <, <=, >, >=, IN, BETWEEN, IS NULL and IS NOT NULL, of columns with "
    "numbers, 'texts', 'dates', TRUE and FALSE"
)
_NEGATED = {
    "=": "<>",
    "<>": "=",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
    "in": "not in",
    "not in": "in",
    "is null": "is not null",
    "is not null": "is null",
}
_TURNED = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_MOST_CHARACTERS = 100_000
_LARGEST_INTEGER = 2**63


@dataclasses.dataclass(frozen=True)
class Test:
    """A test of one column.

    Attributes:
        column: its name.
        operator: `"="`, `"<>"`, `"<"`, `"<="`, `">"`, `">="`, `"in"`, `"not in"`, `"is null"` or
            `"is not null"`.
        values: what it is compared with: numbers, texts and truth values.
    """

    column: str
    operator: str
    values: tuple[Any, ...] = ()

    def negated(self) -> Test:
        """Returns the test that rows pass for which this one is false."""
        return dataclasses.replace(self, operator=_NEGATED[self.operator])

    def __str__(self):
        return " ".join([self.column, self.operator.upper(), ", ".join(map(repr, self.values))])


@dataclasses.dataclass(frozen=True)
class AllOf:
    """Conditions that hold together; none of them: always."""

    parts: tuple[Condition, ...]

    def negated(self) -> AnyOf:
        """Returns the condition of the rows for which this one is false."""
        return AnyOf(tuple(part.negated() for part in self.parts))


@dataclasses.dataclass(frozen=True)
class AnyOf:
    """Conditions of which one holds at least; none of them: never."""

    parts: tuple[Condition, ...]

    def negated(self) -> AllOf:
        """Returns the condition of the rows for which this one is false."""
        return AllOf(tuple(part.negated() for part in self.parts))


Condition = Test | AllOf | AnyOf


def parse(name: str, text: Any) -> Condition:
    """Reads a condition as it stands after WHERE.

    Args:
        name: the argument's name, for messages.
        text: such as `price < 1000 AND cut IN ('Ideal', 'Premium') AND depth IS NOT NULL`.

    Raises:
        ImportError: if sqlglot is not installed.
        ValueError: if it is no such condition, or says more than is supported.
    """
    try:
        import sqlglot
        from sqlglot import exp
    except ImportError as error:
        raise ImportError(
            "Conditions in SQL need sqlglot: pip install 'made-tf[tables]'"
        ) from error
    if not isinstance(text, str) or not text.strip() or len(text) > _MOST_CHARACTERS:
        raise ValueError(f"`{name}` must be a condition in SQL's words. Received: {shown(text)}")
    try:
        tree = sqlglot.parse_one(text, into=exp.Condition)
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"`{name}` must be a condition in SQL's words: {_SUPPORTED}. "
            f"Received: {shown(text)} ({reason})"
        ) from error
    try:
        return _Reader(name, text, exp).condition(tree)
    except RecursionError as error:
        raise ValueError(f"`{name}` is nested too deeply: {shown(text)}") from error


class _Reader:
    """Turns what sqlglot makes of a text into a condition."""

    def __init__(self, name: str, text: str, exp: Any):
        self._name, self._text, self._exp = name, text, exp
        self._compared = {
            exp.EQ: "=",
            exp.NEQ: "<>",
            exp.LT: "<",
            exp.LTE: "<=",
            exp.GT: ">",
            exp.GTE: ">=",
        }

    def condition(self, node: Any) -> Condition:
        exp = self._exp
        if isinstance(node, exp.Paren):
            return self.condition(node.this)
        if isinstance(node, exp.And | exp.Or):
            # A thousand of them are no thousand levels.
            parts = tuple(self.condition(part) for part in node.flatten())
            return AllOf(parts) if isinstance(node, exp.And) else AnyOf(parts)
        if isinstance(node, exp.Not):
            return self.condition(node.this).negated()
        if isinstance(node, exp.Boolean):
            return AllOf(()) if node.this else AnyOf(())
        if isinstance(node, exp.Column):
            return Test(self._column(node), "=", (True,))
        if type(node) in self._compared:
            return self._comparison(node)
        if isinstance(node, exp.In) and node.args.get("expressions"):
            values = tuple(self._value(value) for value in node.expressions)
            return Test(self._column(node.this), "in", values)
        if isinstance(node, exp.Between) and not node.args.get("symmetric"):
            column = self._column(node.this)
            low, high = (self._value(node.args[end]) for end in ("low", "high"))
            return AllOf((Test(column, ">=", (low,)), Test(column, "<=", (high,))))
        if isinstance(node, exp.Is):
            return self._is(node)
        raise self._refused(node)

    def _comparison(self, node: Any) -> Test:
        sign = self._compared[type(node)]
        left, right = node.left, node.right
        if isinstance(right, self._exp.Column) and not isinstance(left, self._exp.Column):
            left, right, sign = right, left, _TURNED[sign]
        return Test(self._column(left), sign, (self._value(right),))

    def _is(self, node: Any) -> Condition:
        if isinstance(node.expression, self._exp.Null):
            return Test(self._column(node.this), "is null")
        raise self._refused(node)

    def _column(self, node: Any) -> str:
        if not isinstance(node, self._exp.Column) or node.table:
            raise self._refused(node)
        return node.name

    def _value(self, node: Any) -> Any:
        exp = self._exp
        if isinstance(node, exp.Cast) and node.is_type(*exp.DataType.TEMPORAL_TYPES):
            node = node.this if node.this.is_string else node  # DATE '2026-01-01'
        if isinstance(node, exp.Boolean):
            return bool(node.this)
        if isinstance(node, exp.Neg):
            value = self._value(node.this)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return -value
        elif isinstance(node, exp.Literal):
            value = node.this if node.is_string else _number(node.this)
            if value is not None:
                return value
        raise self._refused(node)

    def _refused(self, node: Any) -> ValueError:
        return ValueError(
            f"`{self._name}` may say {_SUPPORTED}. Received: {shown(node.sql())} in "
            f"{shown(self._text)}"
        )


def _number(text: str) -> int | float | None:
    """Returns a number; `None` for what is none (`1e`)."""
    try:
        number = float(text)
    except ValueError:
        return None
    return int(text) if text.isdecimal() and number < _LARGEST_INTEGER else number
