"""Which family is named for a column, and what a refusal says."""

import numpy as np
import pytest

import made_tf
from made_tf import conditionals as families

RNG = np.random.default_rng(0)
COLUMNS = {
    "zeros and ones": (RNG.integers(0, 2, 100), "bernoulli"),
    "a single zero": ([0.0], "bernoulli"),
    "grades": (RNG.integers(0, 5, 100), "ordinal"),
    "ages": (RNG.integers(18, 90, 1000), "binned"),
    "tenths": (np.round(RNG.normal(60, 1.5, 2000), 1), "binned"),
    "prices": (RNG.integers(300, 20000, 5000), "discretized"),
    "visits": (np.floor(np.exp(RNG.normal(2, 3, 5000))), "count"),
    "real": (RNG.normal(size=1000), "logistic_mixture"),
    "a few numbers": ([1.5, 2.5, 7.0], "logistic_mixture"),
    "negative classes": (RNG.integers(-3, 3, 100), "binned"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_gets_a_family_that_holds_it(name):
    values, expected = COLUMNS[name]
    assert families.suggest(values) == expected
    column = np.asarray(values, "float32")[:, None]
    family = families.FAMILIES[expected].from_data(column)
    assert np.asarray(family.in_support(column)).all()


def test_a_table_gets_a_family_for_each_column():
    chosen = ["zeros and ones", "grades", "negative classes"]
    x = np.stack([COLUMNS[name][0] for name in chosen], axis=1)
    family = made_tf.Mixed.from_data(x)
    assert [each.name for each in family.families] == ["bernoulli", "ordinal", "binned"]
    assert made_tf.MADE(3, (4,), family).log_prob(x).shape == (100,)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, 2.0, r"bernoulli conditionals, 0 or 1 only. Received: x\[1, 0\]=2.0.*can be Ordinal"),
        (1, -1.0, r"for count conditionals, a count.*Received: x\[1, 1\]=-1.0"),
        (2, 0.125, r"for discretized conditionals, a number on the grid"),
        (3, 7.0, r"for ordinal conditionals.*x\[1, 3\]=7.0. A column of these values can be Ord"),
    ],
)
def test_a_refusal_names_the_columns_family_and_one_that_would_do(column, value, message):
    mixed = ["bernoulli", "count", families.Discretized(families.LogisticMixture(2), 0.1)]
    model = made_tf.MADE(4, (4,), [*mixed, families.Ordinal(5)])
    x = np.array([[0, 3, 0.5, 4], [1, 0, 0.2, 0]], "float32")
    model.log_prob(x)
    x[1, column] = value
    for call in (model.log_prob, model.evaluate):
        with pytest.raises(ValueError, match=message):
            call(x)


def test_lists_of_families_are_checked():
    with pytest.raises(ValueError, match="must describe event_size=3 variables. Received: mixed"):
        made_tf.MADE(3, conditionals=["bernoulli", "normal"])
    with pytest.raises(ValueError, match=r"'categorical' needs arguments"):
        made_tf.MADE(2, conditionals=["bernoulli", "categorical"])
    with pytest.raises(ValueError, match="an entry for each of 2 columns"):
        made_tf.Mixed.from_data(np.zeros((3, 2)), ["bernoulli"])
    with pytest.raises(ValueError, match=r"Column 1: `x` must contain, for bernoulli"):
        made_tf.Mixed.from_data(np.full((3, 2), [0, 5]), ["bernoulli", "bernoulli"])
