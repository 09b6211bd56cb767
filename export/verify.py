"""Is the file the model? Checks made on the written file before it is handed over."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf import random
from made_tf.conditionals import Conditionals
from made_tf.export.inspection import inspect_tflite
from made_tf.export.runtime import LiteSampler
from made_tf.mixtures import choose_set, sample_mixture
from made_tf.models import MADE
from made_tf.resampling import Sets, evidence_first
from made_tf.sampling import BlockedNetwork

__all__ = ["ExportError", "ExportReport", "verify_tflite"]

FloatArray = npt.NDArray[np.float32]

_NUM_ROWS = 256
_NUM_IMPUTED = 24
_NUM_PATTERNS = 4
_SEED = 20150208
_LOG_PROB_TOLERANCE = 1e-4  # nats per row
_RELATIVE_ROUNDING = 1e-6  # of a sum of D logarithms in float32
_TIE = 1e-5  # a uniform this close to a step of the CDF can fall on either side of it
_SHIFT = 1e-4  # of a uniform: what it does to a real value is that value's own scale


class ExportError(RuntimeError):
    """A converted file that does not do what its model does; it was not handed over."""


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What was found on a written and verified file.

    Attributes:
        path: the file.
        size_bytes: its size.
        signatures: names, and shapes and dtypes of inputs and outputs.
        ops: operator names and counts; all are LiteRT builtins.
        rows_compared: rows drawn from the same seeds on host and device.
        rows_different: rows in which a value differs at all. For discrete
            families each difference is a tie within rounding; for continuous
            ones all values agree within rounding.
        max_sample_difference: the largest difference of a drawn value.
        max_log_prob_difference: the largest difference of a row's
            log-probability, in nats.
        seconds: how long conversion and verification took.
    """

    path: str
    size_bytes: int
    signatures: dict[str, Any]
    ops: dict[str, int]
    rows_compared: int
    rows_different: int
    max_sample_difference: float
    max_log_prob_difference: float
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        same = self.rows_compared - self.rows_different
        return "\n".join(
            [
                f"{self.path}: {self.size_bytes:,} bytes, verified in {self.seconds:.1f} s",
                f"  signatures: {', '.join(self.signatures)}",
                f"  operators: {sum(self.ops.values())} of {len(self.ops)} kinds, all builtin",
                f"  samples equal to the host's: {same} of {self.rows_compared} rows "
                f"(largest difference {self.max_sample_difference:.2g})",
                f"  log_prob: within {self.max_log_prob_difference:.2g} nats of the host's",
            ]
        )


def verify_tflite(model: MADE, path: str | os.PathLike[str], num_orders: int = 1) -> ExportReport:
    """Compares a written file with its model.

    Args:
        model: the model, computing in float32.
        path: the file.
        num_orders: the number of orders that the file mixes.

    Returns:
        What was found.

    Raises:
        ExportError: if an operator is no builtin, if a sample differs by more
            than a rounding, if a row's log-probability differs by more than
            1e-4 nats and a millionth of itself (and eight times what rounding
            does in the model, as a copy in float64 tells), or if another batch
            size gives other rows.
    """
    inspection = inspect_tflite(path)
    _check_operators(inspection["ops"])
    device = LiteSampler(path)
    host = _Host.of(model, num_orders)
    seeds = random.row_seeds(tf.constant([_SEED, 0], tf.int32), _NUM_ROWS)
    uniforms = random.uniforms(seeds, model.event_size + 1)
    sets = choose_set(uniforms[:, -1], num_orders).numpy()
    host_rows = host.sample(uniforms)
    uniforms = uniforms[:, :-1]
    rows = device.sample(_NUM_ROWS, _SEED)
    _check_samples(host, rows, uniforms, sets, np.zeros(model.event_size, bool))
    if model.any_order:
        some = slice(_NUM_IMPUTED)
        _check_imputed(host, device, rows[some], uniforms[some], sets[some])
    for size in (1, 3):
        if not _close(device.sample(size, _SEED), rows[:size], model.conditionals.is_discrete):
            raise ExportError(f"The file gives other rows at batch size {size}.")
    log_prob_difference = _check_log_prob(host, device, rows)
    _check_conditionals(host, device, rows)
    return ExportReport(
        path=os.fspath(path),
        size_bytes=inspection["size_bytes"],
        signatures=inspection["signatures"],
        ops=inspection["ops"],
        rows_compared=_NUM_ROWS,
        rows_different=int((rows != host_rows).any(axis=1).sum()),
        max_sample_difference=float(np.abs(rows - host_rows).max()),
        max_log_prob_difference=log_prob_difference,
    )


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
) -> None:
    """Each value of a row must be what the host draws after the values before it.

    One step at a time, because after one tie (or in a chaotic continuous
    model) all later values may differ rightly. Variables that are known come
    first and are not drawn.
    """
    for number in np.unique(sets):
        own = np.flatnonzero(sets == number)
        params = host.parameters(rows[own], number, known if known.any() else None)
        _check_drawn(host.model, rows[own], tf.gather(uniforms, own), *params, ~known)


def _check_imputed(
    host: _Host, device: LiteSampler, rows: FloatArray, uniforms, sets: npt.NDArray[np.int32]
) -> None:
    """Values that the device fills in, in rows that lack the same ones and others."""
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
) -> None:
    family = model.conditionals
    if family.is_discrete:
        tie = np.minimum(_TIE + np.abs(params - precise).max(axis=1, keepdims=True), 1e-2)
        lower, upper = (_shifted(family, params, uniforms, sign * tie) for sign in (-1, 1))
        wrong = (rows != lower) & (rows != upper)
    else:
        expected = family.sample(params, uniforms).numpy()
        rounding = np.abs(family.sample(precise, uniforms).numpy() - expected).max(axis=0)
        lower, upper = (_shifted(family, params, uniforms, sign * _SHIFT) for sign in (-1, 1))
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


def _check_log_prob(host: _Host, device: LiteSampler, rows: FloatArray) -> float:
    expected = host.model.log_prob(rows, host.num_orders).numpy()
    difference = np.abs(device.log_prob(rows) - expected)
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


def _check_conditionals(host: _Host, device: LiteSampler, rows: FloatArray) -> None:
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


def with_dtype(model: MADE, dtype: str) -> MADE:
    """Returns a copy that computes in another precision."""
    copy = MADE.from_config({**model.get_config(), "dtype": dtype})
    for ours, theirs in zip(copy.weights, model.weights, strict=True):
        ours.assign(keras.ops.cast(theirs, ours.dtype))
    return copy


def _shifted(family: Conditionals, params: FloatArray, uniforms, shift) -> FloatArray:
    """Returns what other uniforms give, as far as there are others."""
    moved = tf.clip_by_value(uniforms + shift, 2.0**-24, 1 - 2.0**-24)
    return family.sample(params, tf.cast(moved, tf.float32)).numpy()


def _close(a: FloatArray, b: FloatArray, discrete: bool) -> bool:
    return np.array_equal(a, b) if discrete else np.allclose(a, b, rtol=1e-2, atol=1e-2)
