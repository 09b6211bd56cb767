"""Progressive sampling: how probable regions of some variables are.

Each variable is drawn from its conditional within its region, and the product of P(region | x_<k)
along the way is the draw's weight (Yang et al. 2019, arXiv:1905.04278, section 5.1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from made_tf.conditionals.regions import Region
from made_tf.portable.arrays import BoolArray, FloatArray, IntArray, Rows
from made_tf.portable.patterns import pattern_groups, pieces
from made_tf.portable.seeds import seed_pairs
from made_tf.queries.estimate import Estimate
from made_tf.queries.evidence_first import EvidenceFirst
from made_tf.queries.few_variables import FewVariables, steps_of
from made_tf.queries.regions import restricted_variables

__all__ = ["DrawSeeds", "log_prob_within"]

_MOST_ALLOWED = 2**24  # entries of `Region.allowed` at once
_MOST_WEIGHTS = 2**22  # of draws, at once
_STEPS = 8  # variables of a step that take as long as the draws of whole rows
_FIRST_DRAWS = 64  # of queries that have enough draws when their error is small


@dataclasses.dataclass(frozen=True)
class DrawSeeds:
    """Where the draws of queries come from.

    Attributes:
        seed: of all of them.
        count: how many draws a query gets, at most.
        apart: whether each query has draws of its own, so that their errors are independent.
    """

    seed: int
    count: int
    apart: bool

    def of(self, queries: Rows, draws: range) -> np.ndarray:
        """Returns the seeds of some draws of some queries, int32 `[queries * draws, 2]`."""
        numbers = np.array(draws) + (queries[:, None] * self.count if self.apart else 0)
        return seed_pairs(self.seed, np.broadcast_to(numbers, (len(queries), len(draws))).ravel())

    def rounds(self, tolerance: float) -> Iterator[range]:
        """Yields the numbers of the draws between two looks at their errors."""
        start = 0
        end = min(_FIRST_DRAWS, self.count) if tolerance else self.count
        while start < self.count:
            yield range(start, end)
            start, end = end, min(2 * end, self.count)


@dataclasses.dataclass(frozen=True)
class _Draws:
    """The weighted draws of queries, whichever way takes less time.

    Queries go forward together, a restricted variable a step, or those that restrict the same
    variables are answered by whole rows, under an order that puts these first where the model has
    one: what has to be called less often. Draws and results are the same, within rounding.
    """

    exact: EvidenceFirst
    few: FewVariables | None
    rows_at_once: int
    regions: Region
    seeds: DrawSeeds
    vectors: FloatArray | None

    def log_weights(self, queries: Rows, restricted: BoolArray, draws: range) -> FloatArray:
        """Returns the logs of the weights of some draws, `[queries, draws]`.

        Args:
            queries: their numbers, increasing.
            restricted: the variables that each of them restricts, one at least: `[queries, D]`.
            draws: their numbers.
        """
        model = self.exact.model
        if self.few is not None and model.reads_evidence:  # whose chain shows what is restricted
            steps = steps_of(model, restricted)
            return self._put_together(
                self._of_steps(self.few, queries, steps, draws), queries, draws
            )
        alike = restricted
        if model.mask_sets.is_fixed:  # under one order all are alike that go beyond its first
            beyond = model.degrees.inputs > 1
            alike = np.where((alike & beyond).any(axis=1, keepdims=True), beyond, alike)
        groups = list(pattern_groups(alike))
        parts = self._of_whole_rows(queries, groups, draws)
        if self.few is not None:
            steps = steps_of(model, restricted)
            if sum(len(np.unique(step)) for step in steps.T) <= _STEPS * len(groups):
                parts = self._of_steps(self.few, queries, steps, draws)
        return self._put_together(parts, queries, draws)

    def _put_together(self, parts, queries: Rows, draws: range) -> FloatArray:
        found = np.empty((len(queries), len(draws)), np.float32)
        for places, weights in parts:
            found[places] = weights
        return found

    def _of_steps(
        self, few: FewVariables, queries: Rows, steps: IntArray, draws: range
    ) -> Iterator[tuple[Rows, FloatArray]]:
        """Yields places in `queries` and the weights there, all going forward together."""
        for part in pieces(np.arange(len(queries)), max(1, few.rows_at_once // len(draws))):
            own = queries[part]
            seeds = self.seeds.of(own, draws)
            yield part, few.log_weights(seeds, self._region(own), steps[part], self._vectors(own))

    def _of_whole_rows(
        self, queries: Rows, groups: list[tuple[BoolArray, Rows]], draws: range
    ) -> Iterator[tuple[Rows, FloatArray]]:
        """Yields the same, pattern by pattern."""
        at_once = min(self.rows_at_once, _MOST_ALLOWED // self.regions.allowed[0].size)
        for pattern, places in groups:
            sets = self.exact.sets_for(pattern) or self.exact.own
            # A single variable is the first of its order, and the same for all draws.
            is_same = sets.num_sets == 1 and sets.inputs[0][pattern].tolist() == [1]
            own_draws = range(1) if is_same else draws
            count = len(own_draws)
            for part in pieces(places, max(1, at_once // count)):
                own = queries[part]
                region, vectors = self._region(own), self._vectors(own)
                if len(own) > 1:
                    region = Region(*(np.repeat(each, count, axis=0) for each in region))
                if vectors is not None:
                    vectors = np.repeat(vectors, count, axis=0)
                seeds = self.seeds.of(own, own_draws)
                weights = self.exact.draw_within(seeds, region, sets, vectors)[1]
                yield part, np.reshape(weights, [-1, count])

    def _region(self, queries: Rows) -> Region:
        return Region(*(each[queries] for each in self.regions))

    def _vectors(self, queries: Rows) -> FloatArray | None:
        return None if self.vectors is None else self.vectors[queries]


def log_prob_within(
    exact: EvidenceFirst,
    few: FewVariables | None,
    rows_at_once: int,
    regions: Region,
    seeds: DrawSeeds,
    vectors: FloatArray | None = None,
    tolerance: float = 0.0,
) -> Estimate:
    """Estimates log P(x_k in its region, for all k), `[N]`.

    Args:
        exact: what draws whole rows.
        few: what draws restricted variables alone; `None` for a model that has no such orders.
        rows_at_once: how many whole rows are drawn at once, at most.
        regions: what each query allows: `[N, D, K]`, `[N, D]` and `[N, D]`.
        seeds: of the draws.
        vectors: the encoded context of each query, `[N, W]`; `None` for a model without one.
        tolerance: a query whose standard error is not larger gets no more draws.
    """
    found = np.zeros((3, len(regions.low)))
    found[2] = seeds.count
    restricted = restricted_variables(exact.model, regions)
    draws_of = _Draws(exact, few, rows_at_once, regions, seeds, vectors)
    asked = np.flatnonzero(restricted.any(axis=1))
    # Piece by piece: the draws of all queries together may be more than the memory holds.
    for left in pieces(asked, max(1, _MOST_WEIGHTS // seeds.count)):
        weights = np.zeros((len(left), 0), np.float32)
        for draws in seeds.rounds(tolerance):
            new = draws_of.log_weights(left, restricted[left], draws)
            weights = np.concatenate([weights, new], axis=1)
            estimate = Estimate.of_weights(weights)
            found[:, left] = estimate
            goes_on = ~(estimate.standard_error <= tolerance)
            if few is None:  # whole rows that weigh the same may all have missed what counts
                goes_on |= estimate.standard_error == 0
            left, weights = left[goes_on], weights[goes_on]
            if not len(left):
                break
    return Estimate(*found)
