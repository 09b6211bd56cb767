"""Tables: synthetic rows told from real ones, what a model trained on them is worth, filled cells.

    python benchmarks/tables.py --data-dir DIR --tables diamonds,census,magic

For each table and seed: a quarter of the rows is held out, a `TableModel` with its defaults is
fitted to the rest. Then
- the report of `made_tf.quality` on the drawn rows: whether gradient boosting tells them from
  held-out ones, beside real rows and rows whose columns are drawn independently of each other; the
  shapes of columns and pairs; what a model trained on them is worth; whether rows were learned by
  heart;
- the probability of the class from all other cells, beside gradient boosting trained for it;
- imputation: a fifth of the held-out cells hidden; the root mean square error of numbers over their
  standard deviation, and the accuracy of classes, beside `IterativeImputer`, `KNNImputer` and means
  and modes; how many hidden numbers have a rank among their draws that is in the middle 90 % (0.9
  where draws are right, whatever the number of them; among equal ones the rank is random).
"""

from __future__ import annotations

import argparse
import pathlib
import textwrap
import time

import numpy as np
import pandas as pd
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes the next one known
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from made_tf import TableModel, TableSchema
from made_tf.quality import assess
from made_tf.quality.columns import compared_columns, matrix
from made_tf.quality.utility import probabilities

TARGETS = {"census": "income", "magic": "class", "penguins": "species", "made": "zone"}
HIDDEN, DRAWS, MOST_FILLED = 0.2, 20, 2000


def load(name: str, folder: pathlib.Path | None) -> pd.DataFrame:
    """Returns a table in a random order."""
    if name == "made":
        frame = rides(500)
    elif name == "magic":
        with np.load(folder / "anomaly" / "magic.gamma.npz") as arrays:
            values = arrays["X"].astype(float).round(4)
            frame = pd.DataFrame(values, columns=[f"x{k}" for k in range(values.shape[1])])
            frame["class"] = np.where(arrays["y"] == 1, "hadron", "gamma")
    else:
        frame = pd.read_csv(folder / "tabular" / f"{name}.csv")
    return frame.sample(frac=1, random_state=0).reset_index(drop=True)


def rides(count: int, seed: int = 0) -> pd.DataFrame:
    """Returns a table like one of taxi rides: with a sum, an order and a dependency."""
    rng = np.random.default_rng(seed)
    pickup = pd.Timestamp("2019-03-01") + pd.to_timedelta(
        rng.integers(0, 90 * 24 * 60, count), unit="min"
    )
    minutes = np.ceil(rng.gamma(2, 7, count)).astype(int)
    fare = np.round(2.5 + 0.9 * minutes + rng.gamma(1, 2, count), 2)
    tip = np.round(fare * rng.choice([0, 0.15, 0.2], count), 2)
    tolls = np.round(rng.choice([0, 6.12], count, p=[0.93, 0.07]), 2)
    zone = rng.choice(["Astoria", "Chelsea", "Harlem", "Jamaica", "SoHo"], count)
    borough = {"Astoria": "Queens", "Jamaica": "Queens"}
    return pd.DataFrame(
        {
            "pickup": pickup,
            "dropoff": pickup + pd.to_timedelta(minutes, unit="min"),
            "zone": zone,
            "borough": [borough.get(each, "Manhattan") for each in zone],
            "fare": fare,
            "tip": tip,
            "tolls": tolls,
            "total": np.round(fare + tip + tolls, 2),
        }
    )


def independent(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    """Returns rows whose columns are drawn independently of each other."""
    rng = np.random.default_rng(0)
    return pd.DataFrame({name: rng.choice(frame[name], count) for name in frame})


def as_numbers(*frames: pd.DataFrame) -> list[pd.DataFrame]:
    """Returns frames with a number for each category, the same in all of them, and for moments."""
    whole = pd.concat(frames, ignore_index=True)
    for name in whole:
        if pd.api.types.is_datetime64_any_dtype(whole[name].dtype):
            whole[name] = whole[name].astype("int64") / 1e9
        elif not pd.api.types.is_numeric_dtype(whole[name].dtype):
            codes, _ = pd.factorize(whole[name])
            whole[name] = np.where(codes < 0, np.nan, codes)
    ends = np.cumsum([len(frame) for frame in frames])
    return [whole[end - len(frame) : end] for end, frame in zip(ends, frames, strict=True)]


def log_losses(model: TableModel, train: pd.DataFrame, test: pd.DataFrame, target: str):
    """Returns the log loss of `predict_proba` and of gradient boosting trained for the target."""
    schema = TableSchema.infer(train, find_facts=False)
    tables = {"train": schema.cells_of(train), "real": schema.cells_of(test)}
    columns, _ = compared_columns(schema, tables)
    (wanted,) = (column for column in columns if column.name == target)
    inputs = [column for column in columns if column.name != target]
    classes = np.arange(len(wanted.classes), dtype=float)
    x, x_test = (matrix(inputs, part) for part in tables)
    own = probabilities(x, wanted.parts["train"], x_test, classes)
    truth = wanted.parts["real"]
    ours = model.predict_proba(test, target)[wanted.classes].to_numpy()
    return log_loss(truth, ours, labels=classes), log_loss(truth, own, labels=classes)


def errors(truth: pd.DataFrame, filled: pd.DataFrame, hidden: np.ndarray, scale: pd.Series):
    """Returns the error of numbers over their spread, and the accuracy of classes."""
    squares, right = [], []
    for number, name in enumerate(truth):
        rows = hidden[:, number] & truth[name].notna().to_numpy()
        own, other = truth[name].to_numpy()[rows], filled[name].to_numpy()[rows]
        if name in scale.index:
            squares.append(((own.astype(float) - other.astype(float)) / scale[name]) ** 2)
        else:
            right.append(own == other)
    found = [np.sqrt(np.concatenate(squares).mean()) if squares else np.nan]
    return [*found, np.concatenate(right).mean() if right else np.nan]


def by_peers(train: pd.DataFrame, holes: pd.DataFrame, numeric: list[str]):
    """Yields what others fill in, by regressions or neighbours; classes as numbers."""
    x, x_holes = as_numbers(train, holes)
    scaler = StandardScaler().fit(x)
    middle = pd.concat([train[numeric].mean(), train.drop(columns=numeric).mode().iloc[0]])
    yield "means and modes", holes.fillna(middle)
    rows = np.random.default_rng(0).permutation(len(x))[:5000]
    for name, imputer in (
        ("IterativeImputer", IterativeImputer(random_state=0)),
        ("KNNImputer", KNNImputer()),
    ):
        imputer.fit(scaler.transform(x)[rows])
        values = scaler.inverse_transform(imputer.transform(scaler.transform(x_holes)))
        filled = holes.copy()
        for number, column in enumerate(train):
            own = values[:, number]
            if column not in numeric:
                classes = pd.concat([train, holes], ignore_index=True)[column]
                names = pd.factorize(classes)[1]
                own = np.asarray(names)[np.clip(np.rint(own), 0, len(names) - 1).astype(int)]
            filled[column] = holes[column].where(holes[column].notna(), own)
        yield name, filled


def fill(model: TableModel, train: pd.DataFrame, test: pd.DataFrame) -> None:
    """Prints how well hidden cells are filled in."""
    truth = test[:MOST_FILLED].reset_index(drop=True)
    moments = [name for name in truth if truth[name].dtype.kind == "M"]
    truth, train = truth.drop(columns=moments), train.drop(columns=moments)
    hidden = np.random.default_rng(0).random(truth.shape) < HIDDEN
    holes = truth.mask(hidden)
    numeric = [name for name in truth if pd.api.types.is_numeric_dtype(truth[name].dtype)]
    numeric = [name for name in numeric if truth[name].dtype.kind != "b"]
    scale = train[numeric].std()
    draws = model.impute(holes, num_draws=DRAWS)
    middle = holes.copy()
    inside = []
    for number, name in enumerate(truth):
        values = np.stack([np.asarray(draw[name], object) for draw in draws])
        if name in numeric:
            values = values.astype(float)
            own = values.mean(axis=0)
            rows = hidden[:, number] & truth[name].notna().to_numpy()
            inside.append(in_the_middle(values, truth[name].to_numpy(float))[rows])
        else:
            own = [max(set(each), key=list(each).count) for each in values.T.tolist()]
        middle[name] = np.asarray(own, object) if name not in numeric else own
    print(f"    filled in: {'TableModel':18} {_pair(errors(truth, middle, hidden, scale))}")
    for name, filled in by_peers(train, holes, numeric):
        print(f"               {name:18} {_pair(errors(truth, filled, hidden, scale))}")
    if inside:
        share = np.concatenate(inside).mean()
        print(f"    hidden numbers in the middle 90 % of their draws: {share:.3f}")


def in_the_middle(draws: np.ndarray, cells: np.ndarray, seed: int = 0) -> np.ndarray:
    """Returns whether cells `[N]` have a rank in the middle 90 % among draws `[K, N]`."""
    below, equal = (draws < cells).sum(axis=0), (draws == cells).sum(axis=0)
    place = below + (equal + 1) * np.random.default_rng(seed).random(len(cells))
    return np.abs(place / (len(draws) + 1) - 0.5) < 0.45


def _pair(found: list[float]) -> str:
    return f"numbers {found[0]:.3f}  classes {found[1]:.3f}"


def broken(frame: pd.DataFrame) -> int:
    """Returns how many rows of `rides` contradict themselves."""
    total = (frame["fare"] + frame["tip"] + frame["tolls"] - frame["total"]).abs() > 1e-6
    order = frame["dropoff"] < frame["pickup"]
    borough = np.where(frame["zone"].isin(["Astoria", "Jamaica"]), "Queens", "Manhattan")
    return int((total | order | (frame["borough"] != borough)).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--tables", default="diamonds,census,magic")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--parts", default="rows,class,fill")
    parser.add_argument("--quarter", type=int, choices=range(4), default=3, help="is held out")
    parser.add_argument("--rides", type=int, default=100_000, help="drawn rows of made-up rides")
    parser.add_argument("--smoke", action="store_true", help="tiny, on made rows")
    options = parser.parse_args()
    parts = options.parts.split(",")
    for name in ["made"] if options.smoke else options.tables.split(","):
        frame = load(name, options.data_dir)
        first, end = (len(frame) * place // 4 for place in (options.quarter, options.quarter + 1))
        train, test = frame.drop(frame.index[first:end]), frame[first:end]
        for seed in range(options.seeds):
            started, used = time.perf_counter(), time.process_time()
            model = TableModel(seed=seed, time_budget=4 if options.smoke else None).fit(train)
            print(
                f"{name}, seed {seed}: fitted to {len(train)} rows in "
                f"{time.perf_counter() - started:.0f} s ({time.process_time() - used:.0f} CPU s); "
                f"held out {-model.score(test):.3f} nats",
                flush=True,
            )
            started = time.perf_counter()
            drawn = model.sample(max(len(train), 100 if options.smoke else 100_000), seed)
            print(f"    {len(drawn)} rows drawn in {time.perf_counter() - started:.1f} s")
            target = TARGETS.get(name)
            if "rows" in parts or "class" in parts:
                report = assess(test, drawn[: len(train)], train, target=target, seed=seed)
                print(textwrap.indent(str(report), "    "))
            if "rows" in parts:
                alone = assess(test, independent(train, len(test)), target=target, seed=seed)
                print(f"    independent columns told from real rows: {alone.two_sample.auc:.3f}")
            if "class" in parts and target:
                ours, boosted = log_losses(model, train, test, target)
                print(
                    f"    {target}: log loss of predict_proba {ours:.4f}, of gradient boosting "
                    f"{boosted:.4f}",
                    flush=True,
                )
            if "fill" in parts:
                fill(model, train, test)
    rides_drawn = 1000 if options.smoke else options.rides
    model = TableModel(time_budget=3 if options.smoke else 60, questions=None)
    drawn = model.fit(rides(500 if options.smoke else 20_000)).sample(rides_drawn, seed=1)
    print(f"rides: {broken(drawn)} of {len(drawn)} drawn rows contradict themselves")


if __name__ == "__main__":
    main()
