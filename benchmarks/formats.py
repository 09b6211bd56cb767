"""Formats of exported files: size, likelihood, leak and time, for two trained models.

    python benchmarks/formats.py --data-dir DIR [--output formats.csv]

Fits a model to the 8x8 digits and one to binarized_mnist (without data, to random
fields), exports both in every format, and prints a table: the file's size, its
ratio to the live weights in that format and to the float32 file, how the test NLL
changes, the leak, the time to the first sample and the time of 1, 16 and 256
samples, with the ratio to float32.
"""

import argparse
import csv
import pathlib
import tempfile

import keras
import numpy as np
from networks import binary_rows
from timing import interleaved, one_thread

import made_tf
from made_tf import data
from made_tf.export import LiteSampler, to_tflite

FORMATS = ("float32", "float16", "int8", "static_int8")
BATCHES = (1, 16, 256)
CALIBRATION_ROWS = 512


def fitted(name, train, hidden_units, epochs, dropout):
    keras.utils.set_random_seed(0)
    model = made_tf.MADE(train.shape[1], hidden_units, dropout=dropout, seed=0)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(train, batch_size=100, epochs=epochs, verbose=0)
    print(f"{name}: D = {train.shape[1]}, hidden {hidden_units}, {epochs} epochs", flush=True)
    return model


def tables(data_dir, smoke):
    """Yields (name, model, training rows, test rows)."""
    digits = data.load_digits()
    model = fitted("digits", digits.train, (200,), 1 if smoke else 60, 0.3)
    yield "digits", model, digits.train, digits.test
    if smoke:
        return
    rows = binary_rows(784, data_dir)
    test = rows[-2000:]
    if data_dir:
        with np.load(data_dir / "binary" / "binarized_mnist.npz") as arrays:
            test = arrays["test"].astype("float32")
    yield "784 pixels", fitted("784 pixels", rows, (500, 500), 12, 0.1), rows, test


def measure(model, train, test, folder, rounds):
    """Yields a dictionary for each format."""
    reports, devices = {}, {}
    for weights in FORMATS:
        path = folder / f"{weights}.tflite"
        calibration = train[:CALIBRATION_ROWS] if weights == "static_int8" else None
        reports[weights] = to_tflite(
            model, path, weights=weights, data=test, calibration=calibration
        )
        devices[weights] = LiteSampler(path, num_threads=1)
    times = {}
    for rows in BATCHES:
        functions = {
            weights: lambda device=device, rows=rows: device.sample(rows)
            for weights, device in devices.items()
            if "sample" in device.signatures
        }
        for weights, seconds in interleaved(functions, rounds).items():
            times[weights, rows] = 1e3 * min(seconds)
    for weights, report in reports.items():
        record = {
            "weights": weights,
            "bytes": report.size_bytes,
            "of live weights": report.size_bytes / report.live_weight_bytes,
            "of float32": report.size_bytes / reports["float32"].size_bytes,
            "NLL change": report.nll_change,
            "leak": report.leak,
            "load ms": report.load_ms,
        }
        for rows in BATCHES:
            record[f"ms for {rows}"] = times.get((weights, rows))
        yield record


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=pathlib.Path, help="folder with binary/*.npz")
    parser.add_argument("--output", type=pathlib.Path, help="a .csv file")
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes")
    arguments = parser.parse_args()
    one_thread()
    records = []
    for name, model, train, test in tables(arguments.data_dir, arguments.smoke):
        print(
            "| format | bytes | of live weights | of float32 | NLL change | leak | load ms |",
            end="",
        )
        print("".join(f" ms for {rows} |" for rows in BATCHES))
        with tempfile.TemporaryDirectory() as folder:
            for record in measure(
                model, train, test, pathlib.Path(folder), 1 if arguments.smoke else 7
            ):
                assert record["leak"] == 0
                records.append({"model": name, **record})
                cells = [
                    record["weights"],
                    f"{record['bytes']:,}",
                    f"{record['of live weights']:.2f}",
                    f"{record['of float32']:.3f}",
                    f"{record['NLL change']:+.4f}",
                    f"{record['leak']:g}",
                    *(shown(record[key]) for key in ("load ms", *(f"ms for {n}" for n in BATCHES))),
                ]
                print(f"| {' | '.join(cells)} |", flush=True)
    if arguments.output:
        with open(arguments.output, "w", newline="") as file:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)


def shown(value):
    return "" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    main()
