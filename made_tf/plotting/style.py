"""One look for all pictures: colours, panels, files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from made_tf.portable.files import PathLike, replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ACCENT",
    "BLUSH",
    "GREY",
    "INK",
    "PAPER",
    "UNKNOWN",
    "colours",
    "frame",
    "panels",
    "rgb",
    "save",
]

INK = "#1f3a5f"
ACCENT = "#d1495b"
GREY = "#5c6670"
PAPER = "#eef1f5"
BLUSH = "#fbe9ec"  # ACCENT's paper
UNKNOWN = "#c9cfd6"


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
        figure.suptitle(title, fontsize=11, color=INK)
    return figure, list(axes)


def colours(low: str = PAPER, high: str = INK):
    """Returns the colour map from one colour to another; NaN is white."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("ink", [low, high]).with_extremes(bad="white")


def rgb(colour: str) -> np.ndarray:
    """Returns red, green and blue of a colour, from 0 to 1."""
    from matplotlib.colors import to_rgb

    return np.array(to_rgb(colour))


def frame(axis: Axes) -> None:
    """Draws a thin frame around a panel."""
    for spine in axis.spines.values():
        spine.set_color(GREY)
        spine.set_linewidth(0.6)
