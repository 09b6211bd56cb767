"""Answers of an ensemble from those of its members.

Of p(x), the mean of the members' p_m(x), every marginal is the mean of theirs, and
p(x | e) = sum over m of w_m p_m(x | e), w_m being in proportion to p_m(e): a draw given e takes
its member by these weights, and what is unknown from that member.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.conditionals.regions import Region
from made_tf.models.ensemble import Ensemble
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import BoolArray, FloatArray, Rows
from made_tf.portable.seeds import checked_seed, row_numbers, seed_of_round, seed_pairs
from made_tf.queries.estimate import Estimate
from made_tf.queries.questions import Questions
from made_tf.queries.subsets import Queries
from made_tf.sampling import random
from made_tf.sampling.order_mixture import choose_weighted

__all__ = ["MixtureQueries"]

Vectors = Sequence[FloatArray] | None


class MixtureQueries(Questions):
    """Answers questions about any subset of an ensemble's variables.

    `vectors` are those of each member, a sequence. Members estimate from draws of their own, so
    that their errors are independent; the first one from those of the seed itself, as it would
    alone. Drawn rows are those of their member with the same seed and row number.

    Args:
        model: the ensemble.
        parts: what answers for each of its members, in turn.
    """

    def __init__(self, model: Ensemble, parts: Sequence[Queries]):
        self.model = model
        self.parts = tuple(parts)

    def score_rows(
        self,
        values: FloatArray,
        known: BoolArray,
        asked: BoolArray,
        seed: int = 0,
        first_row: int | Rows = 0,
        vectors: Vectors = None,
    ) -> Estimate:
        """As `Questions.score_rows`."""
        found = [
            part.score_rows(
                values, known, asked, seed_of_round(seed, number), first_row, _of(vectors, number)
            )
            for number, part in enumerate(self.parts)
        ]
        evidence = self._evidence(values, known, seed, first_row, vectors)
        return Estimate.of_mixture(found, evidence)

    def draw_rows(
        self,
        values: FloatArray,
        known: BoolArray,
        num_samples: int = 1,
        seed: int = 0,
        first_row: int | Rows = 0,
        vectors: Vectors = None,
        stacklevel: int = 3,
    ) -> FloatArray:
        """As `Questions.draw_rows`."""
        num_samples = integer("num_samples", num_samples)
        seed = checked_seed(seed)
        numbers = row_numbers(first_row, len(values))
        chosen = self._members(values, known, num_samples, seed, numbers, vectors)
        drawn = np.broadcast_to(values, (num_samples, *values.shape)).copy()
        for number, part in enumerate(self.parts):
            mine = chosen == number  # [num_samples, N]
            if not mine.any():
                continue
            # The seeds of several samples depend on how many rows there are: then all of them.
            rows = np.flatnonzero(mine[0]) if num_samples == 1 else np.arange(len(values))
            own = _of(vectors, number, rows)
            found = part.draw_rows(
                values[rows], known[rows], num_samples, seed, numbers[rows], own, stacklevel + 1
            )
            drawn[:, rows] = np.where(mine[:, rows, None], found, drawn[:, rows])
        return drawn

    def log_prob_within(
        self,
        regions: Region,
        num_samples: int,
        seed: int,
        vectors: Vectors = None,
        apart: bool = False,
        tolerance: float = 0.0,
    ) -> Estimate:
        """As `Questions.log_prob_within`."""
        seed = checked_seed(seed)
        found = [
            part.log_prob_within(
                regions,
                num_samples,
                seed_of_round(seed, number),
                _of(vectors, number),
                apart,
                tolerance,
            )
            for number, part in enumerate(self.parts)
        ]
        return Estimate.of_mixture(found)

    def _evidence(
        self,
        values: FloatArray,
        known: BoolArray,
        seed: int,
        first_row: int | Rows,
        vectors: Vectors,
    ) -> list[Estimate]:
        """Returns log p_m of what is known of rows, of each member m."""
        count, nothing = len(self.parts), np.zeros_like(known)
        if count == 1 or not known.any():
            return [Estimate.exact(np.zeros(len(values)))] * count
        return [
            part.score_rows(
                values,
                nothing,
                known,
                seed_of_round(seed, count + number),
                first_row,
                _of(vectors, number),
            )
            for number, part in enumerate(self.parts)
        ]

    def _members(
        self,
        values: FloatArray,
        known: BoolArray,
        num_samples: int,
        seed: int,
        numbers: Rows,
        vectors: Vectors,
    ) -> npt.NDArray[np.int32]:
        """Chooses the member of each row, `[num_samples, N]`."""
        size = values.shape[1]
        rows = np.flatnonzero(~known.all(axis=1))  # the others lack nothing
        evidence = self._evidence(
            values[rows],
            known[rows],
            seed,
            numbers[rows],
            None if vectors is None else [each[rows] for each in vectors],
        )
        log_weights = np.zeros((len(values), len(self.parts)), np.float32)
        log_weights[rows] = np.stack([each.log_prob for each in evidence], axis=1)
        places = np.arange(num_samples)[:, None] * len(values) + numbers
        seeds = tf.constant(seed_pairs(seed, places.reshape(-1)))
        uniforms = random.member_uniforms(seeds, size)  # as `EnsembleDistribution` of whole rows
        chosen = choose_weighted(np.tile(log_weights, (num_samples, 1)), uniforms)
        return chosen.numpy().reshape(num_samples, -1)


def _of(vectors: Vectors, number: int, rows: Rows | slice = slice(None)) -> FloatArray | None:
    """Returns the vectors of a member's rows; `None` for a model without a context."""
    return None if vectors is None else vectors[number][rows]
