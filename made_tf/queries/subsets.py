"""Conditionals, marginals and draws for any subset of the variables.

For a model of all orders (`MADE(num_masks=None)`) every answer is exact under an
order that puts what is known first: its conditionals then are p(x_k | known, ...).
For a fixed order that holds only where what is known is a prefix of the order.
Elsewhere the answer is estimated by importance sampling: rows are drawn with the
known values in their places, and weighted by how probable these were there. (To
draw so and not to weight is wrong: it ignores what later values tell about
earlier variables.)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.conditionals.row_checks import check_partial_rows
from made_tf.masks import comes_first, evidence_first
from made_tf.models.made import MADE
from made_tf.networks.mask_sets import Sets
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import FloatArray, Rows
from made_tf.portable.patterns import pattern_groups, pieces
from made_tf.portable.seeds import seed_pairs
from made_tf.queries.estimate import Estimate
from made_tf.queries.many_patterns import ManyPatterns, lonely_rows
from made_tf.queries.particles import pick
from made_tf.queries.value_sets import Values, allowed_sets
from made_tf.sampling import random
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.sampling.known import KnownSets, KnownValues
from made_tf.sampling.order_mixture import choose_set, each_row_by_its_set

__all__ = ["BoolArray", "Queries"]

_ROWS = 4096  # drawn at once
_FEW = 10.0  # effective particles, below which a draw is hardly one of the conditional

BoolArray = npt.NDArray[np.bool_]


class Queries:
    """Answers questions about any subset of a model's variables.

    Args:
        model: the model; its weights are read at each call.
        num_orders: M, over how many orders that put the evidence first an
            answer is averaged; for a model of all orders.
        num_particles: L, how many draws an estimate takes (at least 2).
        block_length: as in `BlockedNetwork`.
        batch_size: as in `BlockedNetwork`.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        model: MADE,
        num_orders: int = 1,
        num_particles: int = 1000,
        block_length: int | None = None,
        batch_size: int | None = None,
    ):
        self.model = model
        self.num_particles = integer("num_particles", num_particles, 2)
        self._several = not model.mask_sets.is_fixed
        self._sets = model.mask_sets.first(num_orders)
        if not model.any_order and self._several:
            self._sets = model.mask_sets.first(model.mask_sets.num_masks or num_orders)
        self._network = BlockedNetwork(model, block_length, batch_size, any_mask=self._several)
        size, units = model.event_size, [level.shape[1] for level in self._sets]
        rows = tf.TensorSpec([None, size], tf.float32)
        tables = [tf.TensorSpec([None, count], tf.int32) for count in units]
        seeds = tf.TensorSpec([None, 2], tf.int32)
        self._terms = tf.function(self._make_terms, [rows, tables], autograph=False)
        self._draws = tf.function(self._make_draws, [seeds, rows, rows, tables], autograph=False)
        allowed = tf.TensorSpec([None, size, None], tf.float32)
        self._draws_within = tf.function(
            self._make_draws_within, [seeds, allowed, tables], autograph=False
        )
        self._many: ManyPatterns | None = None
        if model.any_order and not model.mask_weights:
            self._many = ManyPatterns(model, self._sets, block_length, batch_size)

    # What is asked, in NumPy: NaN stands for what is not known, or not asked for.

    def log_marginal(self, x: npt.ArrayLike, seed: int = 0) -> Estimate:
        """Returns log p of the values that are not NaN, `[N, D]` -> `[N]`."""
        nothing = np.full(np.shape(x), np.nan, np.float32)
        return self.conditional_log_prob(x, nothing, seed)

    def conditional_log_prob(
        self, x: npt.ArrayLike, evidence: npt.ArrayLike, seed: int = 0
    ) -> Estimate:
        """Returns log p(x_A | x_B), x_A and x_B being what is not NaN: `[N, D]` twice -> `[N]`."""
        x, asked = self.partial_rows("x", x)
        values, known = self.partial_rows("evidence", evidence)
        seed = integer("seed", seed, -(2**31), 2**31)
        if x.shape != values.shape:
            raise ValueError(
                "`x` and `evidence` must have equal shapes. Received: "
                f"x.shape={x.shape}, evidence.shape={values.shape}"
            )
        if (asked & known).any():
            row, column = np.argwhere(asked & known)[0]
            raise ValueError(
                "`x` must be NaN where `evidence` is known. Received: values in both of row "
                f"{row}, variable {column}"
            )
        values = np.where(known, values, x)
        parts = np.zeros((3, len(x)))
        groups = list(pattern_groups(np.concatenate([known, asked], axis=1)))
        if self._many is not None and len(lonely := lonely_rows(groups)):
            log_prob = self._many.log_prob(values[lonely], known[lonely], asked[lonely])
            parts[:, lonely] = Estimate.exact(log_prob)
            groups = _without(groups, lonely)
        for pattern, rows in groups:
            first, then = np.split(pattern, 2)
            parts[:, rows] = self._conditional(values[rows], first, then, seed, rows)
        return Estimate(*parts)

    def sample_conditional(
        self, evidence: npt.ArrayLike, num_samples: int = 1, seed: int = 0, first_row: int = 0
    ) -> FloatArray:
        """Draws whole rows that agree with the evidence: `[N, D]` -> `[num_samples, N, D]`."""
        first_row = integer("first_row", first_row, 0)
        values, known = self.partial_rows("evidence", evidence)
        count = integer("num_samples", num_samples)
        seed = integer("seed", seed, -(2**31), 2**31)
        rows = np.broadcast_to(values, (count, *values.shape)).copy()
        flat = rows.reshape(-1, values.shape[1])
        worst = np.inf
        groups = [(pattern, found) for pattern, found in pattern_groups(known) if not pattern.all()]
        if self._many is not None and len(lonely := lonely_rows(groups)):
            own = (np.arange(count)[:, None] * len(values) + lonely).reshape(-1)
            evidence = np.tile(lonely, count)
            flat[own] = self._many.draw(
                seed_pairs(seed, own + first_row), known[evidence], values[evidence]
            )
            groups = _without(groups, lonely)
        for pattern, found in groups:
            sets = self.sets_for(pattern)
            if sets is None:
                numbers = found + first_row
                drawn, size = self._resampled(values[found], pattern, count, seed, numbers)
                rows[:, found] = drawn
                worst = min(worst, size)
                continue
            own = (np.arange(count)[:, None] * len(values) + found).reshape(-1)
            for part in pieces(own, _ROWS):
                flat[part] = self.draw(
                    seed_pairs(seed, part + first_row), pattern, flat[part], sets
                )[0]
        if worst < _FEW:
            warnings.warn(
                f"Of {self.num_particles} weighted draws only {worst:.1f} count (the effective "
                "sample size of the worst row): more `num_particles`, or a model of all orders "
                "(num_masks=None), which needs none.",
                stacklevel=3,
            )
        return rows

    def log_prob_in(self, allowed: npt.ArrayLike | Values, num_samples: int = 1000, seed: int = 0):
        """Estimates the log of P(x_k in its set, for all k) by progressive sampling.

        Each variable is drawn from its conditional within its set, and the
        product of P(set | x_<k) along the way is the draw's weight.

        Args:
            allowed: `[N, D, K]`, 1 for the values 0..K-1 that a query allows
                and 0 for the others; K is the largest number of states. Or a
                list of N mappings, as `allowed_sets` takes.
            num_samples: how many draws each query gets, at least 2.
            seed: a 32-bit integer.

        Returns:
            An `Estimate`, `[N]`.

        References:
            Yang et al. 2019, Deep Unsupervised Cardinality Estimation,
            arXiv:1905.04278, section 5.1.
        """
        size = self.model.event_size
        states = [len(values) for values in self.model.conditionals.states(size)]
        allowed = self._written_down(allowed)
        if allowed.ndim != 3 or not len(allowed) or allowed.shape[1:] != (size, max(states)):
            raise ValueError(
                f"`allowed` must have the shape [queries, {size}, {max(states)}]. "
                f"Received: allowed.shape={allowed.shape}"
            )
        if not np.isin(allowed, (0, 1)).all():
            raise ValueError("`allowed` must hold 0 and 1 alone. Received: other values")
        num_samples = integer("num_samples", num_samples, 2)
        seed = integer("seed", seed, -(2**31), 2**31)
        exists = np.arange(max(states)) < np.array(states)[:, None]
        restricted = (exists & (allowed == 0)).any(axis=2)  # [N, D]
        seeds = seed_pairs(seed, np.arange(num_samples))
        parts = []
        for sets_of_values, asked in zip(allowed, restricted, strict=True):
            sets = self.sets_for(asked)
            if sets is None:
                sets = [level[:1] for level in self._sets]
            log_weights = self._draws_within(seeds, sets_of_values[None], self._tables(sets))[1]
            parts.append(Estimate.of_weights(log_weights[None]))
        return Estimate(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    # How it is answered.

    def sets_for(self, *known: BoolArray) -> Sets | None:
        """Returns mask sets in which the known variables come first; `None` if there are none."""
        if self.model.any_order:
            orders = np.stack([evidence_first(order, *known) for order in self._sets[0]])
            return [orders, *self._sets[1:]]
        for number, order in enumerate(self._sets[0]):
            if comes_first(order, *known):
                return [level[number : number + 1] for level in self._sets]
        return None

    def log_prob_under(self, x, asked: BoolArray, sets: Sets):
        """Averages p(x_asked | those before) over sets that put these first: `[N, D]` -> `[N]`."""
        terms = self._terms(x, self._tables(sets))  # [M, N, D]
        log_probs = tf.reduce_sum(tf.boolean_mask(terms, asked, axis=2), axis=2)
        return tf.reduce_logsumexp(log_probs, axis=0) - np.log(len(sets[0])).astype(np.float32)

    def draw(self, seeds, known: BoolArray, values, sets: Sets):
        """Draws rows with known values in their places: rows `[n, D]`, log-weights `[n]`."""
        observed = known[None].astype(np.float32)
        return self._draws(seeds, observed, values, self._tables(sets))

    def particles(self, values, known: BoolArray, seeds, sets: Sets | None = None):
        """Draws L rows for each evidence `[N, D]`: rows `[N, L, D]`, log-weights `[N, L]`.

        Args:
            values: the evidence.
            known: where it is known, `[D]`.
            seeds: int32 `[N L, 2]`.
            sets: under which mask set; the model's own by default.
        """
        count, size = self.num_particles, self.model.event_size
        sets = sets or [level[:1] for level in self._sets]
        rows, log_weights = self.draw(seeds, known, tf.repeat(values, count, axis=0), sets)
        return tf.reshape(rows, [-1, count, size]), tf.reshape(log_weights, [-1, count])

    def log_marginal_of(
        self,
        values: FloatArray,
        known: BoolArray,
        seed: int,
        numbers: Rows,
        sets: Sets | None = None,
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
        if sets is not None and all(comes_first(order, known) for order in sets[0]):
            return Estimate.exact(self._under(values, known, sets))
        draws = self._particles(values, known, seed, numbers, sets)
        return Estimate.of_weights(np.concatenate([weights.numpy() for _, weights in draws]))

    def evidence_log_prob(self, values: FloatArray, known: BoolArray, numbers: Rows):
        """As the `log_prob` of `log_marginal_of` by draws of seed 0, for graphs: a tensor `[N]`."""
        parts = [
            tf.reduce_logsumexp(log_weights, axis=1) - np.log(np.float32(self.num_particles))
            for _, log_weights in self._particles(values, known, 0, numbers)
        ]
        return tf.concat(parts, axis=0)

    def _conditional(
        self, values: FloatArray, known: BoolArray, asked: BoolArray, seed: int, numbers: Rows
    ) -> Estimate:
        sets = self.sets_for(known, asked)
        if sets is not None:
            return Estimate.exact(self._under(values, asked, sets))
        # Both parts under one order: p / q of two models is no conditional.
        sets = self.sets_for(known) or self.sets_for(known | asked)
        sets = sets or [level[:1] for level in self._sets]
        joint = self.log_marginal_of(values, known | asked, seed, numbers, sets)
        evidence = self.log_marginal_of(values, known, seed + 1, numbers, sets)
        return Estimate(
            joint.log_prob - evidence.log_prob,
            np.hypot(joint.standard_error, evidence.standard_error),
            np.minimum(joint.effective_sample_size, evidence.effective_sample_size),
        )

    def _under(self, values: FloatArray, asked: BoolArray, sets: Sets) -> FloatArray:
        rows = max(1, _ROWS // len(sets[0]))
        parts = [self.log_prob_under(part, asked, sets).numpy() for part in pieces(values, rows)]
        return np.concatenate(parts)

    def _particles(
        self,
        values: FloatArray,
        known: BoolArray,
        seed: int,
        numbers: Rows,
        sets: Sets | None = None,
    ) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Yields `particles` for some rows at a time; row `numbers[i]` has draws of its own."""
        rows = max(1, _ROWS // self.num_particles)
        for part in pieces(np.arange(len(values)), rows):
            draws = (
                numbers[part][:, None] * self.num_particles + np.arange(self.num_particles)
            ).reshape(-1)
            yield self.particles(values[part], known, seed_pairs(seed, draws), sets)

    def _resampled(
        self, values: FloatArray, known: BoolArray, count: int, seed: int, numbers: Rows
    ) -> tuple[FloatArray, float]:
        """Draws from the particles by their weights: `[count, N, D]`, the worst effective size."""
        picks = random.row_seeds(tf.constant([seed, 1], tf.int32), int(numbers.max()) + 1)
        picks = random.uniforms(tf.gather(picks, numbers), count).numpy()  # [N, count]
        chosen, sizes, start = [], [], 0
        for rows, log_weights in self._particles(values, known, seed, numbers):
            index = pick(log_weights, picks[start : start + len(rows)])
            start += len(rows)
            chosen.append(np.take_along_axis(rows.numpy(), np.asarray(index)[:, :, None], axis=1))
            sizes.append(Estimate.of_weights(log_weights).effective_sample_size)
        return np.concatenate(chosen).swapaxes(0, 1), float(np.min(np.concatenate(sizes)))

    def partial_rows(self, name: str, x: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
        """Returns values `[N, D]`, 0 where they are NaN, and where they are not."""
        return check_partial_rows(name, x, self.model.event_size, self.model.conditionals)

    def _tables(self, sets: Sets) -> list:
        return [tf.convert_to_tensor(level, tf.int32) for level in sets]

    # Traced once, for any number of rows and any sets.

    def _make_terms(self, x, tables):
        family = self.model.conditionals

        def terms(degrees):
            degrees = degrees if self._several else None
            return family.log_prob(self.model(x, training=False, degrees=degrees), x)

        if not self._several:
            return terms(None)[None]
        return tf.map_fn(terms, tables, fn_output_signature=tf.float32)

    def _make_draws(self, seeds, observed, values, tables):
        return self._drawn(seeds, KnownValues(observed, values), tables)

    def _written_down(self, allowed) -> FloatArray:
        if isinstance(allowed, Mapping):
            raise ValueError(
                "`allowed` must be a list of mappings or an array. Received: one mapping; "
                "write [{...}]"
            )
        if isinstance(allowed, list | tuple) and isinstance(next(iter(allowed), None), Mapping):
            return allowed_sets(self.model, allowed)
        return np.asarray(allowed, np.float32)

    def _make_draws_within(self, seeds, allowed, tables):
        return self._drawn(seeds, KnownSets(allowed), tables)

    def _drawn(self, seeds, given, tables):
        size = self.model.event_size
        uniforms = random.uniforms(seeds, size + 1)
        if not self._several:
            rows, log_weights = self._network.sample_and_log_weight(uniforms[:, :size], given)
            return tf.stop_gradient(rows), log_weights
        num_sets = tf.shape(tables[0])[0]
        index = choose_set(uniforms[:, size], num_sets)

        def draw(rows, degrees):
            some = given.map(lambda part: _rows_of(part, rows))
            own = tf.gather(uniforms[:, :size], rows)
            return self._network.sample_and_log_weight(own, some, degrees)

        like = uniforms[:, :size], uniforms[:, 0]
        rows, log_weights = each_row_by_its_set(index, tables, draw, like)
        return tf.stop_gradient(rows), log_weights


def _without(groups: list, rows: Rows) -> list:
    """Returns the groups that have none of the rows."""
    return [group for group in groups if not np.isin(group[1][0], rows)]


def _rows_of(part, rows):
    """Takes rows, of which there may be one that stands for all."""
    return tf.gather(part, tf.minimum(rows, tf.cast(tf.shape(part)[0], rows.dtype) - 1))
