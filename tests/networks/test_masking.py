import json

import keras
import numpy as np
import pytest
import reference

from made_tf import MaskConstraint, MaskedInitializer

BELOW, ABOVE = [2, 1, 3, 1], [3, 1, 2, 2, 1]
SHAPE = (4, 5)


def live(strict=False):
    return reference.mask(BELOW, ABOVE, strict)


def random_kernel():
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


@pytest.mark.parametrize("strict", [False, True])
def test_the_constraint_zeroes_what_the_degrees_forbid_and_nothing_else(strict):
    kernel = random_kernel()
    masked = MaskConstraint(BELOW, ABOVE, strict)(keras.ops.convert_to_tensor(kernel))
    np.testing.assert_array_equal(masked, np.where(live(strict), kernel, 0.0))


@pytest.mark.parametrize("junk", [np.nan, np.inf, -np.inf])
def test_the_constraint_cleans_what_a_product_would_keep(junk):
    kernel = np.where(live(), random_kernel(), np.float32(junk))
    masked = np.asarray(MaskConstraint(BELOW, ABOVE)(kernel))
    np.testing.assert_array_equal(masked[~live()], 0.0)
    np.testing.assert_array_equal(masked[live()], kernel[live()])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_constraint_keeps_the_dtype(dtype):
    kernel = keras.ops.cast(random_kernel(), dtype)
    masked = MaskConstraint(BELOW, ABOVE)(kernel)
    assert keras.backend.standardize_dtype(masked.dtype) == dtype


def test_the_constraint_takes_a_variable():
    variable = keras.Variable(random_kernel())
    masked = MaskConstraint(BELOW, ABOVE)(variable)
    np.testing.assert_array_equal(masked, np.where(live(), random_kernel(), 0.0))


@keras.saving.register_keras_serializable(package="made_tf_tests")
class Ones(keras.constraints.Constraint):
    def __call__(self, w):
        return keras.ops.ones_like(w)


class Spy(keras.constraints.Constraint):
    def __call__(self, w):
        self.seen = np.asarray(w)
        return w


@pytest.mark.parametrize(
    ("inner", "rule"),
    [
        (keras.constraints.NonNeg(), lambda w: np.maximum(w, 0)),
        ("non_neg", lambda w: np.maximum(w, 0)),
        (
            keras.constraints.MaxNorm(0.5, axis=0),
            lambda w: w * np.minimum(1, 0.5 / np.linalg.norm(w, axis=0)),
        ),
        (keras.constraints.UnitNorm(axis=0), lambda w: w / np.linalg.norm(w, axis=0)),
        (Ones(), np.ones_like),
    ],
    ids=["NonNeg", "by name", "MaxNorm", "UnitNorm", "Ones"],
)
def test_an_inner_constraint_acts_on_live_weights_and_revives_no_others(inner, rule):
    kernel = random_kernel() + np.where(live(), 0.0, 100.0).astype(np.float32)
    constrained = np.asarray(MaskConstraint(BELOW, ABOVE, constraint=inner)(kernel))
    expected = np.where(live(), rule(np.where(live(), kernel, 0.0)), 0.0)
    np.testing.assert_allclose(constrained, expected, rtol=1e-6)
    assert (constrained[~live()] == 0).all()


def test_an_inner_constraint_is_shown_live_weights_only():
    spy = Spy()
    MaskConstraint(BELOW, ABOVE, constraint=spy)(random_kernel() + 7)
    assert (spy.seen[~live()] == 0).all()
    assert (spy.seen[live()] != 0).all()


def test_the_initializer_draws_from_the_inner_one_and_masks():
    initializer = MaskedInitializer(keras.initializers.GlorotUniform(seed=1), BELOW, ABOVE, True)
    drawn = np.asarray(initializer(SHAPE))
    unmasked = np.asarray(keras.initializers.GlorotUniform(seed=1)(SHAPE))
    np.testing.assert_array_equal(drawn, np.where(live(strict=True), unmasked, 0.0))
    assert initializer(SHAPE, dtype="float16").dtype == "float16"


@pytest.mark.parametrize(
    "thing",
    [
        MaskConstraint(BELOW, ABOVE),
        MaskConstraint(np.array(BELOW), ABOVE, strict=True, constraint="max_norm"),
        MaskConstraint(BELOW, ABOVE, constraint=Ones()),
        MaskedInitializer(keras.initializers.HeNormal(seed=3), BELOW, ABOVE),
        MaskedInitializer("ones", BELOW, np.array(ABOVE), strict=True),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_the_config_goes_round_through_json(thing):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(thing)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(thing)
    assert again.get_config() == thing.get_config()
    argument = SHAPE if isinstance(thing, MaskedInitializer) else random_kernel()
    np.testing.assert_array_equal(again(argument), thing(argument))


@pytest.mark.parametrize("of", [MaskConstraint, lambda *args: MaskedInitializer("zeros", *args)])
@pytest.mark.parametrize(
    ("below", "above", "name"),
    [
        ([], [1], "in_degrees"),
        ([1], [], "out_degrees"),
        ([1.0], [1], "in_degrees"),
        ([1], [[1]], "out_degrees"),
        (3, [1], "in_degrees"),
        (["a"], [1], "in_degrees"),
        ([True], [1], "in_degrees"),
    ],
)
def test_degrees_that_are_no_sequence_of_integers_are_refused(of, below, above, name):
    with pytest.raises(ValueError, match=f"`{name}` must be a non-empty sequence of integers"):
        of(below, above)


@pytest.mark.parametrize("shape", [(5, 4), (4, 6), (4,), (2, 4, 5)])
def test_a_kernel_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"must have the shape \(4, 5\) of its degrees"):
        MaskConstraint(BELOW, ABOVE)(np.ones(shape, np.float32))
