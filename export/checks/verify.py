"""Is the file the model? Checks made on the written file before it is handed over."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.export.checks.answers import check_fixed_size
from made_tf.export.checks.compare import check_samples
from made_tf.export.checks.host import SEED, Drawn, Host
from made_tf.export.checks.measure import (
    leak,
    live_weight_bytes,
    load_ms,
    sample_ms,
    total_probability,
)
from made_tf.export.checks.members import host_log_prob, host_of, members_of
from made_tf.export.checks.report import ExportError, ExportReport
from made_tf.export.file.inspection import inspect_tflite
from made_tf.export.file.static import STATIC
from made_tf.export.runtime import LiteSampler
from made_tf.export.signatures import Chosen, choose_signatures, example_inputs
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE
from made_tf.portable.files import PathLike
from made_tf.sampling.order_mixture import choose_set
from made_tf.scoring import log_prob, mean_nll

__all__ = ["verify_rows", "verify_static", "verify_tflite"]

_NUM_ROWS = 256
_TOTAL_TOLERANCE = 1e-5


def verify_tflite(
    model: MADE | Ensemble,
    path: PathLike,
    num_orders: int = 1,
    chosen: dict[str, Chosen] | None = None,
    original: MADE | Ensemble | None = None,
    data: npt.ArrayLike | None = None,
    context: npt.NDArray[np.float32] | None = None,
) -> ExportReport:
    """Compares a written file with its model.

    Args:
        model: the model, computing in float32, its weights as the file has them.
        path: the file.
        num_orders: the number of orders that the file mixes.
        chosen: the signatures that it should have (`choose_signatures`).
        original: the model before its weights were rounded.
        data: rows `[N, D]` to compare the NLL of the original and the file on.
        context: of a model with a context, what these rows are conditioned on,
            `[N, ...]`, and other answers are compared for; made up by default.

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
    inspection = _inspect(path)
    device = LiteSampler(path)
    if set(device.signatures) != set(chosen):
        raise ExportError(f"The file has other signatures than {', '.join(chosen)}.")
    host = host_of(model, num_orders)
    drawn = Drawn.of(host, _NUM_ROWS, context)
    host_rows = drawn.rows
    has_sample = "sample" in chosen
    if has_sample:
        drawn = drawn._replace(rows=device.sample(_NUM_ROWS, SEED, **drawn.given()))
    difference = 0.0
    for name, each in chosen.items():
        if each.rows is None:
            difference = max(difference, each.signature.check(host, device, drawn) or 0.0)
        else:
            inputs = example_inputs(each, drawn, each.rows)
            check_fixed_size(host, device, name, each.signature.name, inputs)
    weights = (device.metadata or {}).get("weights", "float32")
    one = drawn.given(0)
    report = _report(model, path, inspection, device, weights, **one)
    if data is not None and "log_prob" in chosen:
        x = np.asarray(data, np.float32)
        report = _with_nll(
            report,
            device,
            host_log_prob(original, num_orders),
            x,
            context,
        )
    report = dataclasses.replace(report, max_log_prob_difference=difference)
    if not has_sample:
        return report
    return dataclasses.replace(
        report,
        rows_compared=_NUM_ROWS,
        rows_different=int((drawn.rows != host_rows).any(axis=1).sum()),
        max_sample_difference=float(np.abs(drawn.rows - host_rows).max()),
        load_ms=load_ms(path, **one),
        sample_ms=sample_ms(device, **one),
    )


def verify_rows(
    model: MADE, rows: npt.NDArray[np.float32], inputs: npt.NDArray[np.float32], num_orders: int = 1
) -> None:
    """Compares rows that were drawn anywhere with what the model draws from the same uniforms.

    Args:
        model: the model, computing in float32.
        rows: `[n, D]`.
        inputs: the uniforms that they are made from, `[n, U]`, and what chooses the order.
        num_orders: the number of orders that were mixed.

    Raises:
        ExportError: if a value differs by more than a rounding.
    """
    sets = np.zeros(len(rows), np.int32)
    if num_orders > 1:
        sets = choose_set(tf.constant(inputs[:, -1]), num_orders).numpy()
    uniforms = tf.constant(inputs[:, : model.conditionals.num_uniforms])
    check_samples(Host.of(model, num_orders), rows, uniforms, sets)


def verify_static(model: MADE, path: PathLike, data: npt.NDArray[np.float32]) -> ExportReport:
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
    inspection = _inspect(path)
    device = LiteSampler(path)
    report = _report(model, path, inspection, device, STATIC)
    if "log_prob" not in device.signatures:
        return report
    difference = float(np.abs(device.log_prob(data) - log_prob(model, data)).max())
    if not np.isfinite(difference):
        raise ExportError("The file's log_prob is not finite.")
    report = dataclasses.replace(report, max_log_prob_difference=difference)
    return _with_nll(report, device, model.log_prob, data)


def _inspect(path: PathLike) -> dict[str, Any]:
    """Describes a file, whose operators must all be builtins."""
    inspection = inspect_tflite(path)
    foreign = [
        name for name in inspection["ops"] if name.startswith("CUSTOM") or "FLEX" in name.upper()
    ]
    if foreign:
        raise ExportError(f"The file needs operators that are no LiteRT builtins: {foreign}.")
    return inspection


def _report(
    model: MADE | Ensemble,
    path: PathLike,
    inspection: dict[str, Any],
    device: LiteSampler,
    weights: str,
    **one: Any,
) -> ExportReport:
    """Reports what every file tells, and checks what holds exactly in every format."""
    has_conditionals = isinstance(model, MADE) and "conditionals" in device.signatures
    found = leak(model, device, **one) if has_conditionals else None
    if found:
        raise ExportError(f"A conditional depends on a later variable: by up to {found:.3g}.")
    total = total_probability(model, device, **one) if "log_prob" in device.signatures else None
    if total is not None and not abs(total - 1) <= _TOTAL_TOLERANCE:
        raise ExportError(f"The probabilities of all states sum to {total}, not to 1.")
    return ExportReport(
        path=os.fspath(path),
        size_bytes=inspection["size_bytes"],
        signatures=inspection["signatures"],
        ops=inspection["ops"],
        weights=weights,
        live_weight_bytes=sum(live_weight_bytes(each, weights) for each in members_of(model)),
        leak=found,
        total_probability=total,
    )


def _with_nll(
    report: ExportReport,
    device: LiteSampler,
    log_prob: Callable,
    x: npt.NDArray[np.float32],
    context: npt.NDArray[np.float32] | None = None,
) -> ExportReport:
    """Adds to a report how much higher the file's mean NLL is than the model's, on some rows."""
    nll, _ = mean_nll(device.log_prob, x, context)
    own, _ = mean_nll(log_prob, x, context)
    change = nll - own
    bits = change / device.event_size / math.log(2)
    return dataclasses.replace(report, nll_change=change, bits_per_dim_change=bits)
