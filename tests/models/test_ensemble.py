"""Ensembles: a normalised mixture of models, in Keras and in TFP."""

import itertools

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import made_tf
from made_tf import MADE, Ensemble, EnsembleDistribution, MADEDistribution

STATES = np.array(list(itertools.product([0, 1], repeat=5)), np.float32)


def members(count=3):
    keras.utils.set_random_seed(1)
    made = [
        MADE(5, (16,), input_order="random", kernel_initializer="random_normal", seed=seed)
        for seed in range(count - 1)
    ]
    return [*made, MADE(5, (12, 12), num_masks=None, num_orders=4, seed=9)]


def distinct(ensemble, scale=20.0):
    """Makes the members' densities differ much."""
    rng = np.random.default_rng(0)
    for member in ensemble.members:
        for layer in member.masked_layers():
            if layer.bias is not None:
                layer.bias.assign(rng.normal(size=layer.bias.shape) * scale / 10)
            layer.kernel.assign(layer.kernel * 3)
    return ensemble


@pytest.fixture
def ensemble():
    return distinct(Ensemble(members()))


def test_the_density_is_the_mean_of_the_members_densities(ensemble):
    log_probs = [np.asarray(member.log_prob(STATES), np.float64) for member in ensemble.members]
    assert np.ptp(log_probs, axis=0).max() > 1
    expected = scipy.special.logsumexp(log_probs, axis=0) - np.log(3)
    np.testing.assert_allclose(ensemble.log_prob(STATES), expected, atol=1e-5)
    assert np.exp(ensemble.log_prob(STATES)).sum() == pytest.approx(1, abs=1e-5)


def test_evaluate_and_predict_see_the_same_density(ensemble):
    expected = -np.mean(ensemble.log_prob(STATES))
    found = ensemble.evaluate(STATES, verbose=0, batch_size=5, return_dict=True)
    assert found["nll"] == pytest.approx(expected, abs=1e-4)
    assert found["bits_per_dim"] == pytest.approx(expected / 5 / np.log(2), abs=1e-4)
    np.testing.assert_allclose(
        ensemble.predict(STATES, verbose=0), ensemble.log_prob(STATES), atol=1e-5
    )


def test_a_file_gives_the_same_density(ensemble, tmp_path):
    ensemble.evaluate(STATES, verbose=0)
    ensemble.save(tmp_path / "e.keras")
    loaded = keras.saving.load_model(tmp_path / "e.keras")
    np.testing.assert_array_equal(loaded.log_prob(STATES), ensemble.log_prob(STATES))
    assert loaded.members[-1].num_orders == 4
    for ours, theirs in zip(ensemble.members, loaded.members, strict=True):
        np.testing.assert_array_equal(ours.degrees.inputs, theirs.degrees.inputs)


def test_an_ensemble_is_not_trained(ensemble):
    with pytest.raises(ValueError, match="fit its members one by one"):
        ensemble.fit(STATES)


@pytest.mark.parametrize("given", [[], None, ["a"], MADE(5, (4,))], ids=str)
def test_members_must_be_a_list_of_models(given):
    with pytest.raises(ValueError, match="`members` must be a list of at least one MADE"):
        Ensemble(given)


@pytest.mark.parametrize(
    "other", [MADE(4, (8,)), MADE(5, (8,), conditionals=made_tf.Categorical(3))]
)
def test_members_must_be_over_the_same_variables(other):
    with pytest.raises(ValueError, match="over the same variables.*5 variables, bernoulli"):
        Ensemble([MADE(5, (8,)), other])


def test_of_members_that_differ_is_told_what_differs():
    knots = np.linspace(0, 1, 500).tolist()
    families = [made_tf.NormalMixture(2, 0.0, scale, [knots]) for scale in (1.0, 2.0)]
    with pytest.raises(ValueError, match=r"'data_scale': 1.0.*'data_scale': 2.0") as error:
        Ensemble([MADE(1, (4,), conditionals=family) for family in families])
    assert len(str(error.value)) < 500


def test_wrong_rows_are_refused(ensemble):
    with pytest.raises(ValueError, match="`x` must"):
        ensemble.log_prob(np.full((2, 5), 2.0))
    with pytest.raises(ValueError, match="`x` must"):
        ensemble.evaluate(np.zeros((2, 4)))


def test_the_distribution_scores_as_the_ensemble_and_as_tfp(ensemble):
    dist = EnsembleDistribution(ensemble)
    np.testing.assert_allclose(dist.log_prob(STATES), ensemble.log_prob(STATES), atol=1e-5)
    theirs = tfd.Mixture(
        tfd.Categorical(probs=[1 / 3] * 3), [MADEDistribution(m) for m in ensemble.members]
    )
    np.testing.assert_allclose(dist.log_prob(STATES), theirs.log_prob(STATES), atol=1e-5)


def test_samples_have_the_mixtures_frequencies(ensemble):
    dist = EnsembleDistribution(ensemble)
    x = dist.sample(20_000, seed=3).numpy()
    codes = (x @ 2 ** np.arange(4, -1, -1)).astype(int)
    expected = np.exp(np.asarray(ensemble.log_prob(STATES), np.float64))
    common = expected * len(x) > 5
    counts = np.bincount(codes, minlength=32)
    observed = np.append(counts[common], counts[~common].sum())
    wanted = np.append(expected[common], expected[~common].sum()) * len(x)
    keep = wanted > 0
    wanted *= observed.sum() / wanted.sum()
    assert scipy.stats.chisquare(observed[keep], wanted[keep]).pvalue > 1e-3


def test_each_row_is_that_of_one_member_and_all_members_take_part(ensemble):
    dist = EnsembleDistribution(ensemble)
    x = dist.sample(200, seed=5).numpy()
    own = np.stack([MADEDistribution(m).sample(200, seed=5).numpy() for m in ensemble.members])
    agree = (own == x).all(axis=2)  # [members, rows]
    assert agree.any(axis=0).all()
    alone = agree.sum(axis=0) == 1
    assert (agree[:, alone].sum(axis=1) > 5).all()


def test_the_first_rows_do_not_depend_on_how_many(ensemble):
    dist = EnsembleDistribution(ensemble)
    x = dist.sample(50, seed=5).numpy()
    np.testing.assert_array_equal(dist.sample(7, seed=5), x[:7])
    np.testing.assert_array_equal(np.concatenate(list(dist.stream(50, 5, batch_size=16))), x)
    np.testing.assert_array_equal(tf.function(lambda: dist.sample(50, seed=5))(), x)
    assert (dist.sample(50, seed=6).numpy() != x).any()
    assert dist.sample((2, 3), seed=1).shape == (2, 3, 5)


def test_the_distribution_needs_an_ensemble():
    with pytest.raises(ValueError, match="`ensemble` must be a made_tf.Ensemble"):
        EnsembleDistribution(MADE(5, (4,)))
