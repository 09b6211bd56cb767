"""What the distributions share: events that are rows of float32, their support, seeds, streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.internal import reparameterization

from made_tf.conditionals import Conditionals
from made_tf.portable.progress import with_progress
from made_tf.portable.seeds import seed_batches
from made_tf.sampling import random
from made_tf.sampling.seeds import seed_pair

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
        return [
            tf.debugging.Assert(
                tf.reduce_all(family.in_support(self._whole_rows(value))),
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
    """A distribution over whole rows, each of which is drawn from a seed of its own."""

    def _rows(self, seeds):
        """Draws rows: int32 `[n, 2]` -> float32 `[n, D]`, without a gradient."""
        raise NotImplementedError

    def _sample_n(self, n, seed=None):
        return self._rows(random.row_seeds(seed_pair(seed), n))

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
        rows = (self._rows(tf.constant(batch)).numpy() for batch in seeds)
        return with_progress(rows, num_samples, disable=not progress)
