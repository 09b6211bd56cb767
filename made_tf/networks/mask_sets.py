"""Many masks for one set of weights: fixed, K in turn, or fresh ones at every step.

A mask set is the degrees of all units: the order of the inputs, and for each
hidden layer the degrees of its units. Another order is a permutation of 1..D;
another connectivity deals the degrees of a hidden layer out to other units. So
every set has the same multiset of degrees in each layer, and with the units in
the order of their degrees all sets are one and the same staircase: the sampler
needs one plan for all of them, and no set can lose a path that another has.

`resample="evidence"` trains for questions: see `made_tf.networks.evidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf.masks import Degrees, evidence_first
from made_tf.networks import evidence
from made_tf.portable.arguments import integer

__all__ = ["MaskSets", "StackedSets"]

Resample = Literal["both", "order", "connectivity", "evidence"]
MasksPer = Literal["batch", "row"]

_RESAMPLE = ("both", "order", "connectivity", "evidence")
_PER = ("batch", "row")


class StackedSets(tuple[Any, ...]):
    """M mask sets: int32 degrees `[M, units]` of the inputs, then of each hidden layer.

    A tuple, so that it may be the argument of a traced function. Arrays, or tensors of them.
    """

    @property
    def inputs(self) -> Any:
        """The orders: degrees of the inputs, `[M, D]`."""
        return self[0]

    @property
    def hidden(self) -> tuple[Any, ...]:
        """The degrees of each hidden layer, `[M, units]`."""
        return tuple(self[1:])

    @property
    def num_sets(self) -> int:
        """M, the number of sets, where it is known beforehand."""
        return self[0].shape[0]

    def at(self, number: Any) -> list:
        """Returns one set, the number being an integer or a tensor: degrees `[units]` of each."""
        if isinstance(number, int | np.integer):
            return [level[number] for level in self]
        return [ops.take(level, number, axis=0) for level in self]

    def only(self, number: int) -> StackedSets:
        """Returns one set alone, still stacked: `[1, units]` each."""
        return StackedSets(level[number : number + 1] for level in self)

    def evidence_first(self, *known: Any) -> StackedSets:
        """Moves what is known (booleans `[D]`) to the front of each order."""
        orders = np.stack([evidence_first(order, *known) for order in self.inputs])
        return StackedSets([orders, *self.hidden])

    def tensors(self) -> StackedSets:
        """Returns the same as tensors."""
        return StackedSets(ops.convert_to_tensor(level, "int32") for level in self)


class MaskSets:
    """The mask sets of one model, numbered from 0; set 0 has the model's own degrees.

    Args:
        degrees: the model's own degrees.
        num_masks: how many sets training takes in turn; `None` for a fresh one
            each time.
        resample: what differs between sets: the `"order"` of the inputs, the
            `"connectivity"` (which hidden unit has which degree), or `"both"`;
            or the `"evidence"` that comes first in the model's own order.
        masks_per: whether a set serves a `"batch"` or a `"row"`.
        seed: seed of all sets.
        order_groups: which variables stay together: the number of variables in
            each group, or a group number for each variable, `[D]`. Orders then
            differ in the order of the groups alone; within a group the
            variables follow one another as in the model's own order.
        residual: whether all hidden layers have the same degrees in each set.

    Raises:
        ValueError: if an argument is out of range.

    References:
        Germain et al. 2015, arXiv:1502.03509, sections 4.1 and 4.2. There each
        hidden unit draws its degree anew; here the units share out the same
        degrees, which leaves out the sets that happen to lack some.
    """

    def __init__(
        self,
        degrees: Degrees,
        num_masks: int | None = 1,
        resample: Resample = "both",
        masks_per: MasksPer = "batch",
        seed: int = 0,
        order_groups: int | Sequence[int] | None = None,
        residual: bool = False,
    ):
        self.degrees = degrees
        self.order_groups = _groups(order_groups, degrees.event_size)
        if num_masks is not None:
            num_masks = integer("num_masks", num_masks, hint=" or None")
        self.num_masks = num_masks
        self.resample = _one_of("resample", resample, _RESAMPLE)
        self.masks_per = _one_of("masks_per", masks_per, _PER)
        self.seed = integer("seed", seed, 0)
        self.residual = residual
        if self.by_evidence and (num_masks is not None or order_groups is not None):
            raise ValueError(
                "`resample` may be 'evidence' where each step has a fresh mask (num_masks=None) "
                f"and there are no `order_groups`. Received: num_masks={num_masks}, "
                f"order_groups={order_groups!r}"
            )

    @property
    def by_evidence(self) -> bool:
        """Whether masks differ in what comes first, each part in the model's own order."""
        return self.resample == "evidence"

    @property
    def is_fixed(self) -> bool:
        """Whether there is one mask set alone."""
        return self.num_masks == 1

    @property
    def any_order(self) -> bool:
        """Whether training sees every order, so that any one may be asked for."""
        grouped = self.order_groups is not None
        return self.num_masks is None and self.resample != "connectivity" and not grouped

    def first(self, count: int) -> StackedSets:
        """Returns the sets 0 to `count - 1`.

        Set i follows from the seed and i alone: its permutations sort the output of NumPy's
        Philox bit generator, whose stream is fixed.

        Raises:
            ValueError: if `count` is more than `num_masks`.
        """
        count = self.check_count(count)
        return StackedSets(
            self._each_level(
                lambda level: np.stack([self._level(level, index) for index in range(count)])
            )
        )

    def check_count(self, count: int) -> int:
        """Raises a ValueError if there are less than `count` sets."""
        count = integer("num_orders", count)
        if self.num_masks is not None and count > self.num_masks:
            raise ValueError(
                f"`num_orders` must be at most the number of masks that the model was made for, "
                f"num_masks={self.num_masks}. Received: num_orders={count}"
            )
        return count

    def at_step(self, step, num_rows=None) -> list:
        """Returns the set that training uses at a step, as tensors.

        Args:
            step: the number of steps before, an integer scalar tensor.
            num_rows: N, where rows have sets of their own.

        Returns:
            Degrees of the inputs and of each hidden layer, and of the outputs where
            these are not those of the inputs: int32 `[units]`, or `[N, units]` with
            a set for each row.
        """
        step = ops.cast(step, "int32")
        by_row = self.masks_per == "row"
        if self.num_masks is None:
            rows = num_rows if by_row else None
            if self.by_evidence:
                own = self._each_level(self._own)
                uniforms = keras.random.uniform(
                    evidence.uniforms_shape(self.degrees.event_size, rows),
                    seed=_Key(self.seed, 0, step),
                )
                inputs, outputs = evidence.fresh_degrees(own[0], uniforms)
                return [inputs, *map(ops.convert_to_tensor, own[1:]), outputs]
            return self._each_level(lambda level: self._fresh(level, step, rows))
        index = step % self.num_masks
        if by_row:
            index = (step * num_rows + ops.arange(num_rows, dtype="int32")) % self.num_masks
        return self.first(self.num_masks).at(index)

    def one_known(self, step, num_rows):
        """Returns a random variable of each row, one-hot: float32 `[N, D]`.

        Args:
            step: as in `at_step`.
            num_rows: N.
        """
        size = self.degrees.event_size
        key = _Key(self.seed, 1, ops.cast(step, "int32"))  # level 0 has the step's own set
        chosen = keras.random.randint((num_rows,), 0, size, seed=key)
        return ops.one_hot(chosen, size, dtype="float32")

    def parts_at_step(self, step, num_rows):
        """Returns what training knows of each row, and shows of it: float32 `[N, D]` twice.

        Args:
            step: as in `at_step`.
            num_rows: N.
        """
        key = _Key(self.seed, 2, ops.cast(step, "int32"))
        shape = evidence.uniforms_of_parts(self.degrees.event_size, num_rows)
        return evidence.fresh_parts(keras.random.uniform(shape, seed=key))

    def few_at_step(self, step, num_rows):
        """Returns the same of rows that know or show few variables, or none."""
        key = _Key(self.seed, 3, ops.cast(step, "int32"))
        shape = evidence.uniforms_of_few(self.degrees.event_size, num_rows)
        return evidence.few_parts(keras.random.uniform(shape, seed=key))

    def _each_level(self, make: Callable[[int], Any]) -> list:
        if self.residual:  # one array for all hidden layers, so that they cannot differ
            return [make(0), *[make(1)] * len(self.degrees.hidden)]
        return [make(level) for level in range(1 + len(self.degrees.hidden))]

    def _own(self, level: int) -> npt.NDArray[np.int32]:
        own = self.degrees.inputs if level == 0 else self.degrees.hidden[level - 1]
        return own.astype(np.int32)

    def _varies(self, level: int) -> bool:
        if self.by_evidence:
            return level == 0
        return self.resample != ("connectivity" if level == 0 else "order")

    def _level(self, level: int, index: int) -> npt.NDArray[np.int32]:
        own = self._own(level)
        if index == 0 or not self._varies(level):
            return own
        generator = np.random.Philox(key=self.seed, counter=[0, level, index, 0])
        if self.by_evidence:
            return evidence_first(own, evidence.drawn(generator.random_raw(len(own) + 1)))
        if level == 0 and self.order_groups is not None:
            words = generator.random_raw(self.order_groups.max() + 1)
            order = np.lexsort((own, words[self.order_groups]))
            return (np.argsort(order, kind="stable") + 1).astype(np.int32)
        words = generator.random_raw(len(own))
        return own[np.argsort(words, kind="stable")]

    def _fresh(self, level: int, step, num_rows):
        own = self._own(level)
        shape = (len(own),) if num_rows is None else (num_rows, len(own))
        if not self._varies(level):
            return ops.broadcast_to(ops.convert_to_tensor(own), shape)
        key = _Key(self.seed, level, step)
        if level == 0 and self.order_groups is not None:
            count = int(self.order_groups.max()) + 1
            uniforms = keras.random.uniform((*shape[:-1], count), seed=key)
            rank = ops.argsort(ops.argsort(uniforms, axis=-1), axis=-1)  # of each group
            place = ops.take(ops.cast(rank, "int32"), self.order_groups, axis=-1)
            place = place * (len(own) + 1) + own
            return ops.cast(ops.argsort(ops.argsort(place, axis=-1), axis=-1) + 1, "int32")
        uniforms = keras.random.uniform(shape, seed=key)
        return ops.take(own, ops.argsort(uniforms, axis=-1), axis=0)


class _Key(keras.random.SeedGenerator):
    """A seed for `keras.random` that is made from a step's number in the graph.

    Keras' own generators count by themselves, in a variable that neither its
    files nor TensorFlow's checkpoints keep; here the model keeps the count.
    """

    def __init__(self, seed: int, level: int, step):
        dtype = "uint32" if keras.backend.backend() == "jax" else "int32"
        key = (seed * 0x9E3779B1 + level * 0x85EBCA77) % 2**31
        self._pair = ops.stack([ops.cast(key, dtype), ops.cast(step, dtype)])

    def next(self, ordered=True):
        """Returns the pair."""
        del ordered
        return self._pair


def _groups(groups: Any, event_size: int) -> npt.NDArray[np.int32] | None:
    """Returns the number of each variable's group, 0, 1, ...: int32 `[D]`."""
    if groups is None:
        return None
    if np.ndim(groups) == 0:
        length = integer("order_groups", groups, hint=", group numbers or None")
        if event_size % length:
            raise ValueError(
                f"`order_groups` must divide the number of variables, {event_size}. "
                f"Received: order_groups={groups!r}"
            )
        return np.repeat(np.arange(event_size // length, dtype=np.int32), length)
    numbers = np.asarray(groups)
    if numbers.shape != (event_size,) or numbers.dtype.kind not in "iu":
        raise ValueError(
            f"`order_groups` must be an integer or a group number for each of {event_size} "
            f"variables. Received: order_groups={groups!r}"
        )
    return np.unique(numbers, return_inverse=True)[1].reshape(-1).astype(np.int32)


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> Any:
    if isinstance(value, str) and value in choices:
        return value
    raise ValueError(f"`{name}` must be one of {list(choices)}. Received: {name}={value!r}")
