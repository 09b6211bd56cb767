"""Static int8: products of integers, for scoring alone."""

import keras
import numpy as np
import pytest
import reference
import scipy.special
import scipy.stats

from made_tf import export

D = 6


def model_of(family, **kwargs):
    keras.utils.set_random_seed(1)
    model = reference.small_model(family, D, hidden_units=(24, 16), seed=1, **kwargs)
    rng = np.random.default_rng(0)
    for layer in model.masked_layers():
        if layer.bias is not None:  # zeros would be ties
            layer.bias.assign(rng.normal(size=layer.units))
    return model


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    pytest.importorskip("ai_edge_quantizer")
    made = {}

    def get(family):
        if family not in made:
            model = model_of(family)
            path = tmp_path_factory.mktemp("static") / "made.tflite"
            rows = reference.rows(model.conditionals, 300, D)
            report = export.to_tflite(model, path, weights="static_int8", calibration=rows)
            made[family] = model, report, export.LiteSampler(path), rows
        return made[family]

    return get


@pytest.mark.parametrize("family", ["bernoulli", "ragged", "scaled_normal"])
def test_static_int8_is_a_density_near_the_models(static, family):
    model, report, device, rows = static(family)
    assert device.signatures == ["conditionals", "log_prob"]
    assert report.leak == 0 and report.ops["QUANTIZE"] > 0 and report.rows_compared == 0
    log_prob = device.log_prob(rows)
    params = device.conditionals(rows)
    if family == "bernoulli":
        own = rows * params["logits"] - np.logaddexp(0, params["logits"])
    elif family == "ragged":
        chosen = np.take_along_axis(params["logits"], rows[:, :, None].astype(int), 2)[..., 0]
        own = chosen - scipy.special.logsumexp(params["logits"], axis=2)
    else:
        own = scipy.stats.norm.logpdf(rows, params["loc"], params["scale"])
    np.testing.assert_allclose(log_prob, own.sum(axis=1), rtol=1e-4, atol=1e-3)
    if model.conditionals.is_discrete.all():
        assert report.total_probability == pytest.approx(1, abs=1e-5)
    change = float(np.mean(model.log_prob(rows)) - log_prob.mean())
    assert report.nll_change == pytest.approx(change, abs=1e-4)
    # Eight bits for everything still know the model.
    assert abs(change) < 0.1 * abs(float(np.mean(model.log_prob(rows))))


def test_static_int8_refuses_what_it_cannot_do(tmp_path):
    rows = np.zeros((8, D), np.float32)
    arguments = {"weights": "static_int8", "calibration": rows}
    for several in ({"num_masks": 3, "num_orders": 3}, {"num_masks": None}):
        with pytest.raises(ValueError, match="for a model of several orders"):
            export.to_tflite(
                model_of("bernoulli", **several), tmp_path / "made.tflite", **arguments
            )
    for more in ({"signatures": "sample"}, {"signatures": "all"}, {"batch_sizes": (1,)}):
        with pytest.raises(ValueError, match="`signatures` must be among"):
            export.to_tflite(model_of("bernoulli"), tmp_path / "made.tflite", **arguments, **more)
    assert list(tmp_path.iterdir()) == []
