"""Queries that go forward together, a variable a step: the answers of whole rows."""

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

import made_tf
from made_tf import Interval
from made_tf import conditionals as families
from made_tf.conditionals import MISSING
from made_tf.queries import progressive
from made_tf.queries.few_variables import FewVariables, steps_of
from made_tf.queries.subsets import Queries
from made_tf.queries.value_sets import written_down

MIXED = [
    families.NormalMixture(3),
    families.Categorical(3),
    families.Inflated(families.Normal(), (0.0, MISSING)),
    families.Categorical(4),
]
FEW_UNITS = {"hidden_units": (3, 2), "hidden_degrees": "random", "residual": False}
#: Family, number of variables, what else the model is.
CASES = {
    "mixed, context": (MIXED, 4, {"context": 3, "resample": "evidence"}),
    "few units": ("ragged", 5, FEW_UNITS),
    "no hidden layers": ("ragged", 5, {"hidden_units": (), "residual": False}),
    "early": ("ragged", 5, {"direct_connections": False, "hidden_degrees": "early"}),
    "no mask weights": ("bernoulli", 5, {"mask_weights": False}),
}


@pytest.fixture(scope="module", params=CASES)
def asked(request):
    """A model with its context, and queries that restrict none to three of its variables.

    Mixed columns take TensorFlow longer to make graphs of than to answer for: they go eagerly.
    """
    tf.config.run_functions_eagerly(request.param == "mixed, context")
    try:
        yield made(request.param)
    finally:
        tf.config.run_functions_eagerly(False)


def made(case):
    family, event_size, kwargs = CASES[case]
    keras.utils.set_random_seed(0)
    order = np.random.default_rng(1).permutation(event_size) + 1
    defaults = {
        "num_masks": None,
        "mask_weights": True,
        "residual": True,
        "hidden_units": (9, 9),
        "input_order": order,
    }
    kwargs = {**defaults, **kwargs}
    if isinstance(family, str):
        model = reference.small_model(family, event_size, **kwargs)
    else:
        model = made_tf.MADE(event_size, conditionals=family, seed=0, **kwargs)
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    mappings = []
    for _ in range(12):
        chosen = rng.permutation(event_size)[: rng.integers(0, 4)]
        mappings.append({int(variable): restriction(model, variable, rng) for variable in chosen})
    vectors = rng.normal(size=(12, 3)).astype("float32") if "context" in kwargs else None
    return model, written_down(model, mappings), vectors


def restriction(model, variable, rng):
    """Some of the values that a variable can have."""
    choices = model.conditionals.choices()[variable]
    some = [int(value) for value in choices[: rng.integers(1, 3)]]
    return Interval(-0.5, 1.2) if model.conditionals.is_line[variable] else some


def answers(model, regions, vectors, monkeypatch, steps, **kwargs):
    monkeypatch.setattr(progressive, "_STEPS", steps)
    used = []
    original = FewVariables.log_weights
    monkeypatch.setattr(
        FewVariables, "log_weights", lambda *args: used.append(1) or original(*args)
    )
    found = Queries(model, **kwargs).log_prob_within(regions, 50, 3, vectors, apart=True)
    return found, bool(used)


@pytest.fixture(scope="module")
def by_steps(asked):
    with pytest.MonkeyPatch.context() as patch:
        found, used = answers(*asked, patch, steps=1000)
    assert used
    return found


@pytest.mark.filterwarnings("ignore:.*out of the network's reach")
def test_answers_are_those_of_whole_rows(asked, by_steps, monkeypatch):
    model = asked[0]
    by_rows, used = answers(*asked, monkeypatch, steps=0)
    assert not used
    np.testing.assert_allclose(by_steps.log_prob, by_rows.log_prob, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_steps.standard_error, by_rows.standard_error, atol=1e-4)
    if len(model.conditionals.choices()[0]) != 2:  # of two values the restricted one is certain
        assert (by_rows.standard_error > 0).any()


def test_pieces_change_nothing(asked, by_steps, monkeypatch):
    monkeypatch.setattr("made_tf.queries.few_variables._ENTRIES", 2000)
    in_pieces, _ = answers(*asked, monkeypatch, steps=1000)
    np.testing.assert_allclose(in_pieces.log_prob, by_steps.log_prob, rtol=1e-5, atol=1e-6)


def test_steps_are_the_restricted_variables_in_the_models_order(asked):
    model = asked[0]
    restricted = np.random.default_rng(0).random((30, model.event_size)) < 0.4
    place = model.degrees.inputs
    for row, found in zip(restricted, steps_of(model, restricted), strict=True):
        expected = sorted(np.flatnonzero(row), key=lambda variable: place[variable])
        assert [variable for variable in found if variable >= 0] == expected
        assert (found[len(expected) :] == -1).all()


def test_one_model_of_one_order_has_no_such_steps(monkeypatch):
    model = reference.small_model("bernoulli", 4)
    regions = written_down(model, [{2: [1]}, {0: [1], 3: [0]}])
    _, used = answers(model, regions, None, monkeypatch, steps=1000)
    assert not used
