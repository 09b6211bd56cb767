"""Averaged weights: what validation sees and the best file holds."""

import keras
import numpy as np
import pytest

from made_tf import MADE
from made_tf.reproduction.benchmark_sets import make_smoke_set
from made_tf.training.averaging import AveragedWeights
from made_tf.training.fitting import fit_resumably
from made_tf.training.runs import load_run, run_directory


def compiled():
    keras.utils.set_random_seed(0)
    model = MADE(8, (16,), dropout=0.2, input_dropout=0.1, seed=0)
    model.compile(keras.optimizers.Adam(0.01))
    return model


def weights(model):
    return [np.array(variable) for variable in model.trainable_variables]


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.ends = []

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(weights(self.model))


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_average_is_that_of_the_weights_at_each_validation(decay):
    splits, model = make_smoke_set(), compiled()
    model.run_eagerly = True  # a graph takes longer to make
    average, recorder = AveragedWeights(model, decay), Recorder()
    history = model.fit(
        splits.train,
        validation_data=splits.valid,
        batch_size=200,
        epochs=5,
        verbose=0,
        callbacks=[average, recorder],
    ).history
    expected = recorder.ends[0]
    for count, now in enumerate(recorder.ends[1:], start=1):
        kept = min(decay, count / (count + 1))
        expected = [kept * old + (1 - kept) * new for old, new in zip(expected, now, strict=True)]
    for ours, theirs in zip(average.values, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(weights(model), recorder.ends[-1], strict=True):
        np.testing.assert_array_equal(ours, theirs)  # training goes on with its own
    with average.in_model():
        nll = -np.mean(model.log_prob(splits.valid))
    assert nll == pytest.approx(history["val_nll"][-1], abs=1e-4)
    assert nll != pytest.approx(-np.mean(model.log_prob(splits.valid)), abs=1e-4) or decay == 0


def test_bad_decays_are_refused():
    for decay in (1.0, -0.1):
        with pytest.raises(ValueError, match=r"`decay` must be a number in \[0, 1\)"):
            AveragedWeights(compiled(), decay)


def fitted(path, **kwargs):
    splits = make_smoke_set()
    return fit_resumably(
        compiled,
        splits.train,
        splits.valid,
        path,
        epochs=6,
        patience=6,
        steps=5,
        average_steps=20,
        **kwargs,
    )


class StopError(Exception):
    pass


class StopAt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.at = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.at:
            raise StopError


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    with pytest.raises(StopError):
        fitted(tmp_path / "cut.keras", callbacks=[StopAt(3)])
    assert load_run(run_directory(tmp_path / "cut.keras"))[0].epoch == 4
    resumed, again = fitted(tmp_path / "cut.keras")
    valid = make_smoke_set().valid
    for save_seconds in (0, 1e6):
        whole, state = fitted(tmp_path / f"{save_seconds}.keras", save_seconds=save_seconds)
        assert len(again.history) == len(state.history) == 6
        for ours, theirs in zip(again.history, state.history, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-5)
        for ours, theirs in zip(weights(resumed), weights(whole), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
        assert -np.mean(resumed.log_prob(valid)) == pytest.approx(state.best, abs=1e-5)
    assert not run_directory(tmp_path / "cut.keras").exists()


def test_an_unreadable_average_is_told(tmp_path):
    with pytest.raises(StopError):
        fitted(tmp_path / "cut.keras", callbacks=[StopAt(2)])
    (path,) = run_directory(tmp_path / "cut.keras").glob("epoch-*.npz")
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match="averaged weights of an unfinished run, is not readable"):
        fitted(tmp_path / "cut.keras")


def test_short_epochs_are_not_saved_one_by_one(tmp_path):
    saved = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            saved.append(sorted(p.name for p in run_directory(tmp_path / "m.keras").glob("e*")))

    fitted(tmp_path / "m.keras", save_seconds=1e6, callbacks=[Look()])
    assert saved[:-1] == [[]] * 5 and saved[-1] == ["epoch-0006.keras", "epoch-0006.npz"]
