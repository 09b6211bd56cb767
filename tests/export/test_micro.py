"""Files for microcontrollers."""

import keras
import numpy as np
import pytest
import reference
from keras import ops

import made_tf
from made_tf import export
from made_tf.export import micro
from made_tf.sampling import random


@pytest.mark.parametrize("family", ["bernoulli", "ragged", "normal"])
def test_the_file_has_fixed_shapes_and_draws_what_the_model_draws(family, tmp_path):
    model = reference.small_model(family, 12, hidden_units=(20, 20))
    report = export.to_micro(model, tmp_path / "micro.tflite")
    found = export.inspect_tflite(tmp_path / "micro.tflite")
    assert found["signatures"] == {
        "sample_from_uniforms": {
            "inputs": {"uniforms": {"shape": [1, 12], "dtype": "float32"}},
            "outputs": {"x": {"shape": [1, 12], "dtype": "float32"}},
        }
    }
    assert "BITCAST" not in report.ops and len(report.resolver) == len(report.ops)
    assert "AddFullyConnected" in report.resolver and "AddWhile" in report.resolver
    assert ("AddCumSum" in report.resolver) == (family == "ragged")  # not AddCumsum
    uniforms = random.uniforms(np.array([[7, i] for i in range(20)], np.int32), 12).numpy()
    device = export.LiteSampler(tmp_path / "micro.tflite")
    rows = np.concatenate(
        [device.run("sample_from_uniforms", uniforms=row[None])["x"] for row in uniforms]
    )
    expected = made_tf.MADEDistribution(model).sample(20, seed=7).numpy()
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=0 if family != "normal" else 1e-4)
    assert "rows" in str(report)


def test_tflm_draws_the_same_rows_in_the_arena_that_is_told(tmp_path):
    pytest.importorskip("tflite_micro")
    model = reference.small_model("bernoulli", 64, hidden_units=(40,))
    report = export.to_micro(model, tmp_path / "micro.tflite")
    assert 64 * 8 < report.arena_bytes < 64_000  # the uniforms and the row at least
    uniforms = random.uniforms(np.array([[1, i] for i in range(100)], np.int32), 64).numpy()
    rows, arena = micro.run_on_tflm(tmp_path / "micro.tflite", uniforms)
    np.testing.assert_array_equal(rows, made_tf.MADEDistribution(model).sample(100, seed=1))
    assert arena == report.arena_bytes
    (tmp_path / "bad.tflite").write_bytes(b"no model at all, but long enough to be read")
    with pytest.raises(export.ExportError, match="TFLM cannot run the file"):
        micro.run_on_tflm(tmp_path / "bad.tflite", uniforms)


def test_a_file_tells_its_card_and_its_licence(tmp_path):
    model, path = reference.small_model(), tmp_path / "micro.tflite"
    card = {"data": "made-up rows", "metrics": {"nll": 1.5}}
    export.to_micro(model, path, licence="CC0", card=card)
    metadata = export.LiteSampler(path).metadata
    assert (metadata["card"], metadata["licence"]) == (card, "CC0")
    path.unlink()
    with pytest.raises(ValueError, match=r"`card` must be a mapping with entries among"):
        export.to_micro(model, path, card={"author": "nobody"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("num_masks", "num_orders"), [(3, 3), (None, 1)])
def test_models_of_several_orders_are_refused(num_masks, num_orders, tmp_path):
    model = reference.small_model(num_masks=num_masks)
    with pytest.raises(ValueError, match="`model` must be of one order"):
        export.to_micro(model, tmp_path / "micro.tflite", num_orders=num_orders)
    assert list(tmp_path.iterdir()) == []


@keras.saving.register_keras_serializable(package="made_tf_tests")
def wave(x):
    return ops.gelu(ops.sin(x))


def test_operators_that_tflm_lacks_are_named(tmp_path):
    model = reference.small_model(activation=wave)
    with pytest.raises(export.ExportError, match="that TFLM lacks: GELU, SIN"):
        export.to_micro(model, tmp_path / "micro.tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_draws_other_rows_is_not_handed_over(tmp_path, monkeypatch):
    run = export.LiteSampler.run

    def negated(self, name, **inputs):
        return {"x": 1 - run(self, name, **inputs)["x"]}

    monkeypatch.setattr(export.LiteSampler, "run", negated)
    with pytest.raises(export.ExportError, match="draws other samples"):
        export.to_micro(reference.small_model(), tmp_path / "micro.tflite")
    with pytest.raises(ValueError, match="must end in .tflite"):
        export.to_micro(reference.small_model(), tmp_path / "micro.bin")
    assert list(tmp_path.iterdir()) == []


def test_models_with_a_context_are_refused(tmp_path):
    model = reference.small_model(context=3)
    with pytest.raises(ValueError, match="`model` must have no context.*a context of 3 numbers"):
        export.to_micro(model, tmp_path / "micro.tflite")
    assert list(tmp_path.iterdir()) == []
