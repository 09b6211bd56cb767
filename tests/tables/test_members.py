"""A table's density of several networks: one mixture, one file, the same answers everywhere."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from example_tables import JOINT, all_grades, grades

from made_tf import MADE, Ensemble, Normal
from made_tf.cli.main import main
from made_tf.data.splits import Splits
from made_tf.export.runtime import LiteTable
from made_tf.tables import TableModel, training
from made_tf.training.members import TrainedMember
from made_tf.training.recipe import Recipe

MEMBERS = JOINT.overridden(members=2)


@pytest.fixture(scope="module")
def model():
    return TableModel(recipe=MEMBERS, questions=None, seed=7).fit(grades())


def two_numbers():
    """A table of two columns, ready to be learned from."""
    rows = np.zeros((20, 2), np.float32)
    family = Normal().bind(2)
    splits = Splits(rows, rows, rows[:0], ["a", "b"])
    return training.Prepared(None, splits, family, family.start(rows))


def member(model, number):
    """The model of one of its networks alone."""
    one = TableModel()
    one.network_ = type(model.network_)(model.schema_, model.network_.joint.members[number])
    return one


def test_the_density_is_the_mean_of_the_members(model):
    states = all_grades()
    members = [np.exp(member(model, number).log_prob(states)) for number in range(2)]
    assert np.abs(members[0] - members[1]).max() > 1e-3
    np.testing.assert_allclose(np.exp(model.log_prob(states)), np.mean(members, 0), rtol=1e-4)
    assert np.exp(model.log_prob(states)).sum() == pytest.approx(1, abs=1e-5)


def test_the_first_member_is_the_network_that_would_be_trained_alone(model):
    alone = TableModel(recipe=JOINT, questions=None, seed=7).fit(grades())
    assert not isinstance(alone.network_.joint, Ensemble)
    found = member(model, 0).log_prob(all_grades())
    np.testing.assert_allclose(found, alone.log_prob(all_grades()), rtol=1e-6)
    assert model.validation_nll_ != alone.validation_nll_


def test_rows_are_those_of_members(model):
    def rows(model):
        return model.sample(1000, seed=3).astype(object).fillna("missing").astype(str)

    drawn, of_members = rows(model), [rows(member(model, number)) for number in range(2)]
    same = np.array([(each == drawn).all(axis=1) for each in of_members])  # [M, N]
    assert same.any(axis=0).all()
    assert not same.all(axis=1).any()


def test_it_answers_in_ranges_and_says_what_it_cannot(model):
    states = all_grades()
    met = (states["level"] == "low").to_numpy()
    found = model.probability("level = 'low'")
    expected = np.exp(model.log_prob(states))[met].sum()
    assert abs(found.probability - expected) < 4.5 * found.standard_error + 1e-5
    with pytest.raises(ValueError, match="`questions` must not be None"):
        model.impute(states.drop(columns="side"))
    with pytest.raises(ValueError, match="`questions` must be a recipe of one member"):
        TableModel(recipe=JOINT, questions=MEMBERS).fit(grades())


def test_cells_that_never_came(model):
    rows = grades(5, seed=1)
    rows["colour"] = "never seen"
    assert np.isfinite(model.log_prob(rows)).all()


def test_one_file_holds_all_members(model, tmp_path):
    model.save(tmp_path / "m.keras")
    again = TableModel.load(tmp_path / "m.keras")
    assert len(again.network_.joint.members) == 2
    states = all_grades()
    np.testing.assert_allclose(again.log_prob(states), model.log_prob(states), rtol=1e-6)
    pd.testing.assert_frame_equal(again.sample(9, seed=2), model.sample(9, seed=2))
    found = CliRunner().invoke(main, ["inspect", str(tmp_path / "m.keras")])
    assert found.exit_code == 0 and "mixture of 2 models" in found.output


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_on_a_device(model, tmp_path, weights):
    model.to_tflite(tmp_path / "m.tflite", weights=weights)
    device, rows = LiteTable(tmp_path / "m.tflite"), grades(40, seed=1)
    atol = 1e-4 if weights == "float32" else 0.3
    np.testing.assert_allclose(device.log_prob(rows), model.log_prob(rows), atol=atol)
    if weights == "float32":
        found, expected = device.sample(50, seed=2), model.sample(50, seed=2)
        assert list(found["side"]) == list(expected["side"])


@pytest.mark.parametrize(("takes", "expected"), [(1, [10, 3, 4, 7]), (4, [10, 2, 1]), (9.5, [10])])
def test_further_members_share_the_time_that_the_first_one_leaves(monkeypatch, takes, expected):
    clock, given = [0.0], []

    def train_member(recipe, splits, path, seed, family, progress, callbacks, start):
        given.append(callbacks[0].seconds)
        clock[0] += takes
        member = TrainedMember("", seed, 1.0, 1, 1, takes, takes, [])
        return MADE(2, (4,), "normal", seed=0), member

    monkeypatch.setattr(training, "train_member", train_member)
    monkeypatch.setattr(training.time, "monotonic", lambda: clock[0])
    recipe = JOINT.overridden(members=4)
    found = training.train_network(recipe, two_numbers(), 0, seconds=10)
    assert given == pytest.approx(expected)
    assert isinstance(found.network, Ensemble if len(expected) > 1 else MADE)
    assert found.history == []


def test_a_candidate_may_have_members_of_its_own():
    recipe = Recipe.from_dict("own", {"candidates": {"few": {"max_rows": 9, "members": 4}}})
    assert recipe.candidate("few").members == 4 and recipe.candidate("").members == 1
    with pytest.raises(ValueError, match="`members` must be"):
        Recipe.from_dict("own", {"candidates": {"few": {"members": 0}}})
