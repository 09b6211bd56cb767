"""What families find in data, and what they refuse."""

import laws
import numpy as np
import pytest
import tensorflow as tf

from made_tf import conditionals as families
from made_tf.conditionals import grids

RNG = np.random.default_rng(0)
ROWS = 300
NORMAL = RNG.normal(size=ROWS)
SPIKED = laws.spiked(ROWS)
REAL = families.NormalMixture, families.LogisticMixture, families.Binned
GRID = (*REAL, families.Discretized)
ALL = (*GRID, families.Count, families.Ordinal)

#: Columns, and which families take them: real numbers, numbers on a grid, classes and counts.
DATA = {
    "constant": (np.full(ROWS, 3.0), ALL),
    "zero": (np.zeros(ROWS), ALL),
    "a constant fraction": (np.full(ROWS, 0.3), GRID),
    "a huge constant": (np.full(ROWS, -1e8), GRID),
    "two values": (np.repeat([0.0, 1.0], [290, 10]), ALL),
    "two far values": (np.repeat([-5e5, 1e6], [290, 10]), GRID),
    "two close values": (np.repeat([0.01, 0.02], [3, 297]), GRID),
    "normal": (NORMAL, REAL),
    "every value twice": (np.repeat(NORMAL[:150], 2), REAL),
    "float32, every value three times": (np.repeat(NORMAL[:100].astype(np.float32) + 3, 3), REAL),
    "an offset of 1e6": (1e6 + NORMAL, REAL),
    "quarters at 1e6": (1e6 + np.round(NORMAL * 4) / 4, GRID),
    "a tiny spread": (1e-6 * NORMAL, REAL),
    "a huge spread": (1e12 * NORMAL, REAL),
    "an outlier": (np.append(NORMAL[1:], 1e20), REAL),
    "spikes": (SPIKED[:, 0], REAL),
    "hundredths": (SPIKED[:, 1], GRID),
    "dozens": (SPIKED[:, 2], ALL),
    "integers": (RNG.poisson(3.0, ROWS), ALL),
    "booleans": (RNG.random(ROWS) < 0.3, ALL),
    "large counts": (RNG.geometric(1e-6, ROWS), (*REAL, families.Count)),
    "negative hundredths": (-np.round(np.abs(NORMAL), 2), GRID),
    "from seven hundredths by fives": (0.07 + 0.05 * RNG.integers(0, 40, ROWS), GRID),
    "grey levels": (RNG.integers(0, 256, ROWS) / 255, REAL),
}


def assert_holds(family, x):
    assert families.get(family, x.shape[1]) is family
    again = type(family).from_config(family.get_config()).bind(x.shape[1])
    x = x.astype(np.float32)
    assert np.asarray(family.in_support(x)).all()
    # At the start, which the network's zeros stand for, not far from the data.
    params = tf.zeros((len(x), family.layout.parameters.total))
    with tf.GradientTape() as tape:
        tape.watch(params)
        log_prob = family.log_prob(params, x)
    assert np.isfinite(tape.gradient(log_prob, params)).all()
    log_prob = np.asarray(log_prob)
    np.testing.assert_array_equal(again.log_prob(params, x), log_prob)
    assert np.isfinite(log_prob).all() and np.isfinite(family.encode(x)).all()
    assert (log_prob[:, family.is_discrete] <= 1e-6).all()
    uniforms = RNG.uniform(1e-6, 1 - 1e-6, (len(x), family.num_uniforms)).astype(np.float32)
    assert np.asarray(family.in_support(family.sample(params, uniforms))).all()
    return log_prob


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", ALL)
def test_data_of_any_kind_are_held(make):
    names = [name for name, (_, makes) in DATA.items() if make in makes]
    x = np.stack([DATA[name][0] for name in names], axis=1).astype(np.float64)
    family = make.from_data(x)
    log_prob = assert_holds(family, x)
    for column, name in enumerate(names):
        scale = 1.0 if family.is_discrete[column] else x[:, column].std() or 1.0
        if name != "an outlier":  # whose spread is that of nothing else
            assert np.median(log_prob[:, column] + np.log(scale)) > -16.0, name


@pytest.mark.parametrize("make", ALL)
def test_one_row_is_enough(make):
    x = np.array([[2.0, 0.0, 7.0]])
    if make not in (families.Count, families.Ordinal):
        x = np.concatenate([x, [[0.123456, -1e6]]], axis=1)
    assert_holds(make.from_data(x), x)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.float16, np.uint8])
def test_integers_may_be_stored_in_any_dtype(dtype):
    x = DATA["dozens"][0][:, None]
    for make in (families.Ordinal, families.Count, families.Discretized, families.Binned):
        found, expected = (make.from_data(each).get_config() for each in (x.astype(dtype), x))
        for name in ("num_classes", "counts", "step", "origin", "steps", "edges"):
            assert found.get(name) == expected.get(name)


@pytest.mark.parametrize(
    ("values", "step", "origin"),
    [
        ([0.0, 0.23, 0.5], 0.01, 0.0),
        ([1.0, 4.0, 10.0], 3.0, 1.0),
        ([0.5, 1.25, 9.0], 0.25, 0.0),
        ([-0.4, 0.2], 0.6, 0.2),
        ([1e6, 1e6 + 12.0], 12.0, 4.0),
        (np.float32([0.1, 0.2, 0.7]), 0.1, 0.0),
        ([0.0, 0.0005], 0.0005, 0.0),
    ],
)
def test_the_coarsest_grid_is_found(values, step, origin):
    np.testing.assert_allclose(grids.find_step(values), (step, origin), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("values", [[0.0, np.pi, np.e], [0.0, 1e-7], [1e6, 1e6 + 0.001], NORMAL])
def test_real_numbers_are_on_no_grid(values):
    assert grids.grid_of(values) is None
    with pytest.raises(ValueError, match="on a grid of at most six decimals.*Binned take any"):
        families.Discretized.from_data(np.reshape(values, (-1, 1)))


def test_binned_gives_spikes_bins_of_their_own():
    x = laws.spiked()
    family = families.Binned.from_data(x)
    assert family.is_discrete.tolist() == [False, True, True]
    assert family.get_config()["steps"] == [0.0, 0.01, 12.0]
    for column, value in ((1, 0.23), (2, 12.0)):
        edges = np.array(family.edges[column])
        step = family.steps[column]
        assert np.abs(edges - (value - step / 2)).min() < 1e-5
        assert np.abs(edges - (value + step / 2)).min() < 1e-5


def test_mixed_takes_names_classes_and_families():
    x = np.stack([NORMAL, RNG.integers(0, 4, 300), RNG.poisson(2.0, 300), NORMAL > 0], axis=1)
    family = families.Mixed.from_data(
        x, ["normal_mixture", families.Ordinal, families.Count(3), "bernoulli"]
    )
    kinds = [families.NormalMixture, families.Ordinal, families.Count, families.Bernoulli]
    assert [type(each) for each in family.families] == kinds
    assert family.families[2].mixture.num_components == 3
    assert np.asarray(family.in_support(x.astype(np.float32))).all()
    inner = families.Inflated(families.Mixed([families.Mixed([families.Count(2)])]), (0.0,))
    nested = families.Mixed([families.Mixed([families.Bernoulli()]), inner, inner]).bind(3)
    assert nested.is_discrete.all()


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (["count"], "`families` must have an entry for each of 2 columns"),
        (["count", "gamma"], "`families` must have a Conditionals.*'gamma' for column 1"),
        (["count", 3], "`families` must have a Conditionals for each column. Received: 3"),
        (["count", "count"], "Column 1: `x` must contain, for count conditionals, a count"),
        (["count", "inflated"], "Column 1: `x` does not tell what an inflated family inflates"),
        (["count", "discretized"], "Column 1: `x` must have values on a grid"),
        ([families.Ordinal(2), "normal"], "Column 0: .* for ordinal conditionals, an integer"),
        (["count", families.Count(2)], "Column 1: `x` must contain, for count conditionals"),
    ],
)
def test_a_column_that_does_not_suit_its_family_is_named(kinds, message):
    x = np.stack([np.arange(9.0), NORMAL[:9]], axis=1)
    with pytest.raises(ValueError, match=message):
        families.Mixed.from_data(x, kinds)


def logistic(*arguments, **keywords):
    return families.LogisticMixture(*arguments, **keywords)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: families.Ordinal(1), "num_classes"),
        (lambda: families.Ordinal([3, 2.5]), "num_classes"),
        (lambda: families.Ordinal(3, [[1, 2]]), "counts"),
        (lambda: families.Ordinal([2, 3], [[1, 2]]).bind(2), "counts"),
        (lambda: families.Ordinal(2, [[1, -2]]), "counts"),
        (lambda: families.Ordinal(2, [[1, np.nan]]), "counts"),
        (lambda: families.Ordinal(2, [[1, 2], [3, 4]]).bind(3), "counts"),
        (lambda: families.Ordinal(2, [[1, 2], [3, 4]]).bind(1), "counts"),
        (lambda: families.Ordinal([2, 3]).bind(3), "num_classes"),
        (lambda: families.NormalMixture(0), "num_components"),
        (lambda: families.NormalMixture(2.0), "num_components"),
        (lambda: families.NormalMixture(2, np.inf), "data_loc"),
        (lambda: families.NormalMixture(2, 0.0, -1.0), "data_scale"),
        (lambda: families.NormalMixture(2, 0.0, [1.0, 0.0]), "data_scale"),
        (lambda: families.NormalMixture(2, knots=[[1.0, 1.0]]), "knots"),
        (lambda: families.NormalMixture(2, knots=[[1.0]]), "knots"),
        (lambda: families.NormalMixture(2, knots=[[1.0, 2.0], [1.0, 2.0, 3.0]]), "knots"),
        (lambda: families.NormalMixture(2, knots=[[1.0, np.nan]]), "knots"),
        (lambda: families.NormalMixture(2, knots=[[1.0, 2.0]]).bind(2), "knots"),
        (lambda: families.NormalMixture(2, min_scale=0.0), "min_scale"),
        (lambda: families.NormalMixture(2, min_scale=[0.1]).bind(2), "min_scale"),
        (lambda: families.Count(0), "num_components"),
        (lambda: families.Count(2, "a"), "data_loc"),
        (lambda: families.Discretized(families.NormalMixture(2)), "mixture"),
        (lambda: families.Discretized(logistic(2), 0.0), "step"),
        (lambda: families.Discretized(logistic(2), [1.0, -1.0]), "step"),
        (lambda: families.Discretized(logistic(2), [1.0]).bind(2), "step"),
        (lambda: families.Discretized(logistic(2), low=np.nan), "low"),
        (lambda: families.Discretized(logistic(2), low=5.0, high=5.0).bind(1), "low"),
        (lambda: families.Discretized(logistic(2), low=0.3).bind(1), "low"),
        (lambda: families.Discretized(logistic(2), 0.01, high=[0.125]).bind(1), "high"),
        (lambda: families.Discretized(logistic(2), origin=np.inf), "origin"),
        (lambda: families.Binned([[1.0, 1.0]], [[1, 1]]), "edges"),
        (lambda: families.Binned([[]], [[1, 1]]), "edges"),
        (lambda: families.Binned([[1.0, np.inf]], [[1, 1]]), "edges"),
        (lambda: families.Binned([[1.0], [2.0]], [[1, 1]]), "tails"),
        (lambda: families.Binned([[1.0]], [[1, 0]]), "tails"),
        (lambda: families.Binned([[1.0]], [[1.0]]), "tails"),
        (lambda: families.Binned([[1.0]], [[1, 1]], -1.0), "steps"),
        (lambda: families.Binned([[1.0]], [[1, 1]], [1.0, 1.0]).bind(1), "steps"),
        (lambda: families.Binned([[0.5, 2.0]], [[1, 1]], 1.0).bind(1), "edges"),
        (lambda: families.Binned([[1.0]], [[1, 1]]).bind(2), "edges"),
        (lambda: families.Inflated("count"), "family"),
        (lambda: families.Inflated(families.Count(2), 0.0), "points"),
        (lambda: families.Inflated(families.Count(2), ()), "points"),
        (lambda: families.Inflated(families.Count(2), (0.0, 0.0)), "points"),
        (lambda: families.Inflated(families.Count(2), (np.nan,)), "points"),
        (lambda: families.Inflated(families.Count(2), [[0.0], [1.0, 2.0]]), "points"),
        (lambda: families.Inflated(families.Count(2), [[0.0]]).bind(2), "points"),
        (lambda: families.Mixed([families.Count(2), "count"]), "families"),
        (lambda: families.Mixed([families.Count(2)]).bind(2), "conditionals"),
        (lambda: families.Mixed([families.Ordinal([2, 3])]).bind(1), "num_classes"),
    ],
)
def test_a_bad_argument_gets_an_error_that_names_it(make, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        make()


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("x", [[[np.nan], [1.0]], [[np.inf]], np.zeros((0, 2)), [1.0, 2.0]])
def test_data_that_are_no_table_are_refused(make, x):
    with pytest.raises(ValueError, match="`x` must"):
        make.from_data(x)


@pytest.mark.parametrize("make", [families.Count, families.Ordinal])
@pytest.mark.parametrize("x", [[[-1.0], [2.0]], [[0.5], [2.0]], [[2.0**25], [2.0**26]]])
def test_data_off_the_support_are_refused(make, x):
    with pytest.raises(ValueError, match="`x` must (contain, for|have classes)"):
        make.from_data(x)
