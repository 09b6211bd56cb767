import itertools

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
import tensorflow_probability as tfp

import made_tf
from made_tf.distributions.conditional import ConditionalMADE

tfb, tfd = tfp.bijectors, tfp.distributions
NAN = np.nan

PREFIX = [NAN, 1, NAN, 0]  # of the order 3, 1, 4, 2
LATE = [NAN, NAN, 1, 0]
MIXED = [[0, NAN, 1, NAN], [NAN, 1, NAN, NAN], [1, NAN, 0, NAN]]


def distribution(family="bernoulli", num_orders=None, **kwargs):
    keras.utils.set_random_seed(0)  # fixtures of the module are made before that of the test
    options = {"input_order": [3, 1, 4, 2], "hidden_units": (9,), **kwargs}
    model = reference.loud(family, 4, **options)
    return made_tf.MADEDistribution(model, num_orders=num_orders, num_particles=300)


@pytest.fixture(scope="module")
def fixed():
    return distribution()


@pytest.fixture(scope="module")
def any_order():
    return distribution("ragged", num_masks=None)


@pytest.fixture(scope="module")
def table(fixed):
    return reference.Table(fixed.model)


def first_order_table(dist, evidence):
    order, *hidden = reference.order_of(dist.model)
    known = ~np.isnan(np.asarray(evidence, float))
    return reference.Table(dist.model, [reference.known_first(order, known), *hidden])


def completions(states, evidence):
    """The states that agree with evidence."""
    return states[np.all(np.isnan(evidence) | (states == evidence), axis=1)]


def test_shapes_and_names(fixed):
    one, several = fixed.condition(PREFIX), fixed.condition([[PREFIX] * 2] * 3)
    assert isinstance(one, ConditionalMADE)
    assert (one.batch_shape, one.event_shape, one.dtype) == ((), (2,), tf.float32)
    assert (several.batch_shape, several.event_shape) == ((3, 2), (2,))
    assert several.batch_shape_tensor().numpy().tolist() == [3, 2]
    assert several.event_shape_tensor().numpy().tolist() == [2]
    assert one.unobserved.tolist() == [0, 2]
    assert several.sample([5, 4], seed=1).shape == (5, 4, 3, 2, 2)
    assert several.sample(seed=1).shape == (3, 2, 2)
    mixed = fixed.condition(MIXED)
    assert (mixed.batch_shape, mixed.event_shape) == ((3,), (4,))
    assert mixed.unobserved.tolist() == [0, 1, 2, 3]


def test_which_conditionals_are_exact(fixed, any_order):
    assert fixed.condition(PREFIX).is_exact and fixed.condition([PREFIX]).is_exact
    assert not fixed.condition(LATE).is_exact
    assert not fixed.condition([PREFIX, LATE]).is_exact
    assert any_order.condition([PREFIX, LATE]).is_exact


@pytest.mark.parametrize("evidence", [PREFIX, [NAN, 0, NAN, NAN], [1, 0, NAN, 1], [NAN] * 4])
def test_prefix_evidence_gives_ratios_of_enumerated_probabilities(evidence, fixed, table):
    dist = fixed.condition(evidence)
    rows = completions(table.states, evidence)
    found = dist.prob(rows[:, dist.unobserved]).numpy()
    assert found.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(
        found, [table(row) / table(np.array(evidence)) for row in rows], atol=1e-5
    )
    marginal = dist.evidence_log_prob()
    np.testing.assert_allclose(marginal.probability, table(np.array(evidence)), atol=1e-5)
    assert marginal.standard_error == 0 and np.isposinf(marginal.effective_sample_size)


@pytest.mark.parametrize("num_orders", [1, 3])
def test_any_evidence_of_a_model_of_all_orders(num_orders, any_order):
    dist = distribution("ragged", num_orders, num_masks=None) if num_orders > 1 else any_order
    states = reference.states(dist.model)
    for pattern in itertools.product([True, False], repeat=4):
        if all(pattern):
            continue
        evidence = np.where(pattern, states[-1], NAN)
        given = dist.condition(evidence)
        assert given.is_exact
        rows = completions(states, evidence)
        found = given.prob(rows[:, given.unobserved]).numpy()
        assert found.sum() == pytest.approx(1, abs=1e-5)
        if num_orders == 1:
            table = first_order_table(dist, evidence)
            expected = [table(row) / table(evidence) for row in rows]
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_nothing_known_is_the_distribution_itself(fixed):
    x = fixed.sample(20, seed=1)
    for dist in (fixed, distribution(num_orders=2, num_masks=None)):
        given = dist.condition([NAN] * 4)
        np.testing.assert_allclose(given.log_prob(x), dist.log_prob(x), rtol=1e-5, atol=1e-6)


def test_late_evidence_is_estimated(fixed, table):
    dist = fixed.condition(LATE)
    rows = completions(table.states, LATE)
    marginal = dist.evidence_log_prob()
    expected = table(np.array(LATE))
    assert 0 < marginal.standard_error < 0.2
    assert 1 < marginal.effective_sample_size <= 300
    assert abs(marginal.log_prob - np.log(expected)) < 4 * marginal.standard_error
    joint = np.log([table(row) for row in rows])
    found = dist.log_prob(rows[:, :2])
    np.testing.assert_allclose(found, joint - marginal.log_prob, atol=1e-5)


def test_samples_of_prefix_evidence_follow_the_conditional(fixed, table):
    drawn = fixed.condition(PREFIX).sample(5000, seed=3).numpy()
    rows = np.broadcast_to(np.array(PREFIX, np.float32), (5000, 4)).copy()
    rows[:, [0, 2]] = drawn
    expected = 5000 * table.given(np.array(PREFIX))
    assert reference.chi_squared_pvalue(table.counts(rows), expected) > 0.01


def test_samples_of_late_evidence_follow_the_conditional(fixed, table):
    """Each row of the batch has particles of its own, from which one row is drawn."""
    drawn = fixed.condition([LATE] * 300).sample(seed=1).numpy()
    rows = np.concatenate([drawn, np.broadcast_to(np.array(LATE)[2:], (300, 2))], axis=1)
    expected = 300 * table.given(np.array(LATE))
    assert reference.chi_squared_pvalue(table.counts(rows), expected) > 0.01
    # Drawn with the values in their places and without weights, x_1 has its prior instead.
    prior = 300 * table(np.array([NAN, 1, NAN, NAN]))
    counts = np.array([300 - drawn[:, 1].sum(), drawn[:, 1].sum()])
    assert reference.chi_squared_pvalue(counts, np.array([300 - prior, prior])) < 1e-4


def test_samples_of_a_model_of_all_orders_follow_the_conditional(any_order):
    evidence = np.array([NAN, 2, NAN, 0])
    table = first_order_table(any_order, evidence)
    drawn = any_order.condition(evidence).sample(5000, seed=3).numpy()
    rows = np.broadcast_to(evidence, (5000, 4)).copy()
    rows[:, [0, 2]] = drawn
    expected = 5000 * table.given(evidence)
    assert reference.chi_squared_pvalue(table.counts(rows), expected) > 0.01


@pytest.mark.parametrize("evidence", [PREFIX, LATE, MIXED])
def test_seeds(evidence, fixed):
    dist = fixed.condition(evidence)
    found = dist.sample(30, seed=3)
    np.testing.assert_array_equal(dist.sample(30, seed=3), found)
    np.testing.assert_array_equal(dist.sample(30, seed=(3, 0)), found)
    np.testing.assert_array_equal(
        dist.sample([3, 10], seed=3), tf.reshape(found, [3, 10, *found.shape[1:]])
    )
    np.testing.assert_array_equal(dist.sample(7, seed=3), found[:7])
    assert (dist.sample(30, seed=4) != found).numpy().any()
    assert (dist.sample(30, seed=2**31) != found).numpy().any()
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        dist.sample(2, seed=1.5)


# Batches.


def test_a_batch_equals_its_rows(fixed, any_order):
    for dist in (fixed, any_order):
        evidence = np.array([PREFIX, [NAN, 0, NAN, 1]])
        given = dist.condition(evidence)
        value = np.random.default_rng(0).integers(0, 2, (5, 1, 2)).astype(np.float32)
        found = given.log_prob(value)  # broadcast against the batch
        assert found.shape == (5, 2)
        for column in range(2):
            np.testing.assert_allclose(
                found[:, column], dist.condition(evidence[column]).log_prob(value[:, 0]), rtol=1e-5
            )


def test_patterns_of_each_row(fixed, table):
    dist = fixed.condition(MIXED)
    found = dist.log_prob(table.states[:, None]).numpy()
    assert found.shape == (16, 3)
    marginal = dist.evidence_log_prob()
    assert np.isinf(marginal.effective_sample_size).tolist() == [False, True, False]
    for column, evidence in enumerate(np.array(MIXED)):
        agrees = np.all(np.isnan(evidence) | (table.states == evidence), axis=1)
        assert (found[~agrees, column] == -np.inf).all()
        expected = np.log(table.probs[agrees]) - marginal.log_prob[column]
        np.testing.assert_allclose(found[agrees, column], expected, atol=1e-5)
    drawn = dist.sample(50, seed=2).numpy()
    known = ~np.isnan(MIXED)
    np.testing.assert_array_equal(
        drawn[:, known], np.broadcast_to(np.array(MIXED)[known], (50, known.sum()))
    )
    assert np.isfinite(dist.log_prob(drawn)).all()


def test_patterns_of_a_batch_of_any_shape(any_order):
    evidence = np.array([*MIXED, [NAN, NAN, NAN, 2]], np.float32).reshape(2, 2, 4)
    dist = any_order.condition(evidence)
    assert dist.batch_shape == (2, 2) and dist.is_exact
    drawn = dist.sample(300, seed=1)
    assert drawn.shape == (300, 2, 2, 4)
    found = dist.log_prob(drawn)
    for index in np.ndindex(2, 2):
        own = any_order.condition(evidence[index])
        np.testing.assert_allclose(
            found[:, *index],
            own.log_prob(drawn.numpy()[:, *index][:, own.unobserved]),
            rtol=1e-4,
            atol=1e-5,
        )


def test_a_batch_of_nothing(fixed):
    dist = fixed.condition(np.zeros((0, 4)))
    drawn = dist.sample(2, seed=1)
    assert dist.batch_shape == (0,) and drawn.shape == (2, 0, 4)
    assert dist.log_prob(drawn).shape == (2, 0)
    assert dist.evidence_log_prob().log_prob.shape == (0,)


def test_slices_and_copies(fixed):
    dist = fixed.condition([PREFIX, [NAN, 0, NAN, 1]])
    value = np.array([1, 0], np.float32)
    part = dist[1]
    assert part.batch_shape == ()
    np.testing.assert_allclose(part.log_prob(value), dist.log_prob(value)[1], rtol=1e-5)
    assert dist[:, None].batch_shape == (2, 1)
    other = dist.copy(evidence=PREFIX)
    assert type(other) is type(dist)
    np.testing.assert_allclose(other.log_prob(value), dist.log_prob(value)[0], rtol=1e-5)


# Inside other things.


@pytest.mark.parametrize("evidence", [PREFIX, LATE, MIXED])
def test_inside_a_tf_function(evidence, fixed):
    dist = fixed.condition(evidence)
    size = dist.event_shape[0]

    @tf.function(input_signature=[tf.TensorSpec([None, 1, size])], autograph=False)
    def log_prob(value):
        return dist.log_prob(value)

    @tf.function(autograph=False)
    def sample(seed):
        return dist.sample([2, 3], seed=seed)

    value = np.random.default_rng(0).integers(0, 2, (6, 1, size)).astype(np.float32)
    np.testing.assert_allclose(log_prob(value), dist.log_prob(value), rtol=1e-5, atol=1e-5)
    drawn = sample(tf.constant([5, 0]))
    assert sample.get_concrete_function(tf.constant([5, 0])).output_shapes.as_list() == [
        2,
        3,
        *dist.batch_shape,
        size,
    ]
    np.testing.assert_array_equal(drawn, dist.sample([2, 3], seed=5))


def test_inside_other_distributions(any_order):
    evidence = np.array([[NAN, 2, NAN, 0], [NAN, 1, NAN, 1]])
    given = any_order.condition(evidence)
    value = np.array([[1, 0], [2, 1]], np.float32)
    parts = given.log_prob(value).numpy()
    joined = tfd.Independent(given, 1)
    assert joined.event_shape == (2, 2)
    np.testing.assert_allclose(joined.log_prob(value), parts.sum(), rtol=1e-5)
    mixture = tfd.MixtureSameFamily(tfd.Categorical(probs=[0.3, 0.7]), given)
    both = given.log_prob(value[:, None]).numpy()
    np.testing.assert_allclose(mixture.prob(value), np.exp(both) @ [0.3, 0.7], rtol=1e-5)
    assert mixture.sample(5, seed=1).shape == (5, 2)


def test_gradients_of_an_exact_conditional_reach_the_weights(any_order):
    given = any_order.condition([NAN, 2, NAN, 0])
    value = np.array([[1, 0], [2, 1]], np.float32)
    kernel = any_order.model.output_layer.kernel
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(given.log_prob(value))
    gradient = tape.gradient(loss, kernel.value)
    unit = tf.unravel_index(tf.argmax(tf.reshape(tf.abs(gradient), [-1])), kernel.shape)
    step = np.zeros(kernel.shape, np.float32)
    step[tuple(unit.numpy())] = 1e-2
    before = kernel.numpy()
    sides = []
    for sign in (1, -1):
        kernel.assign(before + sign * step)
        sides.append(tf.reduce_sum(given.log_prob(value)).numpy())
    kernel.assign(before)
    slope = (sides[0] - sides[1]) / 2e-2
    assert abs(slope) > 0.1
    np.testing.assert_allclose(gradient.numpy()[tuple(unit.numpy())], slope, rtol=1e-2)


def test_estimates_follow_the_weights():
    dist = distribution()
    given, exact = dist.condition(LATE), dist.condition(PREFIX)
    before = given.evidence_log_prob().log_prob, exact.evidence_log_prob().log_prob
    for layer in dist.model.masked_layers():
        layer.kernel.assign(-1.5 * layer.kernel)
    table = reference.Table(dist.model)
    marginal = given.evidence_log_prob()
    assert abs(marginal.log_prob - np.log(table(np.array(LATE)))) < 4 * marginal.standard_error
    assert abs(marginal.log_prob - before[0]) > 0.01
    found = exact.evidence_log_prob()
    np.testing.assert_allclose(found.probability, table(np.array(PREFIX)), atol=1e-5)
    assert abs(found.log_prob - before[1]) > 0.01


# Real values.


def test_real_values():
    keras.utils.set_random_seed(0)
    model = reference.small_model("normal", 3, input_order=[2, 3, 1], hidden_units=(9,))
    dist = made_tf.MADEDistribution(model, num_particles=2000)
    given = dist.condition([NAN, NAN, 0.7])  # a prefix: variable 2 comes first
    assert isinstance(given.experimental_default_event_space_bijector(), tfb.Identity)
    rows = np.array([[0.3, -0.2, 0.7], [1.0, 2.0, 0.7]], np.float32)
    terms = reference.conditional_log_prob(model.conditionals, reference.forward(model, rows), rows)
    np.testing.assert_allclose(given.log_prob(rows[:, :2]), terms[:, :2].sum(1), atol=1e-5)
    # Late evidence: the density of the only unknown integrates to one within the error.
    late = dist.condition([NAN, -0.2, 0.7])
    assert late.is_exact is False
    grid = np.linspace(-8, 8, 801, dtype=np.float32)
    total = late.prob(grid[:, None]).numpy().sum() * 0.02
    error = late.evidence_log_prob().standard_error
    assert abs(np.log(total)) < 4 * error and error < 0.1
    gradient = tfp.math.value_and_gradient(late.log_prob, tf.constant([0.3]))[1]
    slope = (late.log_prob([0.31]) - late.log_prob([0.29])) / 0.02
    np.testing.assert_allclose(gradient[0], slope, rtol=1e-2)


# Errors.


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ([NAN, 1, 0], r"`evidence` must have the shape \[..., 4\]"),
        (NAN, r"`evidence` must have the shape \[..., 4\]"),
        ([NAN, 1, 0, 3], r"0 or 1 only. Received: evidence\[0, 3\]=3"),
        ([NAN, 1, 0, np.inf], r"Received: evidence\[0, 3\]=inf"),
        ([0, 1, 0, 1], "must leave a variable unknown"),
        ([[0, 1, 0, 1], [NAN, 1, 0, 1]], "must leave a variable unknown"),
        (["a"] * 4, "`evidence` must be numeric"),
    ],
)
def test_bad_evidence_is_refused(evidence, message, fixed):
    with pytest.raises(ValueError, match=message):
        fixed.condition(evidence)


@pytest.mark.parametrize("shape", [(), (4,), (3, 1), (2, 6)])
def test_values_of_another_shape_are_refused(shape, fixed):
    with pytest.raises(ValueError, match=r"`value` must have the shape \[..., 2\]"):
        fixed.condition(PREFIX).log_prob(np.zeros(shape, np.float32))


def test_values_outside_the_support_are_rejected(fixed):
    checked = fixed.copy(validate_args=True).condition(PREFIX)
    value = np.array([1, 0], np.float32)
    np.testing.assert_allclose(checked.log_prob(value), fixed.condition(PREFIX).log_prob(value))
    with pytest.raises(tf.errors.InvalidArgumentError, match="outside the support"):
        checked.log_prob(value / 2)
