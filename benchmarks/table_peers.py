"""Rows of a table drawn by a library of others, for `drawn_tables.py`: CSV in, CSV out.

    sdv/bin/python benchmarks/table_peers.py --peer copula --folder ROWS/census

Learns from `train.csv` in the folder and writes as many rows to `PEER.csv` beside it. Runs in the
peer's environment, which needs nothing of this project. One for SDV, one for TabularARGN:

    python -m venv sdv && sdv/bin/pip install sdv==2.0.0 ctgan==0.12.1 torch==2.13.0
    python -m venv argn && argn/bin/pip install mostlyai-engine==2.7.3 torch==2.13.0

(Where torch is one without CUDA, `argn/bin/pip uninstall torchvision torchaudio`: those beside it
are built for CUDA, and tables need neither.)

| peer | what it is |
| --- | --- |
| copula | SDV's `GaussianCopulaSynthesizer` |
| ctgan | SDV's `CTGANSynthesizer`, for `--epochs` |
| argn | mostlyai-engine's `TabularARGN` |
| argn-unprotected | the same with `value_protection=False`: rare values are drawn, too |

Everything else is as the libraries have it by default. SDV draws with a seed of its own.
"""

from __future__ import annotations

import argparse
import pathlib
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

#: Fits something to a frame and returns what draws so many rows.
Fit = Callable[[pd.DataFrame, int, int], Callable[[int], pd.DataFrame]]


def copula(train: pd.DataFrame, seed: int, epochs: int) -> Callable[[int], pd.DataFrame]:
    from sdv.single_table import GaussianCopulaSynthesizer

    return _of_sdv(GaussianCopulaSynthesizer(_metadata(train)), train)


def ctgan(train: pd.DataFrame, seed: int, epochs: int) -> Callable[[int], pd.DataFrame]:
    import torch
    from sdv.single_table import CTGANSynthesizer

    torch.manual_seed(seed)
    return _of_sdv(
        CTGANSynthesizer(_metadata(train), epochs=epochs, enable_gpu=False, verbose=True), train
    )


def _of_sdv(model, train: pd.DataFrame) -> Callable[[int], pd.DataFrame]:
    model.fit({"table": train})
    return lambda count: model.sample(count)["table"]


def _metadata(train: pd.DataFrame):
    """Returns what the columns are: numbers or classes, as the CSV has them."""
    from sdv.metadata import Metadata

    numeric = {name: pd.api.types.is_numeric_dtype(train[name].dtype) for name in train}
    columns = {
        name: {"sdtype": "numerical" if own else "categorical"} for name, own in numeric.items()
    }
    return Metadata.load_from_dict({"tables": {"table": {"columns": columns}}})


def argn(train: pd.DataFrame, seed: int, epochs: int) -> Callable[[int], pd.DataFrame]:
    return _argn(train, seed, value_protection=True)


def argn_unprotected(train: pd.DataFrame, seed: int, epochs: int) -> Callable[[int], pd.DataFrame]:
    return _argn(train, seed, value_protection=False)


def _argn(train: pd.DataFrame, seed: int, **settings) -> Callable[[int], pd.DataFrame]:
    from mostlyai.engine import TabularARGN

    model = TabularARGN(random_state=seed, device="cpu", **settings).fit(train)
    return lambda count: model.sample(n_samples=count)


def rows_again(train: pd.DataFrame, seed: int, epochs: int) -> Callable[[int], pd.DataFrame]:
    """Draws rows to learn from, for smoke tests."""
    return lambda count: train.sample(count, replace=True, random_state=seed)


PEERS: dict[str, Fit] = {
    "copula": copula,
    "ctgan": ctgan,
    "argn": argn,
    "argn-unprotected": argn_unprotected,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", choices=PEERS)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=300, help="of CTGAN")
    parser.add_argument("--smoke", action="store_true", help="no peer, made-up rows, no file")
    options = parser.parse_args()
    if options.smoke:
        fit, train = rows_again, pd.DataFrame({"x": np.arange(20.0)})
    else:
        fit, train = PEERS[options.peer], pd.read_csv(options.folder / "train.csv")
    np.random.seed(options.seed)  # noqa: NPY002 - what SDV draws with
    warnings.filterwarnings("ignore")
    started, used = time.perf_counter(), time.process_time()
    draw = fit(train, options.seed, options.epochs)
    fitted, used_to_fit = time.perf_counter(), time.process_time()
    drawn = draw(len(train))
    print(
        f"{options.peer or 'smoke'}: {len(train)} rows learned in {fitted - started:.0f} s "
        f"({used_to_fit - used:.0f} CPU s), as many drawn in {time.perf_counter() - fitted:.1f} s "
        f"({time.process_time() - used_to_fit:.1f} CPU s)"
    )
    if not options.smoke:
        drawn[list(train)].to_csv(options.folder / f"{options.peer}.csv", index=False)


if __name__ == "__main__":
    main()
