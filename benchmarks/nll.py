"""Test NLL of `made-tf train` and `made-tf evaluate` with default options.

    python benchmarks/nll.py --data-dir DIR [NAME ...]

Runs the two commands on each data set as a user would, and prints the figures
beside independent variables (Laplace-smoothed frequencies) in the same run.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from made_tf.demo import independent_bernoulli

NAMES = ("adult", "mushrooms", "nltcs", "plants")


def command_line(*args):
    command = [pathlib.Path(sys.executable).with_name("made-tf"), *map(str, args)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=NAMES)
    parser.add_argument("--data-dir", type=pathlib.Path, help="folder with binary/*.npz")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="one epoch on made-up rows")
    args = parser.parse_args()
    if not args.smoke and args.data_dir is None:
        parser.error("--data-dir is needed (or --smoke)")
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        options = ["--seed", args.seed]
        if args.smoke:
            (work / "binary").mkdir()
            rows = np.random.default_rng(0).integers(0, 2, (300, 6)).astype("uint8")
            np.savez(work / "binary" / "smoke.npz", train=rows[:200], valid=rows[200:], test=rows)
            args.data_dir, args.names = work, ["smoke"]
            options += ["--epochs", 1]
        print(f"{'set':12s} {'test NLL':>9s} {'s.e.':>6s} {'independent':>12s} {'seconds':>8s}")
        for name in args.names:
            data = args.data_dir / "binary" / f"{name}.npz"
            model = work / f"{name}.keras"
            started = time.perf_counter()
            command_line("train", data, "--output", model, *options)
            seconds = time.perf_counter() - started
            found = json.loads(command_line("evaluate", model, data, "--split", "test", "--json"))
            with np.load(data) as splits:
                baseline = independent_bernoulli(splits["train"], splits["test"])
            print(
                f"{name:12s} {found['nll']:9.3f} {found['nll_standard_error']:6.3f} "
                f"{baseline:12.3f} {seconds:8.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
