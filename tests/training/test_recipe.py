"""Recipes: data that say how to train."""

import keras
import numpy as np
import pytest
import reference

from made_tf import MADE
from made_tf.reproduction.benchmark_sets import set_names
from made_tf.training.recipe import Recipe, recipe_names
from made_tf.training.schedule import Training


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipes_of_the_package_make_models(name):
    recipe = Recipe.load(name)
    assert recipe.about
    for way in recipe.ways(1000, 784).values():
        model = MADE(36, seed=0, **{**way.model_arguments(), "hidden_units": (8,)})
        assert way.num_orders == 1 or model.mask_sets.num_masks is None
        assert not way.candidates


def test_each_set_has_a_recipe_and_there_is_a_default():
    assert {*set_names(), "default", "smoke"} == set(recipe_names())


def test_a_file_says_what_a_recipe_is(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "members = 3\n[model]\nhidden_units = [20, 10]\nnum_masks = 'fresh'\n"
        "[training]\nlearning_rate = 0.01\n[candidates.a]\nmax_rows = 10\nnum_orders = 8\n"
        "[candidates.a.model]\ndropout = 0.5\n[candidates.b]\nmin_variables = 5\n"
        "[candidates.b.training]\nsteps = 7\n"
    )
    recipe = Recipe.load(path)
    assert recipe.name == "mine" and recipe.members == 3
    assert recipe.training == Training(learning_rate=0.01)
    assert recipe.model_arguments() == {"hidden_units": [20, 10], "num_masks": None}
    assert list(recipe.ways(11, 5)) == ["b"] and list(recipe.ways(10, 4)) == ["a"]
    assert recipe.ways(11, 4) == {"": recipe.candidate("")}
    a, b = recipe.ways(10, 5).values()
    assert a.model == {**recipe.model, "dropout": 0.5} and a.num_orders == 8
    assert b.model == recipe.model and b.training.steps == 7
    assert recipe.candidate("") == a.__class__(**{**vars(recipe), "candidates": {}})


def test_the_learning_rate_stays_or_falls_to_zero():
    constant = Training(learning_rate=0.01).make_optimizer()
    assert float(constant.learning_rate) == pytest.approx(0.01)
    falling = Training(learning_rate=0.01, schedule="cosine", steps=10, looks=4).make_optimizer()
    falls = []
    for step in (0, 10, 20, 40):
        falling.iterations.assign(step)
        falls.append(float(falling.learning_rate))
    np.testing.assert_allclose(falls, [0.01, 0.005 * (1 + np.cos(np.pi / 4)), 0.005, 0], atol=1e-8)


@pytest.mark.parametrize("name", ["adam", "adamax", "lion", "muon", "nadam"])
def test_every_optimizer_learns_under_masks_and_decays_weights(name):
    x = np.random.default_rng(0).integers(0, 2, (64, 6)).astype(np.float32)
    x[:, 1:] = x[:, :1]
    keras.utils.set_random_seed(0)
    model = MADE(6, (12,), seed=0)
    assert Training(optimizer=name).make_optimizer().weight_decay is None
    model.compile(Training(optimizer=name, learning_rate=0.01, weight_decay=0.1).make_optimizer())
    assert type(model.optimizer).__name__.lower() == name
    before = float(-np.mean(model.log_prob(x)))
    model.fit(x, batch_size=16, epochs=40, verbose=0)
    assert float(-np.mean(model.log_prob(x))) < 0.7 * before
    off_mask = [reference.off_mask(layer) for layer in model.masked_layers()]
    assert not np.concatenate(off_mask).any()
    alone = keras.Variable(np.ones(3, np.float32))
    optimizer = Training(optimizer=name, learning_rate=0.5, weight_decay=0.1).make_optimizer()
    optimizer.build([alone])
    optimizer.apply([np.zeros(3, np.float32)])
    np.testing.assert_allclose(alone, 0.95 * np.ones(3), rtol=1e-6)


def test_what_is_written_is_read_again(tmp_path):
    for name in recipe_names():
        recipe = Recipe.load(name)
        path = tmp_path / f"{name}.toml"
        path.write_text(recipe.to_toml())
        assert Recipe.load(path) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("members = 0", "`members` must be a positive integer"),
        ("members = true", "`members` must be a positive integer"),
        ("num_orders = 1.5", "`num_orders` must be a positive integer"),
        ("colour = 1", "`recipe` must have keys among .* Received: colour"),
        ("[model]\nwidth = 3", "`model` must have keys among .* Received: width"),
        ("[model]\nevent_size = 3", "`model` must have keys among .* Received: event_size"),
        ("[training]\nspeed = 3", "`training` must have keys among .* Received: speed"),
        ("[training]\nsteps = 0", "`steps` must be a positive integer"),
        ("[training]\nlearning_rate = -1", "`learning_rate` must be a number in"),
        ("[training]\noptimizer = 'Adam'", "`optimizer` must be one of .*'adam'.* Received: opt"),
        ("[training]\nschedule = 1", "`schedule` must be one of .*'cosine'.* Received: schedule=1"),
        ("[candidates.a]\nwidth = 1", "`candidates.a` must have keys among"),
        ("[candidates.a.model]\nwidth = 1", "`candidates.a.model` must have keys among"),
        ("[candidates.a]\nmax_rows = 0", "`max_rows` must be a positive integer"),
        ("[candidates.a]\nmin_variables = 1.5", "`min_variables` must be a positive integer"),
        ("members = ", "The recipe .*bad.toml is not usable"),
        ("training = 3", "The recipe .*bad.toml is not usable"),
    ],
)
def test_bad_recipes_are_refused(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Recipe.load(path)


@pytest.mark.parametrize("name", ["none", "no/where.toml", "../default"])
def test_recipes_that_are_not_there(name):
    with pytest.raises(ValueError, match="`recipe` must be a"):
        Recipe.load(name)
