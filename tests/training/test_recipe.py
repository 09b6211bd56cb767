"""Recipes: data that say how to train."""

import dataclasses
import tomllib

import keras
import numpy as np
import pytest
import reference

from made_tf import MADE, Normal
from made_tf.models.settings import Settings
from made_tf.reproduction.benchmark_sets import BenchmarkSet, set_names
from made_tf.training.recipe import Recipe, recipe_names
from made_tf.training.schedule import Training


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipes_of_the_package_make_models(name):
    recipe = Recipe.load(name)
    assert recipe.about
    few, many = (recipe.candidates_for(rows, 784) for rows in (1000, 2000))
    for candidate in (*few.values(), *many.values()):
        arguments = candidate.model_arguments()
        depth = len(arguments["hidden_units"]) if arguments.get("residual") else 1
        model = MADE(36, seed=0, **{**arguments, "hidden_units": (36,) * depth})
        assert candidate.num_orders == 1 or model.mask_sets.num_masks is None
        assert not candidate.candidates


def test_each_set_has_a_recipe_and_there_is_a_default():
    assert {*set_names(), "default", "single", "smoke", "table", "questions"} == set(recipe_names())


def test_few_bits_are_asked_in_two_ways():
    recipe = Recipe.load("questions")
    assert list(recipe.candidates_for(3000, 180)) == ["small", "fresh"]
    assert [list(recipe.candidates_for(n, 180)) for n in (3001, 5000, 5001)] == [
        ["bits"],
        ["bits"],
        ["many"],
    ]
    for nothing in ([], None):
        many = recipe.overridden(evidence_units=nothing).candidate("many")
        assert not MADE(18, **many.model_arguments()).reads_evidence
    for rows in (3000, 3001, 5001):
        for candidate in recipe.overridden(few_weight=0.5).candidates_for(rows, 18).values():
            reads = MADE(18, **candidate.model_arguments()).reads_evidence
            assert reads == ("few_weight" in candidate.model)
    for rows, expected in ((3000, "few"), (3001, "large")):
        assert list(recipe.candidates_for(rows, 40, is_binary=False)) == [expected]
    fresh = recipe.candidate("fresh").model_arguments()
    assert fresh["num_masks"] is None and not fresh["evidence_units"]


def test_networks_of_several_masks_read_no_evidence():
    recipe = Recipe.load("questions").overridden(num_masks=None)
    for candidate in recipe.candidates_for(5000, 20).values():
        arguments = candidate.model_arguments()
        assert arguments["num_masks"] is None and not arguments["evidence_units"]
    narrow = Recipe.load("questions").overridden(num_masks=1, hidden_units=[20, 10])
    assert narrow.model["evidence_units"] == [20, 10]
    assert narrow.candidate("fresh").model["evidence_units"] == []


def test_few_rows_of_many_columns_have_a_candidate_of_their_own():
    recipe = Recipe.load("default")
    assert list(recipe.candidates_for(1000, 500)) == ["few", "wide", "deep", "any_order"]
    assert list(recipe.candidates_for(1001, 500)) == ["wide", "deep", "any_order", "large"]
    assert list(recipe.candidates_for(1000, 99)) == ["wide", "deep", "any_order"]
    for entry in map(BenchmarkSet.named, set_names()):
        assert "few" not in recipe.candidates_for(entry.rows[0], entry.variables)


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
    assert list(recipe.candidates_for(11, 5)) == ["b"] and list(recipe.candidates_for(10, 4)) == [
        "a"
    ]
    assert recipe.candidates_for(11, 4) == {"": recipe.candidate("")}
    limits = {"few": {"max_rows": 9}, "many": {"min_rows": 10}, "any": {"training": {"steps": 1}}}
    limits |= {
        "narrow": {"max_variables": 4, "num_orders": 4},
        "wide": {"min_variables": 6, "num_orders": 5},
    }
    limits |= {
        "bits": {"binary": True, "num_orders": 2},
        "others": {"binary": False, "num_orders": 3},
    }
    limited = Recipe.from_dict("limited", {"candidates": limits})
    assert list(limited.candidates_for(10, 5)) == ["many", "any", "bits"]
    assert list(limited.candidates_for(9, 5, is_binary=False)) == ["few", "any", "others"]
    assert "narrow" in limited.candidates_for(9, 4) and "wide" in limited.candidates_for(9, 6)
    a, b = recipe.candidates_for(10, 5).values()
    assert a.model == {**recipe.model, "dropout": 0.5} and a.num_orders == 8
    assert b.model == recipe.model and b.training.steps == 7
    assert recipe.candidate("") == a.__class__(**{**vars(recipe), "candidates": {}})


OF_THREE = {
    "model": {"hidden_units": [20], "dropout": 0.1},
    "num_orders": 2,
    "training": {"steps": 9, "validation_orders": 3},
    "candidates": {
        "small": {"model": {"hidden_units": [10]}, "max_rows": 100},
        "deep": {"model": {"hidden_units": [20, 20]}, "training": {"batch_size": 7}},
        "any-order": {
            "model": {"num_masks": "fresh", "dropout": 0.3},
            "training": {"validation_orders": 8},
            "num_orders": 64,
        },
    },
}


def test_entries_are_overridden_in_every_candidate():
    recipe = Recipe.from_dict("three", OF_THREE)
    other = recipe.overridden(dropout=0.5, batch_size=32, num_orders=16, members=3, looks=4)
    assert (other.name, other.members, other.training.looks) == ("three", 3, 4)
    candidates = other.candidates_for(100, 5)
    assert list(candidates) == ["small", "deep", "any-order"]
    for name, before in recipe.candidates_for(100, 5).items():
        after = candidates[name]
        assert after.model == {**before.model, "dropout": 0.5}
        training = {"batch_size": 32, "looks": 4}
        assert after.training == dataclasses.replace(before.training, **training)
        assert after.num_orders == 16
    assert list(other.candidates_for(101, 5)) == ["deep", "any-order"]  # limits stay
    assert recipe == Recipe.from_dict("three", OF_THREE)
    assert recipe.overridden() == recipe
    assert Recipe.from_dict("three", other.to_dict()) == other


def test_no_more_orders_are_averaged_than_there_are_masks():
    recipe = Recipe.from_dict("three", OF_THREE)
    for masks, orders in ((1, [1, 1, 1]), (4, [2, 2, 4]), ("fresh", [2, 2, 64])):
        found = recipe.overridden(num_masks=masks).candidates_for(100, 5).values()
        assert [each.num_orders for each in found] == orders
        assert all(each.model_arguments()["num_masks"] in (masks, None) for each in found)
        looked_at = [each.training.validation_orders for each in found]
        assert looked_at == ([3, 3, 8] if masks == "fresh" else [min(masks, n) for n in (3, 3, 8)])
    asked = recipe.overridden(num_masks=4, num_orders=9)  # whoever asks for it is told elsewhere
    assert asked.num_orders == 9
    fresh = recipe.overridden(num_masks=None)
    assert fresh == recipe.overridden(num_masks="fresh")
    assert fresh.candidate("deep").model_arguments()["num_masks"] is None


def test_candidates_that_have_become_equal_are_one():
    recipe = Recipe.from_dict("three", OF_THREE)
    assert list(recipe.overridden(hidden_units=(8,)).candidates_for(100, 5)) == [
        *("small", "deep", "any-order"),  # which has batches of its own
    ]
    recipe = recipe.overridden(hidden_units=(8,), batch_size=50)
    assert list(recipe.candidates_for(100, 5)) == ["small", "any-order"]
    assert list(recipe.candidates_for(101, 5)) == ["deep", "any-order"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"width": 3}, "`entries` must have keys among .* Received: width"),
        ({"seed": 3}, "`entries` must have keys among .* Received: seed"),
        ({"num_orders": 0}, "`num_orders` must be a positive integer"),
        ({"batch_size": -1}, "`batch_size` must be a positive integer"),
        ({"few_weight": 0.5}, "`few_weight` is for networks that read evidence"),
    ],
)
def test_bad_entries_are_refused(entries, message):
    with pytest.raises(ValueError, match=message):
        Recipe.load("default").overridden(**entries)


def test_every_setting_of_the_model_may_be_overridden():
    names = {field.name for field in dataclasses.fields(Settings) if field.init}
    assert (
        Recipe.load("questions").overridden(few_weight=1).candidate("bits").model["few_weight"] == 1
    )
    for name in names - {"event_size", "conditionals", "seed", "num_orders", "few_weight"}:
        changed = Recipe.load("default").overridden(**{name: 1})
        assert all(each.model[name] == 1 for each in changed.candidates_for(1000, 784).values())


def test_a_look_may_be_an_epoch():
    epochs = Training(steps=0, batch_size=30)
    assert [epochs.steps_in_look(rows) for rows in (1, 30, 31, 90)] == [1, 1, 2, 3]
    assert Training(steps=7).steps_in_look(90) == 7
    falling = Training(steps=0, batch_size=30, schedule="cosine", looks=4).make_optimizer(90)
    falling.iterations.assign(12)
    assert float(falling.learning_rate) == pytest.approx(0, abs=1e-9)
    single = Recipe.load("single")
    assert single.training.steps == single.training.average_steps == 0


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", ".hidden", "", "with space", "a\n", 3])
def test_a_name_is_no_path(tmp_path, name):
    for make in (
        lambda: Recipe.from_dict(name, {}),
        lambda: Recipe.from_dict("good", {"candidates": {name: {}}}),
    ):
        with pytest.raises(ValueError, match="letters, digits, _, - and"):
            make()


@pytest.mark.parametrize("name", ["a", "small-net", "v1.2", "_x", "3", "größer"])
def test_good_names(tmp_path, name):
    content = {"candidates": {name: {"model": {"dropout": 0.5}}}}
    recipe = Recipe.from_dict(name, content)
    (tmp_path / f"{name}.toml").write_text(recipe.to_toml(), encoding="utf-8")
    assert Recipe.load(tmp_path / f"{name}.toml") == recipe


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
    model.compile(Training(optimizer=name, learning_rate=0.03, weight_decay=0.1).make_optimizer())
    assert type(model.optimizer).__name__.lower() == name
    before = float(-np.mean(model.log_prob(x)))
    model.fit(x, batch_size=16, epochs=15, verbose=0)
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
        ("[training]\nsteps = -1", "`steps` must be an integer of at least 0"),
        ("[training]\nlooks = 0", "`looks` must be a positive integer"),
        ("[candidates.'../a']", "letters, digits, _, - and"),
        ("[training]\nlearning_rate = -1", "`learning_rate` must be a number in"),
        ("[training]\noptimizer = 'Adam'", "`optimizer` must be one of .*'adam'.* Received: opt"),
        ("[training]\nschedule = 1", "`schedule` must be one of .*'cosine'.* Received: schedule=1"),
        ("[candidates.a]\nwidth = 1", "`candidates.a` must have keys among"),
        ("[candidates.a.model]\nwidth = 1", "`candidates.a.model` must have keys among"),
        ("tells_unknown = 1", "`tells_unknown` must be True or False"),
        ("[candidates.a]\ntells_unknown = 'no'", "`tells_unknown` must be True or False"),
        ("[candidates.a]\nmax_rows = 0", "`max_rows` must be a positive integer"),
        ("[candidates.a]\nmax_variables = 0", "`max_variables` must be a positive integer"),
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


def test_a_recipe_says_whether_bits_tell_what_is_unknown():
    content = {"tells_unknown": True, "candidates": {"a": {}, "b": {"tells_unknown": False}}}
    recipe = Recipe.from_dict("asked", content)
    assert Recipe.from_dict("asked", tomllib.loads(recipe.to_toml())) == recipe
    assert "tells_unknown" not in Recipe.load("default").to_toml()
    assert recipe.candidate("a").family("bernoulli").tells_unknown
    assert recipe.candidate("b").family("bernoulli") == "bernoulli"
    normal = Normal()
    assert recipe.family(normal) is normal and recipe.family("normal") == "normal"
