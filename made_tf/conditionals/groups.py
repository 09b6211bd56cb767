"""Columns of one family that stand anywhere among others, computed at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from made_tf.conditionals.base import Conditionals
from made_tf.conditionals.classes import IMPOSSIBLE
from made_tf.conditionals.regions import Region
from made_tf.portable.arrays import IntArray

__all__ = ["Group", "all_columns", "grouped", "in_order", "take"]


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
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

    def own(self, region: Region) -> Region:
        """Returns what the group's columns may be, of a region of all columns."""
        return region if self.columns is None else region.map(lambda part: take(part, self.columns))


def grouped(families: Sequence[Conditionals]) -> list[Group]:
    """Returns columns of bound families that are computed at once."""
    alike: dict[str, list[int]] = {}
    for column, family in enumerate(families):
        alike.setdefault(family.together_with(), []).append(column)
    groups = []
    for columns in alike.values():
        family = type(families[columns[0]]).merged([families[c] for c in columns])
        groups.append(Group(family, np.array(columns), typical=family.typical()))
    return groups


def take(values, columns: IntArray):
    """Takes columns of `[N, D, ...]`; a slice is far less to trace and to differentiate."""
    count = len(columns)
    first = int(columns[0]) if count else 0
    if np.array_equal(columns, np.arange(first, first + count)):
        return values if count == values.shape[1] else values[:, first : first + count]
    return ops.take(values, columns.astype(np.int32), axis=1)


def in_order(parts: list, columns: IntArray):
    """Puts parts side by side, `[N, d, ...]` each, and their columns into their own order."""
    joined = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=1)
    return take(joined, np.argsort(columns))


def all_columns(name: str, parts: list, event_size: int):
    """Puts parameters of some columns, `[N, d, ...]`, in their places: `[N, D, ...]`.

    Args:
        name: the parameters' name: what is none is 0, or of logits impossible.
        parts: (columns, values).
        event_size: D.
    """
    rank = max(len(values.shape) for _, values in parts)
    shaped = []
    for _, values in parts:
        more = [1] * (rank - len(values.shape))
        shaped.append(ops.reshape(values, (-1, *values.shape[1:], *more)))
    inner = [max(values.shape[axis] for values in shaped) for axis in range(2, rank)]
    padding = IMPOSSIBLE if name.endswith("logits") else 0.0
    placed = []
    for values in shaped:
        pads = [(0, size - have) for size, have in zip(inner, values.shape[2:], strict=True)]
        placed.append(ops.pad(values, ((0, 0), (0, 0), *pads), constant_values=padding))
    columns = np.concatenate([own for own, _ in parts])
    others = np.setdiff1d(np.arange(event_size), columns)
    if len(others):  # columns without such a parameter
        nothing = np.zeros((1, len(others), *inner), np.float32)
        placed.append(nothing + 0.0 * placed[0][:, :1])
    return in_order(placed, np.concatenate([columns, others]))
