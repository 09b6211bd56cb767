import numpy as np
import pandas as pd
import pytest
from example_tables import JOINT

from made_tf import conditionals as families
from made_tf.data.table_schema import TableSchema
from made_tf.tables import TableModel
from made_tf.tables.families import families_of
from made_tf.training.recipe import Recipe


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
    return family.num_features - 1


@pytest.mark.parametrize("count, expected", [(700, 0), (800, 5)])
def test_networks_see_hats_where_there_are_rows_for_them(count, expected):
    real, grid = families_in(table(count))
    assert isinstance(grid, families.Discretized)
    assert hats(real) == hats(grid.mixture) == expected


@pytest.mark.parametrize("count, expected", [(700, 0), (4900, 5), (5100, 33)])
def test_columns_with_spikes_have_hats_on_all_quantiles_of_large_tables(count, expected):
    rng = np.random.default_rng(0)
    hours = np.where(rng.random(count) < 0.5, 40, rng.integers(1, 99, count))
    (family,) = families_in(pd.DataFrame({"hours": hours}))
    assert isinstance(family, families.Binned) and hats(family) == expected


def test_missing_numbers_are_no_rows_for_hats():
    real, _ = families_in(table(2000, missing=0.7))
    assert isinstance(real, families.Inflated)
    assert hats(real.family) == 0


@pytest.mark.parametrize("in_files", [False, True])
def test_a_network_knows_how_often_values_occur_before_it_learns(tmp_path, in_files):
    shares = {"red": 0.6, "green": 0.3, "blue": 0.1}
    colours = np.random.default_rng(0).choice(list(shares), 1000, p=list(shares.values()))
    table = pd.DataFrame({"colour": colours})
    if in_files:
        table.to_parquet(tmp_path / "rows.parquet")
    still = {"looks": 1, "steps": 1, "learning_rate": 1e-7}
    recipe = Recipe.from_dict("still", {**JOINT.to_dict(), "training": still})
    model = TableModel(recipe=recipe, questions=None).fit(
        tmp_path / "rows.parquet" if in_files else table
    )
    told = np.exp(model.log_prob(pd.DataFrame({"colour": list(shares)})))
    np.testing.assert_allclose(told, list(shares.values()), atol=0.04)
