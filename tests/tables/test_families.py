import numpy as np
import pandas as pd
import pytest

from made_tf import conditionals as families
from made_tf.data.table_schema import TableSchema
from made_tf.tables.families import families_of


def table(count, missing=0.0):
    rng = np.random.default_rng(0)
    real = rng.lognormal(size=count)
    real[rng.random(count) < missing] = np.nan
    return pd.DataFrame({"real": real, "grid": rng.permutation(count) * 0.5})


def families_in(frame):
    schema = TableSchema.infer(frame, find_facts=False)
    x = schema.encode_frame(frame).x
    family = families_of(schema, x)
    assert np.asarray(family.in_support(x)).all()
    return family.families


def hats(family):
    knots = family.get_config()["knots"]
    return 0 if knots is None else len(knots[0])


@pytest.mark.parametrize("count, expected", [(500, 0), (700, 4), (1600, 8), (4800, 16), (6000, 33)])
def test_networks_see_as_many_hats_as_there_are_rows_for(count, expected):
    real, grid = families_in(table(count))
    assert isinstance(grid, families.Discretized)
    assert hats(real) == hats(grid.mixture) == expected


def test_missing_numbers_are_no_rows_for_hats():
    frame = table(6000, missing=0.7)
    real, _ = families_in(frame)
    assert isinstance(real, families.Inflated)
    assert 8 <= frame["real"].notna().sum() // 150 < 16
    assert hats(real.family) == 8


def test_few_hats_peak_on_quantiles_and_at_both_ends():
    frame = table(1500)
    real, _ = families_in(frame)
    (knots,) = real.get_config()["knots"]
    own = frame["real"].to_numpy()
    assert len(knots) == 8
    assert knots[0] == pytest.approx(own.min())
    assert knots[-1] == pytest.approx(own.max())
    shares = np.mean(own[:, None] <= np.asarray(knots), axis=0)
    np.testing.assert_allclose(shares, np.linspace(0, 1, 8), atol=1 / 32 / 2 + 2e-3)
