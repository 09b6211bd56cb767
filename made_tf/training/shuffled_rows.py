"""Batches whose order is a function of the seed and the epoch alone."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt

from made_tf.data.row_stream import RowStream
from made_tf.portable.digests import digest

__all__ = ["SeededEpochs", "ShuffledRows", "digest_of_rows", "shuffled"]


class ShuffledRows(keras.utils.PyDataset):
    """Batches of rows whose order is a function of (seed, epoch) alone.

    A resumed run thus sees the batches that an uninterrupted one sees.

    Args:
        x: rows `[N, D]`.
        batch_size: rows in a batch (the last one of a pass may be smaller).
        seed: seed of all shuffles.
        steps: how many batches make an epoch; `None` for one pass through the
            rows. Epochs of few batches, or of many, then follow each other in
            an endless row of passes, each shuffled anew.
    """

    def __init__(self, x: npt.NDArray, batch_size: int, seed: int = 0, steps: int | None = None):
        super().__init__()
        self.x, self.batch_size, self.seed = x, batch_size, seed
        self.in_pass = -(-len(x) // batch_size)
        self.steps = steps or self.in_pass
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Shuffles for this epoch, counted from 0."""
        self._first = epoch * self.steps
        passes = range(self._first // self.in_pass, -(-(self._first + self.steps) // self.in_pass))
        self._orders = {
            number: np.random.default_rng([self.seed, number]).permutation(len(self.x))
            for number in passes
        }

    @property
    def num_batches(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> npt.NDArray:
        number, batch = divmod(self._first + index, self.in_pass)
        rows = self._orders[number][batch * self.batch_size : (batch + 1) * self.batch_size]
        return self.x[rows]


class SeededEpochs(keras.callbacks.Callback):
    """Makes the shuffle and the dropout of an epoch a function of (seed, epoch) alone.

    Keras does not save the state of a dropout layer's generator.
    """

    def __init__(self, rows: ShuffledRows | RowStream):
        super().__init__()
        self.rows = rows

    def on_epoch_begin(self, epoch, logs=None):
        self.rows.set_epoch(epoch)
        for index, layer in enumerate(self.model.all_dropout_layers()):
            key = np.random.default_rng([self.rows.seed, epoch, index]).integers(2**31)
            layer.seed_generator.state.assign([key, 0])


def shuffled(
    x: npt.NDArray | RowStream, batch_size: int, seed: int, steps: int | None
) -> ShuffledRows | RowStream:
    """Returns rows, in memory or not, as batches: arguments as of `ShuffledRows`."""
    if isinstance(x, RowStream):
        return x.batches(batch_size, seed, steps or None)  # 0 is a pass, too
    return ShuffledRows(x, batch_size, seed, steps)


def digest_of_rows(x: npt.NDArray | RowStream, validation: npt.NDArray) -> str:
    """Returns a short digest of the rows of a run; of files it is one of their names and times."""
    if isinstance(x, RowStream):
        x = np.frombuffer(x.identity().encode(), np.uint8)
    return digest(x, validation)
