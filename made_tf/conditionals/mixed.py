"""Columns of different families side by side, in any order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from made_tf.conditionals.base import FAMILIES, Conditionals, as_float32, register
from made_tf.conditionals.layout import Layout, Segments
from made_tf.portable.arrays import IntArray
from made_tf.portable.rows import finite_table

__all__ = ["Mixed"]

_NO_LOGIT = -1e9  # of a class that a column does not have


@dataclasses.dataclass(frozen=True, eq=False)
class _Group:
    """Columns that are computed at once.

    Attributes:
        family: their family.
        columns: which they are; `None` where that is not known beforehand, and the family then is
            that of all columns, of which those count that `is_own` says.
        is_own: `[k]` or `[n, k]`, 1 where a column is of this group.
        typical: a value that each column can take; of tensors' columns one that the first can.
    """

    family: Conditionals
    columns: Any = None
    is_own: Any = None
    typical: Any = None


@register
class Mixed(Conditionals):
    """A family for each column: any of them, in any order.

    Columns of one family and like arguments are computed at once, however they are interleaved.
    `MADE(conditionals=[...])` makes one of a list.

    Args:
        families: a family for each column, not bound or bound to one column.

    Raises:
        ValueError: if an entry is no family, or one of several columns.

    Example:
        >>> from made_tf import Bernoulli, Categorical, Mixed, NormalMixture
        >>> family = Mixed([NormalMixture(), Categorical(3), Bernoulli(), NormalMixture()])
        >>> family.bind(4).layout.features.sizes
        array([1, 3, 1, 1])
    """

    name = "mixed"

    def __init__(self, families):
        families = [
            keras.saving.deserialize_keras_object(family) if isinstance(family, dict) else family
            for family in families
        ]
        for column, family in enumerate(families):
            if not isinstance(family, Conditionals):
                raise ValueError(
                    "`families` must have a Conditionals for each column. "
                    f"Received: {family!r} for column {column}"
                )
        self.families = families
        self._groups: list[_Group] = []

    # What it knows of its columns.

    def bind(self, event_size):
        if len(self.families) != event_size:
            raise ValueError(
                f"`conditionals` must have one family for each of {event_size} columns. "
                f"Received: {len(self.families)}"
            )
        is_new = self._layout is None
        bound = super().bind(event_size)
        if is_new:
            bound.families = [family.bind(1) for family in self.families]
            bound._set_groups(_grouped(bound.families))
        return bound

    def _set_groups(self, groups: list[_Group]) -> None:
        self._groups = groups
        # Of each column its group, and its place in there.
        self._group_of, self._place = np.zeros((2, self.event_size), np.int32)
        for number, group in enumerate(groups):
            self._group_of[group.columns] = number
            self._place[group.columns] = np.arange(len(group.columns))

    @property
    def support(self):  # type: ignore[override]
        return "values that the family of their column can take"

    def make_layout(self, event_size):
        layouts = [family.bind(1).layout for family in self.families]
        return Layout.of_sizes(
            [int(layout.features.total) for layout in layouts],
            [int(layout.parameters.total) for layout in layouts],
        )

    @property
    def is_discrete(self):
        return self._of_columns(lambda family: family.is_discrete, bool)

    @property
    def settles_late(self):
        # Normal columns alone keep the blocks that they had before others came beside them.
        return self._of_columns(lambda family: family.settles_late | ~family.is_discrete, bool)

    @property
    def channels(self):
        return self._of_columns(lambda family: family.channels, np.int64)

    @property
    def has_temperature(self):  # type: ignore[override]
        return all(family.has_temperature for family in self.families)

    def states(self):
        states: list = [None] * self.event_size
        for group in self._groups:
            for column, values in zip(group.columns, group.family.states(), strict=True):
                states[column] = values
        return states

    def select(self, columns):
        selected = super().select(columns)
        if isinstance(columns, np.ndarray):
            group_of = self._group_of[columns]
            owned = [np.flatnonzero(group_of == number) for number in range(len(self._groups))]
            groups = [
                _Group(group.family.select(places), own, typical=group.typical[places])
                for group, own in zip(self._groups, owned, strict=True)
                if len(places := self._place[columns[own]])
            ]
            selected._set_groups(groups)
            selected.families = [self.families[column] for column in columns]
        else:
            group_of, place = (
                ops.take(table, columns, axis=0) for table in (self._group_of, self._place)
            )
            selected._groups = []
            for number, group in enumerate(self._groups):
                is_own = ops.equal(group_of, number)
                # Columns of other groups are taken for the first of this one, and left out after.
                family = group.family.select(ops.where(is_own, place, 0))
                selected._groups.append(_Group(family, None, is_own, group.typical[0]))
        return selected

    # What it computes.

    def encode(self, x):
        parts = [
            group.family.encode(x if group.columns is None else _take(x, group.columns))
            for group in self._groups
        ]
        if self._groups[0].columns is not None:
            return _in_order(parts, self._entries(self.layout.features))
        size = self.layout.features.largest
        total = 0.0
        for group, part in zip(self._groups, parts, strict=True):
            own = ops.reshape(part, (-1, self.event_size, part.shape[-1] // self.event_size))
            own = ops.pad(own, ((0, 0), (0, 0), (0, size - own.shape[-1])))
            total = total + ops.where(ops.expand_dims(group.is_own, -1), own, 0.0)
        return ops.reshape(total, (-1, self.layout.features.total))

    def unpack(self, params):
        found: dict[str, list] = {}
        for group in self._groups:
            for name, values in group.family.unpack(self._parameters(group, params)).items():
                found.setdefault(name, []).append((group.columns, values))
        return {name: self._all_columns(name, parts) for name, parts in found.items()}

    def log_prob(self, params, x):
        params, x = as_float32(params, x)
        return self._by_group("log_prob", params, x)

    def noise(self, uniforms):
        largest = int(self.channels.max())
        # Of each uniform its column: all first ones, then the second ones, ...
        owners = np.concatenate([np.flatnonzero(self.channels > c) for c in range(largest)])
        parts = []
        for group in self._groups:
            places = [np.flatnonzero(owners == column) for column in group.columns]
            noise = group.family.noise(_take(uniforms, np.array(places).T.reshape(-1)))
            if largest > 1:
                noise = noise if len(noise.shape) == 3 else ops.expand_dims(noise, -1)
                rest = largest - noise.shape[-1]  # what no value is made from
                noise = ops.concatenate([noise, *[noise[..., :1]] * rest], axis=-1)
            parts.append(noise)
        return _in_order(parts, np.concatenate([group.columns for group in self._groups]))

    def transform(self, params, noise):
        return self._by_group("transform", params, noise)

    def transform_nearby(self, params, noise, slack):
        return tuple(
            self._by_group("transform_nearby", params, noise, slack, pick=end) for end in (0, 1)
        )

    def transform_at(self, params, noise, temperature):
        self.check_temperature()
        return self._by_group("transform_at", params, noise, temperature)

    def in_support(self, x):
        parts = [group.family.in_support(_take(x, group.columns)) for group in self._groups]
        return _in_order(parts, np.concatenate([group.columns for group in self._groups]))

    @classmethod
    def merged(cls, families):
        own = [family for mixed in families for family in mixed.families]
        return cls(own).bind(len(own))

    @classmethod
    def from_data(cls, x, families=None):
        """Returns what data `[N, D]` need, given what kind of family each column has.

        Args:
            x: rows `[N, D]`.
            families: for each column a name of `made_tf.conditionals.FAMILIES`, a class, whose
                `from_data` finds its arguments, or a family.

        Raises:
            ValueError: if `x` is no table of finite numbers, there are not D families, or a column
                does not suit its family.
        """
        x = finite_table("x", x)
        if families is None or len(families) != x.shape[1]:
            raise ValueError(
                f"`families` must have an entry for each of {x.shape[1]} columns. "
                f"Received: families={families!r}"
            )
        found = []
        for column, family in enumerate(families):
            kind = FAMILIES.get(family, family) if isinstance(family, str) else family
            values = x[:, column : column + 1]
            try:
                if isinstance(kind, type) and issubclass(kind, Conditionals):
                    kind = kind.from_data(values)
                elif isinstance(kind, Conditionals):
                    kind.bind(1).check_table(values)
            except ValueError as error:
                raise ValueError(f"Column {column}: {error}") from error
            found.append(kind)
        return cls(found).bind(x.shape[1])

    def get_config(self):
        return {
            "families": [keras.saving.serialize_keras_object(family) for family in self.families]
        }

    def _by_group(self, method: str, params, values, *arguments, pick: int | None = None):
        """Calls a method of each group: `[N, P]`, `[N, D]` or `[N, D, C]` -> `[N, D]`.

        Of several results `pick` is the one that counts.
        """
        parts = []
        for group in self._groups:
            own = values if group.columns is None else _take(values, group.columns)
            if group.columns is None and method == "log_prob":
                # Values that the group cannot have are left out, but a gradient may be NaN there.
                own = ops.where(group.is_own, values, group.typical)
            if len(values.shape) == 3:  # noise, of as many channels as the group has
                channels = int(group.family.channels.max())
                own = own[..., :channels] if channels > 1 else own[..., 0]
            found = getattr(group.family, method)(self._parameters(group, params), own, *arguments)
            parts.append(found if pick is None else found[pick])
        if self._groups[0].columns is not None:
            return _in_order(parts, np.concatenate([group.columns for group in self._groups]))
        total = parts[0]
        for group, part in zip(self._groups[1:], parts[1:], strict=True):
            total = ops.where(group.is_own, part, total)
        return total

    def _parameters(self, group: _Group, params):
        """Returns a group's parameters, `[N, P']`."""
        side = self.layout.parameters
        if group.columns is not None:
            entries = [side.starts[c] + np.arange(side.sizes[c]) for c in group.columns]
            return _take(params, np.concatenate(entries))
        own = group.family.layout.parameters
        params = ops.reshape(params, (-1, self.event_size, side.largest))
        return ops.reshape(params[..., : own.largest], (-1, own.total))

    def _entries(self, side: Segments) -> IntArray:
        """The entries of a side, group after group."""
        columns = np.concatenate([group.columns for group in self._groups])
        return np.concatenate([side.starts[c] + np.arange(side.sizes[c]) for c in columns])

    def _all_columns(self, name: str, parts: list):
        """Puts parameters of some columns, `[N, d, ...]`, in their places: `[N, D, ...]`."""
        rank = max(len(values.shape) for _, values in parts)
        shaped = []
        for _, values in parts:
            more = [1] * (rank - len(values.shape))
            shaped.append(ops.reshape(values, (-1, *values.shape[1:], *more)))
        inner = [max(values.shape[axis] for values in shaped) for axis in range(2, rank)]
        padding = _NO_LOGIT if name.endswith("logits") else 0.0
        placed = []
        for values in shaped:
            pads = [(0, size - have) for size, have in zip(inner, values.shape[2:], strict=True)]
            placed.append(ops.pad(values, ((0, 0), (0, 0), *pads), constant_values=padding))
        columns = np.concatenate([own for own, _ in parts])
        others = np.setdiff1d(np.arange(self.event_size), columns)
        if len(others):  # columns without such a parameter
            nothing = np.zeros((1, len(others), *inner), np.float32)
            placed.append(nothing + 0.0 * placed[0][:, :1])
        return _in_order(placed, np.concatenate([columns, others]))

    def _of_columns(self, of: Callable, dtype) -> Any:
        values = np.zeros(self.event_size, dtype)
        for group in self._groups:
            values[group.columns] = of(group.family)
        return values


def _grouped(families: Sequence[Conditionals]) -> list[_Group]:
    """Returns columns of bound families that are computed at once."""
    alike: dict[str, list[int]] = {}
    for column, family in enumerate(families):
        alike.setdefault(family.together_with(), []).append(column)
    groups = []
    for columns in alike.values():
        family = type(families[columns[0]]).merged([families[c] for c in columns])
        groups.append(_Group(family, np.array(columns), typical=family.typical()))
    return groups


def _take(values, columns: IntArray):
    """Takes columns of `[N, D, ...]`, unless they are all of them in their order."""
    if np.array_equal(columns, np.arange(values.shape[1])):
        return values
    return ops.take(values, columns.astype(np.int32), axis=1)


def _in_order(parts: list, columns: IntArray):
    """Puts parts side by side, `[N, d, ...]` each, and their columns into their own order."""
    joined = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=1)
    return _take(joined, np.argsort(columns))
