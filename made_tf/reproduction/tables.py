"""Records beside published figures: a Markdown table and a plot."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from made_tf.plotting.style import panels, save
from made_tf.portable.files import replacing
from made_tf.reproduction.benchmark_sets import BenchmarkSet, set_names
from made_tf.reproduction.records import Record

__all__ = ["markdown_table", "plot_records", "summaries", "write_tables"]

_HEADER = (
    "set",
    "recipe",
    "seeds",
    "test NLL, mean",
    "of each seed",
    "s.e. over rows",
    "published",
    "better by",
    "models x orders",
    "wall s a seed",
)


def summaries(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Puts the seeds of each set and recipe together, in the order of `set_names`."""
    groups: dict[tuple[int, str, str], list[Record]] = {}
    order = {name: index for index, name in enumerate(set_names())}
    for record in records:
        key = (order.get(record.set, len(order)), record.set, record.recipe)
        groups.setdefault(key, []).append(record)
    found = []
    for (_, name, recipe), group in sorted(groups.items()):
        nll = [record.test_nll for record in sorted(group, key=lambda record: record.seed)]
        entry = BenchmarkSet.named(name) if name in order else None
        found.append(
            {
                "set": name,
                "recipe": recipe,
                "nll": nll,
                "mean": statistics.fmean(nll),
                "error": statistics.stdev(nll) / math.sqrt(len(nll)) if len(nll) > 1 else math.nan,
                "rows_error": statistics.fmean(record.test_standard_error for record in group),
                "published": entry.published if entry else math.nan,
                "published_by": entry.published_by if entry else "",
                "size": f"{group[0].members} x {group[0].num_orders}",
                "seconds": statistics.fmean(record.wall_seconds for record in group),
            }
        )
    return found


def markdown_table(records: Sequence[Record]) -> str:
    """Returns the table: a line for each set and recipe, figures in nats."""
    lines = [f"| {' | '.join(_HEADER)} |", "|---" * len(_HEADER) + "|"]
    for row in summaries(records):
        error = "" if math.isnan(row["error"]) else f" ± {row['error']:.3f}"
        known = not math.isnan(row["published"])
        cells = (
            row["set"],
            row["recipe"],
            str(len(row["nll"])),
            f"{row['mean']:.3f}{error}",
            ", ".join(f"{nll:.3f}" for nll in row["nll"]),
            f"{row['rows_error']:.3f}",
            f"{row['published']:.2f} ({row['published_by']})" if known else "",
            f"{row['published'] - row['mean']:.3f}" if known else "",
            row["size"],
            f"{row['seconds']:.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot_records(records: Sequence[Record]):
    """Draws how much lower than the published NLL each figure is, in per cent of it.

    Returns:
        A Matplotlib figure.

    Raises:
        ModuleNotFoundError: if Matplotlib is not installed.
    """
    rows = [row for row in summaries(records) if not math.isnan(row["published"])]
    recipes = list(dict.fromkeys("default" if r["recipe"] == "default" else "own" for r in rows))
    names = list(dict.fromkeys(row["set"] for row in rows))
    figure, (axis,) = panels(1, 7.5, 1.4 + 0.45 * len(names), None)
    for offset, kind in enumerate(recipes):
        mine = [row for row in rows if (row["recipe"] == "default") == (kind == "default")]
        places = [names.index(row["set"]) + 0.25 * offset for row in mine]
        axis.errorbar(
            [100 * (1 - row["mean"] / row["published"]) for row in mine],
            places,
            xerr=[100 * np.nan_to_num(row["error"]) / row["published"] for row in mine],
            fmt="o" if kind == "own" else "s",
            capsize=3,
            label="recipe of the set's own" if kind == "own" else "default recipe",
        )
    axis.axvline(0, color="tab:red", label="published")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlabel("test NLL below the published one, per cent (bars: standard error over seeds)")
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
    return figure


def write_tables(records: Sequence[Record], folder: Path) -> None:
    """Writes `table.md` and, of published sets, `plot.png`."""
    with replacing(folder / "table.md") as path:
        path.write_text(markdown_table(records), encoding="utf-8")
    if any(record.set in set_names() for record in records):
        save(plot_records(records), folder / "plot.png")
