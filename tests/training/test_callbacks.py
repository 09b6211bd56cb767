"""What keeps the best model, stops early and notices divergence."""

import os

import keras
import numpy as np
import pytest

import made_tf
from made_tf.training import callbacks, runs


def make_model():
    keras.utils.set_random_seed(0)
    model = made_tf.MADE(4, hidden_units=(8,), dropout=0.5, seed=0)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    return model


def keeper(tmp_path, **kwargs):
    callback = callbacks.ResumableTraining(tmp_path / "m.keras", tmp_path / "run", **kwargs)
    callback.set_model(make_model())
    callback.on_train_begin()
    return callback


def test_early_stopping(tmp_path):
    callback = keeper(tmp_path, patience=2)
    stopped = []
    for epoch, value in enumerate([3.0, 2.0, 2.5, 1.0, 1.0, 1.5]):
        callback.on_epoch_end(epoch, {"val_nll": value})
        stopped.append(getattr(callback.model, "stop_training", False))
    assert stopped == [False, False, False, False, False, True]  # an equal value is no better
    state = callback.state
    assert (state.best, state.best_epoch, state.wait, state.epoch) == (1.0, 4, 2, 6)
    assert sorted(os.listdir(tmp_path / "run")) == ["epoch-0006.keras", "state.json"]
    assert runs.read_state(tmp_path / "run") == state


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_divergence_is_an_error(tmp_path, value):
    callback = keeper(tmp_path)
    with pytest.raises(FloatingPointError, match=r"val_nll is (nan|inf) after epoch 1.*diverged"):
        callback.on_epoch_end(0, {"val_nll": value})
    assert os.listdir(tmp_path / "run") == []


def test_unknown_monitor(tmp_path):
    with pytest.raises(ValueError, match=r"`monitor` must be one of \['nll'\]"):
        keeper(tmp_path).on_epoch_end(0, {"nll": 1.0})
