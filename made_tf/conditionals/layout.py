"""Where each column's features and parameters lie, in the network's inputs and outputs.

The network sees column k as one or more *features* and gives one or more *parameters* for it. Both
are laid out column after column. This file alone knows how: whoever needs the numbers of a column,
or the column of a number, asks here.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf.portable.arrays import IntArray

__all__ = ["Layout", "Segments"]


@dataclasses.dataclass(frozen=True, eq=False)
class Segments:
    """One side of a layout: segments of several entries, one for each column, one after the other.

    Attributes:
        sizes: how many entries each column has, `[D]`.
    """

    sizes: IntArray

    @property
    def total(self) -> int:
        """How many entries there are."""
        return int(self.sizes.sum())

    @property
    def largest(self) -> int:
        """How many entries the column with the most has."""
        return int(self.sizes.max())

    @property
    def starts(self) -> IntArray:
        """The first entry of each column, `[D]`."""
        return np.cumsum(self.sizes) - self.sizes

    @functools.cached_property
    def owners(self) -> npt.NDArray[np.int32]:
        """The column of each entry, int32 `[total]`."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes).astype(np.int32)

    @functools.cached_property
    def ranks(self) -> npt.NDArray[np.int32]:
        """The place of each entry among those of its column, from 0: int32 `[total]`."""
        return (np.arange(self.total) - np.repeat(self.starts, self.sizes)).astype(np.int32)

    @functools.cached_property
    def exists(self) -> npt.NDArray[np.bool_]:
        """Which of as many entries as the largest column has each column has, `[D, largest]`."""
        return np.arange(self.largest) < self.sizes[:, None]

    @functools.cached_property
    def table(self) -> npt.NDArray[np.int32]:
        """The entries of each column, int32 `[D, largest]`: `total` where it has less of them."""
        entries = self.starts[:, None] + np.arange(self.largest)
        return np.where(self.exists, entries, self.total).astype(np.int32)

    def entries(self, columns: IntArray) -> IntArray:
        """Returns the entries of these columns, one column after the other."""
        return np.concatenate([self.starts[c] + np.arange(self.sizes[c]) for c in columns])

    def repeat(self, values):
        """Gives each entry the value of its column: `[..., D]` -> `[..., total]`."""
        if np.all(self.sizes == 1):
            return values
        if isinstance(values, np.ndarray):
            return np.take(values, self.owners, axis=-1)
        return ops.take(values, self.owners, axis=-1)

    def spread(self, values):
        """As `repeat`, but one column `[..., 1]` stays so: what comes next broadcasts it."""
        return values if len(self.sizes) == 1 else self.repeat(values)

    def pad(self, values, padding: float = 0.0):
        """Puts the entries of each column side by side: `[n, total]` -> `[n, D, largest]`."""
        if not np.all(self.exists):
            index = np.where(self.exists, self.table, 0)
            values = ops.take(values, index.reshape(-1), axis=-1)
            rest = np.where(self.exists, 0.0, padding).reshape(-1).astype(np.float32)
            values = values * self.exists.reshape(-1).astype(np.float32) + rest
        return ops.reshape(values, (-1, len(self.sizes), self.largest))

    def select(self, columns) -> Segments:
        """Returns the segments of these columns alone, see `Layout.select`."""
        if isinstance(columns, np.ndarray):
            return Segments(self.sizes[columns])
        return Segments(np.full(columns.shape[-1], self.largest))


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """Where each column's features and parameters lie.

    Attributes:
        features: those of the network's inputs, `[F]` in all.
        parameters: those of its outputs, `[P]` in all.
    """

    features: Segments
    parameters: Segments

    @classmethod
    def of_sizes(cls, features: npt.ArrayLike, parameters: npt.ArrayLike) -> Layout:
        """Returns a layout of so many features and parameters of each column."""
        return cls(*(Segments(np.asarray(sizes, np.int64)) for sizes in (features, parameters)))

    @property
    def event_size(self) -> int:
        """The number of columns, D."""
        return len(self.features.sizes)

    def select(self, columns) -> Layout:
        """Returns the layout of some columns.

        Args:
            columns: their numbers, an array. Or an int32 tensor `[k]` or `[n, k]`, for columns that
                are not known beforehand: each then has as many entries as the largest column.
        """
        return Layout(self.features.select(columns), self.parameters.select(columns))

    def padded(self) -> Layout:
        """Returns the layout in which every column has as many entries as the largest."""
        sides = self.features, self.parameters
        return Layout(*(Segments(np.full_like(side.sizes, side.largest)) for side in sides))
