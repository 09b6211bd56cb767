"""Exported files of this version and of earlier ones stay readable, and answer the same."""

import json

import numpy as np
import pytest
import reference

from made_tf import export

FILES = sorted((reference.GOLDEN / "tflite").glob("*.tflite"))


def test_there_are_golden_files():
    assert len(FILES) >= 4


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_golden_file_answers_as_when_it_was_written(path):
    expected = json.loads(path.with_suffix(".json").read_text())
    device = export.LiteSampler(path)
    assert device.event_size == expected["event_size"]
    exact = "numbers" not in path.stem
    rows = device.sample(len(expected["rows"]), seed=expected["seed"])
    np.testing.assert_allclose(rows, expected["rows"], rtol=0 if exact else 1e-5)
    given = np.array(expected["rows"], np.float32)
    np.testing.assert_allclose(device.log_prob(given), expected["log_prob"], atol=1e-5)
    found = device.conditionals(given[:2])
    assert set(found) == set(expected["conditionals"])
    for name, values in expected["conditionals"].items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)
    if "gaps" in expected:
        gaps = np.array(expected["gaps"], np.float32)  # None becomes NaN
        np.testing.assert_array_equal(device.impute(gaps, seed=5), expected["filled"])


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_golden_file_says_what_it_is(path):
    metadata = export.inspect_tflite(path)["metadata"]
    assert metadata["format"] == 1 and metadata["version"] == path.stem.split("-")[0]
    if "classes" in path.stem:
        assert [variable["name"] for variable in metadata["variables"]] == [
            *("colour", "size", "shape", "price")
        ]
        assert metadata["licence"] == "CC0-1.0" and metadata["weights"] == "int8"
