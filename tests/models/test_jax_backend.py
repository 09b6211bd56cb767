import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import reference
from processes import QUICKLY

from made_tf import MADE  # noqa: F401 - registers the class with Keras

pytest.importorskip("jax")

#: The others are these, of equal columns.
FAMILIES = ("bernoulli", "ragged", "scaled_normal")

SCRIPT = """
import json, pathlib, sys

folder, tests = map(pathlib.Path, sys.argv[1:3])
sys.path.insert(0, str(tests))

import no_tensorflow  # before all others

import keras
import numpy as np
import reference

assert keras.backend.backend() == "jax"
report = {}
for name in sys.argv[3:]:
    keras.utils.set_random_seed(0)
    model = reference.small_model(
        name, event_size=4, input_order="random", hidden_degrees="random", hidden_units=(20, 20),
        dropout=0.1, kernel_regularizer=keras.regularizers.L2(1e-4),
    )
    model.compile(keras.optimizers.Adam(0.01))
    x = reference.rows(model.conditionals, 64, 4)
    x[:, 1] = x[:, 0] = np.minimum(x[:, 0], 1)
    weights = np.linspace(0.5, 1.5, 64)
    history = model.fit(x, sample_weight=weights, validation_data=x, epochs=6, verbose=0).history
    log_prob = np.asarray(model.log_prob(x))
    np.testing.assert_allclose(log_prob, reference.log_prob(model, x), rtol=1e-4, atol=1e-4)
    reference.put_junk(model)
    reference.assert_autoregressive(model)
    model.save(folder / f"{name}.keras")
    np.savez(folder / f"{name}.npz", x=x, log_prob=log_prob)
    report[name] = history

wide = reference.small_model("bernoulli", event_size=310, hidden_units=(310,))  # with staircases
assert all(layer.staircase is not None for layer in wide.masked_layers())
x = reference.rows(wide.conditionals, 64, 310)
before = wide.log_prob(x)
wide.compile(keras.optimizers.Adam(0.01))
wide.fit(x, epochs=3, verbose=0)
after = np.asarray(wide.log_prob(x))
assert (after > np.asarray(before)).all()
np.testing.assert_allclose(after, reference.log_prob(wide, x), rtol=1e-4, atol=1e-3)
assert all((reference.off_mask(layer) == 0).all() for layer in wide.masked_layers())
from made_tf import Ensemble
from made_tf.training import fit_resumably

def make_model():
    keras.utils.set_random_seed(0)
    model = reference.small_model(input_dropout=0.1, num_masks=None)
    model.compile(keras.optimizers.Adam(0.01))
    return model

path = folder / "averaged.keras"
x = x[:, :5]
model, state = fit_resumably(
    make_model, x, x, path, epochs=4, batch_size=16, steps=3, average_steps=6
)
assert state.history[-1]["val_nll"] < state.history[0]["val_nll"]
ensemble = Ensemble([model, reference.small_model()])
each = [np.asarray(member.log_prob(x), np.float64) for member in ensemble.members]
np.testing.assert_allclose(-each[0].mean(), state.best, rtol=1e-5)
np.testing.assert_allclose(ensemble.log_prob(x), np.logaddexp(*each) - np.log(2), rtol=1e-5)

masks = {}
for kind in ({"num_masks": None}, {"num_masks": 3, "masks_per": "row"}):
    model = reference.small_model(mask_weights=True, num_orders=3, hidden_units=(12,), **kind)
    model.compile(keras.optimizers.Adam(0.02))
    x = reference.rows(model.conditionals, 48, 5)
    x[:, 1:] = x[:, :1]
    history = model.fit(x, batch_size=16, epochs=8, validation_data=x, verbose=0).history
    evaluated = model.evaluate(x, verbose=0, return_dict=True)
    np.testing.assert_allclose(evaluated["nll"], -np.mean(model.log_prob(x)), rtol=1e-5)
    total = np.exp(np.asarray(model.log_prob(reference.states(model)), np.float64)).sum()
    off = [float((reference.off_mask(layer) != 0).mean()) for layer in model.masked_layers()]
    masks[str(kind)] = [int(model.mask_step.numpy()), total, min(off), history["val_nll"],
                        sorted(evaluated), sorted(history)]

asked = reference.small_model(hidden_units=(12, 12), evidence_units=(12,))
asked.compile(keras.optimizers.Adam(0.02))
history = asked.fit(x, batch_size=16, epochs=8, validation_data=x, verbose=0).history
states = reference.states(asked)
known = np.tile(np.float32([0, 1, 0, 0, 1]), (len(states), 1))
terms = asked.conditionals.log_prob(asked.parameters_given(states, known), states)
given = np.exp(np.where(known > 0, 0, terms).sum(axis=1, dtype=np.float64)).sum()
evidence = [int(asked.mask_step.numpy()), given, history["val_nll"]]

tensorflow = "tensorflow" in sys.modules
print(json.dumps(
    {"report": report, "masks": masks, "evidence": evidence, "tensorflow": tensorflow}
))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jax")
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(reference.FOLDER), *FAMILIES],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICKLY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return folder, json.loads(result.stdout.splitlines()[-1])


def test_the_model_trains_on_jax_without_tensorflow(trained):
    _, output = trained
    assert output["tensorflow"] is False
    assert set(output["report"]) == set(FAMILIES)
    for history in output["report"].values():
        assert history["loss"][-1] < history["loss"][0]
        assert history["val_nll"][-1] < history["val_nll"][0]


def test_it_trains_on_evidence(trained):
    steps, given, losses = trained[1]["evidence"]
    assert steps == 24 and losses[-1] < losses[0]
    assert given == pytest.approx(4, abs=1e-4)  # a density of the rest for each of four pairs


def test_it_trains_under_many_masks_too(trained):
    _, output = trained
    assert len(output["masks"]) == 2
    for steps, total, off, losses, evaluated, history in output["masks"].values():
        assert steps == 24
        assert abs(total - 1) < 1e-5
        assert off > 0.9
        assert losses[-1] < losses[0] - 0.2
        assert "order_spread" in evaluated
        assert "order_spread" not in history


@pytest.mark.parametrize("name", FAMILIES)
def test_tensorflow_opens_what_jax_saved_and_computes_the_same(trained, name):
    folder, _ = trained
    model = keras.models.load_model(folder / f"{name}.keras")
    with np.load(folder / f"{name}.npz") as saved:
        np.testing.assert_allclose(
            model.log_prob(saved["x"]), saved["log_prob"], rtol=1e-5, atol=1e-5
        )
        model.run_eagerly = True  # a graph takes long to make
        assert np.isfinite(model.fit(saved["x"], verbose=0).history["loss"]).all()
    assert all((reference.off_mask(layer) == 0).all() for layer in model.masked_layers())
