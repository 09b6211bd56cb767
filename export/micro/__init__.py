"""The profile for microcontrollers."""

from __future__ import annotations

from made_tf.export.micro.convert import MicroReport, run_on_tflm, to_micro

__all__ = ["MicroReport", "run_on_tflm", "to_micro"]
