"""Families of columns against their laws: draws, selections, encodings, distributions."""

import laws
import numpy as np
import pytest
import reference
import scipy.special
import scipy.stats
import tensorflow as tf
from keras import ops
from laws import HIGHEST, LOWEST, random_params, random_uniforms

from made_tf import conditionals as families

EVERY = pytest.mark.parametrize("name", laws.FAMILIES)


def laid_out(family, values):
    """Uniforms `[N, D, C]` as the family takes them: all first ones, then the second ones, ..."""
    columns = [np.flatnonzero(family.channels > c) for c in range(values.shape[2])]
    parts = [values[:, own, c] for c, own in enumerate(columns)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def columns_of(family):
    """Yields each column's number, its law and the family of it alone."""
    for column, law in enumerate(laws.laws(family)):
        yield column, law, family.select(np.array([column]))


@EVERY
def test_draws_follow_the_law(name):
    family = laws.made(name)
    row = random_params(family, 1, 1.0, seed=2)
    count = 20_000
    x = np.asarray(
        family.sample(np.repeat(row, count, axis=0), random_uniforms(family, count)), np.float64
    )
    own = laws.parameters_of(family, row)
    jumps = np.random.default_rng(3).uniform(size=count)
    for column, law in enumerate(laws.laws(family)):
        values, inverse = np.unique(x[:, column], return_inverse=True)
        params = np.repeat(own[column], len(values), axis=0)
        # Uniform under the law: its distribution function, at a random place of each jump.
        jump = law.mass(params, values)[inverse] * jumps
        below = law.cdf(params, values)[inverse] - jump
        assert scipy.stats.kstest(below, "uniform").pvalue > 1e-3, column


@pytest.mark.parametrize("name", ["ordinal", "ordinal with counts", "inflated ordinal"])
def test_classes_occur_as_often_as_they_are_probable(name):
    family = laws.made(name)
    row = random_params(family, 1, 1.0, seed=4)
    x = family.sample(np.repeat(row, 20_000, axis=0), random_uniforms(family, 20_000))
    for column, states in enumerate(family.finite_states()):
        law, own = laws.laws(family)[column], laws.parameters_of(family, row)[column]
        probs = law.mass(np.repeat(own, len(states), axis=0), states.astype(np.float64))
        counts = np.array([(np.asarray(x)[:, column] == value).sum() for value in states])
        assert reference.chi_squared_pvalue(counts, 20_000 * probs) > 1e-3


@EVERY
def test_draws_lie_in_the_support_at_extreme_parameters_and_uniforms(name):
    family = laws.made(name)
    rng = np.random.default_rng(5)
    params = random_params(family, 600) * rng.choice(np.float32([1, 20, 1e4]), (600, 1))
    ends = rng.choice(np.float32([LOWEST, 0.5, HIGHEST]), (600, family.num_uniforms))
    x = family.sample(params, ends)
    assert x.dtype == tf.float32
    assert np.isfinite(x).all() and np.asarray(family.in_support(x)).all()
    assert np.isfinite(family.log_prob(params, x)).all()


def on_grids(family):
    return [hasattr(law, "point") and law.is_discrete for law in laws.laws(family)]


@pytest.mark.parametrize("name", [name for name in laws.FAMILIES if any(on_grids(laws.made(name)))])
@pytest.mark.parametrize("convert", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_points_of_a_grid_are_the_float32_next_to_them(name, convert):
    if name == "mixed" and convert is tf.function:
        pytest.skip("of the columns' own families graphs are made; one of all takes long")
    family = laws.made(name)
    params, uniforms = random_params(family, 3000, 1.0), random_uniforms(family, 3000)
    x = convert(family.sample)(params, uniforms)
    assert np.asarray(family.in_support(x)).all()
    for column, law in enumerate(laws.laws(family)):
        if on_grids(family)[column]:
            own = np.asarray(x)[:, column]
            assert len(np.unique(own)) > 3
            expected = law.nearest(own.astype(np.float64))
            # Nearer the origin than float32 counts in units of the last decimal.
            near = np.abs(own) < 1e4
            np.testing.assert_array_equal(own[near], expected[near])


@EVERY
def test_draws_are_monotone_in_the_last_uniform(name):
    family = laws.made(name)
    grid = np.concatenate([[LOWEST, 1e-6], np.linspace(0.001, 0.999, 97), [1 - 1e-6, HIGHEST]])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        shape = 1, family.event_size, family.channels.max()
        values = np.repeat(rng.uniform(0.01, 0.99, shape), len(grid), axis=0)
        for column, last in enumerate(family.channels - 1):
            values[:, column, last] = grid
        params = np.repeat(random_params(family, 1, seed=seed), len(grid), axis=0)
        steps = np.diff(np.asarray(family.sample(params, laid_out(family, values))), axis=0)
        assert ((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)).all()


@pytest.mark.parametrize(
    "family",
    [
        families.Ordinal(4),
        families.Discretized(families.LogisticMixture(1, 0.2, 0.3), 0.01, 0.0, 1.0),
        families.Discretized(families.LogisticMixture(1, 0.3), 0.25, origin=0.05),
        families.Count(1, 2.0),
        families.Inflated(families.Ordinal(3), [3.0]),
    ],
    ids=["ordinal", "hundredths", "origin", "count", "inflated"],
)
def test_uniforms_on_and_beside_a_step_give_the_values_beside_it(family):
    family = family.bind(1)
    (law,) = laws.laws(family)
    is_inflated = isinstance(family, families.Inflated)
    for seed in range(4):  # zeros first: steps at 1/4, 1/2, 3/4
        row = random_params(family, 1, 1.0, seed) * np.float32(seed > 0)
        x = np.arange(4.0) if is_inflated else law.ladder(row)[:200]
        x = x[law.in_support(x)]
        inner = law.inner if is_inflated else law
        own = row[:, 1:] if is_inflated else row
        steps = inner.cdf(np.repeat(own, len(x), axis=0), np.asarray(x, np.float64))
        keep = (steps > 1e-3) & (steps < 1 - 1e-3)
        x, steps = x[keep], steps[keep]
        for move, allowed in ((0.0, (0, 1)), (-3e-6, (0,)), (3e-6, (1,))):
            last = np.clip(steps + move, LOWEST, HIGHEST)
            values = np.full((len(x), 1, family.channels[0]), 0.9999)
            values[:, 0, -1] = last
            drawn = family.sample(np.repeat(row, len(x), axis=0), laid_out(family, values))
            near = np.stack([x, _following(law, x)], axis=1)[:, list(allowed)].astype(np.float32)
            wide = np.diff(np.append(steps, 1)) > 1e-5  # rounding is no step of its own
            assert (np.asarray(drawn) == near).any(axis=1)[wide].all()


def _following(law, x):
    return law.point(law.index(x) + 1) if hasattr(law, "index") else x + 1


@pytest.mark.parametrize("name", ["ordinal", "ordinal with counts"])
@pytest.mark.parametrize("temperature", [0.01, 0.5, 1.0, 3.0])
def test_an_ordinal_has_a_temperature(name, temperature):
    family = laws.made(name)
    row = random_params(family, 1, 1.0, seed=6)
    u = (np.arange(4000, dtype=np.float32) + 0.5) / 4000  # evenly, so that counts are exact
    noise = family.noise(np.repeat(u[:, None], family.event_size, axis=1))
    params = np.repeat(row, 4000, axis=0)
    drawn = family.transform_at(params, noise, np.full((4000, 1), temperature, np.float32))
    own = laws.parameters_of(family, row)
    for column, (law, states) in enumerate(zip(laws.laws(family), family.states(), strict=True)):
        expected = scipy.special.softmax(law.log_probs(own[column])[0] / temperature)
        found = np.bincount(np.asarray(drawn)[:, column].astype(int), minlength=len(states)) / 4000
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("name", ["ordinal", "ordinal with counts"])
def test_sets_of_ordered_classes_add_up(name):
    family = laws.made(name)
    params, largest = random_params(family, 50), max(map(len, family.states()))
    allowed = np.random.default_rng(7).integers(0, 2, (50, family.event_size, largest))
    noise = family.noise(random_uniforms(family, 50))
    drawn = np.asarray(family.transform_within(params, noise, allowed.astype(np.float32)))
    total = np.exp(family.log_prob_within(params, allowed.astype(np.float32)))
    for column, (law, own) in enumerate(
        zip(laws.laws(family), laws.parameters_of(family, params), strict=True)
    ):
        sets = allowed[:, column, : law.size]
        expected = (np.exp(law.log_probs(own)) * sets).sum(axis=1)
        np.testing.assert_allclose(total[:, column], expected, rtol=1e-5, atol=1e-6)
        possible = expected > 1e-6  # from an empty set anything is drawn
        chosen = drawn[possible][:, [column]].astype(int)
        assert (np.take_along_axis(sets[possible], chosen, axis=1) == 1).all()


@EVERY
def test_values_nearby_lie_on_both_sides_of_the_drawn_one(name):
    family = laws.made(name)
    params, noise = random_params(family, 200), family.noise(random_uniforms(family, 200))
    drawn = np.asarray(family.transform(params, noise))
    for slack in (0.0, 1e-6, 1e-2):
        low, high = (np.asarray(end) for end in family.transform_nearby(params, noise, slack))
        assert ((low <= drawn) & (drawn <= high)).all()
        assert np.asarray(family.in_support(low)).all() and np.isfinite(high).all()
        if slack == 0.0:
            np.testing.assert_array_equal(low, high)


# Columns alone.


def chosen_params(family, params, columns):
    """The parameters of some columns, and these padded as those of columns not known beforehand."""
    parts = laws.parameters_of(family, params)
    largest = family.layout.parameters.largest
    own = [parts[column] for column in columns]
    padded = [
        np.pad(part, ((0, 0), (0, largest - part.shape[1])), constant_values=-1e9) for part in own
    ]
    return [np.concatenate(each, axis=1).astype(np.float32) for each in (own, padded)]


def chosen_features(family, x, columns):
    parts = laws.encode(family, x)
    largest = family.layout.features.largest
    own = [parts[column] for column in columns]
    padded = [np.pad(part, ((0, 0), (0, largest - part.shape[1]))) for part in own]
    return [np.concatenate(each, axis=1) for each in (own, padded)]


@EVERY
def test_the_encoding_follows_the_law(name):
    family = laws.made(name)
    for rows in (laws.rows, laws.far_rows):
        x = rows(family, 100)
        expected = np.concatenate(laws.encode(family, x), axis=1)
        found = np.asarray(family.encode(x))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        assert (np.abs(found) <= 1e3).all()


@EVERY
def test_selected_columns_keep_conditionals_draws_and_encodings(name):
    family = laws.made(name)
    D = family.event_size
    x, params = laws.rows(family, 40), random_params(family, 40)
    uniforms = random_uniforms(family, 40)
    noise, drawn = family.noise(uniforms), np.asarray(family.sample(params, uniforms))
    log_prob = np.asarray(family.log_prob(params, x))
    first = np.random.default_rng(0).permutation(D)
    again = np.arange(D)[::2]
    for columns, chosen in (
        (first, family.select(first)),
        (first[again], family.select(first).select(again)),
        (first[:1], family.select(first).select(np.array([0]))),
    ):
        own = chosen_params(family, params, columns)[0]
        features, _ = chosen_features(family, x, columns)
        close = {"rtol": 2e-6, "atol": 2e-6}
        np.testing.assert_allclose(
            chosen.log_prob(own, x[:, columns]), log_prob[:, columns], **close
        )
        found = chosen.transform(own, ops.take(noise, columns, axis=1))
        np.testing.assert_array_equal(found, drawn[:, columns])
        np.testing.assert_allclose(chosen.encode(x[:, columns]), features, rtol=1e-4, atol=1e-4)
        assert np.asarray(chosen.in_support(x[:, columns])).all()
        np.testing.assert_array_equal(chosen.is_discrete, family.is_discrete[columns])
        np.testing.assert_array_equal(chosen.channels, family.channels[columns])


@EVERY
def test_columns_that_a_tensor_selects_keep_conditionals_draws_and_encodings(name):
    family = laws.made(name)
    D, count = family.event_size, 40
    x, params = laws.rows(family, count), random_params(family, count)
    uniforms = random_uniforms(family, count)
    noise, drawn = family.noise(uniforms), np.asarray(family.sample(params, uniforms))
    log_prob = np.asarray(family.log_prob(params, x))
    rng = np.random.default_rng(1)
    kept = rng.permutation(D)[: max(1, D - 1)]
    of_rows = np.stack([rng.permutation(D) for _ in range(count)])
    for columns in (kept, of_rows):
        each = np.broadcast_to(columns, (count, columns.shape[-1]))
        take = np.arange(count)[:, None], each
        parts = [
            (chosen_params(family, params[n : n + 1], own)[1], chosen_features(family, x, own))
            for n, own in enumerate(each)
        ]
        own = tf.constant(np.concatenate([padded for padded, _ in parts]))
        features = np.stack([features[1][n] for n, (_, features) in enumerate(parts)])
        chosen = family.select(tf.constant(columns, tf.int32))
        with tf.GradientTape() as tape:
            tape.watch(own)
            found = chosen.log_prob(own, x[take])
        np.testing.assert_allclose(found, log_prob[take], rtol=2e-6, atol=2e-6)
        assert np.isfinite(tape.gradient(found, own)).all()
        found = chosen.transform(own, tf.gather(noise, tf.constant(each), axis=1, batch_dims=1))
        np.testing.assert_array_equal(found, drawn[take])
        np.testing.assert_allclose(chosen.encode(x[take]), features, rtol=1e-4, atol=1e-4)


def knots_of(law):
    """Whether a law has knots, or needs none."""
    inner = getattr(law, "inner", getattr(law, "hidden", None))
    if inner is not None:
        return knots_of(inner)
    return not isinstance(law, laws.Bernoulli) and getattr(law, "knots", ()) is not None


@EVERY
def test_what_is_unknown_is_no_value_that_occurs(name):
    # Without knots a real column has the standardised value alone, which is 0 at `data_loc`.
    family = laws.made(name)
    x = np.concatenate([laws.rows(family, 99), laws.far_rows(family, 99)])
    found = np.split(family.encode(x), np.cumsum(family.layout.features.sizes)[:-1], axis=1)
    for law, features in zip(laws.laws(family), found, strict=True):
        if knots_of(law):
            assert (np.abs(features).max(axis=1) > 0.02).all()


# As distributions.


@EVERY
def test_the_distribution_is_that_of_the_family(name):
    family = laws.made(name)
    x, params = laws.rows(family, 30), random_params(family, 30)
    distribution = family.distribution(params)
    assert distribution.batch_shape == (30,)
    assert distribution.event_shape == (family.event_size,)
    assert distribution.dtype == tf.float32
    expected = np.asarray(family.log_prob(params, x)).sum(axis=1)
    np.testing.assert_allclose(distribution.log_prob(x), expected, rtol=1e-4, atol=1e-4)
    two = distribution.log_prob(np.stack([x, x[::-1]]))
    np.testing.assert_allclose(two[0], expected, rtol=1e-4, atol=1e-4)
    one = np.asarray(family.log_prob(params, np.repeat(x[:1], 30, axis=0))).sum(axis=1)
    np.testing.assert_allclose(distribution.log_prob(x[0]), one, rtol=1e-4, atol=1e-4)
    drawn = distribution.sample(5, seed=3)
    assert drawn.shape == (5, 30, family.event_size)
    assert np.asarray(family.in_support(tf.reshape(drawn, (150, -1)))).all()
    assert distribution.sample(seed=3).shape == (30, family.event_size)
