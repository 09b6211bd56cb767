"""Rows, and models of several kinds that the command trained: once for all tests of commands."""

import functools
import importlib

import numpy as np
import pytest
from command_line import TINY, make_rows, run


@pytest.fixture(scope="session", autouse=True)
def opened_once():
    """Opens a model once as long as its file stays the same: what was traced serves all."""
    from made_tf.cli import opening

    load, make = opening.load_keras, opening.distribution_of
    load_at = functools.lru_cache(8)(lambda path, or_ensemble, *_: load(path, or_ensemble))
    make_once = functools.lru_cache(8)(make)

    def load_keras(path, or_ensemble=False):
        if not path.exists():
            return load(path, or_ensemble)
        file = path.stat()
        return load_at(path, or_ensemble, file.st_mtime_ns, file.st_ino, file.st_size)

    def distribution_of(path, model, num_orders=None, num_particles=1000, context=None):
        if context is not None:
            return make(path, model, num_orders, num_particles, context)
        return make_once(path, model, num_orders, num_particles)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("opening", "evaluate", "export", "impute", "inspect", "sample"):
            module = importlib.import_module(f"made_tf.cli.{name}")
            for function in (load_keras, distribution_of):
                if hasattr(module, function.__name__):
                    patch.setattr(module, function.__name__, function)
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="session")
def rows(folder):
    path = folder / "rows.npz"
    np.savez(path, train=make_rows(500, 0), valid=make_rows(100, 1), test=make_rows(200, 2))
    return path


@pytest.fixture(scope="session")
def trained(folder, rows):
    path = folder / "model.keras"
    history = folder / "history.csv"
    return run("train", rows, "-o", path, "--history", history, *TINY), path, history


@pytest.fixture(scope="session")
def model(trained):
    return trained[1]


@pytest.fixture(scope="session")
def exported(folder, model):
    path = folder / "made.tflite"
    return run("export", model, "-o", path), path


@pytest.fixture(scope="session")
def tflite(exported):
    return exported[1]


@pytest.fixture(scope="session")
def any_order(folder, rows):
    path = folder / "any_order.keras"
    run("train", rows, "-o", path, "--num-masks", "fresh", "--num-orders", 3, *TINY)
    return path
