"""A network of columns of every family: autoregressive, drawn exactly, normalised."""

import functools

import laws
import numpy as np
import pytest
import reference
import tensorflow as tf

import made_tf
from made_tf import conditionals as families
from made_tf.sampling import random
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.verification import check_autoregressive

D = 16
SLACK = 1e-4  # of real values, relatively: rounding, through all columns


#: One column of each kind of family, for what takes long with all of them.
FEW = np.array([2, 0, 1, 4, 7, 8, 13])


@functools.cache
def few():
    return families.Mixed([laws.made("mixed").families[column] for column in FEW]).bind(len(FEW))


@functools.cache
def model_of(input_order="natural", num_masks=1):
    family = laws.made("mixed") if input_order == "natural" and num_masks else few()
    model = made_tf.MADE(
        family.event_size,
        hidden_units=(48, 48),
        conditionals=family,
        activation="tanh",
        input_order=input_order,
        num_masks=num_masks,
        seed=4,
    )
    rng = np.random.default_rng(0)
    for layer in model.masked_layers():  # neither zeros nor what moves values by much
        layer.kernel.assign(0.3 * layer.kernel)
        if layer.bias is not None:
            layer.bias.assign(rng.normal(0, 0.5, layer.bias.shape))
    return model


def uniforms(count, family=None):
    seeds = random.row_seeds(tf.constant([5, 0]), count)
    return random.row_uniforms(seeds, family or laws.made("mixed")).numpy()


def test_rows_take_as_many_uniforms_as_the_family_says():
    assert uniforms(3).shape == (3, laws.made("mixed").channels.sum())


def naive(model, u, degrees=None):
    """Variable after variable, in order."""
    family = model.conditionals
    x = np.repeat(family.typical()[None], len(u), axis=0)
    order = model.degrees.inputs if degrees is None else degrees[0]
    for column in np.argsort(order):
        params = model(x, training=False, degrees=degrees)
        x[:, column] = np.asarray(family.sample(params, u))[:, column]
    return x


def assert_drawn_alike(family, found, expected):
    """Discrete columns bit for bit and real ones within rounding, in all rows but for ties.

    A tie is a row in which rounding moved a hidden number over the border of two points: rows
    differ from there on. They are counted.
    """
    discrete = family.is_discrete
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    close = np.abs(found - expected) <= SLACK * (1 + np.abs(expected))
    same = np.where(discrete, found == expected, close)
    ties = (~same).any(axis=1)
    assert ties.mean() <= 0.01, np.flatnonzero(~same.all(axis=0))


def test_the_network_is_autoregressive():
    for order in ("natural", "random"):
        report = check_autoregressive(model_of(order), num_rows=16)
        assert report, str(report)
        assert report.depends.sum() > 0.9 * report.allowed.sum()


@pytest.mark.parametrize(
    ("order", "block_length"),
    [("natural", 5), ("natural", D), *(("random", n) for n in (1, 2, 5, len(FEW)))],
)
def test_blocks_draw_what_the_loop_draws(order, block_length):
    model = model_of(order)
    u = uniforms(300, model.conditionals)
    found = BlockedNetwork(model, block_length).sample(tf.constant(u)).numpy()
    assert np.asarray(model.conditionals.in_support(found)).all()
    assert_drawn_alike(model.conditionals, found, expected_rows(order))


@functools.cache
def expected_rows(order):
    model = model_of(order)
    return naive(model, uniforms(300, model.conditionals))


def test_one_network_draws_under_any_order_what_the_loop_draws():
    model, u = model_of(num_masks=None), uniforms(200, few())
    network = BlockedNetwork(model, 3, any_mask=True)
    for number in (0, 3):
        degrees = reference.order_of(model, number)
        tensors = [tf.constant(level) for level in degrees]
        found = network.sample(tf.constant(u), tensors).numpy()
        assert_drawn_alike(model.conditionals, found, naive(model, u, degrees))
        expected = model.row_log_prob(found, model(found, training=False, degrees=degrees))
        log_prob = network.log_prob(tf.constant(found), tensors)
        np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=1e-3)


def test_log_prob_is_the_sum_of_the_laws():
    model = model_of("random")
    x = laws.rows(model.conditionals, 100)
    params = np.asarray(model(x, training=False))
    expected = laws.log_prob(model.conditionals, params, x).sum(axis=1)
    np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("order", [[1, 2], [2, 1]])
@pytest.mark.parametrize(
    "real", [families.NormalMixture(2), families.Binned([[0.0, 1.0]], [[1, 1]])]
)
def test_a_table_of_a_class_and_a_real_number_has_the_probability_one(order, real):
    family = families.Mixed([families.Ordinal(3), real])
    model = made_tf.MADE(2, (8,), family, input_order=order, activation="tanh", seed=0)
    nodes, weights = np.polynomial.legendre.leggauss(5)
    breaks = np.union1d(np.linspace(-40, 40, 801), np.linspace(-4, 4, 401))
    half, middle = np.diff(breaks)[:, None] / 2, (breaks[1:] + breaks[:-1])[:, None] / 2
    x, weights = (middle + half * nodes).reshape(-1), (half * weights).reshape(-1)
    total = 0.0
    for value in range(3):
        rows = np.stack([np.full(len(x), value), x], axis=1).astype(np.float32)
        total += np.exp(np.asarray(model.log_prob(rows), np.float64)) @ weights
    assert abs(total - 1) < 1e-5
