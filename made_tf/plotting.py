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

__all__ = ["plot_history", "plot_images", "plot_masks", "save"]

_INK = "#1f3a5f"
_ACCENT = "#d1495b"
_GREY = "#5c6670"
_PAPER = "#eef1f5"


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
    figure, axes = _panels(len(layers), 3.1, 3.5, f"Masks of MADE, D = {model.event_size}")
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
    figure, axes = _panels(len(arrays), 3.3, 3.7 if title else 3.45, title)
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
            `val_nll`, as `made_tf.callbacks.TrainingState.history` has; or
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
    figure, (axis,) = _panels(1, 6.0, 3.6, None)
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


def _panels(
    count: int, width: float, height: float, title: str | None
) -> tuple[Figure, list[Axes]]:
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "matplotlib is not installed: pip install 'made-tf[demo]'"
        ) from error
    figure = Figure(figsize=(width * count, height), layout=ConstrainedLayoutEngine(wspace=0.06))
    axes = figure.subplots(1, count, squeeze=False)[0]
    if title:
        figure.suptitle(title, fontsize=11, color=_INK)
    return figure, list(axes)


def _colours():
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("ink", [_PAPER, _INK]).with_extremes(bad="white")


def _frame(axis: Axes) -> None:
    for spine in axis.spines.values():
        spine.set_color(_GREY)
        spine.set_linewidth(0.6)


def _mosaic(rows: np.ndarray, height: int, width: int) -> np.ndarray:
    """Tiles `[N, height * width]` into one picture, with white lines (NaN) between."""
    across = math.ceil(math.sqrt(len(rows)))
    down = math.ceil(len(rows) / across)
    tiles = np.full((down * across, height + 1, width + 1), np.nan, np.float32)
    tiles[: len(rows), :height, :width] = rows.reshape(-1, height, width)
    # [down * across, h, w] -> [down, h, across, w] -> one picture, without its last line
    picture = tiles.reshape(down, across, height + 1, width + 1).swapaxes(1, 2)
    return picture.reshape(down * (height + 1), across * (width + 1))[:-1, :-1]
