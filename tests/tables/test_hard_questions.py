"""What is asked of tables at their edges: nothing known, contradictions, cells out of range."""

import warnings

import numpy as np
import pandas as pd
import pytest
from example_tables import facts_hold, fitted_grades, fitted_rides, grades, rides

import made_tf
from made_tf.tables import TableModel, TableNetwork, TableSchema, words
from made_tf.tables.families import families_of


def test_given_cells_that_contradict_each_other_are_refused():
    model = fitted_rides()
    for given, column in (
        ({"total": 10.0, "fare": 20.0, "tip": 1.0}, "total"),
        ({"zone": "Harlem", "borough": "Queens"}, "borough"),
        ({"pickup": pd.Timestamp("2019-03-05"), "dropoff": pd.Timestamp("2019-03-04")}, "dropoff"),
    ):
        with pytest.raises(ValueError, match=f"contradict others. Received: .* for '{column}'"):
            model.sample(2, given=given)
    with pytest.raises(ValueError, match=r"Received: 20.123 for 'fare' in row 0"):
        model.sample(2, given={"fare": 20.123})


def test_sums_and_ends_follow_from_cells_out_of_range():
    model, frame = fitted_rides(), rides(6, seed=3)
    far = frame.assign(fare=900.0, pickup=frame["pickup"] + pd.Timedelta(days=4000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filled = model.impute(far.drop(columns=["total", "dropoff"]), seed=1)
        assert facts_hold(filled).all()
        assert (filled["fare"] == 900).all()
        assert (filled["total"] >= 900).all()
        assert (filled["dropoff"] - far["pickup"] < pd.Timedelta(hours=2)).all()
        off_grid = model.impute(frame.assign(fare=20.123).drop(columns="total"), seed=1)
        assert (off_grid["fare"] == 20.123).all()
        np.testing.assert_allclose(off_grid["total"], 20.123 + off_grid["tip"], atol=0.006)


def test_parts_of_a_known_total_stay_in_range():
    model, frame = fitted_rides(), rides()
    drawn = model.sample(60, seed=1, given={"total": 14.0})
    assert facts_hold(drawn).all()
    assert (drawn["total"] == 14).all()
    for name in ("fare", "tip"):
        assert drawn[name].between(frame[name].min(), frame[name].max()).all()
    single = model.sample(2, seed=1, given={"total": 20.0, "fare": 30.0})
    assert (single["tip"] == -10).all()  # as it must be
    with pytest.warns(UserWarning, match="lie out of range to make a total"):
        model.sample(1, seed=1, given={"total": 1000.0})


def test_frames_without_rows_have_answers_without_rows():
    model, empty = fitted_grades(), grades(5)[:0]
    assert [len(each) for each in model.impute(empty, num_draws=2)] == [0, 0]
    for name in empty:
        assert model.predict(empty, name).columns.tolist() == [name]
    assert len(model.predict_proba(empty, "side")) == 0


def test_a_column_is_predicted_from_nothing():
    model, frame = fitted_grades(), grades(4)
    with pytest.raises(ValueError, match=r"`X` must have columns of the table"):
        model.predict(frame[[]].assign(more=1), "side")
    alone = model.predict_proba(frame[["side"]], "side")
    assert len(alone) == 4
    hidden = frame.assign(level=None, big=None, colour=None)[["level", "big"]]
    np.testing.assert_allclose(alone, model.predict_proba(hidden, "side"), rtol=1e-5)
    assert model.predict(frame[["big"]], "big")["big"].nunique() == 1


def test_what_a_column_determines_narrows_its_classes():
    model, frame = fitted_rides(), rides(30, seed=6)
    found = model.predict_proba(frame.drop(columns="zone"), "zone")
    queens = frame["borough"] == "Queens"
    assert (found.loc[queens, ["Chelsea", "Harlem"]] == 0).all(axis=None)
    assert (found.loc[~queens, ["Astoria", "Jamaica"]] == 0).all(axis=None)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    without = model.predict_proba(frame.drop(columns=["zone", "borough"]), "zone").to_numpy()
    allowed = np.where(queens.to_numpy()[:, None], [1, 0, 0, 1], [0, 1, 1, 0])
    expected = without * allowed
    np.testing.assert_allclose(found, expected / expected.sum(axis=1)[:, None], rtol=1e-4)
    level = fitted_grades().predict_proba(grades(40)[["big"]], "level")
    np.testing.assert_array_equal(level["high"] == 1, grades(40)["big"])


def test_grades_that_may_be_missing_have_the_probabilities_of_the_network():
    names, rng = ["low", "mid", "high"], np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "level": pd.Categorical(rng.choice([*names, None], 80), names, ordered=True),
            "side": rng.choice(["left", "right"], 80),
            "kind": rng.choice(["a", "b", None], 80),
        }
    )
    schema = TableSchema.infer(frame)
    x = schema.encode_frame(frame).x
    networks = [
        made_tf.MADE(3, (16,), conditionals=families_of(schema, x), num_masks=masks, seed=1)
        for masks in (1, None)
    ]
    for network in networks:
        for weights in network.trainable_variables:
            weights.assign(rng.normal(size=weights.shape))
    model = TableModel()
    model.network_ = TableNetwork(schema, *networks)
    found = model.predict_proba(frame[["side"]], "level")
    asked, evidence = np.full((2, 3, 80, 3), np.nan, np.float32)
    asked[..., 0] = np.arange(3)[:, None]
    evidence[..., 1] = x[:, 1]
    queries = made_tf.MADEDistribution(networks[1]).queries
    each = [
        queries.conditional_log_prob(a, e).log_prob for a, e in zip(asked, evidence, strict=True)
    ]
    expected = np.exp(each).T
    assert expected.sum(axis=1).max() < 0.999  # the rest is that of a missing cell
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[names], expected, rtol=1e-4)


def test_neighbouring_seeds_have_no_draws_in_common():
    model, holes = fitted_grades(), pd.DataFrame({"side": ["left"] * 600})
    x = model.schema_.encode_frame(holes, absent_is_unknown=True).x
    known = np.isfinite(x)
    queries = made_tf.MADEDistribution(model.network_.questions).queries
    drawn = [queries.draw_rows(np.nan_to_num(x), known, 1, seed, np.arange(600)) for seed in (0, 1)]
    place = model.schema_.place("colour").start
    missing = [each[0][:, place] == 2 for each in drawn]
    again = missing[0] & ~missing[1]  # drawn anew under the first seed, not under the second
    assert again.sum() > 30
    first, second = (model.impute(holes, seed=seed)[again] for seed in (0, 1))
    assert (first == second).all(axis=1).mean() < 0.6


def test_seeds_are_checked_everywhere():
    model, holes = fitted_grades(), grades(3)[["level"]]
    for seed in (2.5, None, 2**31, "1"):
        with pytest.raises(ValueError, match="`seed` must be"):
            model.impute(holes, seed=seed)
        with pytest.raises(ValueError, match="`seed` must be"):
            model.sample(2, seed, given={"side": "left"})
    with pytest.raises(ValueError, match="`num_draws` must be"):
        model.predict(holes, "side", num_draws=0)


def test_bad_paths_are_told_of_by_name(tmp_path):
    model = fitted_grades()
    for name in ("model", "model.h5"):
        with pytest.raises(ValueError, match=rf"`path` must end in .keras. Received: '.*{name}'"):
            model.save(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="No such file: .*absent.keras"):
        TableModel.load(tmp_path / "absent.keras")
    model.save(tmp_path / "whole.keras")
    content = bytearray((tmp_path / "whole.keras").read_bytes())
    content[len(content) // 2] ^= 255
    for name, damaged in (("cut", content[:500]), ("empty", b""), ("flipped", content)):
        path = tmp_path / f"{name}.keras"
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"must be a complete .keras file.*{name}.keras"):
            TableModel.load(path)


def test_time_and_fractions_are_checked():
    for budget in (0, -1, float("nan"), "5m", True):
        with pytest.raises(ValueError, match="`time_budget` must be a positive number of seconds"):
            TableModel(time_budget=budget).fit(grades(40))
    for fraction in (1.5, float("nan"), "a"):
        with pytest.raises(ValueError, match="`validation_fraction` must be a number"):
            TableModel(validation_fraction=fraction).fit(grades(40))


def test_expected_durations_are_told_as_such():
    frame = pd.DataFrame({"wait": pd.to_timedelta(np.arange(60) * 7 % 60, "min")})
    schema = TableSchema.infer(frame)
    x = schema.encode_frame(frame).x
    text = words._range(schema.column("wait"), x[0], 0, x[:, 0], schema)
    assert text == "expected 2 min to 56 min"
