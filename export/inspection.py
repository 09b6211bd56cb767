"""What a `.tflite` file holds: signatures, operators, sizes."""

from __future__ import annotations

import collections
import os
from typing import Any

import numpy as np

from made_tf.export.runtime import open_interpreter

__all__ = ["inspect_tflite"]


def inspect_tflite(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describes a `.tflite` file; needs NumPy and LiteRT alone.

    Args:
        path: the file.

    Returns:
        `signatures` (name -> inputs and outputs, each name -> shape, -1 where
        any size goes, and dtype), `ops` (operator name -> how many, over all
        subgraphs), `size_bytes`, and `event_size` (`None` for a model that
        made_tf did not export).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is truncated, damaged or no LiteRT model at all.
    """
    interpreter = open_interpreter(path)
    signatures = {}
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        signatures[name] = {
            "inputs": _tensors(runner.get_input_details()),
            "outputs": _tensors(runner.get_output_details()),
        }
    scored = signatures.get("log_prob", {}).get("inputs", {}).get("x")
    return {
        "size_bytes": os.path.getsize(path),
        "event_size": scored["shape"][-1] if scored else None,
        "signatures": signatures,
        "ops": _count_operators(path),
    }


def _tensors(details: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "shape": [int(size) for size in detail["shape_signature"]],
            "dtype": np.dtype(detail["dtype"]).name,
        }
        for name, detail in details.items()
    }


def _count_operators(path: str | os.PathLike[str]) -> dict[str, int]:
    """Counts the operators of all subgraphs, custom ones as `CUSTOM:name`."""
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    with open(path, "rb") as file:
        model = schema.Model.GetRootAs(file.read())
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
