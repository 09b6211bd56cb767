"""A fitted MADE as a `tfd.Distribution`."""

from __future__ import annotations

import numbers
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.internal import reparameterization, samplers

from made_tf import random
from made_tf.arguments import integer, seed_batches
from made_tf.models import MADE
from made_tf.progress import with_progress
from made_tf.sampling import BlockedNetwork

__all__ = ["MADEDistribution"]


class MADEDistribution(tfd.distribution.AutoCompositeTensorDistribution):
    """The joint density of a `MADE` model as a TensorFlow Probability distribution.

    Event shape `[D]`, batch shape `[]`, dtype float32 for every family. The
    model's weights are read at each call, so that the distribution follows
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

    Raises:
        ValueError: if `model` is no `MADE`, or `block_length` or `batch_size`
            is out of range.

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
        if cls is MADEDistribution and isinstance(model, MADE) and model.conditionals.is_discrete:
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
    ):
        parameters = dict(locals())
        if not isinstance(model, MADE):
            raise ValueError(f"`model` must be a made_tf.MADE. Received: model={model!r}")
        if self._discrete != model.conditionals.is_discrete:
            raise ValueError(
                "`model` must be of the same kind, discrete or continuous, as that of the "
                f"distribution it is copied from. Received: {model.conditionals.name}"
            )
        self._model = model
        self._network = BlockedNetwork(model, block_length, batch_size)
        self._trace()
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=reparameterization.NOT_REPARAMETERIZED,
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}  # no tensor-valued parameters; defining it saves a warning

    def _trace(self):
        """(Re)makes what is bound to the model's variables."""
        # Keras layers are no tf.Modules: without this list TFP would find no variables.
        self._variables = [variable.value for variable in self._model.trainable_variables]
        self._traced = self._model.variables
        # Called eagerly, the sampler's loops run as one graph; traced once for any n.
        self._samples = self._graph(self._network.sample)
        self._samples_and_log_probs = self._graph(self._network.sample_and_log_prob)

    def _graph(self, sample):
        return tf.function(
            lambda seeds: sample(random.uniforms(seeds, self._model.event_size)),
            [tf.TensorSpec([None, 2], tf.int32)],
            autograph=False,
        )

    def stream(
        self, num_samples: int, seed: int = 0, batch_size: int = 1024, progress: bool = False
    ) -> Iterator[np.ndarray]:
        """Draws the rows of `sample` a batch at a time, in bounded memory.

        Args:
            num_samples: n, at least 1.
            seed: a 32-bit integer, as of `sample`.
            batch_size: how many rows are drawn at once.
            progress: whether to show a progress bar on stderr.

        Returns:
            An iterator over float32 arrays `[at most batch_size, D]`: together
            the rows of `sample(num_samples, seed)`.

        Raises:
            ValueError: if an argument is out of range.
        """
        seeds = seed_batches(num_samples, seed, batch_size)
        rows = (self._rows(batch).numpy() for batch in seeds)
        return with_progress(rows, num_samples, disable=not progress)

    def _rows(self, seeds):
        self._follow_model()
        return tf.stop_gradient(self._samples(seeds))  # None, where the graph would give zeros

    def _follow_model(self):
        current = self._model.variables
        if len(current) != len(self._traced) or any(
            ours is not theirs for ours, theirs in zip(self._traced, current, strict=True)
        ):
            self._trace()  # `quantize` has replaced the variables

    @property
    def model(self) -> MADE:
        """The model whose density this is."""
        return self._model

    def _event_shape(self):
        return tf.TensorShape([self._model.event_size])

    def _event_shape_tensor(self):
        return tf.constant([self._model.event_size], tf.int32)

    def _log_prob(self, x):
        if x.shape.rank == 0 or x.shape[-1] != self._model.event_size:
            raise ValueError(
                f"`value` must have the shape [..., {self._model.event_size}]. "
                f"Received: value.shape={tuple(x.shape)}"
            )
        batch = tf.shape(x)[:-1]
        rows = tf.reshape(x, [-1, self._model.event_size])  # [..., D] -> [N, D]
        log_prob = self._model.row_log_prob(rows, self._model(rows, training=False))
        return tf.ensure_shape(tf.reshape(log_prob, batch), x.shape[:-1])

    def _sample_n(self, n, seed=None):
        return self._rows(self._row_seeds(n, seed))

    def _sample_and_log_prob(self, sample_shape, seed=None):
        n = tf.reduce_prod(sample_shape)
        self._follow_model()
        x, log_prob = self._samples_and_log_probs(self._row_seeds(n, seed))
        x = tf.stop_gradient(x)
        shape = tf.TensorShape(tf.get_static_value(sample_shape))
        x = tf.reshape(x, tf.concat([sample_shape, self._event_shape_tensor()], 0))
        x = tf.ensure_shape(x, shape.concatenate(self._event_shape()))
        log_prob = tf.ensure_shape(tf.reshape(log_prob, sample_shape), shape)
        return x, log_prob

    def _row_seeds(self, n, seed):
        if isinstance(seed, numbers.Integral):
            seed = tf.constant([integer("seed", seed, -(2**31), 2**31), 0], tf.int32)
        else:
            if tf.is_tensor(seed) and seed.shape.rank == 0:
                seed = tf.stack([tf.cast(seed, tf.int32), 0])
            seed = samplers.sanitize_seed(seed)
            if seed.shape != [2]:
                raise ValueError(
                    "`seed` must be an integer or a pair of integers. "
                    f"Received: seed of shape {seed.shape}"
                )
        return random.row_seeds(seed, n)

    def _sample_control_dependencies(self, x):
        if not self.validate_args:
            return []
        family = self._model.conditionals
        return [
            tf.debugging.Assert(
                tf.reduce_all(family.in_support(x)),
                [f"A value is outside the support of {family.name}: {family.support}", x],
            )
        ]

    def _default_event_space_bijector(self):
        if self._model.conditionals.is_discrete:
            return None
        from tensorflow_probability import bijectors as tfb

        return tfb.Identity(validate_args=self.validate_args)

    def _mode(self):
        raise NotImplementedError(
            "MADEDistribution has no `mode`: the most probable row of an autoregressive density "
            "has no closed form and is not the row of the most probable conditionals. Draw "
            "samples and keep the one of the highest `log_prob`."
        )


class DiscreteMADEDistribution(tfd.distribution.DiscreteDistributionMixin, MADEDistribution):
    """`MADEDistribution` over isolated points."""

    _discrete = True
