"""p(x_k | what is known) of one variable as a `tfd.Distribution`, with its moments."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.internal import reparameterization, samplers

from made_tf.conditionals import Conditionals, LogisticMixture, Normal, NormalMixture

__all__ = ["DiscreteMarginal", "Marginal", "make_marginal"]

_LOWEST = 2.0**-24  # uniforms lie between this and 1 minus it
_LOGISTIC_VARIANCE = np.pi**2 / 3


class NoProbsError(NotImplementedError, AttributeError):
    """There are no `probs` here: an AttributeError, too, so that `hasattr` and its like can ask."""


class Variable(tfd.Distribution):
    """One variable given what is known of its row: batch shape `[...]`, event shape `[]`.

    Args:
        family: the variable's family, bound to it alone.
        batch: the batch shape.
        parameters: the arguments of the subclass' constructor by name, among
            them `validate_args`, `allow_nan_stats` and `name`.
    """

    def __init__(self, family: Conditionals, batch: tuple[int, ...], parameters: dict[str, Any]):
        self._family, self._batch = family, tuple(batch)
        (self._states,) = family.states()
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
        return {}

    @property
    def family(self) -> Conditionals:
        """The variable's family."""
        return self._family

    @property
    def states(self):
        """The values that the variable can take, float32 `[K]`; `None` if not finitely many."""
        return self._states

    @property
    def probs(self):
        """The probability of each of `states`, float32 `[..., K]`.

        Raises:
            NotImplementedError: if the variable has no finitely many values.
        """
        if self._states is None:
            raise NoProbsError(str(self._has_no("probs", "ask for `prob(value)`")))
        terms = [self.log_prob(np.full(self._batch, state, np.float32)) for state in self._states]
        return tf.exp(tf.stack(terms, axis=-1))

    def _batch_shape(self):
        return tf.TensorShape(self._batch)

    def _batch_shape_tensor(self):
        return tf.constant(self._batch, tf.int32)

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _mean(self):
        return self.moments()[0]

    def _variance(self):
        return self.moments()[1]

    def _stddev(self):
        return tf.sqrt(self.moments()[1])

    def _mode(self):
        if self._states is not None:
            return tf.gather(self._states, tf.argmax(self.probs, axis=-1))
        raise self._has_no("mode", "draw samples and keep the one of the highest `log_prob`")

    def _entropy(self):
        if self._states is not None:
            return -tf.reduce_sum(tf.math.xlogy(self.probs, self.probs), axis=-1)
        raise self._has_no("entropy", "take `made_tf.distributions.entropy_estimate`")

    def moments(self):
        """Returns the mean and the variance, `[...]` each.

        Raises:
            NotImplementedError: if they have no closed form.
        """
        if self._states is not None:
            probs = self.probs
            mean = tf.reduce_sum(probs * self._states, axis=-1)
            away = self._states - mean[..., None]
            return mean, tf.reduce_sum(probs * away**2, axis=-1)
        return self._moments_of_reals()

    def _moments_of_reals(self):
        """Returns what `moments` does, where there are no states."""
        raise NotImplementedError

    def _default_event_space_bijector(self):
        return None

    def _has_no(self, what: str, instead: str) -> NotImplementedError:
        return NotImplementedError(
            f"A marginal of {self._family.name} conditionals has no exact `{what}`: {instead}."
        )


class Marginal(Variable):
    """One variable given what is known of its row: batch shape `[...]`, event shape `[]`.

    Made by `ConditionalMADE.marginal`. An equal mixture of the variable's conditionals under M
    orders. `probs` and all moments of variables with classes are sums over the classes; those of
    normal variables and of mixtures of normal or logistic ones have closed forms. Others have
    `log_prob` and `sample`.

    Args:
        family: the variable's family, bound to it alone.
        params: its parameters, `[M, N, P]`.
        batch: the shape that the N rows stand for.
        validate_args: as in every `tfd.Distribution`.
        allow_nan_stats: as in every `tfd.Distribution`.
        name: the name of its operations.
    """

    def __init__(
        self,
        family: Conditionals,
        params: Any,
        batch: tuple[int, ...],
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Marginal",
    ):
        parameters = dict(locals())
        self._params = tf.constant(params)
        super().__init__(family, batch, parameters)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}

    def _log_prob(self, value):
        shape = tf.broadcast_dynamic_shape(tf.shape(value), self._batch_shape_tensor())
        num_orders, num_rows = self._params.shape[:2]
        flat = tf.reshape(tf.broadcast_to(value, shape), [-1, 1])  # [S N, 1]
        times = tf.shape(flat)[0] // num_rows
        terms = [
            self._family.log_prob(tf.tile(params, [times, 1]), flat)
            for params in tf.unstack(self._params)
        ]
        log_prob = tf.reduce_logsumexp(tf.stack(terms), axis=0) - np.log(num_orders)
        static = tf.broadcast_static_shape(value.shape, self.batch_shape)
        return tf.ensure_shape(tf.reshape(log_prob, shape), static)

    def _sample_n(self, n, seed=None):
        num_orders, num_rows, width = self._params.shape
        seeds = samplers.split_seed(seed, 2)
        count = n * num_rows
        uniforms = samplers.uniform([count, self._family.num_uniforms], _LOWEST, 1.0, seed=seeds[0])
        order = samplers.uniform([count], maxval=num_orders, dtype=tf.int32, seed=seeds[1])
        row = tf.tile(tf.range(num_rows), [n])
        params = tf.gather_nd(self._params, tf.stack([order, row], axis=1))
        x = self._family.sample(
            tf.ensure_shape(params, [None, width]), tf.minimum(uniforms, 1.0 - _LOWEST)
        )
        return tf.reshape(x, tf.concat([[n], self._batch_shape_tensor()], axis=0))

    def _mode(self):
        if self._is_normal():
            return self.moments()[0]
        return super()._mode()

    def _entropy(self):
        if self._is_normal():
            return 0.5 * tf.math.log(2 * np.pi * np.e * self.moments()[1])
        return super()._entropy()

    def _is_normal(self) -> bool:
        return isinstance(self._family, Normal) and len(self._params) == 1

    def _moments_of_reals(self):
        if not isinstance(self._family, Normal | NormalMixture | LogisticMixture):
            raise self._has_no("moments", "draw samples and average: `sample(n, seed)`")
        means, variances = zip(*map(self._moments_under, tf.unstack(self._params)), strict=True)
        mean = tf.reduce_mean(means, axis=0)
        variance = tf.reduce_mean([v + (m - mean) ** 2 for m, v in zip(means, variances)], axis=0)  # noqa: B905
        return tf.reshape(mean, self._batch), tf.reshape(variance, self._batch)

    def _moments_under(self, params):
        """Returns mean and variance under one order, `[N]` each."""
        found = {name: values[:, 0] for name, values in self._family.unpack(params).items()}
        loc, variance = found["loc"], found["scale"] ** 2
        if "logits" not in found:
            return loc, variance
        if isinstance(self._family, LogisticMixture):
            variance = variance * _LOGISTIC_VARIANCE
        weights = tf.nn.softmax(found["logits"])
        mean = tf.reduce_sum(weights * loc, axis=-1)
        return mean, tf.reduce_sum(weights * (variance + (loc - mean[:, None]) ** 2), axis=-1)


class DiscreteMarginal(tfd.distribution.DiscreteDistributionMixin, Marginal):
    """`Marginal` over isolated points."""


#: Where a distribution of several variables has no exact answer: what to do instead.
WAYS = {
    **dict.fromkeys(
        ("mean", "variance", "stddev"),
        "ask one column, `condition(evidence).marginal(k)`, or average over draws, "
        "`sample(n, seed)`.",
    ),
    "entropy": "`made_tf.distributions.entropy_estimate` has it with a standard error.",
    "mode": "the most probable row of an autoregressive density has no closed form and is not the "
    "row of the most probable conditionals. Draw samples and keep the one of the highest "
    "`log_prob`.",
    "probs": "ask one column, `condition(evidence).marginal(k).probs`.",
}


class OneVariableMoments:
    """The moments of events that are one variable `[1]`, from its marginal."""

    def _one_variable(self, what: str) -> Marginal:
        """Returns the marginal of the only variable.

        Raises:
            NotImplementedError: if there are several; it says what to do instead.
        """
        raise NotImplementedError

    @property
    def probs(self):
        """The probabilities of the states of the only variable, `[..., K]`.

        Raises:
            NotImplementedError: if there are several variables, or it has no finitely many states.
        """
        try:
            marginal = self._one_variable("probs")
        except NotImplementedError as error:
            raise NoProbsError(str(error)) from error
        return marginal.probs

    def _mean(self):
        return self._one_variable("mean").mean()[..., None]

    def _variance(self):
        return self._one_variable("variance").variance()[..., None]

    def _stddev(self):
        return self._one_variable("stddev").stddev()[..., None]

    def _mode(self):
        return self._one_variable("mode").mode()[..., None]

    def _entropy(self):
        return self._one_variable("entropy").entropy()


def make_marginal(family: Conditionals, params: Any, batch: tuple[int, ...]) -> Marginal:
    """Returns the marginal of a family's only column, of its own kind."""
    return (DiscreteMarginal if np.all(family.is_discrete) else Marginal)(family, params, batch)
