"""Where networks start to learn: at the frequencies of values, which are most probable."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from made_tf import MADE
from made_tf import conditionals as families
from made_tf.conditionals import MISSING
from made_tf.data.splits import Splits
from made_tf.training.members import train_member
from made_tf.training.recipe import Recipe

ROWS = 2000
RNG = np.random.default_rng(0)
BITS = (RNG.random(ROWS) < 0.1).astype(np.float32)
CLASSES = RNG.choice(4, ROWS, p=[0.6, 0.3, 0.1, 0.0]).astype(np.float32)
REAL = RNG.gamma(2.0, size=ROWS).astype(np.float32)
HOLES = np.where(RNG.random(ROWS) < 0.3, np.float32(MISSING), np.where(REAL < 0.5, 0, REAL))
STRANGE = np.where(RNG.random(ROWS) < 0.5, np.float32(MISSING), CLASSES)
#: A family, its column, and of how many of its first parameters counting tells the best values.
COLUMNS = {
    "bernoulli": (families.Bernoulli(), BITS, 1),
    "categorical": (families.Categorical(4), CLASSES, 4),
    "embedded": (families.Embedded(5, embedding_size=2), CLASSES, 0),
    "binned": (families.Binned.from_data(REAL[:, None] ** 2, num_bins=16), REAL**1.5, 99),
    "inflated": (families.Inflated(families.NormalMixture(2), [0.0, MISSING]), HOLES, 2),
    "inflated classes": (families.Inflated(families.Categorical(4), [MISSING]), STRANGE, 5),
    "inflated, embedded": (families.Inflated(families.Embedded(5, 2), [MISSING]), STRANGE, 1),
}


def family_and_rows():
    own, columns, _ = zip(*COLUMNS.values(), strict=True)
    x = np.stack(columns, axis=1)
    return families.Mixed(own).bind(x.shape[1]), x


def slopes(family, start, x, counted):
    """The gradient of the mean log-likelihood in what counting tells: parameters, biases."""
    weights = {
        name: tf.constant(start.weights.get(name, values))
        for name, values in family.weights().items()
    }
    params = tf.constant(start.parameters[None])
    with tf.GradientTape() as tape:
        tape.watch([params, weights])
        rows = tf.repeat(params, len(x), axis=0)
        mean = tf.reduce_mean(tf.reduce_sum(family.with_weights(weights).log_prob(rows, x), 1))
    of_params, of_weights = tape.gradient(mean, [params, weights])
    biases = [
        np.ravel(tf.convert_to_tensor(slope))
        for name, slope in of_weights.items()
        if name.endswith("class_bias")
    ]
    side = family.layout.parameters
    is_counted = side.ranks < np.asarray(counted)[side.owners]
    return np.concatenate([of_params[0][is_counted], *biases])


def check(family, x, counted):
    start = family.start(x)
    assert start.parameters.dtype == np.float32 and start.parameters.shape == (
        family.layout.parameters.total,
    )
    # Half a row more in each class is all that keeps it from the maximum.
    assert np.abs(slopes(family, start, x, counted)).max() < 16 / 2 / ROWS
    nothing = start._replace(parameters=0 * start.parameters, weights={})
    assert np.abs(slopes(family, nothing, x, counted)).max() > 0.05
    return start


def test_no_step_makes_rows_more_probable():
    family, x = family_and_rows()
    check(family, x, [counted for _, _, counted in COLUMNS.values()])


@pytest.mark.parametrize("name", COLUMNS)
def test_each_family_alone(name):
    family, values, counted = COLUMNS[name]
    family, x = family.bind(1), values[:, None]
    start = check(family, x, [counted])
    with_holes = family.start(np.concatenate([x, np.full((50, 1), np.nan)]))
    np.testing.assert_array_equal(start.parameters, with_holes.parameters)


def test_shares_by_hand():
    found = families.Categorical([2, 3]).bind(2).start(np.array([[0, 2], [0, 2], [1, 0]]))
    expected = np.log([2.5 / 4, 1.5 / 4, 1.5 / 4.5, 0.5 / 4.5, 2.5 / 4.5])
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-6)


def test_families_that_start_at_the_data_themselves():
    for family in (families.Ordinal(3, counts=[[5, 2, 3]]), families.LogisticMixture(3)):
        assert not family.bind(1).start(CLASSES[:, None] % 3).parameters.any()


@pytest.mark.parametrize("hidden_units", [[8], []])
def test_training_begins_there(tmp_path, hidden_units):
    family, x = family_and_rows()
    recipe = Recipe.from_dict(
        "still",
        {
            "model": {"hidden_units": hidden_units},
            "training": {"looks": 1, "steps": 1, "patience": 1, "learning_rate": 1e-7},
        },
    )
    splits = Splits(x[:1500], x[1500:], x[:0], list("abcdefg"))
    start = family.start(splits.train)
    model, _ = train_member(
        recipe, splits, tmp_path / "m.keras", 0, family, progress=False, start=start
    )
    assert isinstance(model, MADE)
    last = model.direct_layer if model.output_layer is None else model.output_layer
    np.testing.assert_allclose(keras.ops.convert_to_numpy(last.bias), start.parameters, atol=1e-5)
    assert len(start.weights) == 2
    for name, expected in start.weights.items():
        bias = keras.ops.convert_to_numpy(model.family_weights.named[name])
        np.testing.assert_allclose(bias, expected, atol=1e-5)
