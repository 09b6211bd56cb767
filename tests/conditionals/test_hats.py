"""The hat functions that the network sees of a real number, beside its standardised value."""

import keras
import numpy as np
import pytest

from made_tf import conditionals as families

VALUES = np.random.default_rng(0).lognormal(size=(400, 2)).astype("float32")


def expected(values, knots):
    """Each hat is 1 at its knot and 0 at the others; beyond the last ones nothing changes."""
    hats = [np.interp(values, knots, one) for one in np.eye(len(knots))]
    return np.reshape(hats, (len(knots), len(values))).T


@pytest.mark.parametrize("num_hats", [None, 7, 2, 0])
@pytest.mark.parametrize("name", ["normal_mixture", "binned"])
def test_hats_are_at_even_distances_among_the_knots(name, num_hats):
    family = families.FAMILIES[name].from_data(VALUES, num_hats=num_hats)
    count = 33 if num_hats is None else num_hats
    x = np.concatenate([VALUES[:50], [[-3.0, 0.0], [1e3, 1e6]]]).astype("float32")
    features = keras.ops.convert_to_numpy(family.encode(x)).reshape(len(x), 2, 1 + count)
    for column, (values, knots) in enumerate(zip(x.T, family.get_config()["knots"], strict=True)):
        places = np.linspace(0, 32, count).round().astype(int)
        hats = expected(values, np.array(knots)[places])
        np.testing.assert_allclose(features[:, column, 1:], hats, atol=1e-4)


def test_quantiles_are_where_components_start_whatever_hats_there_are():
    few, many = (families.NormalMixture.from_data(VALUES, num_hats=n) for n in (0, None))
    np.testing.assert_array_equal(few.constant("starts"), many.constant("starts"))
    assert families.NormalMixture.from_data(VALUES).num_features == 6


@pytest.mark.parametrize(
    "family", [families.NormalMixture, families.Binned, families.Count, families.LogisticMixture]
)
def test_families_of_some_hats_come_back_from_their_config(family):
    made = family.from_data(np.floor(VALUES), num_hats=3)
    again = family(**made.get_config()).bind(2)
    assert again.layout.features.total == made.layout.features.total == 2 * 4
    old = {key: value for key, value in made.get_config().items() if key != "num_hats"}
    assert family(**old).bind(2).layout.features.total == 2 * 34  # as files of before have it


@pytest.mark.parametrize("name", ["normal_mixture", "logistic_mixture", "discretized", "count"])
def test_components_of_many_rows_start_as_wide_as_data_are_sparse(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 2)).astype("float32")
    x[:1000] = 0.4 + 0.001 * x[:1000]  # a narrow peak
    x = np.exp(x).round() if name == "count" else x.round(4)
    family = families.FAMILIES[name].from_data(x)
    again = type(family)(**family.get_config()).bind(2)
    params = np.zeros((1, family.layout.parameters.total), np.float32)
    found = family.log_prob(params, x[:1])
    np.testing.assert_allclose(again.log_prob(params, x[:1]), found, rtol=1e-6)
    few = families.FAMILIES[name].from_data(x[::4])  # are no reason to start otherwise than ever
    at_start = [np.mean(each.log_prob(np.repeat(params, len(x), 0), x)) for each in (family, few)]
    assert at_start[0] > at_start[1] + 0.02


def test_scales_at_the_start_are_distances_of_quantiles():
    x = np.random.default_rng(0).lognormal(size=(5000, 1)).astype("float32")
    family = families.NormalMixture.from_data(x, num_components=4)
    knots = (np.array(family.knots[0]) - family.data_loc[0]) / family.data_scale[0]
    ends = np.interp([0, 8, 16, 24, 32], np.arange(33), knots)
    expected = np.minimum(0.5 * np.diff(ends), 0.5)
    np.testing.assert_allclose(np.exp(family.constant("starts")[0, 1]), expected, rtol=1e-4)
    config = {key: value for key, value in family.get_config().items() if key != "local_start"}
    old = families.NormalMixture(**config).bind(1)  # as files of before have it
    np.testing.assert_allclose(np.exp(old.constant("starts")[0, 1]), 0.5, rtol=1e-6)
    assert not families.NormalMixture.from_data(x, knots=None).local_start
    with pytest.raises(ValueError, match="`local_start` must be False"):
        families.NormalMixture(local_start=True)


@pytest.mark.parametrize("name", ["normal_mixture", "binned", "count"])
def test_knots_of_ones_own_have_hats_all(name):
    x = np.floor(VALUES)
    for knots, count in ((None, 0), ([[0.0, 1.0, 2.0]] * 2, 3)):
        family = families.FAMILIES[name].from_data(x, knots=knots)
        assert family.layout.features.total == 2 * (1 + count)


def test_numbers_that_recur_among_many_zeros_have_hats_of_their_own():
    rng = np.random.default_rng(0)
    gains = np.sort(rng.choice(100_000, 26, replace=False)).astype("float32")
    often, once = gains[:20], gains[20:]  # which chance alone would make knots
    x = np.concatenate([np.zeros(4000), np.repeat(often, rng.integers(3, 9, 20)), once])[:, None]
    family = families.Binned.from_data(x, num_hats=None)
    hats = np.asarray(family.encode(often[:, None]))[:, 1:]
    np.testing.assert_allclose(np.sort(hats)[:, -2:], np.tile([0.0, 1.0], (20, 1)), atol=1e-3)
    assert len(set(hats.argmax(axis=1))) == 20
    knots = np.array(family.knots[0])
    assert len(knots) == 33 and np.isin([0.0, x.max()], knots).all()
    assert not np.isin(once[once < x.max()], knots).any()
    even = np.repeat(np.arange(40.0), 20)[:, None]  # quantiles tell of such a column
    assert families.Binned.from_data(even).knots == families.NormalMixture.from_data(even).knots


def test_columns_of_other_hats_are_groups_of_their_own():
    columns = [families.NormalMixture.from_data(VALUES[:, :1], num_hats=n) for n in (5, 3, 5)]
    mixed = families.Mixed(columns).bind(3)
    assert sorted(list(own) for own, _ in mixed.groups()) == [[0, 2], [1]]
    x = VALUES[:20, [0, 0, 0]]
    alone = [np.asarray(each.bind(1).encode(x[:, :1])) for each in columns]
    np.testing.assert_array_equal(mixed.encode(x), np.concatenate(alone, axis=1))


@pytest.mark.parametrize(
    ("num_hats", "message"),
    [
        (1, "`num_hats` must be 0, or 2 at least"),
        (34, r"`num_hats` must be an integer in \[0, 34\)"),
        (2.5, "`num_hats` must be an integer"),
    ],
)
def test_hats_that_cannot_be_get_an_error(num_hats, message):
    with pytest.raises(ValueError, match="`num_hats` must be None or 0 where there are no `knots`"):
        families.NormalMixture(num_hats=2)
    with pytest.raises(ValueError, match=message):
        families.NormalMixture.from_data(VALUES, num_hats=num_hats)
