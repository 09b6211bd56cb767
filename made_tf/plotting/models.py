"""Pictures of a model: its masks, its training, how far its orders disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from made_tf.plotting.style import ACCENT, GREY, INK, PAPER, colours, frame, panels
from made_tf.scoring import log_prob_by_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from made_tf.models.made import MADE

__all__ = ["plot_history", "plot_masks", "plot_order_spread"]


def plot_masks(model: MADE) -> Figure:
    """Draws the mask of every masked layer: dark where a weight may live.

    Rows are the incoming units and columns the outgoing ones, both sorted by
    degree, so that a mask appears as the staircase that it is.

    Args:
        model: a MADE model.

    Returns:
        A figure with one panel for each masked layer.
    """
    layers = list(model.masked_layers())
    figure, axes = panels(len(layers), 3.1, 3.5, f"Masks of MADE, D = {model.event_size}")
    for axis, layer in zip(axes, layers, strict=True):
        rows = np.argsort(layer.mask.in_degrees, kind="stable")
        columns = np.argsort(layer.mask.out_degrees, kind="stable")
        mask = layer.mask.numpy()[np.ix_(rows, columns)]
        axis.imshow(mask, cmap=colours(), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        axis.set_title(f"{layer.name}\n{mask.mean():.0%} of the weights live", fontsize=9)
        axis.set_xlabel(f"{mask.shape[1]} units out, by degree", fontsize=8)
        axis.set_ylabel(f"{mask.shape[0]} units in, by degree", fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
        frame(axis)
    return figure


def plot_history(
    history: Sequence[Mapping[str, float]] | Mapping[str, Sequence[float]],
) -> Figure:
    """Draws the negative log-likelihood of training and validation over the epochs.

    Args:
        history: one row for each epoch with `epoch`, `nll` and perhaps
            `val_nll`, as `made_tf.training.runs.TrainingState.history`
            has; or what `fit` returns as `history.history`.

    Returns:
        A figure with one panel.

    Raises:
        ValueError: if the history is empty, has no `nll`, or a value that is
            not finite.
    """
    if isinstance(history, Mapping):
        columns = zip(*history.values(), strict=True)
        history = [
            {"epoch": epoch, **dict(zip(history, row, strict=True))}
            for epoch, row in enumerate(columns, start=1)
        ]
    if not history:
        raise ValueError("`history` must have at least one epoch. Received: none")
    for row in history:
        drawn = {name: row[name] for name in ("epoch", "nll", "val_nll") if name in row}
        if not {"epoch", "nll"} <= drawn.keys() or "val_nll" in {*row} ^ {*history[0]}:
            raise ValueError(
                "`history` must have `epoch` and `nll` in each row, and `val_nll` in all or none. "
                f"Received: a row with {sorted(row)}"
            )
        if not np.isfinite(list(drawn.values())).all():
            raise ValueError(f"`history` must have finite values. Received: {drawn}")
    figure, (axis,) = panels(1, 6.0, 3.6, None)
    epochs = [row["epoch"] for row in history]
    nll = [row["nll"] for row in history]
    axis.plot(epochs, nll, color=GREY, label="training", linewidth=1.5)
    shown = nll
    if "val_nll" in history[0]:
        valid = [row["val_nll"] for row in history]
        best = int(np.argmin(valid))
        axis.plot(epochs, valid, color=INK, label="validation", linewidth=2)
        axis.plot(epochs[best], valid[best], "o", color=ACCENT, zorder=3)
        axis.annotate(
            f"best: {valid[best]:.2f} (epoch {epochs[best]:.0f})",
            (epochs[best], valid[best]),
            xytext=(0, 12),
            textcoords="offset points",
            ha="right" if best > len(valid) / 2 else "left",
            color=ACCENT,
            fontsize=9,
        )
        shown = nll + valid
    # The first epochs fall so steeply that they would flatten everything else.
    low, high = min(shown), float(np.quantile(shown, 0.97))
    margin = 0.08 * (high - low) or 1.0
    axis.set_ylim(low - margin, high + margin)
    axis.set_xlabel("epoch")
    axis.set_ylabel("negative log-likelihood (nats)")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color=PAPER)
    axis.legend(frameon=False)
    return figure


def plot_order_spread(model: MADE, x: npt.ArrayLike, num_orders: int = 16) -> Figure:
    """Draws how far the orders of a model disagree.

    On the left, how the spread of `MADE.order_statistics` is distributed over
    the rows: the standard deviation of a row's log-probabilities under the
    first M orders. On the right, the negative log-likelihood of each of these
    orders alone (dots) and of the average of the first 1, 2, ..., M densities.

    Args:
        model: a model of several masks.
        x: rows `[N, D]`.
        num_orders: M, at least 2.

    Returns:
        A figure with two panels.

    Raises:
        ValueError: if the model has less than `num_orders` masks, `num_orders`
            is less than 2, the rows are not of the model's kind, or a
            log-probability is not finite.
    """
    if model.mask_sets.check_count(num_orders) < 2:
        raise ValueError(f"`num_orders` must be at least 2. Received: num_orders={num_orders}")
    log_prob = log_prob_by_order(model, x, num_orders).astype(np.float64)
    if not np.isfinite(log_prob).all():
        raise ValueError("`model` must give finite log-probabilities. Received: others")
    spread = log_prob.std(axis=0, ddof=1)
    orders = np.arange(1, num_orders + 1)
    together = np.logaddexp.accumulate(log_prob, axis=0) - np.log(orders)[:, None]

    figure, (left, right) = panels(2, 4.6, 3.4, None)
    left.hist(spread, bins=min(30, max(5, len(spread) // 5)), color=INK)
    left.axvline(spread.mean(), color=ACCENT, linewidth=1.5)
    left.annotate(
        f" mean {spread.mean():.2f}",
        (spread.mean(), 0.97),
        xycoords=("data", "axes fraction"),
        va="top",
        color=ACCENT,
        fontsize=9,
    )
    left.set_xlabel(f"spread of a row over {num_orders} orders (nats)")
    left.set_ylabel("rows")
    right.plot(orders, -log_prob.mean(axis=1), "o", color=GREY, ms=4, label="one order alone")
    right.plot(orders, -together.mean(axis=1), color=INK, lw=2, label="the average of the first")
    if num_orders > 4:
        right.set_xscale("log", base=2)
        right.xaxis.set_major_formatter("{x:.0f}")
    else:
        right.set_xticks(orders)
    right.set_xlabel("orders")
    right.set_ylabel("negative log-likelihood (nats)")
    right.legend(frameon=False)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_axisbelow(True)
        axis.grid(axis="y", color=PAPER)
    return figure
