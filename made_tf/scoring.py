"""Rows scored in bounded memory: log-probabilities, their mean, how far orders disagree.

All that scores many rows goes through `_in_pieces`: a model sees a thousand of them at once. NumPy
alone, so that a file for devices is scored without Keras, too: models are known by their methods.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from made_tf.portable.arrays import FloatArray

if TYPE_CHECKING:
    from made_tf.models.ensemble import Ensemble
    from made_tf.models.made import MADE

__all__ = ["Scores", "log_prob", "log_prob_by_order", "mean_nll", "score", "summarise"]

_ROWS = 1000  # scored at once


class Scores(NamedTuple):
    """Rows scored under one order, or under the average of several.

    Attributes:
        log_prob: float32 `[N]`, in nats.
        num_orders: M.
        standard_error: that of `log_prob` as an average over orders, `[N]`;
            `None` for one order.
        spread: how far the orders disagree, `[N]`; `None` for one order.
    """

    log_prob: FloatArray
    num_orders: int = 1
    standard_error: FloatArray | None = None
    spread: FloatArray | None = None


def log_prob(
    model: MADE | Ensemble, x: npt.ArrayLike, num_orders: int | None = None, context: Any = None
) -> FloatArray:
    """Returns the log-probability (or log-density) of each row.

    Args:
        model: a model, or an ensemble.
        x: rows `[N, D]`.
        num_orders: over how many orders the density of a single model is
            averaged; `None` takes the model's own number.
        context: of a model with a context: arrays with a row for each of `x`.

    Returns:
        Float32 `[N]`, in nats.

    Raises:
        ValueError: if the rows do not suit the model, or the orders are more
            than it has.
    """
    return score(model, x, num_orders, context).log_prob


def score(
    model: MADE | Ensemble, x: npt.ArrayLike, num_orders: int | None = None, context: Any = None
) -> Scores:
    """Scores rows; of several orders it also says how far they disagree.

    Args:
        model: as in `log_prob`.
        x: rows `[N, D]`.
        num_orders: as in `log_prob`; must be `None` for an ensemble.
        context: as in `log_prob`.

    Raises:
        ValueError: as `log_prob`.
    """
    if not hasattr(model, "order_statistics"):
        if num_orders is not None:
            raise ValueError(
                "`num_orders` must be None for an ensemble, which averages over as many orders as "
                f"its members do. Received: num_orders={num_orders!r}"
            )
        return Scores(_in_pieces(model.log_prob, x, context, model))
    count = model.num_orders if num_orders is None else num_orders

    def statistics(rows: npt.NDArray, **given: Any) -> npt.NDArray:
        found = model.order_statistics(rows, count, **given)
        return np.stack([np.asarray(each) for each in found], axis=1)

    # [N, 3] -> log_prob, standard_error, spread
    columns = _in_pieces(statistics, x, context, model).T
    return Scores(columns[0]) if count == 1 else Scores(columns[0], count, *columns[1:])


def log_prob_by_order(
    model: MADE, x: npt.ArrayLike, num_orders: int, context: Any = None
) -> FloatArray:
    """Scores rows under each of a model's first M mask sets.

    Args:
        model: a model of several masks.
        x: rows `[N, D]`.
        num_orders: M.
        context: as in `log_prob`.

    Returns:
        Float32 `[M, N]`, in nats.

    Raises:
        ValueError: as `log_prob`.
    """
    model.checked(x, context)
    sets = model.mask_sets.first(num_orders)

    def under(number: int) -> FloatArray:
        degrees = sets.at(number)

        def row_log_prob(rows: npt.NDArray, context: Any = None) -> Any:
            params = model.parameters(rows, model.encode_context(context), degrees)
            return model.row_log_prob(rows, params)

        return _in_pieces(row_log_prob, x, context, model)

    return np.stack([under(number) for number in range(num_orders)])


def mean_nll(
    log_prob: MADE | Ensemble | Callable, x: npt.ArrayLike, context: Any = None
) -> tuple[float, float]:
    """Returns the mean negative log-likelihood of rows, in nats, and its standard error.

    Args:
        log_prob: a model with the method of this name, or a function from rows
            `[n, D]` to log-probabilities `[n]`, in nats.
        x: rows `[N, D]`.
        context: as in `log_prob`; given to the function by this name.

    Returns:
        Both in nats; the error of a single row is NaN.
    """
    function: Callable = getattr(log_prob, "log_prob", log_prob)  # a model can be called, too
    model = log_prob if function is not log_prob else None
    return _mean_and_error(-_in_pieces(function, x, context, model))


def summarise(scores: Scores, event_size: int) -> dict[str, float]:
    """Returns the mean negative log-likelihood, its error, bits per dimension; of orders, too.

    Args:
        scores: what `score` gave.
        event_size: D.

    Returns:
        `rows`, `nll`, `nll_standard_error` (NaN for a single row), `bits_per_dim`;
        of several orders also `num_orders`, and `order_spread` and
        `order_standard_error`, means over rows. In nats, but for the bits.
    """
    mean, error = _mean_and_error(-scores.log_prob)
    summary = {
        "rows": len(scores.log_prob),
        "nll": mean,
        "nll_standard_error": error,
        "bits_per_dim": mean / event_size / math.log(2),
    }
    if scores.spread is not None and scores.standard_error is not None:
        summary["num_orders"] = scores.num_orders
        summary["order_spread"] = float(scores.spread.mean(dtype=np.float64))
        summary["order_standard_error"] = float(scores.standard_error.mean(dtype=np.float64))
    return summary


def _in_pieces(
    function: Callable, x: npt.ArrayLike, context: Any = None, model: Any = None
) -> npt.NDArray:
    """Applies a function of rows, and perhaps of their context, to at most `_ROWS` at a time.

    Args:
        function: of rows, and by its name of a `context`.
        x: rows `[N, D]`.
        context: arrays with a row for each.
        model: whose context this is, where that is known: it checks it beforehand.
    """
    rows = np.asarray(x)
    if context is not None and hasattr(model, "checked"):  # which a file's reader has not
        context = model.checked(rows, context)[1]
    parts = []
    # No rows are one piece, too, about which the function itself may say what it must.
    for start in range(0, max(1, len(rows)), _ROWS):
        own = slice(start, start + _ROWS)
        given = {} if context is None else {"context": _some_of(context, own)}
        parts.append(np.asarray(function(rows[own], **given)))
    return np.concatenate(parts)


def _some_of(context: Any, rows: slice) -> Any:
    """Returns some rows of a context: of an array, or of each in a mapping or a sequence."""
    if isinstance(context, Mapping):
        return {name: _some_of(part, rows) for name, part in context.items()}
    if isinstance(context, tuple | list):
        return [_some_of(part, rows) for part in context]
    return np.asarray(context)[rows]


def _mean_and_error(values: npt.NDArray) -> tuple[float, float]:
    """Returns the mean and its standard error, which a single value cannot tell: NaN."""
    values = values.astype(np.float64)
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(values.mean()), float(error)
