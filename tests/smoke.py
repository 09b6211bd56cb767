"""Fits, draws, exports and opens, in an environment of its own: `python tests/smoke.py FOLDER`.

For the oldest versions that pyproject.toml allows, where the tests' own tools are not to be had.
"""

import importlib.metadata
import pathlib
import sys

import example_tables
import keras
import numpy as np

import made_tf
from made_tf.export.runtime import LiteSampler


def numbers(folder):
    """A model of bits, and its files."""
    x = (np.random.default_rng(0).random((200, 6)) < 0.4).astype("float32")
    model = made_tf.MADE(6, (16,), num_masks=None, seed=0)
    model.compile("adam")
    model.fit(x[:150], validation_data=x[150:], epochs=1, verbose=0)
    dist = made_tf.MADEDistribution(model)
    rows = dist.sample(16, seed=7).numpy()
    model.save(folder / "model.keras")
    opened = keras.saving.load_model(folder / "model.keras")
    np.testing.assert_allclose(opened.log_prob(rows), dist.log_prob(rows), rtol=1e-5)
    made_tf.export.to_tflite(model, folder / "made.tflite", weights="int8")
    made_tf.export.to_tflite(model, folder / "float.tflite")
    np.testing.assert_array_equal(LiteSampler(folder / "float.tflite").sample(16, seed=7), rows)


def tables(folder):
    """A model of a table, and its files."""
    model, frame = example_tables.fitted_grades(), example_tables.grades()
    drawn = model.sample(5, seed=1)
    assert list(drawn) == list(frame) and (drawn.dtypes == frame.dtypes).all()
    assert not model.impute(frame.drop(columns="level"), seed=1)["level"].isna().any()
    model.save(folder / "table.keras")
    made_tf.TableModel.load(folder / "table.keras").to_tflite(folder / "table.tflite")
    assert set(made_tf.export.LiteTable(folder / "table.tflite").sample(3, seed=1)) == set(frame)


if __name__ == "__main__":
    place = pathlib.Path(sys.argv[1])
    numbers(place)
    tables(place)
    named = ("keras", "tensorflow", "numpy", "ai-edge-litert", "pandas", "narwhals")
    print(*(f"{name} {importlib.metadata.version(name)}" for name in named), sep=", ")
