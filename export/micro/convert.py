"""A file for microcontrollers: one signature, fixed shapes, operators that TFLM has."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from made_tf.export.checks.report import ExportError
from made_tf.export.checks.verify import verify_rows
from made_tf.export.convert import check_target, convert
from made_tf.export.file.flatbuffer import read_model, write_model
from made_tf.export.file.inspection import inspect_tflite
from made_tf.export.file.metadata import describe_model, seal
from made_tf.export.file.weights import with_weights
from made_tf.export.runtime import LiteSampler
from made_tf.export.signatures import make_signatures, num_uniforms
from made_tf.models.made import MADE
from made_tf.portable.files import replacing

__all__ = ["MicroReport", "run_on_tflm", "to_micro"]

_SIGNATURE = "sample_from_uniforms"
_NUM_ROWS = 32
_SEED = 20150208
_LARGEST_ARENA = 2**25
_KILOBYTE = 1024
_TIMEOUT = 300  # seconds, for a child process

# What MicroMutableOpResolver can register, as far as samplers may come to need it.
_OPERATORS = frozenset(
    """
    ABS ADD ARG_MAX ARG_MIN BATCH_MATMUL BROADCAST_TO CAST CEIL CONCATENATION CUMSUM DIV ELU EQUAL
    EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER
    GREATER_EQUAL HARD_SWISH IF LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR
    LOGISTIC LOG_SOFTMAX MAXIMUM MEAN MINIMUM MUL NEG NOT_EQUAL PACK PAD PADV2 REDUCE_MAX
    REDUCE_MIN RELU RELU6 RESHAPE REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SLICE SOFTMAX SPLIT
    SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TRANSPOSE UNPACK WHILE
    ZEROS_LIKE
    """.split()  # noqa: SIM905 - a list of quoted names is harder to read
)
# The calls that do not follow from the operator's name.
_OTHER_CALLS = {"BATCH_MATMUL": "AddBatchMatMul", "CUMSUM": "AddCumSum", "PADV2": "AddPadV2"}


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
    path: str | os.PathLike[str],
    block_length: int | None = None,
    num_orders: int | None = None,
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

    Returns:
        What was written; `str(report)` is readable.

    Raises:
        ValueError: as of `to_tflite`, and if the model has more than one order.
        OSError: if the file cannot be written there.
        ExportError: if the file needs an operator that TFLM lacks, or does not
            draw what the model draws.
    """
    started = time.perf_counter()
    path = check_target(model, path)
    num_orders = model.mask_sets.check_count(model.num_orders if num_orders is None else num_orders)
    if num_orders > 1 or model.any_order:
        raise ValueError(
            "`model` must be of one order: TFLM lacks the operators that sort weights by another. "
            f"Received: num_orders={num_orders}, any_order={model.any_order}"
        )
    model = with_weights(model, "float32")
    made = make_signatures(model, {_SIGNATURE: (_SIGNATURE, 1)}, block_length, 1, num_orders)
    content = convert(made, "float32", describe_model(model, num_orders, "float32"))
    content = _with_select_v2(content)
    shape = _NUM_ROWS, num_uniforms(model, num_orders)
    uniforms = np.random.default_rng(_SEED).uniform(1e-6, 1 - 1e-6, shape).astype(np.float32)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        inspection = inspect_tflite(temporary)
        missing = sorted(set(inspection["ops"]) - _OPERATORS)
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
        resolver=[_resolver_call(name) for name in inspection["ops"]],
        rows_compared=_NUM_ROWS,
        arena_bytes=arena,
        seconds=round(time.perf_counter() - started, 3),
    )


def run_on_tflm(
    path: str | os.PathLike[str], uniforms: npt.NDArray[np.float32], arena: int | None = None
) -> tuple[npt.NDArray[np.float32], int]:
    """Draws rows on TFLM, on this machine; needs `tflite-micro`.

    Args:
        path: a file of `to_micro`.
        uniforms: `[n, U]`.
        arena: the size of the arena in bytes; `None` finds the number of whole
            kilobytes that it takes.

    Returns:
        The rows `[n, D]`, and the arena that they were drawn in. Pointers take
        8 bytes here and 4 on most microcontrollers, which need less.

    Raises:
        ExportError: if TFLM cannot run the file.
    """
    if arena is None:
        arena = _smallest_arena(path, uniforms[:1])
    return _run(path, uniforms, arena)[0], arena


def _smallest_arena(path: str | os.PathLike[str], uniforms: npt.NDArray[np.float32]) -> int:
    """Tries arenas, each in a process of its own: in one that is too small TFLM may crash."""
    _, told = _run(path, uniforms, _LARGEST_ARENA)
    found = re.search(r"Arena allocation total (\d+) bytes", told)
    low = 1 if found is None else max(int(found[1]) // _KILOBYTE, 1)  # what stays when it is open
    high = _LARGEST_ARENA // _KILOBYTE if found is None else 4 * low

    def runs(kilobytes: int) -> bool:
        try:
            _run(path, uniforms, kilobytes * _KILOBYTE)
        except ExportError:
            return False
        return True

    while not runs(high):
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if runs(middle) else (middle + 1, high)
    return low * _KILOBYTE


def _run(
    path: str | os.PathLike[str], uniforms: npt.NDArray[np.float32], arena: int
) -> tuple[npt.NDArray[np.float32], str]:
    """Returns the rows and what TFLM printed."""
    with tempfile.TemporaryDirectory() as folder:
        given, drawn = (os.path.join(folder, name) for name in ("uniforms.npy", "rows.npy"))
        np.save(given, uniforms)
        script = str(Path(__file__).with_name("tflm.py"))
        command = [sys.executable, script, os.fspath(path), given, drawn, str(arena)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ExportError(f"TFLM did not finish the file in {_TIMEOUT} s.") from error
        if done.returncode:
            why = done.stderr.strip()[-300:] or f"exit status {done.returncode}"
            raise ExportError(f"TFLM cannot run the file in {arena:,} bytes: {why}")
        return np.load(drawn), done.stderr


def _with_select_v2(content: bytes) -> bytes:
    """Replaces SELECT, which TFLM lacks, by SELECT_V2, the same with broadcasting."""
    from tensorflow.lite.python.schema_py_generated import BuiltinOperator, BuiltinOptions

    model = read_model(content)
    for code in model.operatorCodes:
        if code.builtinCode == BuiltinOperator.SELECT:
            code.builtinCode = code.deprecatedBuiltinCode = BuiltinOperator.SELECT_V2
    for graph in model.subgraphs:
        for operator in graph.operators:
            if operator.builtinOptionsType == BuiltinOptions.SelectOptions:
                operator.builtinOptionsType, operator.builtinOptions = 0, None
    return seal(write_model(model))


def _resolver_call(name: str) -> str:
    parts = name.split("_")
    return _OTHER_CALLS.get(name, "Add" + "".join(part.capitalize() for part in parts))
