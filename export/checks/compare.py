"""Comparisons of a file with its model, signature by signature."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.export.checks.report import ExportError
from made_tf.export.file.weights import with_dtype
from made_tf.export.runtime import LiteSampler
from made_tf.export.signatures import num_uniforms
from made_tf.masks import evidence_first
from made_tf.models.made import MADE
from made_tf.networks.mask_sets import Sets
from made_tf.sampling import random
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.sampling.order_mixture import choose_set, sample_mixture

__all__ = ["SEED", "Drawn", "FloatArray", "Host", "check_fixed", "check_samples"]

FloatArray = npt.NDArray[np.float32]

SEED = 20150208
_NUM_IMPUTED = 24
_NUM_PATTERNS = 4
_LOG_PROB_TOLERANCE = 1e-4  # nats per row
_RELATIVE_ROUNDING = 1e-6  # of a sum of D logarithms in float32
_TIE = 1e-5  # a uniform this close to a step of the CDF can fall on either side of it
_TEMPERATURES = (0.5, 1.0, 2.0)
_SHIFT = 1e-4  # of a uniform: what it does to a real value is that value's own scale


class Drawn(NamedTuple):
    """What the compared rows were drawn from.

    Attributes:
        seeds: int32 `[n, 2]`.
        inputs: the uniforms that a row takes, `[n, U]`.
        uniforms: those of its variables, `[n, D]`.
        sets: the numbers of its mask sets, `[n]`.
    """

    seeds: npt.NDArray[np.int32]
    inputs: Any
    uniforms: Any
    sets: npt.NDArray[np.int32]

    @classmethod
    def of(cls, model: MADE, num_orders: int, num_rows: int) -> Drawn:
        """Returns what a sample of so many rows is drawn from."""
        seeds = random.row_seeds(tf.constant([SEED, 0], tf.int32), num_rows)
        uniforms = random.uniforms(seeds, model.event_size + 1)
        return cls(
            seeds.numpy(),
            uniforms[:, : num_uniforms(model, num_orders)],
            uniforms[:, :-1],
            choose_set(uniforms[:, -1], num_orders).numpy(),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Host:
    """A model beside a copy in float64.

    What the two differ by is what rounding does in this model, found without
    the sampler's own code.
    """

    model: MADE
    precise: MADE
    num_orders: int
    sets: Sets

    @classmethod
    def of(cls, model: MADE, num_orders: int) -> Host:
        """Returns a model beside its copy."""
        sets = model.mask_sets.first(num_orders)
        return cls(model, with_dtype(model, "float64"), num_orders, sets)

    @property
    def is_mixture(self) -> bool:
        """Whether several orders are mixed."""
        return self.num_orders > 1

    def sample(self, uniforms) -> FloatArray:
        """Draws rows from uniforms `[n, D + 1]` on the host."""
        network = BlockedNetwork(self.model, any_mask=self.is_mixture)

        def draw(uniforms):
            if self.is_mixture:
                return sample_mixture(network.sample, uniforms, self.sets)
            return network.sample(uniforms[:, :-1])

        return tf.function(draw, autograph=False)(uniforms).numpy()

    def parameters(
        self, rows: FloatArray, number: int = 0, known: npt.NDArray[np.bool_] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Returns the parameters `[n, P]` of both under a set, with what is known first."""
        degrees = None
        if not self.model.mask_sets.is_fixed:
            order, *hidden = (level[number] for level in self.sets)
            degrees = [order if known is None else evidence_first(order, known), *hidden]
        ours, precise = (
            np.asarray(model(rows, training=False, degrees=degrees), np.float32)
            for model in (self.model, self.precise)
        )
        return ours, precise


def check_samples(
    host: Host,
    rows: FloatArray,
    uniforms,
    sets: npt.NDArray[np.int32],
    known: npt.NDArray[np.bool_],
    temperature: FloatArray | None = None,
) -> None:
    """Each value of a row must be what the host draws after the values before it.

    One step at a time, because after one tie (or in a chaotic continuous
    model) all later values may differ rightly. Variables that are known come
    first and are not drawn.
    """
    for number in np.unique(sets):
        own = np.flatnonzero(sets == number)
        params = host.parameters(rows[own], number, known if known.any() else None)
        heat = None if temperature is None else temperature[own]
        _check_drawn(host.model, rows[own], tf.gather(uniforms, own), *params, ~known, heat)


def _check_imputed(host: Host, device: LiteSampler, rows: FloatArray, drawn: Drawn) -> None:
    """Values that the device fills in, in rows that lack the same ones and others."""
    rows, uniforms, sets = rows[:_NUM_IMPUTED], drawn.uniforms[:_NUM_IMPUTED], drawn.sets
    shape = (_NUM_PATTERNS, host.model.event_size)
    patterns = np.random.default_rng(SEED).random(shape) < 0.5
    known = patterns[np.arange(len(rows)) % _NUM_PATTERNS]
    filled = device.impute(np.where(known, rows, np.nan), SEED)
    if not np.array_equal(filled[known], rows[known]):
        raise ExportError("The file changes observed values in `impute`.")
    for first, pattern in enumerate(patterns):
        own = np.arange(first, len(rows), _NUM_PATTERNS)
        check_samples(host, filled[own], tf.gather(uniforms, own), sets[own], pattern)


def _check_drawn(
    model: MADE,
    rows: FloatArray,
    uniforms,
    params: FloatArray,
    precise: FloatArray,
    drawn: npt.NDArray[np.bool_],
    temperature: FloatArray | None = None,
) -> None:
    family = model.conditionals

    def sample(params, uniforms):
        if temperature is None:
            return family.sample(params, uniforms).numpy()
        return family.transform_at(params, family.noise(uniforms), temperature[:, None]).numpy()

    if family.is_discrete:
        tie = np.minimum(_TIE + np.abs(params - precise).max(axis=1, keepdims=True), 1e-2)
        lower, upper = (_shifted(sample, params, uniforms, sign * tie) for sign in (-1, 1))
        wrong = (rows != lower) & (rows != upper)
    else:
        expected = sample(params, uniforms)
        rounding = np.abs(sample(precise, uniforms) - expected).max(axis=0)
        lower, upper = (_shifted(sample, params, uniforms, sign * _SHIFT) for sign in (-1, 1))
        # Column by column: neither a wide variable nor a far one lends its scale to another.
        tolerance = (upper - lower) + 8 * rounding + _RELATIVE_ROUNDING * np.abs(expected)
        wrong = ~(np.abs(rows - expected) <= tolerance)
    wrong &= drawn
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ExportError(
            f"The file draws other samples than the model in {wrong.any(axis=1).sum()} of "
            f"{len(rows)} rows, first in row {row}, variable {column}: {rows[row, column]}."
        )


def _check_log_prob(host: Host, log_prob: FloatArray, rows: FloatArray) -> float:
    expected = host.model.log_prob(rows, host.num_orders).numpy()
    difference = np.abs(log_prob - expected)
    rounding = np.abs(host.precise.log_prob(rows, host.num_orders).numpy() - expected)
    if not host.model.conditionals.is_discrete:
        # What rounding the values themselves does to the density.
        rng = np.random.default_rng(SEED)
        for _ in range(8):
            ulps = rng.choice(np.array([-1, 0, 1], np.float32), rows.shape)
            moved = host.model.log_prob(rows + ulps * np.spacing(rows), host.num_orders).numpy()
            rounding = np.maximum(rounding, np.abs(moved - expected))
    tolerance = _LOG_PROB_TOLERANCE + _RELATIVE_ROUNDING * np.abs(expected) + 8 * rounding.max()
    if not np.all(difference <= tolerance):
        raise ExportError(
            f"The file's log_prob differs from the model's by up to {difference.max():.3g} nats."
        )
    return float(difference.max())


def _check_conditionals(host: Host, device: LiteSampler, rows: FloatArray, drawn: Drawn) -> None:
    params, precise = host.parameters(rows)
    on_device = device.conditionals(rows)
    unpack = host.model.conditionals.unpack
    named = unpack(precise)
    is_discrete = host.model.conditionals.is_discrete
    for name, values in unpack(params).items():
        expected = np.asarray(values)
        rounding = np.abs(np.asarray(named[name]) - expected).max(axis=0)
        # A parameter near zero is measured by how far its variable's others spread.
        spread = np.abs(expected).max(axis=0) if is_discrete else expected.std(0)
        tolerance = 1e-4 * (np.abs(expected) + spread) + 8 * rounding + np.finfo(np.float32).tiny
        if not np.all(np.abs(on_device[name] - expected) <= tolerance):
            raise ExportError(f"The file's conditionals differ from the model's in {name!r}.")


def _shifted(sample: Callable, params: FloatArray, uniforms, shift) -> FloatArray:
    """Returns what other uniforms give, as far as there are others."""
    moved = tf.clip_by_value(uniforms + shift, 2.0**-24, 1 - 2.0**-24)
    return sample(params, tf.cast(moved, tf.float32))


def _close(a: FloatArray, b: FloatArray, discrete: bool) -> bool:
    return np.array_equal(a, b) if discrete else np.allclose(a, b, rtol=1e-2, atol=1e-2)


def _check_sample(host: Host, device: LiteSampler, rows: FloatArray, drawn: Drawn) -> None:
    check_samples(host, rows, drawn.uniforms, drawn.sets, np.zeros(rows.shape[1], bool))
    for size in (1, 3):
        if not _close(device.sample(size, SEED), rows[:size], host.model.conditionals.is_discrete):
            raise ExportError(f"The file gives other rows at batch size {size}.")


def _check_both(host: Host, device: LiteSampler, rows: FloatArray, drawn: Drawn) -> float:
    x, log_prob = device.sample_and_log_prob(drawn.seeds)
    check_samples(host, x, drawn.uniforms, drawn.sets, np.zeros(rows.shape[1], bool))
    return _check_log_prob(host, log_prob, x)


def _check_heated(host: Host, device: LiteSampler, rows: FloatArray, drawn: Drawn) -> None:
    temperature = np.resize(np.array(_TEMPERATURES, np.float32), len(rows))
    x = device.sample_at_temperature(drawn.seeds, temperature)
    nothing = np.zeros(rows.shape[1], bool)
    check_samples(host, x, drawn.uniforms, drawn.sets, nothing, temperature)


def _check_uniforms(host: Host, device: LiteSampler, rows: FloatArray, drawn: Drawn) -> None:
    x = device.sample_from_uniforms(drawn.inputs)
    check_samples(host, x, drawn.uniforms, drawn.sets, np.zeros(rows.shape[1], bool))


def _check_scores(host: Host, device: LiteSampler, rows: FloatArray, drawn: Drawn) -> float:
    return _check_log_prob(host, device.log_prob(rows), rows)


def check_fixed(
    model: MADE,
    device: LiteSampler,
    name: str,
    kind: str,
    size: int,
    rows: FloatArray,
    seeds: npt.NDArray[np.int32],
) -> None:
    """A signature of a fixed number of rows must give what the one of any number gives."""
    rng = np.random.default_rng(SEED)
    inputs = {}
    for key, detail in device.inputs(name).items():
        width = tuple(detail["shape"][1:])
        inputs[key] = {
            "seeds": np.resize(seeds, (size, 2)),
            "x": np.resize(rows, (size, rows.shape[1])),
            "observed": rng.integers(0, 2, (size, rows.shape[1])).astype(np.int32),
            "temperature": np.full(size, 0.5, np.float32),
            "uniforms": rng.uniform(0.01, 0.99, (size, *width)).astype(np.float32),
        }[key]
    fixed, free = device.run(name, **inputs), device.run(kind, **inputs)
    is_discrete = model.conditionals.is_discrete
    for key, values in fixed.items():
        exact = is_discrete and key == "x"
        if not (np.array_equal(values, free[key]) if exact else _close(values, free[key], False)):
            raise ExportError(f"The file gives other values in {name!r} than in {kind!r}.")


CHECKS: dict[str, Callable] = {
    "sample": _check_sample,
    "sample_and_log_prob": _check_both,
    "sample_at_temperature": _check_heated,
    "sample_from_uniforms": _check_uniforms,
    "log_prob": _check_scores,
    "conditionals": _check_conditionals,
    "impute": _check_imputed,
}
