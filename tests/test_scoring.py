"""Rows scored in pieces give what they give at once."""

import math

import numpy as np
import pytest

import made_tf
from made_tf import scoring

N, D = 2345, 5  # more rows than are scored at once, and no multiple


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).integers(0, 2, [N, D]).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return made_tf.MADE(D, (12,), num_masks=None, num_orders=3, seed=0)


@pytest.fixture(scope="module")
def ensemble():
    return made_tf.Ensemble([made_tf.MADE(D, (8,), seed=seed) for seed in range(2)])


def test_pieces_are_the_whole(model, ensemble, x):
    for scorer in (model, ensemble):
        found = scoring.log_prob(scorer, x)
        assert found.shape == (N,) and found.dtype == np.float32
        np.testing.assert_allclose(found, scorer.log_prob(x), rtol=1e-5)
    np.testing.assert_allclose(
        scoring.log_prob(model, x, num_orders=5), model.log_prob(x, num_orders=5), rtol=1e-5
    )


def test_memory_is_bounded(model, x):
    sizes = []

    def log_prob(rows):
        sizes.append(len(rows))
        return model.log_prob(rows)

    scoring.mean_nll(log_prob, np.tile(x, (4, 1)))
    assert sum(sizes) == 4 * N and max(sizes) <= 1000


def test_scores_of_several_orders(model, x):
    scores, expected = scoring.score(model, x), model.order_statistics(x)
    assert scores.num_orders == 3
    for name in ("log_prob", "standard_error", "spread"):
        np.testing.assert_allclose(
            getattr(scores, name), getattr(expected, name), rtol=1e-3, atol=1e-5
        )
    by_order = scoring.log_prob_by_order(model, x, 3)
    assert by_order.shape == (3, N)
    mixture = np.log(np.exp(by_order.astype(np.float64)).mean(axis=0))
    np.testing.assert_allclose(scores.log_prob, mixture, rtol=1e-5)
    np.testing.assert_allclose(by_order[0], model.log_prob(x, num_orders=1), rtol=1e-5)
    summary = scoring.summarise(scores, D)
    assert summary["num_orders"] == 3
    assert summary["order_spread"] == pytest.approx(by_order.std(0, ddof=1).mean(), rel=1e-3)


def test_one_order_has_no_spread(model, ensemble, x):
    for scores in (scoring.score(model, x, 1), scoring.score(ensemble, x)):
        assert (scores.num_orders, scores.standard_error, scores.spread) == (1, None, None)
        assert "order_spread" not in scoring.summarise(scores, D)


def test_a_model_or_a_function_of_rows(model, x):
    nll = -np.asarray(model.log_prob(x), np.float64)
    for scorer in (model, model.log_prob, lambda rows: model.log_prob(rows)):
        mean, error = scoring.mean_nll(scorer, x)
        assert mean == pytest.approx(nll.mean(), rel=1e-6)
        assert error == pytest.approx(nll.std(ddof=1) / math.sqrt(N), rel=1e-4)
    summary = scoring.summarise(scoring.score(model, x), D)
    assert (summary["nll"], summary["nll_standard_error"]) == scoring.mean_nll(model, x)
    assert summary["bits_per_dim"] == pytest.approx(nll.mean() / D / math.log(2), rel=1e-6)


def test_the_error_of_one_row_is_not_known(model, x):
    mean, error = scoring.mean_nll(model, x[:1])
    assert mean == pytest.approx(-float(model.log_prob(x[:1])[0]), rel=1e-6)
    assert math.isnan(error)
    assert math.isnan(scoring.summarise(scoring.score(model, x[:1]), D)["nll_standard_error"])


def test_what_cannot_be_scored(model, ensemble, x):
    with pytest.raises(ValueError, match="`num_orders` must be None for an ensemble"):
        scoring.score(ensemble, x, 2)
    with pytest.raises(ValueError, match="`x` must have at least one row"):
        scoring.score(model, x[:0])
    with pytest.raises(ValueError, match="0 or 1 only"):
        scoring.log_prob_by_order(model, x + 1, 2)
    fixed = made_tf.MADE(D, (8,), seed=0)
    with pytest.raises(ValueError, match="num_masks=1"):
        scoring.log_prob(fixed, x, 2)
