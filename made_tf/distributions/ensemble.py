"""An `Ensemble` as a `tfd.Distribution`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from made_tf.distributions.made import MADEDistribution
from made_tf.distributions.questions import AnswersQuestions
from made_tf.distributions.vectorized import call_by_rows
from made_tf.models.ensemble import Ensemble
from made_tf.queries.mixture import MixtureQueries
from made_tf.sampling import random
from made_tf.sampling.order_mixture import choose_set

__all__ = ["EnsembleDistribution"]


class EnsembleDistribution(AnswersQuestions):
    """The density of an `Ensemble` as a TensorFlow Probability distribution.

    Event shape `[D]`, batch shape `[]` or that of the context, dtype float32. Row i of
    `sample(n, seed=s)` is row i of one of the members' own samples with this
    seed; the generator keyed by (s, i) chooses whose, so that the first 16 of
    1000 rows are the 16 rows. Samples carry no gradient.

    It answers what `MADEDistribution` answers: exactly where all members do, else with errors
    that follow from theirs. Given evidence e, a row is that of a member's own draws with this
    seed, too, and the members are chosen by how probable e is under them.

    Args:
        ensemble: an `Ensemble`.
        validate_args: as in every `tfd.Distribution`.
        allow_nan_stats: as in every `tfd.Distribution`.
        name: the name of its operations.
        context: as in `MADEDistribution`, the same for all members.
        num_particles: as in `MADEDistribution`, of each member.

    Raises:
        ValueError: if `ensemble` is none.

    Example:
        >>> from made_tf import MADE
        >>> ensemble = Ensemble([MADE(3, (8,), seed=seed) for seed in range(2)])
        >>> EnsembleDistribution(ensemble).sample(16, seed=7).shape
        TensorShape([16, 3])
    """

    def __init__(
        self,
        ensemble,
        validate_args=False,
        allow_nan_stats=True,
        name="EnsembleDistribution",
        context=None,
        num_particles=1000,
    ):
        parameters = dict(locals())
        if not isinstance(ensemble, Ensemble):
            raise ValueError(f"`ensemble` must be a made_tf.Ensemble. Received: {ensemble!r}")
        self._ensemble = ensemble
        self._members = [
            MADEDistribution(each, num_particles=num_particles, context=context)
            for each in ensemble.members
        ]
        super().__init__(ensemble, context, parameters)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return super()._parameter_properties(dtype, num_classes)

    @property
    def ensemble(self) -> Ensemble:
        """The ensemble whose density this is."""
        return self._ensemble

    @property
    def queries(self) -> MixtureQueries:
        """What answers questions about subsets of the variables."""
        return MixtureQueries(self._ensemble, [member.queries for member in self._members])

    def _rows(self, seeds, vectors=None):
        if tf.executing_eagerly():
            return self._mixed_rows(seeds, vectors)
        parts = [] if vectors is None else vectors
        graph = tf.function(lambda seeds, *parts: self._mixed_rows(seeds, parts), autograph=False)
        return tf.stop_gradient(call_by_rows(graph, seeds, *parts))

    def _mixed_rows(self, seeds, vectors):
        size = self._event_size
        chosen = choose_set(random.member_uniforms(seeds, size), len(self._members))
        x = tf.zeros([tf.shape(seeds)[0], size])
        for number, member in enumerate(self._members):
            own = vectors[number] if vectors else None
            x = self._draw_some(x, tf.where(tf.equal(chosen, number)), seeds, member, own)
        return tf.stop_gradient(tf.ensure_shape(x, [None, size]))

    def _draw_some(self, x, rows, seeds, member, vectors):
        def drawn():
            given = () if vectors is None else (tf.gather_nd(vectors, rows),)
            some = member._rows(tf.gather_nd(seeds, rows), *given)
            return tf.tensor_scatter_nd_update(x, rows, some)

        return tf.cond(tf.size(rows) > 0, drawn, lambda: x)

    def _log_prob(self, x):
        log_probs = [member.log_prob(x) for member in self._members]
        return tf.reduce_logsumexp(log_probs, axis=0) - np.log(len(log_probs))
