"""Columns of different families side by side, in any order."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from made_tf.conditionals.base import FAMILIES, Conditionals, as_float32, register
from made_tf.conditionals.groups import Group, all_columns, grouped, in_order, take
from made_tf.conditionals.layout import Layout
from made_tf.conditionals.regions import Region
from made_tf.conditionals.suggestions import suggest
from made_tf.portable.arrays import IntArray
from made_tf.portable.rows import finite_table

__all__ = ["Mixed"]


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
    support = "values that the family of their column can take"

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
        self.has_temperature = all(family.has_temperature for family in families)
        self._groups: list[Group] = []

    # What it knows of its columns.

    def bind(self, event_size):
        if len(self.families) != event_size:
            raise ValueError(
                f"`conditionals` must have one family for each of {event_size} columns. "
                f"Received: {len(self.families)}"
            )
        if self._layout is not None:
            return self
        family = copy.copy(self)
        family.families = [each.bind(1) for each in self.families]
        bound = super(Mixed, family).bind(event_size)
        bound._set_groups(grouped(bound.families))
        return bound

    def _set_groups(self, groups: list[Group]) -> None:
        self._groups = groups
        # Of each column its group, and its place in there.
        self._group_of, self._place = np.zeros((2, self.event_size), np.int32)
        for number, group in enumerate(groups):
            self._group_of[group.columns] = number
            self._place[group.columns] = np.arange(len(group.columns))

    def refusal(self, name, column, received):
        return self.families[column].refusal(name, 0, received)

    def make_layout(self, event_size):
        del event_size
        layouts = [family.layout for family in self.families]
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

    def states(self):
        return self._of_lists(lambda family: family.states())

    def choices(self):
        return self._of_lists(lambda family: family.choices())

    def _of_lists(self, function: Callable) -> list:
        """Returns what each column has of the lists that the groups' families give."""
        entries: list = [None] * self.event_size
        for group in self._groups:
            for column, entry in zip(group.columns, function(group.family), strict=True):
                entries[column] = entry
        return entries

    @property
    def is_line(self):
        return self._of_columns(lambda family: family.is_line, bool)

    def groups(self):
        return [(group.columns, group.family) for group in self._groups]

    def select(self, columns):
        selected = super().select(columns)
        if isinstance(columns, np.ndarray):
            group_of = self._group_of[columns]
            owned = [np.flatnonzero(group_of == number) for number in range(len(self._groups))]
            groups = [
                Group(group.family.select(places), own, typical=group.typical[places])
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
                selected._groups.append(Group(family, None, is_own, group.typical[0]))
        return selected

    def inner(self):
        return {f"group_{number}": group.family for number, group in enumerate(self._groups)}

    def with_inner(self, families):
        family = copy.copy(self)
        family._groups = [
            dataclasses.replace(group, family=own)
            for group, own in zip(self._groups, families.values(), strict=True)
        ]
        return family

    # What it computes.

    def typical(self):
        if self._groups[0].columns is None:
            return super().typical()
        values = np.zeros(self.event_size, np.float32)
        for group in self._groups:  # which have drawn them already
            values[group.columns] = group.typical
        return values

    def encode(self, x):
        parts = [
            group.family.encode(x if group.columns is None else take(x, group.columns))
            for group in self._groups
        ]
        if self._groups[0].columns is not None:
            return in_order(parts, self.layout.features.entries(self._columns()))
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
        return {name: all_columns(name, parts, self.event_size) for name, parts in found.items()}

    def log_prob(self, params, x):
        params, x = as_float32(params, x)
        parts = []
        for group in self._groups:
            # Values that a group cannot have are left out, but a gradient may be NaN there.
            is_known = group.columns is not None
            own = take(x, group.columns) if is_known else ops.where(group.is_own, x, group.typical)
            parts.append(group.family.log_prob(self._parameters(group, params), own))
        return self._together(parts)

    def start(self, x):
        start = super().start(x)
        for name, (columns, family) in zip(self.inner(), self.groups(), strict=True):
            own = family.start(x[:, columns])
            start.parameters[self.layout.parameters.entries(columns)] = own.parameters
            start.weights.update({f"{name}_{each}": w for each, w in own.weights.items()})
        return start

    def noise(self, uniforms):
        by_channel = self.columns_of_uniforms()
        owners, largest = np.concatenate(by_channel), len(by_channel)
        parts = []
        for group in self._groups:
            places = [np.flatnonzero(owners == column) for column in group.columns]
            noise = group.family.noise(take(uniforms, np.array(places).T.reshape(-1)))
            if largest > 1:
                noise = noise if len(noise.shape) == 3 else ops.expand_dims(noise, -1)
                # What no value is made from.
                noise = ops.pad(noise, ((0, 0), (0, 0), (0, largest - noise.shape[-1])))
            parts.append(noise)
        return in_order(parts, self._columns())

    def transform(self, params, noise):
        return self._together(self._drawn("transform", params, noise))

    def transform_nearby(self, params, noise, slack):
        ends = self._drawn("transform_nearby", params, noise, slack)
        return tuple(self._together(parts) for parts in zip(*ends, strict=True))

    def transform_at(self, params, noise, temperature):
        self.check_temperature()
        return self._together(self._drawn("transform_at", params, noise, temperature))

    def transform_in(self, params, noise, region):
        return self._together(self._drawn("transform_in", params, noise, region=region))

    def log_prob_in(self, params, region):
        return self._together(
            [
                group.family.log_prob_in(self._parameters(group, params), group.own(region))
                for group in self._groups
            ]
        )

    def in_support(self, x):
        parts = [group.family.in_support(take(x, group.columns)) for group in self._groups]
        return in_order(parts, self._columns())

    def on_line(self, x):
        parts = [group.family.on_line(take(x, group.columns)) for group in self._groups]
        return in_order(parts, self._columns())

    @classmethod
    def merged(cls, families):
        own = [family for mixed in families for family in mixed.families]
        return cls(own).bind(len(own))

    @classmethod
    def from_data(cls, x, families=None, **options):
        """Returns what data `[N, D]` need, given what kind of family each column has.

        Args:
            x: rows `[N, D]`.
            families: for each column a name of `made_tf.conditionals.FAMILIES`, a class, whose
                `from_data` finds its arguments, or a family; `None` for what
                `made_tf.conditionals.suggest` says of its values.
            **options: none.

        Raises:
            ValueError: if `x` is no table of finite numbers, there are not D families, or a column
                does not suit its family.
        """
        x = finite_table("x", x)
        if families is not None and len(families) != x.shape[1]:
            raise ValueError(
                f"`families` must have an entry for each of {x.shape[1]} columns. "
                f"Received: families={families!r}"
            )
        return cls.of_table(x, families, **options)

    @classmethod
    def of_table(cls, x, families=None, **options):
        found = []
        for column, family in enumerate(families or map(suggest, x.T)):
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
        return cls(found, **options).bind(x.shape[1])

    def get_config(self):
        return {
            "families": [keras.saving.serialize_keras_object(family) for family in self.families]
        }

    def _drawn(self, method: str, params, noise, *arguments, region: Region | None = None) -> list:
        """Calls a method of each group: `[N, P]`, `[N, D]` or `[N, D, C]` -> what it returns."""
        parts = []
        for group in self._groups:
            own = noise if group.columns is None else take(noise, group.columns)
            if len(noise.shape) == 3:  # as many channels as the group has
                channels = int(group.family.channels.max())
                own = own[..., :channels] if channels > 1 else own[..., 0]
            call = getattr(group.family, method)
            rest = arguments if region is None else (group.own(region),)
            parts.append(call(self._parameters(group, params), own, *rest))
        return parts

    def _together(self, parts):
        """Puts what the groups gave, `[N, d]` each, into the columns' order: `[N, D]`."""
        if self._groups[0].columns is not None:
            return in_order(list(parts), self._columns())
        total, *others = parts
        for group, part in zip(self._groups[1:], others, strict=True):
            total = ops.where(group.is_own, part, total)
        return total

    def _parameters(self, group: Group, params):
        """Returns a group's parameters, `[N, P']`."""
        side = self.layout.parameters
        if group.columns is not None:
            return take(params, side.entries(group.columns))
        own = group.family.layout.parameters
        params = ops.reshape(params, (-1, self.event_size, side.largest))
        return ops.reshape(params[..., : own.largest], (-1, own.total))

    def _columns(self) -> IntArray:
        """The columns, group after group."""
        return np.concatenate([group.columns for group in self._groups])

    def _of_columns(self, of: Callable, dtype) -> Any:
        values = np.zeros(self.event_size, dtype)
        for group in self._groups:
            values[group.columns] = of(group.family)
        return values
