"""Rows, and models of several kinds that the command trained: once for all tests of commands."""

import numpy as np
import pytest
from command_line import TINY, make_rows, run


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
