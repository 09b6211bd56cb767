"""The profile for microcontrollers."""

from __future__ import annotations

from made_tf.export.micro.arena import run_on_tflm
from made_tf.export.micro.convert import MicroReport, to_micro

__all__ = ["MicroReport", "run_on_tflm", "to_micro"]
