"""Rows that know different variables: the same answers as pattern by pattern."""

import keras
import numpy as np
import pytest
import reference

import made_tf
from made_tf.queries import many_patterns
from made_tf.queries.many_patterns import ManyPatterns
from made_tf.queries.subsets import Queries

FEW_UNITS = {"hidden_units": (3, 2), "hidden_degrees": "random", "input_order": "random"}
RESIDUAL = {"hidden_degrees": "early", "residual": True, "direct_connections": False}
QUESTIONS = {"mask_weights": True, "resample": "evidence", "hidden_degrees": "equal"}
#: Family, number of variables, what else the model is, and how many orders are averaged.
CASES = {
    "bernoulli": ("bernoulli", 5, {}, 3),
    "no hidden layers": ("categorical", 4, {"hidden_units": ()}, 1),
    "few units": ("ragged", 4, FEW_UNITS, 3),
    "few units that see their mask": ("ragged", 4, FEW_UNITS | {"mask_weights": True}, 3),
    "residual": ("bernoulli", 4, RESIDUAL, 2),
    "residual, for questions": ("bernoulli", 6, RESIDUAL | QUESTIONS, 2),
    "scaled_normal": ("scaled_normal", 4, {"resample": "order"}, 2),
}


@pytest.fixture(scope="module", params=CASES)
def mixture(request):
    keras.utils.set_random_seed(0)
    family, event_size, kwargs, num_orders = CASES[request.param]
    model = reference.small_model(family, event_size, num_masks=None, **kwargs)
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    dist = made_tf.MADEDistribution(model, block_length=2, num_orders=num_orders)
    x = dist.sample(80, seed=3).numpy()
    known, asked = rng.random((2, *x.shape)) < 0.4
    known[0], asked[1] = False, False
    return dist, np.where(known, x, np.nan), np.where(asked & ~known, x, np.nan)


def answers(queries, evidence, x):
    return (
        queries.sample_conditional(evidence, seed=5)[0],
        queries.sample_conditional(evidence, 3, seed=5),
        queries.conditional_log_prob(x, evidence).log_prob,
        queries.log_marginal(evidence).log_prob,
    )


@pytest.fixture
def used(monkeypatch):
    """For how many rows at a time patterns are no longer told apart."""
    calls = []
    for method in ("draw_by_row", "log_prob_by_row"):
        original = getattr(ManyPatterns, method)

        def counted(self, *args, original=original):
            calls.append(len(args[0]))
            return original(self, *args)

        monkeypatch.setattr(ManyPatterns, method, counted)
    return calls


@pytest.mark.filterwarnings("ignore:.*out of the network's reach")
def test_answers_are_those_of_one_pattern_at_a_time(mixture, used, monkeypatch):
    dist, evidence, x = mixture
    expected = answers(dist.queries, evidence, x)
    assert not used
    monkeypatch.setattr(many_patterns, "MANY_ROWS", 10)
    in_pieces = Queries(dist.model, dist.num_orders, block_length=2, rows_at_once=7 * 16)
    found = answers(in_pieces, evidence, x)
    assert len(used) == 4 and min(used) >= 10
    for ours, theirs in zip(found, expected, strict=True):
        if dist.model.conditionals.is_discrete.all():
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def test_pieces_of_a_table_get_what_the_whole_would(mixture):
    dist, evidence, _ = mixture
    piece = dist.impute(evidence[30:], seed=5, first_row=30)
    np.testing.assert_allclose(piece, dist.impute(evidence, seed=5)[30:], rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="`first_row`"):
        dist.impute(evidence, first_row=-1)


def test_few_rows_and_large_groups_go_pattern_by_pattern(mixture, monkeypatch):
    by_row = mixture[0].queries._by_row
    groups = [(None, np.arange(start, stop)) for start, stop in ((0, 3), (3, 50), (50, 57))]
    together, apart = by_row.taken_from(groups)
    assert len(together) == 0 and apart == groups
    monkeypatch.setattr(many_patterns, "MANY_ROWS", 10)
    together, apart = by_row.taken_from(groups)
    np.testing.assert_array_equal(together, [*range(3), *range(50, 57)])
    assert apart == groups[1:2]
