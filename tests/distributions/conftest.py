import keras
import pytest
import reference

import made_tf


@pytest.fixture(scope="session", params=["bernoulli", "ragged", "normal"])
def any_dist(request):
    """One that no test changes: what it has traced serves all of them."""
    keras.utils.set_random_seed(1)  # other weights than those of models that a test makes
    return made_tf.MADEDistribution(reference.small_model(request.param))


@pytest.fixture(scope="session")
def dist():
    """As `any_dist`, of one family."""
    keras.utils.set_random_seed(1)
    return made_tf.MADEDistribution(reference.small_model())


@pytest.fixture
def x(dist):
    return reference.rows(dist.model.conditionals, 6, 5)
