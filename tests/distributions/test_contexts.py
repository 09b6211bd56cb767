"""`MADEDistribution(model, context=...)`: batches, rows, densities, TFP around it, questions."""

import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from made_tf import MADE, Ensemble, EnsembleDistribution, MADEDistribution
from made_tf.sampling import random

SIZE, WIDTH, SEED = 4, 3, 7
CONTEXT = np.random.default_rng(0).normal(size=(5, WIDTH)).astype("float32")
KINDS = {
    "fixed": {},
    "residual": {"hidden_units": (10, 10), "residual": True, "input_order": "random"},
    "mixture": {"num_masks": 4, "num_orders": 3},
    "all orders": {"num_masks": None},
    "all orders, mask weights": {"num_masks": None, "mask_weights": True},
}


@pytest.fixture(scope="module")
def models():
    """Models whose context matters: random weights, large ones for the context."""

    def made(name):
        model = MADE(SIZE, **{"hidden_units": (10,), "seed": 0, **KINDS[name]}, context=WIDTH)
        rng = np.random.default_rng(1)
        model.set_weights(
            [w if w.dtype == np.int64 else rng.normal(size=w.shape) for w in model.get_weights()]
        )
        return model

    return {name: made(name) for name in KINDS}


@pytest.fixture(scope="module")
def dists(models):
    """Their distributions, which have traced already what another test asked for."""
    return {
        name: MADEDistribution(model, context=CONTEXT, num_particles=4000)
        for name, model in models.items()
    }


def all_rows():
    return np.stack(np.meshgrid(*[[0, 1]] * SIZE, indexing="ij"), -1).reshape(-1, SIZE)


@pytest.mark.parametrize("name", ["fixed", "residual"])
def test_rows_are_those_of_the_textbook_loop_for_each_context(models, dists, name):
    model, each = models[name], dists[name]
    x = each.sample(6, seed=SEED).numpy()
    seeds = random.row_seeds(tf.constant([SEED, 0], tf.int32), 30)
    uniforms = random.row_uniforms(seeds, model.conditionals)
    expected, context = np.zeros((30, SIZE), np.float32), np.tile(CONTEXT, (6, 1))
    for variable in np.argsort(model.degrees.inputs):
        drawn = model.conditionals.sample(model((expected, context)), uniforms)
        expected[:, variable] = drawn[:, variable]
    np.testing.assert_array_equal(x, expected.reshape(6, 5, SIZE))
    one = MADEDistribution(model, context=CONTEXT[0])
    np.testing.assert_array_equal(one.sample(9, seed=1), np.concatenate(list(one.stream(9, 1, 4))))
    # A row for each.
    np.testing.assert_array_equal(each.sample(seed=1), np.concatenate(list(each.stream(5, 1, 2))))


@pytest.mark.parametrize("name", KINDS)
def test_densities_are_the_models_and_sum_to_1(models, dists, name):
    model, rows, dist = models[name], all_rows().astype("float32"), dists[name]
    assert (dist.batch_shape, dist.event_shape) == ([5], [SIZE])
    log_prob = dist.log_prob(rows[:, None]).numpy()  # [16, 5]
    for index, context in enumerate(CONTEXT):
        expected = model.log_prob(rows, context=np.tile(context, (16, 1)))
        np.testing.assert_allclose(log_prob[:, index], expected, atol=1e-5)
    np.testing.assert_allclose(np.exp(np.float64(log_prob)).sum(axis=0), 1, atol=1e-5)
    x, together = dist.experimental_sample_and_log_prob([2, 3], seed=SEED)
    np.testing.assert_array_equal(x, dist.sample([2, 3], seed=SEED))
    np.testing.assert_allclose(together, dist.log_prob(x), atol=1e-5)
    assert not np.allclose(log_prob[:, 0], log_prob[:, 1], atol=0.1)


def test_rows_are_frequent_as_they_are_probable(models):
    dist = MADEDistribution(models["mixture"], context=CONTEXT[:2])
    drawn = dist.sample(4000, seed=SEED).numpy() @ 2 ** np.arange(SIZE)[::-1]
    probs = np.exp(dist.log_prob(all_rows()[:, None].astype("float32")))
    for index in range(2):
        counts = np.bincount(drawn[:, index].astype(int), minlength=16)
        expected = 4000 * probs[:, index]
        assert ((counts - expected) ** 2 / np.maximum(expected, 1)).sum() < 45  # 15 degrees


def test_batches_of_any_shape_broadcast_slice_and_copy(models):
    model = models["fixed"]
    context = np.stack([CONTEXT, -CONTEXT])  # [2, 5, W]
    dist = MADEDistribution(model, context=context)
    rows = all_rows()[:5].astype("float32")
    assert dist.sample(3, seed=0).shape == [3, 2, 5, SIZE]
    assert dist.log_prob(rows).shape == [2, 5]
    np.testing.assert_allclose(dist[1].log_prob(rows), dist.log_prob(rows)[1], atol=1e-6)
    assert dist[:, 1:3].batch_shape == [2, 2]
    assert dist.copy(context=CONTEXT).batch_shape == [5]
    again = pickle.loads(pickle.dumps(dist))
    np.testing.assert_array_equal(again.sample(2, seed=1), dist.sample(2, seed=1))
    traced = tf.function(lambda given: given.log_prob(rows))  # as a composite tensor
    np.testing.assert_allclose(traced(dist), dist.log_prob(rows), atol=1e-6)
    unknown = tf.function(
        lambda context: MADEDistribution(model, context=context).sample(2, seed=1),
        input_signature=[tf.TensorSpec([None, WIDTH])],
    )
    np.testing.assert_array_equal(
        unknown(CONTEXT), MADEDistribution(model, context=CONTEXT).sample(2, seed=1)
    )


def test_a_variable_as_context_has_a_gradient_and_is_read_at_each_call(models):
    model, rows = models["fixed"], all_rows()[:5].astype("float32")
    context = tf.Variable(CONTEXT, dtype=tf.float32)
    dist = MADEDistribution(model, context=context)
    with tf.GradientTape() as tape:
        log_prob = tf.reduce_sum(dist.log_prob(rows))
    context.assign(-context)
    np.testing.assert_allclose(
        dist.log_prob(rows), MADEDistribution(model, context=-CONTEXT).log_prob(rows), atol=1e-6
    )
    gradient = tape.gradient(log_prob, context).numpy()
    step = np.zeros_like(CONTEXT)
    step[2, 1] = 1e-2
    ends = [
        float(np.sum(model.log_prob(rows, context=CONTEXT + sign * step), dtype=np.float64))
        for sign in (1, -1)
    ]
    assert gradient[2, 1] == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=0.02, abs=2e-3)


def test_it_composes_with_the_rest_of_tfp(models, dists):
    model, batch = models["fixed"], dists["fixed"]
    rows = all_rows().astype("float32")
    whole = tfd.Independent(batch, 1)
    assert whole.log_prob(whole.sample(2, seed=1)).shape == [2]
    weights = np.linspace(-1, 1, 5).astype("float32")
    mixture = tfd.MixtureSameFamily(tfd.Categorical(logits=weights), batch)
    expected = np.log(
        np.exp(batch.log_prob(rows[:, None])) @ (np.exp(weights) / np.exp(weights).sum())
    )
    np.testing.assert_allclose(mixture.log_prob(rows), expected, atol=1e-5)
    for kind in (tfd.JointDistributionSequential, tfd.JointDistributionSequentialAutoBatched):
        prior = tfd.MultivariateNormalDiag(tf.zeros(WIDTH))
        joint = kind([prior, lambda context: MADEDistribution(model, context=context)])
        context, x = joint.sample(4, seed=3)
        expected = prior.log_prob(context) + model.log_prob(x, context=context)
        np.testing.assert_allclose(joint.log_prob(context, x), expected, atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_answers_are_those_of_enumeration(models, dists, name):
    model, rows, dist = models[name], all_rows().astype("float32"), dists[name]
    evidence = np.full((5, SIZE), np.nan, np.float32)
    evidence[:, 1], evidence[:, 3] = 1, [0, 1, 0, 1, 0]
    joint = np.exp(np.float64(dist.log_prob(rows[:, None])))  # [16, 5]
    agrees = (rows[:, None, 1] == 1) & (rows[:, None, 3] == evidence[:, 3])
    marginal = (joint * agrees).sum(axis=0)
    found = dist.log_marginal(evidence)
    exact = name.startswith("all orders")
    if exact:
        assert not found.standard_error.any()
    elif name != "mixture":  # these answer under other orders, which need not agree
        estimate = dist.log_prob_in([{1: [1], 3: [int(row[3])]} for row in evidence], 2000, seed=1)
        for each in (found, estimate):
            error = np.maximum(each.standard_error, 1e-3)
            assert (np.abs(each.log_prob - np.log(marginal)) < 5 * error).all()
    conditional = dist.condition(evidence)
    pairs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)[:, None]
    total = np.exp(np.float64(conditional.log_prob(pairs))).sum(axis=0)
    np.testing.assert_allclose(total, 1, atol=1e-5 if exact else 0.2)
    assert conditional.sample(3, seed=1).shape == [3, 5, 2]
    if exact:  # so that each part answers as the whole
        again = pickle.loads(pickle.dumps(conditional))
        whole = conditional.log_prob(pairs).numpy()
        one, turned = conditional[2].log_prob(pairs[:, 0]), conditional[::-1].log_prob(pairs)
        np.testing.assert_allclose(one, whole[:, 2], atol=1e-5)
        np.testing.assert_allclose(turned, whole[:, ::-1], atol=1e-5)
        np.testing.assert_array_equal(again.sample(3, seed=1), conditional.sample(3, seed=1))
    one = MADEDistribution(model, context=CONTEXT[2], num_particles=4000)
    filled, alone = dist.impute(evidence, seed=4), one.impute(evidence[2:3], seed=4, first_row=2)
    np.testing.assert_array_equal(filled[2], alone[0])
    np.testing.assert_array_equal(filled[~np.isnan(evidence)], evidence[~np.isnan(evidence)])


def test_rows_of_many_patterns_take_their_contexts_along(models):
    """A model of all orders answers rows of small patterns together: as one by one."""
    model = models["all orders"]
    rng = np.random.default_rng(3)
    context = rng.normal(size=(300, WIDTH)).astype("float32")
    rows = np.where(rng.random((300, SIZE)) < 0.5, np.nan, 1.0).astype("float32")
    rows[:, 0] = np.arange(300) % 2
    dist = MADEDistribution(model, context=context)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("made_tf.queries.many_patterns.SMALL_GROUP", 1000)
        together = dist.log_marginal(rows).log_prob
        filled = dist.impute(rows, seed=1)
    np.testing.assert_allclose(together, dist.log_marginal(rows).log_prob, atol=1e-4)
    np.testing.assert_array_equal(filled, dist.impute(rows, seed=1))


def test_an_ensemble_shares_the_context(models, dists):
    ensemble = Ensemble([models["fixed"], models["residual"]])
    dist = EnsembleDistribution(ensemble, context=CONTEXT)
    rows = all_rows()[:5].astype("float32")
    np.testing.assert_allclose(
        dist.log_prob(rows), ensemble.log_prob(rows, context=CONTEXT), atol=1e-5
    )
    x = dist.sample(4, seed=SEED).numpy()
    each = [dists[name].sample(4, seed=SEED).numpy() for name in ("fixed", "residual")]
    assert ((x == each[0]).all(axis=-1) | (x == each[1]).all(axis=-1)).all()


@pytest.mark.parametrize("kind", [np.float64, np.int32, bool, list, tf.float64])
def test_contexts_of_every_kind_are_numbers(models, kind):
    context = np.round(CONTEXT)
    if kind is bool:
        context = context > 0
    if kind is list:
        given = context.tolist()
    else:
        given = tf.cast(context, kind) if kind is tf.float64 else context.astype(kind)
    expected = models["fixed"].log_prob(all_rows()[:5], context=context.astype("float32"))
    dist = MADEDistribution(models["fixed"], context=given)
    np.testing.assert_allclose(dist.log_prob(all_rows()[:5].astype("float32")), expected, atol=1e-6)
    found = models["fixed"].log_prob(all_rows()[:5], context=given)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_an_encoder_takes_its_inputs_with_a_batch_shape():
    picture, kind = keras.Input((2, 2)), keras.Input((), dtype="int32")
    units = keras.layers.Concatenate()(
        [keras.layers.Flatten()(picture), keras.layers.Embedding(3, 2)(kind)]
    )
    model = MADE(SIZE, (8,), context=keras.Model([picture, kind], units))
    rng = np.random.default_rng(0)
    context = [rng.normal(size=(2, 5, 2, 2)).astype("float32"), rng.integers(0, 3, (2, 5))]
    dist = MADEDistribution(model, context=context)
    rows = all_rows()[:5].astype("float32")
    assert (dist.batch_shape, dist.sample(3, seed=0).shape) == ([2, 5], [3, 2, 5, SIZE])
    expected = model.log_prob(rows, context=[part[1] for part in context])
    np.testing.assert_allclose(dist.log_prob(rows)[1], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: MADEDistribution(model), "`context` must be given"),
        (lambda model: MADEDistribution(model, context=CONTEXT[:, :2]), r"\[\.\.\., 3\].*\(5, 2\)"),
        (lambda model: MADEDistribution(MADE(3), context=CONTEXT), "`context` must be None"),
        (
            lambda model: MADEDistribution(model, context=CONTEXT).stream(3),
            "num_samples=3 for contexts of shape",
        ),
        (
            lambda model: MADEDistribution(model, context=CONTEXT).impute(
                np.full((4, SIZE), np.nan)
            ),
            r"`context` must be one for all rows.*for 4 rows",
        ),
        (lambda model: EnsembleDistribution(Ensemble([model])), "`context` must be given"),
        (
            lambda model: MADEDistribution(model, context=CONTEXT * np.nan),
            "must be finite",
        ),
        (
            lambda model: MADEDistribution(model, context=CONTEXT).condition(
                np.full((4, 4), np.nan)
            ),
            r"`evidence` must fit contexts of shape \[5\]",
        ),
    ],
)
def test_contexts_that_do_not_suit_are_refused(models, call, message):
    with pytest.raises(ValueError, match=message):
        call(models["fixed"])
