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
_STEPS = 8  # variables of a step that take as long as the draws of whole rows


@dataclasses.dataclass(frozen=True)
class DrawSeeds:
    """Where the draws of queries come from.

    Attributes:
        seed: of all of them.
        count: how many draws a query gets.
        apart: whether each query has draws of its own, so that their errors are independent.
    """

    seed: int
    count: int
    apart: bool

    def of(self, queries: Rows, count: int) -> np.ndarray:
        """Returns the seeds of the first draws of some queries, int32 `[queries * count, 2]`."""
        numbers = np.arange(count) + (queries[:, None] * self.count if self.apart else 0)
        return seed_pairs(self.seed, np.broadcast_to(numbers, (len(queries), count)).reshape(-1))


def log_prob_within(
    exact: EvidenceFirst,
    few: FewVariables | None,
    rows_at_once: int,
    regions: Region,
    seeds: DrawSeeds,
    vectors: FloatArray | None = None,
) -> Estimate:
    """Estimates log P(x_k in its region, for all k), `[N]`.

    Queries go forward together, a restricted variable a step, or those that restrict the same
    variables are answered by whole rows, under an order that puts these first where the model has
    one: what has to be called less often. Draws and results are the same, within rounding.

    Args:
        exact: what draws whole rows.
        few: what draws restricted variables alone; `None` for a model that has no such orders.
        rows_at_once: how many whole rows are drawn at once, at most.
        regions: what each query allows: `[N, D, K]`, `[N, D]` and `[N, D]`.
        seeds: of the draws.
        vectors: the encoded context of each query, `[N, W]`; `None` for a model without one.
    """
    found = np.zeros((3, len(regions.low)))
    found[2] = seeds.count
    restricted = restricted_variables(exact.model, regions)
    asked = np.flatnonzero(restricted.any(axis=1))
    alike = restricted[asked]
    if exact.model.mask_sets.is_fixed:  # under one order all are alike that go beyond its first
        beyond = exact.model.degrees.inputs > 1
        alike = np.where((alike & beyond).any(axis=1, keepdims=True), beyond, alike)
    groups = [(pattern, asked[own]) for pattern, own in pattern_groups(alike)]
    weights = _of_whole_rows(exact, groups, rows_at_once, regions, seeds, vectors)
    if few is not None:
        steps = steps_of(exact.model, restricted[asked])
        if sum(len(np.unique(step)) for step in steps.T) <= _STEPS * len(groups):
            weights = _of_steps(few, asked, steps, regions, seeds, vectors)
    # Piece by piece: the draws of all queries together may be more than the memory holds.
    for queries, log_weights in weights:
        found[:, queries] = Estimate.of_weights(log_weights)
    return Estimate(*found)


def _of_steps(
    few: FewVariables,
    asked: Rows,
    steps: IntArray,
    regions: Region,
    seeds: DrawSeeds,
    vectors: FloatArray | None,
) -> Iterator[tuple[Rows, FloatArray]]:
    """Yields queries and the logs of their draws' weights, `[n, L]`, all going forward together."""
    for part in pieces(np.arange(len(asked)), max(1, few.rows_at_once // seeds.count)):
        queries = asked[part]
        region = Region(*(each[queries] for each in regions))
        own_vectors = None if vectors is None else vectors[queries]
        own_seeds = seeds.of(queries, seeds.count)
        yield queries, few.log_weights(own_seeds, region, steps[part], own_vectors)


def _of_whole_rows(
    exact: EvidenceFirst,
    groups: list[tuple[BoolArray, Rows]],
    rows_at_once: int,
    regions: Region,
    seeds: DrawSeeds,
    vectors: FloatArray | None,
) -> Iterator[tuple[Rows, FloatArray]]:
    """Yields the same, pattern by pattern."""
    at_once = min(rows_at_once, _MOST_ALLOWED // regions.allowed[0].size)
    for pattern, own in groups:
        sets = exact.sets_for(pattern) or exact.own
        # A single variable is the first of its order, and the same for all draws.
        is_same = sets.num_sets == 1 and sets.inputs[0][pattern].tolist() == [1]
        count = 1 if is_same else seeds.count
        for part in pieces(own, max(1, at_once // count)):
            query = Region(*(each[part] for each in regions))
            if len(part) > 1:
                query = Region(*(np.repeat(each, count, axis=0) for each in query))
            own_vectors = None if vectors is None else np.repeat(vectors[part], count, axis=0)
            weights = exact.draw_within(seeds.of(part, count), query, sets, own_vectors)[1]
            yield part, np.broadcast_to(np.reshape(weights, [-1, count]), (len(part), seeds.count))
