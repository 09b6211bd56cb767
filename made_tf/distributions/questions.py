"""The questions that a distribution over whole rows answers about subsets of its variables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from made_tf.distributions.base import SeededRows, is_discrete
from made_tf.distributions.conditional import ConditionalMADE, DiscreteConditionalMADE
from made_tf.distributions.conditional_ensemble import (
    ConditionalEnsemble,
    DiscreteConditionalEnsemble,
)
from made_tf.distributions.marginal import WAYS, Marginal, OneVariableMoments
from made_tf.queries.estimate import Estimate
from made_tf.queries.mixture import MixtureQueries
from made_tf.queries.questions import Questions

__all__ = ["AnswersQuestions"]


class AnswersQuestions(OneVariableMoments, SeededRows):
    """A distribution over whole rows with conditionals, marginals and missing values."""

    @property
    def queries(self) -> Questions:
        """What answers questions about subsets of the variables."""
        raise NotImplementedError

    def condition(self, evidence) -> ConditionalMADE:
        """Returns the distribution of the unobserved variables, given the others.

        Exact for a model that reads evidence (`evidence_units`), and for one of
        all orders (`MADE(num_masks=None)`), under an order that puts the evidence
        first, or averaged over `num_orders` such; exact, too, where the evidence
        is a prefix of the model's fixed order. Elsewhere by importance
        sampling with `num_particles` draws, since no pass through the network
        gives that conditional; `is_exact` and `evidence_log_prob`
        (standard error, effective sample size) tell. Of an ensemble it is the
        mixture of its members' conditionals, each weighted by how probable the
        evidence is under it; exact where all of these are.

        Args:
            evidence: float `[..., D]`, NaN where nothing is known.

        Raises:
            ValueError: if `evidence` has the wrong shape, values outside the
                support, or no NaN.
        """
        context = None
        if self._contexts is not None:
            evidence = np.asarray(evidence, np.float32)
            own, batch = evidence.shape[:-1], tuple(self.batch_shape)
            try:
                shape = np.broadcast_shapes(own, batch)
            except ValueError as error:
                raise ValueError(
                    f"`evidence` must fit contexts of shape {list(batch)}. "
                    f"Received: evidence.shape={evidence.shape}"
                ) from error
            evidence = np.broadcast_to(evidence, (*shape, *evidence.shape[-1:]))
            context = self._contexts.broadcast(shape)
        discrete = is_discrete(self._conditionals)
        if isinstance(self.queries, MixtureQueries):
            kind = DiscreteConditionalEnsemble if discrete else ConditionalEnsemble
        else:
            kind = DiscreteConditionalMADE if discrete else ConditionalMADE
        return kind(
            self.queries, evidence, self.validate_args, self.allow_nan_stats, context=context
        )

    def impute(self, x, seed: int = 0, first_row: int = 0) -> np.ndarray:
        """Fills in missing values by one draw from the conditional of each row.

        Args:
            x: values `[N, D]`, NaN where they are missing; each row may lack
                others.
            seed: a 32-bit integer.
            first_row: the number of the first row, from which on they are
                drawn, so that pieces of a table get what the whole would.

        Returns:
            float32 `[N, D]`. Exact or by importance sampling as `condition`.

        Raises:
            ValueError: if `x` has the wrong shape or values outside the support.

        Warns:
            UserWarning: if importance sampling was left with less than ten
                effective draws for a row.
        """
        return self.queries.sample_conditional(x, 1, seed, first_row, self._vectors_of(x))[0]

    def sample_conditional(self, evidence, num_samples: int = 1, seed: int = 0) -> np.ndarray:
        """Draws whole rows that agree with evidence: `[N, D]` -> `[num_samples, N, D]`.

        As `impute`, several times; the first draws do not depend on `num_samples`
        where they are exact.
        """
        vectors = self._vectors_of(evidence)
        return self.queries.sample_conditional(evidence, num_samples, seed, vectors=vectors)

    def log_marginal(self, x, seed: int = 0) -> Estimate:
        """Returns log p of the values that are not NaN: `[N, D]` -> `[N]`, in nats.

        Exact or by importance sampling as `condition`; the result has a
        standard error (0 where exact) and an effective sample size.

        Raises:
            ValueError: if `x` has the wrong shape or values outside the support.
        """
        return self.queries.log_marginal(x, seed, self._vectors_of(x))

    def conditional_log_prob(self, x, evidence, seed: int = 0) -> Estimate:
        """Returns log p(x_A | x_B): `[N, D]`, `[N, D]` -> `[N]`, in nats.

        Exact or by importance sampling as `condition`.

        Args:
            x: NaN outside A.
            evidence: NaN outside B. Each row may have an A and a B of its own.
            seed: of the draws, where it takes any.

        Raises:
            ValueError: if a shape is wrong, a value outside the support, or a
                value in A as well as in B.
        """
        return self.queries.conditional_log_prob(x, evidence, seed, self._vectors_of(x))

    def log_prob_in(
        self, allowed, num_samples: int = 1000, seed: int = 0, tolerance: float = 0.0
    ) -> Estimate:
        """Estimates log P(x_1 in A_1, x_2 in A_2, ...), the A_k being sets or intervals.

        By progressive sampling, under an order that puts the restricted
        variables first where there is one.

        Args:
            allowed: for each query a mapping: variable (from 0) -> what it may
                be, a list of values or a `made_tf.Interval`. A variable with
                classes takes either, or several of both; one of real numbers,
                counts or points of a grid takes one interval, or of the latter
                two one value. Point masses (`Inflated`) may be named in a list,
                alone or beside an interval. An interval holds those between
                its ends, but never `MISSING`: a missing cell counts only where
                it is named, or where nothing is said of the variable.
                Or an array `[queries, D, K]`, where all variables have classes:
                1 for each value 0..K-1 that is allowed, K being the largest
                number of states.
            num_samples: how many draws each query gets, at least 2.
            seed: a 32-bit integer.
            tolerance: the standard error (of the logarithm: a part of the probability) that is
                enough, in [0, 1). Queries get 64 draws, and those with a larger error twice as many
                as before, until they have `num_samples`; so do whole rows that all weigh the same,
                which may have missed what counts. To stop where errors look small misses
                rare draws of large weights now and then; 0 is for all draws.

        Returns:
            An `Estimate`; of a query that nothing can meet -infinity.

        Raises:
            ValueError: if there is no such variable or value, a variable gets a
                set that has none, or another argument is out of range.

        Example:
            >>> from made_tf import MADE, Categorical, Interval, MADEDistribution, NormalMixture
            >>> dist = MADEDistribution(MADE(2, conditionals=[NormalMixture(), Categorical(3)]))
            >>> estimate = dist.log_prob_in([{0: Interval(-1, 2), 1: [0, 2]}, {0: Interval(low=5)}])
            >>> estimate.log_prob.shape
            (2,)
        """
        # Of one mapping that is not in a list the queries will say so.
        vectors = None if isinstance(allowed, Mapping) else self._vectors_of(allowed)
        return self.queries.log_prob_in(allowed, num_samples, seed, vectors, tolerance)

    def _one_variable(self, what: str) -> Marginal:
        if self._event_size == 1:
            return self.condition(np.full([*self.batch_shape, 1], np.nan)).marginal(0)
        raise NotImplementedError(f"{type(self).__name__} has no exact `{what}`: {WAYS[what]}")
