"""Many masks for one set of weights: which masks, the steps they give, what files keep."""

import itertools
import json
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import reference
import scipy.stats
import tensorflow as tf

from made_tf import MADE, masks
from made_tf.masks import evidence_first
from made_tf.networks.mask_sets import MaskSets
from made_tf.networks.shared_dense import SharedDense
from made_tf.training import fit_resumably

D = 4
KINDS = {
    "three": {"num_masks": 3},
    "fresh": {"num_masks": None},
    "three for rows": {"num_masks": 3, "masks_per": "row"},
    "fresh for rows": {"num_masks": None, "masks_per": "row"},
}
EVERY = pytest.mark.parametrize("kind", KINDS)


def model_of(family="bernoulli", event_size=D, **kwargs):
    defaults = {"num_masks": None, "input_order": [2, 4, 1, 3], "hidden_units": (9, 7)}
    return reference.loud(family, event_size, 1.5, **{**defaults, **kwargs})


def compiled(optimizer="sgd", jit_compile=False, in_a_graph=False, **kwargs):
    """A compiled model; a graph takes long to make, and is for tests that need one."""
    model = model_of(**kwargs)
    run_eagerly = not (in_a_graph or jit_compile)
    model.compile(optimizer, jit_compile=jit_compile, run_eagerly=run_eagerly)
    return model


def rows(model, count=32):
    """Rows in which later columns follow the first one."""
    x = reference.rows(model.conditionals, count, model.event_size)
    x[: count // 2, 1:] = np.minimum(x[: count // 2, :1], 1)
    return x


def sets_of(widths=(6, 6), event_size=5, **kwargs):
    degrees = masks.make_degrees(event_size, widths, "natural")
    return MaskSets(degrees, **{"num_masks": None, "seed": 3, **kwargs})


def numpy_of(levels):
    return [np.asarray(level) for level in levels]


def differ(first, second):
    return [not np.array_equal(*pair) for pair in zip(first, second, strict=True)]


# ------------------------------------------------------------------------------ which sets


def test_the_sets_of_a_seed_are_these_on_every_machine():
    inputs, first, second = sets_of().first(3)
    assert inputs.tolist() == [[1, 2, 3, 4, 5], [5, 2, 1, 3, 4], [2, 5, 3, 4, 1]]
    assert first.tolist() == [[1, 2, 2, 3, 3, 4], [3, 4, 1, 2, 3, 2], [2, 3, 1, 4, 2, 3]]
    assert second.tolist() == [[1, 2, 2, 3, 3, 4], [2, 2, 1, 3, 3, 4], [3, 1, 4, 2, 2, 3]]
    assert {level.dtype for level in (inputs, first, second)} == {np.dtype("int32")}


@EVERY
def test_set_0_has_the_models_own_degrees(kind):
    model = model_of(**KINDS[kind])
    own = [model.degrees.inputs, *model.degrees.hidden]
    for level, degrees in zip(model.mask_sets.first(2), own, strict=True):
        np.testing.assert_array_equal(level[0], degrees)
    x = reference.rows(model.conditionals, 8, D)
    given = model(x, degrees=reference.order_of(model, 0))
    np.testing.assert_allclose(model(x), given, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model(x), reference.forward(model, x), rtol=1e-4, atol=1e-5)


def test_set_i_follows_from_the_seed_and_i_alone():
    many, few = sets_of(num_masks=50).first(50), sets_of(num_masks=None).first(7)
    assert not any(differ([level[:7] for level in many], few))
    assert all(differ(sets_of(seed=4).first(7), few))
    assert not any(differ(numpy_of(sets_of().at_step(9)), numpy_of(sets_of().at_step(9))))
    for other in (sets_of(seed=4).at_step(9), sets_of().at_step(10)):
        assert all(differ(numpy_of(sets_of((50, 50), 50).at_step(9)), numpy_of(other)))


@pytest.mark.parametrize("drawn", ["first", "batch", "row"])
def test_every_set_deals_out_the_same_degrees(drawn):
    sets = sets_of((8, 8), 5, masks_per="row" if drawn == "row" else "batch")
    own = [np.arange(1, 6), *sets.degrees.hidden]
    if drawn == "first":
        levels = sets.first(60)
    elif drawn == "batch":
        steps = [sets.at_step(step) for step in range(60)]
        levels = [np.stack(level) for level in zip(*steps, strict=True)]
    else:
        levels = numpy_of(sets.at_step(3, 60))
    for level, degrees in zip(levels, own, strict=True):
        assert level.shape == (60, len(degrees))
        np.testing.assert_array_equal(np.sort(level, axis=1), np.tile(np.sort(degrees), (60, 1)))
        assert len(np.unique(level, axis=0)) > 30
    # Two layers of equal widths must not go in step (as they do where each seeds itself anew).
    assert (levels[1] != levels[2]).any(axis=1).sum() > 50


@pytest.mark.parametrize("drawn", ["first", "batch", "row"])
def test_the_hidden_layers_of_a_residual_network_go_in_step(drawn):
    sets = sets_of((8, 8, 8), residual=True, masks_per="row" if drawn == "row" else "batch")
    levels = sets.first(20) if drawn == "first" else numpy_of(sets.at_step(3, 20))
    assert not any(differ(levels[1:-1], levels[2:]))
    assert (levels[1] != sets.degrees.hidden[0]).any()


@pytest.mark.parametrize("by", ["batch", "row"])
def test_a_residual_network_takes_one_set_of_hidden_degrees_for_all_layers(by):
    model = model_of(hidden_units=(9, 9), residual=True)
    inputs, first, other = (level[1:4] for level in model.mask_sets.first(4))
    other = other[:, ::-1]
    if by == "batch":
        inputs, first, other = inputs[0], first[0], other[0]
    x = reference.states(model)[:3]
    found = model(x, degrees=[inputs, first, other])
    np.testing.assert_array_equal(found, model(x, degrees=[inputs, first, first]))


@pytest.mark.parametrize(
    "kwargs", [{"num_masks": 3}, {"masks_per": "row"}, {"order_groups": 2}, {"mask_weights": True}]
)
def test_residual_networks_are_normalised_under_each_set(kwargs):
    model = model_of(hidden_units=(9, 9), residual=True, **kwargs)
    x = reference.states(model)
    for number in range(3):
        degrees = reference.order_of(model, number)
        log_prob = np.asarray(model.row_log_prob(x, model(x, degrees=degrees)), np.float64)
        assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-5)
        if not model.mask_weights:
            fixed = reference.under(model, degrees)
            np.testing.assert_allclose(log_prob, reference.log_prob(fixed, x), atol=1e-4)


@pytest.mark.parametrize("drawn", ["first", "batch", "row"])
def test_all_orders_are_equally_likely(drawn):
    count = 600 if drawn == "batch" else 3000
    sets = sets_of((4,), 3, masks_per="row" if drawn == "row" else "batch")
    if drawn == "first":
        orders = sets.first(count)[0]
    elif drawn == "batch":
        step = tf.function(lambda number: sets.at_step(number)[0])
        orders = [step(tf.constant(number)) for number in range(count)]
    else:
        orders = sets.at_step(5, count)[0]
    seen = [tuple(order) for order in np.asarray(orders).tolist()]
    counts = [seen.count(order) for order in itertools.permutations((1, 2, 3))]
    assert sum(counts) == count
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


@EVERY
@pytest.mark.parametrize(("resample", "varies"), [("order", [0]), ("connectivity", [1, 2])])
def test_orders_alone_or_connectivity_alone(kind, resample, varies):
    sets = sets_of((6, 8), 5, resample=resample, **KINDS[kind])
    own = sets_of((6, 8), 5).first(1)
    many = sets.first(3)
    at_step = numpy_of(sets.at_step(tf.constant(2), 20))
    for level in range(3):
        same = [np.array_equal(given, own[level][0]) for given in many[level]]
        assert same == [True, level not in varies, level not in varies]
        moved = np.broadcast_to(at_step[level], (20, at_step[level].shape[-1])) != own[level]
        assert moved.any() == (level in varies)


GROUPS = {"of two": (2, [0, 0, 1, 1, 2, 2]), "named": ([7, 3, 7, 3, 3, 9],) * 2}


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("drawn", ["first", "batch", "row"])
def test_groups_stay_together_and_all_their_orders_are_equally_likely(groups, drawn):
    given, numbers = GROUPS[groups]
    degrees = masks.make_degrees(6, (6, 6), [2, 1, 4, 3, 6, 5])
    sets = MaskSets(degrees, None, masks_per="row", seed=3, order_groups=given)
    count = 1200
    if drawn == "first":
        orders = sets.first(count)[0][1:]
    elif drawn == "row":
        orders = np.asarray(sets.at_step(5, count)[0])
    else:
        sets.masks_per = "batch"
        at_step = tf.function(lambda number: sets.at_step(number)[0])
        orders = np.stack([at_step(tf.constant(step)).numpy() for step in range(300)])
    assert orders.dtype == np.int32
    # The reference: the permutations of the groups, each written out.
    names = sorted(set(numbers))
    members = {
        name: [i for i in np.argsort(degrees.inputs) if numbers[i] == name] for name in names
    }
    possible = {}
    for permutation in itertools.permutations(names):
        generation = [i for name in permutation for i in members[name]]
        possible[tuple(np.argsort(generation) + 1)] = 0
    for order in orders:
        possible[tuple(order)] += 1  # a KeyError is another order than these
    assert scipy.stats.chisquare(list(possible.values())).pvalue > 1e-3


def test_a_model_of_groups_learns_keeps_them_and_sums_to_one(tmp_path):
    model = model_of("ragged", num_masks=None, resample="order", order_groups=2, seed=1)
    assert not model.any_order and model.mask_sets.order_groups.tolist() == [0, 0, 1, 1]
    model.compile("sgd")
    model.fit(rows(model), epochs=1, batch_size=8, verbose=0)
    model.num_orders = 3
    total = np.exp(np.asarray(model.log_prob(reference.states(model)), np.float64)).sum()
    assert total == pytest.approx(1, abs=1e-5)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.log_prob(rows(model)), model.log_prob(rows(model)))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"order_groups": 3}, "`order_groups` must divide the number of variables, 4"),
        ({"order_groups": 0}, "`order_groups` must be a positive integer, group numbers or None"),
        ({"order_groups": [0, 1]}, "a group number for each of 4 variables"),
        ({"order_groups": [0.5] * 4}, "a group number for each of 4 variables"),
        ({"order_groups": 2, "num_masks": 1}, "must be None where orders do not differ"),
        ({"order_groups": 2, "resample": "connectivity"}, "must be None where orders do not"),
    ],
)
def test_wrong_groups_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        model_of(**kwargs)


def test_k_masks_are_k_and_come_in_turn():
    sets = sets_of(num_masks=3)
    expected = sets.first(3)
    assert len({tuple(order) for order in expected[0].tolist()}) == 3
    for step in range(8):
        given = numpy_of(sets.at_step(tf.constant(step)))
        assert not any(differ(given, [level[step % 3] for level in expected]))
    with pytest.raises(ValueError, match="`num_orders` must be at most .* num_masks=3.*num_orders"):
        sets.first(4)


def test_k_masks_come_in_turn_row_by_row_too():
    sets = sets_of(num_masks=3, masks_per="row")
    expected, row = sets.first(3), 0
    for step in range(4):
        given = numpy_of(sets.at_step(tf.constant(step), 5))
        for number in range(5):
            wanted = [level[row % 3] for level in expected]
            assert not any(differ([level[number] for level in given], wanted))
            row += 1


def test_evidence_comes_first_and_else_the_order_stays():
    rng = np.random.default_rng(0)
    for _ in range(20):
        order = rng.permutation(7) + 1
        groups = rng.integers(0, 2, (rng.integers(0, 3), 7)).astype(bool)
        expected = reference.known_first(order, *groups)
        assert evidence_first(order, *groups).tolist() == expected


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_masks": 0}, "`num_masks` must be a positive integer or None. Received: num_masks=0"),
        ({"num_masks": True}, "positive integer or None. Received: num_masks=True"),
        ({"num_masks": 2.0}, "`num_masks` must be a positive integer"),
        ({"resample": "degrees"}, "`resample` must be one of .*Received: resample='degrees'"),
        ({"resample": None}, "`resample` must be one of"),
        ({"masks_per": "epoch"}, "`masks_per` must be one of .*Received: masks_per='epoch'"),
        ({"mask_weights": 1}, "`mask_weights` must be True or False"),
        ({"mask_weights": True, "num_masks": 1}, "`mask_weights` must be False where `num_masks`"),
        ({"num_orders": 0}, "`num_orders` must be a positive integer. Received: num_orders=0"),
        ({"num_orders": None}, "`num_orders` must be a positive integer"),
        ({"num_orders": 3, "num_masks": 2}, "`num_orders` must be at most .* num_masks=2"),
        ({"num_orders": 2, "num_masks": 1}, "`num_orders` must be at most .* num_masks=1"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
    ],
)
def test_arguments_out_of_range_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        MADE(D, (8,), **{"num_masks": None, **kwargs})


def test_other_degrees_are_refused_where_they_do_not_fit():
    x = np.zeros((2, D), np.float32)
    with pytest.raises(ValueError, match="`degrees` must be None for a model of one mask"):
        model_of(num_masks=1)(x, degrees=reference.order_of(model_of()))
    model = model_of()
    order, first, second = reference.order_of(model, 1)
    for wrong in ([order, first], [order, second, first], [order[:3], first, second], [order]):
        with pytest.raises(ValueError, match=r"each hidden layer, widths \[4, 9, 7\]. Received sh"):
            model(x, degrees=wrong)


# ------------------------------------------------------------- one kernel, many masks


def fit_it(model, tmp_path):
    model.fit(rows(model), batch_size=8, epochs=2, verbose=0)
    return model


def put_weights(model, tmp_path):
    rng = np.random.default_rng(0)
    model.set_weights([w if w.ndim == 0 else rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def save_it(model, tmp_path):
    model.save(tmp_path / "a.keras")
    return keras.models.load_model(tmp_path / "a.keras")


def load_weights(model, tmp_path):
    model.save_weights(tmp_path / "a.weights.h5")
    other = MADE.from_config(model.get_config())
    other.load_weights(tmp_path / "a.weights.h5")
    return other


def quantize(model, tmp_path):
    model.quantize("int8")
    return model


def save_quantized(model, tmp_path):
    return save_it(quantize(model, tmp_path), tmp_path)


ROUTES = [fit_it, put_weights, save_it, load_weights, quantize, save_quantized]


class Under:
    """A model under one of its mask sets, as the slow references want it."""

    def __init__(self, model, degrees):
        self.model, self.mask_set = model, degrees
        self.event_size, self.conditionals = model.event_size, model.conditionals
        self.degrees = types.SimpleNamespace(inputs=degrees[0])

    def __call__(self, x, training=False):
        return self.model(x, training=training, degrees=self.mask_set)


def forbidden(model, degrees):
    """What a mask set forbids in each kernel, pair by pair."""
    layers = reference.under(model, degrees).masked_layers()
    return [
        ~reference.mask(layer.mask.in_degrees, layer.mask.out_degrees, layer.mask.strict)
        for layer in layers
    ]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", ["three", "fresh for rows"])
def test_no_route_masks_the_stored_kernel(route, kind, tmp_path):
    model = compiled(seed=2, **KINDS[kind])
    before = [layer.kernel.numpy() for layer in model.masked_layers()]
    after = route(model, tmp_path)
    assert after.mask_sets.num_masks == KINDS[kind]["num_masks"]
    for layer, kernel in zip(after.masked_layers(), before, strict=True):
        assert type(layer) is SharedDense
        off = ~layer.mask.numpy()
        assert (reference.off_mask(layer) != 0).mean() > 0.9  # int8 rounds a few to zero
        if route in (save_it, load_weights):
            np.testing.assert_array_equal(layer.kernel, kernel)
        elif route is fit_it:
            assert (layer.kernel.numpy() != kernel)[off].any()  # what set 0 forbids is trained


@pytest.mark.parametrize(
    ("family", "route"),
    [*(("ragged", route) for route in ROUTES), ("bernoulli", fit_it), ("bernoulli", quantize)],
)
def test_every_set_is_autoregressive_in_its_own_order(route, family, tmp_path):
    model = route(compiled(family=family), tmp_path)
    x = reference.rows(model.conditionals, 16, D)
    stored = [layer.kernel.numpy() for layer in model.masked_layers()]
    for number in range(4):
        degrees = reference.order_of(model, number)
        reference.assert_autoregressive(Under(model, degrees))
        before = np.asarray(model(x, degrees=degrees))
        for layer, off in zip(model.masked_layers(), forbidden(model, degrees), strict=True):
            junk = 100 if layer.quantized else np.nan
            layer.kernel.assign(np.where(off, junk, layer.kernel.numpy()))
        np.testing.assert_array_equal(model(x, degrees=degrees), before)
        by_row = [np.tile(level, (len(x), 1)) for level in degrees]
        np.testing.assert_allclose(model(x, degrees=by_row), before, rtol=1e-5, atol=1e-5)
        for layer, kernel in zip(model.masked_layers(), stored, strict=True):
            layer.kernel.assign(kernel)
    reference.assert_autoregressive(model)


def test_the_perturbation_finds_a_wrong_order():
    model = model_of()
    wrong = Under(model, reference.order_of(model, 1))
    wrong.degrees = types.SimpleNamespace(inputs=reference.order_of(model, 2)[0])
    with pytest.raises(AssertionError, match="outputs see inputs"):
        reference.assert_autoregressive(wrong)


@pytest.mark.parametrize("family", reference.FAMILIES)
@pytest.mark.parametrize("hidden_units", [(9, 7), ()])
def test_each_row_may_have_a_set_of_its_own(family, hidden_units):
    model = model_of(family, hidden_units=hidden_units)
    x = reference.rows(model.conditionals, 6, D)
    sets = model.mask_sets.first(6)
    given = np.asarray(model(x, degrees=sets))
    for number, row in enumerate(x):
        fixed = reference.under(model, [level[number] for level in sets])
        expected = reference.forward(fixed, row[None])
        np.testing.assert_allclose(given[number : number + 1], expected, rtol=1e-4, atol=1e-4)


# ------------------------------------------------------------- the masks as inputs (U)


def randomised(**kwargs):
    model = compiled(mask_weights=True, **kwargs)
    rng = np.random.default_rng(5)
    for weight in model.weights:
        if weight.path.endswith("mask_kernel") or weight.path.endswith("bias"):
            weight.assign(rng.normal(size=weight.shape))
    return model


def forward_with_masks(model, x, degrees):
    """Germain et al. 2015, section 4.2: g(b + (W * M) x + (U * M) 1), element by element."""
    fixed = list(reference.under(model, degrees).masked_layers())
    units = features = reference.encode(model.conditionals, x)
    layers = list(zip(model.masked_layers(), fixed, strict=True))
    direct = layers.pop() if model.direct_layer is not None else None
    for layer, own in layers:
        shift = np.zeros(layer.units)
        off = ~reference.mask(own.mask.in_degrees, own.mask.out_degrees, own.mask.strict)
        for i, j in np.argwhere(~off):
            shift[j] += layer.mask_kernel.numpy()[i, j]
        units = reference.dense(own, units) + shift
        if layer is not model.output_layer:
            units = reference.ACTIVATIONS[model.activation.__name__](units)
    return units if direct is None else units + reference.dense(direct[1], features)


@pytest.mark.parametrize("family", ["bernoulli", "ragged", "normal"])
@pytest.mark.parametrize("direct_connections", [True, False])
def test_mask_weights_follow_the_loops(family, direct_connections):
    model = randomised(family=family, direct_connections=direct_connections)
    x = reference.rows(model.conditionals, 5, D)
    sets = model.mask_sets.first(5)
    by_row = np.asarray(model(x, degrees=sets))
    for number in range(5):
        degrees = [level[number] for level in sets]
        expected = forward_with_masks(model, x, degrees)
        given = model(x, degrees=degrees)
        np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(by_row[number], expected[number], rtol=1e-4, atol=1e-4)
        if number == 0:
            np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-4)
        reference.assert_autoregressive(Under(model, degrees))


def test_mask_weights_start_as_nothing_and_learn(tmp_path):
    model = compiled(mask_weights=True, in_a_graph=True)
    plain = MADE.from_config({**model.get_config(), "mask_weights": False})
    for ours, theirs in zip(plain.masked_layers(), model.masked_layers(), strict=True):
        ours.kernel.assign(theirs.kernel)
    x = rows(model)
    degrees = reference.order_of(model, 2)
    given, expected = model(x, degrees=degrees), plain(x, degrees=degrees)
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)
    model.fit(x, batch_size=4, epochs=8, verbose=0)
    for layer in (*model.hidden_layers, model.output_layer):
        assert (layer.mask_kernel.numpy() != 0).mean() > 0.9
    assert model.direct_layer.mask_kernel is None
    again = save_it(model, tmp_path)
    np.testing.assert_array_equal(again(x, degrees=degrees), model(x, degrees=degrees))
    # Without them, it is another density.
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="saved with other conditionals, mask weights"):
        plain.load_weights(tmp_path / "a.weights.h5")


# ------------------------------------------------------------------------ training steps


def expected_step(model, x, sets):
    """The gradients of one step: the mean over rows, each under its own mask set, one by one."""
    total = [[0.0, 0.0] for _ in model.masked_layers()]
    for number, row in enumerate(x):
        fixed = reference.under(model, [level[number] for level in sets])
        with tf.GradientTape() as tape:
            nll = -fixed.log_prob(row[None])[0]
        layers = list(fixed.masked_layers())
        kernels, biases = [layer.kernel for layer in layers], [layer.bias for layer in layers[:3]]
        gradients = tape.gradient(nll, [kernels, biases])
        for which, parts in enumerate(gradients):
            for entry, gradient in zip(total, parts, strict=False):  # the last has no bias
                entry[which] = entry[which] + gradient.numpy() / len(x)
    return total


@EVERY
@pytest.mark.parametrize("resample", ["both", "order"])
def test_a_step_follows_the_sum_over_rows_under_their_own_sets(kind, resample):
    in_a_graph = resample == "both" and kind in ("three", "fresh for rows")
    model = compiled(
        keras.optimizers.SGD(0.5), in_a_graph=in_a_graph, resample=resample, **KINDS[kind]
    )
    x = reference.rows(model.conditionals, 5, D)
    model.mask_step.assign(4)
    for step in (4, 5):
        if kind == "three":
            sets = [np.stack([level[step % 3]] * 5) for level in model.mask_sets.first(3)]
        elif kind == "three for rows":
            index = [(step * 5 + row) % 3 for row in range(5)]
            sets = [level[index] for level in model.mask_sets.first(3)]
        else:
            fresh = numpy_of(model.mask_sets.at_step(tf.constant(step), 5))
            sets = [np.broadcast_to(level, (5, level.shape[-1])) for level in fresh]
        expected = expected_step(model, x, sets)
        before = [layer.kernel.numpy() for layer in model.masked_layers()]
        biases = [layer.bias for layer in model.masked_layers()]
        biases_before = [None if bias is None else bias.numpy() for bias in biases]
        model.train_on_batch(x)
        for number, layer in enumerate(model.masked_layers()):
            kernel, bias = expected[number]
            moved = (before[number] - layer.kernel.numpy()) / 0.5
            np.testing.assert_allclose(moved, kernel, rtol=1e-3, atol=1e-6)
            if layer.bias is not None:
                moved = (biases_before[number] - layer.bias.numpy()) / 0.5
                np.testing.assert_allclose(moved, bias, rtol=1e-3, atol=1e-6)
        assert int(model.mask_step.numpy()) == step + 1


@pytest.mark.parametrize(
    ("kind", "jit_compile"), [*((kind, False) for kind in KINDS), ("fresh for rows", True)]
)
def test_training_learns_in_one_trace(kind, jit_compile, monkeypatch):
    traces = []
    at_step = MaskSets.at_step

    def counted(self, *args):
        traces.append(args)
        return at_step(self, *args)

    model = compiled("sgd", jit_compile, in_a_graph=True, hidden_units=(8,), **KINDS[kind])
    model.optimizer.learning_rate = 0.1
    monkeypatch.setattr(MaskSets, "at_step", counted)
    x = rows(model, 64)
    data = tf.data.Dataset.from_tensor_slices(x).batch(16, drop_remainder=True)
    before = -np.mean(model.log_prob(x, 3))
    model.fit(data, epochs=25, shuffle=False, verbose=0)
    assert len(traces) == 1
    assert int(model.mask_step.numpy()) == 100
    assert -np.mean(model.log_prob(x, 3)) < before - 0.2


def test_prediction_and_evaluation_leave_the_step_alone():
    model = compiled()
    x = rows(model)
    model.fit(x, batch_size=8, epochs=1, validation_data=x, verbose=0)
    before = np.asarray(model(x))
    model.evaluate(x, verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), before, rtol=1e-5, atol=1e-6)
    model.log_prob(x, 3)
    assert int(model.mask_step.numpy()) == 4


# ---------------------------------------------------------------- files, runs, strategies


def same_weights(first, second):
    for ours, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("kind", "jit_compile"), [("three for rows", False), ("fresh", False), ("fresh", True)]
)
def test_the_stream_of_masks_goes_on_after_save_and_load(kind, jit_compile, tmp_path):
    small = {"hidden_units": (8,), **KINDS[kind]}
    in_a_graph = kind == "fresh"
    model = compiled(keras.optimizers.SGD(0.1, momentum=0.9), jit_compile, in_a_graph, **small)
    x = rows(model, 40)
    model.fit(x, batch_size=8, epochs=1, verbose=0, shuffle=False)
    again = save_it(model, tmp_path)
    assert again.jit_compile is jit_compile
    for run in (model, again):
        run.fit(x, batch_size=8, epochs=1, verbose=0, shuffle=False)
    same_weights(again, model)
    assert int(again.mask_step.numpy()) == 10
    # Had it begun again with mask 0, the weights would be others.
    other = keras.models.load_model(tmp_path / "a.keras")
    other.mask_step.assign(0)
    other.fit(x, batch_size=8, epochs=1, verbose=0, shuffle=False)
    assert not np.array_equal(other.hidden_layers[0].kernel, again.hidden_layers[0].kernel)


def test_a_checkpoint_and_a_weights_file_keep_the_step(tmp_path):
    model = fit_it(compiled(), tmp_path)
    other = keras.models.clone_model(model)
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(model=other).read(path).assert_consumed()
    assert int(other.mask_step.numpy()) == int(model.mask_step.numpy()) == 8
    same_weights(other, model)
    assert int(load_weights(model, tmp_path).mask_step.numpy()) == 8


class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["three for rows", "fresh"])
def test_a_resumed_run_gives_what_an_uninterrupted_one_gives(kind, tmp_path):
    small = {"hidden_units": (8,), "dropout": 0.2, **KINDS[kind]}
    start = model_of(**small).get_weights()

    def make():
        model = compiled(keras.optimizers.SGD(0.1, momentum=0.9), **small)
        model.set_weights(start)
        return model

    x = rows(model_of(), 16)
    runs = []
    for name, stops in (("straight", []), ("cut", [Kill()])):
        output = tmp_path / f"{name}.keras"
        for callback in [*stops, None]:
            arguments = {"epochs": 4, "batch_size": 8, "seed": 1}
            extra = [] if callback is None else [callback]
            try:
                run = fit_resumably(make, x, x, output, **arguments, callbacks=extra)
            except KeyboardInterrupt:
                assert callback is not None
        runs.append(run)
    (straight, state), (cut, cut_state) = runs
    assert state.history == cut_state.history
    same_weights(straight, cut)


def test_weights_do_not_travel_between_one_mask_and_many(tmp_path):
    fixed, model = model_of(num_masks=1), model_of()
    for ours, theirs, saved in ((fixed, model, "many masks"), (model, fixed, "one mask")):
        theirs.save_weights(tmp_path / "a.weights.h5")
        before = ours.get_weights()
        with pytest.raises(ValueError, match=f"saved by a model of {saved}, and this one has"):
            ours.load_weights(tmp_path / "a.weights.h5")
        for first, second in zip(ours.get_weights(), before, strict=True):
            np.testing.assert_array_equal(first, second)


NEW = ("num_masks", "resample", "masks_per", "mask_weights", "num_orders")


@pytest.mark.parametrize(
    "kwargs",
    [
        {"num_masks": 3, "num_orders": 2, "resample": "order", "masks_per": "row"},
        {"num_masks": None, "num_orders": 7, "resample": "connectivity", "mask_weights": True},
    ],
)
@pytest.mark.parametrize("seed", [3, None])
def test_the_config_makes_the_same_model(kwargs, seed):
    model = model_of(seed=seed, input_order="random", **kwargs)
    config = json.loads(json.dumps(model.get_config()))
    assert {name: config[name] for name in kwargs} == kwargs
    again = MADE.from_config(config)
    assert again.get_config() == model.get_config()
    sets = [m.mask_sets for m in (again, model)]
    assert not any(differ(*(s.first(3) for s in sets)))
    assert not any(differ(*(numpy_of(s.at_step(tf.constant(3), 2)) for s in sets)))


def test_a_config_of_before_makes_a_model_of_one_mask():
    config = reference.small_model().get_config()
    old = MADE.from_config({name: config[name] for name in config if name not in NEW})
    assert old.get_config() == config
    assert old.mask_step is None


DISTRIBUTED = """
import json, sys
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
sys.path.insert(0, sys.argv[1])

import keras
import numpy as np
import reference
import made_tf

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
report = {}
for kind in ({"num_masks": 1}, {"num_masks": None}):
    runs = []
    for scope in (strategy.scope(), tf.distribute.get_strategy().scope()):
        with scope:
            keras.utils.set_random_seed(0)
            model = reference.small_model(hidden_units=(8,), **kind)
            # The twin goes eagerly: a graph takes longer to make.
            model.compile(keras.optimizers.SGD(0.1), run_eagerly=bool(runs))
        x = reference.rows(model.conditionals, 64, 5)
        model.fit(x, batch_size=16, epochs=2, shuffle=False, verbose=0)
        runs.append(model)
    for ours, theirs in zip(*(run.trainable_variables for run in runs)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    steps = [int(run.mask_step.numpy()) for run in runs if run.mask_step is not None]
    losses = [run.evaluate(x, batch_size=16, verbose=0, return_dict=True) for run in runs]
    report[str(kind["num_masks"])] = [steps, losses]
with strategy.scope():
    large = made_tf.MADE(500, (600,), num_masks=None)  # XLA pays, and cannot cross devices
    large.compile("sgd")
x = np.zeros((4, 500), "float32")
report["large"] = large.fit(x, batch_size=4, verbose=0).history["loss"]
print(json.dumps(report))
"""


def test_two_replicas_train_as_one():
    result = subprocess.run(
        [sys.executable, "-c", DISTRIBUTED, str(reference.FOLDER)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    report = json.loads(result.stdout.splitlines()[-1])
    for kind, names in (("1", set()), ("None", {"order_spread"})):
        steps, (ours, theirs) = report[kind]
        assert steps == ([8, 8] if names else [])
        assert ours.keys() == theirs.keys() == {"loss", "nll", "bits_per_dim", *names}
        np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=1e-4)
    assert np.isfinite(report["large"]).all()
