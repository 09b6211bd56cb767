"""Test NLL of one model under the average of 1, 4, 16 and 64 orders.

    python benchmarks/orders.py --data-dir DIR --output FOLDER [NAME ...]

Trains an order-agnostic model (fresh order and connectivity at each step) and, in
the same run, a model of 32 masks in turn and one of a fixed order, with settings
that validation rows chose (`SETTINGS`). Prints test NLL in nats with the standard
error over rows, how far orders disagree on a row, and the published figures; writes
`orders.csv` and `orders.png`.
"""

import argparse
import csv
import pathlib
import time

import keras
import numpy as np

import made_tf

NUM_ORDERS = (1, 4, 16, 64)
VALIDATION_ORDERS = 4  # averaged when early stopping looks

# As published (arXiv:1502.03509): MADE, and MADE with mask sampling.
PUBLISHED = {
    "adult": (13.12, 13.13),
    "connect4": (11.90, 11.90),
    "dna": (83.63, 79.66),
    "mushrooms": (9.68, 9.69),
}
HEADER = ("set", "model", "orders", "test NLL", "s.e.", "spread", "s.e. of orders", "seconds")

KINDS = {"any order": None, "32 masks": 32, "fixed order": 1}  # their `num_masks`

# Chosen by validation NLL alone, for each kind; but for dna the 32 masks have what any order has.
DEFAULT = {"hidden_units": (500,), "dropout": 0.0, "learning_rate": 3e-3, "patience": 20}
SETTINGS = {
    "dna": {
        "any order": {**DEFAULT, "dropout": 0.3},
        "32 masks": {**DEFAULT, "dropout": 0.3},
        "fixed order": {**DEFAULT, "dropout": 0.8},
    },
    "mushrooms": {
        "any order": {**DEFAULT, "dropout": 0.2, "patience": 40},
        "32 masks": {**DEFAULT, "dropout": 0.2, "patience": 30},
        "fixed order": {**DEFAULT, "dropout": 0.5, "batch_size": 50, "learning_rate": 1e-3},
    },
}


def fit(train, valid, num_masks, settings, seed=0, epochs=1000):
    """Trains with early stopping; returns the best model and the history.

    The learning rate falls to 0.3 of itself each time validation NLL has not improved
    for a third of the patience.
    """
    keras.utils.set_random_seed(seed)
    options = {"batch_size": 100, "resample": "both", **settings}
    model = made_tf.MADE(
        train.shape[1],
        options["hidden_units"],
        input_order="random" if num_masks == 1 else "natural",
        dropout=options["dropout"],
        num_masks=num_masks,
        resample=options["resample"],
        num_orders=1 if num_masks == 1 else VALIDATION_ORDERS,
        seed=seed,
    )
    model.compile(keras.optimizers.Adam(options["learning_rate"]))
    history = model.fit(
        train,
        batch_size=options["batch_size"],
        epochs=epochs,
        validation_data=valid,
        validation_batch_size=len(valid),
        callbacks=[
            keras.callbacks.ReduceLROnPlateau("val_nll", 0.3, options["patience"] // 3, mode="min"),
            keras.callbacks.EarlyStopping(
                "val_nll",
                patience=options["patience"],
                mode="min",
                restore_best_weights=True,
            ),
        ],
        verbose=0,
    ).history
    return model, history


def measure(name, splits, settings, kinds, orders, epochs):
    """Trains a model of each kind; yields the rows of the table."""
    train, valid, test = (splits[part].astype("float32") for part in ("train", "valid", "test"))
    for kind in kinds:
        num_masks, options = KINDS[kind], settings.get(kind, DEFAULT)
        counts = orders if num_masks is None else sorted({min(m, num_masks) for m in orders})
        started = time.perf_counter()
        model, history = fit(train, valid, num_masks, options, epochs=epochs)
        seconds = time.perf_counter() - started
        best = int(np.argmin(history["val_nll"]))
        print(
            f"{name}, {kind}: {options}, epoch {best + 1} is the best, validation NLL "
            f"{history['val_nll'][best]:.3f} with {model.num_orders} orders, {seconds:.0f} s",
            flush=True,
        )
        for count in counts:
            found = model.order_statistics(test, count)
            log_prob, error, spread = (np.asarray(part, np.float64) for part in found)
            rows_error = log_prob.std(ddof=1) / np.sqrt(len(test))
            numbers = -log_prob.mean(), rows_error, spread.mean(), error.mean(), seconds
            yield name, kind, count, *numbers


def plot(table, path):
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row[0] for row in table))
    figure, axes = plt.subplots(
        1, len(names), figsize=(4.8 * len(names), 4.2), layout="constrained", squeeze=False
    )
    for axis, name in zip(axes[0], names, strict=True):
        for kind in KINDS:
            rows = [row for row in table if row[:2] == (name, kind)]
            if kind == "fixed order" and rows:
                axis.axhline(rows[0][3], color="tab:gray", label="model of one fixed order")
            elif rows:
                counts, nll, errors = ([row[column] for row in rows] for column in (2, 3, 4))
                axis.errorbar(counts, nll, errors, marker="o", capsize=3, label=f"model of {kind}")
        for style, label, nats in zip(
            ("--", ":"), ("MADE", "MADE, mask sampling"), PUBLISHED.get(name, ()), strict=False
        ):
            axis.axhline(nats, color="tab:red", linestyle=style, label=f"{label}, as published")
        axis.set(xscale="log", xlabel="M, orders averaged", ylabel="test NLL, nats", title=name)
        axis.set_xticks(NUM_ORDERS, NUM_ORDERS)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(SETTINGS))
    parser.add_argument("--data-dir", type=pathlib.Path, help="folder with binary/*.npz")
    parser.add_argument("--output", type=pathlib.Path, help="folder for the table and the plot")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--epochs", type=int, default=1000, help="at most so many")
    parser.add_argument("--smoke", action="store_true", help="two epochs on made-up rows")
    args = parser.parse_args()
    if not args.smoke and args.data_dir is None:
        parser.error("--data-dir is needed (or --smoke)")
    orders, table = NUM_ORDERS, []
    if args.smoke:
        args.names, args.epochs, orders = ["smoke"], 2, (1, 4)
    for name in args.names:
        if args.smoke:
            rows = np.random.default_rng(0).integers(0, 2, (300, 6))
            splits = {"train": rows[:200], "valid": rows[200:250], "test": rows[250:]}
        else:
            splits = np.load(args.data_dir / "binary" / f"{name}.npz")
        settings = SETTINGS.get(name, {})
        if args.smoke:
            settings = {kind: {**DEFAULT, "hidden_units": (16,)} for kind in KINDS}
        table += measure(name, splits, settings, args.kinds, orders, args.epochs)
    print("\n| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    for name, kind, count, *numbers in table:
        shown = ["" if np.isnan(number) else f"{number:.3f}" for number in numbers[:-1]]
        print(f"| {name} | {kind} | {count} | {' | '.join(shown)} | {numbers[-1]:.0f} |")
    for name in args.names:
        if name in PUBLISHED:
            one, several = PUBLISHED[name]
            print(f"{name}, as published (arXiv:1502.03509): {one}, with mask sampling {several}")
        nll = {row[1:3]: row[3] for row in table if row[0] == name}
        best = {kind: min(v for (k, _), v in nll.items() if k == kind) for kind in args.kinds}
        for kind in args.kinds:
            print(
                f"{name}, {kind}: the average is {nll[kind, 1] - best[kind]:.3f} nats better than "
                f"the first order, {best.get('fixed order', np.nan) - best[kind]:.3f} better than "
                "the model of a fixed order"
            )
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        with open(args.output / "orders.csv", "w", newline="") as file:
            csv.writer(file).writerows([HEADER, *table])
        plot(table, args.output / "orders.png")


if __name__ == "__main__":
    main()
