"""Conditions in SQL on a table as it is: probabilities against exact counts.

    KERAS_BACKEND=tensorflow python benchmarks/where.py --data-dir DIR [--tables census,diamonds]

A query restricts one to five columns around a random row: classes to some of them, numbers to a
half-line or an interval. SQLite counts; beside the model stand the product of the columns' exact
frequencies, that of histograms with 50 buckets of equal counts, and a sample of 1 % of the rows.
Prints q-errors, max(estimate, count) / min(estimate, count) with both at least one row, and the
milliseconds a query in batches of 100.
"""

from __future__ import annotations

import argparse
import pathlib
import sqlite3
import time

import numpy as np
import pandas as pd

from made_tf import TableModel
from made_tf.training.recipe import Recipe

_BATCH = 100
_BUCKETS = 50


def made_up(count: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size = rng.integers(0, 4, count)
    return pd.DataFrame(
        {
            "size": np.array(["S", "M", "L", "XL"])[size],
            "price": np.round(10 + 5 * size + rng.gamma(2, 2, count), 2),
            "weight": np.where(rng.random(count) < 0.1, np.nan, np.round(size + rng.random(), 1)),
        }
    )


def load(name: str, folder: pathlib.Path | None) -> pd.DataFrame:
    if folder is None:
        return made_up()
    return pd.read_csv(folder / "tabular" / f"{name}.csv")


def quoted(value) -> str:
    return "'" + str(value).replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def atom(frame: pd.DataFrame, name: str, value, rng) -> str:
    """Returns a condition of one column that a row of this value meets."""
    column = f'"{name}"'
    if pd.isna(value):
        return f"{column} IS NULL"
    if isinstance(value, str):
        classes = frame[name].dropna().unique()
        others = rng.choice(classes, rng.integers(0, min(4, len(classes))), replace=False)
        listed = ", ".join(map(quoted, dict.fromkeys([value, *others])))
        return f"{column} IN ({listed})"
    low, high = np.sort(rng.choice(frame[name].dropna().to_numpy(), 2))
    low, high = min(low.item(), value), max(high.item(), value)
    kinds = [f"{column} >= {low!r}", f"{column} <= {high!r}"]
    return str(rng.choice([*kinds, f"{column} BETWEEN {low!r} AND {high!r}"]))


def make_queries(frame: pd.DataFrame, count: int, rng) -> list[list[str]]:
    queries = []
    for number in rng.integers(0, len(frame), count):
        row = frame.iloc[int(number)]
        names = rng.permutation(frame.columns)[: rng.integers(1, min(5, frame.shape[1]) + 1)]
        values = {name: row[name] for name in names}
        plain = {n: v.item() if isinstance(v, np.generic) else v for n, v in values.items()}
        queries.append([atom(frame, name, value, rng) for name, value in plain.items()])
    return queries


class Counter:
    """Counts rows by SQLite."""

    def __init__(self, frame: pd.DataFrame):
        self._connection = sqlite3.connect(":memory:")
        frame.to_sql("t", self._connection, index=False)
        self._size = len(frame)
        self._known: dict[str, int] = {}

    def share(self, where: str) -> float:
        if where not in self._known:
            query = f"SELECT count(*) FROM t WHERE {where}"
            self._known[where] = self._connection.execute(query).fetchone()[0]
        return self._known[where] / self._size


def bucketed(frame: pd.DataFrame) -> pd.DataFrame:
    """Replaces numbers by the medians of buckets of equal counts."""
    found = frame.copy()
    for name in frame.select_dtypes("number"):
        values = frame[name].to_numpy(np.float64)
        edges = np.unique(np.nanquantile(values, np.linspace(0, 1, _BUCKETS + 1)))
        owner = np.searchsorted(edges, values, side="right")
        found[name] = frame[name].groupby(owner).transform("median").where(frame[name].notna())
    return found


def by_model(
    model: TableModel, queries: list[list[str]], asked: argparse.Namespace
) -> tuple[list, float]:
    texts = [" AND ".join(atoms) for atoms in queries]
    options = {
        "num_samples": asked.samples,
        "tolerance": asked.tolerance,
        "of_whole_rows": asked.of_whole_rows,
    }
    model.probability(texts[:_BATCH], **options)  # traced once
    found, start = [], time.perf_counter()
    for first in range(0, len(texts), _BATCH):
        part = model.probability(texts[first : first + _BATCH], **options)
        found.extend(part.probability)
    return found, 1000 * (time.perf_counter() - start) / len(texts)


def report(name: str, how: str, shares, truth, size: int, ms: float | None = None) -> None:
    estimate, exact = (np.maximum(1.0, size * np.asarray(each)) for each in (shares, truth))
    errors = np.maximum(estimate, exact) / np.minimum(estimate, exact)
    middle, high, higher = np.quantile(errors, [0.5, 0.95, 0.99])
    took = "" if ms is None else f", {ms:.1f} ms a query"
    print(
        f"{name:9} {how:22} median {middle:.3f}, 95th {high:.2f}, 99th {higher:.2f}, "
        f"largest {errors.max():.1f}{took}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--tables", default="census,diamonds")
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=1000, help="draws of a query, at most")
    parser.add_argument("--tolerance", type=float, default=0.2, help="0 for all draws")
    parser.add_argument(
        "--of-whole-rows",
        action=argparse.BooleanOptionalAction,
        help="draw all columns, or not; by default as the package decides",
    )
    parser.add_argument("--recipe", default="questions", help="or table: of whole rows alone")
    parser.add_argument("--model", type=pathlib.Path, help="A model to use, or to write.")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    recipe = Recipe.load(options.recipe)
    if options.smoke:
        options.tables, options.queries = "made-up", 20
        recipe = recipe.overridden(looks=2, steps=5, hidden_units=[16, 16])
    for name in options.tables.split(","):
        frame = load(name, options.data_dir)
        rng = np.random.default_rng(0)
        queries = make_queries(frame, options.queries, rng)
        exact = Counter(frame)
        truth = [exact.share(" AND ".join(atoms)) for atoms in queries]
        if options.model is not None and options.model.exists():
            model = TableModel.load(options.model)
        else:
            model = TableModel(recipe=recipe, questions=None, find_facts=False).fit(frame)
            if options.model is not None:
                model.save(options.model)
        shares, ms = by_model(model, queries, options)
        report(name, "model", shares, truth, len(frame), ms)
        for how, counter in (
            ("independent columns", exact),
            ("histograms", Counter(bucketed(frame))),
        ):
            shares = [np.prod([counter.share(one) for one in atoms]) for atoms in queries]
            report(name, how, shares, truth, len(frame))
        sample = Counter(frame.sample(max(1, len(frame) // 100), random_state=0))
        shares = [sample.share(" AND ".join(atoms)) for atoms in queries]
        report(name, "a sample of 1 %", shares, truth, len(frame))


if __name__ == "__main__":
    main()
