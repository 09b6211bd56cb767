"""A fitted MADE as a `tfd.Distribution`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from made_tf.distributions.base import SeededRows, is_discrete
from made_tf.distributions.conditional import ConditionalMADE, DiscreteConditionalMADE
from made_tf.distributions.marginal import WAYS, Marginal, OneVariableMoments
from made_tf.models.made import MADE
from made_tf.portable.arguments import integer
from made_tf.queries.estimate import Estimate
from made_tf.queries.subsets import Queries
from made_tf.sampling import random
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.sampling.order_mixture import sample_mixture
from made_tf.sampling.seeds import seed_pair

__all__ = ["DiscreteMADEDistribution", "MADEDistribution"]


class MADEDistribution(
    OneVariableMoments, SeededRows, tfd.distribution.AutoCompositeTensorDistribution
):
    """The joint density of a `MADE` model as a TensorFlow Probability distribution.

    Event shape `[D]`, dtype float32 for every family; batch shape `[]`, or that
    of the context. The model's weights are read at each call, so that the distribution follows
    further training.

    `sample` with the integer seed s draws row i from the generator keyed by
    (s, i): the same seed gives the same rows in eager mode, in `tf.function`,
    under XLA and in an exported `.tflite`, and the first 16 of 1000 rows are
    the 16 rows. For discrete families they are equal bit for bit, unless a
    uniform lies within rounding of a step of its CDF; real values are equal
    within rounding, which a model whose variables depend strongly on each other
    amplifies from variable to variable. A stateless seed (s, 0) stands for the
    integer s; other pairs have rows of their own. Samples carry no gradient.

    Args:
        model: a built `MADE`.
        block_length: how many variables the sampler solves at once; `None`
            chooses.
        validate_args: whether `log_prob` rejects values outside the support
            with an `InvalidArgumentError`.
        allow_nan_stats: as in every `tfd.Distribution`.
        name: the name of its operations.
        batch_size: for how many rows at a time `block_length=None` chooses.
        num_orders: M, for a model of several masks: the distribution is the
            mixture of the densities under the first M of them, with equal
            weights, and each row draws its mask first. Such a mixture's
            samples cannot be compiled by XLA. `None` takes the model's
            `num_orders`.
        num_particles: how many weighted draws an answer takes that no order
            gives exactly (`condition` and what follows it).
        context: of a model with a context, what the rows are conditioned on:
            float32 `[..., W]`, or what its Keras model takes; the leading shape
            is the distribution's batch shape. Row i of `sample(n, seed=s)` for
            context b of B is drawn from the generator keyed by (s, i B + b).
            `log_prob` has a gradient with respect to it.

    Raises:
        ValueError: if `model` is no `MADE`, or another argument is out of range.

    Example:
        >>> dist = MADEDistribution(MADE(event_size=3, hidden_units=(8,), seed=0))
        >>> x = dist.sample(16, seed=7)
        >>> dist.log_prob(x).shape
        TensorShape([16])

    References:
        Germain et al. 2015, arXiv:1502.03509, equation 1 and section 4.3.
    """

    _discrete = False

    def __new__(cls, model=None, *args, **kwargs):
        # TFP tells distributions over isolated points from densities by their class.
        if cls is MADEDistribution and isinstance(model, MADE) and is_discrete(model.conditionals):
            cls = DiscreteMADEDistribution
        return super().__new__(cls)

    def __init__(
        self,
        model,
        block_length=None,
        validate_args=False,
        allow_nan_stats=True,
        name="MADEDistribution",
        batch_size=None,
        num_orders=None,
        num_particles=1000,
        context=None,
    ):
        parameters = dict(locals())
        if not isinstance(model, MADE):
            raise ValueError(f"`model` must be a made_tf.MADE. Received: model={model!r}")
        if self._discrete != is_discrete(model.conditionals):
            raise ValueError(
                "`model` must be of the same kind, discrete or continuous, as that of the "
                f"distribution it is copied from. Received: {model.conditionals.name}"
            )
        self._model = model
        self._num_orders = model.num_orders if num_orders is None else num_orders
        self._sets = model.mask_sets.first(self._num_orders)
        self._network = BlockedNetwork(
            model, block_length, batch_size, any_mask=self._num_orders > 1
        )
        self._make_queries = lambda: Queries(
            model, self._num_orders, num_particles, block_length, batch_size
        )
        integer("num_particles", num_particles, 2)
        self._trace()
        super().__init__(model, context, parameters)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        # Defined anew, as TFP wants it of each class with arguments of its own.
        return super()._parameter_properties(dtype, num_classes)

    def _trace(self):
        """(Re)makes what is bound to the model's variables."""
        # Keras layers are no tf.Modules: without this list TFP would find no variables.
        self._variables = [variable.value for variable in self._model.trainable_variables]
        self._traced = self._model.variables
        # Called eagerly, the sampler's loops run as one graph; traced once for any n.
        self._samples = self._graph(self._draw)
        self._samples_and_log_probs = self._graph(self._draw_and_score)
        self._answers = None

    def _graph(self, draw):
        specs = [tf.TensorSpec([None, 2], tf.int32)]
        if self._model.conditioning is not None:
            specs.append(tf.TensorSpec([None, self._model.conditioning.size], tf.float32))
        return tf.function(draw, specs, autograph=False)

    def _draw(self, seeds, vectors=None):
        family = self._model.conditionals
        if self._num_orders == 1:
            uniforms = random.row_uniforms(seeds, family)
            return self._network.sample(uniforms, vectors=vectors)
        uniforms = random.row_uniforms(seeds, family, 1)
        return sample_mixture(self._network.sample, uniforms, self._sets, vectors=vectors)

    def _draw_and_score(self, seeds, vectors=None):
        if self._num_orders == 1:
            uniforms = random.row_uniforms(seeds, self._model.conditionals)
            return self._network.sample_and_log_prob(uniforms, vectors=vectors)
        x = tf.stop_gradient(self._draw(seeds, vectors))
        return x, self._model.statistics_given(x, vectors, self._num_orders).log_prob

    def _rows(self, seeds, vectors=None):
        self._follow_model()
        given = () if vectors is None else (vectors,)
        # A gradient of None, where the graph would give zeros.
        return tf.stop_gradient(self._samples(seeds, *given))

    def _follow_model(self):
        current = self._model.variables
        if len(current) != len(self._traced) or any(
            ours is not theirs for ours, theirs in zip(self._traced, current, strict=True)
        ):
            self._trace()  # `quantize` has replaced the variables

    @property
    def queries(self) -> Queries:
        """What answers questions about subsets of the variables; made when first needed."""
        self._follow_model()
        if self._answers is None:
            self._answers = self._make_queries()
        return self._answers

    def condition(self, evidence) -> ConditionalMADE:
        """Returns the distribution of the unobserved variables, given the others.

        Exact for a model of all orders (`MADE(num_masks=None)`), under an order
        that puts the evidence first, or averaged over `num_orders` such; exact,
        too, where the evidence is a prefix of the model's fixed order. Elsewhere
        by importance sampling with `num_particles` draws, since no pass through
        the network gives that conditional; `is_exact` and `evidence_log_prob`
        (standard error, effective sample size) tell.

        Args:
            evidence: float `[..., D]`, NaN where nothing is known.

        Raises:
            ValueError: if `evidence` has the wrong shape, values outside the
                support, or no NaN.
        """
        discrete = is_discrete(self._model.conditionals)
        kind = DiscreteConditionalMADE if discrete else ConditionalMADE
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

    def log_prob_in(self, allowed, num_samples: int = 1000, seed: int = 0) -> Estimate:
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

        Returns:
            An `Estimate`; of a query that nothing can meet -infinity.

        Raises:
            ValueError: if there is no such variable or value, a variable gets a
                set that has none, or another argument is out of range.

        Example:
            >>> from made_tf import Categorical, Interval, NormalMixture
            >>> dist = MADEDistribution(MADE(2, conditionals=[NormalMixture(), Categorical(3)]))
            >>> estimate = dist.log_prob_in([{0: Interval(-1, 2), 1: [0, 2]}, {0: Interval(low=5)}])
            >>> estimate.log_prob.shape
            (2,)
        """
        # Of one mapping that is not in a list the queries will say so.
        vectors = None if isinstance(allowed, Mapping) else self._vectors_of(allowed)
        return self.queries.log_prob_in(allowed, num_samples, seed, vectors)

    @property
    def num_orders(self) -> int:
        """Over how many mask sets the density is averaged."""
        return self._num_orders

    @property
    def model(self) -> MADE:
        """The model whose density this is."""
        return self._model

    def _log_prob(self, x):
        rows, vectors, shape, static = self._flat_rows(self._checked_shape(x))
        log_prob = self._model.statistics_given(rows, vectors, self._num_orders).log_prob
        return tf.ensure_shape(tf.reshape(log_prob, shape), static)

    def _sample_and_log_prob(self, sample_shape, seed=None):
        n = tf.reduce_prod(sample_shape)
        self._follow_model()
        seeds, vectors = self._seeds_and_vectors(seed_pair(seed), n)
        x, log_prob = self._samples_and_log_probs(seeds, *(() if vectors is None else (vectors,)))
        x = tf.stop_gradient(x)
        shape = tf.TensorShape(tf.get_static_value(sample_shape)).concatenate(self.batch_shape)
        dynamic = tf.concat([sample_shape, self._batch_shape_tensor()], 0)
        x = tf.reshape(x, tf.concat([dynamic, self._event_shape_tensor()], 0))
        x = tf.ensure_shape(x, shape.concatenate(self._event_shape()))
        return x, tf.ensure_shape(tf.reshape(log_prob, dynamic), shape)

    def _one_variable(self, what: str) -> Marginal:
        if self._event_size == 1:
            return self.condition(np.full([*self.batch_shape, 1], np.nan)).marginal(0)
        raise NotImplementedError(f"MADEDistribution has no exact `{what}`: {WAYS[what]}")


class DiscreteMADEDistribution(tfd.distribution.DiscreteDistributionMixin, MADEDistribution):
    """`MADEDistribution` over isolated points."""

    _discrete = True
