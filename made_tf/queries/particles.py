"""Importance sampling, where no order gives an answer exactly.

Rows (particles) are drawn with the known values in their places, and weighted by
how probable these were there. The mean of the weights estimates the probability
of what is known; rows chosen in proportion to their weights are rows of the
conditional.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from made_tf.networks.mask_sets import StackedSets
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import BoolArray, FloatArray, Rows
from made_tf.portable.patterns import pieces
from made_tf.portable.seeds import seed_pairs
from made_tf.queries.estimate import Estimate
from made_tf.queries.evidence_first import ROWS_AT_ONCE, EvidenceFirst
from made_tf.sampling import random

__all__ = ["Particles", "pick"]


class Particles:
    """Weighted draws for evidence that comes anywhere in the order.

    Args:
        evidence_first: what draws the rows.
        count: L, how many draws an estimate takes (`num_particles`, at least 2).
        rows_at_once: how many rows are drawn at once, at most (but L at least).

    Raises:
        ValueError: if `count` is out of range.
    """

    def __init__(self, evidence_first: EvidenceFirst, count: int, rows_at_once: int = ROWS_AT_ONCE):
        self._evidence_first = evidence_first
        self.count = integer("num_particles", count, 2)
        self._rows_at_once = rows_at_once

    def draw(self, values, known: BoolArray, seeds, sets: StackedSets | None = None):
        """Draws L rows for each evidence `[N, D + W]`: rows `[N, L, D]`, log-weights `[N, L]`.

        Args:
            values: the evidence.
            known: where it is known, `[D]`.
            seeds: int32 `[N L, 2]`.
            sets: under which mask set; the model's own by default.
        """
        rows, log_weights = self._evidence_first.draw(
            seeds, known, tf.repeat(values, self.count, axis=0), sets or self._evidence_first.own
        )
        shape = [-1, self.count, rows.shape[1]]
        return tf.reshape(rows, shape), tf.reshape(log_weights, shape[:2])

    def log_prob(
        self,
        values: FloatArray,
        known: BoolArray,
        seed: int,
        numbers: Rows,
        sets: StackedSets | None = None,
    ) -> Estimate:
        """Estimates log p of the known values `[N, D]`: `[N]`.

        Args:
            values: the known values.
            known: where they are, `[D]`.
            seed: of the draws.
            numbers: the rows' numbers in the call; each has draws of its own.
            sets: as in `draw`.
        """
        parts = self._in_pieces(values, known, seed, numbers, sets)
        return Estimate.of_weights(np.concatenate([weights.numpy() for _, weights in parts]))

    def log_prob_in_graph(self, values, known: BoolArray, numbers: Rows, seed: int = 0):
        """As the values of `log_prob`, inside traced functions: a tensor `[N]`."""
        parts = [
            tf.reduce_logsumexp(log_weights, axis=1) - np.log(np.float32(self.count))
            for _, log_weights in self._in_pieces(values, known, seed, numbers)
        ]
        return tf.concat(parts, axis=0)

    def resample(
        self, values: FloatArray, known: BoolArray, num_samples: int, seed: int, numbers: Rows
    ) -> tuple[FloatArray, float]:
        """Draws from the particles in proportion to their weights.

        Args:
            values: the known values, `[N, D]`.
            known: where they are, `[D]`.
            num_samples: how many rows each evidence gets.
            seed: of the draws.
            numbers: as in `log_prob`.

        Returns:
            Rows `[num_samples, N, D]`, and the smallest effective sample size of
            those that they were drawn from.
        """
        picks = random.row_seeds(tf.constant([seed, 1], tf.int32), int(numbers.max()) + 1)
        picks = random.uniforms(tf.gather(picks, numbers), num_samples).numpy()  # [N, num_samples]
        chosen, sizes, start = [], [], 0
        for rows, log_weights in self._in_pieces(values, known, seed, numbers):
            index = pick(log_weights, picks[start : start + len(rows)])
            start += len(rows)
            chosen.append(np.take_along_axis(rows.numpy(), np.asarray(index)[:, :, None], axis=1))
            sizes.append(Estimate.of_weights(log_weights).effective_sample_size)
        return np.concatenate(chosen).swapaxes(0, 1), float(np.min(np.concatenate(sizes)))

    def _in_pieces(
        self,
        values: FloatArray,
        known: BoolArray,
        seed: int,
        numbers: Rows,
        sets: StackedSets | None = None,
    ) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Yields what `draw` gives for some rows at a time; row `numbers[i]` has its own seeds."""
        for part in pieces(np.arange(len(numbers)), max(1, self._rows_at_once // self.count)):
            draws = (numbers[part][:, None] * self.count + np.arange(self.count)).reshape(-1)
            yield self.draw(tf.gather(values, part), known, seed_pairs(seed, draws), sets)


def pick(log_weights, uniforms):
    """Chooses particles by their weights: `[N, L]`, `[N, count]` -> indices `[N, count]`."""
    weights = tf.exp(log_weights - tf.reduce_max(log_weights, axis=1, keepdims=True))
    sums = tf.cumsum(weights, axis=1)
    index = tf.searchsorted(sums / sums[:, -1:], uniforms, side="right")
    return tf.minimum(index, log_weights.shape[1] - 1)
