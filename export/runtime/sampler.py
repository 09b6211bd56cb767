"""The device side: draws samples from a `.tflite` file with NumPy and LiteRT alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .blocks import in_whole_blocks
from .described import check_signatures, check_width
from .files import open_interpreter, read_metadata
from .inputs import (
    check_context,
    check_rows,
    check_seeds,
    check_supported,
    check_temperature,
    check_uniforms,
)
from .portable.arguments import integer
from .portable.arrays import FloatArray, Rows
from .portable.patterns import pattern_groups, pieces
from .portable.seeds import checked_seed, row_numbers, seed_batches, seed_pairs

__all__ = ["LiteSampler"]


class LiteSampler:
    """A MADE on the device: samples, scores and conditionals from one file.

    Args:
        path: a file that `made_tf.export.to_tflite` wrote.
        num_threads: threads of the interpreter; `None` lets LiteRT choose.

    Attributes:
        event_size: D, the number of variables.
        metadata: what the file says of itself (`read_metadata`); `None` where
            it says nothing.
        signatures: the names of its signatures.
        context_shape: the shape of a row's context; `None` for a model without a
            context. Of one with a context every method needs `context`, of this
            shape for all rows or `[n, ...]` with one for each.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is truncated, damaged, or has none of the
            signatures of made_tf.

    Several threads may share one sampler; their calls take turns.

    Example:
        >>> device = LiteSampler("digits.tflite")
        >>> device.sample(16, seed=7).shape
        (16, 64)
    """

    def __init__(self, path: str | os.PathLike[str], num_threads: int | None = None):
        self._opened = path, num_threads
        self.metadata = read_metadata(path)
        self._interpreter = open_interpreter(path, num_threads)
        self.signatures: list[str] = list(self._interpreter.get_signature_list())
        self._lock = threading.Lock()  # an interpreter serves one caller at a time
        self._runners: dict[str, Any] = {}
        if self.metadata is None:
            check_signatures(path, self.signatures)
            details = self.inputs("log_prob")
            self.event_size = int(details["x"]["shape"][-1])
        else:
            self.event_size = int(self.metadata["event_size"])
            for name in self.signatures[:1]:
                runner = self._runner(name)
                tensors = {**runner.get_output_details(), **runner.get_input_details()}
                check_width(path, tensors.get("x"), self.event_size)
        told = self.metadata or {}
        shape = (told.get("context") or {}).get("shape")
        self.context_shape = None if shape is None else tuple(map(int, shape))
        several = told.get("num_orders", 1) > 1 or "members" in told
        self._any_order = bool(told.get("any_order", True))  # unless it says that it is not
        self._has_many_orders = bool(told.get("any_order") or several)

    def __reduce__(self):
        return type(self), self._opened  # opened anew, from the same file

    def _runner(self, name: str) -> Any:
        if name not in self.signatures:
            hint = ""
            if name == "impute":
                hint = " of a model of all orders (num_masks=None), or one of evidence_units,"
            raise ValueError(
                f"This file has no signature {name!r}: export it{hint} with signatures that "
                f"include it. It has: {', '.join(self.signatures)}"
            )
        if name not in self._runners:
            try:
                self._runners[name] = self._interpreter.get_signature_runner(name)
            except RuntimeError as error:
                raise ValueError(
                    f"`path` must be a complete LiteRT model (.tflite). Received: "
                    f"path={os.fspath(self._opened[0])!r} ({error})"
                ) from error
        return self._runners[name]

    def inputs(self, name: str) -> dict[str, dict[str, Any]]:
        """Returns the inputs of a signature: name -> `shape`, `dtype` and more.

        Raises:
            ValueError: if the file has no such signature.
        """
        return self._runner(name).get_input_details()

    def run(self, name: str, **inputs: npt.NDArray) -> dict[str, FloatArray]:
        """Runs a signature as it is, such as `sample_16`: arrays by name to arrays by name.

        Raises:
            ValueError: if the file has no such signature, or it takes other
                inputs.
        """
        runner = self._runner(name)
        with self._lock:
            return runner(**inputs)

    def _answer(self, name: str, **inputs: npt.NDArray) -> dict[str, FloatArray]:
        """Runs a signature of any number of rows: each row's bits depend on that row alone."""
        if not self._has_many_orders:
            return self.run(name, **inputs)
        return in_whole_blocks(lambda **whole: self.run(name, **whole), inputs)

    def sample(
        self,
        num_samples: int,
        seed: int = 0,
        batch_size: int = 1024,
        context: npt.ArrayLike | None = None,
    ) -> FloatArray:
        """Draws rows: row i from the generator keyed by (seed, i).

        Args:
            num_samples: n, at least 1.
            seed: a 32-bit integer.
            batch_size: how many rows the interpreter draws at once.
            context: what the rows are conditioned on.

        Returns:
            Values `[n, D]`. The first rows do not depend on n.

        Raises:
            ValueError: if an argument is out of range.
        """
        return np.concatenate(list(self.stream(num_samples, seed, batch_size, context)))

    def stream(
        self,
        num_samples: int,
        seed: int = 0,
        batch_size: int = 1024,
        context: npt.ArrayLike | None = None,
    ) -> Iterator[FloatArray]:
        """Draws the rows of `sample` a batch at a time, in bounded memory.

        Args:
            num_samples: n, at least 1.
            seed: a 32-bit integer.
            batch_size: how many rows the interpreter draws at once.
            context: what the rows are conditioned on.

        Returns:
            An iterator over values `[at most batch_size, D]`.

        Raises:
            ValueError: if an argument is out of range.
        """
        batches = seed_batches(num_samples, seed, batch_size)
        given = check_context(context, self.context_shape, num_samples)
        if not given:
            return map(self.sample_from, batches)
        # The second number of a row's seed is that of the row.
        return (self.sample_from(seeds, given["context"][seeds[:, 1]]) for seeds in batches)

    def sample_from(
        self, seeds: npt.NDArray[np.int32], context: npt.ArrayLike | None = None
    ) -> FloatArray:
        """Draws one row `[D]` from each seed: int32 `[n, 2]` -> `[n, D]`.

        Raises:
            ValueError: if the seeds have another shape or dtype.
        """
        seeds = check_seeds(seeds)
        return self._answer("sample", seeds=seeds, **self._given(context, len(seeds)))["x"]

    def sample_rows(self, rows: Rows, seed: int = 0, batch_size: int = 1024) -> FloatArray:
        """Draws the rows of a sample that have these numbers, in any order: `[n]` -> `[n, D]`.

        Args:
            rows: their numbers; row i is drawn from the generator keyed by (seed, i).
            seed: a 32-bit integer.
            batch_size: how many rows the interpreter draws at once.

        Raises:
            ValueError: if there are none, or an argument is out of range.
        """
        seeds = check_seeds(seed_pairs(checked_seed(seed), rows))
        size = integer("batch_size", batch_size, 1, 2**31)
        return np.concatenate([self.sample_from(part) for part in pieces(seeds, size)])

    def _given(self, context: npt.ArrayLike | None, num_rows: int) -> dict[str, FloatArray]:
        given = check_context(context, self.context_shape, num_rows)
        return {name: np.ascontiguousarray(values) for name, values in given.items()}

    def sample_and_log_prob(
        self, seeds: npt.NDArray[np.int32], context: npt.ArrayLike | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Draws rows and scores them in one pass: int32 `[n, 2]` -> `[n, D]`, nats `[n]`.

        Raises:
            ValueError: if the seeds have another shape or dtype, or the file
                has no such signature.
        """
        seeds = check_seeds(seeds)
        given = self._given(context, len(seeds))
        found = self._answer("sample_and_log_prob", seeds=seeds, **given)
        return found["x"], found["log_prob"]

    def sample_at_temperature(
        self,
        seeds: npt.NDArray[np.int32],
        temperature: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
    ) -> FloatArray:
        """Draws rows from the conditionals to the power 1 / T: int32 `[n, 2]` -> `[n, D]`.

        Args:
            seeds: a pair for each row.
            temperature: T, one for all rows or `[n]`, from 1e-6 to 1e6: 1 changes
                nothing, below it rows are more alike, above it less.
            context: what the rows are conditioned on.

        Raises:
            ValueError: if an argument is out of range or has another shape, or
                the file has no such signature.
        """
        seeds = check_seeds(seeds)
        temperature = check_temperature(temperature, len(seeds))
        given = self._given(context, len(seeds))
        return self._answer("sample_at_temperature", seeds=seeds, temperature=temperature, **given)[
            "x"
        ]

    def sample_from_uniforms(
        self, uniforms: npt.ArrayLike, context: npt.ArrayLike | None = None
    ) -> FloatArray:
        """Turns uniforms into rows: `[n, U]` -> `[n, D]`.

        Args:
            uniforms: strictly between 0 and 1; column k decides variable k, and
                where U is D + 1 the last column decides the order.
            context: what the rows are conditioned on.

        Raises:
            ValueError: if they have another shape or range, or the file has no
                such signature.
        """
        width = self.inputs("sample_from_uniforms")["uniforms"]["shape"][-1]
        uniforms = check_uniforms(uniforms, width)
        given = self._given(context, len(uniforms))
        return self._answer("sample_from_uniforms", uniforms=uniforms, **given)["x"]

    def impute(
        self,
        x: npt.ArrayLike,
        seed: int = 0,
        batch_size: int = 1024,
        context: npt.ArrayLike | None = None,
        first_row: int | Rows = 0,
    ) -> FloatArray:
        """Fills in missing values by one draw given the rest of each row.

        Args:
            x: values `[n, D]`, NaN where they are missing; each row may lack
                others.
            seed: a 32-bit integer; row i is drawn from (seed, first_row + i).
            batch_size: how many rows the interpreter draws at once.
            context: what the rows are conditioned on.
            first_row: the number of the first row, so that pieces of a table get
                what the whole would; or the number of each row, `[n]`.

        Returns:
            Values `[n, D]`: the rows of `MADEDistribution.impute` with the same
            seed.

        Raises:
            ValueError: if the file has no signature `impute` (its model has a
                fixed order and reads no evidence), or if `x` has the wrong
                shape, infinite values or values outside the model's support.
        """
        self._runner("impute")  # checks
        key = checked_seed(seed)
        size = integer("batch_size", batch_size, 1, 2**31)
        values = np.array(x, dtype=np.float32)
        known = ~np.isnan(values)
        values[~known] = 0.0
        check_rows(values, self.event_size)
        seeds = seed_pairs(key, row_numbers(first_row, len(values)))
        given = {"seeds": seeds, **self._given(context, len(values))}
        groups = [np.arange(len(values))]
        if self._any_order:  # the file takes a pass for each pattern in a batch
            groups = [numbers for _, numbers in pattern_groups(known)]
        for numbers in groups:
            for part in pieces(numbers, size):
                own = {name: each[part] for name, each in given.items()}
                observed = known[part].astype(np.int32)
                drawn = self._answer("impute", x=values[part], observed=observed, **own)["x"]
                check_supported(drawn, values[part], part)
                values[part] = drawn
        return values

    def log_prob(
        self, x: npt.ArrayLike, batch_size: int = 1024, context: npt.ArrayLike | None = None
    ) -> FloatArray:
        """Returns the log-probability of each row in nats: `[n, D]` -> `[n]`.

        Raises:
            ValueError: if `x` has the wrong shape, or values that are not finite
                or outside the model's support.
        """
        rows = check_rows(x, self.event_size)
        size = integer("batch_size", batch_size, 1, 2**31)
        inputs = {"x": rows, **self._given(context, len(rows))}
        parts = zip(*(pieces(each, size) for each in inputs.values()), strict=True)
        answers = [
            self._answer("log_prob", **dict(zip(inputs, part, strict=True))) for part in parts
        ]
        log_prob = np.concatenate([answer["log_prob"] for answer in answers])
        check_supported(log_prob, rows)
        return log_prob

    def conditionals(
        self, x: npt.ArrayLike, context: npt.ArrayLike | None = None
    ) -> dict[str, FloatArray]:
        """Returns the parameters of p(x_k | x_<k) by name: `[n, D]` -> `[n, D, ...]`.

        Raises:
            ValueError: if `x` has the wrong shape, or values that are not finite.
        """
        rows = check_rows(x, self.event_size)
        return self._answer("conditionals", x=rows, **self._given(context, len(rows)))
