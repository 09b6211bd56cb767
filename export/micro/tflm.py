"""Runs a file on TFLM, in a process of its own: beside TensorFlow the two crash.

    python tflm.py MODEL.tflite UNIFORMS.npy ROWS.npy ARENA_BYTES

Writes the rows; TFLM prints on stderr what it allocated.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

__all__ = ["main"]


def main(model: str, uniforms: str, rows: str, arena: str) -> None:
    """Draws a row from each row of uniforms."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(Path(model).read_bytes(), arena_size=int(arena))
    drawn = []
    for row in np.load(uniforms):
        interpreter.set_input(row[None], 0)
        interpreter.invoke()
        drawn.append(interpreter.get_output(0)[0])
    np.save(rows, np.stack(drawn))
    interpreter.print_allocations()


if __name__ == "__main__":
    main(*sys.argv[1:])
