"""Averages over orders against SciPy, their totals, and what evaluation says about them."""

import keras
import numpy as np
import pytest
import reference
import scipy.special
import tensorflow as tf
from keras import ops

from made_tf import MADE
from made_tf.models.order_statistics import combine
from made_tf.networks.mask_sets import StackedSets

D = 4
KINDS = {"three": {"num_masks": 3}, "fresh": {"num_masks": None}}


def model_of(family="bernoulli", **kwargs):
    defaults = {"num_masks": None, "input_order": [2, 4, 1, 3], "hidden_units": (9, 7)}
    return reference.loud(family, D, 1.5, **{**defaults, **kwargs})


def slow(model, x, number):
    """Log-probabilities under one mask set, by the loops."""
    return reference.log_prob(reference.under(model, reference.order_of(model, number)), x)


def statistics(table):
    """The log of the mean density, its standard error and the spread of a table `[M, N]`."""
    table = np.asarray(table, np.float64)
    with np.errstate(invalid="ignore"):
        scaled = np.exp(table - table.max(axis=0))
        error = scaled.std(axis=0, ddof=1) / np.sqrt(len(table)) / scaled.mean(axis=0)
        log_prob = scipy.special.logsumexp(table, axis=0) - np.log(len(table))
        return log_prob, error, table.std(axis=0, ddof=1)


def combined(table, number=None):
    """`combine` of a table `[M, N]` in which the "degrees" of set i are i."""
    table = tf.constant(table, tf.float32)
    index = np.arange(len(table), dtype=np.int32) if number is None else number
    return combine(lambda degrees: ops.take(table, degrees[0], axis=0), StackedSets([index]))


# ------------------------------------------------------------------- the averages alone


def tables(count):
    rng = np.random.default_rng(count)
    plain = rng.normal(-80, 3, (count, 5))
    some = plain.copy()
    some[0, :2] = some[-1, 2:] = -np.inf
    none = plain.copy()
    none[:, 1] = -np.inf
    far = rng.choice([-1e4, -3e3, -100.0, 0.0, 80.0], (count, 5)) + rng.normal(size=(count, 5))
    return {
        "plain": plain,
        "some -inf": some,
        "all -inf": none,
        "far apart": far,
        "rising": np.sort(far, axis=0),
        "falling": -np.sort(-far, axis=0),
        "nearly equal": np.float32(-2) + rng.normal(0, 1e-4, (count, 5)),
        "equal": np.full((count, 5), -7.0),
    }


@pytest.mark.parametrize("case", tables(2))
@pytest.mark.parametrize(("count", "traced"), [(2, False), (5, True), (40, False)])
def test_the_average_follows_scipy(count, case, traced):
    table = tables(count)[case].astype(np.float32)
    log_prob, error, spread = statistics(table)
    given = tf.function(lambda: combined(table))() if traced else combined(table)
    np.testing.assert_allclose(given.log_prob, log_prob, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(given.standard_error, error, rtol=5e-3, atol=1e-8)
    np.testing.assert_allclose(given.spread, spread, rtol=5e-3, atol=1e-6)
    assert (np.isneginf(log_prob) == (table == -np.inf).all(axis=0)).all()


def test_the_standard_error_is_as_large_as_the_error():
    rng = np.random.default_rng(0)
    orders = rng.normal(-5, 0.5, 24)  # log-densities of one row under all orders
    truth = scipy.special.logsumexp(orders) - np.log(24)
    drawn = rng.integers(0, 24, (32, 4000)).astype(np.int32)  # 32 orders, in 4000 trials
    given = combined(orders, drawn)
    z = (np.asarray(given.log_prob) - truth) / np.asarray(given.standard_error)
    assert 0.95 < z.std() < 1.1
    assert abs(z.mean()) < 0.2


# ----------------------------------------------------------------------------- the model


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("bernoulli", "three"),
        ("categorical", "fresh"),
        ("ragged", "three"),
        ("ragged", "fresh"),
        ("normal", "three"),
        ("scaled_normal", "fresh"),
    ],
)
def test_the_density_is_the_mean_of_those_of_its_orders(family, kind):
    model = model_of(family, **KINDS[kind])
    x = reference.rows(model.conditionals, 6, D)
    expected = statistics([slow(model, x, number) for number in range(3)])
    given = model.order_statistics(x, 3)
    for ours, theirs in zip(given, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-4)
        assert ours.dtype == tf.float32
    np.testing.assert_array_equal(model.log_prob(x, 3), given.log_prob)
    one = model.order_statistics(x, num_orders=1)
    np.testing.assert_allclose(one.log_prob, slow(model, x, 0), rtol=1e-4, atol=1e-4)
    assert np.isnan(one.standard_error).all()
    assert np.isnan(one.spread).all()
    np.testing.assert_array_equal(model.log_prob(x), one.log_prob)
    model.num_orders = 3
    np.testing.assert_array_equal(model.log_prob(x), given.log_prob)
    np.testing.assert_array_equal(model.log_prob(x, 1), one.log_prob)


def totals(model, orders=4):
    """The total probability under each order and under each ensemble."""
    x = reference.states(model)
    single = [
        model.row_log_prob(x, model(x, degrees=reference.order_of(model, number)))
        for number in range(orders)
    ]
    ensembles = [model.log_prob(x, count) for count in range(1, orders + 1)]
    return [np.exp(np.asarray(log, np.float64)).sum() for log in (*single, *ensembles)]


@pytest.mark.parametrize(("family", "mask_weights"), [("bernoulli", False), ("ragged", True)])
def test_every_order_and_every_ensemble_sums_to_one(family, mask_weights, tmp_path):
    model = model_of(family, num_orders=2, mask_weights=mask_weights)
    model.compile(keras.optimizers.Adam(0.05), run_eagerly=True)
    x = reference.rows(model.conditionals, 32, D)
    x[:, 1:] = np.minimum(x[:, :1], 1)
    model.fit(x, batch_size=16, epochs=3, verbose=0)
    np.testing.assert_allclose(totals(model), 1.0, atol=1e-5)
    model.save(tmp_path / "a.keras")
    again = keras.models.load_model(tmp_path / "a.keras")
    assert again.num_orders == 2
    np.testing.assert_array_equal(again.log_prob(x), model.log_prob(x))
    np.testing.assert_allclose(totals(again), 1.0, atol=1e-5)
    again.quantize("int8")
    again.compile("sgd")  # Adam's state of the kernels would fit no more
    np.testing.assert_allclose(totals(again), 1.0, atol=1e-5)
    again.save(tmp_path / "b.keras")
    third = keras.models.load_model(tmp_path / "b.keras")
    np.testing.assert_array_equal(third.log_prob(x), again.log_prob(x))


def test_ten_variables_sum_to_one_too():
    model = MADE(10, (30,), num_masks=None, seed=0)
    np.testing.assert_allclose(totals(model, 3), 1.0, atol=1e-5)


def test_averaged_logits_are_no_density():
    # What others do; and the proof that these totals can differ from 1.
    model = model_of()
    x = reference.states(model)
    sets = [reference.order_of(model, number) for number in range(4)]
    logits = np.mean([model(x, degrees=degrees) for degrees in sets], axis=0)
    total = np.exp(np.asarray(model.row_log_prob(x, logits), np.float64)).sum()
    assert abs(total - 1) > 1e-3


def graph_of(model, num_orders):
    function = tf.function(lambda x: tuple(model.order_statistics(x, num_orders)))
    return function.get_concrete_function(tf.TensorSpec([1000, D])).graph


def test_many_orders_are_streamed():
    model = model_of(hidden_units=(50,))
    small, large = graph_of(model, 2), graph_of(model, 128)

    def operations(graph):
        bodies = [function.graph for function in graph._functions.values()]
        return [op for part in (graph, *bodies) for op in part.get_operations()]

    names = [sorted(op.type for op in operations(graph)) for graph in (small, large)]
    assert names[0] == names[1]  # a loop: no copy of the network for each order
    sizes = [
        np.prod(tensor.shape, dtype=np.int64)
        for op in operations(large)
        for tensor in op.outputs
        if tensor.shape.is_fully_defined()
    ]
    assert len(sizes) > 100
    assert 50 * 1000 <= max(sizes) < 2 * 50 * 1000  # the hidden units under one order


@pytest.mark.parametrize("wrong", [0, -1, True, 2.0])
def test_a_wrong_number_of_orders_is_refused(wrong):
    model = model_of(num_masks=3)
    x = np.zeros((2, D), np.float32)
    message = "`num_orders` must be a positive integer. Received: num_orders="
    with pytest.raises(ValueError, match=message):
        model.log_prob(x, wrong)
    with pytest.raises(ValueError, match=message):
        model.num_orders = wrong
    assert model.num_orders == 1


@pytest.mark.parametrize("num_masks", [1, 3])
def test_more_orders_than_masks_are_refused(num_masks):
    model = model_of(num_masks=num_masks)
    with pytest.raises(ValueError, match=f"`num_orders` must be at most .* num_masks={num_masks}"):
        model.order_statistics(np.zeros((2, D), np.float32), num_masks + 1)


# --------------------------------------------------------------------------- evaluation


def evaluated(model, x, **kwargs):
    return model.evaluate(x, batch_size=16, verbose=0, return_dict=True, **kwargs)


@pytest.mark.parametrize(
    ("family", "num_orders", "weighted"),
    [("bernoulli", 1, True), ("ragged", 3, False), ("normal", 3, True)],
)
def test_evaluation_reports_the_ensemble_and_its_spread(family, num_orders, weighted):
    model = model_of(family, num_orders=num_orders)
    model.compile("sgd")
    x = reference.rows(model.conditionals, 32, D)
    weights = np.linspace(0.0, 2.0, 32).astype(np.float32) if weighted else np.ones(32)
    given = evaluated(model, x, **({"sample_weight": weights} if weighted else {}))
    # The spread of one order is that of the two first.
    table = [slow(model, x, number) for number in range(max(num_orders, 2))]
    log_prob = statistics(table[:num_orders])[0] if num_orders > 1 else table[0]
    spread = statistics(table)[2]
    nll = -np.average(log_prob, weights=weights)
    np.testing.assert_allclose(given["nll"], nll, rtol=1e-4)
    np.testing.assert_allclose(
        given["order_spread"], np.average(spread, weights=weights), rtol=1e-3
    )
    np.testing.assert_allclose(given["bits_per_dim"], nll / D / np.log(2), rtol=1e-4)
    np.testing.assert_allclose(given["loss"], -np.mean(weights * log_prob), rtol=1e-4)


def test_training_has_no_spread_and_validation_has():
    model = model_of(num_orders=2, hidden_units=(9,))
    model.compile("sgd", jit_compile=True)
    x = reference.rows(model.conditionals, 32, D)
    history = model.fit(x, batch_size=16, validation_data=x, epochs=2, verbose=0).history
    assert set(history) == {
        *("loss", "nll", "bits_per_dim"),
        *("val_loss", "val_nll", "val_bits_per_dim", "val_order_spread"),
    }
    np.testing.assert_allclose(history["val_nll"][-1], -np.mean(model.log_prob(x)), rtol=1e-5)
    assert model.train_on_batch(x[:16], return_dict=True).keys() == {"loss", "nll", "bits_per_dim"}


def test_batches_and_whole_data_report_the_same():
    model = model_of()
    model.compile("sgd")
    x = reference.rows(model.conditionals, 16, D)
    batch = model.test_on_batch(x, return_dict=True)
    assert "order_spread" in batch
    whole = evaluated(model, x)
    assert whole.keys() == batch.keys()
    for name in whole:
        np.testing.assert_allclose(whole[name], batch[name], rtol=1e-5)
    assert evaluated(model, x) == whole  # nothing is carried over


def test_a_model_of_one_mask_has_no_spread():
    model = model_of(num_masks=1)
    model.compile("sgd")
    x = reference.rows(model.conditionals, 16, D)
    assert evaluated(model, x).keys() == {"loss", "nll", "bits_per_dim"}


def test_orders_that_agree_have_no_spread():
    model = model_of()
    model.compile("sgd")
    for layer in model.masked_layers():
        layer.kernel.assign(np.zeros(layer.kernel.shape))
    x = reference.rows(model.conditionals, 16, D)
    given = model.order_statistics(x, 5)
    np.testing.assert_array_equal(given.spread, np.zeros(16))
    np.testing.assert_array_equal(given.standard_error, np.zeros(16))
    assert evaluated(model, x)["order_spread"] == 0
