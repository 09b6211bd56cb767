"""Files of ensembles: what the host draws and scores, the file does."""

import json

import keras
import numpy as np
import pytest
import reference

import made_tf
from made_tf import export
from made_tf.export import LiteSampler

ORDERS = ([3, 1, 5, 4, 2], [1, 4, 2, 5, 3])


def ensemble(family="bernoulli", scale=3.0, **kwargs):
    keras.utils.set_random_seed(0)
    options = {"num_masks": None, **kwargs}
    members = [
        reference.loud(family, 5, scale, input_order=order, hidden_units=(7,), seed=seed, **options)
        for seed, order in enumerate(ORDERS)
    ]
    if "num_masks" not in kwargs:  # members may differ in it
        config = {**members[1].get_config(), "num_orders": 2}
        again = made_tf.MADE.from_config(config)
        again.set_weights(members[1].get_weights())
        members[1] = again
    return made_tf.Ensemble(members)


def with_gaps(rows, seed=0):
    missing = np.random.default_rng(seed).random((4, rows.shape[1])) < 0.5
    missing[0] = True
    return np.where(missing[np.arange(len(rows)) % 4], np.float32(np.nan), rows)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = ensemble()
    path = tmp_path_factory.mktemp("members") / "made.tflite"
    return model, export.to_tflite(model, path, weights="int8")


def rounded(model):
    """The ensemble whose weights are those of a file of int8."""
    from made_tf.export.file.weights import with_weights

    return made_tf.Ensemble([with_weights(member, "int8") for member in model.members])


@pytest.fixture(scope="module")
def host(exported):
    return made_tf.EnsembleDistribution(rounded(exported[0]))


@pytest.fixture(scope="module")
def device(exported):
    return LiteSampler(exported[1].path)


def test_the_file_gives_the_rows_and_densities_of_the_host(exported, host, device):
    rows = device.sample(3000, seed=7)
    np.testing.assert_array_equal(rows, host.sample(3000, seed=7))
    np.testing.assert_allclose(device.log_prob(rows), host.log_prob(rows), atol=1e-5)
    np.testing.assert_array_equal(device.sample(13, seed=7), rows[:13])
    states = reference.states(exported[0].members[0])
    assert np.exp(device.log_prob(states)).sum() == pytest.approx(1, abs=1e-5)
    alone = [made_tf.MADEDistribution(m).sample(3000, seed=7) for m in host.ensemble.members]
    shares = [np.mean(np.all(rows == each, axis=1)) for each in alone]
    assert max(shares) < 0.9  # no member is all of it


def test_the_file_fills_in_what_the_host_fills_in(host, device):
    rows = with_gaps(device.sample(2000, seed=8))
    filled = device.impute(rows, seed=5)
    np.testing.assert_array_equal(filled, host.impute(rows, seed=5))
    np.testing.assert_array_equal(device.impute(rows[:7], seed=5, batch_size=3), filled[:7])
    with pytest.raises(ValueError, match="values of the model's support only"):
        device.impute([[0.5, np.nan, 0, 1, 1]])


def test_the_file_tells_that_it_is_an_ensemble(exported, device):
    _, report = exported
    assert report.rows_different == 0 and report.leak is None
    assert set(report.signatures) == {"sample", "log_prob", "impute"}
    found = export.inspect_tflite(report.path)
    assert found["metadata"]["members"] == 2 and found["metadata"]["any_order"]
    assert found["metadata"]["num_orders"] == 2 and found["metadata"]["weights"] == "int8"
    assert found["bytes"]["weights"].get("int8", 0) > 0
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()


def test_members_of_one_order_with_real_values_and_a_context(tmp_path):
    model = ensemble("scaled_normal", 1.0, num_masks=1, context=2)
    path = tmp_path / "made.tflite"
    names = ["sample", "log_prob", "sample_and_log_prob"]
    export.to_tflite(model, path, signatures=names)
    device = LiteSampler(path)
    contexts = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    host = made_tf.EnsembleDistribution(model, context=contexts)
    rows = device.sample(200, 3, context=contexts)
    seeds = np.stack([np.full(200, 3), np.arange(200)], axis=1).astype(np.int32)
    expected = np.concatenate(list(host.stream(200, 3)))
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4)
    both = device.sample_and_log_prob(seeds, context=contexts)
    np.testing.assert_allclose(both[0], rows, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(both[1], host.log_prob(both[0]), rtol=1e-5, atol=1e-4)
    with pytest.raises(ValueError, match="no signature 'impute'"):
        device.impute(rows, context=contexts)


@pytest.mark.parametrize("wrong", ["sample", "log_prob", "impute"])
def test_a_file_that_does_something_else_is_not_handed_over(exported, tmp_path, monkeypatch, wrong):
    from made_tf.export.checks import verify

    model, report = exported
    method = getattr(LiteSampler, wrong)

    def spoiled(self, x, *args, **kwargs):
        found = method(self, x, *args, **kwargs)
        if wrong == "log_prob":
            return found + 2e-3
        return np.where(np.isnan(x), 1 - found, found) if wrong == "impute" else 1 - found

    monkeypatch.setattr(LiteSampler, wrong, spoiled)
    with pytest.raises(export.ExportError):
        verify.verify_tflite(rounded(model), report.path)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"signatures": "conditionals"}, r"ones of \['sample', 'log_prob', .* for an ensemble"),
        ({"signatures": ["sample_from_uniforms"]}, "for an ensemble. Received"),
        ({"num_orders": 2}, "`num_orders` must be None for an ensemble"),
        ({"weights": "static_int8", "calibration": [[0] * 5]}, "must not be 'static_int8' for an"),
    ],
)
def test_what_a_mixture_cannot_give_is_refused(exported, tmp_path, kwargs, message):
    with pytest.raises(ValueError, match=message):
        export.to_tflite(exported[0], tmp_path / "made.tflite", **kwargs)
    with pytest.raises(ValueError, match=r"must be a made_tf.MADE\. "):
        export.to_micro(exported[0], tmp_path / "made.tflite")
    assert not list(tmp_path.iterdir())


def test_members_that_read_evidence_are_filled_in_and_weighed(tmp_path):
    members = [
        made_tf.MADE(5, (256, 256), made_tf.Categorical(3), evidence_units=(8,), seed=seed)
        for seed in (0, 1)  # so wide that products skip what is empty
    ]
    assert members[0].hidden_layers[1].staircase is not None
    model = made_tf.Ensemble(members)
    path = tmp_path / "made.tflite"
    assert "impute" in export.to_tflite(model, path).signatures
    dist, device = made_tf.EnsembleDistribution(model), LiteSampler(path)
    rows = with_gaps(device.sample(200, seed=2))
    filled = device.impute(rows, seed=3)
    np.testing.assert_array_equal(filled, dist.impute(rows, seed=3))
    np.testing.assert_array_equal(device.impute(rows, seed=3, batch_size=7), filled)
