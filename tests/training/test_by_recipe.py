"""Training by a recipe: candidates, members, one ensemble, found again where it was cut off."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

from made_tf import MADE, Bernoulli
from made_tf.reproduction.benchmark_sets import make_smoke_set
from made_tf.training.by_recipe import train_ensemble
from made_tf.training.members import train_member
from made_tf.training.parts import foreign_files, member_path, parts_in
from made_tf.training.race import is_beaten, is_flat
from made_tf.training.recipe import Recipe

QUICK = Recipe.from_dict(
    "quick",
    {
        "members": 2,
        "model": {"hidden_units": [8], "input_order": "random"},
        "training": {"learning_rate": 0.01, "steps": 5, "looks": 4},
    },
)


def no_training(*args, **kwargs):
    pytest.fail("trained again")


def test_an_ensemble_goes_on_where_it_was(tmp_path, monkeypatch):
    recipe, splits = QUICK, make_smoke_set()
    whole = train_ensemble(recipe, splits, tmp_path / "whole", echo=str, progress=False)
    real = MADE.fit
    calls = []

    def second_fails(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(MADE, "fit", second_fails)
    with pytest.raises(KeyboardInterrupt):
        train_ensemble(recipe, splits, tmp_path / "cut", echo=str, progress=False)
    resumed = train_ensemble(recipe, splits, tmp_path / "cut", echo=str, progress=False)
    assert len(calls) == 3
    np.testing.assert_allclose(
        resumed.ensemble.log_prob(splits.test), whole.ensemble.log_prob(splits.test), atol=1e-5
    )


def test_members_of_other_rows_or_recipes_are_refused(tmp_path):
    recipe, splits = QUICK, make_smoke_set()
    train_member(recipe, splits, tmp_path / "m.keras", 0, progress=False)
    for other, seed, rows in (
        (recipe, 1, splits),
        (recipe.from_dict("quick", {"members": 2}), 0, splits),
        (recipe, 0, make_smoke_set(seed=1)),
    ):
        with pytest.raises(ValueError, match="was trained on other rows, by another recipe or"):
            train_member(other, rows, tmp_path / "m.keras", seed, progress=False)
    with pytest.raises(ValueError, match="or with other conditionals or another seed"):
        train_member(recipe, splits, tmp_path / "m.keras", 0, "normal", progress=False)


def test_a_member_from_before_a_setting_existed_is_found(tmp_path, monkeypatch):
    recipe, splits = QUICK, make_smoke_set()
    train_member(recipe, splits, tmp_path / "m.keras", 0, progress=False)
    facts = tmp_path / "m.json"
    content = json.loads(facts.read_text())
    del content["made_by"]["recipe"]["training"]["optimizer"]
    del content["made_by"]["conditionals"]
    facts.write_text(json.dumps(content))
    monkeypatch.setattr(MADE, "fit", no_training)
    train_member(recipe, splits, tmp_path / "m.keras", 0, progress=False)


def test_weight_decay_reaches_the_optimizer(tmp_path):
    splits = make_smoke_set()
    norms = []
    for decay in (0.0, 5.0):
        recipe = QUICK
        training = {"training": {"weight_decay": decay, "looks": 4, "steps": 5}}
        recipe = recipe.from_dict("d", {"model": recipe.model, **training})
        model, _ = train_member(recipe, splits, tmp_path / f"{decay}.keras", 0, progress=False)
        norms.append(float(np.abs(np.array(model.hidden_layers[0].kernel)).mean()))
    assert norms[1] < norms[0] * 0.99


def test_candidates_compete_and_one_becomes_the_ensemble(tmp_path):
    candidates = {
        "small.1": {},
        "wide-net": {"model": {"hidden_units": [32]}, "training": {"steps": 40}},
        "same": {"model": {"hidden_units": [8]}},
        "residual": {"model": {"residual": True}},
    }
    recipe = Recipe.from_dict("four", {**QUICK.to_dict(), "candidates": candidates})
    lines = []
    trained = train_ensemble(recipe, make_smoke_set(), tmp_path, echo=lines.append, progress=False)
    assert lines[0].startswith("  residual is left out: `residual` needs several hidden layers")
    assert [line.split(":")[0] for line in lines[1:]] == [
        "  small.1, model 1 of 2",
        "  wide-net, model 1 of 2",
        "  wide-net, model 2 of 2",
    ]
    assert trained.origin == "four, candidate wide-net (of small.1, wide-net)"
    assert [member.candidate for member in trained.members] == ["wide-net"] * 2
    assert [member.candidate for member in trained.rejected] == ["small.1"]
    assert foreign_files(tmp_path) == []
    found = {part.path: part for part in parts_in(tmp_path)}
    assert set(found) == {
        *(member_path(tmp_path, name, 0) for name in trained.candidates),
        member_path(tmp_path, "wide-net", 1),
    }
    best = found[member_path(tmp_path, "wide-net", 0)]
    assert best.finished and best.nll == trained.members[0].valid_nll and best.epoch == 4
    restarted = []
    train_ensemble(
        QUICK.overridden(members=1),
        make_smoke_set(),
        tmp_path,
        echo=restarted.append,
        progress=False,
        restart=True,
    )
    assert sorted(os.listdir(tmp_path)) == ["member-0.json", "member-0.keras"]
    assert restarted[0].startswith("  training: validation NLL")


def test_where_no_candidate_is_possible_the_first_error_is_told(tmp_path):
    recipe = QUICK.overridden(num_orders=3)
    with pytest.raises(ValueError, match="`num_orders` must be at most .*num_masks=1"):
        train_ensemble(recipe, make_smoke_set(), tmp_path / "new", echo=str, progress=False)
    assert os.listdir(tmp_path) == []


def test_seeds_of_any_size(tmp_path):
    recipe = QUICK.overridden(members=1, looks=1)
    options = {"seed": 2**31 - 1, "echo": str, "progress": False}
    trained = train_ensemble(recipe, make_smoke_set(), tmp_path, **options)
    assert 0 <= trained.members[0].seed < 2**31


def of_two(**slow):
    """Two candidates, of which the second does not learn."""
    recipe = QUICK.to_dict()
    recipe["training"] |= {"looks": 20, "patience": 14, "average_steps": 0}
    recipe["members"] = 1
    learning = {"learning_rate": 0.0, **slow}
    return Recipe.from_dict("two", recipe | {"candidates": {"a": {}, "b": {"training": learning}}})


@pytest.fixture(scope="module")
def first_of_two(tmp_path_factory):
    """A folder in which the first of these candidates is trained already."""
    folder, recipe = tmp_path_factory.mktemp("two"), of_two().candidate("a")
    train_member(recipe, make_smoke_set(), member_path(folder, "a", 0), 0, progress=False)
    return folder


def test_a_candidate_that_cannot_win_is_stopped(tmp_path, first_of_two):
    splits = make_smoke_set()
    shutil.copytree(first_of_two, tmp_path / "m")
    trained = train_ensemble(of_two(), splits, tmp_path / "m", echo=str, progress=False)
    (beaten,) = trained.rejected
    assert trained.candidate == "a" and trained.members[0].beaten_by is None
    assert beaten.looks == 11 and beaten.beaten_by == trained.valid_nll
    # Without the other it is trained to its end, though a file of it is there.
    alone = of_two().candidate("b")
    again = train_member(alone, splits, member_path(tmp_path / "m", "b", 0), 0, progress=False)[1]
    assert again.looks == 15 and again.beaten_by is None


def test_a_schedule_is_seen_to_its_end(tmp_path, first_of_two):
    recipe = of_two(schedule="cosine", learning_rate=1e-6)
    shutil.copytree(first_of_two, tmp_path / "m")
    trained = train_ensemble(recipe, make_smoke_set(), tmp_path / "m", echo=str, progress=False)
    assert trained.rejected[0].looks > 11 and trained.rejected[0].beaten_by is None


def test_looks_at_fewer_orders_than_count_in_the_end_do_not_judge(tmp_path):
    recipe = of_two().to_dict()
    recipe["candidates"]["b"] |= {"model": {"num_masks": 4}, "num_orders": 4}
    recipe["training"] |= {"looks": 13}
    recipe = Recipe.from_dict("two", recipe)
    trained = train_ensemble(recipe, make_smoke_set(), tmp_path / "m", echo=str, progress=False)
    assert trained.rejected[0].looks == 13 and trained.rejected[0].beaten_by is None


@pytest.mark.parametrize(
    ("gains", "rival", "beaten"),
    [
        ([0.1] * 9, 0.0, False),  # too few looks to judge by
        ([0.1] * 10, 7.1, False),  # from 10 down to 9: two more may come
        ([0.1] * 10, 6.9, True),
        ([0.5] * 10 + [0.0] * 5, -0.1, True),  # from 5 and 2.5 in the last ten looks down to 0
        ([0.5] * 10 + [0.0] * 5, 0.1, False),
        ([0.0] * 10, 10.0, False),  # it is there
    ],
)
def test_who_is_beaten(gains, rival, beaten):
    assert is_beaten((10.0 - np.cumsum([0.0, *gains])).tolist(), rival) is beaten


@pytest.mark.parametrize(
    ("gain", "looks", "flat"), [(1e-5, 6, False), (1e-5, 7, True), (1e-3, 40, False)]
)
def test_what_creeps_is_flat(gain, looks, flat):
    assert is_flat([5.0 - gain * look for look in range(looks)], 2) is flat


def test_inputs_are_as_the_recipe_says(tmp_path, monkeypatch):
    recipe, splits = dataclasses.replace(QUICK, tells_unknown=True), make_smoke_set()
    model, _ = train_member(recipe, splits, tmp_path / "m.keras", 0, progress=False)
    assert model.conditionals.layout.features.total == 2 * model.event_size
    plain, _ = train_member(QUICK, splits, tmp_path / "p.keras", 0, progress=False)
    assert plain.conditionals.layout.features.total == plain.event_size
    # As members were trained before recipes said so.
    bits = Bernoulli(tells_unknown=True)
    train_member(QUICK, splits, tmp_path / "b.keras", 0, bits, progress=False)
    monkeypatch.setattr(MADE, "fit", no_training)
    train_member(recipe, splits, tmp_path / "b.keras", 0, progress=False)
    with pytest.raises(ValueError, match="with other conditionals"):
        train_member(recipe, splits, tmp_path / "p.keras", 0, progress=False)
