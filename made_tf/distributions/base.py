"""What the distributions share: events that are rows of float32, their support, seeds, streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.internal import parameter_properties, reparameterization

from made_tf.conditionals import Conditionals
from made_tf.distributions.contexts import Contexts, as_tensors
from made_tf.distributions.dict_view import as_dict
from made_tf.distributions.vectorized import seeds_of_rows
from made_tf.models.density_model import DensityModel
from made_tf.portable.progress import with_progress
from made_tf.portable.seeds import seed_batches

__all__ = ["RowDistribution", "SeededRows", "is_discrete"]


def is_discrete(conditionals: Conditionals) -> bool:
    """Returns whether TFP is to take a distribution for one over isolated points.

    It is one where all columns are. Of discrete and real columns together an
    event is one float vector whose density is the product of probabilities and
    densities, and TFP takes it for a density.
    """
    return bool(np.all(conditionals.is_discrete))


class RowDistribution(tfd.Distribution):
    """A distribution over float32 events `[E]`, variables of a model.

    Args:
        conditionals: the family of the model's columns.
        event_size: E.
        parameters: the arguments of the subclass' constructor by name, among
            them `validate_args`, `allow_nan_stats` and `name`.
    """

    def __init__(self, conditionals: Conditionals, event_size: int, parameters: dict[str, Any]):
        self._conditionals = conditionals
        self._event_size = event_size
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=reparameterization.NOT_REPARAMETERIZED,
            validate_args=parameters["validate_args"],
            allow_nan_stats=parameters["allow_nan_stats"],
            parameters=parameters,
            name=parameters["name"],
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}  # no tensor-valued parameters; defining it saves a warning

    def _event_shape(self):
        return tf.TensorShape([self._event_size])

    def _event_shape_tensor(self):
        return tf.constant([self._event_size], tf.int32)

    def _condition_on(self, model: DensityModel, context: Any) -> None:
        """Keeps what the rows are conditioned on; a subclass does so before TFP's constructor."""
        self._context = as_tensors(model, context)
        self._contexts = None if self._context is None else Contexts(model, self._context)

    @property
    def context(self):
        """What the rows are conditioned on, tensors; `None` for a model without a context."""
        return self._context

    @staticmethod
    def _context_property() -> parameter_properties.ParameterProperties:
        """Returns what TFP must know of the argument `context`."""

        def event_ndims(distribution):
            return 0 if distribution._contexts is None else distribution._contexts.event_ndims

        return parameter_properties.ParameterProperties(event_ndims=event_ndims)

    def _vectors(self):
        """Returns the encoded contexts of the batch, `[B, W]`; `None` without a context.

        Of an ensemble a list, what each member makes of them.
        """
        return None if self._contexts is None else self._contexts.vectors()

    def __reduce__(self):
        # What it has traced cannot be pickled, and is made again when it is needed.
        return _made_again, (type(self), self.parameters)

    def _checked_shape(self, value):
        """Returns events `[..., E]` if that is their shape; what is not known yet is asserted."""
        rank = value.shape.rank
        width = None if rank is None or rank == 0 else value.shape[-1]
        if rank == 0 or width not in (None, self._event_size):
            raise ValueError(
                f"`value` must have the shape [..., {self._event_size}]. "
                f"Received: value.shape={tuple(value.shape)}"
            )
        if width is None:
            message = f"`value` must have the shape [..., {self._event_size}]."
            same = tf.debugging.assert_equal(tf.shape(value)[-1:], [self._event_size], message)
            with tf.control_dependencies([] if same is None else [same]):
                value = tf.identity(value)
        return value

    def _whole_rows(self, value):
        """Returns events as rows of all the model's columns: `[..., E]` -> `[..., D]`."""
        return value

    def _sample_control_dependencies(self, value):
        if not self.validate_args:
            return []
        family = self._conditionals
        rows = tf.reshape(self._whole_rows(value), [-1, family.event_size])
        return [
            tf.debugging.Assert(
                tf.reduce_all(family.in_support(rows)),
                [f"A value is outside the support of {family.name}: {family.support}", value],
            )
        ]

    def _default_event_space_bijector(self):
        if is_discrete(self._conditionals):
            return None
        from tensorflow_probability import bijectors as tfb

        return tfb.Identity(validate_args=self.validate_args)


def _made_again(kind: type, parameters: dict[str, Any]) -> RowDistribution:
    return kind(**parameters)


class SeededRows(RowDistribution):
    """A distribution over whole rows, each of which is drawn from a seed of its own.

    Args:
        model: the model.
        context: what its rows are conditioned on; `None` for a model without a context. Its batch
            shape is the distribution's.
        parameters: as in `RowDistribution`.
    """

    def __init__(self, model: DensityModel, context: Any, parameters: dict[str, Any]):
        self._condition_on(model, context)
        super().__init__(model.conditionals, model.event_size, parameters)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"context": cls._context_property()}

    def _batch_shape(self):
        return tf.TensorShape([]) if self._contexts is None else self._contexts.batch_shape

    def _batch_shape_tensor(self):
        if self._contexts is None:
            return tf.constant([], tf.int32)
        return self._contexts.batch_shape_tensor()

    def _vectors_of(self, x) -> Any:
        """Returns the encoded context of each of so many rows, `[N, W]`; a list for an ensemble.

        Raises:
            ValueError: if there is neither one context nor one for each row.
        """
        if self._contexts is None:
            return None
        vectors = self._vectors()
        num_contexts = len(tf.nest.flatten(vectors)[0])
        count = len(x) if np.ndim(x) else num_contexts  # of what is no table the rest will say so
        if self.batch_shape.rank > 1 or (self.batch_shape.rank == 1 and num_contexts != count):
            raise ValueError(
                "`context` must be one for all rows, or have one for each of them. "
                f"Received: contexts of shape {self.batch_shape} for {count} rows"
            )
        return tf.nest.map_structure(
            lambda each: np.broadcast_to(each.numpy(), (count, each.shape[1])), vectors
        )

    def _rows(self, seeds, vectors=None):
        """Draws rows: int32 `[n, 2]`, `[n, W]` -> float32 `[n, D]`, without a gradient."""
        raise NotImplementedError

    def _sample_n(self, n, seed=None):
        seeds, vectors = self._seeds_and_vectors(seed, n)
        if vectors is None:
            return self._rows(seeds)
        shape = tf.concat([[n], self._batch_shape_tensor(), self._event_shape_tensor()], 0)
        return tf.reshape(self._rows(seeds, vectors), shape)

    def _flat_rows(self, x):
        """Returns rows `[N, D]`, their vectors `[N, W]`, and the batch shape that they stand for.

        Args:
            x: events `[..., D]`, which broadcast against the contexts.

        Returns:
            Rows, vectors (`None` without a context), the shape as a tensor, and as far as known.
        """
        static, shape = x.shape[:-1], tf.shape(x)[:-1]
        vectors = self._vectors()
        if vectors is not None:
            static = tf.broadcast_static_shape(static, self.batch_shape)
            batch = self._batch_shape_tensor()
            shape = tf.broadcast_dynamic_shape(shape, batch)
            x = tf.broadcast_to(x, tf.concat([shape, self._event_shape_tensor()], 0))

            def flat(each):
                width = [each.shape[-1]]
                each = tf.reshape(each, tf.concat([batch, width], 0))
                each = tf.broadcast_to(each, tf.concat([shape, width], 0))
                return tf.reshape(each, [-1, *width])

            vectors = tf.nest.map_structure(flat, vectors)
        return tf.reshape(x, [-1, self._event_size]), vectors, shape, static

    def _seeds_and_vectors(self, seed, n):
        """Returns what n rows for each of B contexts are drawn from: `[n B, 2]`, `[n B, W]`."""
        if self._contexts is None:
            return seeds_of_rows(seed, n), None
        count = tf.reduce_prod(self._batch_shape_tensor())
        vectors = tf.nest.map_structure(lambda each: tf.tile(each, [n, 1]), self._vectors())
        return seeds_of_rows(seed, n * count), vectors

    def as_dict(self, names: Sequence[str] | None = None) -> tfd.TransformedDistribution:
        """Returns the same distribution over dicts of columns, see `dict_view.as_dict`."""
        return as_dict(self, names)

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
            ValueError: if an argument is out of range, or there are several contexts and
                not `num_samples` of them: row i is then drawn for context i, as by
                `sample(seed=seed)`.
        """
        seeds = seed_batches(num_samples, seed, batch_size)
        if self.batch_shape.rank and self.batch_shape != [num_samples]:
            raise ValueError(
                "`stream` draws for one context, or for as many as `num_samples`: of others take "
                f"one first, as in `distribution[0].stream(...)`. Received: num_samples="
                f"{num_samples} for contexts of shape {self.batch_shape}"
            )

        all_vectors = self._vectors()  # encoded once

        def draw(batch):
            # The second number of a row's seed is that of the row, and of its context.
            numbers = batch[:, 1] if self.batch_shape.rank else np.zeros(len(batch), np.int32)
            vectors = tf.nest.map_structure(
                lambda each: None if each is None else tf.gather(each, numbers), all_vectors
            )
            return self._rows(tf.constant(batch), vectors).numpy()

        rows = (draw(batch) for batch in seeds)
        return with_progress(rows, num_samples, disable=not progress)

    def sample_from(self, seeds: np.ndarray) -> np.ndarray:
        """Draws one row from each seed, without contexts: int32 `[n, 2]` -> float32 `[n, D]`.

        Row i of `sample(n, seed=s)` is that of the pair (s, i).
        """
        return self._rows(tf.constant(seeds, tf.int32)).numpy()
