"""A picture of how far the paths of a model that answers all questions disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy.typing as npt

from made_tf.models.paths import path_spread
from made_tf.plotting.style import ACCENT, INK, PAPER, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from made_tf.models.made import MADE

__all__ = ["plot_path_spread"]


def plot_path_spread(
    model: MADE, x: npt.ArrayLike, num_subsets: int = 32, num_paths: int = 4, seed: int = 0
) -> Figure:
    """Draws how far paths disagree on marginals, by the number of variables.

    Args:
        model: a model of all orders, or of `evidence_units`, without a context.
        x: rows `[N, D]`.
        num_subsets: how many marginals are drawn.
        num_paths: how many paths each of them has, at least 2.
        seed: of the subsets.

    Returns:
        A figure with one panel: a dot for each marginal.

    Raises:
        ValueError: as `made_tf.models.paths.path_spread`.
    """
    found = path_spread(model, x, num_subsets, num_paths, seed)
    figure, (axis,) = panels(1, 5.2, 3.4, None)
    axis.plot(found.sizes, found.spread, "o", color=INK, ms=5)
    mean = float(found.spread.mean())
    axis.axhline(mean, color=ACCENT, linewidth=1.5)
    axis.annotate(
        f"mean {mean:.3f}",
        (0.98, mean),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        color=ACCENT,
        fontsize=9,
    )
    axis.set_xlabel(f"variables in the marginal, of {model.event_size}")
    axis.set_ylabel(f"spread over {num_paths} paths (nats)")
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_axisbelow(True)
    axis.grid(axis="y", color=PAPER)
    return figure
