"""`Estimate`: log-probabilities with what is known of their error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Estimate"]


class Estimate(NamedTuple):
    """Log-probabilities, exact or by Monte Carlo.

    Attributes:
        log_prob: `[N]`, in nats.
        standard_error: that of `log_prob`, `[N]`; 0 where it is exact, NaN where
            all draws have the weight 0.
        effective_sample_size: how many equally weighted draws the weighted
            ones were worth, `[N]`; infinite where it is exact.
    """

    log_prob: npt.NDArray[np.float64]
    standard_error: npt.NDArray[np.float64]
    effective_sample_size: npt.NDArray[np.float64]

    @property
    def probability(self) -> npt.NDArray[np.float64]:
        """The probabilities (or densities) themselves, `[N]`."""
        return np.exp(self.log_prob)

    @classmethod
    def exact(cls, log_prob: npt.ArrayLike) -> Estimate:
        """Returns an estimate that is none."""
        log_prob = np.asarray(log_prob, np.float64)
        return cls(log_prob, np.zeros_like(log_prob), np.full_like(log_prob, np.inf))

    @classmethod
    def of_weights(cls, log_weights: npt.ArrayLike) -> Estimate:
        """Returns the log of the mean of weights: `[N, L]` -> `[N]`; the error to first order."""
        log_weights = np.asarray(log_weights, np.float64)
        largest = log_weights.max(axis=1, keepdims=True)
        weights = np.exp(log_weights - np.where(np.isfinite(largest), largest, 0.0))
        total, count = weights.sum(axis=1), weights.shape[1]
        with np.errstate(divide="ignore", invalid="ignore"):  # of nothing but zeros
            log_prob = np.log(total / count) + np.where(np.isfinite(largest), largest, 0.0)[:, 0]
            error = weights.std(axis=1, ddof=1) / np.sqrt(count) / (total / count)
            size = np.where(total > 0, total**2 / (weights**2).sum(axis=1), 0.0)
        return cls(log_prob, error, size)

    @classmethod
    def of_mixture(
        cls, parts: Sequence[Estimate], evidence: Sequence[Estimate] | None = None
    ) -> Estimate:
        """Returns the log of the sum of w_m p_m, from the log p_m; the error to first order.

        Args:
            parts: those of M densities, `[N]` each, estimated independently of each other.
            evidence: log-probabilities to which the weights w_m are in proportion, estimated
                independently of the others, too; by default all w_m are 1 / M.
        """
        if len(parts) == 1:
            return parts[0]
        found = cls(*(np.stack(each) for each in zip(*parts, strict=True)))  # [M, N]
        before = cls.exact(np.zeros_like(found.log_prob))
        if evidence is not None:
            before = cls(*(np.stack(each) for each in zip(*evidence, strict=True)))
        weights, log_weights = _shares(before.log_prob)
        # What has no weight counts for nothing, whatever it says.
        log_probs = np.where(log_weights > -np.inf, log_weights + found.log_prob, -np.inf)
        shares, _ = _shares(log_probs)
        # By how much the result moves with each log p_m, then with the log of each weight.
        moves = np.stack([shares, np.abs(shares - weights)])  # [2, M, N]
        errors, sizes = (np.stack(pair) for pair in list(zip(found, before, strict=True))[1:])
        with np.errstate(divide="ignore", invalid="ignore"):  # of what has no weight
            variance = np.where(moves > 0, moves * errors, 0.0) ** 2
            inverse = np.where(moves > 0, moves**2 / sizes, 0.0)
            return cls(
                np.logaddexp.reduce(log_probs),
                np.sqrt(variance.sum(axis=(0, 1))),
                1 / inverse.sum(axis=(0, 1)),
            )


def _shares(log_probs: npt.NDArray[np.float64]) -> tuple[npt.NDArray, npt.NDArray]:
    """Returns the shares of M probabilities in their sum, and their logs: `[M, N]` each.

    Of nothing but zeros all shares are equal.
    """
    total = np.logaddexp.reduce(log_probs)
    with np.errstate(invalid="ignore"):
        logs = np.where(np.isfinite(total), log_probs - total, -np.log(len(log_probs)))
    return np.exp(logs), logs
