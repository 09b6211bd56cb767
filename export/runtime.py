"""The device side: draws samples from a `.tflite` file with NumPy and LiteRT alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from made_tf.arguments import integer, seed_batches
from made_tf.patterns import pattern_groups, pieces

__all__ = ["LiteSampler", "open_interpreter"]

_OUTSIDE = "`x` must contain values of the model's support only (0 and 1, or classes). "

FloatArray = npt.NDArray[np.float32]


def open_interpreter(path: str | os.PathLike[str], num_threads: int | None = None) -> Interpreter:
    """Opens a `.tflite` file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is truncated, damaged or no LiteRT model at all.
    """
    path = os.fspath(path)
    if num_threads is not None:
        integer("num_threads", num_threads)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"No such file: {path}")
    try:
        return Interpreter(model_path=path, num_threads=num_threads)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"`path` must be a complete LiteRT model (.tflite). Received: path={path!r} ({error})"
        ) from error


class LiteSampler:
    """A MADE on the device: samples, scores and conditionals from one file.

    Args:
        path: a file that `made_tf.export.to_tflite` wrote.
        num_threads: threads of the interpreter; `None` lets LiteRT choose.

    Attributes:
        event_size: D, the number of variables.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is truncated, damaged, or has other signatures.

    Several threads may share one sampler; their calls take turns.

    Example:
        >>> device = LiteSampler("made.tflite")  # doctest: +SKIP
        >>> device.sample(16, seed=7).shape  # doctest: +SKIP
        (16, 64)
    """

    def __init__(self, path: str | os.PathLike[str], num_threads: int | None = None):
        interpreter = open_interpreter(path, num_threads)
        signatures = interpreter.get_signature_list()
        missing = {"sample", "log_prob", "conditionals"} - set(signatures)
        if missing:
            raise ValueError(
                "`path` must be a model that made_tf exported, with the signatures sample, "
                f"log_prob and conditionals. Received: path={os.fspath(path)!r} without "
                f"{sorted(missing)}"
            )
        self._lock = threading.Lock()  # an interpreter serves one caller at a time
        self._sample = interpreter.get_signature_runner("sample")
        self._log_prob = interpreter.get_signature_runner("log_prob")
        self._conditionals = interpreter.get_signature_runner("conditionals")
        self._impute: Any = None
        if "impute" in signatures:
            self._impute = interpreter.get_signature_runner("impute")
        self.event_size = int(self._log_prob.get_input_details()["x"]["shape"][-1])

    def sample(self, num_samples: int, seed: int = 0, batch_size: int = 1024) -> FloatArray:
        """Draws rows: row i from the generator keyed by (seed, i).

        Args:
            num_samples: n, at least 1.
            seed: a 32-bit integer.
            batch_size: how many rows the interpreter draws at once.

        Returns:
            Values `[n, D]`. The first rows do not depend on n.

        Raises:
            ValueError: if an argument is out of range.
        """
        return np.concatenate(list(self.stream(num_samples, seed, batch_size)))

    def stream(
        self, num_samples: int, seed: int = 0, batch_size: int = 1024
    ) -> Iterator[FloatArray]:
        """Draws the rows of `sample` a batch at a time, in bounded memory.

        Args:
            num_samples: n, at least 1.
            seed: a 32-bit integer.
            batch_size: how many rows the interpreter draws at once.

        Returns:
            An iterator over values `[at most batch_size, D]`.

        Raises:
            ValueError: if an argument is out of range.
        """
        return map(self.sample_from, seed_batches(num_samples, seed, batch_size))

    def sample_from(self, seeds: npt.NDArray[np.int32]) -> FloatArray:
        """Draws one row `[D]` from each seed: int32 `[n, 2]` -> `[n, D]`.

        Raises:
            ValueError: if the seeds have another shape or dtype.
        """
        seeds = np.asarray(seeds)
        if seeds.dtype != np.int32 or seeds.ndim != 2 or seeds.shape[1] != 2 or len(seeds) == 0:
            raise ValueError(
                "`seeds` must be int32 of shape [n, 2], n at least 1. "
                f"Received: seeds.dtype={seeds.dtype}, seeds.shape={seeds.shape}"
            )
        with self._lock:
            return self._sample(seeds=np.ascontiguousarray(seeds))["x"]

    def impute(self, x: npt.ArrayLike, seed: int = 0, batch_size: int = 1024) -> FloatArray:
        """Fills in missing values by one draw given the rest of each row.

        Args:
            x: values `[n, D]`, NaN where they are missing; each row may lack
                others.
            seed: a 32-bit integer; row i is drawn from (seed, i).
            batch_size: how many rows the interpreter draws at once.

        Returns:
            Values `[n, D]`: the rows of `MADEDistribution.impute` with the same
            seed.

        Raises:
            ValueError: if the file has no signature `impute` (its model has a
                fixed order), or if `x` has the wrong shape, infinite values or
                values outside the model's support.
        """
        if self._impute is None:
            raise ValueError(
                "This file cannot fill in values: export a model of all orders (num_masks=None)."
            )
        seed = integer("seed", seed, -(2**31), 2**31)
        size = integer("batch_size", batch_size, 1, 2**31)
        values = np.array(x, dtype=np.float32)
        known = ~np.isnan(values)
        values[~known] = 0.0
        self._rows(values)  # checks
        seeds = np.stack([np.full(len(values), seed), np.arange(len(values))], 1)
        # The file takes a pass for each pattern in a batch: rows of one pattern go together.
        for pattern, numbers in pattern_groups(known):
            for part in pieces(numbers, size):
                self._impute_some(values, pattern, part, seeds)
        return values

    def _impute_some(self, values, pattern, rows, seeds) -> None:
        observed = np.ascontiguousarray(np.broadcast_to(pattern, (len(rows), len(pattern))))
        with self._lock:
            drawn = self._impute(
                x=values[rows],
                observed=observed.astype(np.int32),
                seeds=seeds[rows].astype(np.int32),
            )["x"]
        if np.isnan(drawn).any():
            row = rows[int(np.argmax(np.isnan(drawn).any(axis=1)))]
            raise ValueError(_OUTSIDE + f"Received: x[{row}]={_shown(values[row])}")
        values[rows] = drawn

    def log_prob(self, x: npt.ArrayLike, batch_size: int = 1024) -> FloatArray:
        """Returns the log-probability of each row in nats: `[n, D]` -> `[n]`.

        Raises:
            ValueError: if `x` has the wrong shape, or values that are not finite
                or outside the model's support.
        """
        rows = self._rows(x)
        size = integer("batch_size", batch_size, 1, 2**31)
        with self._lock:
            parts = [
                self._log_prob(x=rows[start : start + size])["log_prob"]
                for start in range(0, len(rows), size)
            ]
        log_prob = np.concatenate(parts)
        if np.isnan(log_prob).any():
            row = int(np.argmax(np.isnan(log_prob)))
            raise ValueError(_OUTSIDE + f"Received: x[{row}]={_shown(rows[row])}")
        return log_prob

    def conditionals(self, x: npt.ArrayLike) -> dict[str, FloatArray]:
        """Returns the parameters of p(x_k | x_<k) by name: `[n, D]` -> `[n, D, ...]`.

        Raises:
            ValueError: if `x` has the wrong shape, or values that are not finite.
        """
        rows = self._rows(x)
        with self._lock:
            return self._conditionals(x=rows)

    def _rows(self, x: npt.ArrayLike) -> FloatArray:
        rows = np.ascontiguousarray(x, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.event_size or len(rows) == 0:
            raise ValueError(
                f"`x` must have the shape [n, {self.event_size}], n at least 1. "
                f"Received: x.shape={rows.shape}"
            )
        if not np.isfinite(rows).all():
            row, column = np.argwhere(~np.isfinite(rows))[0]
            raise ValueError(
                f"`x` must be finite. Received: x[{row}, {column}]={rows[row, column]}"
            )
        return rows


def _shown(row: FloatArray) -> str:
    return np.array2string(row, threshold=8)
