"""How a file stores weights: as float32, as float16, or as int8 with a scale for each unit.

What is stored is expanded to float32 when the file is opened, so that every
product is one of floats: no number of a row is ever rounded by a scale that
other numbers of the row decide. (So-called dynamic-range quantization does that,
and lets later inputs change earlier outputs.)
"""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE

__all__ = ["WEIGHTS", "members_with_weights", "pack_weights", "with_dtype", "with_weights"]

#: The formats that serve every signature.
WEIGHTS = ("float32", "float16", "int8")

_LEAST = 32  # numbers of a constant that is worth an operator
_LARGEST_INT8 = 127
_EXACT = 1e-3  # of one step: float32 rounds the 127th to 1e-5
_DEQUANTIZE_VERSIONS = {"float16": 3, "int8": 5}  # the first that takes constants of this kind


def with_dtype(model: MADE, dtype: str) -> MADE:
    """Returns a copy that computes in another precision."""
    copy = MADE.from_config({**model.get_config(), "dtype": dtype})
    for ours, theirs in zip(copy.weights, model.weights, strict=True):
        ours.assign(keras.ops.cast(theirs, ours.dtype))
    return copy


def with_weights(model: MADE, weights: str) -> MADE:
    """Returns the model in float32 whose kernels are those that a format can hold.

    Args:
        model: the model, which stays as it is.
        weights: `"float32"`, `"float16"` or `"int8"`: there each unit has the
            largest of its weights divided by 127 as its scale, as with Keras'
            `model.quantize("int8")`. Biases stay in float32.

    Raises:
        ValueError: if a weight is beyond float16's range, or float16 is asked of a
            model that is quantized.
    """
    policy = model.dtype_policy
    is_float32 = policy.compute_dtype == policy.variable_dtype == "float32"
    if weights == "float32":
        return model if is_float32 else with_dtype(model, "float32")
    copy = with_dtype(model, "float32")
    tables = [] if copy.family_weights is None else copy.family_weights.tables
    if weights == "int8":
        for table in tables:
            _round_to_int8(table)
        if copy.reads_evidence:
            for layer in (*copy.context_layers, *copy.evidence_layers):
                _round_to_int8(layer.kernel, axis=0)
        if not any(layer.quantized for layer in copy.masked_layers()):
            with warnings.catch_warnings():  # that dropout has nothing to quantize
                warnings.simplefilter("ignore", UserWarning)
                copy.quantize("int8")
        return copy
    for layer in copy.masked_layers():
        if layer.quantized:
            raise ValueError(
                "`weights` must be 'int8' or 'float32' for a model that is quantized to int8. "
                f"Received: weights={weights!r}"
            )
        _round_to_float16(layer.name, [layer.kernel, getattr(layer, "mask_kernel", None)])
    for layer in (*copy.context_layers, *copy.evidence_layers):
        _round_to_float16(layer.name, [layer.kernel])
    _round_to_float16("family", tables)
    return copy


def members_with_weights(model: MADE | Ensemble, weights: str) -> MADE | Ensemble:
    """Returns `with_weights` of a model, or of each member of an ensemble."""
    if isinstance(model, Ensemble):
        return Ensemble([with_weights(member, weights) for member in model.members])
    return with_weights(model, weights)


def _round_to_int8(table: Any, axis: int = 1) -> None:
    """Rounds each row of a table, or each unit's weights (axis 0), to a scale of its own."""
    values = np.asarray(table)
    scale = np.abs(values).max(axis=axis, keepdims=True) / _LARGEST_INT8
    scale[scale == 0] = 1.0
    table.assign(np.rint(values / scale) * scale)


def _round_to_float16(name: str, stored: list) -> None:
    for kernel in (k for k in stored if k is not None):
        values = np.asarray(kernel)
        if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
            raise ValueError(
                "`weights` must not be 'float16' for weights beyond its range, 65504. "
                f"Received: {np.abs(values).max():.3g} in layer {name!r}"
            )
        kernel.assign(values.astype(np.float16).astype(np.float32))


def pack_weights(model: Any, weights: str) -> None:
    """Stores constant matrices in a smaller format, where that loses nothing.

    Args:
        model: the `ModelT` of a file, which is changed. Its weights are those
            of `with_weights`.
        weights: `"float16"` or `"int8"`; with `"float32"` nothing changes.
    """
    if weights == "float32":
        return
    from tensorflow.lite.python import schema_py_generated as schema

    # By buffer and shape (equal zeros of two shapes are one buffer); None for what stays.
    packed: dict[tuple, tuple[int, Any] | None] = {}

    def pack(tensor: Any) -> tuple[npt.NDArray, npt.NDArray | None, int] | None:
        values = model.buffers[tensor.buffer].data
        is_matrix = tensor.shape is not None and len(tensor.shape) == 2
        if tensor.type != schema.TensorType.FLOAT32 or not is_matrix or values is None:
            return None
        matrix = np.frombuffer(bytes(values), np.float32).reshape(tensor.shape)
        if matrix.size < _LEAST:
            return None
        return _as_float16(matrix) if weights == "float16" else _as_int8(matrix)

    code = _dequantize_code(model, schema, _DEQUANTIZE_VERSIONS[weights])
    for graph in model.subgraphs:
        expanding = []
        for index, tensor in enumerate(list(graph.tensors)):
            key = tensor.buffer, *(() if tensor.shape is None else tensor.shape)
            if key not in packed:
                found = pack(tensor)
                packed[key] = None if found is None else _add_buffer(model, schema, found)
            place = packed[key]
            if place is None:
                continue
            stored = schema.TensorT()
            stored.shape, (stored.buffer, stored.quantization) = tensor.shape, place
            is_float16 = weights == "float16"
            stored.type = schema.TensorType.FLOAT16 if is_float16 else schema.TensorType.INT8
            operator = schema.OperatorT()
            operator.opcodeIndex = code
            operator.inputs = np.array([len(graph.tensors)], np.int32)
            operator.outputs = np.array([index], np.int32)
            tensor.buffer = 0
            graph.tensors.append(stored)
            expanding.append(operator)
        graph.operators = expanding + graph.operators


def _as_float16(matrix: npt.NDArray[np.float32]) -> tuple[npt.NDArray, None, int] | None:
    halves = matrix.astype(np.float16)
    return (halves, None, 0) if np.array_equal(halves.astype(np.float32), matrix) else None


def _as_int8(matrix: npt.NDArray[np.float32]) -> tuple[npt.NDArray, npt.NDArray, int] | None:
    """Returns integers, a scale for each unit, and the axis of the units."""
    for axis in (0, 1):
        found = _integers(matrix if axis == 0 else matrix.T)
        if found is not None:
            integers, scale = found
            return np.ascontiguousarray(integers if axis == 0 else integers.T), scale, axis
    return None


def _integers(matrix: npt.NDArray[np.float32]) -> tuple[npt.NDArray, npt.NDArray] | None:
    """Finds the integers behind `scale * integers`: a scale for each row, from the row alone.

    A row of a block may lack its unit's largest weight. So its own largest one
    is any of 1..127 steps: the number of steps that fits the others best.
    """
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    largest[largest == 0] = 1.0
    relative = (matrix / largest).astype(np.float64)
    steps = np.ones(len(matrix))
    errors = np.full(len(matrix), np.inf)
    for count in range(1, _LARGEST_INT8 + 1):
        scaled = relative * count
        error = np.abs(scaled - np.rint(scaled)).max(axis=1)
        better = error < errors - _EXACT / 10
        steps[better], errors[better] = count, error[better]
    if errors.max() > _EXACT:
        return None
    integers = np.rint(relative * steps[:, None]).astype(np.int8)
    return integers, (largest[:, 0] / steps).astype(np.float32)


def _add_buffer(model: Any, schema: Any, found: tuple) -> tuple[int, Any]:
    values, scale, axis = found
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    quantization = None
    if scale is not None:
        quantization = schema.QuantizationParametersT()
        quantization.scale = scale
        quantization.zeroPoint = np.zeros(len(scale), np.int64)
        quantization.quantizedDimension = axis
    return len(model.buffers) - 1, quantization


def _dequantize_code(model: Any, schema: Any, version: int) -> int:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
