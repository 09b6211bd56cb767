"""A file for microcontrollers: one signature, fixed shapes, operators that TFLM has."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from made_tf.export.checks.host import SEED
from made_tf.export.checks.report import ExportError
from made_tf.export.checks.verify import verify_rows
from made_tf.export.convert import check_target, convert
from made_tf.export.file.inspection import inspect_tflite
from made_tf.export.file.metadata import describe_model
from made_tf.export.file.weights import with_weights
from made_tf.export.micro.arena import run_on_tflm
from made_tf.export.micro.operators import OPERATORS, resolver_call, with_select_v2
from made_tf.export.networks import has_many_orders, num_uniforms
from made_tf.export.runtime import LiteSampler
from made_tf.export.signatures import SIGNATURES, Chosen, make_signatures
from made_tf.models.made import MADE
from made_tf.portable.files import PathLike, replacing
from made_tf.portable.interrupts import keeping_interrupts

__all__ = ["MicroReport", "to_micro"]

_SIGNATURE = "sample_from_uniforms"
_NUM_ROWS = 32


@dataclasses.dataclass(frozen=True)
class MicroReport:
    """What was found on a file for microcontrollers.

    Attributes:
        path: the file.
        size_bytes: its size, which is what it takes of the flash memory.
        ops: operator names and counts.
        resolver: the calls that register them, as of `MicroMutableOpResolver`.
        rows_compared: rows drawn on LiteRT, and where `tflite-micro` is
            installed on TFLM, from the same uniforms as by the model.
        arena_bytes: the memory that TFLM needs besides the file; `None` where
            `tflite-micro` is not installed.
        seconds: how long conversion and verification took.
    """

    path: str
    size_bytes: int
    ops: dict[str, int]
    resolver: list[str]
    rows_compared: int
    arena_bytes: int | None
    seconds: float

    def __str__(self) -> str:
        arena = "unknown (pip install --pre tflite-micro)"
        if self.arena_bytes is not None:
            arena = f"{self.arena_bytes:,} bytes"
        return "\n".join(
            [
                f"{self.path}: {self.size_bytes:,} bytes, verified in {self.seconds:.1f} s",
                f"  samples equal to the model's: {self.rows_compared} rows",
                f"  arena: {arena}",
                f"  MicroMutableOpResolver<{len(self.resolver)}>: {', '.join(self.resolver)}",
            ]
        )


def to_micro(
    model: MADE,
    path: PathLike,
    block_length: int | None = None,
    num_orders: int | None = None,
    *,
    licence: str | None = None,
    card: Mapping[str, Any] | None = None,
) -> MicroReport:
    """Writes a model for TensorFlow Lite for Microcontrollers, and verifies it.

    The file has one signature, `sample_from_uniforms`: `uniforms` float32 `[1, U]`
    -> `x` float32 `[1, D]`. TFLM lacks operators of the generator; the uniforms
    come from `export/c/made_random.h`, which draws the same ones. Weights are
    float32: those of other formats TFLM would expand into the arena.

    Args:
        model: a `MADE`.
        path: where to write, ending in `.tflite`.
        block_length: as of `to_tflite`.
        num_orders: 1 for the model's own order; `None` takes the model's
            `num_orders`, which must be 1.
        licence: as of `to_tflite`: text of the file, which takes flash memory and no arena.
        card: as of `to_tflite`, likewise.

    Returns:
        What was written; `str(report)` is readable.

    Raises:
        ValueError: as of `to_tflite`, and if the model has more than one order
            or a context.
        OSError: if the file cannot be written there.
        ExportError: if the file needs an operator that TFLM lacks, or does not
            draw what the model draws.
    """
    started = time.perf_counter()
    path = check_target(model, path, or_ensemble=False)
    if model.conditioning is not None:
        raise ValueError(
            "`model` must have no context: a file for microcontrollers has one input, the "
            f"uniforms. Received: a model with {model.conditioning.describe()}"
        )
    num_orders = model.mask_sets.check_count(model.num_orders if num_orders is None else num_orders)
    if has_many_orders(model, num_orders):
        raise ValueError(
            "`model` must be of one order: TFLM lacks the operators that sort weights by another. "
            f"Received: num_orders={num_orders}, any_order={model.any_order}"
        )
    model = with_weights(model, "float32")
    description = describe_model(model, num_orders, "float32", licence=licence, card=card)
    signature = SIGNATURES[_SIGNATURE]
    chosen = {_SIGNATURE: Chosen(signature, signature.inputs, 1)}
    with keeping_interrupts():
        made = make_signatures(model, chosen, block_length, 1, num_orders)
        content = with_select_v2(convert(made, "float32", description))
    shape = _NUM_ROWS, num_uniforms(model, num_orders)
    uniforms = np.random.default_rng(SEED).uniform(1e-6, 1 - 1e-6, shape).astype(np.float32)
    with replacing(path) as temporary, keeping_interrupts():
        temporary.write_bytes(content)
        inspection = inspect_tflite(temporary)
        missing = sorted(set(inspection["ops"]) - OPERATORS)
        if missing:
            raise ExportError(f"The file needs operators that TFLM lacks: {', '.join(missing)}.")
        device = LiteSampler(temporary)
        rows = [device.run(_SIGNATURE, uniforms=uniforms[i : i + 1])["x"] for i in range(_NUM_ROWS)]
        verify_rows(model, np.concatenate(rows), uniforms, num_orders)
        arena = None
        if importlib.util.find_spec("tflite_micro") is not None:
            micro_rows, arena = run_on_tflm(temporary, uniforms)
            verify_rows(model, micro_rows, uniforms, num_orders)
    return MicroReport(
        path=os.fspath(path),
        size_bytes=len(content),
        ops=inspection["ops"],
        resolver=[resolver_call(name) for name in inspection["ops"]],
        rows_compared=_NUM_ROWS,
        arena_bytes=arena,
        seconds=round(time.perf_counter() - started, 3),
    )
