"""Do samples agree between host and device, and with the exact probabilities?

    python benchmarks/agreement.py

Fits MADE to scikit-learn's digits, draws the same 10,000 rows on the host and
with the LiteRT interpreter, and counts the rows that differ in any bit; likewise
10,000 rows whose holes a model for questions fills. Then
fits small models and tests their samples against all enumerated probabilities.
"""

import argparse
import pathlib
import tempfile

import keras
import numpy as np
import scipy.stats

import made_tf


def compare_digits(num_rows, epochs):
    splits = made_tf.data.load_digits()
    model = made_tf.MADE(64, (500,), seed=0)
    model.compile("adam")
    model.fit(splits.train, epochs=epochs, batch_size=100, verbose=0)
    nll = -float(np.mean(model.log_prob(splits.test)))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "made.tflite"
        made_tf.export.to_tflite(model, path)
        device = made_tf.export.LiteSampler(path).sample(num_rows, seed=7)
    host = made_tf.MADEDistribution(model).sample(num_rows, seed=7).numpy()
    different = int((device != host).any(axis=1).sum())
    print(
        f"digits (test NLL {nll:.2f} nats): {num_rows - different} of {num_rows} rows are equal "
        f"bit for bit on host and device"
    )


def compare_imputed(num_rows, epochs):
    """Fills in holes of 20 patterns, of a model for questions."""
    splits = made_tf.data.load_digits()
    bits = made_tf.Bernoulli(tells_unknown=True)
    model = made_tf.MADE(
        64,
        (256, 256),
        residual=True,
        conditionals=bits,
        num_masks=None,
        resample="evidence",
        mask_weights=True,
        seed=0,
    )
    model.compile("adam")
    model.fit(splits.train, epochs=epochs, batch_size=100, verbose=0)
    rng = np.random.default_rng(0)
    patterns = rng.random((20, 64)) < rng.random((20, 1))
    rows = splits.test[rng.integers(0, len(splits.test), num_rows)]
    evidence = np.where(patterns[rng.integers(0, 20, num_rows)], rows, np.nan)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "made.tflite"
        made_tf.export.to_tflite(model, path)
        device = made_tf.export.LiteSampler(path).impute(evidence, seed=7)
    host = made_tf.MADEDistribution(model).impute(evidence, seed=7)
    different = int((device != host).any(axis=1).sum())
    print(
        f"digits, filled in: {num_rows - different} of {num_rows} rows are equal bit for bit on "
        "host and device"
    )


def chi_squared(event_size, num_rows, family):
    rng = np.random.default_rng(event_size)
    model = made_tf.MADE(event_size, (32,), family, input_order="random", seed=event_size)
    states = np.stack(
        [g.ravel() for g in np.meshgrid(*model.conditionals.finite_states(), indexing="ij")], axis=1
    )
    model.compile("adam")
    model.fit(states[rng.choice(len(states), 512)], epochs=5, verbose=0)
    probs = np.exp(np.asarray(model.log_prob(states), np.float64))
    rows = made_tf.MADEDistribution(model).sample(num_rows, seed=11).numpy()
    sizes = [len(values) for values in model.conditionals.finite_states()]
    counts = np.bincount(np.ravel_multi_index(rows.astype(int).T, sizes), minlength=len(states))
    rare = num_rows * probs < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(probs[~rare], probs[rare].sum()) * num_rows
    keep = expected > 0
    test = scipy.stats.chisquare(observed[keep], expected[keep], sum_check=False)
    print(
        f"{family.name:11s} D = {event_size:2d}: total probability {probs.sum():.9f}, "
        f"chi-squared {test.statistic:8.1f} on {keep.sum() - 1:4d} degrees of freedom, "
        f"p = {test.pvalue:.3f}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few rows, to see that it runs")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    for compare in (compare_digits, compare_imputed):
        compare(num_rows=500 if args.smoke else 10_000, epochs=1 if args.smoke else 30)
    num_rows = 2_000 if args.smoke else 200_000
    for event_size in (2,) if args.smoke else (2, 5, 8, 10):
        chi_squared(event_size, num_rows, made_tf.Bernoulli())
    chi_squared(4, num_rows, made_tf.Categorical([2, 4, 3, 5]))


if __name__ == "__main__":
    main()
