"""Pictures of rows: side by side, known beside drawn, or alone in a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from made_tf.plotting.style import ACCENT, BLUSH, INK, UNKNOWN, colours, panels, rgb, save
from made_tf.portable.files import PathLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MAX_PICTURES", "plot_completions", "plot_images", "save_images"]

#: More rows than this are not drawn into one picture.
MAX_PICTURES = 1024


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
            cmap=colours(),
            vmin=low,
            vmax=high if high > low else low + 1,
            interpolation="nearest",
        )
        axis.set_title(name, fontsize=10, color=INK)
        axis.set_anchor("N")
        axis.axis("off")
    return figure


def save_images(path: PathLike, rows: npt.ArrayLike, image_shape: tuple[int, int]) -> None:
    """Writes rows as small pictures into one, such as a `.png`.

    Args:
        path: the file to write; replaced as a whole or left as it was.
        rows: `[N, height * width]`, at most `MAX_PICTURES` of them.
        image_shape: height and width of a row's picture.

    Raises:
        OSError: if the file cannot be written.
        ValueError: if there are too many rows, or they do not have
            height * width values.
    """
    rows = np.asarray(rows, np.float32)
    if len(rows) > MAX_PICTURES:
        raise ValueError(
            f"`rows` must be at most {MAX_PICTURES} rows, to be drawn. Received: {len(rows)} rows"
        )
    save(plot_images({"samples": rows}, image_shape, max_images=max(1, len(rows))), path)


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
        red = colours(BLUSH, ACCENT)(level)[..., :3]
        shades = np.where(drawn[..., None], red, colours()(level)[..., :3])
        shades = np.where(np.isnan(pictures)[..., None], rgb(UNKNOWN), shades)
        shades = shades.swapaxes(0, 1).reshape(rows * count, size, 3)
        return np.nan_to_num(_mosaic(shades, height, width, count), nan=1.0)

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
        axis.set_title(name, fontsize=10, color=INK)
        axis.axis("off")
    return figure


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
