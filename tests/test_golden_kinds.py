"""Files of an earlier version, one of each kind of model: they open, and answer as they did."""

import pathlib

import keras
import numpy as np
import pytest

from made_tf import EnsembleDistribution, MADEDistribution
from made_tf.export.runtime import LiteSampler

FOLDER = pathlib.Path(__file__).parent / "golden" / "kinds"
HOST = sorted(FOLDER.glob("*.keras"))
DEVICE = sorted(FOLDER.glob("*.tflite"))
SEED = 7  # of all that was drawn


def answers(path):
    with np.load(f"{path}.npz") as stored:
        return dict(stored)


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def assert_same_rows(found, expected):
    """Bits and classes must be equal, real numbers within rounding."""
    whole = np.array_equal(expected, np.rint(expected))
    (np.testing.assert_array_equal if whole else assert_close)(np.asarray(found), expected)


def test_there_are_golden_files():
    assert len(HOST) >= 12 and len(DEVICE) >= 4


@pytest.mark.parametrize("path", HOST, ids=lambda path: path.stem)
def test_a_model_answers_as_when_it_was_saved(path):
    expected = answers(path)
    model = keras.saving.load_model(path)
    of_model = EnsembleDistribution if "ensemble" in path.stem else MADEDistribution
    dist = of_model(model)
    x = expected["x"]
    assert_close(model.log_prob(x), expected["log_prob"])
    assert_close(dist.log_prob(x), expected["log_prob"])
    assert_same_rows(dist.sample(len(expected["sample"]), seed=SEED), expected["sample"])
    if "spread" in expected:
        for name, values in model.order_statistics(x)._asdict().items():
            assert_close(values, expected[name])
    if "gaps" in expected:
        assert_same_rows(dist.impute(expected["gaps"], seed=SEED), expected["filled"])


@pytest.mark.parametrize("path", DEVICE, ids=lambda path: path.stem)
def test_an_exported_file_answers_as_when_it_was_written(path):
    expected = answers(path)
    device = LiteSampler(path)
    x = expected["x"]
    assert_close(device.log_prob(x), expected["log_prob"])
    assert_same_rows(device.sample(len(expected["sample"]), seed=SEED), expected["sample"])
    found = {f"conditionals.{name}": values for name, values in device.conditionals(x).items()}
    assert set(found) == {name for name in expected if name.startswith("conditionals.")}
    for name, values in found.items():
        assert_close(values, expected[name])
    assert ("gaps" in expected) == ("any-order" in path.stem)
    if "gaps" in expected:
        assert_same_rows(device.impute(expected["gaps"], seed=SEED), expected["filled"])
