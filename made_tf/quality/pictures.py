"""The pictures of a report, each with what it shows in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from made_tf.portable.schema.moments import UNITS
from made_tf.quality.columns import Compared, Floats
from made_tf.quality.findings import Findings, figure_text
from made_tf.quality.shapes import PairTrend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MOST_COLUMNS", "Picture", "association_pictures", "column_pictures", "pair_pictures"]

MOST_COLUMNS = 60  # whose distributions are drawn
_MOST_CLASSES = 8
_PAIRS = 3  # that are furthest off, and that depend most on each other
_OTHERS = "others"
_SECONDS = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
_BOTH = "real", "synthetic"


class Picture(NamedTuple):
    """A figure with its caption and its text for those who do not see it."""

    figure: Figure
    caption: str
    alt: str


def column_pictures(report: Findings) -> Iterator[Picture]:
    """Yields a picture of each column's distributions, sixty at most."""
    from made_tf.plotting.tables import plot_classes, plot_numbers

    for column, shape in list(zip(report.compared, report.columns, strict=True))[:MOST_COLUMNS]:
        holes = ""
        if shape.real_missing or shape.synthetic_missing:
            holes = (
                f", missing: real {shape.real_missing:.1%}, synthetic {shape.synthetic_missing:.1%}"
            )
        caption = f"{column.name}: {figure_text(shape.score)}"
        if column.classes is None:
            values, unit, dates = _on_axis(column)
            real, synthetic = (_known(values[part]) for part in _BOTH)
            figure = plot_numbers(real, synthetic, unit, dates)
            alt = f"Histograms of {column.name}: {_in_words(column)}{holes}."
            yield Picture(figure, caption + holes, alt)
            continue
        names, shares = _shares(column)
        texts = (
            f"{name} {own:.1%} and {other:.1%}"
            for name, own, other in zip(names, *shares, strict=True)
        )
        alt = f"Shares of {column.name} in real and synthetic rows: {', '.join(texts)}."
        yield Picture(plot_classes(names, *shares), caption, alt)


def _in_words(column: Compared) -> str:
    texts = []
    for part in _BOTH:
        low, middle, high = (
            column.text(each) for each in np.quantile(column.known(part), (0.05, 0.5, 0.95))
        )
        texts.append(f"{part} rows: median {middle}, 90 % from {low} to {high}")
    return "; ".join(texts)


def _on_axis(column: Compared) -> tuple[dict[str, Floats], str, bool]:
    """Returns a column's numbers as an axis has them, their unit, and whether they are dates."""
    sort, unit = column.source.sort, column.source.unit
    if not unit:
        return column.parts, "", False
    days = {part: own / UNITS[unit] for part, own in column.parts.items()}
    if sort in ("moment", "date"):
        return days, "", True
    most = np.nanmax(np.abs(days["real"])) * _SECONDS["days"]
    name = next((name for name, size in _SECONDS.items() if most >= size), "seconds")
    return {p: own * _SECONDS["days"] / _SECONDS[name] for p, own in days.items()}, name, False


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _grouped(column: Compared) -> tuple[list[str], dict[str, np.ndarray]]:
    """Returns the names of the most frequent classes, and each row's number among them.

    What is not among them is one class more, and missing cells are another.
    """
    assert column.classes is not None
    counts = np.bincount(column.known("real").astype(np.int64), minlength=len(column.classes))
    most = len(counts) if len(counts) <= _MOST_CLASSES else _MOST_CLASSES - 1
    kept = np.sort(np.argsort(-counts, kind="stable")[:most])
    names = [column.classes[number] for number in kept]
    places = np.full(len(counts) + 1, len(names))
    places[kept] = np.arange(len(kept))
    if len(kept) < len(counts):
        names.append(_OTHERS)
    is_missing = {part: np.isnan(own) for part, own in column.parts.items()}
    if any(each.any() for each in is_missing.values()):
        names.append("missing")
    codes = {}
    for part, own in column.parts.items():
        found = places[np.nan_to_num(own).astype(np.int64)]
        codes[part] = np.where(is_missing[part], len(names) - 1, found)
    return names, codes


def _shares(column: Compared) -> tuple[list[str], list[Floats]]:
    names, codes = _grouped(column)
    return names, [
        np.bincount(codes[part], minlength=len(names)) / len(codes[part]) for part in _BOTH
    ]


def pair_pictures(report: Findings) -> Iterator[Picture]:
    """Yields pictures of the pairs that are furthest off, and of those that depend most."""
    columns = {column.name: column for column in report.compared}
    for pair in _chosen(report.pairs):
        first, second = columns[pair.first], columns[pair.second]
        caption = f"{pair.first} and {pair.second}: {figure_text(pair.score)}"
        strength = "correlation" if first.classes is second.classes is None else "Cramér's V"
        alt = (
            f"{pair.first} and {pair.second} in real and synthetic rows: {strength} "
            f"{pair.real:.2f} and {pair.synthetic:.2f}, score {figure_text(pair.score)}."
        )
        yield Picture(_pair_figure(first, second), caption, alt)


def _chosen(pairs: Sequence[PairTrend]) -> list[PairTrend]:
    furthest = sorted(pairs, key=lambda pair: pair.score)[:_PAIRS]
    rest = [pair for pair in pairs if pair not in furthest]
    return [*furthest, *sorted(rest, key=lambda pair: -abs(pair.real))[:_PAIRS]]


def _pair_figure(first: Compared, second: Compared) -> Figure:
    if first.classes is None and second.classes is None:
        return _points(first, second)
    if first.classes is None:
        return _ranges(second, first)
    return _ranges(first, second) if second.classes is None else _joint(first, second)


def _points(first: Compared, second: Compared) -> Figure:
    from made_tf.plotting.tables import plot_points

    axes = [_on_axis(column) for column in (first, second)]
    points = []
    for part in _BOTH:
        both = [values[part] for values, _, _ in axes]
        known = ~np.isnan(both[0] + both[1])
        points.append((both[0][known], both[1][known]))
    across, up = (
        _label(column, axis[1]) for column, axis in zip((first, second), axes, strict=True)
    )
    return plot_points(points[0], points[1], (across, up), (axes[0][2], axes[1][2]))


def _joint(first: Compared, second: Compared) -> Figure:
    from made_tf.plotting.tables import plot_joint_classes

    rows, codes = _grouped(first)
    across, others = _grouped(second)
    size = len(rows) * len(across)
    shares = []
    for part in _BOTH:
        counts = np.bincount(codes[part] * len(across) + others[part], minlength=size)
        shares.append(counts.reshape(len(rows), -1) / len(codes[part]))
    return plot_joint_classes(shares[0], shares[1], rows, across, second.name)


def _ranges(of_classes: Compared, of_numbers: Compared) -> Figure:
    from made_tf.plotting.tables import plot_ranges

    names, codes = _grouped(of_classes)
    values, unit, dates = _on_axis(of_numbers)
    each = [
        [_known(values[part][codes[part] == place]) for place in range(len(names))]
        for part in _BOTH
    ]
    return plot_ranges(names, each[0], each[1], _label(of_numbers, unit), dates)


def _label(column: Compared, unit: str) -> str:
    return f"{column.name} ({unit})" if unit else column.name


def association_pictures(report: Findings) -> Iterator[Picture]:
    """Yields how strongly columns depend on each other, in real and in synthetic rows, and less."""
    from made_tf.plotting.tables import plot_associations

    names = [column.name for column in report.compared]
    places = {name: place for place, name in enumerate(names)}
    found = np.full((2, len(names), len(names)), np.nan)
    for pair in report.pairs:
        one, two = places[pair.first], places[pair.second]
        for number, strength in enumerate((pair.real, pair.synthetic)):
            found[number, one, two] = found[number, two, one] = strength
    strongest = sorted(report.pairs, key=lambda pair: -abs(pair.real))[:_PAIRS]
    for part, values in zip(_BOTH, found, strict=True):
        told = ", ".join(
            f"{pair.first} and {pair.second} {getattr(pair, part):.2f}" for pair in strongest
        )
        alt = f"Dependence of each pair of columns in {part} rows; strongest: {told}."
        yield Picture(plot_associations(values, names), f"{part} rows", alt)
    away = found[1] - found[0]
    furthest = sorted(report.pairs, key=lambda pair: -abs(pair.synthetic - pair.real))[:_PAIRS]
    told = ", ".join(
        f"{pair.first} and {pair.second} {pair.synthetic - pair.real:+.2f}" for pair in furthest
    )
    largest = max(0.1, float(np.nanmax(np.abs(away))))
    caption = f"synthetic less real (full colour at {largest:.2f})"
    alt = f"Difference of dependence, synthetic less real; furthest: {told}."
    yield Picture(plot_associations(away, names, largest), caption, alt)
