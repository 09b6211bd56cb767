"""Conditionals, marginals and draws for any subset of the variables.

For a model that reads evidence (`evidence_units`) every answer is exact (`beside`), and so
it is for one of all orders (`MADE(num_masks=None)`), under an order that puts what is known
first (`evidence_first`). For a fixed order that holds only where what is known is a prefix of
the order. Elsewhere the answer is estimated by importance sampling (`particles`), as are those
of models that answer all questions which are to be of the density of whole rows (`proposed`).
(To put the known values in their places and not to weight what is drawn is wrong: it ignores
what later values tell about earlier variables.)
"""

from __future__ import annotations

import warnings

import numpy as np
import tensorflow as tf

from made_tf.conditionals.regions import Region
from made_tf.masks import comes_first
from made_tf.models.made import MADE
from made_tf.networks.mask_sets import StackedSets
from made_tf.portable.arguments import fraction, integer
from made_tf.portable.arrays import BoolArray, FloatArray, Rows
from made_tf.portable.patterns import pattern_groups, pieces
from made_tf.portable.seeds import checked_seed, row_numbers, seed_pairs
from made_tf.queries.beside import EvidenceBeside
from made_tf.queries.estimate import Estimate
from made_tf.queries.evidence_first import ROWS_AT_ONCE, EvidenceFirst, with_vectors
from made_tf.queries.few_variables import FewVariables
from made_tf.queries.many_patterns import ManyPatterns
from made_tf.queries.particles import Particles
from made_tf.queries.progressive import DrawSeeds, log_prob_within
from made_tf.queries.proposed import ProposedParticles, whole_of
from made_tf.queries.questions import Questions

__all__ = ["Queries"]

_FEW_PARTICLES = 10.0  # effective ones, of which a draw is hardly one of the conditional


class Queries(Questions):
    """Answers questions about any subset of a model's variables.

    NaN stands for what is not known, or not asked for. Of a model with a context, answers need the
    rows' encoded context (`MADE.encode_context`), `vectors`.

    Args:
        model: the model; its weights are read at each call.
        num_orders: M, over how many orders that put the evidence first an
            answer is averaged; for a model of all orders.
        num_particles: L, how many draws an estimate takes (at least 2).
        block_length: as in `BlockedNetwork`.
        batch_size: as in `BlockedNetwork`.
        rows_at_once: how many rows pass through the network at once, at most;
            bounds the memory, and changes no draw.
        of_whole_rows: for a model that answers all questions: whether conditionals and marginals
            are those of its density of whole rows under its own order, estimated by `num_particles`
            draws; or another model of the same columns, whose density of whole rows counts. Regions
            (`log_prob_in`) are of whole rows that are drawn, then.

    Raises:
        ValueError: if an argument is out of range, or the model has no such choice.
    """

    def __init__(
        self,
        model: MADE,
        num_orders: int = 1,
        num_particles: int = 1000,
        block_length: int | None = None,
        batch_size: int | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
        of_whole_rows: bool | MADE = False,
    ):
        whole = whole_of(model, num_orders, of_whole_rows)
        self.model = model
        self._arguments = (
            model,
            num_orders,
            num_particles,
            block_length,
            batch_size,
            rows_at_once,
            of_whole_rows,
        )
        self._rows_at_once = integer("rows_at_once", rows_at_once)
        network = block_length, batch_size, rows_at_once
        self._exact = self._answers = (
            EvidenceBeside(model, num_orders, *network)
            if model.reads_evidence
            else EvidenceFirst(model, num_orders, *network)
        )
        self._weighted = Particles(self._exact, num_particles, rows_at_once)
        if whole is not None:
            self._answers = EvidenceFirst(whole, 1, *network, own_order=True)
            self._weighted = ProposedParticles(
                self._exact, self._answers, num_particles, rows_at_once
            )
        self._by_row: ManyPatterns | EvidenceBeside | None = None
        self._few: FewVariables | None = None
        if isinstance(self._exact, EvidenceBeside) and whole is None:
            self._by_row = self._exact
        if model.answers_all and num_orders == 1 and whole is None:
            self._few = FewVariables(model)
        if model.any_order and whole is None:
            self._by_row = ManyPatterns(model, self._exact.sets, *network)

    def __reduce__(self):
        return type(self), self._arguments  # what it has traced is made again

    @property
    def whole(self) -> MADE:
        """Whose density of whole rows estimates are of."""
        return self._answers.model

    @property
    def evidence_is_beside(self) -> bool:
        """Whether answers are of a model that reads evidence, and not of its whole rows."""
        return isinstance(self._answers, EvidenceBeside)

    @property
    def num_particles(self) -> int:
        """L, how many draws an estimate takes."""
        return self._weighted.count

    def score_rows(
        self,
        values: FloatArray,
        known: BoolArray,
        asked: BoolArray,
        seed: int = 0,
        first_row: int | Rows = 0,
        vectors: FloatArray | None = None,
    ) -> Estimate:
        """As `Questions.score_rows`."""
        values = with_vectors(self.model, values, vectors)
        numbers = row_numbers(first_row, len(values))
        parts = np.zeros((3, len(values)))
        groups = list(pattern_groups(np.concatenate([known, asked], axis=1)))
        if self._by_row is not None:
            rows, groups = self._by_row.taken_from(groups)
            if len(rows):
                log_prob = self._by_row.log_prob_by_row(values[rows], known[rows], asked[rows])
                parts[:, rows] = Estimate.exact(log_prob)
        for pattern, rows in groups:
            first, then = np.split(pattern, 2)
            parts[:, rows] = self._conditional(values[rows], first, then, seed, numbers[rows])
        return Estimate(*parts)

    def draw_rows(
        self,
        values: FloatArray,
        known: BoolArray,
        num_samples: int = 1,
        seed: int = 0,
        first_row: int | Rows = 0,
        vectors: FloatArray | None = None,
        stacklevel: int = 3,
    ) -> FloatArray:
        """As `Questions.draw_rows`."""
        num_samples = integer("num_samples", num_samples)
        seed = checked_seed(seed)
        numbers = row_numbers(first_row, len(values))
        size = values.shape[1]
        values = with_vectors(self.model, values, vectors)
        drawn = np.broadcast_to(values, (num_samples, *values.shape)).copy()
        flat = drawn.reshape(-1, values.shape[1])
        repetitions = np.arange(num_samples)[:, None] * len(values)
        smallest = np.inf
        groups = [group for group in pattern_groups(known) if not group[0].all()]
        if self._by_row is not None:
            rows, groups = self._by_row.taken_from(groups)
            if len(rows):
                places = (repetitions + rows).reshape(-1)  # in `flat`
                seeds = seed_pairs(seed, (repetitions + numbers[rows]).reshape(-1))
                rows = np.tile(rows, num_samples)
                flat[places, :size] = self._by_row.draw_by_row(seeds, known[rows], values[rows])
        for pattern, rows in groups:
            sets = self.sets_for(pattern)
            if sets is None:
                drawn[:, rows, :size], effective = self._weighted.resample(
                    values[rows], pattern, num_samples, seed, numbers[rows]
                )
                smallest = min(smallest, effective)
                continue
            seeds = seed_pairs(seed, (repetitions + numbers[rows]).reshape(-1))
            places = (repetitions + rows).reshape(-1)
            for part, own in zip(
                *(pieces(each, self._rows_at_once) for each in (places, seeds)), strict=True
            ):
                flat[part, :size] = self.draw(own, pattern, flat[part], sets)[0]
        if smallest < _FEW_PARTICLES:
            warnings.warn(
                f"Of {self.num_particles} weighted draws only {smallest:.1f} count (the effective "
                "sample size of the worst row): more `num_particles`, or a model of all orders "
                "(num_masks=None), which needs none.",
                stacklevel=stacklevel,
            )
        return drawn[..., :size]

    def log_prob_within(
        self,
        regions: Region,
        num_samples: int,
        seed: int,
        vectors: FloatArray | None = None,
        apart: bool = False,
        tolerance: float = 0.0,
    ) -> Estimate:
        """As `Questions.log_prob_within`."""
        num_samples = integer("num_samples", num_samples, 2)
        tolerance = fraction("tolerance", tolerance)
        seeds = DrawSeeds(checked_seed(seed), num_samples, apart)
        network = self._answers, self._few, self._rows_at_once
        return log_prob_within(*network, regions, seeds, vectors, tolerance)

    # For rows of one pattern, on tensors: what a distribution is made of.

    def sets_for(self, *known: BoolArray) -> StackedSets | None:
        """Returns mask sets that give an exact answer, as `EvidenceFirst.sets_for`."""
        return self._answers.sets_for(*known)

    def log_prob_under(self, x, asked: BoolArray, sets: StackedSets):
        """Returns exact log-probabilities `[N]`, as `EvidenceFirst.log_prob_under`."""
        return self._answers.log_prob_under(x, asked, sets)

    def draw(self, seeds, known: BoolArray, values, sets: StackedSets):
        """Draws rows `[n, D]` and their log-weights `[n]`, as `EvidenceFirst.draw`."""
        return self._answers.draw(seeds, known, values, sets)

    def particles(self, values, known: BoolArray, seeds, sets: StackedSets | None = None):
        """Draws rows `[N, L, D]` and their log-weights `[N, L]`, as `Particles.draw`."""
        return self._weighted.draw(values, known, seeds, sets)

    def evidence_log_prob(self, values, known: BoolArray, numbers: Rows, seed: int = 0):
        """Returns log p of the known values, inside traced functions: a tensor `[N]`.

        Exact where an order allows it, else as `Particles.log_prob_in_graph` of the seed.
        """
        sets = self.sets_for(known)
        if not known.any():
            return tf.zeros(len(numbers))
        if sets is not None:
            return self.log_prob_under(values, known, sets)
        return self._weighted.log_prob_in_graph(values, known, numbers, seed)

    def log_marginal_of(
        self,
        values: FloatArray,
        known: BoolArray,
        seed: int,
        numbers: Rows,
        sets: StackedSets | None = None,
    ) -> Estimate:
        """Returns log p of the known values `[N, D]`, exactly where an order allows it.

        Args:
            values: the known values.
            known: where they are, `[D]`.
            seed: of the draws.
            numbers: the rows' numbers in the call; each has draws of its own.
            sets: the one mask set to answer under; by default one that allows
                an exact answer, if there is one.
        """
        if not known.any():
            return Estimate.exact(np.zeros(len(values)))
        if sets is None:
            sets = self.sets_for(known)
        if sets is not None and all(comes_first(order, known) for order in sets.inputs):
            return Estimate.exact(self._answers.log_prob(values, known, sets))
        return self._weighted.log_prob(values, known, seed, numbers, sets)

    def _conditional(
        self, values: FloatArray, known: BoolArray, asked: BoolArray, seed: int, numbers: Rows
    ) -> Estimate:
        sets = self.sets_for(known, asked)
        if sets is not None:
            return Estimate.exact(self._answers.log_prob(values, asked, sets))
        # Both parts under one order: p / q of two models is no conditional.
        sets = self.sets_for(known) or self.sets_for(known | asked) or self._answers.own
        joint = self.log_marginal_of(values, known | asked, seed, numbers, sets)
        evidence = self.log_marginal_of(values, known, seed + 1, numbers, sets)
        return Estimate(
            joint.log_prob - evidence.log_prob,
            np.hypot(joint.standard_error, evidence.standard_error),
            np.minimum(joint.effective_sample_size, evidence.effective_sample_size),
        )
