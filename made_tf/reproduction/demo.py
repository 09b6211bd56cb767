"""The whole path on one small data set: data, fit, density, samples, device.

What `made-tf demo` runs. It needs no download.
"""

from __future__ import annotations

import contextlib
import json
import math
import shlex
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from made_tf import data, plotting
from made_tf.models.made import MADE
from made_tf.portable.files import PathLike, replacing
from made_tf.training.fitting import fit_resumably

__all__ = ["bernoulli_mixture", "independent_bernoulli", "run_demo"]

FloatArray = npt.NDArray[np.floating]

_NUM_SAMPLES = 10_000
_COMPONENTS = (5, 10, 20, 40, 80)
_PSEUDO_COUNT = 0.1
_BATCH_SIZES = (1, 16)  # rows that the page of `made-tf serve` draws at once
_FILES = ("model.keras", "made.tflite", "samples.png", "history.csv", "report.json")


def run_demo(
    output: PathLike,
    seed: int = 0,
    epochs: int = 200,
    echo: Callable[[str], Any] = print,
    quiet: Callable[[], AbstractContextManager] = contextlib.nullcontext,
) -> dict[str, Any]:
    """Fits MADE to binarized 8x8 digits and takes it all the way to a device.

    Sets Keras' global seed.

    Args:
        output: the folder for `model.keras`, `made.tflite`, `samples.png`,
            `history.csv` and `report.json`; made if it is not there.
        seed: seed of the split, the weights, the shuffles and the samples.
        epochs: the largest number of epochs.
        echo: prints one line.
        quiet: a context around what writes to stderr by itself.

    Returns:
        The content of `report.json`.

    Raises:
        ModuleNotFoundError: if scikit-learn or Matplotlib is not installed.
        OSError: if the folder cannot be written.
        made_tf.export.ExportError: if the exported file is found wanting.
    """
    started = time.perf_counter()
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    splits = data.load_digits(seed)
    echo(
        f"Digits, 8x8 pixels, black or white: {len(splits.train)} to learn from, "
        f"{len(splits.test)} to test on."
    )

    model = _fit(splits, output, seed, epochs)
    test_nll = _compare(model, splits, seed)
    for name, nll in test_nll.items():
        echo(f"  test NLL {nll:7.3f} nats  {name}")

    echo(f"Drawing {_NUM_SAMPLES:,} digits on the host, exporting, drawing them on the device ...")
    with quiet():
        from made_tf.distributions.made import MADEDistribution
        from made_tf.export import LiteSampler, to_tflite

        host = MADEDistribution(model).sample(_NUM_SAMPLES, seed=seed).numpy()
        exported = to_tflite(
            model,
            output / "made.tflite",
            batch_sizes=_BATCH_SIZES,
            image_shape=(8, 8),
            card=_card(splits, test_nll["MADE"], seed),
        )
        device = LiteSampler(output / "made.tflite").sample(_NUM_SAMPLES, seed=seed)
    different = int((host != device).any(axis=1).sum())
    echo(str(exported))
    echo(
        f"Host and device agree bit for bit in all {_NUM_SAMPLES:,} samples."
        if different == 0
        else f"Host and device differ in {different:,} of {_NUM_SAMPLES:,} samples."
    )
    groups = {"data": splits.test, "drawn on the host": host, "drawn on the device": device}
    plotting.save(plotting.plot_images(groups, (8, 8)), output / "samples.png")
    report = {
        "seed": seed,
        "test_nll_nats": test_nll,
        "samples": _NUM_SAMPLES,
        "samples_different_on_device": different,
        "export": exported.to_dict(),
        "seconds": round(time.perf_counter() - started, 1),
    }
    with replacing(output / "report.json") as path:
        path.write_text(json.dumps(report, indent=1))
    echo(f"{report['seconds']:.0f} s. Results: {', '.join(_FILES)} in {output}")
    command = shlex.join(["made-tf", "serve", str(output / "made.tflite")])
    echo(f"Draw digits in your browser: {command}")
    return report


def _fit(splits: data.Splits, output: Path, seed: int, epochs: int) -> MADE:
    def make_model():
        keras.utils.set_random_seed(seed)
        model = MADE(splits.train.shape[1], hidden_units=(500,), dropout=0.5, seed=seed)
        model.compile(keras.optimizers.Adam(3e-3))
        return model

    model, _ = fit_resumably(
        make_model,
        splits.train,
        splits.valid,
        output / "model.keras",
        epochs=epochs,
        batch_size=100,
        patience=20,
        seed=seed,
        restart=True,
        on_end=lambda state: data.save_history(output / "history.csv", state.history),
        progress=True,
    )
    return model


def _card(splits: data.Splits, test_nll: float, seed: int) -> dict[str, Any]:
    """Returns what the exported file says of itself."""
    return {
        "data": (
            f"{len(splits.train)} of the 8x8 handwritten digits of scikit-learn (UCI optical "
            f"recognition of handwritten digits), pixels black or white, split with seed {seed}"
        ),
        "metrics": {f"NLL of {len(splits.test)} test digits, in nats": round(test_nll, 3)},
        "intended_use": "trying made_tf: drawing, scoring and completing small pictures of digits",
        "limitations": "learned in a minute from a small set; reads no handwriting",
    }


def _compare(model: MADE, splits: data.Splits, seed: int) -> dict[str, float]:
    mixture, components = bernoulli_mixture(splits.train, splits.valid, splits.test, seed=seed)
    return {
        "independent Bernoulli pixels": independent_bernoulli(splits.train, splits.test),
        f"mixture of {components} Bernoullis (EM)": mixture,
        "MADE": float(-np.mean(model.log_prob(splits.test))),
    }


def independent_bernoulli(train: FloatArray, x: FloatArray) -> float:
    """Returns the mean NLL of `x` under independent variables fitted to `train`.

    Laplace smoothing: each value is counted once more than it occurs.

    Args:
        train: 0/1 rows `[N, D]`.
        x: 0/1 rows `[M, D]`.

    Returns:
        Nats per row.
    """
    p = (train.sum(axis=0) + 1) / (len(train) + 2)
    return float(-(x @ np.log(p) + (1 - x) @ np.log1p(-p)).mean())


def bernoulli_mixture(
    train: FloatArray,
    valid: FloatArray,
    x: FloatArray,
    components: tuple[int, ...] = _COMPONENTS,
    seed: int = 0,
) -> tuple[float, int]:
    """Returns the mean NLL of `x` under a mixture of Bernoullis, and its size.

    Fitted by expectation maximisation, each value counted `_PSEUDO_COUNT` times
    more than it occurs in a component; the number of components and of
    iterations are those that are best on `valid`.

    Args:
        train: 0/1 rows `[N, D]`.
        valid: 0/1 rows that choose.
        x: 0/1 rows `[M, D]`.
        components: the numbers of components to try.
        seed: seed of the starting points.

    Returns:
        Nats per row, and the chosen number of components.
    """
    train, valid, x = (np.asarray(rows, np.float64) for rows in (train, valid, x))
    best = (math.inf, math.inf, 0)
    for count in components:
        rng = np.random.default_rng([seed, count])
        weights = rng.dirichlet(np.ones(count), size=len(train))  # responsibilities [N, K]
        for _ in range(100):
            mass = weights.sum(axis=0)
            p = (weights.T @ train + _PSEUDO_COUNT) / (mass[:, None] + 2 * _PSEUDO_COUNT)  # [K, D]
            log_mix = np.log((mass + 1) / (len(train) + count))
            joint = _log_joint(train, p, log_mix)
            weights = np.exp(joint - joint.max(axis=1, keepdims=True))
            weights /= weights.sum(axis=1, keepdims=True)
            on_valid = -_log_sum_exp(_log_joint(valid, p, log_mix)).mean()
            if on_valid < best[0]:
                best = (on_valid, -_log_sum_exp(_log_joint(x, p, log_mix)).mean(), count)
    return float(best[1]), best[2]


def _log_joint(x: FloatArray, p: FloatArray, log_mix: FloatArray) -> FloatArray:
    off = np.log1p(-p)
    return x @ (np.log(p) - off).T + (off.sum(axis=1) + log_mix)  # [N, D] -> [N, K]


def _log_sum_exp(values: FloatArray) -> FloatArray:
    largest = values.max(axis=1, keepdims=True)
    return largest + np.log(np.exp(values - largest).sum(axis=1, keepdims=True))
