"""Conditions in SQL: the boxes against SQLite, the probabilities against sums over states."""

import decimal
import itertools
import sqlite3

import numpy as np
import pandas as pd
import pytest
from example_tables import all_grades, fitted_grades, fitted_rides, grades, rides

from made_tf.conditionals import MISSING
from made_tf.scoring import mean_nll
from made_tf.tables import TableModel, TableNetwork
from made_tf.tables.boxes import Boxes
from made_tf.tables.conditions import AllOf, parse
from made_tf.tables.probability import _given, _inclusion_and_exclusion
from made_tf.tables.training import split_rows

BIG_AND_LEFT = "level >= 'mid' AND side = 'left'"
TESTS = [
    "zone = 'Harlem'",
    "zone <> 'Harlem'",
    "zone IN ('Harlem', 'Astoria')",
    "zone NOT IN ('Harlem')",
    "borough = 'Queens'",
    "borough <> 'Queens'",
    "fare < 15",
    "fare <= 12.5",
    "14 < fare",
    "fare >= 20.25",
    "fare BETWEEN 10 AND 18.005",
    "fare NOT BETWEEN 10 AND 18",
    "fare > -3",
    "fare > 1e6",
    "tip = 0",
    "tip <> 0",
    "payment IS NULL",
    "payment IS NOT NULL",
    "payment = 'card'",
    "NOT payment = 'card'",
    "passengers = 2",
    "passengers <> 2",
    "passengers NOT IN (1, 3)",
    "passengers < 2.5",
    "passengers IS NULL",
    "shared",
    "shared = FALSE",
    "pickup < '2019-03-20'",
    "pickup >= '2019-03-11 13:30:00'",
    "pickup BETWEEN '2019-03-05 07:00:00' AND '2019-03-25'",
    "pickup <> '2019-03-05 07:00:00'",
    "pickup NOT IN ('2019-03-05 07:00:00', '2019-03-20 01:00:00')",
    "pickup > '1000-01-01 00:00:00'",
    "fare < 1e400",
    "NOT fare < 100000000000000000000000000",
    "TRUE",
]


@pytest.fixture(scope="module")
def database():
    frame = rides()
    frame["pickup"] = frame["pickup"].astype(str)
    connection = sqlite3.connect(":memory:")
    frame.to_sql("rides", connection, index_label="number")
    yield connection
    connection.close()


def chosen(connection, where):
    found = connection.execute(f"SELECT number FROM rides WHERE {where}").fetchall()
    rows = np.zeros(len(rides()), bool)
    rows[[number for (number,) in found]] = True
    return rows


def held(box, family, x):
    """Returns which rows lie in a box, `[N]`."""
    inside = np.ones(len(x), bool)
    for variable, choices in enumerate(family.choices()):
        values = x[:, variable]
        allowed = np.isin(values, choices[box.allowed[0, variable, : len(choices)] > 0])
        if family.is_line[variable]:
            on_line = ~np.isin(values, choices) & (values != np.float32(MISSING))
            between = (values >= box.low[0, variable]) & (values <= box.high[0, variable])
            allowed |= on_line & between
        inside &= allowed
    return inside


def conditions():
    yield from TESTS
    rng = np.random.default_rng(0)
    for _ in range(60):
        first, second, third = rng.choice(TESTS[:-1], 3, replace=False)
        pattern = rng.choice(
            ["{0} AND {1}", "{0} OR {1}", "NOT ({0} AND {1})", "({0} OR {1}) AND NOT {2}",
             "{0} AND {1} OR {2}", "NOT ({0} OR {1}) OR {2}"]
        )  # fmt: skip
        yield pattern.format(f"({first})", f"({second})", f"({third})")


def test_boxes_hold_the_rows_that_sqlite_chooses(database):
    fitted = fitted_rides()._asked()
    model = fitted.queries.model
    boxes = Boxes(fitted.schema, model, "where")
    x = fitted.schema.encode_frame(rides()).x
    seen = 0
    for where in conditions():
        expected = chosen(database, where)
        union = boxes.of(parse("where", where))
        signed = np.zeros(len(x), int)
        for sign, box in _inclusion_and_exclusion(boxes, union):
            signed += sign * held(box, model.conditionals, x)
        np.testing.assert_array_equal(signed, expected.astype(int), err_msg=where)
        seen += 0 < expected.sum() < len(x)
    assert seen > 60


def test_probabilities_are_sums_over_states():
    model, states = fitted_grades(), all_grades()
    queries = model._asked().queries

    def total(frame):
        names = ["colour", "level", "side"]
        x = model.schema_.encode_frame(states).x
        known = np.zeros(x.shape[1], bool)
        for name in frame.columns:
            known[model.schema_.place(name)] = True
        assert set(frame.columns) <= set(names)
        rows = x[pd.MultiIndex.from_frame(states[frame.columns]).isin(
            pd.MultiIndex.from_frame(frame)
        )]  # fmt: skip
        unique = np.unique(np.where(known, rows, np.nan)[:, known], axis=0)
        part = np.full((len(unique), x.shape[1]), np.nan, np.float32)
        part[:, known] = unique
        return np.exp(queries.log_marginal(part).log_prob).sum()

    def product(**values):
        return pd.DataFrame(list(itertools.product(*values.values())), columns=list(values))

    for where, frame in {
        "level >= 'mid'": product(level=["mid", "high"]),
        "big": product(level=["high"]),
        "colour IS NULL": product(colour=[None]),
        "NOT colour = 'red'": product(colour=["blue"]),
        "colour = 'red' AND level <> 'low'": product(colour=["red"], level=["mid", "high"]),
    }.items():
        found = model.probability(where, num_samples=4000)
        error = max(4 * found.standard_error, 1e-5)
        assert found.probability == pytest.approx(total(frame), abs=error), where
        assert found.count == pytest.approx(300 * found.probability)
    exact = model.probability("level = 'low'")
    assert exact.standard_error == 0


def test_a_small_error_is_enough_where_a_tolerance_says_so():
    model, where = fitted_grades(), ["level >= 'mid' AND side = 'left'", "level = 'low'"]
    first = model.probability(where, num_samples=64, seed=1)
    assert first.standard_error[0] > 0.002 * first.probability[0]
    found = model.probability(where, num_samples=4000, seed=1, tolerance=0.002)
    assert 0 < found.standard_error[0] <= 0.002 * found.probability[0]
    everything = model.probability(where, num_samples=4000, seed=1)
    assert everything.standard_error[0] <= found.standard_error[0]
    error = 5 * found.standard_error
    assert (np.abs(found.probability - everything.probability) <= error + 1e-6).all()
    with pytest.raises(ValueError, match="`tolerance` must be a number in"):
        model.probability(where, tolerance=-0.1)


@pytest.mark.parametrize("one_for_both", [False, True])
def test_whole_rows_are_asked_where_they_are_asked_for(one_for_both):
    model = fitted_grades()
    network = model.network_
    if one_for_both:
        model = TableModel()
        model.network_ = TableNetwork(network.schema, network.questions)
    states = all_grades()
    probability = np.exp(model.log_prob(states))
    is_met = ((states["level"] != "low") & (states["side"] == "left")).to_numpy()
    found = model.probability(BIG_AND_LEFT, num_samples=4000, of_whole_rows=True)
    error = 5 * found.standard_error + 1e-5
    assert found.probability == pytest.approx(probability[is_met].sum(), abs=error)
    given = model.probability("level <> 'low'", given="side = 'left'", of_whole_rows=True)
    share = probability[is_met].sum() / probability[(states["side"] == "left").to_numpy()].sum()
    assert given.probability == pytest.approx(share, abs=5 * given.standard_error + 1e-5)
    assert found.probability != model.probability(BIG_AND_LEFT, num_samples=4000).probability
    with pytest.raises(
        ValueError, match="`of_whole_rows` must be True, False or None. Received: 1"
    ):
        model.probability(BIG_AND_LEFT, of_whole_rows=1)


def test_questions_about_more_than_three_variables_are_asked_of_whole_rows():
    model = fitted_rides()
    three = "zone = 'Astoria' AND fare < 15 AND tip = 0"
    four = f"{three} AND shared"
    for where, given, whole in (
        (three, None, False),
        (four, None, True),
        ("fare < 15 AND tip = 0", "zone = 'Astoria'", False),
        ("fare < 15 AND tip = 0", "zone = 'Astoria' AND NOT shared", True),
        (f"{three} AND borough = 'Queens'", None, False),  # follows from the zone
        (f"{three} AND fare IS NOT NULL", None, False),  # as everywhere
    ):
        found = model.probability(where, given, num_samples=100)
        assert found == model.probability(where, given, num_samples=100, of_whole_rows=whole)
        assert found != model.probability(where, given, num_samples=100, of_whole_rows=not whole)
    implied = model.probability(f"{three} AND borough = 'Queens'", num_samples=100)
    assert implied == model.probability(three, num_samples=100)
    together = model.probability([four, three, f"NOT ({four})"], num_samples=4000)
    error = 5 * np.hypot(*together.standard_error[[0, 2]])
    assert 0 < error < 0.1
    assert together.probability[[0, 2]].sum() == pytest.approx(1, abs=error)
    alone = model.probability([three], num_samples=4000)
    assert (together.probability[1], together.standard_error[1]) == (
        alone.probability[0],
        alone.standard_error[0],
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [("nope = 1", "not there: 'nope'"), ("side = 'left' AND side = 'right'", "must be possible")],
)
def test_what_is_given_is_checked_where_nothing_is_asked(given, message):
    with pytest.raises(ValueError, match=message):
        fitted_grades().probability([], given=given)


def test_a_network_of_questions_that_is_far_behind_is_not_asked(tmp_path):
    network, answers = fitted_grades().network_, {}
    for behind in (None, 0.9, 1.1):
        model = TableModel()
        both = network.schema, network.joint, network.questions
        model.network_ = TableNetwork(*both, behind=behind)
        model.save(tmp_path / "grades.keras")
        opened = TableModel.load(tmp_path / "grades.keras")
        assert opened.network_.behind == behind
        answers[behind] = opened.probability(BIG_AND_LEFT).probability
    alone = TableModel()
    alone.network_ = TableNetwork(network.schema, network.joint)
    assert answers[1.1] == alone.probability(BIG_AND_LEFT).probability
    assert answers[0.9] == answers[None] == fitted_grades().probability(BIG_AND_LEFT).probability
    assert answers[1.1] != answers[None]


def test_training_tells_how_far_behind_questions_are():
    model = fitted_grades()
    network, x = model.network_, model.schema_.encode_frame(grades()).x
    known = split_rows(x, 0.1, 0, model.schema_.variables).valid
    expected = mean_nll(network.questions, known)[0] - mean_nll(network.joint, known)[0]
    assert network.behind == pytest.approx(expected, abs=1e-3)


def test_alternatives_and_what_is_given():
    model = fitted_grades()
    each = ["colour = 'red'", "side = 'left'", "colour = 'red' AND side = 'left'"]
    either = "colour = 'red' OR side = 'left'"
    red, left, both, either = model.probability([*each, either]).probability
    assert either == pytest.approx(red + left - both, abs=0.02)
    given = model.probability("side = 'left'", given={"colour": "red"}, num_samples=4000)
    assert given.probability == pytest.approx(both / red, abs=0.02)
    same = model.probability(["side = 'left'"], given="colour = 'red'", num_samples=4000)
    assert same.probability[0] == given.probability
    estimated = model.probability("side = 'left'", given="level >= 'mid'", num_samples=100)
    assert 0 < estimated.standard_error < 0.1
    assert model.probability("side = 'left' OR side = 'right'").probability == pytest.approx(1)
    assert model.probability("FALSE").probability == 0
    assert model.probability("big AND level = 'low'").probability == 0


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_a_cell_that_is_given_as_missing_is(missing):
    assert _given({"passengers": missing}) == AllOf((parse("given", "passengers IS NULL"),))
    model = fitted_grades()
    expected = model.probability("side = 'left'", given="colour IS NULL", num_samples=20)
    assert model.probability("side = 'left'", {"colour": missing}, num_samples=20) == expected


def test_cells_are_given_as_any_library_has_them():
    expected = parse("given", "fare = 12.5 AND pickup = '2019-03-05T07:00:00'")
    for fare in (12.5, np.float32(12.5), decimal.Decimal("12.5")):
        moment = np.datetime64("2019-03-05T07:00:00", "s")
        assert _given({"fare": fare, "pickup": moment}) == expected
    assert _given({"pickup": moment.astype("M8[ns]")}).parts[0].values[0].startswith(str(moment))


def test_alternatives_within_others_add_nothing():
    fitted = fitted_rides()._asked()
    boxes = Boxes(fitted.schema, fitted.queries.model, "where")
    nested = " OR ".join(f"(fare < {10 + k / 4} AND passengers = 2)" for k in range(40))
    ((sign, box),) = _inclusion_and_exclusion(boxes, boxes.of(parse("where", nested)))
    (widest,) = boxes.of(parse("where", "fare < 19.75 AND passengers = 2"))
    assert sign == 1
    for own, expected in zip(box, widest, strict=True):
        np.testing.assert_array_equal(own, expected)
    model = fitted_grades()
    once = model.probability("colour = 'red' AND side = 'left'")
    assert model.probability(" OR ".join(["colour = 'red' AND side = 'left'"] * 1000)) == once


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("\"big side\" = 'red'", "names a column that is not there: 'big side'"),
        ("colr = 'red'", "names a column that is not there: 'colr'"),
        ("colour = 'green'", "has no such value: 'green'"),
        ("colour < 'red'", "has no order"),
        ("colour LIKE 'r%'", "`where` may say AND, OR, NOT"),
        ("colour = side", "`where` may say"),
        ("colour = NULL", "`where` may say"),
        ("colour IN (SELECT 1)", "`where` may say"),
        ("colour < 1e", "`where` may say"),
        ("colour = CAST(1.5 AS INT)", "`where` may say"),
        ("colour BETWEEN SYMMETRIC 2 AND 1", "`where` may say"),
        ("colour =", "must be a condition in SQL's words"),
        ("", "must be a condition"),
        (7, "`where` must be a condition or a list"),
        ([7], "`where` must be a condition in SQL's words. Received: 7"),
    ],
)
def test_what_is_no_condition_is_refused_in_words(where, message):
    with pytest.raises(ValueError, match=message):
        fitted_grades().probability(where)


def test_columns_are_refused_that_no_box_describes():
    model = fitted_rides()
    for where in ("total > 20", "dropoff > '2019-03-05'", "ride = 'r1'"):
        with pytest.raises(ValueError, match="may name columns that a model draws"):
            model.probability(where)
    for where in ("fare < 'cheap'", "pickup < 5", "pickup < 'soon'", "pickup < 'now'"):
        with pytest.raises(ValueError, match="must be compared with"):
            model.probability(where)
    with pytest.raises(ValueError, match="`given` must be possible"):
        model.probability("shared", given="fare > 1e9")
