"""What an output family is to the model, the sampler, the distribution and the export."""

from __future__ import annotations

import abc
import copy
import json
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf.conditionals.layout import Layout
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import BoolArray, IntArray
from made_tf.portable.rows import finite_table

__all__ = ["FAMILIES", "Conditionals", "as_float32", "register", "take_columns"]


class Conditionals(abc.ABC):
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

    #: The family's name in `MADE(conditionals=...)`.
    name: str
    #: The support in words, for error messages.
    support: str
    #: The constructor's arguments that have an entry for each column, or one for all.
    per_column: tuple[str, ...] = ()
    #: Whether `transform_at` knows the conditionals to the power 1 / T.
    has_temperature: bool = True

    _layout: Layout | None = None
    _constants: dict[str, Any] = {}  # noqa: RUF012 - never changed, only replaced

    # What the family knows of its columns.

    def bind(self, event_size: int) -> Self:
        """Returns the family of so many columns; a family that is bound stays as it is.

        Raises:
            ValueError: if it was made for, or is bound to, another number of columns.
        """
        event_size = integer("event_size", event_size)
        if self._layout is not None:
            if self.event_size != event_size:
                raise ValueError(
                    f"The family {self.name!r} must have {event_size} columns. "
                    f"Received: one that is bound to {self.event_size}"
                )
            return self
        bound = copy.copy(self)
        bound._constants = self.make_constants(event_size)
        bound._layout = self.make_layout(event_size)
        return bound

    @property
    def layout(self) -> Layout:
        """Where each column's features and parameters lie.

        Raises:
            ValueError: if the family is not bound to columns yet.
        """
        if self._layout is None:
            raise ValueError(
                f"The family {self.name!r} must know its columns first: call `bind(event_size)`."
            )
        return self._layout

    @property
    def event_size(self) -> int:
        """The number of columns, D."""
        return self.layout.event_size

    @property
    @abc.abstractmethod
    def is_discrete(self) -> BoolArray:
        """Which columns have isolated points (a probability), not reals (a density): `[D]`."""

    @property
    def channels(self) -> IntArray:
        """How many uniforms a value of each column is made from, `[D]`.

        Of several the last one places the value, and those before choose between kinds of values,
        such as the components of a mixture.
        """
        return np.ones(self.event_size, np.int64)

    @property
    def num_uniforms(self) -> int:
        """How many uniforms a row is made from: the first of all columns, then the second, ..."""
        return int(self.channels.sum())

    @property
    def settles_late(self) -> BoolArray:
        """Which columns' values move with every change of what is before them: `[D]`.

        It decides how the sampler cuts rows into blocks, and no value but for rounding.
        """
        return np.zeros(self.event_size, bool)

    def states(self) -> list[npt.NDArray[np.float32] | None]:
        """Returns the values that each column can take; `None` where there are infinitely many."""
        return [None] * self.event_size

    def typical(self) -> npt.NDArray[np.float32]:
        """Returns a value that each column can take, `[D]`: about the middle, given zeros."""
        params = np.zeros((1, self.layout.parameters.total), np.float32)
        uniforms = np.full((1, self.num_uniforms), 0.5, np.float32)
        return ops.convert_to_numpy(self.sample(params, uniforms))[0]

    def finite_states(self) -> list[npt.NDArray[np.float32]]:
        """Returns the values that each column can take.

        Raises:
            ValueError: if a column has infinitely many.
        """
        states = [values for values in self.states() if values is not None]
        if len(states) < self.event_size:
            raise ValueError(
                "`conditionals` must be discrete for its states to be listed. "
                f"Received: {self.name}"
            )
        return states

    def select(self, columns: Any) -> Self:
        """Returns the family of these columns alone, in this order.

        Args:
            columns: indices, an array; or an int32 tensor `[k]`, or `[n, k]` for rows with columns
                of their own, where they are not known beforehand. The family of a tensor takes as
                many features and parameters for each column as the largest has.
        """
        selected = copy.copy(self)
        selected._layout = self.layout.select(columns)
        selected._constants = {
            name: take_columns(values, columns) for name, values in self._constants.items()
        }
        return selected

    def constant(self, name: str) -> Any:
        """Returns a number that each column has: `[D]`, or as `select` chose; `[]` if all alike."""
        if name not in self._constants:
            _ = self.layout  # which says that the family must know its columns first
        return self._constants[name]

    def together_with(self) -> str:
        """What columns of the family must have in common to be computed at once.

        Columns of equal answers can be `merged`.
        """
        config = self.get_config()
        return json.dumps(
            [type(self).__name__, {k: v for k, v in config.items() if k not in self.per_column}]
        )

    @classmethod
    def merged(cls, families: Sequence[Self]) -> Self:
        """Returns one family of the columns of several bound ones, whose `together_with` is one."""
        config = families[0].get_config()
        for name in cls.per_column:
            if any(family.get_config()[name] is not None for family in families):
                config[name] = [value for family in families for value in family.listed(name)]
        return cls(**config).bind(sum(family.event_size for family in families))

    def listed(self, name: str) -> list:
        """Returns an argument's entries for each column: `[D]`."""
        values = self.get_config()[name]
        return values if isinstance(values, list) else [values] * self.event_size

    # What a family must say, before it is bound.

    @abc.abstractmethod
    def make_layout(self, event_size: int) -> Layout:
        """Returns the layout of so many columns.

        Raises:
            ValueError: if the family was made for another number of columns.
        """

    def make_constants(self, event_size: int) -> dict[str, Any]:
        """Returns numbers of the columns by name: float32 `[D]`, or `[]` if all are alike.

        Raises:
            ValueError: if the family was made for another number of columns.
        """
        del event_size
        return {}

    # What it computes.

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

    @abc.abstractmethod
    def in_support(self, x):
        """Returns, for each value of `[N, D]`, whether it can occur (NaN never can)."""

    def distribution(self, params):
        """Returns the same as a `tfd.Distribution`: batch shape `[N]`, event shape `[D]`."""
        from made_tf.conditionals.column_distribution import column_distribution

        return column_distribution(self, params)

    @classmethod
    def from_data(cls, x: npt.ArrayLike) -> Self:
        """Returns the family that data `[N, D]` need, bound to their columns.

        Raises:
            ValueError: if `x` is no table of finite numbers, or these do not suit the family.
        """
        x = finite_table("x", x)
        family = cls.of_table(x)
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
            raise ValueError(
                f"`x` must contain, for {self.name} conditionals, {self.support} only. "
                f"Received: x[{row}, {column}]={x[row, column]}"
            )

    @classmethod
    def of_table(cls, x: npt.NDArray) -> Self:
        """Returns what `from_data` does, whether all values lie in the support or not."""
        return cls().bind(x.shape[1])

    # How it is kept in files.

    def get_config(self) -> dict:
        """Returns the constructor's arguments as plain Python values."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> Self:
        """Makes the family from what `get_config` returned."""
        return cls(**config)


def as_float32(*tensors):
    """Returns the tensors in float32, in which all densities are computed."""
    return tuple(ops.cast(tensor, "float32") for tensor in tensors)


def take_columns(values, columns):
    """Takes numbers of columns, `[D]` or `[]` if all are alike, by an array or a tensor."""
    if len(values.shape) == 0:
        return values
    if isinstance(values, np.ndarray) and isinstance(columns, np.ndarray):
        return values[columns]
    return ops.take(values, columns, axis=0)


#: All families by name.
FAMILIES: dict[str, type[Conditionals]] = {}


def register(cls):
    """Gives a family its name in `FAMILIES`, and registers it with Keras' serialization."""
    FAMILIES[cls.name] = cls
    return keras.saving.register_keras_serializable(package="made_tf")(cls)
