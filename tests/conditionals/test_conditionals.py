import json

import keras
import numpy as np
import pytest
import reference
import scipy.integrate
import scipy.special
import scipy.stats
import tensorflow as tf
from keras import ops

import made_tf
from made_tf import conditionals as families
from made_tf.conditionals.special_functions import normal_quantile

D = 4
EVERY = pytest.mark.parametrize("name", reference.FAMILIES)
LOWEST, HIGHEST = 2.0**-24, 1 - 2.0**-24


def made(name, event_size=D):
    return reference.FAMILIES[name](event_size)


def random_params(family, count, scale=2.0, event_size=D, seed=0):
    size = int(family.layout.parameters.sizes.sum())
    return np.random.default_rng(seed).normal(0, scale, (count, size)).astype(np.float32)


def random_uniforms(shape, seed=1):
    return np.random.default_rng(seed).uniform(LOWEST, HIGHEST, shape).astype(np.float32)


@EVERY
class TestContract:
    def test_the_config_goes_round_through_json(self, name):
        family = made(name)
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(family)))
        for again in (
            keras.saving.deserialize_keras_object(config),
            families.get(config, D),
            type(family).from_config(family.get_config()),
        ):
            assert type(again) is type(family)
            assert again.get_config() == family.get_config()

    def test_sizes_count_features_and_parameters(self, name):
        family = made(name)
        x = reference.rows(family, 3, D)
        assert family.layout.features.sizes.shape == family.layout.parameters.sizes.shape == (D,)
        assert ops.shape(family.encode(x)) == (3, family.layout.features.sizes.sum())
        assert ops.shape(family.log_prob(random_params(family, 3), x)) == (3, D)
        for values in family.unpack(random_params(family, 3)).values():
            assert values.shape[:2] == (3, D)

    def test_the_encoding_follows_the_loops(self, name):
        family = made(name)
        x = reference.rows(family, 20, D)
        np.testing.assert_allclose(family.encode(x), reference.encode(family, x), rtol=1e-5)

    def test_log_prob_is_that_of_scipy(self, name):
        family = made(name)
        x = np.concatenate([reference.rows(family, 30, D, seed) for seed in range(2)])
        params = random_params(family, len(x))
        np.testing.assert_allclose(
            family.log_prob(params, x),
            reference.conditional_log_prob(family, params, x),
            rtol=2e-5,
            atol=2e-6,
        )

    def test_log_prob_is_that_of_the_matching_distribution(self, name):
        family = made(name)
        x, params = reference.rows(family, 30, D), random_params(family, 30)
        distribution = family.distribution(params)
        assert distribution.event_shape == (D,)
        assert distribution.batch_shape == (30,)
        assert distribution.dtype == tf.float32
        np.testing.assert_allclose(
            distribution.log_prob(x), ops.sum(family.log_prob(params, x), -1), rtol=1e-5, atol=1e-5
        )

    def test_half_precision_parameters_are_computed_in_float32(self, name):
        family = made(name)
        x, params = reference.rows(family, 5, D), random_params(family, 5).astype(np.float16)
        log_prob = family.log_prob(ops.convert_to_tensor(params), x)
        assert log_prob.dtype == tf.float32
        np.testing.assert_array_equal(log_prob, family.log_prob(params.astype(np.float32), x))

    def test_samples_lie_in_the_support(self, name):
        family = made(name)
        x = family.sample(random_params(family, 500, 20.0), random_uniforms((500, D)))
        assert x.dtype == tf.float32
        assert np.asarray(family.in_support(x)).all()

    def test_samples_follow_their_parameters(self, name):
        family = made(name)
        params = np.repeat(random_params(family, 1, 1.0), 4000, axis=0)
        x = np.asarray(family.sample(params, random_uniforms((4000, D))))
        for variable in range(D):
            law = reference.conditional(family, params[0], variable, D)
            if family.is_discrete.all():
                values = family.finite_states()[variable]
                counts = [(x[:, variable] == value).sum() for value in values]
                p_value = scipy.stats.chisquare(counts, 4000 * law.pmf(values)).pvalue
            else:
                p_value = scipy.stats.kstest(x[:, variable], law.cdf).pvalue
            assert p_value > 1e-3

    def test_selected_variables_keep_their_conditionals(self, name):
        family = made(name)
        variables = np.array([2, 0])
        chosen = family.select(variables)
        x, params = reference.rows(family, 10, D), random_params(family, 10)
        owner = np.array(reference.owners(family.layout.parameters.sizes))
        own = np.concatenate([params[:, owner == variable] for variable in variables], axis=1)
        np.testing.assert_array_equal(
            chosen.layout.parameters.sizes, family.layout.parameters.sizes[[2, 0]]
        )
        np.testing.assert_allclose(
            chosen.log_prob(own, x[:, variables]),
            np.asarray(family.log_prob(params, x))[:, variables],
            rtol=1e-6,
        )
        uniforms = random_uniforms((10, D))
        np.testing.assert_allclose(
            chosen.sample(own, uniforms[:, variables]),
            np.asarray(family.sample(params, uniforms))[:, variables],
            rtol=1e-6,
        )

    @pytest.mark.parametrize("value", [100.0, -100.0, 1e4, -1e4])
    def test_extreme_parameters_keep_values_and_gradients_finite(self, name, value):
        family = made(name)
        if name.endswith("normal") and abs(value) > 100:
            pytest.skip("a location 1e4 scales away has a density of 0 in float32")
        params = random_params(family, 8)
        params[::2, 1::2] = value
        params[1::2, ::2] = value
        x, params = reference.rows(family, 8, D), tf.constant(params)
        with tf.GradientTape() as tape:
            tape.watch(params)
            log_prob = family.log_prob(params, x)
        gradient = tape.gradient(log_prob, params)
        if not family.is_discrete.all():
            log_prob, gradient = log_prob[::2], gradient[::2]  # an extreme scale
        assert np.isfinite(log_prob).all()
        assert np.isfinite(gradient).all()
        assert np.isfinite(family.sample(params, random_uniforms((8, D)))).all()

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_what_is_no_number_is_outside_every_support(self, name, value):
        assert not np.asarray(made(name).in_support(np.full((2, D), value, np.float32))).any()

    def test_from_data_finds_a_family_that_holds_the_data(self, name):
        x = reference.rows(made(name), 200, D)
        family = type(made(name)).from_data(x)
        assert families.get(family, D) is family
        assert np.asarray(family.in_support(x)).all()

    def test_the_model_treats_the_inputs_of_a_variable_as_one(self, name):
        # Perturb a column: outputs that come later move, and no others.
        model = reference.small_model(name)
        np.testing.assert_array_equal(reference.dependencies(model), reference.allowed(model))


@pytest.mark.parametrize("name", reference.DISCRETE)
def test_the_probabilities_of_all_states_sum_to_one(name):
    family = made(name)
    params = random_params(family, 50, 5.0)
    for variable, states in enumerate(family.finite_states()):
        total = 0.0
        for state in states:
            x = reference.rows(family, 50, D)
            x[:, variable] = state
            total = total + np.exp(np.asarray(family.log_prob(params, x))[:, variable])
        np.testing.assert_allclose(total, 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", ["normal", "scaled_normal"])
def test_a_density_integrates_to_one(name):
    family = made(name)
    params = random_params(family, 1, 1.0)
    values = family.unpack(params)
    for variable in range(D):
        loc, scale = (float(values[key][0, variable]) for key in ("loc", "scale"))

        def density(x, variable=variable):
            row = np.full((1, D), x, np.float32)
            return float(np.exp(family.log_prob(params, row)[0, variable]))

        total, _ = scipy.integrate.quad(density, loc - 9 * scale, loc + 9 * scale, epsabs=1e-7)
        assert abs(total - 1) < 1e-5


def random_sets(family, count, event_size=D):
    """Sets of values `[count, D, K]`; some hold nothing that exists."""
    states = [len(values) for values in family.finite_states()]
    exists = np.arange(max(states)) < np.array(states)[:, None]
    allowed = np.random.default_rng(4).integers(0, 2, (count, event_size, max(states)))
    return allowed.astype(np.float32), exists


@pytest.mark.parametrize("name", reference.DISCRETE)
@pytest.mark.parametrize("rows_of_sets", [1, 40])
def test_the_probability_of_a_set_is_the_sum_of_its_values(name, rows_of_sets):
    family = made(name)
    params = random_params(family, 40, 3.0)
    allowed, exists = random_sets(family, rows_of_sets)
    total = np.zeros((40, D))
    for n, k in np.ndindex(40, D):
        law = reference.conditional(family, params[n], k, D)
        values = np.flatnonzero(allowed[n % rows_of_sets, k] * exists[k])
        total[n, k] = sum(law.pmf(value) for value in values)
    found = np.exp(np.asarray(family.log_prob_within(params, allowed)))
    np.testing.assert_allclose(found, total, rtol=1e-5, atol=1e-6)
    assert (found[total == 0] == 0).all()
    everything = np.ones_like(allowed)
    np.testing.assert_array_equal(family.log_prob_within(params, everything), np.zeros((40, D)))


@pytest.mark.parametrize("name", reference.DISCRETE)
def test_draws_within_sets_follow_the_restricted_conditional(name):
    family = made(name)
    params = random_params(family, 8, 2.0)
    allowed, exists = random_sets(family, 8)
    u = (np.arange(4000, dtype=np.float32) + 0.5) / 4000  # evenly, so that counts are exact
    noise = np.asarray(family.noise(np.repeat(u[:, None], D, axis=1)))
    compared = 0
    for row, sets in zip(params, allowed, strict=True):
        drawn = np.asarray(
            family.transform_within(np.repeat(row[None], 4000, axis=0), noise, sets[None])
        )
        for k in range(D):
            law = reference.conditional(family, row, k, D)
            inside = sets[k] * exists[k] * [law.pmf(v) for v in range(sets.shape[1])]
            if inside.sum() == 0:
                continue
            found = np.bincount(drawn[:, k].astype(int), minlength=sets.shape[1]) / 4000
            np.testing.assert_allclose(found, inside / inside.sum(), atol=2e-3)
            assert (found[inside == 0] == 0).all()
            compared += 1
    assert compared > 16


def test_sets_may_have_values_that_none_of_the_selected_variables_has():
    family = families.Categorical([2, 4, 3]).bind(3)
    small = family.select(np.array([0, 2]))
    params = random_params(small, 6, event_size=2)
    allowed = np.array([[[0, 1, 1, 1], [1, 0, 1, 0]]], np.float32)
    noise = random_uniforms((6, 2))
    drawn = np.asarray(small.transform_within(params, noise, allowed))
    np.testing.assert_array_equal(drawn, small.transform_within(params, noise, allowed[..., :3]))
    assert (drawn[:, 0] == 1).all() and np.isin(drawn[:, 1], (0, 2)).all()
    np.testing.assert_array_equal(
        small.log_prob_within(params, allowed), small.log_prob_within(params, allowed[..., :3])
    )


@pytest.mark.parametrize("name", ["normal", "scaled_normal"])
def test_real_values_have_no_sets(name):
    family = made(name)
    with pytest.raises(ValueError, match="Sets of values need discrete conditionals"):
        family.transform_within(None, None, None)
    with pytest.raises(ValueError, match="Sets of values need discrete conditionals"):
        family.log_prob_within(None, None)


def test_states_are_listed_for_discrete_families_only():
    assert [s.tolist() for s in families.Categorical([2, 3]).bind(2).states()] == [
        [0, 1],
        [0, 1, 2],
    ]
    assert [s.tolist() for s in families.Bernoulli().bind(2).states()] == [[0, 1], [0, 1]]
    with pytest.raises(ValueError, match="must be discrete for its states to be listed"):
        families.Normal().bind(2).finite_states()


GRID = np.concatenate([[LOWEST, 1e-6], np.linspace(0.001, 0.999, 997), [1 - 1e-6, HIGHEST]])
GRID = GRID.astype(np.float32)


def on_grid(family, params):
    """Samples `[grid, D]` of one row of parameters at a grid of uniforms."""
    params = np.repeat(params, len(GRID), axis=0)
    return np.asarray(family.sample(params, np.repeat(GRID[:, None], D, axis=1)))


@pytest.mark.parametrize("name", ["categorical", "ragged", "normal", "scaled_normal"])
def test_sampling_inverts_the_distribution_function(name):
    family = made(name)
    params = random_params(family, 1)
    x = on_grid(family, params)
    assert (np.diff(x, axis=0) >= 0).all()
    for variable in range(D):
        law = reference.conditional(family, params[0], variable, D)
        expected = law.ppf(GRID.astype(np.float64))
        if family.is_discrete.all():
            # Rounding of the sum of probabilities may move a step by a few float32 units.
            steps = law.cdf(np.arange(9))
            clear = (np.abs(GRID[:, None] - steps[None, :]) > 1e-6).all(axis=1)
            clear |= GRID < 1e-6
            assert clear.mean() > 0.9
            np.testing.assert_array_equal(x[clear, variable], expected[clear])
        else:
            scale = law.std()
            np.testing.assert_allclose(
                (x[:, variable] - law.mean()) / scale,
                (expected - law.mean()) / scale,
                atol=2e-6 * (1 + abs(law.mean() / scale)),
            )


@pytest.mark.parametrize("logit", [-30.0, -3.0, 0.0, 0.5, 3.0, 30.0])
def test_a_bernoulli_is_one_where_the_uniform_is_below_its_probability(logit):
    x = on_grid(families.Bernoulli().bind(D), np.full((1, D), logit, np.float32))[:, 0]
    probability = scipy.special.expit(logit)
    clear = np.abs(GRID - probability) > 1e-6
    np.testing.assert_array_equal(x[clear], (probability > GRID)[clear])
    assert (np.diff(x) <= 0).all()
    if logit == 0:
        assert on_grid(families.Bernoulli().bind(D), np.zeros((1, D), np.float32))[
            :, 0
        ].sum() == sum(GRID < 0.5)


def test_the_gradient_at_logit_zero_is_exactly_x_minus_half():
    logits = tf.zeros((2, 1))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        log_prob = (
            families.Bernoulli().bind(1).log_prob(logits, np.array([[0.0], [1.0]], np.float32))
        )
    np.testing.assert_array_equal(tape.gradient(log_prob, logits), [[-0.5], [0.5]])


def test_a_bernoulli_log_prob_does_not_saturate():
    logits = np.array([[-1e4, 1e4, -50.0, 50.0]], np.float32)
    for x in (np.zeros((1, 4), np.float32), np.ones((1, 4), np.float32)):
        expected = x * logits - np.maximum(logits, 0)
        np.testing.assert_allclose(
            families.Bernoulli().bind(4).log_prob(logits, x), expected, rtol=1e-6
        )


def test_the_classes_that_pad_a_shorter_variable_never_occur():
    family = families.Categorical([2, 5]).bind(2)
    for value in (0.0, 100.0, -100.0, 1e4, -1e4):
        params = np.full((len(GRID), 7), value, np.float32)
        params[:, 0] = 0.0
        x = np.asarray(family.sample(params, np.repeat(GRID[:, None], 2, axis=1)))
        assert x[:, 0].max() <= 1
        assert np.asarray(family.in_support(x)).all()
    logits = np.asarray(family.unpack(np.zeros((1, 7), np.float32))["logits"])
    assert logits.shape == (1, 2, 5)
    np.testing.assert_array_equal(scipy.special.softmax(logits[0, 0]), [0.5, 0.5, 0, 0, 0])


@pytest.mark.parametrize("num_classes", [6, 20, [3, 6]])
def test_rounding_draws_no_class_that_cannot_occur(num_classes):
    # The largest uniform: a CDF that rounding ends below it would pass to the classes behind.
    family = families.Categorical(num_classes).bind(2)
    sizes = family.layout.parameters.sizes
    params = random_params(family, 2000, event_size=2).copy()
    params[:, sizes[0] // 2 : sizes[0]] = -1e4
    x = np.asarray(family.sample(params, np.full((2000, 2), HIGHEST, np.float32)))
    assert (x[:, 0] < sizes[0] // 2).all()
    assert (x[:, 1] < sizes[1]).all()


@pytest.mark.parametrize("position", range(3))
def test_a_certain_class_is_always_drawn(position):
    params = np.full((1, 3 * D), -1e4, np.float32).reshape(1, D, 3)
    params[:, :, position] = 1e4
    assert (on_grid(families.Categorical(3).bind(D), params.reshape(1, -1)) == position).all()


@pytest.mark.parametrize(
    ("name", "value", "inside"),
    [
        ("bernoulli", 0, True),
        ("bernoulli", 1, True),
        ("bernoulli", 0.5, False),
        ("bernoulli", -1, False),
        ("bernoulli", 2, False),
        ("categorical", 2, True),
        ("categorical", 3, False),
        ("categorical", -1, False),
        ("categorical", 0.5, False),
        ("normal", -1e30, True),
        ("normal", 0.5, True),
    ],
)
def test_the_support_is_as_stated(name, value, inside):
    assert np.asarray(made(name).in_support(np.full((1, D), value, np.float32))).all() == inside


def test_each_ragged_variable_has_its_own_support():
    x = np.full((1, 3), 2.0, np.float32)
    inside = families.Categorical([2, 3, 4]).bind(3).in_support(x)
    np.testing.assert_array_equal(inside, [[False, True, True]])


def test_the_scale_is_bounded_and_smooth():
    params = np.array([[0.0, raw] for raw in (-1e4, -100, 0, 100, 1e4)], np.float32)
    scale = np.asarray(families.Normal().bind(1).unpack(params)["scale"])[:, 0]
    np.testing.assert_allclose(scale, np.exp([-7, -7, 0, 7, 7]), rtol=1e-4)


def test_data_of_any_scale_are_standardised():
    rng = np.random.default_rng(0)
    x = rng.normal([1e3, -5.0, 0.0], [10.0, 1e-3, 1.0], (1000, 3)).astype(np.float32)
    family = families.Normal.from_data(x)
    encoded = np.asarray(family.encode(x))
    np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-2)
    np.testing.assert_allclose(encoded.std(axis=0), 1, atol=1e-2)
    # At the network's zero output this is the density of independent normals.
    expected = scipy.stats.norm(x.mean(0), x.std(0)).logpdf(x)
    np.testing.assert_allclose(
        family.log_prob(np.zeros((1000, 6), np.float32), x), expected, atol=5e-2
    )


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
@pytest.mark.parametrize("rows", [1, 7, 1001])
def test_a_constant_column_keeps_the_scale_one(value, rows):
    family = families.Normal.from_data(np.full((rows, 2), value, np.float32))
    assert family.data_scale == [1.0, 1.0]


def test_categorical_data_tell_their_number_of_classes():
    family = families.Categorical.from_data(np.array([[0, 1, 4], [0, 0, 2]]))
    assert family.num_classes == [2, 2, 5]


def test_the_normal_quantile_is_accurate_over_the_whole_range():
    exponents = np.arange(1, 25)
    p = np.concatenate(
        [
            2.0**-exponents,
            1 - 2.0**-exponents,
            np.linspace(LOWEST, HIGHEST, 100_001),
            np.geomspace(LOWEST, 0.5, 20_001),
            1 - np.geomspace(LOWEST, 0.5, 20_001),
            [0.075, 0.925],  # where the centre meets the tails
        ]
    ).astype(np.float32)
    p = p[(p >= LOWEST) & (p <= HIGHEST)]
    assert p.min() == LOWEST
    assert p.max() == np.float32(HIGHEST)
    np.testing.assert_allclose(
        normal_quantile(p), scipy.special.ndtri(p.astype(np.float64)), rtol=2e-6, atol=1e-7
    )


def test_the_normal_quantile_is_odd_about_one_half():
    p = np.arange(1, 2**12, dtype=np.float32) / 2**12
    np.testing.assert_array_equal(normal_quantile(p), -np.asarray(normal_quantile(1 - p)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: families.Categorical(1), "`num_classes` must be an integer of at least 2"),
        (lambda: families.Categorical([3, 1]), r"at least 2. Received: num_classes=1"),
        (lambda: families.Categorical(2.0), "`num_classes` must be an integer of at least 2"),
        (lambda: families.Categorical(True), "`num_classes` must be an integer of at least 2"),
        (lambda: families.Normal(np.nan), "`data_loc` must be a finite number"),
        (lambda: families.Normal([0.0, "a"]), "`data_loc` must be a finite number"),
        (lambda: families.Normal(0.0, np.inf), "`data_scale` must be a finite number"),
        (lambda: families.Normal(0.0, 0.0), "`data_scale` must be positive"),
        (lambda: families.Normal(0.0, [1.0, -2.0]), "`data_scale` must be positive"),
        (lambda: families.get("gaussian", 3), r"must be one of \['bernoulli'"),
        (lambda: families.get(3, 3), "Received: conditionals=3"),
        (lambda: families.get("categorical", 3), r"made_tf.Categorical\(...\) yourself"),
        (lambda: families.get(families.Categorical([2, 3]), 3), "must describe event_size=3"),
        (lambda: families.get(families.Categorical([2]), 3), "must describe event_size=3"),
        (lambda: families.get(families.Categorical([]), 3), "must describe event_size=3"),
        (lambda: families.get(families.Normal([0.0]), 3), "must describe event_size=3"),
        (lambda: families.get(families.Normal(0.0, [1.0] * 4), 3), "must describe event_size=3"),
    ],
)
def test_bad_arguments_get_an_error_that_names_them(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_numpy_arguments_become_plain_values():
    assert made_tf.Categorical(np.array([2, 3])).get_config() == {"num_classes": [2, 3]}
    assert made_tf.Categorical(np.int64(4)).get_config() == {"num_classes": 4}
    config = made_tf.Normal(np.zeros(2, np.float32), np.float32(2.0)).get_config()
    assert json.loads(json.dumps(config)) == {"data_loc": [0.0, 0.0], "data_scale": 2.0}


def test_a_constant_column_does_not_get_the_scale_of_its_rounding():
    for value in (0.1, 0.3, 1e6 + 0.1):
        x = np.stack([np.full(1000, value), np.arange(1000.0)], axis=1)
        assert families.Normal.from_data(x).data_scale[0] == 1.0


@pytest.mark.parametrize("scale", [0.0, -1.0, 1e-46, 1e39, np.inf, np.nan])
def test_a_scale_that_float32_cannot_hold_is_refused(scale):
    with pytest.raises(ValueError, match="`data_scale` must be"):
        families.Normal(data_scale=scale)


@pytest.mark.parametrize("value", [9.0, 1.5, -1.0])
def test_a_value_that_is_no_class_has_no_probability(value):
    log_prob = families.Categorical(4).bind(1).log_prob(np.zeros((1, 4), np.float32), [[value]])
    assert np.asarray(log_prob)[0, 0] < -1e8


def test_bernoulli_keeps_small_probabilities():
    log_prob = families.Bernoulli().bind(1).log_prob(np.array([[12.0]], np.float32), [[1.0]])
    np.testing.assert_allclose(log_prob, -np.log1p(np.exp(-12.0)), rtol=0.02)
