"""What the distributions share: shapes, seeds, streams, the support."""

import types

import numpy as np
import pytest
import reference
import tensorflow as tf
from distributions.common import log_prob

import made_tf
from made_tf.distributions.base import is_discrete


def test_shapes_and_dtype_are_static(any_dist):
    assert any_dist.event_shape == (5,) and any_dist.batch_shape == ()
    assert any_dist.dtype == tf.float32
    assert any_dist.event_shape_tensor().numpy().tolist() == [5]
    assert any_dist.batch_shape_tensor().numpy().tolist() == []

    @tf.function
    def shapes():
        sample = any_dist.sample([2, 3], seed=1)
        return sample.shape.as_list(), any_dist.log_prob(sample).shape.as_list()

    assert [list(map(int, shape)) for shape in shapes()] == [[2, 3, 5], [2, 3]]


def test_an_integer_seed_is_the_first_half_of_a_stateless_one(dist):
    sample = dist.sample(40, seed=7).numpy()
    np.testing.assert_array_equal(dist.sample(40, seed=(7, 0)), sample)
    np.testing.assert_array_equal(dist.sample(40, seed=tf.constant([7, 0])), sample)
    np.testing.assert_array_equal(dist.sample(16, seed=7), sample[:16])
    np.testing.assert_array_equal(dist.sample([4, 10], seed=7), sample.reshape(4, 10, 5))
    np.testing.assert_array_equal(dist.sample(40, seed=tf.constant(7)), sample)
    np.testing.assert_array_equal(dist.sample(40, seed=np.int64(7)), sample)
    assert (dist.sample(40, seed=8).numpy() != sample).any()
    assert (dist.sample(39, seed=(7, 1)).numpy() != sample[1:]).any()


def test_without_a_seed_samples_differ_from_call_to_call(dist):
    assert (dist.sample(40).numpy() != dist.sample(40).numpy()).any()
    assert dist.sample().shape == (5,)


@pytest.mark.parametrize("seed", [True, 2**31, -(2**31) - 1, (1, 2, 3), [7]])
def test_a_seed_out_of_range_is_refused(dist, seed):
    with pytest.raises(ValueError, match="`seed` must"):
        dist.sample(3, seed=seed)


@pytest.mark.parametrize(
    ("family", "wrong"),
    [("bernoulli", 0.5), ("bernoulli", np.nan), ("ragged", 2.5), ("ragged", 7), ("normal", np.nan)],
)
def test_values_outside_the_support_are_rejected(family, wrong):
    model = reference.small_model(family)
    dist = made_tf.MADEDistribution(model, validate_args=True)
    x = reference.rows(model.conditionals, 3, 5)
    np.testing.assert_allclose(dist.log_prob(x), log_prob(dist, x), rtol=1e-4)
    x[1, 2] = wrong
    with pytest.raises(tf.errors.InvalidArgumentError, match="outside the support"):
        dist.log_prob(x)


@pytest.mark.parametrize("shape", [(), (4,), (3, 1), (2, 6)])
def test_values_of_another_shape_are_refused(dist, shape):
    with pytest.raises(ValueError, match=r"`value` must have the shape \[..., 5\]"):
        dist.log_prob(np.zeros(shape, np.float32))


@pytest.mark.parametrize("batch_size", [1, 7, 50, 1000])
def test_a_stream_is_the_sample_in_pieces(batch_size):
    dist = made_tf.MADEDistribution(made_tf.MADE(6, hidden_units=(16,), seed=3))
    pieces = list(dist.stream(50, seed=9, batch_size=batch_size))
    assert max(map(len, pieces)) == min(batch_size, 50)
    np.testing.assert_array_equal(np.concatenate(pieces), dist.sample(50, seed=9))


def test_a_stream_checks_its_arguments_at_once():
    dist = made_tf.MADEDistribution(made_tf.MADE(6, hidden_units=(16,), seed=3))
    for name, value in (("num_samples", 0), ("seed", 2**31), ("batch_size", 0)):
        with pytest.raises(ValueError, match=f"`{name}`"):
            dist.stream(**{"num_samples": 3, name: value})


def test_a_stream_can_show_its_progress(capsys):
    dist = made_tf.MADEDistribution(made_tf.MADE(6, hidden_units=(16,), seed=3))
    list(dist.stream(50, progress=True))
    assert "50/50" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("columns", "expected"), [([True, True], True), ([True, False], False), ([False] * 2, False)]
)
def test_columns_of_both_kinds_are_together_a_density(columns, expected):
    assert is_discrete(types.SimpleNamespace(is_discrete=np.array(columns))) is expected
