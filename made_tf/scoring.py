"""Log-probabilities of many rows in bounded memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt

    from made_tf.models.ensemble import Ensemble
    from made_tf.models.made import MADE

import numpy as np
import numpy.typing as npt

from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE

__all__ = ["Scores", "mean_nll", "score", "summarise"]


_SCORED_AT_ONCE = 1000


def mean_nll(model: MADE | Ensemble, x: npt.NDArray) -> tuple[float, float]:
    """Returns the mean negative log-likelihood of rows, in nats, and its standard error."""
    parts = [
        np.asarray(model.log_prob(x[start : start + _SCORED_AT_ONCE]), np.float64)
        for start in range(0, len(x), _SCORED_AT_ONCE)
    ]
    nll = -np.concatenate(parts)
    error = nll.std(ddof=1) / np.sqrt(len(nll)) if len(nll) > 1 else np.nan
    return float(nll.mean()), float(error)


_ROWS = 1000  # scored at once


class Scores(NamedTuple):
    """Rows scored under one order, or under the average of several.

    Attributes:
        log_prob: `[N]`, in nats.
        num_orders: M.
        standard_error: that of `log_prob` as an average over orders, `[N]`;
            `None` for one order.
        spread: how far the orders disagree, `[N]`; `None` for one order.
    """

    log_prob: npt.NDArray
    num_orders: int = 1
    standard_error: npt.NDArray | None = None
    spread: npt.NDArray | None = None


def score(model: MADE | Ensemble, x: npt.NDArray, num_orders: int | None = None) -> Scores:
    """Scores rows `[N, D]` in bounded memory; `num_orders=None` takes the model's own."""
    import numpy as np

    from made_tf.models.made import MADE

    pieces = (x[start : start + _ROWS] for start in range(0, len(x), _ROWS))
    if not isinstance(model, MADE):
        if num_orders is not None:
            raise ValueError(
                "an ensemble averages over as many orders as its members do: --num-orders is for "
                "single models."
            )
        return Scores(np.concatenate([np.asarray(model.log_prob(piece)) for piece in pieces]))
    count = model.num_orders if num_orders is None else num_orders
    parts = [model.order_statistics(piece, count) for piece in pieces]
    log_prob, error, spread = (
        np.concatenate([np.asarray(part) for part in column]) for column in zip(*parts, strict=True)
    )
    return Scores(log_prob) if count == 1 else Scores(log_prob, count, error, spread)


def summarise(scores: Scores, event_size: int) -> dict[str, float]:
    """Returns the mean negative log-likelihood, its error, bits per dimension; of orders, too."""
    nll = -scores.log_prob
    mean = float(nll.mean(dtype="float64"))
    error = float(nll.std(dtype="float64", ddof=1) / math.sqrt(len(nll))) if len(nll) > 1 else 0.0
    summary = {
        "rows": len(nll),
        "nll": mean,
        "nll_standard_error": error,
        "bits_per_dim": mean / event_size / math.log(2),
    }
    if scores.spread is not None and scores.standard_error is not None:
        summary["num_orders"] = scores.num_orders
        summary["order_spread"] = float(scores.spread.mean(dtype="float64"))
        summary["order_standard_error"] = float(scores.standard_error.mean(dtype="float64"))
    return summary
