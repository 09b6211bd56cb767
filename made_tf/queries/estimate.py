"""`Estimate`: log-probabilities with what is known of their error."""

from __future__ import annotations

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
