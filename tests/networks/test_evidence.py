"""Training for questions: which masks, and that their answers are one density's."""

import itertools

import keras
import numpy as np
import pytest
import reference
import scipy.stats
from keras import ops

import made_tf
from made_tf import masks
from made_tf.models.paths import path_spread
from made_tf.networks import evidence
from made_tf.networks.mask_sets import MaskSets
from made_tf.queries.subsets import Queries

ORDER = [2, 4, 1, 5, 3]
D = len(ORDER)


def model_of(family="bernoulli", **kwargs):
    defaults = {
        "num_masks": None,
        "resample": "evidence",
        "mask_weights": True,
        "input_order": ORDER,
        "hidden_units": (9, 9),
        "residual": True,
    }
    model = reference.loud(family, D, 1.0, **{**defaults, **kwargs})
    rng = np.random.default_rng(1)
    for weight in model.trainable_variables:  # mask weights begin at zero
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    return model


def steps(count, masks_per="batch"):
    degrees = masks.make_degrees(D, (6,), ORDER)
    sets = MaskSets(degrees, None, "evidence", masks_per, seed=3)
    if masks_per == "row":
        inputs, hidden, outputs = (np.asarray(level) for level in sets.at_step(0, count))
        np.testing.assert_array_equal(hidden, degrees.hidden[0])  # for all rows
    else:
        found = [[np.asarray(level) for level in sets.at_step(step)] for step in range(count)]
        inputs, hidden, outputs = (np.stack(level) for level in zip(*found, strict=True))
        assert (hidden == degrees.hidden[0]).all()
    return inputs, outputs


def as_numbers(uniforms):
    inputs, outputs = evidence.fresh_degrees(np.array(ORDER, np.int32), uniforms)
    return ops.convert_to_numpy(inputs), ops.convert_to_numpy(outputs)


@pytest.mark.parametrize("masks_per", ["batch", "row"])
def test_evidence_and_the_rest_keep_the_models_order(masks_per):
    inputs, outputs = steps(200 if masks_per == "row" else 40, masks_per)
    assert inputs.shape == outputs.shape
    own = np.array(ORDER)
    for places, degrees in zip(inputs, outputs, strict=True):
        assert sorted(places) == [1, 2, 3, 4, 5]
        assert (degrees <= places).all()  # no output sees its own input
        # There is a set of variables that comes first, both parts in the model's order.
        generated = np.argsort(places)
        breaks = (np.diff(own[generated]) < 0).sum()
        assert breaks <= 1
        is_star = (degrees != places).any()
        if is_star:
            size = degrees.max() - 1
            assert (degrees[places <= size] == places[places <= size]).all()
            assert (degrees[places > size] == size + 1).all()
    assert (inputs != outputs).any() and (inputs == outputs).all(axis=1).any()


def test_sizes_are_drawn_first_and_all_sets_of_a_size_are_alike():
    uniforms = np.random.default_rng(0).random((40_000, D + 3)).astype("float32")
    uniforms[:, D] = 0.5  # chains
    inputs, outputs = as_numbers(uniforms)
    np.testing.assert_array_equal(inputs, outputs)
    # Which set is evidence cannot be told where it is a prefix of the order: the size drawn can.
    sizes = (uniforms[:, D + 1] * (D + 1)).astype(int)
    assert scipy.stats.chisquare(np.bincount(sizes, minlength=D + 1)).pvalue > 1e-3
    for size in (1, 2, 3):
        first = [tuple(sorted(np.argsort(row)[:size])) for row in inputs[sizes == size]]
        every = list(itertools.combinations(range(D), size))
        counts = [first.count(subset) for subset in every]
        assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_some_steps_are_of_whole_rows():
    uniforms = np.random.default_rng(0).random((1000, D + 3)).astype("float32")
    uniforms[:, D] = 0.99
    for degrees in as_numbers(uniforms):
        np.testing.assert_array_equal(degrees, np.tile(ORDER, (1000, 1)))


def test_stars_know_few_variables_more_often_than_many():
    uniforms = np.random.default_rng(0).random((40_000, D + 3)).astype("float32")
    uniforms[:, D], uniforms[:, D + 2] = 0.0, 0.0
    _, outputs = as_numbers(uniforms)
    sizes = np.minimum(outputs.max(axis=1) - 1, D)
    # P(size >= n) = 1 / n, and never less than one. (All D known leave no star.)
    np.testing.assert_allclose((sizes == 1).mean(), 1 / 2, atol=0.01)
    np.testing.assert_allclose((sizes == 2).mean(), 1 / 6, atol=0.01)


def test_the_sets_of_a_seed_are_these_on_every_machine():
    sets = MaskSets(masks.make_degrees(D, (6,), ORDER), None, "evidence", seed=3)
    first = sets.first(4)
    assert first.inputs.tolist()[0] == ORDER
    assert (
        first.inputs.tolist()
        == MaskSets(sets.degrees, None, "evidence", seed=3).first(4).inputs.tolist()
    )
    for order in first.inputs:
        assert (np.diff(np.array(ORDER)[np.argsort(order)]) < 0).sum() <= 1
    assert (first.hidden[0] == sets.degrees.hidden[0]).all()


@pytest.mark.parametrize("family", ["bernoulli", "ragged"])
def test_every_path_is_a_density_and_marginals_are_sums_of_conditionals(family):
    model = model_of(family)
    states = reference.states(model)
    queries = Queries(model)
    joint = np.exp(ops.convert_to_numpy(model.log_prob(states)).astype(np.float64))
    np.testing.assert_allclose(joint.sum(), 1.0, atol=1e-5)
    for known in ([True, False, False, True, False], [False, True, True, False, True]):
        known = np.array(known)
        # p(x_E) p(rest | x_E), each asked by itself, add up to one; so does either alone.
        part = np.where(known, states, np.nan)
        marginal = np.exp(queries.log_marginal(part).log_prob)
        rest = np.exp(queries.conditional_log_prob(np.where(known, np.nan, states), part).log_prob)
        np.testing.assert_allclose((marginal * rest).sum(), 1.0, atol=1e-5)
        _, index = np.unique(part[:, known], axis=0, return_index=True)
        np.testing.assert_allclose(marginal[index].sum(), 1.0, atol=1e-5)
        for row in index[:3]:
            same = (states[:, known] == states[row, known]).all(axis=1)
            np.testing.assert_allclose(rest[same].sum(), 1.0, atol=1e-5)


def test_without_evidence_it_is_the_models_own_order():
    model = model_of()
    x = reference.states(model)
    nothing = np.full_like(x, np.nan)
    found = Queries(model).conditional_log_prob(x, nothing).log_prob
    np.testing.assert_allclose(found, ops.convert_to_numpy(model.log_prob(x)), atol=1e-5)


def test_training_learns_what_single_columns_do_alone():
    rng = np.random.default_rng(0)
    x = (rng.random((600, D)) < [0.05, 0.9, 0.5, 0.2, 0.7]).astype("float32")
    x[:, 3] = x[:, 2]
    keras.utils.set_random_seed(0)
    model = made_tf.MADE(
        D, (16, 16), residual=True, num_masks=None, resample="evidence", mask_weights=True, seed=0
    )
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(np.tile(x, (60, 1)), batch_size=50, verbose=0)
    alone = np.where(np.eye(D, dtype=bool), 1.0, np.nan).astype("float32")
    found = np.exp(Queries(model).log_marginal(alone).log_prob)
    np.testing.assert_allclose(found, x.mean(axis=0), atol=0.03)
    both = np.full((1, D), np.nan, np.float32)
    both[0, [2, 3]] = 1, 0  # never; a quarter, were they independent
    assert np.exp(Queries(model).log_marginal(both).log_prob)[0] < 0.05


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"residual": False, "hidden_units": (9, 7), "mask_weights": False},
        {"residual": False, "hidden_units": ()},
        {"direct_connections": False, "hidden_degrees": "early", "hidden_units": (12, 12)},
        {"context": 3},
    ],
    ids=["all", "plain", "no hidden layers", "no direct connections", "context"],
)
@pytest.mark.parametrize("family", ["bernoulli", "ragged"])
def test_given_one_variable_is_what_masks_say_row_by_row(family, kwargs):
    model = model_of(family, **kwargs)
    rng = np.random.default_rng(0)
    x = reference.rows(model.conditionals, 12, D)
    vectors = rng.normal(size=(12, 3)).astype("float32") if "context" in kwargs else None
    known = np.eye(D, dtype="float32")[rng.integers(0, D, 12)]
    features = model.conditionals.encode(ops.cast(x, "float32"))
    params = model._assembly.given_one(features, known, vectors)
    found = ops.convert_to_numpy(model.conditionals.log_prob(params, x))
    for row in range(12):
        first, *hidden = model.mask_sets.first(1).evidence_first(known[row] > 0).at(0)
        degrees = [first, *hidden, np.minimum(first, 2)]  # the outputs see one variable at most
        own = None if vectors is None else vectors[row : row + 1]
        params = model.parameters(x[row : row + 1], own, degrees)
        expected = ops.convert_to_numpy(model.conditionals.log_prob(params, x[row : row + 1]))[0]
        others = known[row] == 0
        np.testing.assert_allclose(found[row][others], expected[others], rtol=1e-5, atol=1e-5)


def test_metrics_of_training_are_of_the_mask_alone():
    model = reference.loud("bernoulli", D, 0.0, num_masks=None, resample="evidence")
    model.compile("sgd")
    x = np.random.default_rng(0).integers(0, 2, (64, D)).astype("float32")
    logs = model.fit(x, epochs=1, batch_size=64, verbose=0).history
    # Without weights each column has one bit; in the loss alone, too, and half given another one.
    assert logs["bits_per_dim"][0] == pytest.approx(1, abs=1e-5)
    assert logs["nll"][0] == pytest.approx(D * np.log(2), abs=1e-5)
    assert logs["loss"][0] == pytest.approx((2 * D + (D - 1) / 2) * np.log(2), abs=1e-5)


def test_paths_disagree_before_they_have_learned():
    model = model_of()
    x = reference.rows(model.conditionals, 50, D)
    found = path_spread(model, x, num_subsets=8)
    assert found.sizes.min() >= 1 and found.sizes.max() <= D
    assert found.spread.max() > 0.05
    np.testing.assert_array_equal(found.spread, path_spread(model, x, num_subsets=8).spread)
    # A model without any weights but biases has nothing that paths could disagree about.
    for weight in model.trainable_variables:
        if "bias" not in weight.name:
            weight.assign(ops.zeros_like(weight))
    np.testing.assert_allclose(path_spread(model, x).spread, 0.0, atol=1e-5)
    with pytest.raises(ValueError, match="`model` must be one of all orders"):
        path_spread(made_tf.MADE(D, (6,)), x)


@pytest.mark.parametrize("wrong", [{"num_masks": 3}, {"order_groups": [0, 0, 1, 1, 2]}])
def test_evidence_needs_fresh_masks_and_no_groups(wrong):
    with pytest.raises(ValueError, match="`resample` may be 'evidence'"):
        model_of(**wrong)


def test_a_file_keeps_it(tmp_path):
    model = model_of()
    model.save(tmp_path / "model.keras")
    same = keras.saving.load_model(tmp_path / "model.keras")
    x = reference.states(model)
    assert same.any_order and same.mask_sets.by_evidence
    np.testing.assert_array_equal(same.log_prob(x), model.log_prob(x))
    np.testing.assert_array_equal(same.mask_sets.first(5).inputs, model.mask_sets.first(5).inputs)


def test_a_context_is_seen_by_single_columns_too():
    rng = np.random.default_rng(0)
    context = np.eye(2, dtype="float32")[rng.integers(0, 2, 400)]
    x = (rng.random((400, 3)) < np.where(context[:, :1] > 0, 0.9, 0.1)).astype("float32")
    keras.utils.set_random_seed(0)
    model = made_tf.MADE(
        3, (8, 8), residual=True, num_masks=None, resample="evidence", context=2, seed=0
    )
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit((np.tile(x, (40, 1)), np.tile(context, (40, 1))), batch_size=50, verbose=0)
    dist = made_tf.MADEDistribution(model, context=np.eye(2, dtype="float32"))
    alone = np.array([[np.nan, 1.0, np.nan]] * 2, np.float32)
    found = np.exp(np.asarray(dist.log_marginal(alone).log_prob))
    np.testing.assert_allclose(found, [0.9, 0.1], atol=0.08)
