"""What an output family is to the model, the sampler, the distribution and the export."""

from __future__ import annotations

import abc

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

__all__ = ["Conditionals"]


class Conditionals(abc.ABC):
    """One family of conditional distributions p(x_k | x_<k) for all D variables.

    The network sees variable k as `input_sizes[k]` numbers (all of them with
    the degree of k) and gives `parameter_sizes[k]` numbers for it. Both are
    laid out variable after variable: features `[N, F]`, F = sum of the input
    sizes, and parameters `[N, P]`, P = sum of the parameter sizes.

    Values are floats `[N, D]`. Methods are pure functions of tensors, written
    with `keras.ops` that convert to builtin LiteRT operators. Densities are
    computed in float32, in nats.

    A new family is one subclass, registered with Keras' serialization and
    named in `made_tf.conditionals.FAMILIES`.
    """

    #: The family's name in `MADE(conditionals=...)`.
    name: str
    #: The support in words, for error messages.
    support: str
    #: Whether values are isolated points (a probability) or real (a density).
    is_discrete: bool

    @abc.abstractmethod
    def input_sizes(self, event_size: int) -> npt.NDArray[np.int64]:
        """Returns how many inputs each of the D variables has, shape `[D]`."""

    @abc.abstractmethod
    def parameter_sizes(self, event_size: int) -> npt.NDArray[np.int64]:
        """Returns how many parameters each of the D variables has, shape `[D]`."""

    @abc.abstractmethod
    def encode(self, x):
        """Returns the network's inputs: values `[N, D]` -> features `[N, F]`."""

    @abc.abstractmethod
    def unpack(self, params) -> dict:
        """Returns the parameters by name: `[N, P]` -> `{name: [N, D, ...]}`."""

    @abc.abstractmethod
    def log_prob(self, params, x):
        """Returns log p(x_k | x_<k) in nats: `[N, P]`, `[N, D]` -> `[N, D]`."""

    def sample(self, params, uniforms):
        """Turns uniforms into values of the conditionals: `[N, P]`, `[N, D]` -> `[N, D]`.

        Each value is a monotone function of its own uniform alone, by the
        inverse of the cumulative distribution from one end or the other. The
        uniforms lie strictly between 0 and 1, see `made_tf.random.uniforms`.
        """
        return self.transform(params, self.noise(uniforms))

    def noise(self, uniforms):
        """Returns what of `sample` no parameter changes: `[N, D]` -> `[N, D]`.

        The sampler computes it once, for all variables. The same for each
        variable, whatever `select` chose.
        """
        return uniforms

    @abc.abstractmethod
    def transform(self, params, noise):
        """Returns the rest of `sample`: `[N, P]`, noise `[N, D]` -> values `[N, D]`."""

    def transform_at(self, params, noise, temperature):
        """Returns `transform` for the conditionals to the power 1 / T, made to sum to 1 again.

        Args:
            params: `[N, P]`.
            noise: `[N, D]`.
            temperature: T, float32 `[N, 1]`, positive. At 1 nothing changes;
                towards 0 only the most probable value is left.
        """
        # Of logits: a logit is the log of a probability, up to what normalises it.
        return self.transform(as_float32(params)[0] / temperature, noise)

    def transform_within(self, params, noise, allowed):
        """Returns `transform` for the conditionals restricted to sets of values.

        Args:
            params: `[N, P]`.
            noise: `[N, D]`.
            allowed: `[N or 1, D, K]`, 1 for the values 0..K-1 that may occur
                and 0 for the others, K being the largest number of states.

        Raises:
            ValueError: if the family is not discrete.
        """
        raise ValueError(f"Sets of values need discrete conditionals. Received: {self.name}")

    def log_prob_within(self, params, allowed):
        """Returns log P(x_k is allowed | x_<k) in nats: `[N, P]`, `[N or 1, D, K]` -> `[N, D]`.

        Raises:
            ValueError: if the family is not discrete.
        """
        raise ValueError(f"Sets of values need discrete conditionals. Received: {self.name}")

    @abc.abstractmethod
    def in_support(self, x):
        """Returns, for each value of `[N, D]`, whether it can occur (NaN never can)."""

    @abc.abstractmethod
    def distribution(self, params):
        """Returns the same as a `tfd.Distribution`: batch shape `[N]`, event shape `[D]`."""

    def states(self, event_size: int) -> list[npt.NDArray[np.float32]]:
        """Returns the values that each variable can take.

        Raises:
            ValueError: if there are infinitely many.
        """
        raise ValueError(
            f"`conditionals` must be discrete for its states to be listed. Received: {self.name}"
        )

    def select(self, variables: npt.NDArray[np.int64]) -> Conditionals:
        """Returns the family of these variables alone, in this order.

        Args:
            variables: indices, an array; or an int32 tensor, for an order that
                is not known beforehand. The family of a tensor takes as many
                features and parameters for each variable as the largest has.
        """
        del variables
        return self

    @classmethod
    def from_data(cls, x: npt.ArrayLike) -> Conditionals:
        """Returns the family with what it needs to know taken from data `[N, D]`."""
        del x
        return cls()

    def get_config(self) -> dict:
        """Returns the constructor's arguments as plain Python values."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> Conditionals:
        """Makes the family from what `get_config` returned."""
        return cls(**config)


def as_float32(*tensors):
    """Returns the tensors in float32, in which all densities are computed."""
    return tuple(ops.cast(tensor, "float32") for tensor in tensors)


def register(cls):
    """Registers a family with Keras' serialization."""
    return keras.saving.register_keras_serializable(package="made_tf")(cls)
