"""What a `.tflite` file holds: signatures, operators, where its bytes are."""

from __future__ import annotations

import collections
import os
from pathlib import Path
from typing import Any

import numpy as np

from made_tf.export.runtime import open_interpreter, read_metadata

__all__ = ["inspect_tflite"]


def inspect_tflite(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describes a `.tflite` file; needs NumPy and LiteRT alone.

    Args:
        path: the file.

    Returns:
        `signatures` (name -> inputs and outputs, each name -> shape, -1 where
        any size goes, and dtype), `ops` (operator name -> how many, over all
        subgraphs), `size_bytes`, `bytes` (what takes them: `weights`, matrices
        by dtype; `zeros`, how many of these bytes are zeros; `scales` of
        quantized weights; other `constants`; `metadata`; the rest is `graph`,
        operators and tensors), `metadata` (what the file says of itself, or
        `None`) and `event_size` (`None` for a model that made_tf did not
        export).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is truncated, damaged or no LiteRT model at all.
    """
    metadata = read_metadata(path)
    interpreter = open_interpreter(path)
    signatures = {}
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        signatures[name] = {
            "inputs": _tensors(runner.get_input_details()),
            "outputs": _tensors(runner.get_output_details()),
        }
    scored = signatures.get("log_prob", {}).get("inputs", {}).get("x")
    event_size = scored["shape"][-1] if scored else None
    if metadata is not None:
        event_size = metadata["event_size"]
    model = _read(path)
    return {
        "size_bytes": os.path.getsize(path),
        "event_size": event_size,
        "signatures": signatures,
        "ops": _count_operators(model),
        "bytes": _count_bytes(model, os.path.getsize(path)),
        "metadata": metadata,
    }


def _tensors(details: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "shape": [int(size) for size in detail["shape_signature"]],
            "dtype": np.dtype(detail["dtype"]).name,
        }
        for name, detail in details.items()
    }


def _read(path: str | os.PathLike[str]) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.Model.GetRootAs(Path(path).read_bytes())


def _names(enumeration: type) -> dict[int, str]:
    return {code: name for name, code in vars(enumeration).items() if name.isupper()}


def _count_operators(model: Any) -> dict[str, int]:
    """Counts the operators of all subgraphs, custom ones as `CUSTOM:name`."""
    from ai_edge_litert import schema_py_generated as schema

    names = _names(schema.BuiltinOperator)
    counts: collections.Counter[str] = collections.Counter()
    for g in range(model.SubgraphsLength()):
        graph = model.Subgraphs(g)
        for i in range(graph.OperatorsLength()):
            code = model.OperatorCodes(graph.Operators(i).OpcodeIndex())
            # Codes above 127 are in the newer, wider field alone.
            name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            if name == "CUSTOM":
                name = f"CUSTOM:{(code.CustomCode() or b'').decode()}"
            counts[name] += 1
    return dict(sorted(counts.items()))


def _count_bytes(model: Any, size: int) -> dict[str, Any]:
    """Tells what takes how many bytes."""
    from ai_edge_litert import schema_py_generated as schema

    types = _names(schema.TensorType)
    weights: collections.Counter[str] = collections.Counter()
    zeros = constants = 0
    scales: dict[bytes, int] = {}  # equal vectors are stored once
    seen = {0}
    for g in range(model.SubgraphsLength()):
        graph = model.Subgraphs(g)
        for i in range(graph.TensorsLength()):
            tensor = graph.Tensors(i)
            data = model.Buffers(tensor.Buffer()).DataAsNumpy()
            if tensor.Buffer() in seen or not isinstance(data, np.ndarray):
                continue
            seen.add(tensor.Buffer())
            name = types[tensor.Type()].lower()
            if tensor.ShapeLength() < 2 or name not in ("float32", "float16", "int8"):
                constants += data.nbytes
                continue
            weights[name] += data.nbytes
            width = np.dtype(name).itemsize
            zeros += width * int((data.view(name) == 0).sum())
            quantization = tensor.Quantization()
            if quantization is not None and quantization.ScaleLength():
                vector = quantization.ScaleAsNumpy().tobytes()
                scales[vector] = len(vector)
    described = sum(
        model.Buffers(model.Metadata(i).Buffer()).DataLength()
        for i in range(model.MetadataLength())
    )
    counted = sum(weights.values()) + constants + sum(scales.values()) + described
    return {
        "weights": dict(weights),
        "zeros": zeros,
        "scales": sum(scales.values()),
        "constants": constants,
        "metadata": described,
        "graph": size - counted,
    }
