import json
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from example_tables import (
    JOINT,
    all_grades,
    facts_hold,
    fitted_grades,
    fitted_rides,
    grades,
    rides,
)
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline

import made_tf
from made_tf import scoring
from made_tf.quality import assess
from made_tf.tables import TableModel, TableNetwork


def test_probabilities_of_all_rows_sum_to_one():
    model, states = fitted_grades(), all_grades()
    assert model.schema_.column("big").kind == "dependent"
    assert np.exp(model.log_prob(states)).sum() == pytest.approx(1, abs=1e-5)


def test_samples_follow_the_probabilities():
    model, states = fitted_grades(), all_grades()
    drawn = model.sample(5000, seed=3)
    keys = [tuple(map(str, row)) for row in states.fillna("?").itertuples(index=False)]
    counts = pd.Series([tuple(map(str, row)) for row in drawn.fillna("?").itertuples(index=False)])
    counts = counts.value_counts().reindex(keys, fill_value=0)
    expected = 5000 * np.exp(model.log_prob(states).astype(float))
    expected *= 5000 / expected.sum()
    few = expected < 5
    observed = np.append(counts[~few], counts[few].sum())
    expected = np.append(expected[~few], expected[few].sum())
    keep = expected > 0
    assert scipy.stats.chisquare(observed[keep], expected[keep]).pvalue > 1e-3


def test_drawn_frames_are_like_the_table_and_keep_its_facts():
    model, frame = fitted_rides(), rides()
    drawn = model.sample(500, seed=1)
    assert (drawn.dtypes == frame.dtypes).all()
    assert drawn.columns.tolist() == frame.columns.tolist()
    assert facts_hold(drawn).all()
    assert drawn["ride"].is_unique
    assert not set(drawn["ride"]) & set(frame["ride"])
    assert drawn["payment"].isna().any()  # a state like others
    assert drawn["passengers"].isna().any()
    for name in ("fare", "tip", "passengers", "pickup"):
        assert drawn[name].min() >= frame[name].min()
        assert drawn[name].max() <= frame[name].max()


def test_a_seed_is_a_table_of_rows():
    model = fitted_rides()
    whole = model.sample(300, seed=5)
    pd.testing.assert_frame_equal(model.sample(20, seed=5), whole[:20])
    assert not whole.equals(model.sample(300, seed=6))


def test_log_prob_is_that_of_the_network_whatever_the_order_of_columns():
    model, frame = fitted_rides(), rides(60, seed=9)
    x = model.schema_.encode_frame(frame).x
    known = ~np.isnan(x).any(axis=1)
    found = model.log_prob(frame)
    np.testing.assert_allclose(
        found[known], scoring.log_prob(model.network_.joint, x[known]), rtol=1e-6
    )
    shuffled = frame[frame.columns[::-1]].assign(more=1)
    np.testing.assert_array_equal(model.log_prob(shuffled), found)
    np.testing.assert_array_equal(model.score_samples(frame), found)
    assert model.score(frame) == pytest.approx(found.mean())


def test_cells_that_never_came_count_as_rare_and_say_nothing_of_others():
    model, frame = fitted_grades(), grades(40, seed=2)
    frame = frame[frame["colour"].notna()].reset_index(drop=True)
    odd = frame.assign(colour="green")
    x = model.schema_.encode_frame(frame).x
    x[:, model.schema_.place("colour")] = np.nan
    queries = made_tf.MADEDistribution(model.network_.questions).queries
    expected = queries.log_marginal(x).log_prob - np.log(301)
    np.testing.assert_allclose(model.log_prob(odd), expected, rtol=1e-5)


def test_numbers_out_of_range_are_scored():
    model = fitted_rides()
    frame = rides(4, seed=3).assign(passengers=[1.0, 9.0, 0.0, -3.0])
    frame["fare"], frame["total"] = 1000.0, 1000.0 + frame["tip"]
    assert np.isfinite(model.log_prob(frame)).all()
    x, new, _ = model.schema_.encode_frame(frame)
    column = model.schema_.names.index("passengers")
    assert new[:, column].tolist() == [False, True, True, True]
    assert np.isnan(x[1:, model.schema_.place("passengers")]).all()
    assert not new[:, model.schema_.names.index("fare")].any()  # by the tails


def test_contradictions_count_as_rare():
    model, frame = fitted_grades(), grades(20, seed=2)
    wrong = frame.assign(big=~frame["big"])
    expected = model.log_prob(frame) - np.log(301)
    np.testing.assert_allclose(model.log_prob(wrong), expected, rtol=1e-5)


def test_missing_columns_are_refused_by_name():
    with pytest.raises(ValueError, match=r"It lacks \['zone', 'tip'\]"):
        fitted_rides().log_prob(rides(5).drop(columns=["zone", "tip"]))


def test_impute_keeps_what_is_known_and_leaves_nothing_missing():
    model = fitted_rides()
    frame = rides(80, seed=4)
    frame.index = np.arange(100, 180)
    names = [name for name in frame if name != "ride"]
    hidden = np.random.default_rng(0).random((80, len(names))) < 0.3
    holes = frame.copy()
    holes[names] = frame[names].mask(hidden)
    filled = model.impute(holes, seed=1)
    assert filled.index.equals(frame.index)
    assert not filled[names].isna().any().any()
    for number, name in enumerate(names):
        known = ~hidden[:, number] & frame[name].notna().to_numpy()
        pd.testing.assert_series_equal(
            filled[name][known], frame[name][known], check_dtype=False, check_index=True
        )
    assert facts_hold(filled).all()
    zone = holes.loc[105, "zone"]
    holes.loc[105, "zone"] = "Rome"
    assert model.impute(holes, seed=1)["zone"][105] == "Rome"
    holes.loc[105, "zone"] = zone
    draws = model.impute(holes, seed=1, num_draws=2)
    pd.testing.assert_frame_equal(draws[0], filled)
    assert not draws[1].equals(filled)


def test_filled_cells_follow_the_conditional_without_missing_ones():
    model, count = fitted_grades(), 4000
    holes = pd.DataFrame({"level": ["mid"] * count, "side": ["left"] * count})
    filled = model.impute(holes, seed=2)
    assert set(filled["colour"]) == {"red", "blue"}
    place = model.schema_.place("colour").start
    x = np.full((2, 3), np.nan, np.float32)
    x[:] = model.schema_.encode_frame(filled[:1]).x
    x[:, place] = [0, 1]  # blue, red
    evidence = x.copy()
    evidence[:, place] = np.nan
    asked = np.where(np.isnan(evidence), x, np.nan)
    queries = made_tf.MADEDistribution(model.network_.questions).queries
    proba = np.exp(queries.conditional_log_prob(asked, evidence).log_prob)
    observed = filled["colour"].value_counts()[["blue", "red"]]
    expected = proba / proba.sum() * count
    assert scipy.stats.chisquare(observed, expected).pvalue > 1e-3
    assert not filled["big"].any()  # which the level determines


def test_predict_proba_is_bayes_rule_on_both_networks():
    model, frame = fitted_grades(), grades(30, seed=5)  # a missing colour is one that is known
    found = model.predict_proba(frame, "side")
    x = model.schema_.encode_frame(frame).x
    queries = made_tf.MADEDistribution(model.network_.questions).queries
    place = model.schema_.place("side").start
    evidence, asked = x.copy(), np.full_like(x, np.nan)
    evidence[:, place] = np.nan
    asked[:, place] = 0  # left
    left = np.exp(queries.conditional_log_prob(asked, evidence).log_prob)
    joint = np.stack(
        [model.log_prob(frame.assign(side=side)) for side in ("left", "right")], axis=1
    )
    expected = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
    expected = (expected + np.stack([left, 1 - left], axis=1)) / 2
    np.testing.assert_allclose(found[["left", "right"]], expected, rtol=1e-4)
    assert found.index.equals(frame.index)
    best = model.predict(frame, "side")["side"]
    np.testing.assert_array_equal(best, np.array(["left", "right"])[expected.argmax(axis=1)])


def test_determined_columns_have_the_probabilities_of_what_determines_them():
    model, frame = fitted_grades(), grades(40, seed=5)
    hidden = frame.drop(columns=["level", "big"])
    levels, big = (model.predict_proba(hidden, name) for name in ("level", "big"))
    assert big.columns.tolist() == ["False", "True"]
    np.testing.assert_allclose(big["True"], levels["high"], rtol=1e-5)
    np.testing.assert_allclose(big.sum(axis=1), 1, rtol=1e-5)
    known = model.predict_proba(frame.drop(columns="big"), "big")
    np.testing.assert_array_equal(known["True"] == 1, frame["big"])
    assert known.isin([0, 1]).all(axis=None)


def test_whole_numbers_of_few_values_have_probabilities():
    model, frame = fitted_rides(), rides(20, seed=6)
    assert model.schema_.column("passengers").family == "ordinal"
    found = model.predict_proba(frame[["zone", "shared"]], "passengers")
    assert found.columns.tolist() == ["1", "2", "3", "4"]
    asked, evidence = np.full((2, 20, len(model.schema_.variables)), np.nan, np.float32)
    own = model.schema_.encode_frame(frame, absent_is_unknown=True).x
    for name in ("zone", "shared"):
        evidence[:, model.schema_.place(name)] = own[:, model.schema_.place(name)]
    queries, each = made_tf.MADEDistribution(model.network_.questions).queries, []
    for code in range(4):
        asked[:, model.schema_.place("passengers")] = code
        each.append(queries.conditional_log_prob(asked, evidence).log_prob)
    expected = np.exp(each).T
    assert expected.sum(axis=1).max() < 0.999  # the rest is that of a missing cell
    np.testing.assert_allclose(found, expected / expected.sum(axis=1)[:, None], rtol=1e-4)


def test_predict_of_numbers_is_a_median_within_the_data():
    model, frame = fitted_rides(), rides(10, seed=6)
    found = model.predict(frame.drop(columns="total"), "passengers", num_draws=9)
    assert found["passengers"].between(1, 4).all()
    with pytest.raises(ValueError, match=r"`column` must be one of classes. 'fare' is numbers"):
        model.predict_proba(frame, "fare")


def test_given_cells_are_those_of_all_rows():
    model = fitted_rides()
    drawn = model.sample(30, seed=1, given={"zone": "Harlem", "shared": True})
    assert (drawn["zone"] == "Harlem").all()
    assert drawn["shared"].all()
    assert facts_hold(drawn).all()
    queens = model.sample(30, seed=1, given={"borough": "Queens"})
    assert set(queens["zone"]) <= {"Astoria", "Jamaica"}
    each = model.sample(2, given=pd.DataFrame({"zone": ["Harlem", "Chelsea"]}))
    assert each["zone"].tolist() == ["Harlem", "Harlem", "Chelsea", "Chelsea"]
    with pytest.raises(ValueError, match=r"`given` names columns that are not there: \['town'\]"):
        model.sample(given={"town": "Rome"})
    with pytest.raises(ValueError, match="must have cells that the table has had. .*'Rome' for"):
        model.sample(given={"zone": "Rome"})


def test_the_odd_row_comes_first_and_says_why():
    model, frame = fitted_rides(), rides(50, seed=8)
    frame.loc[7, ["fare", "total"]] = [900.0, 900.0 + frame.loc[7, "tip"]]
    frame.loc[9, "borough"] = "Queens" if frame.loc[9, "borough"] == "Manhattan" else "Manhattan"
    found = model.anomalies(frame, top=3)
    assert found["row"].tolist()[0] == 7
    assert "fare 900: expected" in found["why"].iloc[0]
    whole = model.anomalies(frame)
    np.testing.assert_allclose(whole["score"], -model.log_prob_near(frame), rtol=1e-5)
    assert "contradicts determined by zone" in whole["why"][9]
    surprise = model.surprise(frame)
    assert surprise.columns.tolist() == frame.columns.tolist()
    assert surprise["fare"].idxmax() == 7


def test_files_keep_everything(tmp_path):
    model, frame = fitted_rides(), rides(20, seed=3)
    model.save(tmp_path / "rides.keras")
    opened = TableModel.load(tmp_path / "rides.keras")
    pd.testing.assert_frame_equal(opened.sample(20, seed=2), model.sample(20, seed=2))
    np.testing.assert_array_equal(opened.log_prob(frame), model.log_prob(frame))
    assert str(opened.schema_) == str(model.schema_)
    made_tf.MADE(2, (4,)).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="must be a file of a TableModel"):
        TableModel.load(tmp_path / "other.keras")


def test_files_keep_the_network_of_questions(tmp_path):
    model, holes = fitted_grades(), grades(20, seed=3).drop(columns=["level", "big"])
    model.save(tmp_path / "grades.keras")
    opened = TableModel.load(tmp_path / "grades.keras")
    pd.testing.assert_frame_equal(opened.impute(holes, seed=1), model.impute(holes, seed=1))


def test_the_network_scores_numbers_as_a_keras_model():
    model = fitted_grades()
    x = model.schema_.encode_frame(grades(10, seed=1)).x
    network = model.network_
    assert isinstance(network, TableNetwork)
    np.testing.assert_allclose(network(x), network.joint.log_prob(x), rtol=1e-6)


@pytest.fixture(scope="module")
def without_questions():
    return TableModel(recipe=JOINT, questions=None, seed=7).fit(grades())


def test_one_seed_fixes_training(without_questions):
    again = TableModel(recipe=JOINT, questions=None, seed=7).fit(grades())
    np.testing.assert_array_equal(without_questions.log_prob(grades()), again.log_prob(grades()))


def test_conditions_without_a_network_of_questions(without_questions):
    """By that of whole rows: against how many of drawn rows meet them."""
    drawn = without_questions.sample(4000, seed=3)
    conditions = {
        "level = 'low'": drawn["level"] == "low",
        "colour = 'red' AND side = 'left'": (drawn["colour"] == "red") & (drawn["side"] == "left"),
        "colour IS NULL": drawn["colour"].isna(),
    }
    found = without_questions.probability(list(conditions))
    both = found.probability, found.standard_error
    for probability, error, met in zip(*both, conditions.values(), strict=True):
        by_rows = met.mean()
        error = np.hypot(error, (by_rows * (1 - by_rows) / len(met)) ** 0.5)
        assert 0.02 < by_rows < 0.9
        assert abs(probability - by_rows) < 4.5 * error


def test_scikit_learn_conventions():
    model = TableModel(recipe=JOINT, questions=None)
    assert model.get_params()["seed"] == 0
    assert clone(model).set_params(seed=3).seed == 3
    with pytest.raises(NotFittedError):
        clone(model).sample(1)
    scores = cross_val_score(Pipeline([("model", model)]), grades(120), cv=2)
    assert np.isfinite(scores).all()


def test_without_questions_there_are_no_answers(without_questions):
    model = without_questions
    assert len(model.sample(3)) == 3
    with pytest.raises(ValueError, match="`questions` must not be None"):
        model.impute(grades(5).drop(columns="side"))


def test_polars_comes_out_as_polars():
    polars = pytest.importorskip("polars")
    from polars.testing import assert_frame_equal

    frame = polars.from_pandas(grades().drop(columns="level"))
    model = TableModel(recipe=JOINT, questions=None, find_facts=False).fit(frame)
    drawn = model.sample(10, seed=1)
    assert isinstance(drawn, polars.DataFrame)
    assert drawn.schema == frame.schema
    assert_frame_equal(model.sample(5, seed=1), drawn[:5])


def test_time_is_kept():
    import time

    started = time.monotonic()
    TableModel(recipe=JOINT.overridden(looks=10_000, patience=10_000), questions=None).set_params(
        time_budget=1
    ).fit(grades(60))
    assert time.monotonic() - started < 60


def test_arrays_and_mappings_are_tables_too():
    rng = np.random.default_rng(0)
    model = TableModel(recipe=JOINT, questions=None).fit(rng.normal(size=(200, 2)))
    assert model.sample(3).columns.tolist() == ["x0", "x1"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(model.log_prob(rng.normal(size=(5, 2)))).all()


def test_bad_arguments():
    with pytest.raises(ValueError, match="`seed` must be"):
        TableModel(seed=-1).fit(grades())
    with pytest.raises(ValueError, match="`validation_fraction` must leave rows"):
        TableModel(validation_fraction=0.0).fit(grades())
    with pytest.raises(ValueError, match="`n` must be"):
        fitted_grades().sample(0)
    with pytest.raises(ValueError, match="no column 'price'"):
        fitted_grades().predict(grades(3), "price")


def test_a_schema_is_json():
    content = fitted_rides().schema_.to_dict()
    assert json.loads(json.dumps(content)) == content


def test_a_model_judges_the_rows_that_it_draws():
    model, held_out = fitted_rides(), rides(200, seed=5)
    found = model.quality(held_out, rides(400), target="payment", seed=1)
    assert found.counts == {"real": 200, "synthetic": 400, "train": 400}
    assert found.left_out == {"ride": "identifier"}
    own = assess(
        held_out, model.sample(400, seed=1), rides(400), schema=model.schema_, target="payment",
        seed=1,
    )  # fmt: skip
    assert found.to_dict() == own.to_dict()
    with pytest.raises(ValueError, match="`X` must have the columns of the table"):
        model.quality(held_out.drop(columns="fare"))
    with pytest.raises(ValueError, match="`seed` must be"):
        model.quality(held_out, seed=2.5)
    with pytest.raises(ValueError, match="`target` must be one of"):
        model.quality(held_out, target="town")
