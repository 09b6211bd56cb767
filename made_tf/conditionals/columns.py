"""What a family knows of the columns that it is bound to."""

from __future__ import annotations

import abc
import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf.conditionals.layout import Layout
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import BoolArray, IntArray

__all__ = ["Columns", "take_columns"]


class Columns(abc.ABC):
    """One or more columns: how many they are, what each of them is, where its numbers lie."""

    #: The family's name in `MADE(conditionals=...)`.
    name: str
    #: The constructor's arguments that have an entry for each column, or one for all.
    per_column: tuple[str, ...] = ()
    #: Attributes that are families of the same columns: they are bound and selected together.
    parts: tuple[str, ...] = ()

    _layout: Layout | None = None
    _constants: dict[str, Any] = {}  # noqa: RUF012 - never changed, only replaced
    _weights: dict[str, Any] = {}  # noqa: RUF012 - never changed, only replaced

    def bind(self, event_size: int) -> Self:
        """Returns the family of so many columns; a family that is bound stays as it is.

        Raises:
            ValueError: if it was made for, or is bound to, another number of columns.
        """
        event_size = integer("event_size", event_size)
        if self._layout is not None:
            if self.event_size != event_size:
                raise ValueError(
                    f"The family {self.name!r} must have {event_size} columns. "
                    f"Received: one that is bound to {self.event_size}"
                )
            return self
        bound = copy.copy(self)
        for part in self.parts:
            setattr(bound, part, getattr(self, part).bind(event_size))
        bound._constants = bound.make_constants(event_size)
        bound._weights = bound.make_weights(event_size, np.random.default_rng(0))
        bound._layout = bound.make_layout(event_size)
        return bound

    @property
    def layout(self) -> Layout:
        """Where each column's features and parameters lie.

        Raises:
            ValueError: if the family is not bound to columns yet.
        """
        if self._layout is None:
            raise ValueError(
                f"The family {self.name!r} must know its columns first: call `bind(event_size)`."
            )
        return self._layout

    @property
    def event_size(self) -> int:
        """The number of columns, D."""
        return self.layout.event_size

    @property
    @abc.abstractmethod
    def is_discrete(self) -> BoolArray:
        """Which columns have isolated points (a probability), not reals (a density): `[D]`."""

    @property
    def channels(self) -> IntArray:
        """How many uniforms a value of each column is made from, `[D]`.

        Of several the last one places the value, and those before choose between kinds of values,
        such as the components of a mixture.
        """
        return np.ones(self.event_size, np.int64)

    @property
    def num_uniforms(self) -> int:
        """How many uniforms a row is made from: the first of all columns, then the second, ..."""
        return int(self.channels.sum())

    def columns_of_uniforms(self) -> list[IntArray]:
        """Returns the columns that take a first uniform, those that take a second one, ..."""
        return [np.flatnonzero(self.channels > c) for c in range(int(self.channels.max()))]

    @property
    def settles_late(self) -> BoolArray:
        """Which columns' values move with every change of what is before them: `[D]`.

        It decides how the sampler cuts rows into blocks, and no value but for rounding.
        """
        return np.zeros(self.event_size, bool)

    def states(self) -> list[npt.NDArray[np.float32] | None]:
        """Returns the values that each column can take; `None` where there are infinitely many."""
        return [None] * self.event_size

    def choices(self) -> list[npt.NDArray[np.float32]]:
        """Returns the values that a set of each column is made of; none where it has no sets."""
        return [np.zeros(0, np.float32) if each is None else each for each in self.states()]

    @property
    def is_line(self) -> BoolArray:
        """Which columns have values of which intervals are made, beside their `choices`: `[D]`."""
        return np.zeros(self.event_size, bool)

    def finite_states(self) -> list[npt.NDArray[np.float32]]:
        """Returns the values that each column can take.

        Raises:
            ValueError: if a column has infinitely many.
        """
        states = [values for values in self.states() if values is not None]
        if len(states) < self.event_size:
            raise ValueError(
                "`conditionals` must be discrete for its states to be listed. "
                f"Received: {self.name}"
            )
        return states

    def groups(self) -> list[tuple[IntArray, Any]]:
        """Returns the columns that are computed at once, and the family of these."""
        return [(np.arange(self.event_size), self)]

    def select(self, columns: Any) -> Self:
        """Returns the family of these columns alone, in this order.

        Args:
            columns: indices, an array; or an int32 tensor `[k]`, or `[n, k]` for rows with columns
                of their own, where they are not known beforehand. The family of a tensor takes as
                many features and parameters for each column as the largest has.
        """
        selected = copy.copy(self)
        for part in self.parts:
            setattr(selected, part, getattr(self, part).select(columns))
        selected._layout = self.layout.select(columns)
        selected._constants = {
            name: take_columns(values, columns) for name, values in self._constants.items()
        }
        return selected

    def constant(self, name: str) -> Any:
        """Returns a number that each column has: `[D]`, or as `select` chose; `[]` if all alike.

        Raises:
            ValueError: if the family is not bound to columns yet.
        """
        if self._layout is None:
            self.layout  # noqa: B018 - which says so
        return self._constants[name]

    # What of it trains with a model.

    def inner(self) -> dict[str, Any]:
        """Returns the families that this one is made of, by a short name: its `parts`."""
        return {part: getattr(self, part) for part in self.parts}

    def with_inner(self, families: Mapping[str, Any]) -> Self:
        """Returns a copy that is made of others, by the names of `inner`."""
        changed = copy.copy(self)
        vars(changed).update(families)
        return changed

    def weights(self) -> dict[str, Any]:
        """Returns the numbers that a model trains beside its layers, by name; mostly none.

        A bound family has fixed ones to begin with, arrays; a model puts its variables there. A
        selection of columns keeps all of them.
        """
        return self._named(self._weights, lambda family: family.weights())

    def initial_weights(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float32]]:
        """Returns random weights to start from, by the names of `weights`."""
        own = self.make_weights(self.event_size, rng) if self._weights else {}
        return self._named(own, lambda family: family.initial_weights(rng))

    def _named(self, own: Mapping[str, Any], of: Callable) -> dict[str, Any]:
        named = {f"{n}_{w}": v for n, each in self.inner().items() for w, v in of(each).items()}
        return {**own, **named}

    def with_weights(self, weights: Mapping[str, Any]) -> Self:
        """Returns the family with other weights, by the names of `weights`."""
        families = {
            name: family.with_weights({w: weights[f"{name}_{w}"] for w in family.weights()})
            for name, family in self.inner().items()
        }
        changed = self.with_inner(families)
        changed._weights = {name: weights[name] for name in self._weights}
        return changed

    def weight(self, name: str) -> Any:
        """Returns one of the family's own weights: an array, a tensor or a variable."""
        return self._weights[name]

    # How columns are put together.

    def together_with(self) -> str:
        """What columns of the family must have in common to be computed at once.

        Columns of equal answers can be `merged`.
        """
        config = self.get_config()
        return json.dumps(
            [type(self).__name__, {k: v for k, v in config.items() if k not in self.per_column}]
        )

    @classmethod
    def merged(cls, families: Sequence[Self]) -> Self:
        """Returns one family of the columns of several bound ones, whose `together_with` is one."""
        config = families[0].get_config()
        for name in cls.per_column:
            if any(family.get_config()[name] is not None for family in families):
                config[name] = [value for family in families for value in family.listed(name)]
        return cls(**config).bind(sum(family.event_size for family in families))

    def listed(self, name: str) -> list:
        """Returns an argument's entries for each column: `[D]`."""
        values = self.get_config()[name]
        return values if isinstance(values, list) else [values] * self.event_size

    # What a family must say, before it is bound.

    @abc.abstractmethod
    def make_layout(self, event_size: int) -> Layout:
        """Returns the layout of so many columns.

        Raises:
            ValueError: if the family was made for another number of columns.
        """

    def make_constants(self, event_size: int) -> dict[str, Any]:
        """Returns numbers of the columns by name: float32 `[D]`, or `[]` if all are alike.

        Raises:
            ValueError: if the family was made for another number of columns.
        """
        del event_size
        return {}

    def make_weights(
        self, event_size: int, rng: np.random.Generator
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Returns what of so many columns trains with a model, by name, as it starts.

        Raises:
            ValueError: if the family was made for another number of columns.
        """
        del event_size, rng
        return {}

    def get_config(self) -> dict:
        """Returns the constructor's arguments as plain Python values."""
        return {}


def take_columns(values, columns):
    """Takes numbers of columns, `[D]` or `[]` if all are alike, by an array or a tensor."""
    if len(values.shape) == 0:
        return values
    if isinstance(values, np.ndarray) and isinstance(columns, np.ndarray):
        return values[columns]
    return ops.take(values, columns, axis=0)
