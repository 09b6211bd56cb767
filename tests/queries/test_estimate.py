import numpy as np
import pytest
import scipy.stats

from made_tf.queries.estimate import Estimate


def test_an_estimate_is_the_mean_of_weights():
    weights = np.random.default_rng(0).gamma(2.0, size=(3, 50))
    found = Estimate.of_weights(np.log(weights) - 800)  # below what float64 holds
    np.testing.assert_allclose(found.log_prob, np.log(weights.mean(1)) - 800)
    np.testing.assert_allclose(
        found.standard_error, scipy.stats.sem(weights, axis=1) / weights.mean(1)
    )
    np.testing.assert_allclose(
        found.effective_sample_size, weights.sum(1) ** 2 / (weights**2).sum(1)
    )
    assert Estimate.of_weights(np.zeros((1, 7))).effective_sample_size == 7
    one = Estimate.of_weights([[-np.inf, 0.0, -np.inf]])
    assert one.effective_sample_size == 1 and one.log_prob == pytest.approx(np.log(1 / 3))
    none = Estimate.of_weights([[-np.inf, -np.inf]])
    assert none.log_prob == -np.inf and none.effective_sample_size == 0
    assert none.probability == 0 and np.isnan(none.standard_error)
