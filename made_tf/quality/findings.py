"""`Findings`: what was found of synthetic rows, and the figures that say it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from made_tf.quality.columns import Compared
from made_tf.quality.memorisation import Memorisation
from made_tf.quality.shapes import ColumnShape, PairTrend
from made_tf.quality.two_sample import TwoSample
from made_tf.quality.utility import Utility

__all__ = ["Findings", "Line", "figure_text"]

_NAMED = 3  # the columns and pairs that are furthest off


@dataclasses.dataclass(frozen=True)
class Line:
    """One figure of a report.

    Attributes:
        name: what it is.
        synthetic: of synthetic rows.
        real: of training rows in their place; `None` without them.
        best: what good rows have, in words.
        more: what else there is to say.
    """

    name: str
    synthetic: float
    real: float | None
    best: str
    more: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Findings:
    """How good synthetic rows are, beside real rows that were not learned from.

    Attributes:
        counts: the number of rows: `"real"`, `"synthetic"` and, if there were some, `"train"`.
        seed: of folds, boosting and choices of rows.
        columns: a `ColumnShape` for each column.
        pairs: a `PairTrend` for each pair of columns.
        two_sample: can a classifier tell synthetic rows from real ones?
        utility: what a model trained on synthetic rows is worth; `None` if no column can be
            predicted.
        memorisation: distances to the closest training row; `None` without training rows.
        left_out: the columns that were not looked at, and why.
        compared: the columns' numbers, for pictures.
    """

    counts: dict[str, int]
    seed: int
    columns: list[ColumnShape]
    pairs: list[PairTrend]
    two_sample: TwoSample
    utility: Utility | None
    memorisation: Memorisation | None
    left_out: dict[str, str]
    compared: list[Compared] = dataclasses.field(repr=False)

    @property
    def shapes(self) -> float:
        """The mean score of the columns."""
        return _mean(column.score for column in self.columns)

    @property
    def trends(self) -> float:
        """The mean score of the pairs; NaN of a single column."""
        return _mean(pair.score for pair in self.pairs)

    def lines(self) -> list[Line]:
        """Returns the figures, most telling first."""
        has_train = "train" in self.counts
        lines = [
            Line(
                "told from real rows, AUC",
                self.two_sample.auc,
                self.two_sample.reference,
                "0.5 is best",
                f"{self.two_sample.rows:,} rows of each sort",
            ),
            Line(
                "column shapes",
                self.shapes,
                _mean(column.reference for column in self.columns) if has_train else None,
                "1 is best",
                _lowest([(each.name, each.score) for each in self.columns]),
            ),
        ]
        if self.pairs:
            lines.append(
                Line(
                    "pair trends",
                    self.trends,
                    _mean(pair.reference for pair in self.pairs) if has_train else None,
                    "1 is best",
                    _lowest([(f"{own.first} and {own.second}", own.score) for own in self.pairs]),
                )
            )
        if self.utility:
            names = {"auc": "AUC", "accuracy": "accuracy", "r2": "R²"}
            for key, value in self.utility.synthetic.items():
                real = None if self.utility.real is None else self.utility.real[key]
                name = f"trained to predict {self.utility.target}, {names[key]}"
                lines.append(Line(name, value, real, "as good as real rows, at best"))
        found = self.memorisation
        if found:
            lines += [
                Line(
                    "closer to training rows than held-out ones",
                    found.closer,
                    None,
                    "0.5 is best, 1 is learned by heart",
                ),
                Line(
                    "copies of training rows",
                    found.synthetic_copies,
                    found.real_copies,
                    "as many as among held-out rows",
                ),
            ]
        return lines

    def heading(self) -> str:
        """Returns what was compared, in one sentence."""
        counts = self.counts
        rest = f"; {counts['train']:,} were learned from" if "train" in counts else ""
        return f"{counts['synthetic']:,} synthetic rows beside {counts['real']:,} real ones{rest}."


def figure_text(value: float | None) -> str:
    """Returns a figure as the report writes it; nothing for none."""
    return "" if value is None or math.isnan(value) else f"{value:.3f}"


def _lowest(scores: Sequence[tuple[str, float]]) -> str:
    worst = sorted(scores, key=lambda each: each[1])[:_NAMED]
    return "lowest: " + ", ".join(f"{name} {score:.3f}" for name, score in worst)


def _mean(values: Iterable[float | None]) -> float:
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else math.nan
