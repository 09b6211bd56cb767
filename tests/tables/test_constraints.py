"""Fixed combinations and unique columns: they hold in every row that is drawn."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import made_tf
from made_tf.export import LiteTable
from made_tf.tables import (
    FixedCombinations,
    Inequality,
    Sum,
    TableModel,
    TableNetwork,
    TableSchema,
    Unique,
)
from made_tf.tables.families import families_of

TOWNS = [("Aix", "FR", 1), ("Bonn", "DE", 1), ("Bonn", "US", 2), (None, "FR", 2), ("Cork", "IE", 1)]
TOGETHER = ["town", "country", "zone"]


DAYS = ["fri", "mon", "thu", "tue", "wed"]
NUM_SEATS, COUNT = 80, 300
SEATS = [*(f"s{number:02}" for number in range(NUM_SEATS - 1)), None]


def places(count=COUNT, seed=0):
    """Bookings in towns, one of which has a name in two countries and one has none.

    No seat comes twice on a day. The number of one seat is missing.
    """
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(TOWNS), count, p=[0.3, 0.3, 0.1, 0.1, 0.2])
    frame = pd.DataFrame([TOWNS[row] for row in rows], columns=TOGETHER)
    pairs = rng.permutation([(seat, day) for seat in range(NUM_SEATS) for day in range(5)])[:count]
    frame["seat"] = np.array(SEATS, object)[pairs[:, 0]]
    frame["day"] = np.array(DAYS)[pairs[:, 1]]
    frame["member"] = rng.random(count) < np.where(frame["country"] == "FR", 0.9, 0.2)
    frame.insert(0, "booking", [f"b{number:04}" for number in range(count)])
    return frame


def combinations(frame):
    return set(frame[TOGETHER].astype(object).where(frame[TOGETHER].notna(), None).itertuples(
        index=False, name=None
    ))  # fmt: skip


@pytest.fixture(scope="module")
def booked():
    """Networks with weights as they come: what they learn makes no difference here."""
    constraints = [FixedCombinations(TOGETHER), Unique(["seat", "day"]), Unique("booking")]
    with pytest.warns(UserWarning, match="identifiers"):
        schema = TableSchema.infer(places(), constraints=constraints)
    x, rng = schema.encode_frame(places()).x, np.random.default_rng(0)
    networks = [
        made_tf.MADE(x.shape[1], (16,), conditionals=families_of(schema, x), num_masks=n, seed=1)
        for n in (1, None)
    ]
    for network in networks:
        for weights in network.trainable_variables:
            weights.assign(0.5 * rng.normal(size=weights.shape))
    found = TableModel()
    found.network_ = TableNetwork(schema, *networks)
    return found


@pytest.fixture(scope="module")
def model(booked):
    """The same networks, of a table whose rows may repeat."""
    own, network = booked.schema_, booked.network_
    schema = TableSchema(own.columns, own.library, own.num_rows)
    found = TableModel()
    found.network_ = TableNetwork(schema, network.joint, network.questions)
    return found


@pytest.fixture(scope="module")
def device(booked, tmp_path_factory):
    path = tmp_path_factory.mktemp("device") / "places.tflite"
    booked.to_tflite(path)
    return LiteTable(path)


def all_states():
    """A row for each state."""
    rows = [
        ("", *town, seat, day, member)
        for town, seat, day, member in itertools.product(TOWNS, SEATS, DAYS, [True, False])
    ]
    return pd.DataFrame(rows, columns=places(2).columns)


def test_only_combinations_of_the_table_come(model):
    drawn = model.sample(3000, seed=1)
    assert combinations(drawn) == set(TOWNS)
    assert (drawn.dtypes == places().dtypes).all()
    assert "one of 5 combinations with country, zone" in str(model.schema_)
    assert model.schema_.variables[0] == "town + country + zone"
    pd.testing.assert_frame_equal(model.sample(20, seed=1), drawn[:20])


def test_combinations_are_drawn_as_often_as_the_density_says(model):
    states = all_states()
    probs = np.exp(model.log_prob(states).astype(float))
    assert probs.sum() == pytest.approx(1, abs=1e-5)
    drawn = model.sample(4000, seed=2)
    names = sorted({country for _, country, _ in TOWNS})
    counts = [(drawn["country"] == name).sum() for name in names]
    expected = [probs[(states["country"] == name).to_numpy()].sum() for name in names]
    expected = 4000 * np.array(expected) / sum(expected)
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


def test_given_parts_narrow_the_combinations(model):
    for given, allowed in (
        ({"country": "US"}, {("Bonn", "US", 2)}),
        ({"town": "Bonn"}, {("Bonn", "DE", 1), ("Bonn", "US", 2)}),
        ({"zone": 1}, {TOWNS[0], TOWNS[1], TOWNS[4]}),
        ({"zone": 2, "country": "FR"}, {TOWNS[3]}),
        ({"day": "mon"}, set(TOWNS) - {TOWNS[3]}),  # rows that are filled in lack nothing
    ):
        drawn = model.sample(200, seed=3, given=given)
        assert combinations(drawn) == allowed
    with pytest.raises(ValueError, match=r"contradict others. Received: 2 for 'zone' in row 0"):
        model.sample(given={"town": "Aix", "zone": 2})
    for given in (
        {"town": "Aix", "country": "IE"},
        {"town": ["Aix"], "country": "IE", "zone": None},
    ):
        with pytest.raises(ValueError, match=r"contradict others. Received: 'IE' for 'country'"):
            model.sample(given=pd.DataFrame(given, index=[0]))
    part = pd.DataFrame({"town": ["Bonn", None], "country": [None, "FR"], "zone": [None, None]})
    drawn = model.sample(50, seed=3, given=part)
    assert combinations(drawn[:50]) == {("Bonn", "DE", 1), ("Bonn", "US", 2)}
    assert combinations(drawn[50:]) == {("Aix", "FR", 1)}
    with pytest.raises(ValueError, match=r"must have cells that the table has had. .*'Rome'"):
        model.sample(given={"town": "Rome"})


def test_given_parts_are_answered_as_by_rejection(model):
    given = {"day": "tue", "member": True}
    whole = model.sample(6000, seed=4, given=given)
    kept = whole[whole["zone"] == 1]
    narrowed = model.sample(2000, seed=5, given={**given, "zone": 1})
    counts = [
        each["town"].value_counts().reindex(["Aix", "Bonn", "Cork"]) for each in (kept, narrowed)
    ]
    assert scipy.stats.chi2_contingency(np.array(counts)).pvalue > 1e-3


def test_holes_are_filled_within_the_combinations(model):
    frame = places(300, seed=7)
    frame = frame[frame["town"].notna()].reset_index(drop=True)
    rng = np.random.default_rng(0)
    frame = frame[frame["seat"].notna()].drop(columns="booking").reset_index(drop=True)
    hidden = rng.random(frame.shape) < 0.4
    holes = frame.mask(hidden)
    filled = model.impute(holes, seed=1)
    filled = filled.drop(columns="booking")
    assert not filled.isna().any(axis=None)
    assert combinations(filled) <= set(TOWNS)
    for number, name in enumerate(frame):
        known = ~hidden[:, number]
        assert (filled[name][known] == frame[name][known]).all()
    first, second = model.impute(holes, seed=1, num_draws=2)
    pd.testing.assert_frame_equal(first.drop(columns="booking"), filled)
    assert not second.equals(first)


def test_frames_without_rows_stay_so(model):
    empty = places(5)[:0].drop(columns="booking")
    assert len(model.impute(empty)) == 0
    assert model.schema_.encode_frame(places(5)[:0]).x.shape == (0, 4)
    for name in ("zone", "town", "member"):
        assert len(model.predict_proba(empty, name)) == 0
        assert model.predict(empty, name)[name].dtype == empty[name].dtype


def test_unseen_combinations_are_rare_and_told_of(model):
    frame = places(30, seed=8).assign(town="Cork", country="IE", zone=1)
    wrong = frame.assign(zone=2)
    queries = made_tf.MADEDistribution(model.network_.questions).queries
    x = model.schema_.encode_frame(frame).x
    x[:, 0] = np.nan
    expected = queries.log_marginal(x).log_prob - np.log(COUNT + 1)
    np.testing.assert_allclose(model.log_prob(wrong), expected, rtol=1e-5)
    missing = frame.assign(town=None)  # occurs, and IE occurs, but not together
    np.testing.assert_allclose(model.log_prob(missing), expected, rtol=1e-5)
    assert len(model._asked().spread) == len(model.schema_.variables)
    assert "contradicts one of 5 combinations" in model.anomalies(wrong)["why"][0]
    assert (model.log_prob_near(frame) > model.log_prob_near(wrong)).all()
    rome = frame.assign(town="Rome")
    np.testing.assert_allclose(model.log_prob(rome), expected, rtol=1e-5)


def test_columns_of_a_combination_are_predicted(model):
    frame = places(40, seed=9)
    found = model.predict_proba(frame.drop(columns="country"), "country")
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert (found["IE"][frame["town"] == "Cork"] == 1).all()
    nothing = frame.drop(columns=TOGETHER)
    country = model.predict_proba(nothing, "country")
    assert (country > 0).all(axis=None)
    own = model.predict(nothing, "country")["country"]
    assert own.tolist() == country.idxmax(axis=1).tolist()
    zone = model.predict(frame.drop(columns="zone"), "zone")["zone"]
    assert zone.dtype == frame["zone"].dtype
    assert (zone == frame["zone"]).all()
    assert model.surprise(frame).shape == frame.shape
    assert np.isfinite(model.surprise(frame)).all(axis=None)


def test_parts_of_combinations_tell_of_other_columns(model):
    frame = pd.DataFrame({"day": ["tue"] * 300, "zone": 1})
    found = model.predict_proba(frame, "member")["True"]
    queries = made_tf.MADEDistribution(model.network_.questions).queries
    day = model.schema_.encode_frame(frame[:1], absent_is_unknown=True).x
    place = model.schema_.place("member").start

    def log_prob(asked, **given):
        rows = [np.full_like(day, np.nan), day.copy()]
        for row, cells in zip(rows, (asked, given), strict=True):
            for name, value in cells.items():
                row[:, {"town": 0, "member": place}[name]] = value
        return queries.conditional_log_prob(*rows).log_prob[0]

    codes = [n for n, row in enumerate(model.schema_.column("zone").combinations) if row[2] == 1]
    weights = np.exp([log_prob({"town": code}) for code in codes])
    each = np.exp([log_prob({"member": 1}, town=code) for code in codes])
    assert np.ptp(each) > 0.1
    assert found.mean() == pytest.approx(np.average(each, weights=weights), abs=0.02)
    single = model.predict_proba(frame[:1].assign(country="IE"), "member")["True"]
    code = model.schema_.column("zone").combinations.index(["Cork", "IE", 1])
    assert single[0] == pytest.approx(each[codes.index(code)], rel=1e-4)


def test_files_and_devices_keep_the_constraints(booked, device, tmp_path):
    booked.save(tmp_path / "places.keras")
    opened = TableModel.load(tmp_path / "places.keras")
    drawn = booked.sample(150, seed=2)
    pd.testing.assert_frame_equal(opened.sample(150, seed=2), drawn)
    cells = pd.DataFrame(device.sample(150, seed=2))
    assert combinations(cells) <= set(TOWNS)
    assert repeats(cells) == 0
    assert (cells["day"] == drawn["day"]).mean() > 0.95
    assert (cells["country"] == drawn["country"]).mean() > 0.95
    frame = places(20, seed=3)
    frame = frame.assign(
        town=frame["town"].astype(object).where(frame["town"].notna(), None),
        seat=frame["seat"].astype(object).where(frame["seat"].notna(), None),
    )
    scores = device.log_prob(frame.to_dict("list"))
    np.testing.assert_allclose(scores, booked.log_prob(places(20, seed=3)), atol=1e-3)
    assert np.isneginf(device.log_prob(frame.assign(country="XX").to_dict("list"))).all()
    content = booked.schema_.to_dict()
    assert json.loads(json.dumps(content)) == content
    names = [each["name"] for each in device.sampler.metadata["variables"]]
    assert names[0] == "town + country + zone"


def test_bad_combinations_are_told_of():
    frame = places(60)
    frame["seat"] = np.arange(60) % 7
    frame["total"] = frame["zone"] + frame["seat"]
    frame["planet"] = "Earth"
    for constraint, told in (
        (FixedCombinations(["town", "land"]), r"columns that are not there: \['land'\]"),
        (FixedCombinations(["town", "planet"]), "needs columns that vary. Received: 'planet'"),
    ):
        with pytest.raises(ValueError, match=told):
            TableSchema.infer(frame, constraints=[constraint])
    for names in ("town", ["town"], ["town", "town"]):
        with pytest.raises(ValueError, match="needs a list of 2 names or more, each once"):
            FixedCombinations(names)
    pair = FixedCombinations(["town", "zone"])
    with pytest.raises(ValueError, match="determines 'zone', as another one does"):
        TableSchema.infer(frame, constraints=[pair, FixedCombinations(["zone", "day"])])
    with pytest.raises(ValueError, match="must not have 'zone' both in FixedCombinations and"):
        TableSchema.infer(frame, constraints=[pair, Sum("total", ["zone", "seat"])])
    with pytest.raises(ValueError, match="must be a list of Inequality, Sum, Fixed"):
        TableSchema.infer(frame, constraints=["zone"])
    with pytest.raises(ValueError, match="must not have 'zone' both"):
        TableSchema.infer(frame, constraints=[Inequality("zone", "total"), pair])


# Unique columns.


def repeats(frame):
    return int(frame.duplicated(["seat", "day"]).sum())


def test_no_two_drawn_rows_share_unique_cells(booked):
    drawn = booked.sample(180, seed=1)
    assert repeats(drawn) == 0
    assert drawn["seat"].isna().any()
    assert drawn["booking"].is_unique
    free = made_tf.MADEDistribution(booked.network_.joint).stream(180, 1)
    whole = booked.schema_.frame(booked.schema_.decode(np.concatenate(list(free))))
    assert repeats(whole) > 10  # without which nothing was drawn again
    first = ~whole.duplicated(["seat", "day"])
    kept = (drawn["day"] == whole["day"]) & (drawn["seat"].fillna("") == whole["seat"].fillna(""))
    assert kept[first].mean() > 0.8
    pd.testing.assert_frame_equal(booked.sample(180, seed=1), drawn)
    pd.testing.assert_frame_equal(booked.sample(70, seed=1), drawn[:70])
    assert "no two rows share: seat, day" in str(booked.schema_)


def test_given_rows_share_no_unique_cells(booked):
    drawn = booked.sample(40, seed=2, given={"day": "tue"})
    assert repeats(drawn) == 0
    assert (drawn["day"] == "tue").all()
    pd.testing.assert_frame_equal(booked.sample(15, seed=2, given={"day": "tue"}), drawn[:15])
    both = pd.DataFrame({"day": ["mon", "mon", "fri"], "paid": [True, False, True]})
    assert repeats(booked.sample(12, seed=3, given=both)) == 0


def test_too_many_unique_rows_are_refused_with_their_number(booked):
    with pytest.raises(ValueError, match=r"`n` must be so few .* (\d+) different ones were found"):
        booked.sample(NUM_SEATS + 5, seed=2, given={"day": "tue"})
    with pytest.raises(ValueError, match=r"\['seat', 'day'\]: 1 different ones .* in 0 rounds"):
        booked.sample(3, given={"day": "tue", "seat": "s04"})


def test_tables_that_repeat_are_refused():
    frame = places(40)
    frame.loc[7, ["seat", "day"]] = frame.loc[3, ["seat", "day"]]
    with pytest.raises(ValueError, match="39 of 40 rows are different; rows 3 and 7"):
        TableSchema.infer(frame, constraints=[Unique(("seat", "day"))])
    with pytest.raises(ValueError, match=r"columns that are not there: \['chair'\]"):
        TableSchema.infer(frame, constraints=[Unique("chair")])
    with pytest.raises(ValueError, match="needs a list of names, each once"):
        Unique([])
