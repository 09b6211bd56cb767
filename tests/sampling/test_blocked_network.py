import functools

import numpy as np
import pytest
import reference
import scipy.stats
import tensorflow as tf

import made_tf
from made_tf.conditionals.regions import Region
from made_tf.sampling import random
from made_tf.sampling.block import Block
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.sampling.known import KnownRegions, KnownValues

CONFIGS = {
    "one hidden layer": {},
    "two narrow layers": {"hidden_units": (7, 4), "direct_connections": True},
    "no hidden layer": {"hidden_units": ()},
    "no direct connections": {"hidden_units": (30, 30), "direct_connections": False},
    "random": {"input_order": "random", "hidden_degrees": "random", "seed": 4},
    "residual": {"hidden_units": (12, 12, 12), "hidden_degrees": "early", "residual": True},
}


# Networks whose order is an input of the graph.
ANY_MASK = {
    "one hidden layer": {"hidden_units": (11,)},
    "two narrow layers": {"hidden_units": (7, 4)},
    "no hidden layer": {"hidden_units": ()},
    "no direct connections": {"direct_connections": False, "hidden_units": (14, 14)},
    "order alone": {"resample": "order"},
    "connectivity alone": {"resample": "connectivity"},
    "residual": {"hidden_units": (12, 12), "residual": True},
    "mask weights": {"mask_weights": True},
    "mask weights, no hidden layer": {"mask_weights": True, "hidden_units": ()},
}


def uniforms(num_rows, event_size, seed=5):
    return random.uniforms(random.row_seeds(tf.constant([seed, 0]), num_rows), event_size)


def loud(family="bernoulli", event_size=9, scale=2.0, **kwargs):
    """A model whose conditionals depend strongly on what came before."""
    return reference.loud(family, event_size, scale, **{"input_order": "random", **kwargs})


@pytest.mark.parametrize(
    ("family", "config", "block_lengths"),
    [
        *(("ragged", config, (2, 5)) for config in CONFIGS),  # the most general of the three
        *(
            (reference.DISCRETE[number % 2], config, (1, None))
            for number, config in enumerate(CONFIGS)
        ),
    ],
)
def test_blocks_draw_what_the_textbook_loop_draws(family, config, block_lengths):
    model = loud(family, **CONFIGS[config])
    u = uniforms(64, model.event_size)
    expected = reference.sample(model, u.numpy())
    for block_length in block_lengths:
        found = BlockedNetwork(model, block_length).sample(u)
        np.testing.assert_array_equal(found, expected, f"in blocks of {block_length}")
    if family == "ragged":
        in_a_graph = tf.function(BlockedNetwork(model, 5).sample, autograph=False)(u)
        np.testing.assert_array_equal(in_a_graph, expected)


@pytest.mark.parametrize(("family", "in_graphs"), [("normal", (None,)), ("scaled_normal", (4,))])
def test_blocks_draw_real_values_within_rounding_of_the_textbook_loop(family, in_graphs):
    model = loud(family, scale=0.5)
    u = uniforms(64, model.event_size)
    expected = reference.sample(model, u.numpy())
    for block_length in (1, 4, None):
        sample = BlockedNetwork(model, block_length).sample
        if block_length in in_graphs:
            sample = tf.function(sample, autograph=False)
        np.testing.assert_allclose(sample(u), expected, rtol=2e-5, atol=2e-5)


def of_any_mask(family="ragged", event_size=7, scale=2.0, **kwargs):
    """A model of many masks, with weights of the masks themselves where it has such."""
    model = loud(family, event_size, scale, num_masks=None, **kwargs)
    rng = np.random.default_rng(0)
    for layer in model.masked_layers():
        if layer.mask_kernel is not None:
            layer.mask_kernel.assign(rng.normal(0, 0.3, layer.mask_kernel.shape))
    return model


def assert_any_mask_draws_as_the_textbook_loop(model, block_length, sets=(0, 1, 5)):
    size = model.event_size
    network = BlockedNetwork(model, block_length, any_mask=True)
    u = uniforms(48, size)
    sample = tf.function(network.sample, autograph=False)
    log_prob = tf.function(network.log_prob, autograph=False)
    orders = set()
    for number in sets:
        degrees = reference.order_of(model, number)
        tensors = [tf.constant(level) for level in degrees]
        found = sample(u, tensors).numpy()
        expected = reference.sample(model, u.numpy(), degrees)
        if model.conditionals.is_discrete.all():
            np.testing.assert_array_equal(found, expected)
        else:
            np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
        expected = model.row_log_prob(found, model(found, training=False, degrees=degrees))
        np.testing.assert_allclose(log_prob(found, tensors), expected, rtol=1e-5, atol=1e-5)
        orders.add(found.tobytes())
    assert sample.experimental_get_tracing_count() == 1
    return orders


@pytest.mark.parametrize(
    ("family", "block_length"),
    [
        ("bernoulli", None),
        ("categorical", 2),
        ("ragged", None),
        ("normal", None),
        ("scaled_normal", 2),
    ],
)
def test_one_graph_draws_for_any_mask_what_the_textbook_loop_draws(family, block_length):
    scale = 2.0 if family in reference.DISCRETE else 0.5
    model = of_any_mask(family, scale=scale)
    assert len(assert_any_mask_draws_as_the_textbook_loop(model, block_length)) == 3


@pytest.mark.parametrize("config", ANY_MASK)
def test_any_mask_of_any_network(config):
    model = of_any_mask(**ANY_MASK[config])
    alike = config == "connectivity alone" and not model.hidden_layers
    orders = assert_any_mask_draws_as_the_textbook_loop(model, block_length=4)
    assert len(orders) == (1 if alike else 3)


@pytest.mark.parametrize("family", ["bernoulli", "ragged", "normal"])
def test_any_mask_of_one_variable(family):
    model = of_any_mask(family, 1)
    assert_any_mask_draws_as_the_textbook_loop(model, None, sets=(0,))


def test_any_mask_of_the_parameters():
    model = of_any_mask("ragged", mask_weights=True)
    network = BlockedNetwork(model, 3, any_mask=True)
    x = reference.rows(model.conditionals, 20, 7)
    for number in (0, 3):
        degrees = reference.order_of(model, number)
        np.testing.assert_allclose(
            network.parameters(x, degrees), model(x, degrees=degrees), rtol=1e-4, atol=1e-5
        )


# What is known is put into its place, and weighs.


def network_of(family, block_length, num_masks):
    """A fixed network or one of any mask, with the degrees to ask it for."""
    model = loud(family, 6, 1.5 if family in reference.DISCRETE else 0.5, num_masks=num_masks)
    degrees = None if num_masks else reference.order_of(model, 2)
    return model, BlockedNetwork(model, block_length, any_mask=num_masks is None), degrees


def conditional_terms(model, x, degrees):
    params = np.asarray(model(x, training=False, degrees=degrees))
    return reference.conditional_log_prob(model.conditionals, params, x)


@pytest.mark.parametrize(
    ("family", "block_length", "num_masks"),
    [
        ("bernoulli", 4, None),
        ("bernoulli", 1, 1),
        ("ragged", 4, 1),
        ("ragged", 1, None),
        ("scaled_normal", 4, None),
        ("scaled_normal", 1, 1),
    ],
)
def test_known_values_stay_and_weigh_as_much_as_they_are_probable(family, block_length, num_masks):
    model, network, degrees = network_of(family, block_length, num_masks)
    u, values = uniforms(20, 6), reference.rows(model.conditionals, 20, 6, seed=3)
    known = np.random.default_rng(1).uniform(size=(20, 6)) < 0.5
    given = KnownValues(known.astype(np.float32), values)
    draw_given = network.sample_and_log_weight
    if block_length > 1:
        draw_given = tf.function(draw_given, autograph=False)
    rows, log_weight = draw_given(u, given, degrees)

    def draw(params, u, k):
        drawn = np.asarray(model.conditionals.sample(params, u))[:, k]
        return np.where(known[:, k], values[:, k], drawn)

    expected = reference.sample(model, u.numpy(), degrees, draw)
    np.testing.assert_array_equal(rows.numpy()[known], values[known])
    np.testing.assert_allclose(
        rows, expected, rtol=2e-5, atol=0 if family in reference.DISCRETE else 2e-5
    )
    terms = conditional_terms(model, rows.numpy(), degrees)
    np.testing.assert_allclose(log_weight, (terms * known).sum(1), rtol=1e-4, atol=1e-4)
    one = KnownValues(known[:1].astype(np.float32), values[:1])  # one row for all
    rows = network.sample_and_log_weight(u, one, degrees)[0].numpy()
    np.testing.assert_array_equal(rows[:, known[0]], values[[0] * 20][:, known[0]])


@pytest.mark.parametrize(
    ("family", "block_length", "num_masks"),
    [("bernoulli", 4, 1), ("bernoulli", 1, None), ("ragged", 4, None), ("ragged", 1, 1)],
)
def test_known_sets_hold_and_weigh_as_much_as_they_are_probable(family, block_length, num_masks):
    model, network, degrees = network_of(family, block_length, num_masks)
    states = [len(values) for values in model.conditionals.finite_states()]
    allowed = np.random.default_rng(1).integers(0, 2, (20, 6, max(states)))
    allowed[:, :, :2] |= allowed[:, :, :2].sum(2, keepdims=True) == 0
    allowed = allowed.astype(np.float32)
    low, high = (np.full((20, 6), end, np.float32) for end in (-np.inf, np.inf))
    u = uniforms(20, 6)
    draw_given = network.sample_and_log_weight
    if block_length > 1:
        draw_given = tf.function(draw_given, autograph=False)
    rows, log_weight = draw_given(u, KnownRegions(Region(allowed, low, high)), degrees)
    rows = rows.numpy().astype(int)
    inside = np.take_along_axis(allowed, rows[:, :, None], axis=2)
    assert (inside == 1).all()

    def draw(params, u, k):
        noise = model.conditionals.noise(u)
        return np.asarray(model.conditionals.transform_within(params, noise, allowed))[:, k]

    np.testing.assert_array_equal(rows, reference.sample(model, u.numpy(), degrees, draw))
    params = np.asarray(model(rows.astype(np.float32), training=False, degrees=degrees))
    expected = np.zeros(20)
    for n, k in np.ndindex(20, 6):
        law = reference.conditional(model.conditionals, params[n], k, 6)
        expected[n] += np.log(sum(law.pmf(v) for v in range(states[k]) if allowed[n, k, v]))
    np.testing.assert_allclose(log_weight, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("event_size", [1, 2, 17, 40])
def test_any_number_of_variables(event_size):
    model = loud(event_size=event_size)
    u = uniforms(16, event_size)
    found = BlockedNetwork(model).sample(u)
    np.testing.assert_array_equal(found, reference.sample(model, u.numpy()))


@pytest.mark.parametrize("family", reference.FAMILIES)
def test_scoring_in_blocks_equals_the_model(family):
    model = loud(family, scale=0.7, hidden_units=(11, 6))
    x = reference.rows(model.conditionals, 50, model.event_size)
    network = BlockedNetwork(model, block_length=4)
    np.testing.assert_allclose(network.log_prob(x), model.log_prob(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(network.parameters(x), model(x), rtol=1e-4, atol=1e-5)
    drawn, log_prob = network.sample_and_log_prob(uniforms(50, model.event_size))
    np.testing.assert_allclose(log_prob, model.log_prob(drawn), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["bernoulli", "ragged"])
def test_frozen_weights_stay_and_live_ones_follow(family):
    model = loud(family)
    u = uniforms(32, model.event_size)
    live, frozen = BlockedNetwork(model), BlockedNetwork(model, frozen=True)
    before = live.sample(u).numpy()
    np.testing.assert_array_equal(frozen.sample(u), before)
    for layer in model.masked_layers():
        layer.kernel.assign(-layer.kernel)
    assert (live.sample(u).numpy() != before).any()
    np.testing.assert_array_equal(frozen.sample(u), before)


def chain(event_size, weight):
    """Each variable is decided by the one before: weight > 0 copies it, < 0 flips it."""
    model = made_tf.MADE(event_size, hidden_units=())
    kernel = np.zeros((event_size, event_size), np.float32)
    kernel[np.arange(event_size - 1), np.arange(1, event_size)] = weight
    model.direct_layer.kernel.assign(kernel)
    model.direct_layer.bias.assign([0.0] + [-weight / 2] * (event_size - 1))
    return model


@pytest.mark.parametrize("weight", [1e4, -1e4, 3e38])
def test_the_longest_chain_of_decisions_is_solved_exactly(weight):
    model = chain(40, weight)
    u = uniforms(64, 40)
    found = BlockedNetwork(model, block_length=40).sample(u).numpy()
    np.testing.assert_array_equal(found, reference.sample(model, u.numpy()))
    steps = found[:, 1:] == found[:, :-1] if weight > 0 else found[:, 1:] != found[:, :-1]
    assert steps.all()
    assert 0 < found[:, 0].mean() < 1


@functools.cache
def checked():
    """A model with all its weights finite, and what draws from it, eagerly and in a graph."""
    model = loud()
    network = BlockedNetwork(model)
    return model, network.sample, tf.function(network.sample_and_log_prob, autograph=False)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "place", ["hidden_1.kernel", "output.kernel", "output.bias", "direct.kernel"]
)
def test_weights_that_are_not_finite_raise(value, place):
    model, *samples = checked()
    name, attribute = place.split(".")
    (layer,) = (layer for layer in model.masked_layers() if layer.name == name)
    weights = getattr(layer, attribute)
    wrong, before = weights.numpy(), weights.numpy()
    wrong[-1 if attribute == "bias" else tuple(np.argwhere(layer.mask.numpy())[0])] = value
    weights.assign(wrong)
    expect_not_finite(samples, name)
    weights.assign(before)
    for sample in samples:
        sample(uniforms(4, model.event_size))


def expect_not_finite(samples, name):
    for sample in samples:
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"layer {name} must be finite"):
            sample(uniforms(4, 9))


def test_a_quantized_scale_that_is_not_finite_raises():
    model = loud()
    model.quantize("int8")
    model.output_layer.kernel_scale.assign(np.full(model.output_layer.units, np.nan))
    network = BlockedNetwork(model)
    in_a_graph = tf.function(network.sample_and_log_prob, autograph=False)
    expect_not_finite([network.sample, in_a_graph], "output")


def test_a_dead_weight_may_be_anything():
    model = loud()
    u = uniforms(16, model.event_size)
    expected = BlockedNetwork(model).sample(u)
    for layer in model.masked_layers():
        layer.kernel.assign(np.where(layer.mask.numpy(), layer.kernel, np.nan))
    np.testing.assert_array_equal(BlockedNetwork(model).sample(u), expected)


def test_the_sampler_ends_where_nothing_can_be_checked():
    model = loud("normal", 4)
    kernel = model.direct_layer.kernel
    draw = tf.function(BlockedNetwork(model).sample, jit_compile=True)
    for value in (np.nan, np.inf):
        kernel.assign(np.full_like(kernel, value))
        assert np.isnan(draw(uniforms(4, model.event_size))).any()


def one_by_one(block, starts, noise):
    """Solves a block variable after variable, each with a pass of its own."""
    x = tf.zeros_like(noise)
    for k in range(noise.shape[1]):
        new = block.family.transform(block.finish(starts, x)[1], noise)
        x = tf.where(np.arange(noise.shape[1]) == k, new, x)
    return x, *block.finish(starts, x)


@pytest.mark.parametrize(
    ("family", "direct_connections"),
    [
        ("bernoulli", True),
        ("categorical", False),
        ("ragged", False),
        ("ragged", True),
        ("normal", True),
        ("scaled_normal", False),
    ],
)
def test_the_fixed_point_is_the_sequential_solution_bit_for_bit(
    family, direct_connections, monkeypatch
):
    model = loud(
        family, 21, hidden_units=(30, 25), direct_connections=direct_connections, scale=1.0
    )
    u = uniforms(500, model.event_size)
    network = BlockedNetwork(model, block_length=8)
    found = network.sample_and_log_prob(u)  # eagerly: a graph fuses operators as it sees fit
    monkeypatch.setattr(Block, "solve", one_by_one)
    expected = network.sample_and_log_prob(u)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def passes_of_a_block(model, noise):
    """How often the sampler evaluates the one block of a model, with the final pass."""
    counted = []

    class Counting(type(model.conditionals)):
        def transform(self, params, noise):
            counted.append(1)
            return super().transform(params, noise)

    model.conditionals.__class__ = Counting
    BlockedNetwork(model, block_length=model.event_size).sample(noise)  # eager: loops run in Python
    return len(counted)


@pytest.mark.parametrize("event_size", [1, 2, 7, 30])
def test_the_passes_are_bounded_by_the_block(event_size):
    u = uniforms(1000, event_size)
    # (A block of one variable needs no second pass to find that nothing has changed.)
    most, least = (event_size + 1, 2) if event_size > 1 else (1, 1)
    for weight in (1e4, -1e4):
        assert passes_of_a_block(chain(event_size, weight), u) == most
    assert passes_of_a_block(chain(event_size, 0.0), u) == least


@pytest.mark.parametrize(
    ("hidden", "direct_connections", "order", "mode"),
    [
        ((30,), False, "random", "graph"),
        ((30,), True, "natural", "frozen"),
        ((40, 35, 30), False, "natural", "graph"),
        ((40, 35, 30), True, "random", "XLA"),
    ],
)
def test_samples_differ_from_the_naive_loop_by_ties_alone(hidden, direct_connections, order, mode):
    model = loud(
        event_size=30,
        hidden_units=hidden,
        input_order=order,
        direct_connections=direct_connections,
        scale=1.5,
    )
    u = uniforms(3000, 30, seed=21)
    network = BlockedNetwork(model, block_length=10, frozen=mode == "frozen")
    draw = tf.function(network.sample, jit_compile=mode == "XLA", autograph=False)
    found = draw(u).numpy()
    # What the naive loop draws, given the same values before, in float64.
    logits = reference.forward(model, found).astype(np.float64)
    noise = np.log(u.numpy().astype(np.float64)) - np.log1p(-u.numpy().astype(np.float64))
    ties = np.abs(logits - noise) < 3e-6 * (1 + np.abs(logits).max())
    np.testing.assert_array_equal((logits > noise)[~ties], found[~ties])
    assert ties.sum() < 30  # of 90,000 decisions: the comparison means something


@pytest.mark.parametrize("family", reference.DISCRETE)
def test_samples_follow_the_exact_probabilities(family):
    model = loud(family, event_size=5, scale=1.5)
    states = reference.states(model)
    probs = np.exp(reference.log_prob(model, states))
    n = 20_000
    drawn = BlockedNetwork(model).sample(uniforms(n, 5, seed=12)).numpy()
    index = {tuple(state): k for k, state in enumerate(states)}
    counts = np.bincount([index[tuple(row)] for row in drawn], minlength=len(states))
    assert reference.chi_squared_pvalue(counts, n * probs) > 0.01


def test_ten_binary_variables_follow_the_exact_probabilities():
    model = loud(event_size=10, scale=2.0)
    probs = np.exp(model.log_prob(reference.states(model)).numpy().astype(np.float64))
    n = 200_000
    drawn = tf.function(BlockedNetwork(model).sample)(uniforms(n, 10, seed=3)).numpy()
    counts = np.bincount((drawn @ 2.0 ** np.arange(9, -1, -1)).astype(int), minlength=1024)
    assert reference.chi_squared_pvalue(counts, n * probs) > 0.01


def linear_normal():
    """x = mean + L z: a MADE that is a multivariate normal, and that normal."""
    model = made_tf.MADE(3, hidden_units=(), conditionals="normal", input_order=[2, 3, 1])
    log_scales = np.array([0.2, -0.5, 0.4])
    kernel = np.zeros((3, 3, 2), np.float32)
    kernel[2, 0, 0], kernel[2, 1, 0], kernel[0, 1, 0] = 0.8, -0.5, 1.2
    bias = np.stack([[0.3, -1.0, 0.5], 7 * np.arctanh(log_scales / 7)], axis=1)
    model.direct_layer.kernel.assign(kernel.reshape(3, 6))
    model.direct_layer.bias.assign(bias.ravel())
    # x = bias + W x + e, e independent with those scales.
    solve = np.linalg.inv(np.eye(3) - kernel[:, :, 0].T.astype(np.float64))
    cov = solve @ np.diag(np.exp(2 * log_scales)) @ solve.T
    return model, scipy.stats.multivariate_normal(solve @ bias[:, 0], cov)


def test_a_linear_model_is_the_multivariate_normal_it_must_be():
    model, normal = linear_normal()
    x = BlockedNetwork(model, block_length=2).sample(uniforms(50_000, 3, seed=8)).numpy()
    np.testing.assert_allclose(model.log_prob(x), normal.logpdf(x), atol=2e-5)
    errors = 5 / np.sqrt(len(x))
    np.testing.assert_allclose(x.mean(axis=0), normal.mean, atol=errors * 3)
    np.testing.assert_allclose(np.cov(x.T), normal.cov, atol=errors * 2 * normal.cov.max())
    whitened = np.linalg.solve(np.linalg.cholesky(normal.cov), (x - normal.mean).T)
    for column in whitened:
        assert scipy.stats.kstest(column, "norm").pvalue > 0.01
