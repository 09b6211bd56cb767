import keras
import pytest
import reference
from queries.common import distribution

import made_tf


@pytest.fixture(scope="session")
def fixed():
    """Order 3, 1, 4, 2: variables 1, 3, 0, 2 are generated in turn."""
    return distribution()


@pytest.fixture(scope="session")
def any_order():
    return distribution(num_masks=None)


@pytest.fixture(scope="session")
def three():
    return distribution(num_masks=3)


@pytest.fixture(scope="session")
def table(fixed):
    return reference.Table(fixed.model)


@pytest.fixture(params=["fixed", "any_order", "three"])
def each(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def normal():
    keras.utils.set_random_seed(0)
    return made_tf.MADEDistribution(
        reference.small_model("scaled_normal", 3, input_order=[2, 3, 1], hidden_units=(9,)),
        num_particles=2000,
    )
