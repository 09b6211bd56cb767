"""What a context is worth: digits given their class against digits alone.

    python benchmarks/digits_by_class.py --output FOLDER

Trains both models on the 1,797 binarized digits of scikit-learn (8x8 pixels; needs
`made-tf[demo]`), alike but for the context, a one-hot class; the rows of the lowest
validation NLL count. A class that its picture determines is worth log 10 nats: the
benchmark prints which share of them the context gains. With `--output` it writes ten
digits of each class, drawn on the host and by the exported file, as `digits.png`, and
the file itself.
"""

import argparse
import math
import pathlib

import keras
import numpy as np
from sklearn.datasets import load_digits

import made_tf
from made_tf import MADE, MADEDistribution
from made_tf.data.digits import DIGITS_THRESHOLD
from made_tf.export import LiteSampler, to_tflite
from made_tf.plotting import plot_images
from made_tf.plotting.style import save

NUM_CLASSES, SEED = 10, 7


def splits(seed):
    """Training, validation and test rows with their classes, as `made_tf.data.load_digits`."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.data))
    x = (digits.data[order] >= DIGITS_THRESHOLD).astype(np.float32)
    classes = np.eye(NUM_CLASSES, dtype=np.float32)[digits.target[order]]
    return [
        tuple(part)
        for part in zip(*(np.split(each, [1257, 1437]) for each in (x, classes)), strict=True)
    ]


def train(train_rows, valid_rows, with_classes, args, seed):
    """Returns a model with the weights of the lowest validation NLL."""
    keras.utils.set_random_seed(seed)
    model = MADE(
        64,
        args.hidden_units,
        hidden_degrees="early",
        dropout=args.dropout,
        seed=seed,
        context=NUM_CLASSES if with_classes else None,
    )
    model.compile(keras.optimizers.AdamW(args.learning_rate, weight_decay=args.weight_decay))
    inputs, valid = ((rows if with_classes else rows[0]) for rows in (train_rows, valid_rows))
    model.fit(
        inputs,
        batch_size=50,
        epochs=args.epochs,
        verbose=0,
        validation_data=(valid,),
        callbacks=[
            keras.callbacks.EarlyStopping(
                "val_nll", mode="min", patience=30, restore_best_weights=True
            )
        ],
    )
    return model


def nll(model, rows):
    x, classes = rows
    context = None if model.context is None else classes
    return made_tf.scoring.mean_nll(model, x, context)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, help="folder for the picture and the file")
    parser.add_argument("--hidden-units", type=int, nargs="+", default=[500])
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test", action="store_true", help="score the test rows, too")
    parser.add_argument("--smoke", action="store_true", help="one short run, to see that it works")
    args = parser.parse_args()
    if args.smoke:
        args.epochs, args.seeds, args.hidden_units = 2, 1, [80]
    parts = splits(0)
    names = ["validation"] + (["test"] if args.test else [])
    for seed in range(args.seeds):
        without, given = (train(*parts[:2], each, args, seed) for each in (False, True))
        for name, rows in zip(names, parts[1:], strict=False):
            (alone, _), (by_class, error) = nll(without, rows), nll(given, rows)
            share = (alone - by_class) / math.log(NUM_CLASSES)
            print(
                f"seed {seed}, {name} rows: {alone:.2f} nats, by class {by_class:.2f} +- "
                f"{error:.2f}: {share:.0%} of log 10 (asked: >= 80%)"
            )
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        path = args.output / "digits.tflite"
        print(to_tflite(given, path, image_shape=(8, 8), context_names=list("0123456789")))
        context = np.repeat(np.eye(NUM_CLASSES, dtype=np.float32), 10, axis=0)
        host = np.concatenate(
            [MADEDistribution(given, context=one).sample(10, seed=SEED) for one in context[::10]]
        )
        seeds = np.tile(np.stack([np.full(10, SEED), np.arange(10)], axis=1), (NUM_CLASSES, 1))
        device = LiteSampler(path).sample_from(seeds.astype(np.int32), context)
        different = (host != device).any(axis=1).sum()
        print(f"{different} of 100 rows differ between host and device")
        save(plot_images({"host": host, "device": device}, (8, 8), 100), args.output / "digits.png")


if __name__ == "__main__":
    main()
