"""Pictures of masks, rows and training, drawn with Matplotlib.

Each function returns a `matplotlib.figure.Figure`; none touches Matplotlib's
global state. Save one with `save`, or let a notebook show it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from made_tf.files import PathLike, replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from made_tf.models import MADE

__all__ = [
    "panels",
    "plot_completions",
    "plot_history",
    "plot_images",
    "plot_masks",
    "plot_order_spread",
    "save",
]

_INK = "#1f3a5f"
_ACCENT = "#d1495b"
_GREY = "#5c6670"
_PAPER = "#eef1f5"
_BLUSH = "#fbe9ec"  # _ACCENT's paper
_UNKNOWN = "#c9cfd6"

_ROWS = 1000  # scored at once


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
        axis.imshow(mask, cmap=_colours(), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        axis.set_title(f"{layer.name}\n{mask.mean():.0%} of the weights live", fontsize=9)
        axis.set_xlabel(f"{mask.shape[1]} units out, by degree", fontsize=8)
        axis.set_ylabel(f"{mask.shape[0]} units in, by degree", fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
        _frame(axis)
    return figure


def plot_images(
    groups: Mapping[str, npt.ArrayLike],
    image_shape: tuple[int, int],
    max_images: int = 64,
    title: str | None = None,
) -> Figure:
    """Draws rows as small pictures, one panel for each group, side by side.

    Args:
        groups: panel titles and their rows, each `[N, height * width]`.
        image_shape: height and width of a row's picture.
        max_images: the largest number of rows drawn of each group.
        title: the figure's title.

    Returns:
        A figure with one panel for each group.

    Raises:
        ValueError: if there is nothing to draw or a row does not have
            height * width values.
    """
    height, width = image_shape
    arrays = {name: np.asarray(rows, np.float32)[:max_images] for name, rows in groups.items()}
    for name, rows in arrays.items():
        if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != height * width:
            raise ValueError(
                f"`image_shape` {height}x{width} needs rows of {height * width} values. "
                f"Received: {name!r} of shape {rows.shape}"
            )
    if not arrays:
        raise ValueError("`groups` must have at least one group. Received: none")
    low = min(float(rows.min()) for rows in arrays.values())
    high = max(float(rows.max()) for rows in arrays.values())
    figure, axes = panels(len(arrays), 3.3, 3.7 if title else 3.45, title)
    for axis, (name, rows) in zip(axes, arrays.items(), strict=True):
        axis.imshow(
            _mosaic(rows, height, width),
            cmap=_colours(),
            vmin=low,
            vmax=high if high > low else low + 1,
            interpolation="nearest",
        )
        axis.set_title(name, fontsize=10, color=_INK)
        axis.set_anchor("N")
        axis.axis("off")
    return figure


def plot_history(
    history: Sequence[Mapping[str, float]] | Mapping[str, Sequence[float]],
) -> Figure:
    """Draws the negative log-likelihood of training and validation over the epochs.

    Args:
        history: one row for each epoch with `epoch`, `nll` and perhaps
            `val_nll`, as `made_tf.runs.TrainingState.history` has; or
            what `fit` returns as `history.history`.

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
    axis.plot(epochs, nll, color=_GREY, label="training", linewidth=1.5)
    shown = nll
    if "val_nll" in history[0]:
        valid = [row["val_nll"] for row in history]
        best = int(np.argmin(valid))
        axis.plot(epochs, valid, color=_INK, label="validation", linewidth=2)
        axis.plot(epochs[best], valid[best], "o", color=_ACCENT, zorder=3)
        axis.annotate(
            f"best: {valid[best]:.2f} (epoch {epochs[best]:.0f})",
            (epochs[best], valid[best]),
            xytext=(0, 12),
            textcoords="offset points",
            ha="right" if best > len(valid) / 2 else "left",
            color=_ACCENT,
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
    axis.grid(axis="y", color=_PAPER)
    axis.legend(frameon=False)
    return figure


def plot_completions(
    evidence: npt.ArrayLike,
    completions: npt.ArrayLike,
    image_shape: tuple[int, int],
    truth: npt.ArrayLike | None = None,
    title: str | None = None,
) -> Figure:
    """Draws what is known of some pictures beside several ways to complete them.

    One line for each row: its known pixels, the unknown ones being grey; its
    completions, with what was drawn in red; and, if given, the true picture.

    Args:
        evidence: `[N, height * width]`, NaN where a pixel is unknown.
        completions: `[n, N, height * width]`, as
            `MADEDistribution.sample_conditional` returns.
        image_shape: height and width of a row's picture.
        truth: the true rows `[N, height * width]`.
        title: the figure's title.

    Returns:
        A figure with two panels, or three with `truth`.

    Raises:
        ValueError: if there is nothing to draw, a shape does not fit the
            others, or a completion holds values that are not finite.
    """
    height, width = image_shape
    evidence = np.asarray(evidence, np.float32)
    if evidence.ndim != 2 or not len(evidence) or evidence.shape[1] != height * width:
        raise ValueError(
            f"`evidence` must be rows of {height * width} values for pictures of {height}x{width}. "
            f"Received: evidence.shape={evidence.shape}"
        )
    groups = {"drawn": np.asarray(completions, np.float32)}
    if groups["drawn"].ndim != 3 or not len(groups["drawn"]):
        raise ValueError(
            "`completions` must have the shape [completions, rows, values]. "
            f"Received: completions.shape={groups['drawn'].shape}"
        )
    if truth is not None:
        groups["true"] = np.asarray(truth, np.float32)[None]
    for name, pictures in groups.items():
        if pictures.shape[1:] != evidence.shape or not np.isfinite(pictures).all():
            raise ValueError(
                f"`evidence` has the shape {evidence.shape}: the rows {name} must have it too, "
                f"and finite values. Received: shape {pictures.shape[1:]}"
            )
    shown = np.concatenate([part.reshape(-1) for part in groups.values()])
    low, high = float(shown.min()), float(shown.max())
    known = ~np.isnan(evidence)

    def panel(pictures: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        # [n, N, D] -> all completions of a row in one line -> [N * height, n * width, 3]
        count, rows, size = pictures.shape
        level = (pictures - low) / (high - low if high > low else 1.0)
        red = _colours(_BLUSH, _ACCENT)(level)[..., :3]
        colours = np.where(drawn[..., None], red, _colours()(level)[..., :3])
        colours = np.where(np.isnan(pictures)[..., None], _rgb(_UNKNOWN), colours)
        colours = colours.swapaxes(0, 1).reshape(rows * count, size, 3)
        return np.nan_to_num(_mosaic(colours, height, width, count), nan=1.0)

    mosaics = {"known": panel(evidence[None], np.zeros_like(known)[None])}
    for name, pictures in groups.items():
        drawn = np.broadcast_to(~known & (name == "drawn"), pictures.shape)
        mosaics[name] = panel(pictures, drawn)
    across = [picture.shape[1] for picture in mosaics.values()]
    scale = 0.75 / max(height, width)  # inches for each pixel
    figure, axes = panels(
        len(mosaics),
        scale * sum(across) / len(mosaics) + 0.25,
        scale * mosaics["known"].shape[0] + (0.75 if title else 0.4),
        title,
        across,
    )
    for axis, (name, picture) in zip(axes, mosaics.items(), strict=True):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(name, fontsize=10, color=_INK)
        axis.axis("off")
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
    log_prob = _log_prob_by_order(model, x, num_orders)
    if not np.isfinite(log_prob).all():
        raise ValueError("`model` must give finite log-probabilities. Received: others")
    spread = log_prob.std(axis=0, ddof=1)
    orders = np.arange(1, num_orders + 1)
    together = np.logaddexp.accumulate(log_prob, axis=0) - np.log(orders)[:, None]

    figure, (left, right) = panels(2, 4.6, 3.4, None)
    left.hist(spread, bins=min(30, max(5, len(spread) // 5)), color=_INK)
    left.axvline(spread.mean(), color=_ACCENT, linewidth=1.5)
    left.annotate(
        f" mean {spread.mean():.2f}",
        (spread.mean(), 0.97),
        xycoords=("data", "axes fraction"),
        va="top",
        color=_ACCENT,
        fontsize=9,
    )
    left.set_xlabel(f"spread of a row over {num_orders} orders (nats)")
    left.set_ylabel("rows")
    right.plot(orders, -log_prob.mean(axis=1), "o", color=_GREY, ms=4, label="one order alone")
    right.plot(orders, -together.mean(axis=1), color=_INK, lw=2, label="the average of the first")
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
        axis.grid(axis="y", color=_PAPER)
    return figure


def save(figure: Figure, path: PathLike) -> None:
    """Writes a figure; the file is replaced as a whole or left as it was.

    Args:
        figure: the figure.
        path: a path with an ending that Matplotlib knows, such as `.png`.

    Raises:
        OSError: if the file cannot be written.
        ValueError: if Matplotlib does not know the format.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, facecolor="white")


def _log_prob_by_order(model: MADE, x: npt.ArrayLike, num_orders: int) -> np.ndarray:
    """Scores rows under each of a model's first M mask sets: `[N, D]` -> `[M, N]`, in nats."""
    from made_tf.validation import check_rows

    x = np.asarray(x)
    check_rows("x", x, model.event_size, model.conditionals)
    sets = model.mask_sets.first(num_orders)
    log_prob = np.empty([num_orders, len(x)])
    for number in range(num_orders):
        degrees = [level[number] for level in sets]
        for start in range(0, len(x), _ROWS):
            rows = x[start : start + _ROWS]
            params = model(rows, training=False, degrees=degrees)
            log_prob[number, start : start + _ROWS] = model.row_log_prob(rows, params)
    return log_prob


def panels(
    count: int,
    width: float,
    height: float,
    title: str | None,
    width_ratios: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """Returns a figure with panels side by side, sizes in inches of one panel.

    Raises:
        ModuleNotFoundError: if Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "matplotlib is not installed: pip install 'made-tf[demo]'"
        ) from error
    figure = Figure(figsize=(width * count, height), layout=ConstrainedLayoutEngine(wspace=0.06))
    axes = figure.subplots(1, count, squeeze=False, width_ratios=width_ratios)[0]
    if title:
        figure.suptitle(title, fontsize=11, color=_INK)
    return figure, list(axes)


def _colours(low: str = _PAPER, high: str = _INK):
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("ink", [low, high]).with_extremes(bad="white")


def _rgb(colour: str) -> np.ndarray:
    from matplotlib.colors import to_rgb

    return np.array(to_rgb(colour))


def _frame(axis: Axes) -> None:
    for spine in axis.spines.values():
        spine.set_color(_GREY)
        spine.set_linewidth(0.6)


def _mosaic(rows: np.ndarray, height: int, width: int, across: int | None = None) -> np.ndarray:
    """Tiles `[N, height * width, ...]` into one picture, with white lines (NaN) between."""
    across = across or math.ceil(math.sqrt(len(rows)))
    down = math.ceil(len(rows) / across)
    channels = rows.shape[2:]
    tiles = np.full((down * across, height + 1, width + 1, *channels), np.nan, np.float32)
    tiles[: len(rows), :height, :width] = rows.reshape(-1, height, width, *channels)
    # [down * across, h, w] -> [down, h, across, w] -> one picture, without its last line
    picture = tiles.reshape(down, across, height + 1, width + 1, *channels).swapaxes(1, 2)
    picture = picture.reshape(down * (height + 1), across * (width + 1), *channels)
    return picture[:-1, :-1]
