"""Families whose inputs tell a variable that is hidden from every value that it can have."""

import numpy as np
import pytest

import made_tf
from made_tf import MADE, Bernoulli, MADEDistribution, Mixed, Normal
from made_tf.verification import check_autoregressive, total_probability

FAMILIES = {
    "bernoulli": lambda: Bernoulli(tells_unknown=True),
    "normal": lambda: Normal(2.0, 3.0, tells_unknown=True),
    "mixed": lambda: Mixed([Bernoulli(), Bernoulli(True), Normal(1, 2, True), Bernoulli(True)]),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_no_value_looks_like_one_that_is_hidden(name):
    family = FAMILIES[name]().bind(4)
    values = np.array([[0, 0, 2, 0], [1, 1, 1, 1]], np.float32)
    features = np.asarray(family.encode(values))
    assert features.shape == (2, family.layout.features.total)
    tells = family.layout.features.sizes == 2
    for column in np.flatnonzero(tells):
        own = family.layout.features.entries(np.array([column]))
        assert (features[:, own] != 0).any(axis=1).all()
    np.testing.assert_array_equal(tells, [name != "mixed", True, True, True])


def test_files_and_fingerprints_of_before_stay():
    assert Bernoulli().get_config() == {}
    assert set(Normal().get_config()) == {"data_loc", "data_scale"}
    for make in FAMILIES.values():
        family = make()
        assert type(family).from_config(family.get_config()).get_config() == family.get_config()
    plain, telling = MADE(3, (8,)), MADE(3, (8,), conditionals=Bernoulli(tells_unknown=True))
    assert not np.array_equal(plain.settings.fingerprint(), telling.settings.fingerprint())


@pytest.mark.parametrize("name", FAMILIES)
def test_models_of_all_orders_take_them(name):
    model = MADE(4, (16,), conditionals=FAMILIES[name](), num_masks=None, seed=0)
    assert check_autoregressive(model)
    dist = MADEDistribution(model)
    x, log_prob = dist.experimental_sample_and_log_prob(20, seed=1)
    np.testing.assert_allclose(log_prob, model.log_prob(x), atol=1e-5)
    if name == "bernoulli":
        assert total_probability(model) == pytest.approx(1, abs=1e-5)
    gaps = x.numpy()
    gaps[:, 1] = np.nan
    filled = dist.impute(gaps, seed=2)
    np.testing.assert_array_equal(filled[:, [0, 2, 3]], x.numpy()[:, [0, 2, 3]])
    assert model.conditionals.in_support(filled).numpy().all()


@pytest.mark.parametrize("family", [made_tf.Bernoulli, made_tf.Normal])
def test_the_argument_is_a_truth_value(family):
    with pytest.raises(ValueError, match="`tells_unknown` must be True or False"):
        family(tells_unknown="yes")
