import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import made_tf

tfb = tfp.bijectors


@pytest.fixture
def ensemble():
    return made_tf.Ensemble([made_tf.MADE(4, (8,), seed=seed) for seed in range(2)])


def test_values_outside_the_support_are_rejected(ensemble):
    checked = made_tf.EnsembleDistribution(ensemble, validate_args=True)
    x = np.array([[0, 1, 1, 0]], np.float32)
    np.testing.assert_allclose(checked.log_prob(x), ensemble.log_prob(x), rtol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="outside the support"):
        checked.log_prob(x / 2)


@pytest.mark.parametrize("shape", [(), (3,), (3, 1), (2, 6)])
def test_values_of_another_shape_are_refused(ensemble, shape):
    with pytest.raises(ValueError, match=r"`value` must have the shape \[..., 4\]"):
        made_tf.EnsembleDistribution(ensemble).log_prob(np.zeros(shape, np.float32))


def test_an_unconstrained_space_is_that_of_real_values():
    for family, kind in (("bernoulli", type(None)), ("normal", tfb.Identity)):
        members = [made_tf.MADE(4, (8,), family, seed=seed) for seed in range(2)]
        dist = made_tf.EnsembleDistribution(made_tf.Ensemble(members))
        assert isinstance(dist.experimental_default_event_space_bijector(), kind)


def test_a_stream_is_the_sample_in_pieces(ensemble):
    dist = made_tf.EnsembleDistribution(ensemble)
    pieces = list(dist.stream(50, seed=9, batch_size=7))
    assert max(map(len, pieces)) == 7
    np.testing.assert_array_equal(np.concatenate(pieces), dist.sample(50, seed=9))
    with pytest.raises(ValueError, match="`batch_size`"):
        dist.stream(3, batch_size=0)
