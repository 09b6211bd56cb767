"""Is the file the model? Checks made on the written file before it is handed over."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf import random
from made_tf.export.inspection import inspect_tflite
from made_tf.export.runtime import LiteSampler
from made_tf.models import MADE
from made_tf.sampling import BlockedNetwork

__all__ = ["ExportError", "ExportReport", "verify_tflite"]

FloatArray = npt.NDArray[np.float32]

_NUM_ROWS = 256
_SEED = 20150208
_LOG_PROB_TOLERANCE = 1e-4  # nats per row
_TIE = 1e-5  # a uniform this close to a step of the CDF can fall on either side of it
_RELATIVE_ROUNDING = 1e-4  # of a continuous value, drawn from parameters rounded otherwise


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


def verify_tflite(model: MADE, path: str | os.PathLike[str]) -> ExportReport:
    """Compares a written file with its model.

    Args:
        model: the model, computing in float32.
        path: the file.

    Returns:
        What was found.

    Raises:
        ExportError: if an operator is no builtin, if a sample differs by more
            than a rounding, if a row's log-probability differs by more than
            1e-4 nats (or, where rounding the input moves a density by more,
            by more than that), or if another batch size gives other rows.
    """
    inspection = inspect_tflite(path)
    _check_operators(inspection["ops"])
    device = LiteSampler(path)
    seeds = random.row_seeds(tf.constant([_SEED, 0], tf.int32), _NUM_ROWS)
    uniforms = random.uniforms(seeds, model.event_size)
    host_rows = tf.function(BlockedNetwork(model).sample, autograph=False)(uniforms).numpy()
    rows = device.sample(_NUM_ROWS, _SEED)
    _check_samples(model, rows, uniforms)
    for size in (1, 3):
        if not _close(device.sample(size, _SEED), rows[:size], model.conditionals.is_discrete):
            raise ExportError(f"The file gives other rows at batch size {size}.")
    log_prob_difference = _check_log_prob(model, device, rows)
    _check_conditionals(model, device, rows)
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


def _check_samples(model: MADE, rows: FloatArray, uniforms) -> None:
    """Each value of a row must be what the host draws after the values before it.

    One step at a time, because after one tie (or in a chaotic continuous
    model) all later values may differ rightly.
    """
    family = model.conditionals
    params = model(rows, training=False)
    if family.is_discrete:
        lower, upper = (
            family.sample(params, tf.clip_by_value(uniforms + shift, 2.0**-24, 1 - 2.0**-24))
            for shift in (-_TIE, _TIE)
        )
        wrong = (rows != lower.numpy()) & (rows != upper.numpy())
    else:
        expected = family.sample(params, uniforms).numpy()
        scale = np.abs(rows).max(axis=1, keepdims=True) + np.abs(expected)
        wrong = ~(np.abs(rows - expected) <= _RELATIVE_ROUNDING * scale)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ExportError(
            f"The file draws other samples than the model in {wrong.any(axis=1).sum()} of "
            f"{len(rows)} rows, first in row {row}, variable {column}: {rows[row, column]}."
        )


def _check_log_prob(model: MADE, device: LiteSampler, rows: FloatArray) -> float:
    expected = model.log_prob(rows).numpy()
    difference = np.abs(device.log_prob(rows) - expected)
    tolerance = np.full_like(expected, _LOG_PROB_TOLERANCE)
    rounding = np.zeros_like(expected)
    if not model.conditionals.is_discrete:
        # What rounding alone does to the density, found by rounding the values otherwise.
        rng = np.random.default_rng(_SEED)
        for _ in range(8):
            ulps = rng.choice(np.array([-1, 0, 1], np.float32), rows.shape)
            moved = model.log_prob(rows + ulps * np.spacing(rows)).numpy()
            rounding = np.maximum(rounding, np.abs(moved - expected))
        tolerance += 8 * rounding
    if not np.all(difference <= tolerance):
        raise ExportError(
            f"The file's log_prob differs from the model's by up to {difference.max():.3g} nats."
        )
    return float(difference.max())


def _check_conditionals(model: MADE, device: LiteSampler, rows: FloatArray) -> None:
    on_device = device.conditionals(rows)
    for name, expected in model.conditionals.unpack(model(rows, training=False)).items():
        expected = np.asarray(expected)
        scale = 1 + np.abs(rows).max() + np.abs(expected)
        if not np.all(np.abs(on_device[name] - expected) <= _RELATIVE_ROUNDING * scale):
            raise ExportError(f"The file's conditionals differ from the model's in {name!r}.")


def _close(a: FloatArray, b: FloatArray, discrete: bool) -> bool:
    return np.array_equal(a, b) if discrete else np.allclose(a, b, rtol=1e-2, atol=1e-2)
