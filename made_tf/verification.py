"""Checkers anyone can run: is this model autoregressive, masked and normalised?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from made_tf.models.context import check_presence
from made_tf.models.made import MADE
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import BoolArray
from made_tf.portable.rows import plain_array

__all__ = [
    "AutoregressiveReport",
    "check_autoregressive",
    "mask_violations",
    "not_finite",
    "row_pairs",
    "sum_of_states",
    "total_probability",
]

_MAX_VARIABLES = 20
_MAX_STATES = 2**20
_CHUNK = 8192  # rows scored at once


@dataclasses.dataclass(frozen=True, eq=False)
class AutoregressiveReport:
    """Which output was seen to depend on which input.

    Attributes:
        depends: boolean `[D_out, D_in]`, from changing each input and watching
            every output.
        allowed: boolean `[D_out, D_in]`, what the order allows.
        connected: boolean `[D_out, D_in]`, where a path of live, nonzero weights
            leads, whether a row made it matter or not.
    """

    depends: BoolArray
    allowed: BoolArray
    connected: BoolArray

    @property
    def violations(self) -> list[tuple[int, int]]:
        """Pairs (output, input), from 0, where an output sees an input that it must not."""
        seen = (self.depends | self.connected) & ~self.allowed
        return [(int(i), int(j)) for i, j in np.argwhere(seen)]

    @property
    def holds(self) -> bool:
        """Whether the model is autoregressive in its order."""
        return not self.violations

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        if self.holds:
            return (
                f"autoregressive: {int(self.depends.sum())} dependencies seen, all of them among "
                f"the {int(self.allowed.sum())} that the order allows"
            )
        pairs = ", ".join(f"output {i} sees input {j}" for i, j in self.violations[:10])
        return f"NOT autoregressive, {len(self.violations)} violations: {pairs}"


def check_autoregressive(
    model: MADE, num_rows: int = 8, seed: int = 0, context: Any = None
) -> AutoregressiveReport:
    """Finds which output depends on which input, in two independent ways.

    By perturbation: each input is set to another value of its support in
    several random rows, and every output is compared bit by bit (a masked
    weight contributes nothing, not something small). And by structure: along
    the weights that the layers use, where they are not zero, which also finds
    what no row happened to show (a ReLU that is off in all of them).

    Args:
        model: the model; its size is no limit, its D costs D forward passes.
        num_rows: how many random rows are perturbed.
        seed: seed of the rows, and of a random context.
        context: of a model with a context, the one at which to check: `[W]`, by
            default random, or what its Keras model takes, with one row.

    Returns:
        The report; it is true where the property holds.

    Raises:
        ValueError: if `model` is no `MADE` or gives parameters that are not
            finite, `num_rows` is not a positive integer, or the context does
            not suit the model.
    """
    if not isinstance(model, MADE):
        raise ValueError(f"`model` must be a made_tf.MADE. Received: model={model!r}")
    num_rows = integer("num_rows", num_rows)
    rng = np.random.default_rng(seed)
    rows, others = row_pairs(model, rng, num_rows)
    conditioning = model.conditioning
    if conditioning is not None and conditioning.encoder is None and context is None:
        context = rng.normal(size=conditioning.size)
    vectors = model.encode_context(_repeated(_one_context(model, context), num_rows))
    variable_of = model.conditionals.layout.parameters.owners
    base = _parameters(model, rows, vectors)
    if not np.isfinite(base).all():
        raise ValueError("`model` must give finite parameters. Received: NaN or infinity")
    depends = np.zeros((model.event_size, model.event_size), bool)
    for j in range(model.event_size):
        changed = rows.copy()
        changed[:, j] = others[:, j]
        moved = (_parameters(model, changed, vectors) != base).any(axis=0)
        np.logical_or.at(depends[:, j], variable_of, moved)
    return AutoregressiveReport(
        depends,
        allowed=model.degrees.direct_mask().T,
        connected=_connected(model),
    )


def total_probability(model: MADE, context: Any = None) -> float:
    """Sums the probabilities of all states; 1 for a normalised density.

    Args:
        model: a model with discrete conditionals, at most 20 variables and
            2^20 states.
        context: of a model with a context, the one given which to sum: `[W]`, or
            what its Keras model takes, with one row.

    Returns:
        The sum, in double precision.

    Raises:
        ValueError: if the states are too many, or infinitely many, or the
            context does not suit the model.
    """
    one = _one_context(model, context)
    if model.event_size > _MAX_VARIABLES:
        raise ValueError(
            f"`model` must have at most {_MAX_VARIABLES} variables for its states to be "
            f"enumerated. Received: event_size={model.event_size}"
        )
    states = model.conditionals.finite_states()
    count = math.prod(len(values) for values in states)
    if count > _MAX_STATES:
        raise ValueError(
            f"`model` must have at most {_MAX_STATES} states. Received: {count} states"
        )
    if one is None:
        return sum_of_states(states, model.log_prob)
    return sum_of_states(
        states, lambda rows: model.log_prob(rows, context=_repeated(one, len(rows)))
    )


def sum_of_states(states: list, log_prob: Callable) -> float:
    """Sums the probabilities of all combinations of values, in double precision.

    Args:
        states: the values of each variable.
        log_prob: from rows `[N, D]` to log-probabilities `[N]`, in nats.
    """
    sizes = [len(values) for values in states]
    count, total = math.prod(sizes), 0.0
    for start in range(0, count, _CHUNK):
        index = np.unravel_index(np.arange(start, min(start + _CHUNK, count)), sizes)
        rows = np.stack([values[i] for values, i in zip(states, index, strict=True)], axis=1)
        log_probs = ops.convert_to_numpy(log_prob(rows)).astype(np.float64)
        total += float(np.exp(log_probs).sum())
    return total


def mask_violations(model: MADE) -> dict[str, int]:
    """Counts the stored weights off the mask that are not zero, layer by layer.

    The forward pass masks again, so that the density is right even where this
    is not zero; it shows that something wrote past the constraint (a custom
    loop, an average of weights), which the next `fit` step or
    `MaskedDense.project` mends.

    Returns:
        Layer name -> number of weights, 0 where the stored kernel is masked;
        nothing for a model of many masks, whose stored kernels are not.
    """
    return {
        layer.name: int(np.count_nonzero(ops.convert_to_numpy(layer.kernel)[~layer.mask.numpy()]))
        for layer in model.masked_layers()
        if model.mask_sets.is_fixed
    }


def not_finite(model: MADE) -> list[str]:
    """Lists the layers in which a weight in use, or a bias, is NaN or infinite.

    What the mask forbids does not count: the forward pass never reads it. Of a
    context the layers that add it and those that encode it are looked at, too.

    Returns:
        Layer names; none for a model that can be sampled and exported.
    """

    def is_finite(weight) -> bool:
        return bool(np.isfinite(ops.convert_to_numpy(ops.cast(weight, "float32"))).all())

    found = [
        layer.name
        for layer in model.masked_layers()
        if not is_finite(layer.masked_kernel())
        or (layer.bias is not None and not is_finite(layer.bias))
    ]
    beside = (*model.context_layers, *model.evidence_layers)
    found += [each.name for each in beside if not all(map(is_finite, each.weights))]
    if model.family_weights is not None:
        found += [each.path for each in model.family_weights.weights if not is_finite(each)]
    if model.context_encoder is not None:
        wrong = [weight.path for weight in model.context_encoder.weights if not is_finite(weight)]
        found += dict.fromkeys(path.rsplit("/", 1)[0] for path in wrong)
    return found


def _one_context(model: MADE, context: Any) -> Any:
    """Returns one context with an axis of one row; `None` for a model without a context.

    Raises:
        ValueError: if it is missing, given to a model without one, or of another shape.
    """
    conditioning = model.conditioning
    check_presence(conditioning, context)
    if context is None:
        return None
    if conditioning.encoder is None:
        vector = plain_array("context", context)
        if vector.shape != (conditioning.size,) or not np.isfinite(vector).all():
            raise ValueError(
                f"`context` must be finite, of shape [{conditioning.size}]. "
                f"Received: context.shape={vector.shape}"
            )
        return vector[None].astype(np.float32)
    arrays = conditioning.arrays(context)
    shapes = [tuple(np.shape(part)) for part in keras.tree.flatten(arrays)]
    if any(shape[:1] != (1,) for shape in shapes):
        raise ValueError(
            "`context` must be what the model's encoder takes, with one row. "
            f"Received: parts of shapes {shapes}"
        )
    return arrays


def _repeated(context: Any, num_rows: int) -> Any:
    """Returns one context so many times; `None` for none."""
    if context is None:
        return None
    return keras.tree.map_structure(lambda part: np.repeat(part, num_rows, axis=0), context)


def _connected(model: MADE) -> BoolArray:
    """Follows the weights in use that are not zero: `[D_out, D_in]`, where a path leads."""
    layout, size = model.conditionals.layout, model.event_size
    features = layout.features.repeat(np.eye(size, dtype=np.float32))

    def through(reach, layer):  # [D_in, in] -> [D_in, out]
        kernel = ops.convert_to_numpy(ops.cast(layer.masked_kernel(), "float32"))
        return ((reach @ (kernel != 0)) > 0).astype(np.float32)

    reach = features
    for index, layer in enumerate(model.hidden_layers):
        before, reach = reach, through(reach, layer)
        if model.residual and index:
            reach = np.maximum(reach, before)
    total = np.zeros((size, layout.parameters.total))
    if model.output_layer is not None:
        total += through(reach, model.output_layer)
    if model.direct_layer is not None:
        total += through(features, model.direct_layer)
    return np.logical_or.reduceat(total > 0, layout.parameters.starts, axis=1).T


def row_pairs(model: MADE, rng: np.random.Generator, num_rows: int):
    """Returns random rows `[num_rows, D]`, and as many that differ in every variable."""
    family = model.conditionals
    shape = num_rows, family.num_uniforms

    def draw():  # from conditionals of all kinds, to be where the data may be
        params = rng.normal(scale=3.0, size=(num_rows, family.layout.parameters.total))
        uniforms = rng.uniform(1e-6, 1 - 1e-6, size=shape).astype(np.float32)
        return np.array(family.sample(params.astype(np.float32), uniforms))

    rows, others = draw(), draw()
    for column, values in enumerate(family.states()):
        if values is not None:  # all of them as probable
            index = rng.integers(0, len(values), size=num_rows)
            other = (index + rng.integers(1, len(values), size=num_rows)) % len(values)
            rows[:, column], others[:, column] = values[index], values[other]
    return rows, others


def _parameters(model: MADE, rows: np.ndarray, vectors: Any) -> np.ndarray:
    params = model.parameters(rows.astype(np.float32), vectors)
    return ops.convert_to_numpy(ops.cast(params, "float32"))
