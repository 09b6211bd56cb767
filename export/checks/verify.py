"""Is the file the model? Checks made on the written file before it is handed over."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.export.checks.compare import CHECKS, SEED, Drawn, Host, check_fixed, check_samples
from made_tf.export.checks.measure import (
    leak,
    live_weight_bytes,
    load_ms,
    mean_nll,
    sample_ms,
    total_probability,
)
from made_tf.export.checks.report import ExportError, ExportReport
from made_tf.export.file.inspection import inspect_tflite
from made_tf.export.file.static import STATIC
from made_tf.export.runtime import LiteSampler
from made_tf.export.signatures import choose_signatures
from made_tf.models.made import MADE
from made_tf.sampling import random
from made_tf.sampling.order_mixture import choose_set

__all__ = ["verify_rows", "verify_static", "verify_tflite"]

_NUM_ROWS = 256
_TOTAL_TOLERANCE = 1e-5


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
    host = Host.of(model, num_orders)
    drawn = Drawn.of(model, num_orders, _NUM_ROWS)
    host_rows = host.sample(random.uniforms(drawn.seeds, model.event_size + 1))
    rows = device.sample(_NUM_ROWS, SEED) if "sample" in chosen else host_rows
    difference = 0.0
    for name, (kind, size) in chosen.items():
        if size is None:
            difference = max(difference, CHECKS[kind](host, device, rows, drawn) or 0.0)
        else:
            check_fixed(model, device, name, kind, size, rows, drawn.seeds)
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
        rows_compared=_NUM_ROWS if has_sample else 0,
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
    model: MADE, rows: npt.NDArray[np.float32], inputs: npt.NDArray[np.float32], num_orders: int = 1
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
    check_samples(Host.of(model, num_orders), rows, uniforms, sets, nothing)


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


def _check_operators(ops: dict[str, int]) -> None:
    foreign = [name for name in ops if name.startswith("CUSTOM") or "FLEX" in name.upper()]
    if foreign:
        raise ExportError(f"The file needs operators that are no LiteRT builtins: {foreign}.")
