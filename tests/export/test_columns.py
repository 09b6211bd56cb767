"""A file of columns of every kind: drawn, scored and filled in as by the model."""

import json

import numpy as np
import pytest
import tensorflow as tf

import made_tf
from made_tf import conditionals as families
from made_tf import export
from made_tf.export.checks import compare
from made_tf.export.checks.host import Host
from made_tf.sampling import random

#: Real, classes, classes in order, a grid of hundredths, counts, bins, a mass at zero.
NAMES = ["logistic_mixture", "categorical", "ordinal", "discretized", "count", "binned", "zeros"]
COUNT = 3000


def table(count=500):
    rng = np.random.default_rng(0)
    z = rng.normal(size=count)
    columns = [
        3 + 2 * z,
        rng.integers(0, 3, count),
        np.clip(np.rint(2 + z), 0, 4),
        np.round(np.exp(1 + z), 2),
        rng.poisson(np.exp(1 + 0.5 * z)),
        np.round(rng.normal(60, 1.5, count), 1),
        np.where(rng.random(count) < 0.3, 0.0, rng.normal(5, 1, count)),
    ]
    return np.stack(columns, axis=1).astype("float32")


def zeros(x):
    return made_tf.Inflated(made_tf.NormalMixture.from_data(x[:, [6]], num_components=3), [0.0])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    x = table()
    family = made_tf.Mixed.from_data(x, [*NAMES[:-1], zeros(x)])
    model = made_tf.MADE(7, (12,), family, input_order=[3, 1, 7, 2, 6, 4, 5], seed=0)
    path = tmp_path_factory.mktemp("columns") / "made.tflite"
    signatures = ["sample", "log_prob", "conditionals", "sample_from_uniforms"]
    report = export.to_tflite(model, path, signatures=signatures)
    return model, report, export.LiteSampler(path)


def test_discrete_cells_are_equal_but_for_ties_and_real_ones_within_rounding(exported):
    model, report, device = exported
    ours = made_tf.MADEDistribution(model).sample(COUNT, seed=5).numpy()
    theirs = device.sample(COUNT, 5)
    discrete = model.conditionals.is_discrete
    differ = ours != theirs
    ties = differ[:, discrete].any(axis=1)
    assert ties.mean() < 0.005
    scale = np.abs(ours).mean(axis=0)
    apart = (np.abs(ours - theirs) / scale)[~ties]
    assert apart[:, ~discrete].max() < 1e-3
    assert (ours[:, 6] == 0).any() and (ours[:, 6] != 0).any()
    hundredths = ours[:, 3].astype(np.float64)
    np.testing.assert_array_equal(theirs[:, 3], np.float32(np.round(theirs[:, 3].astype(float), 2)))
    np.testing.assert_array_equal(ours[:, 3], np.float32(np.round(hundredths, 2)))
    assert report.leak == 0


def test_rows_are_scored_alike_and_foreign_values_are_nan(exported):
    model, _, device = exported
    x = table(50)
    np.testing.assert_allclose(device.log_prob(x), model.log_prob(x), rtol=1e-5, atol=1e-4)
    for column, value in ((1, 3.0), (2, 0.5), (3, 1.005), (4, -1.0), (5, 60.04)):
        wrong = x.copy()
        wrong[0, column] = value
        found = device.run("log_prob", x=wrong)["log_prob"]
        assert np.isnan(found[0]) and np.isfinite(found[1:]).all()


def test_parameters_have_names_and_columns(exported):
    model, _, device = exported
    x = table(5)
    ours = model.conditionals.unpack(model(x, training=False))
    theirs = device.conditionals(x)
    assert set(theirs) == set(ours) == {"logits", "loc", "scale", "point_logits"}
    for name, values in ours.items():
        assert values.shape[:2] == (5, 7)
        np.testing.assert_allclose(theirs[name], values, rtol=1e-4, atol=1e-4)


def test_rows_are_made_from_as_many_uniforms_as_the_columns_take(exported):
    model, _, device = exported
    family = model.conditionals
    assert family.channels.tolist() == [2, 1, 1, 2, 2, 2, 3]
    assert device.metadata["num_uniforms"] == family.num_uniforms == 13
    uniforms = random.row_uniforms(random.row_seeds(tf.constant([5, 0]), 20), family).numpy()
    np.testing.assert_array_equal(device.sample_from_uniforms(uniforms), device.sample(20, 5))
    with pytest.raises(ValueError, match=r"`uniforms` must have the shape \[n, 13\]"):
        device.sample_from_uniforms(uniforms[:, :7])


def test_a_column_that_is_drawn_otherwise_is_found_out(exported):
    model, _, device = exported
    host, sets = Host.of(model, 1), np.zeros(128, np.int32)
    uniforms = random.row_uniforms(random.row_seeds(tf.constant([5, 0]), 128), model.conditionals)
    rows = device.sample_from_uniforms(uniforms)  # these are found right by the export
    wrong = rows.copy()
    for column in range(7):  # in a row of its own, the value of another row
        others = rows[rows[:, column] != rows[column, column], column]
        wrong[column, column] = others[-1]
    (real,) = np.nonzero(~model.conditionals.is_discrete)
    for column in real:  # a little too far
        row = 7 + np.flatnonzero(rows[7:, column])[column]
        wrong[row, column] *= 1.02
    assert (wrong != rows).any(axis=1).sum() == 7 + len(real)
    with pytest.raises(export.ExportError, match=f"in {7 + len(real)} of 128 rows"):
        compare.check_samples(host, wrong, uniforms, sets)


def test_columns_without_a_temperature_have_no_such_signature(exported, tmp_path):
    model = exported[0]
    assert "sample_at_temperature" not in export.signatures.choose_signatures(model, "all")
    with pytest.raises(ValueError, match="`signatures` must be"):
        export.to_tflite(model, tmp_path / "t.tflite", signatures="sample_at_temperature")
    ordered = made_tf.MADE(3, (4,), ["bernoulli", families.Ordinal(4), "normal"])
    assert "sample_at_temperature" in export.signatures.choose_signatures(ordered, "all")


def test_a_file_tells_which_columns_have_classes(exported):
    family = exported[2].metadata["family"]
    assert family == {"name": "mixed", "num_classes": [None, 3, 5, None, None, None, None]}
    assert json.loads(json.dumps(family)) == family
