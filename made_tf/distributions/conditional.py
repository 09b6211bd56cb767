"""p(unobserved | observed) of a MADE as a `tfd.Distribution`."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.internal import parameter_properties

from made_tf.distributions.base import RowDistribution
from made_tf.distributions.marginal import WAYS, Marginal, OneVariableMoments, make_marginal
from made_tf.distributions.vectorized import call_by_rows, seeds_of_rows
from made_tf.portable.arguments import integer
from made_tf.portable.patterns import pattern_groups
from made_tf.queries.estimate import Estimate
from made_tf.queries.evidence_first import split_row, with_vectors
from made_tf.queries.one_variable import OneVariable, one_variable
from made_tf.queries.particles import pick
from made_tf.sampling import random

__all__ = ["ConditionalMADE"]


class ConditionalMADE(OneVariableMoments, RowDistribution):
    """The distribution of a MADE's unobserved variables, given the others.

    Made by `MADEDistribution.condition`. Batch shape `[...]`, that of the
    evidence `[..., D]`. Where all rows lack the same U variables, an event is
    these, `[U]`, in the order of the model's columns; where the rows lack
    different ones, an event is a whole row `[D]`, and its observed values must
    be those of the evidence (else its probability is 0).

    For a model that answers all questions, and where the evidence is a prefix of a fixed
    order, all of it is exact (`is_exact`). Else `log_prob` divides by an
    estimate of p(evidence), of which it has no gradient, and `sample` chooses
    among weighted draws by their weights, the same draws for all samples of a
    call; `evidence_log_prob` tells the standard error and the effective sample
    size. Estimates are made anew whenever they are needed, from equal
    seeds, so that they follow the model's weights.

    Args:
        queries: what answers, `made_tf.queries.Queries`.
        evidence: float `[..., D]`, NaN where nothing is known.
        validate_args: as in every `tfd.Distribution`.
        allow_nan_stats: as in every `tfd.Distribution`.
        name: the name of its operations.
        context: of a model with a context, what each row is conditioned on, of the
            evidence's batch shape.
        estimate_seed: a 32-bit integer from which estimates draw.

    Raises:
        ValueError: if the evidence has the wrong shape, values outside the support, or no
            NaN, or the context another batch shape.
    """

    def __init__(
        self,
        queries: Any,
        evidence,
        validate_args=False,
        allow_nan_stats=True,
        name="ConditionalMADE",
        context=None,
        estimate_seed=0,
    ):
        parameters = dict(locals())
        size = queries.model.event_size
        evidence = np.asarray(evidence)
        if evidence.ndim == 0 or evidence.shape[-1] != size:
            raise ValueError(
                f"`evidence` must have the shape [..., {size}]. "
                f"Received: evidence.shape={evidence.shape}"
            )
        self._queries = queries
        self._estimate_seed = estimate_seed
        self._batch = evidence.shape[:-1]
        self._condition_on(queries.model, context)
        if self._contexts is not None and self._contexts.batch_shape != list(self._batch):
            raise ValueError(
                "`context` must have the batch shape of `evidence`. Received: contexts of shape "
                f"{self._contexts.batch_shape} for evidence of {self._batch}"
            )
        self._values, self._known = queries.partial_rows("evidence", evidence.reshape(-1, size))
        self._patterns = list(pattern_groups(self._known))
        missing = ~self._known
        self._shared = len(self._patterns) == 1
        if not (missing[0].any() if self._shared else missing.any(axis=1).all()):
            raise ValueError(
                "`evidence` must leave a variable unknown (NaN) in each row. "
                "Received: a row without NaN"
            )
        self._unobserved = np.flatnonzero(missing[0]) if self._shared else np.arange(size)
        super().__init__(queries.model.conditionals, len(self._unobserved), parameters)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {
            "evidence": parameter_properties.ParameterProperties(event_ndims=1),
            "context": cls._context_property(),
        }

    @property
    def unobserved(self):
        """The variables of an event, int `[U]`, counted from 0."""
        return self._unobserved

    @property
    def is_exact(self) -> bool:
        """Whether no answer needs an estimate."""
        return bool(self.exact_rows().all())

    def exact_rows(self):
        """Returns for which of the B rows of evidence no answer needs an estimate, `[B]`."""
        found = np.zeros(len(self._values), bool)
        for known, rows in self._patterns:
            found[rows] = self._queries.sets_for(known) is not None
        return found

    def marginal(self, variable: int) -> Marginal:
        """Returns the distribution of one unobserved variable given the evidence, exactly.

        It has `mean`, `stddev`, `mode`, `entropy` and `probs` where these are exact, event shape
        `[]` and the batch shape of this distribution, as the model's weights are now.

        Args:
            variable: which one, counted from 0 among all of the model's.

        Raises:
            ValueError: if there is no such variable, or a row's evidence has it.
            NotImplementedError: if no order of the model gives it: of a fixed order only the first
                unobserved variable has a known conditional.
        """
        queries, size = self._queries, len(self._known[0])
        variable = integer("variable", variable, 0, size)
        if self._known[:, variable].any():
            raise ValueError(
                f"`variable` must be unobserved in all rows. Received: variable={variable}, which "
                f"row {int(self._known[:, variable].argmax())} has"
            )
        vectors = self._vectors()
        parts: list[OneVariable] = []
        for known, rows in self._patterns:
            own = None if vectors is None else vectors.numpy()[rows]
            try:
                parts.append(one_variable(queries, self._values[rows], known, variable, own))
            except ValueError as error:
                raise NotImplementedError(
                    f"p(x_{variable} | evidence) is in no order of this model that counts. "
                    "Fit one of all orders (num_masks=None), ask it without `of_whole_rows`, "
                    "or average over draws: `sample(n, seed)`."
                ) from error
        together = np.concatenate([each.params for each in parts], axis=1)  # [M, N, P]
        return make_marginal(parts[0].family, together[:, self._back()], self._batch)

    def _one_variable(self, what: str) -> Marginal:
        if self._shared and len(self._unobserved) == 1:
            return self.marginal(int(self._unobserved[0]))
        raise NotImplementedError(
            f"`{what}` is exact of one unobserved variable alone, and here are "
            f"{len(self._unobserved)}: {WAYS[what]}"
        )

    def evidence_log_prob(self) -> Estimate:
        """Returns log p(evidence) of each row of the batch, in nats."""
        parts = np.zeros((3, len(self._values)))
        evidence = np.asarray(with_vectors(self._queries.model, self._values, self._vectors()))
        seed = self._estimate_seed
        for known, rows in self._patterns:
            parts[:, rows] = self._queries.log_marginal_of(evidence[rows], known, seed, rows)
        return Estimate(*parts.reshape(3, *self._batch))

    def log_evidence(self):
        """Returns the log-probabilities of `evidence_log_prob` as a tensor, also in a graph."""
        if not self._patterns:  # an empty batch
            return tf.zeros(self._batch)
        vectors = self._vectors()
        parts = [
            self._pattern_log_evidence(known, numbers, vectors) for known, numbers in self._patterns
        ]
        return tf.reshape(tf.gather(tf.concat(parts, axis=0), self._back()), self._batch)

    def _pattern_log_evidence(self, known, numbers, vectors):
        evidence = self._with_context(self._values[numbers], vectors, numbers)
        return self._queries.evidence_log_prob(evidence, known, numbers, self._estimate_seed)

    def _with_context(self, values, vectors, numbers, repeated=1):
        """Returns rows `[S n, D + W]`: values with the vectors of n rows, S times over."""
        if vectors is not None:
            vectors = tf.tile(tf.gather(vectors, numbers), [repeated, 1])
        return with_vectors(self._queries.model, values, vectors)

    def _batch_shape(self):
        return tf.TensorShape(self._batch)

    def _batch_shape_tensor(self):
        return tf.constant(self._batch, tf.int32)

    def _log_prob(self, value):
        if not self._patterns:  # an empty batch
            return tf.zeros(self._log_prob_shape(self._checked_shape(value)))
        rows, vectors = self._whole_rows(value), self._vectors()
        parts = []
        for known, numbers in self._patterns:
            own = tf.reshape(tf.gather(rows, numbers, axis=1), [-1, rows.shape[-1]])
            log_prob = self._pattern_log_prob(own, known, numbers, vectors)
            parts.append(tf.reshape(log_prob, [-1, len(numbers)]))
        log_prob = tf.gather(tf.concat(parts, axis=1), self._back(), axis=1)
        if not self._shared:
            agrees = tf.reduce_all((rows == self._values) | ~self._known, axis=-1)
            log_prob = tf.where(agrees, log_prob, -np.inf)
        static = tf.broadcast_static_shape(value.shape[:-1], tf.TensorShape(self._batch))
        return tf.ensure_shape(tf.reshape(log_prob, self._log_prob_shape(value)), static)

    def _log_prob_shape(self, value):
        """The shape of the log-probabilities of values `[..., U]`."""
        return tf.broadcast_dynamic_shape(tf.shape(value)[:-1], self._batch_shape_tensor())

    def _whole_rows(self, value):
        """Puts the known values beside the unobserved ones: `[..., U]` -> `[S, B, D]`."""
        value = self._checked_shape(value)
        value = tf.broadcast_to(
            value, tf.concat([self._log_prob_shape(value), tf.shape(value)[-1:]], 0)
        )
        value = tf.reshape(value, [-1, len(self._values), self._event_size])
        if not self._shared:
            return value
        # Each column from its place among the unobserved ones, or from a column of zeros.
        zeros = tf.zeros_like(value[..., :1])
        place = np.full(len(self._known[0]), len(self._unobserved))
        place[self._unobserved] = np.arange(len(self._unobserved))
        return tf.gather(tf.concat([value, zeros], -1), place, axis=2) + self._values

    def _pattern_log_prob(self, rows, known, numbers, vectors):
        """Log-probabilities of the unobserved values of rows `[S len(numbers), D]` in a pattern."""
        model = self._queries.model
        rows = self._with_context(rows, vectors, numbers, tf.shape(rows)[0] // len(numbers))
        sets = self._queries.sets_for(known, ~known)
        if sets is not None:
            return self._queries.log_prob_under(rows, ~known, sets)
        evidence = self._pattern_log_evidence(known, numbers, vectors)
        values, own_vectors = split_row(model, rows)
        joint = self._queries.whole.statistics_given(values, own_vectors, num_orders=1).log_prob
        joint = tf.reshape(joint, [-1, len(numbers)]) - tf.stop_gradient(evidence)
        return tf.reshape(joint, [-1])

    def _sample_n(self, n, seed=None):
        count = len(self._values)
        if count == 0:  # an empty batch
            return tf.zeros([n, *self._batch, self._event_size])
        seeds = seeds_of_rows(seed, n * count)
        if tf.executing_eagerly() or not self.is_exact:
            rows = self.events_from(seeds, n)
        else:
            rows = call_by_rows(tf.function(self._flat_events, autograph=False), seeds)
        batch = self._batch_shape_tensor()
        return tf.reshape(rows, tf.concat([[n], batch, [self._event_size]], 0))

    def _flat_events(self, seeds):
        """Draws events as `events_from`: seeds `[n B, 2]` -> `[n B, U]`."""
        rows = self.events_from(seeds, tf.shape(seeds)[0] // len(self._values))
        return tf.reshape(rows, [-1, self._event_size])

    def events_from(self, seeds, n):
        """Draws n events for each of B rows of evidence: seeds `[n B, 2]` -> `[n, B, U]`."""
        size, count = len(self._known[0]), len(self._values)
        seeds = tf.reshape(seeds, [-1, count, 2])
        parts, vectors = [], self._vectors()
        for known, numbers in self._patterns:
            own = tf.reshape(tf.gather(seeds, numbers, axis=1), [-1, 2])
            values = self._with_context(self._values[numbers], vectors, numbers)
            sets = self._queries.sets_for(known)
            if sets is not None:
                values = tf.tile(values, [n, 1])
                rows = self._queries.draw(own, known, values, sets)[0]
                rows = tf.reshape(rows, [-1, len(numbers), size])
            else:
                rows = self._pattern_particles(values, known, own, n)
            parts.append(rows)
        rows = tf.gather(tf.concat(parts, axis=1), self._back(), axis=1)
        return tf.gather(rows, self._unobserved, axis=2)

    def _pattern_particles(self, values, known, seeds, n):
        """Draws `[n, N, D]` by weighted particles: seeds `[n N, 2]`."""
        count = self._queries.num_particles
        first = tf.reshape(seeds, [-1, values.shape[0], 2])[0]  # a stream for each evidence
        particle_seeds = tf.concat([random.row_seeds(pair, count) for pair in tf.unstack(first)], 0)
        rows, log_weights = self._queries.particles(values, known, particle_seeds)
        picks = random.uniforms(seeds, self._queries.model.event_size + 2)[:, -1]
        index = pick(log_weights, tf.transpose(tf.reshape(picks, [n, values.shape[0]])))
        return tf.transpose(tf.gather(rows, index, axis=1, batch_dims=1), [1, 0, 2])

    def _back(self):
        """Where rows that were put together pattern by pattern belong."""
        return np.argsort(np.concatenate([rows for _, rows in self._patterns]))


class DiscreteConditionalMADE(tfd.distribution.DiscreteDistributionMixin, ConditionalMADE):
    """`ConditionalMADE` over isolated points."""
