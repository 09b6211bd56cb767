"""Rows that have an order each, against the textbook loop."""

import keras
import numpy as np
import pytest
import reference

from made_tf.sampling.known import KnownValues
from made_tf.sampling.row_orders import RowOrderNetwork

CASES = {
    "bernoulli": ("bernoulli", {}),
    "no direct connections": ("bernoulli", {"direct_connections": False}),
    "no hidden layers": ("categorical", {"hidden_units": ()}),
    "few units": ("ragged", {"hidden_units": (3, 2), "hidden_degrees": "random"}),
    "ragged": ("ragged", {"input_order": "random"}),
    "residual": ("bernoulli", {"hidden_degrees": "early", "residual": True}),
    "scaled_normal": ("scaled_normal", {"resample": "order"}),
}


@pytest.fixture(params=CASES)
def model(request):
    keras.utils.set_random_seed(0)
    family, kwargs = CASES[request.param]
    model = reference.small_model(family, num_masks=None, **kwargs)
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    return model


@pytest.mark.filterwarnings("ignore:.*out of the network's reach")
def test_rows_are_drawn_in_their_own_orders(model):
    # Against the textbook loop, whose order is another in each row.
    network = RowOrderNetwork(model, 2)
    order, *hidden = model.mask_sets.first(1).at(0)
    rng = np.random.default_rng(1)
    orders = np.stack([rng.permutation(order) for _ in range(6)]).astype(np.int32)
    uniforms = rng.uniform(0.01, 0.99, (6, model.event_size)).astype(np.float32)
    none = KnownValues(*np.zeros((2, *uniforms.shape), np.float32))
    rows = np.asarray(network.sample_each(uniforms, orders, hidden, none))
    for row, own, u in zip(rows, orders, uniforms, strict=True):
        expected = reference.sample(model, u[None], [own, *hidden])[0]
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-4)
