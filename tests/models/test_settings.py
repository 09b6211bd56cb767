"""One record of settings: the constructor, the config and the file derive from it."""

import dataclasses
import inspect
import json

import keras
import numpy as np
import pytest

import made_tf
from made_tf.models.settings import Settings

FULL = {
    "event_size": 6,
    "hidden_units": (9, 9),
    "conditionals": made_tf.Categorical([2, 3, 2, 4, 2, 2]),
    "input_order": "random",
    "hidden_degrees": "random",
    "direct_connections": False,
    "activation": "tanh",
    "dropout": 0.25,
    "kernel_initializer": "he_normal",
    "kernel_regularizer": keras.regularizers.L2(1e-3),
    "seed": 5,
    "num_masks": 4,
    "resample": "order",
    "masks_per": "row",
    "mask_weights": True,
    "num_orders": 3,
    "input_dropout": 0.125,
    "order_groups": 2,
    "residual": False,
    "context": 3,
}
# What neither several masks nor a context go with.
ONE_MASK = {"event_size": 6, "evidence_units": (7, 5), "few_weight": 0.5}


def constructor():
    parameters = inspect.signature(made_tf.MADE.__init__).parameters.values()
    return [p for p in parameters if p.name not in ("self", "kwargs")]


def test_the_constructor_has_the_settings_in_the_order_of_the_record():
    assert [parameter.name for parameter in constructor()] == Settings.names()


def test_the_constructor_has_the_defaults_of_the_record():
    defaults = {field.name: field.default for field in dataclasses.fields(Settings) if field.init}
    missing = dataclasses.MISSING
    ours = {p.name: missing if p.default is p.empty else p.default for p in constructor()}
    assert ours == defaults


def test_the_docstring_tells_of_every_setting():
    for name in Settings.names():
        assert f"        {name}: " in f"    {made_tf.MADE.__doc__}"


@pytest.mark.parametrize("name", Settings.names())
def test_every_setting_reaches_the_record_and_the_config(name):
    plain, full = Settings(6), Settings(**(ONE_MASK if name in ONE_MASK else FULL))
    if name in ("event_size", "residual"):
        return  # the same in both
    before, after = (settings.config().get(name) for settings in (plain, full))
    assert before != after


@pytest.mark.parametrize("arguments", [{"event_size": 6}, FULL, ONE_MASK])
def test_a_config_is_json_and_makes_the_same_settings(arguments):
    settings = Settings(**arguments)
    config = json.loads(json.dumps(settings.config()))
    again = Settings(**config)
    assert again.config() == config
    np.testing.assert_array_equal(again.fingerprint(), settings.fingerprint())
    for ours, theirs in zip(again.degrees.hidden, settings.degrees.hidden, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_model_shows_its_settings_as_attributes():
    model = made_tf.MADE(**{**FULL, "direct_connections": True})
    for name in ("dropout", "seed", "num_masks", "resample", "mask_weights", "residual"):
        assert getattr(model, name) == getattr(model.settings, name)
    assert model.degrees is model.settings.degrees
    with pytest.raises(AttributeError):
        model.dropout = 0.5  # which the layers would not follow


def test_the_number_of_orders_may_change():
    model = made_tf.MADE(4, (8,), num_masks=4, seed=0)
    model.num_orders = 3
    assert model.settings.num_orders == 3 and model.get_config()["num_orders"] == 3
    with pytest.raises(ValueError, match="`num_orders` must be at most"):
        model.num_orders = 5


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "relu"},
        {"direct_connections": True},
        {"mask_weights": False},
        {"conditionals": made_tf.Categorical(4)},
    ],
)
def test_the_fingerprint_tells_densities_apart(change):
    ours, theirs = Settings(**FULL), Settings(**{**FULL, **change})
    assert not np.array_equal(ours.fingerprint(), theirs.fingerprint())
    assert ours.density() != theirs.density()
