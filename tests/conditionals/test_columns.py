"""Families of columns against their laws in float64: densities, gradients, supports."""

import json

import keras
import laws
import numpy as np
import pytest
import reference
import tensorflow as tf
from keras import ops

from made_tf import conditionals as families

EVERY = pytest.mark.parametrize("name", laws.FAMILIES)
EXTREMES = (20.0, 100.0, 1e4)


def random_params(family, count, extreme=None, scale=2.0, seed=0):
    """Parameters N(0, scale); of an extreme a third of them lies there, on either side."""
    rng = np.random.default_rng(seed)
    shape = count, family.layout.parameters.total
    params = rng.normal(0, scale, shape)
    if extreme is not None:
        params = np.where(rng.random(shape) < 0.3, rng.choice([-extreme, extreme], shape), params)
    return params.astype(np.float32)


def test_every_family_has_a_law_and_is_tried():
    tried = {type(laws.made(name)) for name in laws.FAMILIES}
    tried |= {type(make(4)) for make in reference.FAMILIES.values()}
    assert tried == set(families.FAMILIES.values())
    assert {family.__name__ for family in tried} - {"Mixed"} == set(laws.LAWS)
    names = ("mixed", "mixed with embedded")
    mixed = {type(family) for name in names for family in laws.made(name).families}
    assert mixed == set(families.FAMILIES.values()) - {families.Mixed}


@EVERY
def test_the_config_goes_round_through_json(name):
    family = laws.made(name)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(family)))
    x, params = laws.rows(family, 20), random_params(family, 20)
    for again in (
        keras.saving.deserialize_keras_object(config).bind(family.event_size),
        families.get(config, family.event_size),
        type(family).from_config(family.get_config()).bind(family.event_size),
    ):
        assert type(again) is type(family)
        assert again.get_config() == family.get_config()
        np.testing.assert_array_equal(again.log_prob(params, x), family.log_prob(params, x))
    with pytest.raises(ValueError, match="must describe event_size=99 variables"):
        families.get(family, 99)


def test_a_list_of_families_is_a_mixed_one():
    family = families.get(["bernoulli", families.Count(2), {**_described(families.Ordinal(3))}], 3)
    assert isinstance(family, families.Mixed)
    kinds = [families.Bernoulli, families.Count, families.Ordinal]
    assert [type(each) for each in family.families] == kinds
    with pytest.raises(ValueError, match="must describe event_size=2 variables"):
        families.get(["bernoulli"], 2)
    with pytest.raises(ValueError, match="needs arguments: construct made_tf.Ordinal"):
        families.get(["ordinal"], 1)


def _described(family):
    return keras.saving.serialize_keras_object(family)


@EVERY
def test_sizes_count_what_the_law_counts(name):
    family = laws.made(name)
    expected = laws.laws(family)
    assert family.layout.parameters.sizes.tolist() == [law.num_params for law in expected]
    assert family.is_discrete.tolist() == [bool(law.is_discrete) for law in expected]
    x, params = laws.rows(family, 3), random_params(family, 3)
    assert family.encode(x).shape == (3, family.layout.features.total)
    for values in family.unpack(params).values():
        assert values.shape[:2] == (3, family.event_size)


@EVERY
def test_no_rows_are_rows(name):
    family = laws.made(name)
    x, params = laws.rows(family, 3)[:0], random_params(family, 3)[:0]
    nothing = (0, family.event_size)
    assert family.encode(x).shape == (0, family.layout.features.total)
    assert family.in_support(x).shape == family.log_prob(params, x).shape == nothing
    assert family.sample(params, laws.random_uniforms(family, 3)[:0]).shape == nothing
    assert family.distribution(params).log_prob(x).shape == (0,)


def allowance(family, params, x, expected):
    """How far float32 may be off: 1e-5, or 1e-4 nats, or what the values' own rounding does.

    The latter counts where a component is so narrow that a unit of float32 in the standardised
    value (for counts, in their logarithm) moves the density by more than 1e-4 nats: numbers nearer
    than float32 resolves are not told apart. `rare` says how seldom that may be.
    """
    stated = np.maximum(1e-4, 1e-5 * np.abs(expected))
    moved = [np.abs(laws.log_prob(family, params, x, by) - expected) for by in (-2, 2)]
    return stated, stated + np.maximum(*moved)


def assert_follows_the_law(family, params, x, rare):
    found = np.asarray(family.log_prob(params, x), np.float64)
    expected = laws.log_prob(family, params, x)
    assert np.isfinite(found).all()
    stated, with_rounding = allowance(family, params, x, expected)
    error = np.abs(found - expected)
    worst = np.unravel_index(np.argmax(error / with_rounding), error.shape)
    assert (error <= with_rounding).all(), (worst, x[worst], found[worst], expected[worst])
    assert (error > stated).mean() <= rare


@EVERY
def test_log_prob_follows_the_law(name):
    family = laws.made(name)
    for rows in (laws.rows, laws.far_rows):
        assert_follows_the_law(family, random_params(family, 600), rows(family, 600, 1), 0)


@EVERY
def test_log_prob_follows_the_law_at_extreme_parameters(name):
    family = laws.made(name)
    params = np.concatenate([random_params(family, 400, extreme) for extreme in EXTREMES])
    for rows in (laws.rows, laws.far_rows):
        assert_follows_the_law(family, params, rows(family, len(params), 2), 2e-3)


@EVERY
def test_log_prob_follows_the_law_where_all_parameters_are_as_large(name):
    # Differences of large numbers that are close to each other.
    family = laws.made(name)
    params = [level + random_params(family, 100) for level in (-1e4, -100, 100, 1e4)]
    assert_follows_the_law(family, np.concatenate(params), laws.rows(family, 400, 3), 5e-3)


@EVERY
def test_gradients_are_finite_for_every_parameter_and_every_kind_of_value(name):
    family = laws.made(name)
    x = np.concatenate([laws.rows(family, 200, 4), laws.far_rows(family, 200, 5)])
    x = np.concatenate([x] * 4)
    params = [random_params(family, 400, extreme) for extreme in (None, *EXTREMES)]
    params = tf.constant(np.concatenate(params))
    with tf.GradientTape() as tape:
        tape.watch(params)
        log_prob = family.log_prob(params, x)
    assert np.isfinite(tape.gradient(log_prob, params)).all()


@pytest.mark.parametrize(
    "make", [families.NormalMixture, families.LogisticMixture, lambda k: _binned()]
)
@pytest.mark.parametrize("value", [1e12, -1e20, 3e38, -3.4e38])
def test_the_largest_numbers_keep_densities_and_gradients_finite(make, value):
    family = make(3).bind(1)
    x = np.full((3, 1), value, np.float32)
    params = tf.constant(random_params(family, 3, 100.0))
    with tf.GradientTape() as tape:
        tape.watch(params)
        log_prob = family.log_prob(params, x)
    assert (np.asarray(log_prob) < -1e4).all() and np.isfinite(log_prob).all()
    assert np.isfinite(tape.gradient(log_prob, params)).all()
    assert np.isfinite(family.encode(x)).all() and (np.abs(family.encode(x)) <= 1e3).all()


def _binned():
    return families.Binned([[-1.0, 2.0]], [[1.0, 3.0]])


@EVERY
def test_half_precision_parameters_are_computed_in_float32(name):
    family = laws.made(name)
    x, params = laws.rows(family, 20), random_params(family, 20).astype(np.float16)
    noise = family.noise(np.full((20, family.num_uniforms), 0.3, np.float32))
    log_prob = family.log_prob(ops.convert_to_tensor(params), x)
    assert log_prob.dtype == tf.float32
    np.testing.assert_array_equal(log_prob, family.log_prob(params.astype(np.float32), x))
    drawn = family.transform(ops.convert_to_tensor(params), noise)
    np.testing.assert_array_equal(drawn, family.transform(params.astype(np.float32), noise))
    assert drawn.dtype == tf.float32


# Probabilities sum to 1.


@EVERY
def test_probabilities_sum_and_densities_integrate_to_one(name):
    family = laws.made(name)
    params = random_params(family, 2, scale=1.0, seed=6)
    parts = zip(laws.laws(family), laws.parameters_of(family, params), strict=True)
    for column, (law, own) in enumerate(parts):
        alone = family.select(np.array([column]))
        for row in own:
            x, weights, outside = law.mesh(row[None])
            params32 = np.repeat(row[None].astype(np.float32), len(x), axis=0)
            density = np.exp(np.asarray(alone.log_prob(params32, x[:, None]), np.float64)[:, 0])
            assert abs(density @ weights + outside - 1) < 1e-5, (column, outside)
            assert outside < 0.5


@pytest.mark.parametrize("name", ["ordinal", "inflated categorical", "inflated ordinal"])
def test_finite_states_sum_to_one_at_extreme_parameters(name):
    family = laws.made(name)
    for extreme in (None, 1e4):
        params = random_params(family, 100, extreme)
        for column, states in enumerate(family.finite_states()):
            own = family.select(np.array([column]))
            its = laws.parameters_of(family, params)[column].astype(np.float32)
            total = sum(
                np.exp(np.asarray(own.log_prob(its, np.full((100, 1), value)))) for value in states
            )
            np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_the_states_are_those_of_the_law():
    for name in laws.FAMILIES:
        family = laws.made(name)
        for law, states in zip(laws.laws(family), family.states(), strict=True):
            if states is None:
                continue
            assert states.dtype == np.float32
            expected = law.ladder(np.zeros((1, law.num_params)))
            assert np.isin(expected.astype(np.float32), states).all()
            assert law.in_support(states).all() and (np.diff(states) > 0).all()


# The support.


@EVERY
def test_what_is_no_number_is_outside_every_support(name):
    family = laws.made(name)
    x = np.float32([[np.nan], [np.inf], [-np.inf]]) * np.ones(family.event_size, np.float32)
    assert not np.asarray(family.in_support(x)).any()


@EVERY
def test_the_support_is_that_of_the_law(name):
    family = laws.made(name)
    inside = np.concatenate([laws.rows(family, 200), laws.far_rows(family, 200)])
    assert np.asarray(family.in_support(inside)).all()
    values = [-7.5, -1.0, -0.5, 0.0, 0.005, 0.23, 0.5, 1.0, 2.0, 2.5, 7.0, 1e9, -(2.0**100)]
    x = np.repeat(np.float32(values)[:, None], family.event_size, axis=1)
    expected = [law.in_support(x[:, column]) for column, law in enumerate(laws.laws(family))]
    np.testing.assert_array_equal(family.in_support(x), np.stack(expected, axis=1))


@pytest.mark.parametrize(
    ("family", "inside", "outside"),
    [
        (families.Ordinal([3, 2]), [2, 1], [3, 2]),
        (families.Ordinal([3, 2]), [0, 0], [-1, 0.5]),
        (families.Count(2), [0, 2**24 - 1], [-1, 2**24]),
        (families.Count(2), [5, 7], [0.5, 6.75]),
        (
            families.Discretized(families.LogisticMixture(1), 0.01, [0.0, None], [1.0, None]),
            [0.23, -7.77],
            [0.235, -7.775],
        ),
        (
            families.Discretized(families.LogisticMixture(1), 0.01, 0.0, 1.0),
            [0.0, 1.0],
            [-0.01, 1.01],
        ),
        (families.Binned([[0.5], [0.15]], [[1, 1]] * 2, [1.0, 0.1]), [-3, 0.7], [0.5, 0.75]),
        (families.Inflated(families.Count(1), [[0.5], [-3.0]]), [0.5, -3], [-0.5, -2]),
    ],
)
def test_values_off_the_support_are_refused(family, inside, outside):
    family = family.bind(2)
    assert np.asarray(family.in_support(np.float32([inside]))).all()
    assert not np.asarray(family.in_support(np.float32([outside]))).any()


@pytest.mark.parametrize("largest", [1000, 2**20, 2**22 - 1])
@pytest.mark.parametrize(
    ("step", "origin"),
    [(1.0, 0.0), (0.01, 0.0), (1 / 255, 0.0), (0.25, 0.0), (0.07, 0.03), (0.3, 0.1), (5.0, 3.0)],
)
def test_points_far_from_the_origin_are_found_and_exact(step, origin, largest):
    mixture = families.LogisticMixture(1)
    index = np.random.default_rng(0).integers(-largest, largest, (2000, 1))
    x = (origin + index * step).astype(np.float32)
    for of_one in (step, [step]):  # for all columns, or for each
        family = families.Discretized(mixture, of_one, origin=origin).bind(1)
        assert np.asarray(family.in_support(x)).all()
        np.testing.assert_array_equal(family.grid_index(x), index)
        # Exact, as long as float32 counts as far as their numerators.
        exact = np.abs(index * round(step * 100)) < 2**24
        points = np.asarray(family.grid_point(index.astype(np.float32)))
        np.testing.assert_array_equal(points[exact], x[exact])
        np.testing.assert_allclose(points, x, rtol=2e-7)


def test_an_inflated_point_that_the_other_family_has_too_adds_up():
    family = families.Inflated(families.Categorical(3), [1.0]).bind(1)
    params = np.float32([[0.0, 0.0, 0.0, 0.0]])  # a half to the point, a third of the rest
    for value, probability in ((0.0, 1 / 6), (1.0, 1 / 2 + 1 / 6), (2.0, 1 / 6)):
        found = np.exp(family.log_prob(params, np.float32([[value]])))
        np.testing.assert_allclose(found, probability, rtol=1e-6)


def test_an_ordinal_of_zeros_has_the_proportions_of_its_counts():
    counts = np.array([7.0, 0.0, 1e17, 2.0, 0.0])
    family = families.Ordinal(5, [counts]).bind(1)
    x = np.arange(5, dtype=np.float32)[:, None]
    found = np.exp(family.log_prob(np.zeros((5, 4), np.float32), x))[:, 0]
    np.testing.assert_allclose(found, (counts + 0.5) / (counts + 0.5).sum(), rtol=1e-4)
