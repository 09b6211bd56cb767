"""What is found on a written file, and the error when it is not what it should be."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["ExportError", "ExportReport"]


class ExportError(RuntimeError):
    """A converted file that does not do what its model does; it was not handed over."""


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What was found on a written and verified file.

    Attributes:
        path: the file.
        size_bytes: its size.
        signatures: names, and shapes and dtypes of inputs and outputs.
        ops: operator names and counts; all are LiteRT builtins.
        rows_compared: rows drawn from the same seeds on host and device.
        rows_different: rows in which a value differs at all. For discrete
            families each difference is a tie within rounding; for continuous
            ones all values agree within rounding.
        max_sample_difference: the largest difference of a drawn value.
        max_log_prob_difference: the largest difference of a row's
            log-probability, in nats.
        weights: the format of the weights. Where it is not float32, the model
            that the file is compared with has its weights rounded likewise.
        live_weight_bytes: what the weights in use would take in this format.
        leak: the largest change of a conditional when a variable that it must
            not depend on changes: 0; `None` for a file without `conditionals`.
        total_probability: of all states, where there are few enough.
        nll_change: how much the mean NLL of the given rows rises from the
            model's own to the file's, in nats; `None` without rows.
        bits_per_dim_change: the same in bits per dimension.
        load_ms: from the file to the first sample.
        sample_ms: how long a batch of n rows takes, by n.
        seconds: how long conversion and verification took.
    """

    path: str
    size_bytes: int
    signatures: dict[str, Any]
    ops: dict[str, int]
    rows_compared: int = 0
    rows_different: int = 0
    max_sample_difference: float = 0.0
    max_log_prob_difference: float = 0.0
    weights: str = "float32"
    live_weight_bytes: int = 0
    leak: float | None = None
    total_probability: float | None = None
    nll_change: float | None = None
    bits_per_dim_change: float | None = None
    load_ms: float | None = None
    sample_ms: dict[int, float] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, for JSON."""
        values = dataclasses.asdict(self)
        values["sample_ms"] = {str(rows): ms for rows, ms in self.sample_ms.items()}
        return values

    def __str__(self) -> str:
        same = self.rows_compared - self.rows_different
        share = self.size_bytes / max(self.live_weight_bytes, 1)
        lines = [
            f"{self.path}: {self.size_bytes:,} bytes, verified in {self.seconds:.1f} s",
            f"  weights: {self.weights}; the file has {share:.2f} times the bytes of those in use",
            f"  signatures: {', '.join(self.signatures)}",
            f"  operators: {sum(self.ops.values())} of {len(self.ops)} kinds, all builtin",
            f"  log_prob: within {self.max_log_prob_difference:.2g} nats of the host's",
        ]
        if self.rows_compared:
            lines.insert(
                4,
                f"  samples equal to the host's: {same} of {self.rows_compared} rows "
                f"(largest difference {self.max_sample_difference:.2g})",
            )
        if self.leak is not None:
            lines.append(f"  autoregressive: leak {self.leak:g}")
        if self.total_probability is not None:
            lines.append(f"  total probability of all states: {self.total_probability:.7f}")
        if self.nll_change is not None and self.bits_per_dim_change is not None:
            lines.append(
                f"  NLL on the given rows: {self.nll_change:+.4f} nats "
                f"({self.bits_per_dim_change:+.5f} bits per dimension) against the model"
            )
        if self.load_ms is not None:
            times = ", ".join(f"{ms:.2f} ms for {n}" for n, ms in self.sample_ms.items())
            lines.append(f"  opened in {self.load_ms:.0f} ms; samples: {times}")
        return "\n".join(lines)
