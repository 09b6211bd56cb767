r"""Two devices against one, and what happens when one of two processes is killed.

    KERAS_BACKEND=jax python benchmarks/data_parallel.py
    KERAS_BACKEND=jax python benchmarks/data_parallel.py --kill

The first trains the same models on one device, on two virtual devices of one process and in two
processes over loopback, for 100 steps, and prints how far the losses of a step differ at most. The
rows do not divide by the batch, nor the last batch by two.

The second starts `made-tf train` in two processes, kills the second one (and then, in another run,
the first one) without warning, prints how long the other one takes to fail, starts both again, and
compares the validation NLL of all looks with that of a run on one device that nobody disturbed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np

KINDS = {
    "plain": {},
    "fresh masks": {"num_masks": None},
    "fresh masks for each row": {"num_masks": None, "masks_per": "row"},
    "dropout": {"dropout": 0.3, "input_dropout": 0.1},
    "evidence": {"num_masks": None, "resample": "evidence", "mask_weights": True},
}
COMMAND = "import sys; sys.argv[0] = 'made-tf'; from made_tf.cli import main; main()"


def make_rows(count: int) -> np.ndarray:
    """Returns pairs of bits that mostly agree, uint8 `[count, 20]`."""
    rng = np.random.default_rng(0)
    rows = (rng.random((count, 20)) < 0.3).astype("uint8")
    rows[:, 1::2] ^= rows[:, ::2]
    return rows


def losses(steps: int) -> dict[str, list[float]]:
    """Trains each kind of model on the devices that there are; returns the loss of each step."""
    import keras

    import made_tf
    from made_tf.training import ShuffledRows, data_parallel
    from made_tf.training.shuffled_rows import SeededEpochs

    rows, found = make_rows(1001), {}
    for kind, arguments in KINDS.items():
        with data_parallel():
            keras.utils.set_random_seed(0)
            model = made_tf.MADE(20, hidden_units=(64, 64), seed=0, **arguments)
            model.compile(keras.optimizers.Adam())
            batches = ShuffledRows(rows, 50, steps=1)  # an epoch each, so that its loss is told
            history = model.fit(
                batches,
                epochs=steps,
                shuffle=False,
                verbose=0,
                callbacks=[SeededEpochs(batches)],
            )
        found[kind] = history.history["loss"]
    return found


def environments(processes: int, devices: int) -> list[dict[str, str]]:
    """Returns the variables of each of several processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    shared = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    if processes == 1:
        return [shared]
    shared["KERAS_DISTRIBUTION_JOB_ADDRESSES"] = address
    shared["KERAS_DISTRIBUTION_NUM_PROCESSES"] = str(processes)
    return [{**shared, "KERAS_DISTRIBUTION_PROCESS_ID": str(n)} for n in range(processes)]


def start(
    command: list[str], processes: int, devices: int, folder: pathlib.Path
) -> list[subprocess.Popen]:
    """Starts a command in several processes; what they write goes to files in the folder."""
    found = []
    for number, variables in enumerate(environments(processes, devices)):
        with open(folder / f"{number}.out", "w") as out, open(folder / f"{number}.err", "w") as err:
            found.append(
                subprocess.Popen([sys.executable, *command], env=variables, stdout=out, stderr=err)
            )
    return found


def compare(steps: int, folder: pathlib.Path) -> None:
    """Prints the largest difference of a step's loss from that of one device."""
    found = {}
    for processes, devices in ((1, 1), (1, 2), (2, 1)):
        running = start([__file__, "--losses", str(steps)], processes, devices, folder)
        if any(process.wait() for process in running):
            raise SystemExit((folder / "0.err").read_text())
        found[processes, devices] = json.loads((folder / "0.out").read_text().splitlines()[-1])
    print(f"largest difference of a loss in {steps} steps, in nats and as a part of the loss")
    for kind, alone in found[1, 1].items():
        told = []
        for key, name in (((1, 2), "two devices"), ((2, 1), "two processes")):
            off = np.abs(np.subtract(found[key][kind], alone))
            told.append(f"{name} {off.max():.1e} ({(off / alone).max():.1e})")
        print(f"{kind:25} {', '.join(told)}, of {min(alone):.1f} to {max(alone):.1f} nats")


def kill(looks: int, folder: pathlib.Path) -> None:
    """Kills one of two processes that train, and starts both again."""
    np.savez(folder / "rows.npz", x=make_rows(3003))
    alone = train(folder, "alone", looks, 1)
    if any(process.wait() for process in alone):
        raise SystemExit((folder / "0.err").read_text())
    for victim in (1, 0):
        name = f"killed-{victim}"
        running = train(folder, name, looks, 2)
        state = folder / f"{name}.keras.parts" / "member-0.keras.run" / "state.json"
        while not state.exists():
            time.sleep(0.1)
            if any(process.poll() is not None for process in running):
                raise SystemExit((folder / "0.err").read_text())
        running[victim].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        other = running[1 - victim]
        log = folder / f"{1 - victim}.err"
        while other.poll() is None and "Error: " not in log.read_text():
            time.sleep(0.1)
        told = time.monotonic() - killed
        code, ended = other.wait(), time.monotonic() - killed
        lines = re.findall(r"Error: [^\n]*|Terminating process[^;\n]*", log.read_text())
        print(
            f"process {victim} killed: the other one fails after {told:.1f} s and has ended, with"
        )
        print(f"  code {code}, after {ended:.1f} s: {lines[0][:150] if lines else 'no word'}")
        saved = json.loads(state.read_text())["epoch"]
        if any(process.wait() for process in train(folder, name, looks, 2)):
            raise SystemExit((folder / "0.err").read_text())
        bar = re.search(r"(\d+)/\d+ \[", (folder / "0.err").read_text())
        print(f"  started again: goes on after look {bar and bar[1]} (saved: {saved}) of {looks};")
        ours, undisturbed = (nlls(folder / f"{each}.csv") for each in (name, "alone"))
        difference = np.abs(np.subtract(ours, undisturbed)).max()
        print(f"  largest difference from an undisturbed run on one device: {difference:.1e} nats")


def train(folder: pathlib.Path, name: str, looks: int, processes: int) -> list[subprocess.Popen]:
    """Starts `made-tf train` in several processes."""
    files = ["-o", str(folder / f"{name}.keras"), "--history", str(folder / f"{name}.csv")]
    model = ["--hidden-units", "64,64", "--dropout", "0.2", "--num-masks", "fresh"]
    options = ["--recipe", "single", *model, "--epochs", str(looks), "--patience", str(looks)]
    command = ["-c", COMMAND, "train", str(folder / "rows.npz"), *files, *options]
    return start(command, processes, 1, folder)


def nlls(path: pathlib.Path) -> list[float]:
    """Returns the validation NLL of each look."""
    with open(path) as file:
        return [float(row["val_nll"]) for row in csv.DictReader(file)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kill", action="store_true", help="kill one of two processes")
    parser.add_argument("--losses", type=int, metavar="STEPS", help="what each process does")
    parser.add_argument("--smoke", action="store_true", help="few steps")
    arguments = parser.parse_args()
    if arguments.losses:
        print(json.dumps(losses(arguments.losses)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.kill:
            kill(20 if arguments.smoke else 60, pathlib.Path(folder))
        else:
            compare(3 if arguments.smoke else 100, pathlib.Path(folder))


if __name__ == "__main__":
    main()
