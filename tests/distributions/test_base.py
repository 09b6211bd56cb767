"""What the distributions share: shapes, seeds, streams, the support."""

import copy
import functools
import itertools
import pickle
import types

import numpy as np
import pytest
import reference
import tensorflow as tf
from distributions.common import log_prob
from tensorflow_probability import distributions as tfd

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


@pytest.mark.parametrize("seed", [True, 1.5, "a", (1, 2, 3), [7]])
def test_a_seed_that_is_no_integer_and_no_pair_is_refused(dist, seed):
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


@pytest.mark.parametrize("validate_args", [False, True])
@pytest.mark.parametrize("family", ["bernoulli", "categorical", "mixed"])
def test_events_come_singly_in_batches_and_not_at_all(family, validate_args):
    kinds = [made_tf.Categorical(3), made_tf.Normal(), made_tf.Bernoulli()]
    model = made_tf.MADE(
        3, (8,), {"categorical": kinds[0], "mixed": kinds}.get(family, family), seed=0
    )
    dist = made_tf.MADEDistribution(model, validate_args=validate_args)
    x = dist.sample(6, seed=1)
    expected = dist.log_prob(x)
    np.testing.assert_allclose(dist.log_prob(x[2]), expected[2], rtol=1e-5)
    batches = dist.log_prob(tf.reshape(x, [2, 3, 3]))
    np.testing.assert_allclose(batches, tf.reshape(expected, [2, 3]), rtol=1e-5)
    assert dist.log_prob(x[:0]).shape == (0,)


@pytest.mark.parametrize("shape", [(), (4,), (3, 1), (2, 6)])
def test_values_of_another_shape_are_refused(dist, shape):
    with pytest.raises(ValueError, match=r"`value` must have the shape \[..., 5\]"):
        dist.log_prob(np.zeros(shape, np.float32))


@pytest.mark.parametrize("batch_size", [1, 7, 50, 1000])
def test_a_stream_is_the_sample_in_pieces(dist, batch_size):
    pieces = list(dist.stream(50, seed=9, batch_size=batch_size))
    assert max(map(len, pieces)) == min(batch_size, 50)
    np.testing.assert_array_equal(np.concatenate(pieces), dist.sample(50, seed=9))


def test_a_stream_checks_its_arguments_at_once(dist):
    for name, value in (("num_samples", 0), ("seed", 2**31), ("batch_size", 0)):
        with pytest.raises(ValueError, match=f"`{name}`"):
            dist.stream(**{"num_samples": 3, name: value})


def test_a_stream_can_show_its_progress(dist, capsys):
    list(dist.stream(50, progress=True))
    assert "50/50" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("columns", "expected"), [([True, True], True), ([True, False], False), ([False] * 2, False)]
)
def test_columns_of_both_kinds_are_together_a_density(columns, expected):
    assert is_discrete(types.SimpleNamespace(is_discrete=np.array(columns))) is expected


def every_distribution():
    model = made_tf.MADE(3, (8,), num_masks=None, seed=0)
    dist = made_tf.MADEDistribution(model)
    yield dist
    yield made_tf.MADEDistribution(model, num_orders=2)
    yield made_tf.EnsembleDistribution(made_tf.Ensemble([model]))
    yield made_tf.MADEDistribution(made_tf.MADE(3, (8,), "normal", seed=0))
    yield dist.condition([1.0, np.nan, np.nan])


EVERY = [pytest.param(number, id=str(number)) for number in range(5)]


@functools.cache
def numbered(number):
    """One of them, which no test changes: what it has traced serves all of them."""
    return next(itertools.islice(every_distribution(), number, None))


@pytest.mark.parametrize("number", EVERY)
def test_no_rows_are_rows(number):
    dist = numbered(number)
    empty = dist.sample(0, seed=1)
    assert empty.shape == (0, *dist.event_shape)
    assert dist.log_prob(empty).shape == (0,)


def test_nothing_to_fill_in_is_filled_in():
    dist = numbered(0)
    assert dist.impute(np.zeros((0, 3))).shape == (0, 3)
    assert dist.log_marginal(np.zeros((0, 3))).log_prob.shape == (0,)
    assert dist.model(np.zeros((0, 3), np.float32)).shape == (0, 3)


@pytest.mark.parametrize("shape", [None, [None, None], [5, None]])
@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_traced_function_need_not_know_the_shape(number, shape):
    dist = numbered(number)
    traced = tf.function(dist.log_prob, input_signature=[tf.TensorSpec(shape)])
    x = dist.sample(5, seed=1)
    np.testing.assert_allclose(traced(x), dist.log_prob(x), rtol=1e-5, atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"the shape \[..., 3\]"):
        traced(tf.zeros([5, 6]))


def pickled(dist):
    return pickle.loads(pickle.dumps(dist))


@pytest.mark.parametrize(
    ("number", "copied"),
    [
        *((number, pickled) for number in range(5)),
        *((number, copy.copy) for number in (0, 2, 4)),
        *((number, copy.deepcopy) for number in (1, 3, 4)),
    ],
)
def test_a_distribution_is_copied_and_pickled_after_use(number, copied):
    dist = numbered(number)
    x = dist.sample(4, seed=2)
    again = copied(dist)
    assert type(again) is type(dist)
    np.testing.assert_array_equal(again.sample(4, seed=2), x)
    np.testing.assert_allclose(again.log_prob(x), dist.log_prob(x), rtol=1e-6)


def test_a_joint_of_tfp_takes_an_integer_seed():
    dist = numbered(3)
    joint = tfd.JointDistributionSequentialAutoBatched(
        [dist, lambda v: tfd.Normal(tf.reduce_sum(v, -1), 1.0)]
    )
    rows, sums = joint.sample(2, seed=1)
    assert rows.shape == (2, 3) and sums.shape == (2,)
    assert joint.log_prob([rows, sums]).shape == (2,)
