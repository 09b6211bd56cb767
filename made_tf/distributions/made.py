"""A fitted MADE as a `tfd.Distribution`."""

from __future__ import annotations

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from made_tf.distributions.base import is_discrete
from made_tf.distributions.questions import AnswersQuestions
from made_tf.distributions.vectorized import call_by_rows
from made_tf.models.made import MADE
from made_tf.portable.arguments import integer
from made_tf.queries.proposed import whole_of
from made_tf.queries.subsets import Queries
from made_tf.sampling import random
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.sampling.order_mixture import sample_mixture

__all__ = ["DiscreteMADEDistribution", "MADEDistribution"]


class MADEDistribution(AnswersQuestions, tfd.distribution.AutoCompositeTensorDistribution):
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
        of_whole_rows: for a model that answers all questions: whether `condition`, `impute`,
            `log_marginal` and `conditional_log_prob` answer for the density of whole rows, by
            `num_particles` weighted draws that conditionals of one pass propose: 64 usually
            suffice. `log_prob_in` draws whole rows, then: more of them for the same error.

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
        of_whole_rows=False,
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
            model,
            self._num_orders,
            num_particles,
            block_length,
            batch_size,
            of_whole_rows=of_whole_rows,
        )
        integer("num_particles", num_particles, 2)
        if not isinstance(of_whole_rows, bool):
            raise ValueError(f"`of_whole_rows` must be True or False. Received: {of_whole_rows!r}")
        whole_of(model, self._num_orders, of_whole_rows)  # raises where it cannot be
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
        return tf.stop_gradient(call_by_rows(self._samples, seeds, *given))

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
        seeds, vectors = self._seeds_and_vectors(seed, n)
        given = () if vectors is None else (vectors,)
        x, log_prob = call_by_rows(self._samples_and_log_probs, seeds, *given)
        x = tf.stop_gradient(x)
        shape = tf.TensorShape(tf.get_static_value(sample_shape)).concatenate(self.batch_shape)
        dynamic = tf.concat([sample_shape, self._batch_shape_tensor()], 0)
        x = tf.reshape(x, tf.concat([dynamic, self._event_shape_tensor()], 0))
        x = tf.ensure_shape(x, shape.concatenate(self._event_shape()))
        return x, tf.ensure_shape(tf.reshape(log_prob, dynamic), shape)


class DiscreteMADEDistribution(tfd.distribution.DiscreteDistributionMixin, MADEDistribution):
    """`MADEDistribution` over isolated points."""

    _discrete = True
