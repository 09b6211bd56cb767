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
#: Columns with a family that can be anything in one row, and a name.
COLUMNS = {
    "bernoulli": (families.Bernoulli(), BITS),
    "categorical": (families.Categorical(4), CLASSES),
    "embedded": (families.Embedded(5, embedding_size=2), CLASSES),
    "binned": (families.Binned.from_data(REAL[:, None] ** 2, num_bins=16), REAL**1.5),
    "inflated": (families.Inflated(families.NormalMixture(2), [0.0, MISSING]), HOLES),
    "inflated classes": (families.Inflated(families.Categorical(4), [MISSING]), CLASSES),
}
STRANGE = np.where(RNG.random(ROWS) < 0.5, np.float32(MISSING), CLASSES)


def family_and_rows():
    own, columns = zip(*COLUMNS.values(), strict=True)
    x = np.stack([*columns, STRANGE], axis=1)
    mixed = families.Mixed([*own, families.Inflated(families.Categorical(4), [MISSING])])
    return mixed.bind(x.shape[1]), x


def slopes(family, start, x):
    """The gradient of the mean log-likelihood of each column in what counting tells."""
    weights = {
        name: tf.constant(start.weights.get(name, w)) for name, w in family.weights().items()
    }
    params = tf.constant(start.parameters[None])
    with tf.GradientTape() as tape:
        tape.watch([params, weights])
        rows = tf.repeat(params, len(x), axis=0)
        mean = tf.reduce_mean(tf.reduce_sum(family.with_weights(weights).log_prob(rows, x), 1))
    of_params, of_weights = tape.gradient(mean, [params, weights])
    # Of numbers beside the points, and of vectors, counting does not tell.
    known = start.parameters != 0
    biases = [grad for name, grad in of_weights.items() if name.endswith("class_bias")]
    return np.concatenate(
        [of_params[0][known], *[np.ravel(tf.convert_to_tensor(bias)) for bias in biases]]
    )


def test_no_step_makes_rows_more_probable():
    family, x = family_and_rows()
    start = family.start(x)
    assert start.parameters.dtype == np.float32 and start.parameters.shape == (
        family.layout.parameters.total,
    )
    # Half a row more in each class is all that keeps it from the maximum.
    assert np.abs(slopes(family, start, x)).max() < 16 / 2 / ROWS
    from_zeros = start._replace(parameters=np.full_like(start.parameters, 1e-9), weights={})
    assert np.abs(slopes(family, from_zeros, x)).max() > 0.05


@pytest.mark.parametrize("name", COLUMNS)
def test_each_family_alone(name):
    family, values = COLUMNS[name]
    family, x = family.bind(1), values[:, None]
    start = family.start(x)
    assert np.abs(slopes(family, start, x)).max() < 16 / 2 / ROWS
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
    (bias,) = [w for name, w in model.family_weights.named.items() if "class_bias" in name]
    (expected,) = start.weights.values()
    np.testing.assert_allclose(keras.ops.convert_to_numpy(bias), expected, atol=1e-5)
