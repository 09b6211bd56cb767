"""Range and set queries on a table of five discrete columns, against exact counts.

    python benchmarks/range_queries.py --data-dir DIR --output FOLDER

The columns of diamonds: cut, color, clarity, and carat and price in intervals that
hold equal numbers of rows. (Without data: a made-up table.) A query restricts a
random subset of columns around a random row, classes to a set and numbers to a
value, a half-line or an interval, so that at least one row answers it. Compared are
an order-agnostic MADE (`log_prob_in`), the product of the columns' exact
frequencies, and a histogram with at most as many buckets as the model has
parameters. Prints q-errors, max(estimate, count) / min(estimate, count) with both
at least one row; writes `range_queries.csv` and `range_queries.png`.
"""

import argparse
import csv
import pathlib
import time

import keras
import numpy as np

import made_tf
from made_tf.queries.value_sets import allowed_sets

CLASSES = {  # from the worst to the best
    "cut": ("Fair", "Good", "Very Good", "Premium", "Ideal"),
    "color": tuple("JIHGFED"),
    "clarity": ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"),
}
NUMBERS = ("carat", "price")
HEADER = ("estimate", "median", "95 %", "maximum", "ms a query")


def read_diamonds(path, bins):
    with open(path, newline="") as file:
        lines = list(csv.DictReader(file))
    columns = [[names.index(line[column]) for line in lines] for column, names in CLASSES.items()]
    for column in NUMBERS:
        values = np.array([float(line[column]) for line in lines])
        inner = np.unique(np.quantile(values, np.arange(1, bins) / bins))
        columns.append(np.searchsorted(inner, values, side="right"))
    return np.stack(columns, axis=1)


def made_up(bins, num_rows, rng):
    """Columns as those of diamonds that depend on two hidden numbers."""
    hidden = rng.normal(size=(num_rows, 2))
    columns = []
    for index, count in enumerate([*map(len, CLASSES.values()), bins, bins]):
        values = hidden @ rng.normal(size=2) + 0.3 * (1 + index) * rng.normal(size=num_rows)
        inner = np.quantile(values, np.arange(1, count) / count)
        columns.append(np.searchsorted(inner, values, side="right"))
    return np.stack(columns, axis=1)


def make_queries(codes, shape, count, rng):
    """Column -> allowed codes, each query around a row of its own."""
    queries = []
    for row in codes[rng.integers(0, len(codes), count)]:
        columns = rng.permutation(len(shape))[: rng.integers(1, len(shape) + 1)]
        queries.append({int(k): _restriction(int(row[k]), shape[k], k, rng) for k in columns})
    return queries


def _restriction(value, size, column, rng):
    if column < len(CLASSES):  # its own class and up to two others
        others = rng.permutation(np.delete(np.arange(size), value))[: rng.integers(0, 3)]
        return sorted({value, *others.tolist()})
    low, high = rng.integers(0, value + 1), rng.integers(value, size)
    kinds = [(value, value), (0, value), (value, size - 1), (int(low), int(high))]
    first, last = kinds[rng.integers(len(kinds))]
    return list(range(first, last + 1))


def mass(table, allowed):
    """Sums a table `[K_1, ..., K_D]` over the cells that each query allows: `[queries]`."""
    totals = []
    for query in allowed:
        part = table
        for size, values in reversed(list(zip(table.shape, query, strict=True))):
            part = part @ values[:size].astype(np.float64)
        totals.append(float(part))
    return np.array(totals)


def independent(counts):
    """The product of the columns' own frequencies, as a table of the same total."""
    table = np.array(float(counts.sum()))
    for axis in range(counts.ndim):
        others = tuple(k for k in range(counts.ndim) if k != axis)
        table = np.multiply.outer(table, counts.sum(axis=others) / counts.sum())
    return table


def histogram(counts, budget):
    """Coarsens columns until there are at most so many buckets, uniform inside.

    Each time the column gets one interval less that costs the least likelihood.
    """
    bins = list(counts.shape)
    while np.prod(bins) > budget:
        choices = []
        for axis in range(len(bins)):
            if bins[axis] > 1:
                fewer = [*bins[:axis], bins[axis] - 1, *bins[axis + 1 :]]
                choices.append((_loss(counts, _coarse(counts, fewer)), fewer))
        bins = min(choices)[1]
    return _coarse(counts, bins), bins


def _coarse(counts, bins):
    table = counts.astype(np.float64)
    for axis, (size, parts) in enumerate(zip(counts.shape, bins, strict=True)):
        owner = np.arange(size) * parts // size
        sums = np.zeros((parts, size))
        sums[owner, np.arange(size)] = 1.0
        spread = sums.T @ (sums / sums.sum(axis=1, keepdims=True))  # [K, K]
        table = np.moveaxis(np.tensordot(spread, table, axes=(1, axis)), 0, axis)
    return table


def _loss(counts, table):
    full = counts > 0
    return -float(np.sum(counts[full] * np.log(table[full])))


def train(codes, shape, hidden_units, epochs):
    keras.utils.set_random_seed(0)
    # Orders alone: with fresh connectivity as well, so few units fit the table much worse.
    model = made_tf.MADE(
        len(shape),
        hidden_units,
        made_tf.Categorical(list(shape)),
        seed=0,
        num_masks=None,
        resample="order",
    )
    steps = -(-len(codes) // 256) * epochs
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, steps)))
    started = time.perf_counter()
    history = model.fit(codes.astype("float32"), batch_size=256, epochs=epochs, verbose=0).history
    print(
        f"MADE, hidden {hidden_units}: {model.count_params()} parameters, "
        f"{history['nll'][-1]:.3f} nats in training, {time.perf_counter() - started:.0f} s"
    )
    return model


def q_errors(estimates, counts):
    estimates, counts = np.maximum(estimates, 1.0), np.maximum(counts, 1.0)
    return np.maximum(estimates, counts) / np.minimum(estimates, counts)


def plot(errors, path):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, values in errors.items():
        axes.plot(np.sort(values), (np.arange(len(values)) + 1) / len(values), label=name)
    axes.set(xscale="log", xlabel="q-error", ylabel="fraction of the queries", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path, help="folder with tabular/diamonds.csv")
    parser.add_argument("--output", type=pathlib.Path, help="folder for the table and the plot")
    parser.add_argument("--hidden-units", type=int, nargs="+", default=[128, 128])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--bins", type=int, default=20, help="intervals of carat and of price")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000, help="of progressive sampling")
    parser.add_argument("--orders", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--smoke", action="store_true", help="few rows, to see that it runs")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    if args.smoke:
        args.epochs, args.bins, args.queries, args.draws, args.orders = 1, 6, 10, 50, [1, 2]
    if args.data_dir:
        codes = read_diamonds(args.data_dir / "tabular" / "diamonds.csv", args.bins)
    else:
        codes = made_up(args.bins, 500 if args.smoke else 50_000, rng)
    shape = tuple(int(size) for size in codes.max(axis=0) + 1)
    counts = np.zeros(shape)
    np.add.at(counts, tuple(codes.T), 1)
    entropy = np.log(len(codes)) - np.sum(counts * np.log(np.maximum(counts, 1))) / len(codes)
    print(
        f"{len(codes)} rows, columns of {shape} values: {counts.size} cells, "
        f"{np.count_nonzero(counts)} of them not empty; entropy {entropy:.3f} nats"
    )
    model = train(codes, shape, args.hidden_units, args.epochs)
    queries = make_queries(codes, shape, args.queries, rng)
    allowed = allowed_sets(model, queries)
    exact = mass(counts, allowed)
    print(
        f"{len(queries)} queries; rows that answer them: median {np.median(exact):.0f}, "
        f"from {exact.min():.0f} to {exact.max():.0f}"
    )
    estimates, milliseconds = {}, {}
    for num_orders in args.orders:
        name = f"MADE, {num_orders} order{'s' if num_orders > 1 else ''}"
        distribution = made_tf.MADEDistribution(model, num_orders=num_orders)
        distribution.log_prob_in(allowed[:1], args.draws)  # traces
        started = time.perf_counter()
        found = distribution.log_prob_in(allowed, args.draws)
        milliseconds[name] = 1e3 * (time.perf_counter() - started) / len(queries)
        estimates[name] = len(codes) * found.probability
        print(
            f"{name}: mean standard error of sampling {np.mean(found.standard_error):.4f} of the "
            f"estimate, at most {np.max(found.standard_error):.4f}; {args.draws} draws"
        )
    buckets, bins = histogram(counts, model.count_params())
    names = {"independent columns": independent(counts)}
    names[f"histogram of {np.prod(bins)} buckets"] = buckets
    print(f"buckets of the histogram by column: {bins}")
    for name, table in names.items():
        started = time.perf_counter()
        estimates[name] = mass(table, allowed)
        milliseconds[name] = 1e3 * (time.perf_counter() - started) / len(queries)
    errors = {name: q_errors(values, exact) for name, values in estimates.items()}
    table = [
        (name, np.median(e), np.quantile(e, 0.95), e.max(), milliseconds[name])
        for name, e in errors.items()
    ]
    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    for name, *numbers in table:
        print(f"| {name} | " + " | ".join(f"{number:.4g}" for number in numbers) + " |")
    first = table[0]
    for name, median, tail, *_ in table[len(args.orders) :]:
        print(
            f"{name} / {first[0]}: median {median / first[1]:.3g}, 95 % {tail / first[2]:.3g} times"
        )
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        with open(args.output / "range_queries.csv", "w", newline="") as file:
            csv.writer(file).writerows([HEADER, *table])
        plot(errors, args.output / "range_queries.png")


if __name__ == "__main__":
    main()
