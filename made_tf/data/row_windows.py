"""`RowWindows`: which row groups are in memory together, and in which order their rows come."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RowWindows"]


class RowWindows:
    """The order of all rows in each pass, as a function of the seed and the number of the pass.

    The groups are put into a random order and cut into windows of as many as there is room for; the
    rows of a window are shuffled.

    Args:
        sizes: how many rows each group has, `[G]`.
        room: how many rows there may be in memory.
        seed: of the order.
    """

    def __init__(self, sizes: npt.NDArray, room: int, seed: int):
        self.sizes, self.room, self.seed = sizes, room, seed
        self._pass: int | None = None
        self._order: tuple[Any, npt.NDArray] = (None, np.empty(0, np.uint32))

    def at(self, number: int, row: int) -> tuple[tuple[int, ...], int, npt.NDArray]:
        """Returns the window that a row of a pass lies in.

        Args:
            number: of the pass.
            row: its place in the pass.

        Returns:
            The groups, in ascending order; the place of the window's first row; for each place in
            the window the number of its row among those of the groups.
        """
        if self._pass != number:
            self._pass, self._cut = number, self._windows_of(number)
        window = int(np.searchsorted([begin for _, begin in self._cut], row, side="right")) - 1
        groups, begin = self._cut[window]
        if self._order[0] != (number, window):
            rows = np.arange(self.sizes[list(groups)].sum(), dtype=np.uint32)
            np.random.default_rng([self.seed, number, 1 + window]).shuffle(rows)
            self._order = (number, window), rows
        return groups, begin, self._order[1]

    def _windows_of(self, number: int) -> list[tuple[tuple[int, ...], int]]:
        order = np.random.default_rng([self.seed, number]).permutation(len(self.sizes))
        found: list[tuple[tuple[int, ...], int]] = []
        groups: list[int] = []
        rows, begin = 0, 0
        for group in order.tolist():
            if groups and rows + self.sizes[group] > self.room:
                found.append((tuple(sorted(groups)), begin))
                begin, groups, rows = begin + rows, [], 0
            groups.append(group)
            rows += int(self.sizes[group])
        return [*found, (tuple(sorted(groups)), begin)]
