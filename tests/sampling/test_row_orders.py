"""Rows that have an order each: the same answers as pattern by pattern."""

import keras
import numpy as np
import pytest
import reference

import made_tf
from made_tf import queries
from made_tf.queries import many_patterns

CASES = {
    "bernoulli": ("bernoulli", {}, 3),
    "no direct connections": ("bernoulli", {"direct_connections": False}, 1),
    "no hidden layers": ("categorical", {"hidden_units": ()}, 1),
    "few units": ("ragged", {"hidden_units": (3, 2), "hidden_degrees": "random"}, 2),
    "ragged": ("ragged", {"input_order": "random"}, 3),
    "residual": ("bernoulli", {"hidden_degrees": "early", "residual": True}, 2),
    "scaled_normal": ("scaled_normal", {"resample": "order"}, 2),
}


@pytest.fixture(scope="module", params=CASES)
def mixture(request):
    keras.utils.set_random_seed(0)
    family, kwargs, num_orders = CASES[request.param]
    model = reference.small_model(family, num_masks=None, **kwargs)
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    dist = made_tf.MADEDistribution(model, block_length=2, num_orders=num_orders)
    x = dist.sample(80, seed=3).numpy()
    known, asked = rng.random((2, *x.shape)) < 0.4
    known[0], asked[1] = False, False
    return dist, np.where(known, x, np.nan), np.where(asked & ~known, x, np.nan)


def answers(dist, evidence, x):
    return (
        dist.impute(evidence, seed=5),
        dist.sample_conditional(evidence, 3, seed=5),
        dist.conditional_log_prob(x, evidence).log_prob,
        dist.log_marginal(evidence).log_prob,
    )


@pytest.mark.filterwarnings("ignore:.*out of the network's reach")
def test_answers_are_those_of_one_pattern_at_a_time(mixture, monkeypatch):
    dist, evidence, x = mixture
    expected = answers(dist, evidence, x)
    used = []
    for method in ("draw", "log_prob"):
        original = getattr(many_patterns.ManyPatterns, method)

        def counted(self, *args, original=original):
            used.append(len(args[0]))
            return original(self, *args)

        monkeypatch.setattr(many_patterns.ManyPatterns, method, counted)
    monkeypatch.setattr(many_patterns, "_MANY", 10)
    monkeypatch.setattr(many_patterns, "_ROWS", 7)  # several pieces
    found = answers(dist, evidence, x)
    assert len(used) == 4 and min(used) >= 10
    for ours, theirs in zip(found, expected, strict=True):
        if dist.model.conditionals.is_discrete.all():
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def test_rows_are_drawn_in_their_own_orders(mixture):
    # Against the textbook loop, whose order is another in each row.
    dist, _, _ = mixture
    model = dist.model
    network = many_patterns.RowOrderNetwork(model, 2, any_mask=True)
    order, *hidden = (level[0] for level in model.mask_sets.first(1))
    rng = np.random.default_rng(1)
    orders = np.stack([rng.permutation(order) for _ in range(6)]).astype(np.int32)
    uniforms = rng.uniform(0.01, 0.99, (6, model.event_size)).astype(np.float32)
    none = many_patterns.KnownValues(*np.zeros((2, *uniforms.shape), np.float32))
    rows = np.asarray(network.sample_each(uniforms, orders, hidden, none))
    for row, own, u in zip(rows, orders, uniforms, strict=True):
        expected = reference.sample(model, u[None], [own, *hidden])[0]
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-4)


def test_pieces_of_a_table_get_what_the_whole_would(mixture):
    dist, evidence, _ = mixture
    piece = dist.impute(evidence[30:], seed=5, first_row=30)
    np.testing.assert_allclose(piece, dist.impute(evidence, seed=5)[30:], rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="`first_row`"):
        dist.impute(evidence, first_row=-1)


def test_few_rows_and_large_groups_go_pattern_by_pattern(monkeypatch):
    groups = [(None, np.arange(start, stop)) for start, stop in ((0, 3), (3, 50), (50, 57))]
    assert len(many_patterns.lonely_rows(groups)) == 0
    monkeypatch.setattr(many_patterns, "_MANY", 10)
    np.testing.assert_array_equal(many_patterns.lonely_rows(groups), [*range(3), *range(50, 57)])


def test_a_model_that_sees_its_mask_goes_pattern_by_pattern():
    model = reference.small_model(num_masks=None, mask_weights=True)
    assert queries.Queries(model)._many is None
