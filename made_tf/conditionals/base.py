"""What an output family is to the model, the sampler, the distribution and the export."""

from __future__ import annotations

import abc
from typing import Any, Self

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf.conditionals.columns import Columns
from made_tf.conditionals.regions import Region
from made_tf.conditionals.starts import Start
from made_tf.portable.rows import finite_table

__all__ = ["FAMILIES", "Conditionals", "as_float32", "register"]


_LONG = 500  # characters of a config that a text shows


class Conditionals(Columns):
    """One family of conditional distributions p(x_k | x_<k), for one or more columns.

    A family is made with what it needs to know (`Categorical(num_classes=5)`) and then bound, once,
    to its columns: `family.bind(D)`, which `MADE` does. What depends on the columns (their number,
    what each of them is, where its features and parameters lie) is known from then on.

    The network sees the features of all columns, `[N, F]`, and gives their parameters, `[N, P]`;
    `layout` tells which are whose. All features of a column have its degree.

    Values are floats `[N, D]`. Methods are pure functions of tensors, written
    with `keras.ops` that convert to builtin LiteRT operators. Densities are
    computed in float32, in nats.

    A new family is one subclass with the decorator `register`, in a file of its own that
    `made_tf.conditionals` imports.
    """

    #: The support in words, for error messages.
    support: str
    #: Whether `transform_at` knows the conditionals to the power 1 / T.
    has_temperature: bool = True

    # What it computes.

    def typical(self) -> npt.NDArray[np.float32]:
        """Returns a value that each column can take, `[D]`: about the middle, given zeros."""
        params = np.zeros((1, self.layout.parameters.total), np.float32)
        uniforms = np.full((1, self.num_uniforms), 0.5, np.float32)
        return ops.convert_to_numpy(self.sample(params, uniforms))[0]

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
        """Turns uniforms into values of the conditionals: `[N, P]`, `[N, U]` -> `[N, D]`.

        Each value is a function of its own uniforms alone, monotone in the last of them: by the
        inverse of a cumulative distribution from one end or the other. U is `num_uniforms`, and
        the uniforms lie strictly between 0 and 1, see `made_tf.sampling.random.row_uniforms`.
        """
        return self.transform(params, self.noise(uniforms))

    def noise(self, uniforms):
        """Returns what of `sample` no parameter changes: `[N, U]` -> `[N, D]` or `[N, D, C]`.

        The sampler computes it once, for all columns in their own order. C is how many uniforms
        the column with the most takes, where that is more than one.
        """
        return uniforms

    @abc.abstractmethod
    def transform(self, params, noise):
        """Returns the rest of `sample`: `[N, P]`, noise as from `noise` -> values `[N, D]`."""

    def transform_nearby(self, params, noise, slack: float):
        """Returns the lowest and the highest value that rounding may make of `transform`.

        Args:
            params: `[N, P]`.
            noise: as from `noise`.
            slack: how far, relatively, rounding may move a number that is then put on a grid.

        Returns:
            Values `[N, D]` twice; equal where nothing is put on a grid.
        """
        del slack
        x = self.transform(params, noise)
        return x, x

    def transform_at(self, params, noise, temperature):
        """Returns `transform` for the conditionals to the power 1 / T, made to sum to 1 again.

        Args:
            params: `[N, P]`.
            noise: `[N, D]`.
            temperature: T, float32 `[N, 1]`, positive. At 1 nothing changes;
                towards 0 only the most probable value is left.

        Raises:
            ValueError: if the family does not know them (`has_temperature`).
        """
        self.check_temperature()
        # Of logits: a logit is the log of a probability, up to what normalises it.
        return self.transform(as_float32(params)[0] / temperature, noise)

    def check_temperature(self) -> None:
        """Raises unless the family `has_temperature`.

        Raises:
            ValueError: if it has none.
        """
        if not self.has_temperature:
            raise ValueError(
                "`temperature` needs conditionals that have one: Bernoulli, Categorical, Ordinal "
                f"or Normal columns. Received: {self.name}"
            )

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

    def transform_in(self, params, noise, region: Region):
        """Returns `transform` for the conditionals restricted to regions.

        Args:
            params: `[N, P]`.
            noise: as from `noise`.
            region: what each column may be.
        """
        return self.transform_within(params, noise, region.allowed)

    def log_prob_in(self, params, region: Region):
        """Returns log P(x_k is in its region | x_<k) in nats: `[N, P]` -> `[N, D]`."""
        return self.log_prob_within(params, region.allowed)

    @abc.abstractmethod
    def in_support(self, x):
        """Returns, for each value of `[N, D]`, whether it can occur (NaN never can)."""

    def on_line(self, x):
        """Returns, for each value of `[N, D]`, whether it is one that intervals are made of."""
        return ops.zeros_like(x, dtype="bool")

    def distribution(self, params):
        """Returns the same as a `tfd.Distribution`: batch shape `[N]`, event shape `[D]`."""
        from made_tf.conditionals.column_distribution import column_distribution

        return column_distribution(self, params)

    @classmethod
    def from_data(cls, x: npt.ArrayLike, **options: Any) -> Self:
        """Returns the family that data `[N, D]` need, bound to their columns.

        Args:
            x: rows `[N, D]`.
            **options: arguments of the constructor that the data do not determine.

        Raises:
            ValueError: if `x` is no table of finite numbers, or these do not suit the family.
        """
        x = finite_table("x", x)
        family = cls.of_table(x, **options)
        family.check_table(x)
        return family

    def check_table(self, x: npt.NDArray) -> None:
        """Raises unless all values of a table `[N, D]` lie in the support.

        Raises:
            ValueError: if one does not.
        """
        wrong = np.argwhere(~keras.ops.convert_to_numpy(self.in_support(x.astype(np.float32))))
        if len(wrong):
            row, column = wrong[0]
            raise ValueError(self.refusal("`x`", column, f"x[{row}, {column}]={x[row, column]}"))

    def refusal(self, name: str, column: int, received: str) -> str:
        """Returns what to say of a value outside the support.

        Args:
            name: what holds the values, as the text is to begin.
            column: which column the value is in.
            received: the value, and where it is.
        """
        del column
        return (
            f"{name} must contain, for {self.name} conditionals, {self.support} only. "
            f"Received: {received}"
        )

    @classmethod
    def of_table(cls, x: npt.NDArray, **options: Any) -> Self:
        """Returns what `from_data` does, whether all values lie in the support or not."""
        return cls(**options).bind(x.shape[1])

    def start(self, x: npt.NDArray) -> Start:
        """Returns where a network of these columns best starts to learn from data.

        Of classes and bins: at their frequencies. Families whose zeros mean what data need (by
        quantiles, `counts`) start there.

        Args:
            x: rows `[N, D]`; NaN counts as no value.
        """
        del x
        return Start(np.zeros(self.layout.parameters.total, np.float32), {})

    # How it is told, and kept in files.

    def describe(self) -> str:
        """Returns the family's name and arguments, cut where they are long."""
        config = str(self.get_config())
        return f"{self.name} with {config if len(config) <= _LONG else config[:_LONG] + '...'}"

    @classmethod
    def from_config(cls, config: dict) -> Self:
        """Makes the family from what `get_config` returned."""
        return cls(**config)


def as_float32(*tensors):
    """Returns the tensors in float32, in which all densities are computed."""
    return tuple(ops.cast(tensor, "float32") for tensor in tensors)


#: All families by name.
FAMILIES: dict[str, type[Conditionals]] = {}


def register(cls):
    """Gives a family its name in `FAMILIES`, and registers it with Keras' serialization."""
    FAMILIES[cls.name] = cls
    return keras.saving.register_keras_serializable(package="made_tf")(cls)
