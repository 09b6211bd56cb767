"""Families restricted to regions, against their laws in float64: how probable, and draws."""

import itertools

import laws
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from keras import ops
from laws import random_params, random_uniforms

from made_tf import conditionals as families
from made_tf.conditionals.regions import Region

_NORMALS = "normal"
#: One family of each kind, and all of them together.
NAMES = [
    _NORMALS,
    "normal mixture",
    "logistic mixture",
    "discretized",
    "discretized from an origin",
    "count",
    "binned",
    "binned on grids",
    "inflated mixture",
    "inflated count",
    "inflated categorical",
    "inflated grid",
    "mixed",
]
EVERY = pytest.mark.parametrize("name", NAMES)
INF = np.inf


def made(name):
    if name == _NORMALS:
        return families.Normal([3.0, -2.0, 1e4], [0.5, 4.0, 10.0]).bind(3)
    return laws.made(name)


def values(rows, family, count, seed):
    """Values that can occur, but for missing cells."""
    x = rows(family, count, seed)
    return np.where(x < -1e20, np.float32(0.0), x)


def random_regions(family, count, seed=0):
    """Regions of every kind, one for each cell: inner, open, narrow, far, single, all, none."""
    rng = np.random.default_rng(seed)
    a, b = (values(laws.rows, family, count, seed + n) for n in (1, 2))
    far = np.sort([values(laws.far_rows, family, count, seed + n) for n in (3, 4)], axis=0)
    low, high = np.minimum(a, b), np.maximum(a, b)
    narrow = low + (10.0 ** rng.uniform(-5, -1, low.shape) * (1 + np.abs(low))).astype(np.float32)
    infinite = np.full_like(low, INF)
    kinds = [
        (low, high),
        (-infinite, high),
        (low, infinite),
        (low, narrow),
        (*far,),
        (far[1], infinite),
        (-infinite, far[0]),
        (low, low),
        (-infinite, infinite),
        (infinite, -infinite),
        (high, low),
    ]
    kind = rng.integers(0, len(kinds), low.shape)
    low, high = (np.choose(kind, [each[end] for each in kinds]) for end in (0, 1))
    size = max(1, *(len(each) for each in family.choices()))
    allowed = rng.integers(0, 2, (count, family.event_size, size))
    return Region(*(part.astype(np.float32) for part in (allowed, low, high)))


def assert_follows_the_law(family, params, region, rare):
    found = np.asarray(family.log_prob_in(params, region), np.float64)
    expected, *moved = (laws.log_prob_in(family, params, region, by) for by in (0, -2, 2))
    assert not np.isnan(found).any() and (found < 1e-6).all()
    # What is too improbable for float32 is so for both.
    never = expected < -1e30
    assert (found[never] < -1e30).all() and np.isfinite(found[~never]).all()
    assert 0 < never.mean() < 0.5
    # Sets of classes are differences of logits, which round as much as the largest of them.
    largest = np.abs(params).max(axis=1, keepdims=True) * ~family.is_line
    parts = (found, expected, *moved, 2 * laws.UNIT * largest)
    found, expected, *moved, stated = (each[~never] for each in parts)
    error = np.abs(found - expected)
    stated += np.maximum(1e-4, 1e-5 * np.abs(expected))
    rounding = np.maximum(*(np.abs(np.maximum(each, -1e30) - expected) for each in moved))
    worst = np.argmax(error / (stated + rounding))
    told = np.argwhere(~never)[worst], found[worst], expected[worst]
    assert (error <= stated + rounding).all(), told
    assert (error > stated).mean() <= rare, told


@EVERY
def test_probabilities_of_regions_follow_the_law(name):
    family = made(name)
    params = random_params(family, 150)
    assert_follows_the_law(family, params, random_regions(family, 150), 1e-3)


@EVERY
def test_probabilities_of_regions_follow_the_law_at_extreme_parameters(name):
    family = made(name)
    rng = np.random.default_rng(5)
    params = random_params(family, 150)
    extreme = rng.choice(np.float32([-1e4, -100, -20, 20, 100, 1e4]), params.shape)
    params = np.where(rng.random(params.shape) < 0.3, extreme, params)
    assert_follows_the_law(family, params, random_regions(family, 150, 9), 1e-2)


@EVERY
def test_everything_is_certain_and_drawn_as_ever(name):
    family = made(name)
    params, noise = random_params(family, 200), family.noise(random_uniforms(family, 200))
    ends = np.full((1, family.event_size), INF, np.float32)
    size = max(1, *(len(each) for each in family.choices()))
    region = Region(np.ones((1, family.event_size, size), np.float32), -ends, ends)
    np.testing.assert_array_equal(family.log_prob_in(params, region), np.zeros(noise.shape[:2]))
    drawn = np.asarray(family.transform_in(params, noise, region))
    expected = np.asarray(family.transform(params, noise))
    # Steps of a distribution function may round otherwise: then a draw moves by a point.
    assert (drawn == expected).mean() > 0.999


@EVERY
def test_parts_of_the_line_add_up(name):
    family = made(name)
    count, parts = 50, 8
    params = random_params(family, count)
    discrete = family.is_discrete & family.is_line
    steps = np.array([_step(law) for law in laws.laws(family)])
    cuts = [values(laws.rows, family, count, seed) for seed in range(parts - 1)]
    cuts = np.clip(cuts, -1e4, 1e4)  # where float32 has numbers between the points of grids
    cuts = np.sort(cuts, axis=0) + np.where(discrete, 0.37 * steps, 0.0).astype(np.float32)
    ends = np.full((1, *cuts.shape[1:]), INF, np.float32)
    cuts = np.concatenate([-ends, cuts, ends])
    choices = family.choices()
    size = max(1, *(len(each) for each in choices))
    total = 0.0
    for low, high in itertools.pairwise(cuts):
        allowed = np.zeros((count, family.event_size, size), np.float32)
        for column, own in enumerate(choices):
            inside = (own >= low[:, [column]]) & (own < high[:, [column]])
            allowed[:, column, : len(own)] = inside
        log_prob = family.log_prob_in(params, Region(allowed, low, high))
        total = total + np.exp(np.asarray(log_prob, np.float64))
    np.testing.assert_allclose(total, 1, atol=1e-5)


def _step(law):
    inner = getattr(law, "inner", law)
    return getattr(inner, "step", 1.0)


def regions_of_a_law(law, params, choices):
    """Some regions of one column: (allowed, low, high), from quantiles of its own law."""
    rng = np.random.default_rng(0)
    inner = getattr(law, "inner", law)
    line = inner.rows(4000, rng).astype(np.float32)
    low, middle, high = np.quantile(line, [0.2, 0.5, 0.9], method="closest_observation")
    width = max(1e-3 * (high - low), 4 * np.spacing(np.abs(middle)))
    ends = [(low, high), (-INF, low), (high, INF), (middle, middle + width), (low, low + 5 * width)]
    some = (np.arange(len(choices)) % 2 == 0).astype(float)
    for number, (low, high) in enumerate(ends):
        yield some if number % 2 else np.zeros(len(choices)), np.float32(low), np.float32(high)
    yield np.ones(len(choices)), -INF, INF


@EVERY
def test_draws_stay_in_the_region_and_follow_the_law(name):
    family = made(name)
    count = 500 if name == "mixed" else 2000
    row = random_params(family, 1, 1.0, seed=2)
    jumps = np.random.default_rng(3).uniform(size=count)
    all_choices, size = family.choices(), max(1, *(len(each) for each in family.choices()))
    noise = family.noise(random_uniforms(family, count))
    columns = [
        list(regions_of_a_law(law, row, choices))
        for law, choices in zip(laws.laws(family), all_choices, strict=True)
    ]
    compared = 0
    for regions in zip(*columns, strict=True):
        allowed = np.zeros((1, family.event_size, size), np.float32)
        for column, (own, _, _) in enumerate(regions):
            allowed[0, column, : len(own)] = own
        low, high = (np.float32([[each[end] for each in regions]]) for end in (1, 2))
        region = Region(allowed, low, high)
        log_prob = laws.log_prob_in(family, row, region)[0]
        x = np.asarray(family.transform_in(np.repeat(row, count, axis=0), noise, region))
        assert np.isfinite(x).all()
        for column, (law, own) in enumerate(
            zip(laws.laws(family), laws.parameters_of(family, row), strict=True)
        ):
            if log_prob[column] < -60:
                continue
            below = _below(law, own, *regions[column], x[:, column], jumps, all_choices[column])
            pvalue = scipy.stats.kstest(below, "uniform").pvalue
            assert pvalue > 1e-3 or _is_coarse(law, x[:, column]), (column, regions[column])
            compared += 1
    assert compared >= 3 * family.event_size


def _is_coarse(law, x):
    """Whether float32 tells hardly any two of the values apart."""
    return not law.is_discrete and len(np.unique(x)) < 100


def _below(law, own, allowed, low, high, x, jumps, choices):
    """P(X < x) + u P(X = x) within a region, for draws x, all of which must lie in there."""
    at = np.unique(x)
    named = np.isin(at, choices[: len(allowed)][allowed > 0])
    inside = (at >= low) & (at <= high)
    tolerance = 0.01 * _step(law) if law.is_discrete else 0.0
    nearly = (at >= low - tolerance) & (at <= high + tolerance)
    assert (named | inside | nearly).all()
    assert law.in_support(at.astype(np.float64)).all()
    params = np.repeat(own, len(at), axis=0)
    values = at.astype(np.float64)

    def log_in(points, low, high):
        each = (np.broadcast_to(end, len(at)).astype(np.float64) for end in (low, high))
        return law.log_in(params, points * allowed, *each)

    everything = log_in(np.ones((len(at), len(allowed))), low, high)
    upto = log_in(choices <= values[:, None], low, np.minimum(high, values))
    here = log_in(choices == values[:, None], np.maximum(low, values), np.minimum(high, values))
    if not law.is_discrete:
        here = log_in(choices == values[:, None], INF, -INF)
    at_most, mass = np.exp(upto - everything), np.exp(here - everything)
    index = np.searchsorted(at, x)
    return at_most[index] - jumps * mass[index]


@pytest.mark.parametrize(
    "name", ["mixed", "binned", "binned on grids", "discretized", "inflated ordinal", "normal"]
)
def test_columns_that_a_tensor_selects_keep_their_regions(name):
    family = made(name)
    count = 40
    params, region = random_params(family, count), random_regions(family, count)
    noise = family.noise(random_uniforms(family, count))
    log_prob = np.asarray(family.log_prob_in(params, region))
    drawn = np.asarray(family.transform_in(params, noise, region))
    columns = np.random.default_rng(1).permutation(family.event_size)
    parts, largest = laws.parameters_of(family, params), family.layout.parameters.largest
    padded = [
        np.pad(parts[c], ((0, 0), (0, largest - parts[c].shape[1])), constant_values=-1e9)
        for c in columns
    ]
    given = region.map(lambda part: part[:, columns])
    for chosen, own in (
        (family.select(columns), np.concatenate([parts[c] for c in columns], axis=1)),
        (family.select(tf.constant(columns, tf.int32)), np.concatenate(padded, axis=1)),
    ):
        own = own.astype(np.float32)
        found = chosen.log_prob_in(own, given)
        np.testing.assert_allclose(found, log_prob[:, columns], rtol=2e-6, atol=2e-6)
        found = chosen.transform_in(own, ops.take(noise, columns, axis=1), given)
        possible = log_prob[:, columns] > -1e30
        np.testing.assert_allclose(
            np.asarray(found)[possible], drawn[:, columns][possible], rtol=1e-5, atol=1e-5
        )
