import pytest
import reference

import made_tf


@pytest.fixture(params=["bernoulli", "ragged", "normal"])
def any_dist(request):
    return made_tf.MADEDistribution(reference.small_model(request.param))


@pytest.fixture
def dist():
    return made_tf.MADEDistribution(reference.small_model())


@pytest.fixture
def x(dist):
    return reference.rows(dist.model.conditionals, 6, 5)
