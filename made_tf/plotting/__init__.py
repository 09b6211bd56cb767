"""Pictures of masks, rows and training, drawn with Matplotlib.

Each function returns a `matplotlib.figure.Figure`; none touches Matplotlib's global state. Save one
with `save`, or let a notebook show it.
"""

from __future__ import annotations

from made_tf.plotting.models import plot_history, plot_masks, plot_order_spread
from made_tf.plotting.paths import plot_path_spread
from made_tf.plotting.rows import plot_completions, plot_images, save_images
from made_tf.plotting.style import panels, save

__all__ = [
    "panels",
    "plot_completions",
    "plot_history",
    "plot_images",
    "plot_masks",
    "plot_order_spread",
    "plot_path_spread",
    "save",
    "save_images",
]
