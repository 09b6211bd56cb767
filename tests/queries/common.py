"""Small models and incomplete rows for questions about subsets."""

import keras
import numpy as np
import reference

import made_tf

NAN = np.nan
PARTICLES = 200


def made(family="bernoulli", event_size=4, num_masks=1, **kwargs):
    keras.utils.set_random_seed(0)  # fixtures of the module are made before that of the test
    order = [3, 1, 4, 2] if event_size == 4 else [2, 3, 1]
    return reference.loud(
        family, event_size, num_masks=num_masks, input_order=order, hidden_units=(9,), **kwargs
    )


def distribution(*args, num_orders=None, num_particles=PARTICLES, **kwargs):
    return made_tf.MADEDistribution(
        made(*args, **kwargs), num_orders=num_orders, num_particles=num_particles
    )


def only(row, variables):
    """The row with NaN elsewhere."""
    return np.where(np.isin(np.arange(len(row)), variables), row, NAN).astype(np.float32)


def assert_exact(estimate):
    np.testing.assert_array_equal(estimate.standard_error, 0)
    np.testing.assert_array_equal(estimate.effective_sample_size, np.inf)


def holes(count=15, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (count, 4)).astype(np.float64)
    x[rng.uniform(size=x.shape) < 0.5] = NAN
    return x


def grid(count=161, width=7.0):
    """Points and areas for variables 0 and 1 of `scaled_normal`."""
    axes = [np.linspace(c - s * width, c + s * width, count) for c, s in [(3, 0.5), (2, 1.5)]]
    return axes, np.prod([axis[1] - axis[0] for axis in axes])
