"""Runs a file on TFLM, on this machine, and finds the memory that it takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from made_tf.export.checks.report import ExportError
from made_tf.portable.files import PathLike

__all__ = ["run_on_tflm"]

_LARGEST_ARENA = 2**25
_KILOBYTE = 1024
_TIMEOUT = 300  # seconds, for a child process


def run_on_tflm(
    path: PathLike, uniforms: npt.NDArray[np.float32], arena: int | None = None
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


def _smallest_arena(path: PathLike, uniforms: npt.NDArray[np.float32]) -> int:
    """Tries arenas, each in a process of its own: in one that is too small TFLM may crash."""
    _, printed = _run(path, uniforms, _LARGEST_ARENA)
    found = re.search(r"Arena allocation total (\d+) bytes", printed)
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
    path: PathLike, uniforms: npt.NDArray[np.float32], arena: int
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
