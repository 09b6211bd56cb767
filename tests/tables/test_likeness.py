"""The probability of rows like given ones: by enumeration, by draws, and what it finds odd."""

import itertools

import numpy as np
import pandas as pd
import pytest
from example_tables import JOINT, all_grades, fitted_grades, fitted_rides, grades, rides
from sklearn.metrics import roc_auc_score

from made_tf import MADE, Ensemble
from made_tf.data.table_schema import TableSchema
from made_tf.tables import TableModel, TableNetwork
from made_tf.tables.families import families_of
from made_tf.tables.spread import spread_of


def test_rows_of_classes_are_like_themselves_alone():
    model, states = fitted_grades(), all_grades()
    found = model.log_prob_near(states, near=0.1)
    np.testing.assert_allclose(found, model.log_prob(states), rtol=1e-4, atol=1e-5)


def test_ordered_classes_are_like_their_neighbours():
    model, states = fitted_grades(), all_grades()
    wide, narrow = (model.log_prob_near(states, near=near) for near in (1.5, 0.1))
    spread = dict(zip(model.schema_.variables, model.network_.spread, strict=True))
    assert 1 < 1.5 * spread["level"] < 2 and spread["colour"] == spread["side"] == 0
    assert (wide >= narrow - 1e-5).all() and (wide > narrow + 0.1).any()


@pytest.fixture(scope="module")
def numbers():
    """A table of a real column, one of whole numbers with a spike, and one with missing cells."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=500)
    count = np.where(rng.random(500) < 0.5, 0, np.round(20 + 8 * size + rng.normal(size=500)))
    count = np.clip(count, 0, None).astype(int)
    third = np.where(rng.random(500) < 0.2, np.nan, size + rng.normal(size=500))
    return pd.DataFrame({"size": size, "count": count, "third": third})


@pytest.fixture(scope="module")
def model(numbers):
    recipe = JOINT.overridden(members=2)
    return TableModel(recipe=recipe, questions=None, find_facts=False).fit(numbers)


def test_the_first_column_is_as_probable_as_draws_are_near(model, numbers):
    """Of the first column the conditional is the marginal, whatever the others are."""
    network = model.network_
    single = TableModel()
    single.network_ = TableNetwork(
        model.schema_, network.joint.members[0], spread=[network.spread[0], np.inf, np.inf]
    )
    rows = numbers[:40]
    found = np.exp(single.log_prob_near(rows, near=0.5))
    drawn = single.sample(20_000, seed=1)["size"].to_numpy()
    away = np.abs(drawn - rows["size"].to_numpy()[:, None])
    expected = (away <= 0.5 * network.spread[0]).mean(axis=1)
    error = np.sqrt(expected * (1 - expected) / len(drawn))
    assert (np.abs(found - expected) < 4 * error + 1e-3).all()


def test_what_is_not_known_is_averaged_over(model, numbers):
    """Of a single cell it is the probability of an interval; the others never were missing."""
    rows = numbers[numbers["third"].notna()][:40]
    found = model.log_prob_near(rows[["third"]].reindex(columns=numbers.columns))
    found += 2 * np.log(len(numbers) + 1)
    width = 0.5 * dict(zip(model.schema_.variables, model.network_.spread, strict=True))["third"]
    where = [f"third BETWEEN {cell - width} AND {cell + width}" for cell in rows["third"]]
    away = found - np.log(model.probability(where, num_samples=500).probability)
    assert np.abs(away).max() < 0.5  # by 32 draws
    assert abs(away.mean()) < 0.05


def test_of_several_orders_it_is_the_mean():
    recipe = JOINT.overridden(num_masks=4, num_orders=4, looks=1)
    model = TableModel(recipe=recipe, questions=None).fit(grades())
    states = all_grades()
    found = model.log_prob_near(states, near=0.1)
    np.testing.assert_allclose(found, model.log_prob(states), rtol=1e-4, atol=1e-5)


def test_it_is_the_mean_over_members(model, numbers):
    network, members = model.network_, []
    for joint in network.joint.members:
        one = TableModel()
        one.network_ = TableNetwork(model.schema_, joint, spread=network.spread)
        members.append(np.exp(np.float64(one.log_prob_near(numbers))))
    np.testing.assert_allclose(np.exp(model.log_prob_near(numbers)), np.mean(members, 0), rtol=1e-3)


def test_it_is_a_probability_that_grows_with_what_is_near(model, numbers):
    found = [model.log_prob_near(numbers, near=near) for near in (0.1, 0.5, 2.0, 100.0)]
    assert all((low <= high + 1e-4).all() for low, high in itertools.pairwise(found))
    whole = numbers["third"].notna()  # what is missing is never like a number
    np.testing.assert_allclose(found[-1][whole], np.log(0.8), atol=0.3)
    assert found[-1].max() <= 1e-5


def test_rows_that_contradict_what_goes_together_are_odd(model, numbers):
    wrong = numbers[numbers["count"] > 0].assign(size=lambda frame: -frame["size"])
    wrong = wrong[np.abs(wrong["size"]) > 1]
    rows = pd.concat([numbers, wrong])
    truth = np.arange(len(rows)) >= len(numbers)
    assert roc_auc_score(truth, -model.log_prob_near(rows)) > 0.9


def test_cells_that_never_came_count_as_ever():
    model, rows = fitted_rides(), rides(30, seed=4)
    odd = rows.assign(zone="Atlantis")
    assert (model.log_prob_near(odd) < model.log_prob_near(rows)).all()
    assert len(model.log_prob_near(rows[:0])) == 0


def test_files_keep_families_that_are_made_of_others(tmp_path):
    """While Keras reads a file, it numbers parts of families, other ones for each member."""
    rows = rides(200).drop(columns="ride")
    schema = TableSchema.infer(rows)
    x = schema.encode_frame(rows).x
    members = [
        MADE(x.shape[1], (8,), conditionals=families_of(schema, x), seed=seed) for seed in range(2)
    ]
    model = TableModel()
    model.network_ = TableNetwork(schema, Ensemble(members))
    model.save(tmp_path / "m.keras")
    opened = TableModel.load(tmp_path / "m.keras")
    np.testing.assert_allclose(opened.log_prob(rows), model.log_prob(rows), rtol=1e-5)


def test_files_keep_the_spread_and_older_ones_do_without(model, numbers, tmp_path):
    model.save(tmp_path / "m.keras")
    opened = TableModel.load(tmp_path / "m.keras")
    expected = model.log_prob_near(numbers)
    np.testing.assert_allclose(opened.log_prob_near(numbers), expected, rtol=1e-5)
    older = TableModel()
    older.network_ = TableNetwork(model.schema_, model.network_.joint)
    assert "spread" not in older.network_.get_config()
    found = older.log_prob_near(numbers)
    assert np.corrcoef(found, expected)[0, 1] > 0.95
    np.testing.assert_array_equal(found, older.log_prob_near(numbers))


def usual(column):
    return min(column.std(ddof=0), (column.quantile(0.75) - column.quantile(0.25)) / 1.349)


def test_a_few_numbers_far_away_hardly_count():
    rng = np.random.default_rng(0)
    column = rng.normal(5.0, 2.0, 4000)
    far = np.where(rng.random(4000) < 0.01, -99999.0, column)
    spiky = np.where(rng.random(4000) < 0.74, 0.0, column)
    frame = pd.DataFrame({"plain": column, "far": far, "spiky": spiky, "same": 7.0})
    schema = TableSchema.infer(frame, find_facts=False)
    x = schema.encode_frame(frame).x
    spread = dict(zip(schema.variables, spread_of(schema, x), strict=True))
    assert [spread[name] for name in ("plain", "far")] == pytest.approx([2.0, 2.0], rel=0.05)
    assert spread["spiky"] == pytest.approx(2.0, rel=0.1)  # that of what is no 0


def test_the_spread_is_that_of_numbers_alone(numbers):
    schema = TableSchema.infer(numbers.assign(colour=["red", "blue"] * 250), find_facts=False)
    x = schema.encode_frame(numbers.assign(colour=["red", "blue"] * 250)).x
    spread = dict(zip(schema.variables, spread_of(schema, x), strict=True))
    for name in ("size", "third"):
        assert spread[name] == pytest.approx(usual(numbers[name]), rel=1e-4)
    assert spread["colour"] == 0


@pytest.mark.parametrize("near", [0, -1.0, np.nan, np.inf, True, "0.5", None])
def test_what_is_near_is_a_positive_number(near):
    for ask in (fitted_grades().log_prob_near, fitted_grades().anomalies):
        with pytest.raises(ValueError, match="`near` must be a positive number"):
            ask(grades(5), near=near)
