"""Rows as dicts of columns: the same probabilities under the columns' names."""

import numpy as np
import pytest
from tensorflow_probability import distributions as tfd

import made_tf
from made_tf import MADE, MADEDistribution

NAMES = ["sold", "size", "grade"]


@pytest.mark.parametrize("kind", ["mixed", "discrete", "context"])
def test_a_row_is_a_dict_of_its_columns(kind):
    families = [made_tf.Bernoulli(), made_tf.NormalMixture(2), made_tf.Categorical(3)]
    if kind == "discrete":
        families[1] = made_tf.Ordinal(4)
    model = MADE(3, (8,), conditionals=families, context=2 if kind == "context" else None)
    context = np.ones((5, 2), np.float32) if kind == "context" else None
    dist = MADEDistribution(model, context=context)
    named = dist.as_dict(NAMES)
    assert isinstance(named, tfd.Distribution)
    assert named.event_shape == dict.fromkeys(NAMES, ())
    assert named.batch_shape == dist.batch_shape
    rows, columns = dist.sample(4, seed=1), named.sample(4, seed=1)
    for index, name in enumerate(NAMES):
        np.testing.assert_array_equal(columns[name], rows[..., index])
    np.testing.assert_allclose(named.log_prob(columns), dist.log_prob(rows), atol=1e-6)


@pytest.mark.parametrize("names", [["a", "b"], ["a", "a", "b"], ["a", "b", 3]])
def test_names_must_be_those_of_the_columns(names):
    with pytest.raises(ValueError, match="`names` must be 3 different texts"):
        MADEDistribution(MADE(3, (8,))).as_dict(names)
