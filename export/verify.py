"""Is the file the model? Checks made on the written file before it is handed over."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf import random
from made_tf.export.inspection import inspect_tflite
from made_tf.export.measure import (
    leak,
    live_weight_bytes,
    load_ms,
    mean_nll,
    sample_ms,
    total_probability,
)
from made_tf.export.report import ExportError, ExportReport
from made_tf.export.runtime import LiteSampler
from made_tf.export.signatures import choose_signatures, num_uniforms
from made_tf.export.static import STATIC
from made_tf.export.weights import with_dtype
from made_tf.mixtures import choose_set, sample_mixture
from made_tf.models import MADE
from made_tf.resampling import Sets, evidence_first
from made_tf.sampling import BlockedNetwork

__all__ = ["verify_rows", "verify_static", "verify_tflite"]

FloatArray = npt.NDArray[np.float32]

_NUM_ROWS = 256
_NUM_IMPUTED = 24
_NUM_PATTERNS = 4
_SEED = 20150208
_LOG_PROB_TOLERANCE = 1e-4  # nats per row
_RELATIVE_ROUNDING = 1e-6  # of a sum of D logarithms in float32
_TIE = 1e-5  # a uniform this close to a step of the CDF can fall on either side of it
_TOTAL_TOLERANCE = 1e-5
_TEMPERATURES = (0.5, 1.0, 2.0)
_SHIFT = 1e-4  # of a uniform: what it does to a real value is that value's own scale


def verify_tflite(
    model: MADE,
    path: str | os.PathLike[str],
    num_orders: int = 1,
    chosen: dict[str, tuple[str, int | None]] | None = None,
    original: MADE | None = None,
    data: npt.ArrayLike | None = None,
) -> ExportReport:
    """Compares a written file with its model.

    Args:
        model: the model, computing in float32, its weights as the file has them.
        path: the file.
        num_orders: the number of orders that the file mixes.
        chosen: the signatures that it should have (`choose_signatures`).
        original: the model before its weights were rounded.
        data: rows `[N, D]` to compare the NLL of the original and the file on.

    Returns:
        What was found.

    Raises:
        ExportError: if an operator is no builtin, if a sample differs by more
            than a rounding, if a row's log-probability differs by more than
            1e-4 nats and a millionth of itself (and eight times what rounding
            does in the model, as a copy in float64 tells), if another batch
            size gives other rows, if a conditional depends on a variable that
            comes later, or if the probabilities of all states do not sum to 1.
    """
    chosen = choose_signatures(model) if chosen is None else chosen
    original = model if original is None else original
    inspection = inspect_tflite(path)
    _check_operators(inspection["ops"])
    device = LiteSampler(path)
    if set(device.signatures) != set(chosen):
        raise ExportError(f"The file has other signatures than {', '.join(chosen)}.")
    host = _Host.of(model, num_orders)
    seeds = random.row_seeds(tf.constant([_SEED, 0], tf.int32), _NUM_ROWS)
    uniforms = random.uniforms(seeds, model.event_size + 1)
    drawn = _Drawn(
        seeds.numpy(),
        uniforms[:, : num_uniforms(model, num_orders)],
        uniforms[:, :-1],
        choose_set(uniforms[:, -1], num_orders).numpy(),
    )
    host_rows = host.sample(uniforms)
    rows = device.sample(_NUM_ROWS, _SEED) if "sample" in chosen else host_rows
    difference = 0.0
    for name, (kind, size) in chosen.items():
        if size is None:
            difference = max(difference, _CHECKS[kind](host, device, rows, drawn) or 0.0)
        else:
            _check_fixed(model, device, name, kind, size, rows, drawn.seeds)
    found_leak, total = _exact(model, device)
    change = None
    if data is not None and "log_prob" in chosen:
        x = np.asarray(data, np.float32)
        change = mean_nll(device.log_prob, x) - mean_nll(
            lambda part: original.log_prob(part, num_orders), x
        )
    weights = (device.metadata or {}).get("weights", "float32")
    has_sample = "sample" in chosen
    return ExportReport(
        path=os.fspath(path),
        size_bytes=inspection["size_bytes"],
        signatures=inspection["signatures"],
        ops=inspection["ops"],
        rows_compared=_NUM_ROWS,
        rows_different=int((rows != host_rows).any(axis=1).sum()),
        max_sample_difference=float(np.abs(rows - host_rows).max()),
        max_log_prob_difference=difference,
        weights=weights,
        live_weight_bytes=live_weight_bytes(model, weights),
        leak=found_leak,
        total_probability=total,
        nll_change=change,
        bits_per_dim_change=None if change is None else change / model.event_size / np.log(2),
        load_ms=load_ms(path) if has_sample else None,
        sample_ms=sample_ms(device) if has_sample else {},
    )


def verify_rows(
    model: MADE, rows: FloatArray, inputs: npt.NDArray[np.float32], num_orders: int = 1
) -> None:
    """Compares rows that were drawn anywhere with what the model draws from the same uniforms.

    Args:
        model: the model, computing in float32.
        rows: `[n, D]`.
        inputs: the uniforms that they are made from, `[n, U]`.
        num_orders: the number of orders that were mixed.

    Raises:
        ExportError: if a value differs by more than a rounding.
    """
    sets = np.zeros(len(rows), np.int32)
    if num_orders > 1:
        sets = choose_set(tf.constant(inputs[:, -1]), num_orders).numpy()
    uniforms = tf.constant(inputs[:, : model.event_size])
    nothing = np.zeros(model.event_size, bool)
    _check_samples(_Host.of(model, num_orders), rows, uniforms, sets, nothing)


def verify_static(
    model: MADE, path: str | os.PathLike[str], data: npt.NDArray[np.float32]
) -> ExportReport:
    """Checks a file of static int8, whose numbers are no longer the model's.

    Args:
        model: the model, computing in float32.
        path: the file.
        data: rows `[N, D]` to compare the NLL on.

    Returns:
        What was found; no samples are compared, since such a file has none.

    Raises:
        ExportError: if an operator is no builtin, if a conditional depends on a
            variable that comes later, if the probabilities of all states do not
            sum to 1, or if the NLL is not finite.
    """
    inspection = inspect_tflite(path)
    _check_operators(inspection["ops"])
    device = LiteSampler(path)
    found_leak, total = _exact(model, device)
    change = difference = None
    if "log_prob" in device.signatures:
        expected, found = np.asarray(model.log_prob(data)), device.log_prob(data)
        difference = float(np.abs(found - expected).max())
        change = float(np.mean(expected, dtype=np.float64) - np.mean(found, dtype=np.float64))
        if not np.isfinite(difference):
            raise ExportError("The file's log_prob is not finite.")
    return ExportReport(
        path=os.fspath(path),
        size_bytes=inspection["size_bytes"],
        signatures=inspection["signatures"],
        ops=inspection["ops"],
        rows_compared=0,
        rows_different=0,
        max_sample_difference=0.0,
        max_log_prob_difference=difference or 0.0,
        weights=STATIC,
        live_weight_bytes=live_weight_bytes(model, STATIC),
        leak=found_leak,
        total_probability=total,
        nll_change=change,
        bits_per_dim_change=None if change is None else change / model.event_size / np.log(2),
    )


def _exact(model: MADE, device: LiteSampler) -> tuple[float | None, float | None]:
    """Checks what holds exactly in every format; returns the leak and the total probability."""
    found = leak(model, device) if "conditionals" in device.signatures else None
    if found:
        raise ExportError(f"A conditional depends on a later variable: by up to {found:.3g}.")
    total = total_probability(model, device) if "log_prob" in device.signatures else None
    if total is not None and not abs(total - 1) <= _TOTAL_TOLERANCE:
        raise ExportError(f"The probabilities of all states sum to {total}, not to 1.")
    return found, total


class _Drawn(NamedTuple):
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


def _check_operators(ops: dict[str, int]) -> None:
    foreign = [name for name in ops if name.startswith("CUSTOM") or "FLEX" in name.upper()]
    if foreign:
        raise ExportError(f"The file needs operators that are no LiteRT builtins: {foreign}.")


@dataclasses.dataclass(frozen=True, eq=False)
class _Host:
    """A model beside a copy in float64.

    What the two differ by is what rounding does in this model, found without
    the sampler's own code.
    """

    model: MADE
    precise: MADE
    num_orders: int
    sets: Sets

    @classmethod
    def of(cls, model: MADE, num_orders: int) -> _Host:
        sets = model.mask_sets.first(num_orders)
        return cls(model, with_dtype(model, "float64"), num_orders, sets)

    @property
    def is_mixture(self) -> bool:
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


def _check_samples(
    host: _Host,
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


def _check_imputed(host: _Host, device: LiteSampler, rows: FloatArray, drawn: _Drawn) -> None:
    """Values that the device fills in, in rows that lack the same ones and others."""
    rows, uniforms, sets = rows[:_NUM_IMPUTED], drawn.uniforms[:_NUM_IMPUTED], drawn.sets
    shape = (_NUM_PATTERNS, host.model.event_size)
    patterns = np.random.default_rng(_SEED).random(shape) < 0.5
    known = patterns[np.arange(len(rows)) % _NUM_PATTERNS]
    filled = device.impute(np.where(known, rows, np.nan), _SEED)
    if not np.array_equal(filled[known], rows[known]):
        raise ExportError("The file changes observed values in `impute`.")
    for first, pattern in enumerate(patterns):
        own = np.arange(first, len(rows), _NUM_PATTERNS)
        _check_samples(host, filled[own], tf.gather(uniforms, own), sets[own], pattern)


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


def _check_log_prob(host: _Host, log_prob: FloatArray, rows: FloatArray) -> float:
    expected = host.model.log_prob(rows, host.num_orders).numpy()
    difference = np.abs(log_prob - expected)
    rounding = np.abs(host.precise.log_prob(rows, host.num_orders).numpy() - expected)
    if not host.model.conditionals.is_discrete:
        # What rounding the values themselves does to the density.
        rng = np.random.default_rng(_SEED)
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


def _check_conditionals(host: _Host, device: LiteSampler, rows: FloatArray, drawn: _Drawn) -> None:
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


def _check_sample(host: _Host, device: LiteSampler, rows: FloatArray, drawn: _Drawn) -> None:
    _check_samples(host, rows, drawn.uniforms, drawn.sets, np.zeros(rows.shape[1], bool))
    for size in (1, 3):
        if not _close(device.sample(size, _SEED), rows[:size], host.model.conditionals.is_discrete):
            raise ExportError(f"The file gives other rows at batch size {size}.")


def _check_both(host: _Host, device: LiteSampler, rows: FloatArray, drawn: _Drawn) -> float:
    x, log_prob = device.sample_and_log_prob(drawn.seeds)
    _check_samples(host, x, drawn.uniforms, drawn.sets, np.zeros(rows.shape[1], bool))
    return _check_log_prob(host, log_prob, x)


def _check_heated(host: _Host, device: LiteSampler, rows: FloatArray, drawn: _Drawn) -> None:
    temperature = np.resize(np.array(_TEMPERATURES, np.float32), len(rows))
    x = device.sample_at_temperature(drawn.seeds, temperature)
    nothing = np.zeros(rows.shape[1], bool)
    _check_samples(host, x, drawn.uniforms, drawn.sets, nothing, temperature)


def _check_uniforms(host: _Host, device: LiteSampler, rows: FloatArray, drawn: _Drawn) -> None:
    x = device.sample_from_uniforms(drawn.inputs)
    _check_samples(host, x, drawn.uniforms, drawn.sets, np.zeros(rows.shape[1], bool))


def _check_scores(host: _Host, device: LiteSampler, rows: FloatArray, drawn: _Drawn) -> float:
    return _check_log_prob(host, device.log_prob(rows), rows)


def _check_fixed(
    model: MADE,
    device: LiteSampler,
    name: str,
    kind: str,
    size: int,
    rows: FloatArray,
    seeds: npt.NDArray[np.int32],
) -> None:
    """A signature of a fixed number of rows must give what the one of any number gives."""
    rng = np.random.default_rng(_SEED)
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


_CHECKS: dict[str, Callable] = {
    "sample": _check_sample,
    "sample_and_log_prob": _check_both,
    "sample_at_temperature": _check_heated,
    "sample_from_uniforms": _check_uniforms,
    "log_prob": _check_scores,
    "conditionals": _check_conditionals,
    "impute": _check_imputed,
}
