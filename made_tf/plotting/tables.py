"""Pictures of tables: columns of synthetic rows beside those of real ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from made_tf.plotting.style import ACCENT, GREY, INK, PAPER, UNKNOWN, colours, frame, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "plot_associations",
    "plot_classes",
    "plot_joint_classes",
    "plot_numbers",
    "plot_points",
    "plot_ranges",
]

Values = npt.NDArray[np.float64]

_BINS = 40
_TAILS = 0.005, 0.995  # of real rows: what is shown
_POINTS = 1500
_SPIKE = 0.5  # of the rows in one bin, from which on the others would not be seen
_SMALL = 8.5


def plot_numbers(real: Values, synthetic: Values, unit: str = "", dates: bool = False) -> Figure:
    """Draws two histograms of numbers over each other.

    Args:
        real: values `[N]`.
        synthetic: values `[M]`.
        unit: what they are in, below the axis.
        dates: whether they are days since 1970.
    """
    figure, (axis,) = panels(1, 3.4, 2.3, None)
    edges = _edges(real, synthetic)
    shares = [np.histogram(each, edges)[0] / len(each) for each in (real, synthetic)]
    if max(each.max() for each in shares) > _SPIKE:
        shares = [np.sqrt(each) for each in shares]
        unit = f"{unit} (heights: square roots)".strip()
    axis.stairs(shares[0], edges, fill=True, color=UNKNOWN, label="real")
    axis.stairs(shares[0], edges, color=GREY, linewidth=0.6)
    axis.stairs(shares[1], edges, color=ACCENT, linewidth=1.5, label="synthetic")
    axis.set_xlim(edges[0], edges[-1])
    axis.set_yticks([])
    _finish(axis, unit, dates)
    return figure


def plot_classes(names: Sequence[str], real: Values, synthetic: Values) -> Figure:
    """Draws the shares of classes as pairs of bars, `[K]` each."""
    height = 0.32 * len(names) + 0.55
    figure, (axis,) = panels(1, 3.4, max(1.5, height), None)
    places = np.arange(len(names))
    axis.barh(places - 0.19, 100 * real, 0.36, color=UNKNOWN, edgecolor=GREY, linewidth=0.6)
    axis.barh(places + 0.19, 100 * synthetic, 0.36, color=ACCENT)
    axis.set_yticks(places, [_short(name) for name in names])
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    _finish(axis, "% of the rows")
    return figure


def plot_points(
    real: tuple[Values, Values],
    synthetic: tuple[Values, Values],
    names: tuple[str, str],
    dates: tuple[bool, bool] = (False, False),
) -> Figure:
    """Draws pairs of numbers as points, real and synthetic rows side by side on the same axes."""
    figure, axes = panels(2, 2.7, 2.7, None)
    ranges = [_with_room(*(np.quantile(own, _TAILS) if len(own) else (0, 1))) for own in real]
    for axis, title, pair, colour in zip(
        axes, ("real", "synthetic"), (real, synthetic), (GREY, ACCENT), strict=True
    ):
        axis.plot(
            pair[0][:_POINTS], pair[1][:_POINTS], ".", color=colour, markersize=2.5, alpha=0.5,
            markeredgewidth=0,
        )  # fmt: skip
        axis.set_xlim(*ranges[0])
        axis.set_ylim(*ranges[1])
        axis.set_title(title, fontsize=10, color=INK)
        _finish(axis, names[0], dates[0])
        if dates[1]:
            _as_dates(axis.yaxis)
    axes[0].set_ylabel(_short(names[1]), fontsize=_SMALL, color=INK)
    axes[1].set_yticklabels([])
    return figure


def plot_ranges(
    names: Sequence[str],
    real: Sequence[Values],
    synthetic: Sequence[Values],
    unit: str = "",
    dates: bool = False,
) -> Figure:
    """Draws where the numbers of each class lie: a point at the median, lines around 50 and 90 %.

    Args:
        names: of the K classes.
        real: for each class its numbers.
        synthetic: likewise.
        unit: what the numbers are, below the axis.
        dates: whether they are days since 1970.
    """
    figure, (axis,) = panels(1, 4.8, max(1.9, 0.42 * len(names) + 0.8), None)
    for place in range(len(names)):
        for values, colour, away in (
            (real[place], GREY, -0.16),
            (synthetic[place], ACCENT, 0.16),
        ):
            if not len(values):
                continue
            ends = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
            heights = (place + away,) * 2
            axis.plot(ends[[0, 4]], heights, color=colour, linewidth=1)
            axis.plot(ends[[1, 3]], heights, color=colour, linewidth=4, solid_capstyle="butt")
            axis.plot(ends[2], heights[0], "o", color="white", markeredgecolor=colour, markersize=4)
    axis.set_yticks(range(len(names)), [_short(name) for name in names])
    axis.invert_yaxis()
    _finish(axis, unit, dates)
    return figure


def plot_joint_classes(
    real: Values, synthetic: Values, rows: Sequence[str], columns: Sequence[str], unit: str = ""
) -> Figure:
    """Draws the shares of pairs of classes, `[R, C]` each, real and synthetic rows side by side."""
    size = 0.3 * len(rows) + 1.3
    figure, axes = panels(2, 2.7, max(2.0, size), None)
    most = max(real.max(), synthetic.max()) or 1.0
    for axis, title, shares in zip(axes, ("real", "synthetic"), (real, synthetic), strict=True):
        axis.imshow(shares, cmap=colours(), vmin=0, vmax=most, aspect="auto")
        axis.set_title(title, fontsize=10, color=INK)
        axis.set_xticks(range(len(columns)), [_short(name) for name in columns], rotation=90)
        axis.set_yticks(range(len(rows)), [_short(name) for name in rows])
        _finish(axis, unit, spines=True)
    axes[1].set_yticklabels([])
    return figure


def plot_associations(values: Values, names: Sequence[str], highest: float = 1.0) -> Figure:
    """Draws a number from `-highest` to `highest` for each pair of columns, `[C, C]`."""
    size = 1.6 + 0.22 * len(names)
    figure, (axis,) = panels(1, max(3.4, size + 0.4), max(3.0, size), None)
    scale = colours(ACCENT, "white"), colours("white", INK)
    shades = np.where(
        values[..., None] < 0,
        scale[0](1 + np.minimum(values, 0) / highest),
        scale[1](np.maximum(values, 0) / highest),
    )
    shades[np.isnan(values)] = (1, 1, 1, 1)
    axis.imshow(shades, interpolation="nearest")
    if len(names) <= _BINS:
        axis.set_xticks(range(len(names)), [_short(name) for name in names], rotation=90)
        axis.set_yticks(range(len(names)), [_short(name) for name in names])
    else:
        axis.set_xticks([])
        axis.set_yticks([])
    _finish(axis, spines=True)
    return figure


def _edges(real: Values, synthetic: Values) -> Values:
    """Returns the edges of bins, which on a grid of numbers hold as many points each."""
    low, high = np.quantile(real, _TAILS)
    low, high = (low, high) if high > low else (real.min(), real.max())
    if not high > low:
        return np.linspace(*_with_room(low, high), 11)
    bins = int(np.clip(np.sqrt(min(len(real), len(synthetic))), 10, _BINS))
    steps = np.diff(np.unique(real))
    in_steps = steps / steps.min()
    if np.abs(in_steps - np.rint(in_steps)).max() < 1e-3 and (high - low) / steps.min() < 1e4:
        points = round((high - low) / steps.min()) + 1
        bins = bins if points > _BINS else points
        width = steps.min() * math.ceil(points / bins)
        count = math.ceil(points * steps.min() / width)
        return low - steps.min() / 2 + width * np.arange(count + 1)
    return np.linspace(low, high, bins + 1)


def _with_room(low: float, high: float) -> tuple[float, float]:
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def _finish(axis: Axes, label: str = "", dates: bool = False, spines: bool = False) -> None:
    frame(axis)
    if not spines:
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    axis.tick_params(labelsize=_SMALL, color=GREY, labelcolor=INK, length=2)
    if label:
        axis.set_xlabel(_short(label, 30), fontsize=_SMALL, color=INK)
    if dates:
        _as_dates(axis.xaxis)
    elif not spines:
        axis.locator_params(axis="x", nbins=5)
    axis.set_facecolor("white" if not spines else PAPER)


def _as_dates(axis: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=5)
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator))


def _short(name: str, most: int = 18) -> str:
    """Returns a name that fits beside a picture, in which Matplotlib finds no formula."""
    name = " ".join(name.split())
    name = name if len(name) <= most else f"{name[: most - 1]}…"
    return name.replace("$", r"\$")
