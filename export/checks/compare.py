"""Whether values of a file are those of its model, up to what rounding explains.

A column of isolated points must agree exactly, but for ties: where a uniform is so
close to a step of the cumulative distribution that rounding decides. A column of
reals must agree within what rounding does to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.conditionals import Conditionals
from made_tf.export.checks.host import SEED, AnyHost, Host
from made_tf.export.checks.report import ExportError
from made_tf.portable.arrays import BoolArray, FloatArray

__all__ = ["check_log_probs", "check_parameters", "check_samples", "same_values"]

_LOG_PROB_TOLERANCE = 1e-4  # nats per row
_RELATIVE_ROUNDING = 1e-6  # of a sum of D logarithms in float32
_TIE = 1e-5  # a uniform this close to a step of the CDF can fall on either side of it
_LARGEST_TIE = 1e-2
_SHIFT = 1e-4  # of a uniform: what it does to a real value is that value's own scale
_OFTEN = 0.98  # of the rows: those whose components rounding does not change
_NUM_MOVED = 8


def check_samples(
    host: AnyHost,
    rows: FloatArray,
    uniforms: Any,
    sets: npt.NDArray[np.int32],
    known: BoolArray | None = None,
    temperature: FloatArray | None = None,
    context: FloatArray | None = None,
) -> None:
    """Each value of a row must be what the host draws after the values before it.

    One step at a time, because after one tie (or in a chaotic continuous
    model) all later values may differ rightly.

    Args:
        host: the model, or an ensemble.
        rows: `[n, D]`, drawn anywhere.
        uniforms: what they were drawn from, `[n, U]`.
        sets: the numbers of their mask sets, `[n]`.
        known: boolean `[D]`, which variables come first and are not drawn.
        temperature: T, `[n]`.
        context: what the rows are conditioned on, `[n, ...]`.

    Raises:
        ExportError: if a value differs by more than a rounding.
    """
    for member, mine, numbers in host.by_member(sets):
        for number in np.unique(numbers):
            own = mine[numbers == number]
            given = None if context is None else context[own]
            params, precise = member.parameters(rows[own], number, known, given)
            wrong = _wrong_values(
                member,
                rows[own],
                tf.gather(uniforms, own),
                params,
                precise,
                None if temperature is None else temperature[own],
            )
            if known is not None:
                wrong &= ~known
            if wrong.any():
                row, column = np.argwhere(wrong)[0]
                raise ExportError(
                    f"The file draws other samples than the model in {wrong.any(axis=1).sum()} of "
                    f"{len(own)} rows, first in row {row}, variable {column}: "
                    f"{rows[own[row], column]}."
                )


def _wrong_values(
    host: Host,
    rows: FloatArray,
    uniforms: Any,
    params: FloatArray,
    precise: FloatArray,
    temperature: FloatArray | None,
) -> BoolArray:
    """Returns which values `[n, D]` are not what the parameters make of the uniforms."""
    family = host.model.conditionals

    def sample(params, shift=0.0) -> list[FloatArray]:
        """Returns the least and the most that other uniforms give, as far as there are others."""
        shifted = tf.cast(tf.clip_by_value(uniforms + shift, 2.0**-24, 1 - 2.0**-24), tf.float32)
        if temperature is None:
            return [each.numpy() for each in host.nearby(tf.constant(params), shifted)]
        noise = family.noise(shifted)
        return [family.transform_at(params, noise, temperature[:, None]).numpy()] * 2

    discrete, channels = family.is_discrete, family.channels
    by_channel = family.columns_of_uniforms()
    owner = np.concatenate(by_channel)  # [U]
    channel = np.repeat(np.arange(len(by_channel)), [len(columns) for columns in by_channel])
    ties = _ties(family, params, precise)  # [n, 1]
    places = channel == channels[owner] - 1  # the others choose a component, a bin, a point
    shift = np.where(places, np.where(discrete[owner], ties, np.float32(_SHIFT)), 0)  # [n, U]
    rounding = np.abs(sample(precise)[0] - sample(params)[0])
    # Where rounding chooses another component the difference is not one of rounding.
    often = np.where(channels > 1, np.quantile(rounding, _OFTEN, axis=0), rounding.max(axis=0))
    wrong = np.ones(rows.shape, bool)
    for moved in _choices(len(by_channel)):
        chosen = np.where(places, 0, ties * moved[channel])
        lower, upper = sample(params, chosen - shift), sample(params, chosen + shift)
        least, most = (end.reduce([*lower, *upper]) for end in (np.minimum, np.maximum))
        expected = sample(params, chosen)[0]
        # Column by column: neither a wide variable nor a far one lends its scale to another.
        tolerance = (most - least) + 8 * often + _RELATIVE_ROUNDING * np.abs(expected)
        far = ~(np.abs(rows - expected) <= tolerance)
        wrong &= np.where(discrete, (rows < least) | (rows > most) | np.isnan(rows), far)
    return wrong


def _choices(num_channels: int) -> FloatArray:
    """Returns by how many ties the uniforms of each channel move: none, or one that chooses.

    Two ties at once are rarer than rows are compared.
    """
    steps = np.eye(num_channels, dtype=np.float32)[:-1]
    return np.concatenate([np.zeros((1, num_channels), np.float32), steps, -steps])


def _ties(family: Conditionals, params: FloatArray, precise: FloatArray) -> FloatArray:
    """Returns how close to a step of the CDF a uniform must be for a tie, `[n, 1]`."""
    of_points = family.layout.parameters.repeat(family.is_discrete)  # [P]
    rounding = np.abs(params - precise).max(axis=1, keepdims=True, initial=0, where=of_points)
    return np.minimum(_TIE + rounding, _LARGEST_TIE)


def check_log_probs(
    host: AnyHost,
    log_prob: FloatArray,
    rows: FloatArray,
    context: FloatArray | None = None,
) -> float:
    """Log-probabilities `[n]` of rows must be the model's, up to what rounding explains.

    Returns:
        The largest difference, in nats.

    Raises:
        ExportError: if one differs by more.
    """
    expected = host.log_prob(rows, context)
    difference = np.abs(log_prob - expected)
    rounding = np.abs(host.precise_log_prob(rows, context) - expected)
    discrete = host.model.conditionals.is_discrete
    if not np.all(discrete):
        # What rounding the values themselves does to the density.
        rng = np.random.default_rng(SEED)
        ulps = rng.choice(np.array([-1, 0, 1], np.float32), (_NUM_MOVED, *rows.shape))
        moved = np.where(discrete, rows, rows + ulps * np.spacing(rows))
        if context is not None:
            context = np.concatenate([context] * _NUM_MOVED)
        again = host.log_prob(moved.reshape(-1, rows.shape[1]), context)
        again = np.abs(again.reshape(_NUM_MOVED, -1) - expected)
        rounding = np.maximum(rounding, again.max(axis=0))
    tolerance = _LOG_PROB_TOLERANCE + _RELATIVE_ROUNDING * np.abs(expected) + 8 * rounding.max()
    if not np.all(difference <= tolerance):
        raise ExportError(
            f"The file's log_prob differs from the model's by up to {difference.max():.3g} nats."
        )
    return float(difference.max())


def check_parameters(
    host: Host,
    found: Mapping[str, FloatArray],
    rows: FloatArray,
    context: FloatArray | None = None,
) -> None:
    """Parameters of rows, by name, must be the model's under its own order.

    Raises:
        ExportError: if one differs by more than rounding explains.
    """
    family = host.model.conditionals
    both = host.parameters(rows, context=context)
    params, precise = (family.unpack(values) for values in both)
    for name, values in params.items():
        expected = np.asarray(values)
        rounding = np.abs(np.asarray(precise[name]) - expected).max(axis=0)
        # A parameter near zero is measured by how far its variable's others spread.
        discrete = family.is_discrete.reshape(-1, *(1,) * (expected.ndim - 2))  # [D, ...]
        spread = np.where(discrete, np.abs(expected).max(axis=0), expected.std(axis=0))
        tolerance = 1e-4 * (np.abs(expected) + spread) + 8 * rounding + np.finfo(np.float32).tiny
        if not np.all(np.abs(found[name] - expected) <= tolerance):
            raise ExportError(f"The file's conditionals differ from the model's in {name!r}.")


def same_values(ours: FloatArray, theirs: FloatArray, exact: Any = False) -> bool:
    """Returns whether two runs of one file gave the same: `[n, ...]` each.

    Args:
        ours: values of one run.
        theirs: values of the other.
        exact: where they must be equal: a boolean, or `[D]` for values `[n, D]`.
    """
    if ours.shape != theirs.shape:
        return False
    return bool(np.all(np.where(exact, ours == theirs, np.isclose(ours, theirs, 1e-2, 1e-2))))
