"""Queries over sets and intervals of mixed columns: against sums and integrals, and golden ones."""

import functools
import itertools
import math

import keras
import numpy as np
import pytest
import scipy.special
from queries.common import distribution

import made_tf
from made_tf import Interval
from made_tf import conditionals as families
from made_tf.conditionals import MISSING
from made_tf.queries.estimate import Estimate
from made_tf.queries.regions import restricted_variables
from made_tf.queries.value_sets import written_down

INF = math.inf
KINDS = {
    "real and class": lambda: [families.NormalMixture(3), families.Categorical(3)],
    "real and count": lambda: [families.LogisticMixture(2), families.Count(2)],
    "inflated and grid": lambda: [
        families.Inflated(families.Normal(), (0.0, MISSING)),
        families.Discretized(families.LogisticMixture(2), 0.5),
    ],
    "bins and inflated class": lambda: [
        families.Binned([[-1.0, 0.0, 2.0]], [[0.5, 1.0]]),
        families.Inflated(families.Categorical(3), (2.0, 9.0)),
    ],
}
#: Of each kind, queries of both variables; the second one discrete.
QUERIES = {
    "real and class": [
        {0: Interval(-0.5, 1.0), 1: [0, 2]},
        {0: Interval(low=0.3)},
        {1: Interval(1, 5)},
        {0: Interval(-1.0, 0.2), 1: [Interval(high=0), 2]},
    ],
    "real and count": [
        {0: Interval(-1.0, 1.5), 1: Interval(1, 4)},
        {0: Interval(high=0.0), 1: Interval(low=2.5)},
        {1: [3]},
        {1: Interval(high=1)},
    ],
    "inflated and grid": [
        {0: Interval(-1.0, 1.0), 1: Interval(-1.0, 1.2)},
        {0: [0.0, MISSING], 1: Interval(low=0)},
        {0: Interval()},
        {0: [MISSING, Interval(low=0.5)], 1: [1.5]},
    ],
    "bins and inflated class": [
        {0: Interval(-1.5, 0.5), 1: [2, 9]},
        {0: Interval(low=1.0), 1: Interval(1, 2)},
        {0: Interval(-3, 3), 1: [0]},
    ],
}


def dist_of(kind, order="natural", num_masks=1):
    return made_once(kind, order, num_masks)


@functools.cache
def made_once(kind, order, num_masks):
    keras.utils.set_random_seed(0)
    order = {"natural": [1, 2], "reversed": [2, 1]}[order]
    model = made_tf.MADE(
        2, (8,), conditionals=KINDS[kind](), input_order=order, num_masks=num_masks, seed=3
    )
    rng = np.random.default_rng(1)
    for layer in model.masked_layers():
        layer.kernel.assign(rng.normal(0, 0.8, layer.kernel.shape))
        if layer.bias is not None:
            layer.bias.assign(rng.normal(0, 0.5, layer.bias.shape))
    return made_tf.MADEDistribution(model)


def line(kind):
    """Nodes of the first variable between its breaks, their weights, and which are points."""
    ends = sorted({*np.arange(-40.0, 41.0), *np.arange(-4, 4, 0.1).round(1), -0.25, 0.25})
    nodes, weights = np.polynomial.legendre.leggauss(6)
    half, middle = np.diff(ends)[:, None] / 2, (np.array(ends)[1:] + ends[:-1])[:, None] / 2
    x, weights = (middle + half * nodes).reshape(-1), (half * weights).reshape(-1)
    points = [0.0, MISSING] if kind.startswith("inflated") else []
    return np.append(x, points), np.append(weights, np.ones(len(points)))


SECOND = {
    "real and class": np.arange(3.0),
    "real and count": np.arange(400.0),
    "inflated and grid": np.arange(-60, 60.5, 0.5),
    "bins and inflated class": np.array([0.0, 1.0, 2.0, 9.0]),
}


def holds(wanted, values):
    """Which values a query takes: the meaning of sets and intervals, spelled out."""
    inside = np.zeros(len(values), bool)
    for one in [wanted] if isinstance(wanted, Interval) else wanted:
        if isinstance(one, Interval):
            inside |= (values >= one.low) & (values <= one.high) & (values != MISSING)
        else:
            inside |= values == one
    return inside


@functools.cache
def probabilities(dist, kind, first):
    """The density of all pairs `[x, y]`, under an order with this variable first."""
    (x, weights), y = line(kind), SECOND[kind]
    rows = np.stack([np.repeat(x, len(y)), np.tile(y, len(x))], axis=1).astype(np.float32)
    if dist.model.any_order:
        order = dist.queries.sets_for(np.arange(2) == first)
        log_prob = dist.queries.log_prob_under(rows, np.ones(2, bool), order)
    else:
        log_prob = dist.log_prob(rows)
    table = np.exp(np.asarray(log_prob, np.float64)).reshape(len(x), len(y))
    return table * weights[:, None]


@pytest.mark.parametrize(
    ("kind", "order", "num_masks"),
    [
        *((kind, "natural", 1) for kind in KINDS),
        ("inflated and grid", "reversed", 1),
        ("real and class", "natural", None),
        ("bins and inflated class", "natural", None),
    ],
)
def test_queries_are_sums_and_integrals_of_the_density(kind, order, num_masks):
    dist, queries = dist_of(kind, order, num_masks), QUERIES[kind]
    found = dist.log_prob_in(queries, num_samples=1000, seed=1)
    x, _ = line(kind)
    for number, query in enumerate(queries):
        # What is restricted comes first; of two that are, the model's own order says.
        first = next(iter(query)) if len(query) == 1 and num_masks is None else None
        table = probabilities(dist, kind, first)
        assert abs(table.sum() - 1) < 2e-3
        inside = np.ones(table.shape)
        for variable, wanted in query.items():
            own = holds(wanted, SECOND[kind] if variable else x)
            inside *= own[None, :] if variable else own[:, None]
        expected = (table * inside).sum()
        error = found.standard_error[number]
        assert error < 0.2
        assert abs(found.log_prob[number] - np.log(expected)) < 4 * error + 2e-3, query


@pytest.mark.parametrize("kind", ["real and class", "inflated and grid"])
def test_errors_are_calibrated(kind):
    dist = dist_of(kind)
    parts = [dist.log_prob_in(QUERIES[kind][:1], 100, seed) for seed in range(40)]
    found = Estimate(*np.concatenate([np.stack(part) for part in parts], axis=1))
    exact = dist.log_prob_in(QUERIES[kind][:1], 10_000, 99)
    z = (found.log_prob - exact.log_prob) / found.standard_error
    assert np.abs(z).max() < 4.5 and 0.5 < z.var() < 1.7


@pytest.mark.parametrize(("kind", "num_masks"), [("real and class", 1), ("real and class", None)])
def test_draws_end_where_the_error_is_small(kind, num_masks):
    dist, queries = dist_of(kind, num_masks=num_masks), QUERIES[kind]
    few, all_draws = (dist.log_prob_in(queries, count, seed=1) for count in (64, 300))
    tolerance = np.sort(few.standard_error)[-2]  # which one query alone does not meet
    assert 0 < tolerance < few.standard_error.max()
    found = dist.log_prob_in(queries, 300, seed=1, tolerance=tolerance)
    enough = few.standard_error <= tolerance
    if num_masks == 1:  # whole rows are drawn, of which some weigh the same
        assert (few.standard_error == 0).any()
        enough &= few.standard_error > 0
    for ours, first in zip(found, few, strict=True):
        np.testing.assert_allclose(ours[enough], first[enough], rtol=1e-5)
    goes_on = found.effective_sample_size[~enough] > few.effective_sample_size[~enough]
    assert goes_on.all()
    # What no number of draws meets gets all of them, the same as at once.
    last = dist.log_prob_in(queries, 300, seed=1, tolerance=1e-9)
    np.testing.assert_allclose(last.log_prob, all_draws.log_prob, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"`tolerance` must be a number in \[0, 1\)"):
        dist.log_prob_in(queries, tolerance=1)


@pytest.mark.parametrize("kind", ["real and count", "bins and inflated class"])
def test_a_range_is_as_frequent_among_rows_that_are_drawn(kind):
    dist = dist_of(kind)
    rows = dist.sample(10_000, seed=4).numpy().astype(np.float64)
    found = dist.log_prob_in(QUERIES[kind], 2000)
    for number, query in enumerate(QUERIES[kind]):
        inside = [holds(wanted, rows[:, variable]) for variable, wanted in query.items()]
        share = np.all(inside, axis=0).mean()
        error = np.hypot(found.standard_error[number], 1 / np.sqrt(10_000 * share))
        assert abs(found.log_prob[number] - np.log(share)) < 4 * error


def test_disjoint_ranges_add_up_to_one_without_error_for_the_first_variable():
    dist = dist_of("real and class", num_masks=None)
    cuts = [-INF, -1.0, -0.3, 0.0, 0.123, 2.0, INF]
    queries = [{0: Interval(*pair)} for pair in itertools.pairwise(cuts)]
    found = dist.log_prob_in(queries, 20)
    assert abs(scipy.special.logsumexp(found.log_prob)) < 1e-5
    assert (found.standard_error < 1e-6).all()


def test_what_cannot_be_has_no_probability_and_everything_is_certain():
    dist = dist_of("inflated and grid")
    queries = [{1: Interval(0.1, 0.4)}, {0: Interval(2, 2)}, {0: []}, {1: []}, {}]
    found = dist.log_prob_in(queries, 20)
    np.testing.assert_array_equal(found.log_prob, [-INF] * 4 + [0.0])
    assert found.effective_sample_size[0] == 0
    # A point of the grid counts, whichever float64 stands for it.
    at = dist.log_prob_in([{1: Interval(0.5, 0.5)}, {1: [0.5]}, {1: Interval(0.4999, 0.9)}], 20)
    np.testing.assert_array_equal(at.log_prob, at.log_prob[[0, 0, 0]])


def test_a_missing_cell_counts_where_it_is_named():
    dist = dist_of("inflated and grid")
    queries = [{0: Interval()}, {0: [MISSING]}, {0: [MISSING, Interval()]}, {0: [0.0]}]
    present, missing, any_, zero = dist.log_prob_in(queries, 20).probability
    assert abs(present + missing - 1) < 1e-5 and any_ == 1
    assert 0.01 < missing < 0.99 and 0.001 < zero < present
    assert abs(dist.log_prob_in([{0: Interval(-1e36, 0)}], 20).probability[0] - missing) > 1e-3


def test_classes_take_intervals_and_sets_of_real_points_take_masses():
    dist = distribution("ragged")
    queries = [{0: Interval(1, 9), 1: Interval(high=1.5)}, {2: [Interval(1), 0], 3: Interval(5)}]
    alike = [{0: [1, 2], 1: [0, 1]}, {3: []}]
    for found, expected in zip(
        dist.log_prob_in(queries, 50), dist.log_prob_in(alike, 50), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


#: What these queries gave when sets were all that could be asked.
GOLDEN = {
    1: ([-0.97007193, -1.77159701, -2.17835565, 0.0], [0.02636457, 0.01256312, 0.04691433, 0.0]),
    None: ([-1.01900372, -1.77159701, -2.52898527, 0.0], [0.0175726, 0.01256312, 0.01385405, 0.0]),
    3: ([-0.97007193, -1.77159701, -2.3699961, 0.0], [0.02636457, 0.01256312, 0.00052067, 0.0]),
}


@pytest.mark.parametrize("num_masks", GOLDEN)
def test_queries_of_sets_give_what_they_gave_before(num_masks):
    dist = distribution("ragged", num_masks=num_masks)
    queries = [{0: [0, 2], 2: [1]}, {1: [1, 2], 3: [0]}, {2: [0], 3: [1, 2], 0: [1]}, {}]
    found = dist.log_prob_in(queries, 500, seed=2)
    for ours, expected in zip(found[:2], GOLDEN[num_masks], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)


def test_what_is_restricted_is_told_from_what_is_not():
    model = dist_of("inflated and grid").model
    queries = [
        {},
        {0: Interval(), 1: Interval()},
        {0: [0.0, MISSING, Interval()], 1: Interval(low=0)},
    ]
    found = restricted_variables(model, written_down(model, queries))
    np.testing.assert_array_equal(found, [[False, False], [True, False], [False, True]])


def test_an_interval_says_what_is_wrong():
    assert Interval() == Interval(-INF, INF) and Interval(2) == Interval(np.float32(2), high=INF)
    for low, high, message in [
        (2, 1, "`low` must be at most `high`. Received: low=2, high=1"),
        (math.nan, 1, "`low` must be a number. Received: low=nan"),
        (0, "b", "`high` must be a number. Received: high='b'"),
        (0, True, "`high` must be a number. Received: high=True"),
        (None, 1, "`low` must be a number. Received: low=None"),
    ]:
        with pytest.raises(ValueError, match=message):
            Interval(low, high)


@pytest.mark.parametrize(
    ("kind", "queries", "message"),
    [
        (
            "real and class",
            [{0: [0.5]}],
            r"`allowed` must restrict variable 0 to one Interval: .* Received: 0: \[0.5\] in query",
        ),
        (
            "real and class",
            [{}, {0: 0.5}],
            "an Interval or a list of values. Received: 0: 0.5 in q",
        ),
        ("real and class", [{0: "ab"}], "an Interval or a list of values. Received: 0: 'ab' in"),
        ("real and class", [{0: [None]}], "an Interval or a list of values. Received: 0: None in"),
        ("real and class", [{1: [3]}], r"in \[0, 3\) for a value of variable 1 \(query 0\)"),
        ("real and class", [{2: Interval()}], r"in \[0, 2\) for a variable \(query 0\)"),
        ("real and class", [{0: [Interval(0, 1), Interval(2, 3)]}], "variable 0 to one Interval: "),
        ("real and count", [{1: [1, 2]}], "variable 1 to one Interval or one value: its val"),
        ("real and count", [{1: [1.5]}], "`allowed` must contain, for count .*1.5 for variable 1"),
        ("inflated and grid", [{0: [0.0, 3.0]}], r"to one Interval: .* 0: \[0.0, 3.0\] in query 0"),
        ("inflated and grid", [{1: [0.25]}], "for discretized .*0.25 for variable 1 in query 0"),
        ("inflated and grid", [{0: [math.nan]}], "for inflated conditionals.*nan for variable 0"),
        ("bins and inflated class", [{1: [5]}], "for inflated conditionals.*5.0 for variable 1 in"),
    ],
)
def test_bad_regions_get_an_error_that_says_what_is_wrong(kind, queries, message):
    with pytest.raises(ValueError, match=message):
        dist_of(kind).log_prob_in(queries)


def test_arrays_are_for_classes_alone():
    model = made_tf.MADE(
        2, conditionals=[families.Bernoulli(), families.Inflated(families.Categorical(2), (5.0,))]
    )
    with pytest.raises(ValueError, match="write mappings. Received: variable 1 of mixed"):
        made_tf.MADEDistribution(model).log_prob_in(np.ones((1, 2, 3)))


def test_draws_that_weigh_the_same_are_not_enough():
    """What follows from a rare value shows in none of the first draws."""
    model = made_tf.MADE(2, (), seed=0)
    kernel = np.array([[0, 14], [0, 0]], np.float32)
    model.set_weights([kernel, np.array([-6, -9], np.float32)])
    dist, rare = made_tf.MADEDistribution(model), [{1: [1]}]
    first = dist.log_prob_in(rare, num_samples=64, seed=3)
    assert first.standard_error[0] == 0 and first.probability[0] < 0.001
    found = dist.log_prob_in(rare, num_samples=4000, seed=3, tolerance=0.2)
    error = 5 * found.standard_error[0] * found.probability[0]
    exact = np.exp(model.log_prob([[0, 1], [1, 1]])).sum()
    assert found.probability[0] == pytest.approx(exact, abs=error) and exact > 0.002
