"""From a fitted model to one `.tflite` file, and back to samples on the device.

`to_tflite` needs TensorFlow; `runtime.LiteSampler` needs NumPy and
`ai-edge-litert` alone. Importing this package imports neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

_HOMES = {
    "ExportError": "checks.report",
    "ExportReport": "checks.report",
    "LiteSampler": "runtime",
    "LiteTable": "runtime",
    "MicroReport": "micro",
    "inspect_tflite": "file.inspection",
    "to_micro": "micro",
    "to_tflite": "convert",
}

__all__ = list(_HOMES)

if TYPE_CHECKING:
    from made_tf.export.checks.report import ExportError, ExportReport
    from made_tf.export.convert import to_tflite
    from made_tf.export.file.inspection import inspect_tflite
    from made_tf.export.micro import MicroReport, to_micro
    from made_tf.export.runtime import LiteSampler, LiteTable


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f"made_tf.export.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'made_tf.export' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
