"""Files: `.keras`, weights, SavedModel, and what callbacks write."""

import json
import pickle
import zipfile

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from command_line import fails

from made_tf import MADE, Ensemble
from made_tf.models.stored_sizes import check_stored_sizes

GOLDEN = sorted(reference.GOLDEN.glob("made-*.keras"))


def fitted(name="bernoulli", epochs=1, run_eagerly=True, **kwargs):
    """A trained model, and its rows; a graph takes long to make."""
    model = reference.small_model(name, **kwargs)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=run_eagerly)
    x = reference.rows(model.conditionals, 32, model.event_size)
    model.fit(x, epochs=epochs, verbose=0, shuffle=False)
    return model, x


@pytest.mark.parametrize(
    ("name", "order"),
    [(name, "random") for name in reference.FAMILIES]
    + [("ragged", "natural"), ("bernoulli", [4, 5, 1, 3, 2])],
)
def test_a_model_opens_as_it_was_saved_and_goes_on(name, order, tmp_path):
    model, x = fitted(
        name,
        run_eagerly=isinstance(order, str),
        input_order=order,
        hidden_degrees="random",
        hidden_units=(30, 30),
        seed=None,
    )
    model.save(tmp_path / "a.keras")
    again = keras.models.load_model(tmp_path / "a.keras", safe_mode=True)
    assert type(again) is MADE
    assert again.get_config() == model.get_config()
    np.testing.assert_array_equal(again.log_prob(x), model.log_prob(x))
    # The compiled state came along: both go on alike.
    again.run_eagerly = model.run_eagerly
    state = zip(model.optimizer.variables, again.optimizer.variables, strict=True)
    for first, second in state:
        np.testing.assert_array_equal(first, second)
    histories = [m.fit(x, epochs=2, verbose=0, shuffle=False).history for m in (model, again)]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-5)
    # And saving what was opened gives the same model once more.
    again.save(tmp_path / "b.keras")
    third = keras.models.load_model(tmp_path / "b.keras", safe_mode=True)
    np.testing.assert_array_equal(third.log_prob(x), again.log_prob(x))


def test_the_file_holds_no_pickle_and_no_lambda(tmp_path):
    model, _ = fitted()
    model.save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert sorted(archive.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
        config = archive.read("config.json").decode()
        for name in archive.namelist():
            with pytest.raises(pickle.UnpicklingError):
                pickle.loads(archive.read(name))
    assert "lambda" not in config.lower()
    assert json.loads(config)["registered_name"] == "made_tf>MADE"


def test_a_wide_model_stores_degrees_not_masks(tmp_path):
    model = MADE(784, (1000,), input_order="random")
    model.save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert archive.getinfo("config.json").file_size < 20_000
        weights = sum(weight.numpy().nbytes for weight in model.weights)
        assert archive.getinfo("model.weights.h5").file_size < weights + 50_000


@pytest.mark.parametrize("content", [b"", b"not a zip file", None], ids=["empty", "foreign", "cut"])
def test_a_damaged_file_is_refused(content, tmp_path):
    path = tmp_path / "a.keras"
    model, _ = fitted()
    model.save(path)
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    with pytest.raises((ValueError, OSError, zipfile.BadZipFile)):
        keras.models.load_model(path)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "bfloat16"])
def test_weights_alone_travel_between_equal_models(dtype, tmp_path):
    model, x = fitted(dtype=dtype)
    model.save_weights(tmp_path / "a.weights.h5")
    other = reference.small_model(dtype=dtype)
    other.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(other.log_prob(x), model.log_prob(x))


@pytest.mark.parametrize("name", reference.FAMILIES)
def test_an_exported_saved_model_gives_the_same_parameters(name, tmp_path):
    model, x = fitted(name, hidden_units=(9,))
    model.export(tmp_path / "saved", verbose=False)
    saved = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(saved.serve(tf.constant(x)), model(x), rtol=1e-5, atol=1e-6)


def test_early_stopping_brings_the_best_weights_back():
    model, x = fitted()
    model.compile(keras.optimizers.SGD(50.0), run_eagerly=True)
    callback = keras.callbacks.EarlyStopping(
        "val_nll", mode="min", patience=2, restore_best_weights=True
    )
    history = model.fit(x, validation_data=x, epochs=30, verbose=0, callbacks=[callback]).history
    assert len(history["val_nll"]) < 30
    best = model.evaluate(x, verbose=0, return_dict=True)["nll"]
    np.testing.assert_allclose(best, min(history["val_nll"]), rtol=1e-5)


def test_a_checkpoint_keeps_the_best_model(tmp_path):
    model, x = fitted()
    model.compile(keras.optimizers.SGD(50.0), run_eagerly=True)
    callback = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", monitor="val_nll", mode="min", save_best_only=True
    )
    history = model.fit(x, validation_data=x, epochs=5, verbose=0, callbacks=[callback]).history
    best = keras.models.load_model(tmp_path / "best.keras")
    np.testing.assert_allclose(-np.mean(best.log_prob(x)), min(history["val_nll"]), rtol=1e-5)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    straight, x = fitted()
    start = straight.get_weights()
    straight.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    straight.fit(x, epochs=4, verbose=0, shuffle=False)
    runs = []
    for _ in range(2):
        model = reference.small_model()
        model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
        model.set_weights(start)
        runs.append(model)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        runs[0].fit(x, epochs=4, verbose=0, shuffle=False, callbacks=[backup, Interrupt()])
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    history = runs[1].fit(x, epochs=4, verbose=0, shuffle=False, callbacks=[backup]).history
    assert len(history["nll"]) == 2
    for first, second in zip(straight.get_weights(), runs[1].get_weights(), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-7)


def test_tensorboard_gets_the_metrics(tmp_path):
    pytest.importorskip("tensorboard")
    model, x = fitted(run_eagerly=False)
    callback = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1)
    model.fit(x, validation_data=x, epochs=2, verbose=0, callbacks=[callback])
    tags = set()
    for file in tmp_path.rglob("events.out.*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            tags |= {value.tag for value in event.summary.value}
    assert {"epoch_nll", "epoch_bits_per_dim", "epoch_loss"} <= tags


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_file_of_an_earlier_version_opens_and_reproduces(path):
    model = keras.models.load_model(path, safe_mode=True)
    with np.load(path.with_suffix(".npz")) as expected:
        x = expected["x"]
        np.testing.assert_allclose(model(x), expected["params"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(model.log_prob(x), expected["log_prob"], rtol=1e-5)
    assert np.isfinite(model.fit(x, verbose=0).history["loss"]).all()


def test_there_is_a_golden_file():
    assert GOLDEN


@pytest.mark.parametrize("kind", ["fixed", "fresh masks", "ensemble"])
def test_a_checkpoint_of_tensorflow_holds_every_layer(kind, tmp_path):
    def make(seed):
        keras.utils.set_random_seed(seed)
        if kind == "ensemble":
            return Ensemble([MADE(4, (8, 8), seed=k) for k in range(2)])
        many = {"num_masks": None, "mask_weights": True} if kind == "fresh masks" else {}
        return MADE(4, (8, 8), seed=0, **many)

    saved, restored = make(1), make(2)
    x = reference.rows(saved.conditionals, 30, 4)
    assert not np.allclose(saved.log_prob(x), restored.log_prob(x), atol=1e-3)
    path = tf.train.Checkpoint(model=saved).save(tmp_path / "checkpoint")
    status = tf.train.Checkpoint(model=restored).restore(path)
    status.assert_existing_objects_matched()
    np.testing.assert_array_equal(restored.log_prob(x), saved.log_prob(x))


def forged(path, change):
    """A whole archive with another config."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    config = json.loads(parts["config.json"])
    change(config["config"])
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path.with_name("forged.keras"), "w") as new:
        for name, part in parts.items():
            new.writestr(name, part)
    return path.with_name("forged.keras")


@pytest.mark.parametrize(
    "sizes",
    [
        {"event_size": 10**8, "input_order": "natural", "hidden_degrees": "equal"},
        {"hidden_units": [10**8], "hidden_degrees": "equal"},
        {"hidden_units": [3000] * 50, "hidden_degrees": "equal"},
    ],
)
def test_sizes_are_compared_with_the_weights_before_anything_is_made(tmp_path, sizes):
    model = reference.small_model()
    model.save(tmp_path / "m.keras")
    check_stored_sizes(tmp_path / "m.keras")
    path = forged(tmp_path / "m.keras", lambda config: config.update(sizes))
    with pytest.raises(ValueError, match=r"forged.keras is damaged or forged: .* or more"):
        check_stored_sizes(path)
    (tmp_path / "x.csv").write_text("0,1,0,1,0\n")
    assert "damaged or forged" in fails("evaluate", path, tmp_path / "x.csv")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_files_of_before_have_the_weights_they_tell_of(path):
    check_stored_sizes(path)
