"""Orders, degrees and boolean masks: the whole of MADE's bookkeeping, in NumPy.

Every unit of the network carries a *degree*. An input's degree is its place in
the order, 1..D. A hidden unit of degree m sees the inputs of degree <= m, and
the output of degree d sees the hidden units of degree < d, so that output d
depends on the inputs of degree < d and on nothing else (Germain et al. 2015,
arXiv:1502.03509, equations 8, 9, 12 and 13).

Masks are boolean and in kernel orientation, `[in, out]`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from made_tf.portable.arguments import integer
from made_tf.portable.arrays import BoolArray, IntArray

__all__ = [
    "Degrees",
    "comes_first",
    "connectivity",
    "degrees_to_mask",
    "evidence_first",
    "make_degrees",
    "unreachable",
]

InputOrder = Literal["natural", "random"] | Sequence[int] | npt.NDArray[np.integer]
HiddenDegrees = Literal["equal", "early", "random"] | Sequence[Sequence[int]]


def degrees_to_mask(
    in_degrees: npt.ArrayLike, out_degrees: npt.ArrayLike, strict: bool = False
) -> BoolArray:
    """Returns the mask between two layers of units with the given degrees.

    Args:
        in_degrees: integer degrees of the incoming units, shape `[in]`.
        out_degrees: integer degrees of the outgoing units, shape `[out]`.
        strict: `False` for a hidden layer (`out >= in`, equation 12), `True`
            for outputs and direct input-to-output connections (`out > in`,
            equation 13).

    Returns:
        Boolean array `[in, out]`, `True` where a connection is allowed.

    Example:
        >>> degrees_to_mask([1, 2], [1, 2], strict=True).astype(int)
        array([[0, 1],
               [0, 0]])
    """
    compare = np.less if strict else np.less_equal
    return compare(np.asarray(in_degrees)[:, None], np.asarray(out_degrees)[None, :])


@dataclasses.dataclass(frozen=True, eq=False)
class Degrees:
    """The degrees of one MADE network: all that its masks are made of.

    Attributes:
        inputs: the `input_order`, shape `[D]`: `inputs[i]` is the place, 1..D,
            at which variable i is generated.
        hidden: one integer array per hidden layer.
    """

    inputs: IntArray
    hidden: tuple[IntArray, ...]

    @property
    def event_size(self) -> int:
        """The number of variables, D."""
        return len(self.inputs)

    @property
    def generation_order(self) -> IntArray:
        """Indices of the variables in the order in which they are generated.

        This is the inverse permutation of `inputs` (counted from 0).
        """
        return np.argsort(self.inputs, kind="stable")

    def masks(self) -> list[BoolArray]:
        """Returns the masks of all hidden layers, then that of the outputs."""
        layers = [self.inputs, *self.hidden]
        masks = [degrees_to_mask(a, b) for a, b in itertools.pairwise(layers)]
        return [*masks, degrees_to_mask(layers[-1], self.inputs, strict=True)]

    def direct_mask(self) -> BoolArray:
        """Returns the mask `[D, D]` of direct input-to-output connections."""
        return degrees_to_mask(self.inputs, self.inputs, strict=True)


def make_degrees(
    event_size: int,
    hidden_units: Sequence[int],
    input_order: InputOrder = "natural",
    hidden_degrees: HiddenDegrees = "equal",
    seed: int | None = None,
) -> Degrees:
    """Makes the degrees of a network.

    Args:
        event_size: D, the number of variables, at least 1.
        hidden_units: the width of each hidden layer.
        input_order: `"natural"` (1..D), `"random"` (a seeded permutation), or
            an explicit permutation of 1..D, entry i being the place of
            variable i.
        hidden_degrees: `"equal"` (evenly spread over 1..D-1), `"early"` (the
            squares of an even spread: more units of low degree, which see fewer
            inputs and are seen by more outputs; with less than about 2 D units
            some degrees have none), `"random"` (each unit draws from
            [smallest degree of the layer before, D-1], and the layer is sorted),
            or explicit degrees, one sequence for each layer.
        seed: seed of the random choices; `None` draws fresh ones.

    Returns:
        A `Degrees`. Random choices come from one generator, so that layers of
        equal width get different degrees.

    Raises:
        ValueError: if an argument is out of range or contradicts another.
    """
    event_size = integer("event_size", event_size)
    widths = [integer("hidden_units", units) for units in _as_sequence(hidden_units)]
    if seed is not None:
        seed = integer("seed", seed, low=0)
    rng = np.random.default_rng(seed)
    inputs = _make_input_order(event_size, input_order, rng)
    hidden = _make_hidden_degrees(event_size, widths, hidden_degrees, rng)
    return Degrees(inputs, tuple(hidden))


def connectivity(degrees: Degrees, direct_connections: bool = False) -> BoolArray:
    """Returns which output depends on which input.

    Args:
        degrees: the degrees of the network.
        direct_connections: whether inputs also connect to outputs directly.

    Returns:
        Boolean array `[D_out, D_in]`: `True` where a path exists.
    """
    if direct_connections:
        # Every other path respects the order too, so it adds nothing.
        return degrees.direct_mask().T
    # Units of equal degree have equal paths: one of each is enough.
    reduced = Degrees(degrees.inputs, tuple(np.unique(layer) for layer in degrees.hidden))
    reach = np.eye(degrees.event_size, dtype=bool)
    for mask in reduced.masks():
        reach = (reach.astype(np.float32) @ mask.astype(np.float32)) > 0
    return reach.T


def unreachable(degrees: Degrees, direct_connections: bool = False) -> list[tuple[int, int]]:
    """Lists the dependencies that the order allows and the network cannot express.

    With too few hidden units some output has no path from an input that comes
    before it; the density is still normalised, but less expressive.

    Args:
        degrees: the degrees of the network.
        direct_connections: whether inputs also connect to outputs directly.

    Returns:
        Pairs `(output, input)` of variable indices, counted from 0.
    """
    missing = degrees.direct_mask().T & ~connectivity(degrees, direct_connections)
    return [(int(i), int(j)) for i, j in np.argwhere(missing)]


def _make_input_order(
    event_size: int, input_order: InputOrder, rng: np.random.Generator
) -> IntArray:
    if isinstance(input_order, str):
        if input_order == "natural":
            return np.arange(1, event_size + 1)
        if input_order == "random":
            return rng.permutation(event_size) + 1
        raise ValueError(
            "`input_order` must be 'natural', 'random' or a permutation of 1..event_size. "
            f"Received: input_order={input_order!r}"
        )
    order = _int_array("input_order", input_order)
    if order.shape != (event_size,) or not np.array_equal(
        np.sort(order), np.arange(1, event_size + 1)
    ):
        raise ValueError(
            f"`input_order` must be a permutation of 1..{event_size} (each place once). "
            f"Received: input_order={input_order!r}"
        )
    return order


def _make_hidden_degrees(
    event_size: int,
    widths: list[int],
    hidden_degrees: HiddenDegrees,
    rng: np.random.Generator,
) -> list[IntArray]:
    highest = max(1, event_size - 1)  # D = 1: the units exist, and reach no output
    if isinstance(hidden_degrees, str):
        if hidden_degrees == "equal":
            return [np.rint(np.linspace(1, highest, units)).astype(np.int64) for units in widths]
        if hidden_degrees == "early":
            return [
                np.rint(1 + (highest - 1) * np.linspace(0, 1, units) ** 2).astype(np.int64)
                for units in widths
            ]
        if hidden_degrees == "random":
            layers: list[IntArray] = []
            lowest = 1
            for units in widths:
                # Units of a layer are interchangeable: in the order of their degrees, their
                # kernels are staircases, which cost half (made_tf.networks.staircase).
                layers.append(np.sort(rng.integers(lowest, highest, size=units, endpoint=True)))
                lowest = int(layers[-1].min())
            return layers
        raise ValueError(
            "`hidden_degrees` must be 'equal', 'early', 'random' or one sequence of degrees for "
            f"each hidden layer. Received: hidden_degrees={hidden_degrees!r}"
        )
    explicit = [
        _int_array(f"hidden_degrees[{index}]", layer)
        for index, layer in enumerate(_as_sequence(hidden_degrees, "hidden_degrees"))
    ]
    if [len(layer) for layer in explicit] != widths:
        raise ValueError(
            f"`hidden_degrees` must give one degree for each hidden unit, widths {widths}. "
            f"Received widths: {[len(layer) for layer in explicit]}"
        )
    for index, layer in enumerate(explicit):
        if layer.min() < 1 or layer.max() > highest:
            raise ValueError(
                f"`hidden_degrees[{index}]` must lie in 1..{highest} for event_size={event_size}. "
                f"Received degrees from {layer.min()} to {layer.max()}"
            )
    return explicit


def _as_sequence(values: object, name: str = "hidden_units") -> Sequence:
    if isinstance(values, Sequence | np.ndarray) and not isinstance(values, str):
        return values  # type: ignore[return-value]
    raise ValueError(f"`{name}` must be a sequence. Received: {name}={values!r}")


def _int_array(name: str, values: object) -> IntArray:
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"`{name}` must be a sequence of integers. Received: {name}={values!r}")
    return array.astype(np.int64)


def evidence_first(order: npt.NDArray[np.integer], *known: Any) -> npt.NDArray[np.int32]:
    """Moves variables to the front of an order, which otherwise stays as it is.

    Args:
        order: degrees of the inputs, a permutation of 1..D.
        *known: booleans `[D]`: what comes first, what comes next, ...

    Returns:
        The new degrees of the inputs, int32 `[D]`.
    """
    rank = np.zeros(len(order), np.int64)
    for group in known:
        rank = 2 * rank + ~np.asarray(group, bool)
    degrees = np.empty(len(order), np.int32)
    degrees[np.lexsort((order, rank))] = np.arange(1, len(order) + 1)
    return degrees


def comes_first(order: npt.NDArray[np.int32], *known: BoolArray) -> bool:
    """Returns whether an order has the first group before the second, ..., before the rest."""
    ends = np.cumsum([group.sum() for group in known])
    groups = np.logical_or.accumulate(known)
    return all((order[g] <= end).all() for g, end in zip(groups, ends, strict=True))
