"""What is checked on a written file: that it is the model, column by column."""

import keras
import numpy as np
import pytest
import reference
from keras import ops
from tensorflow.lite.python.schema_py_generated import BuiltinOperator

import made_tf
from made_tf import export
from made_tf.conditionals.layout import Layout
from made_tf.export.checks import compare, verify
from made_tf.export.checks.host import Host
from made_tf.export.file.flatbuffer import read_model, write_model
from made_tf.export.file.metadata import seal


@pytest.mark.parametrize("family", ["bernoulli", "normal"])
def test_each_signature_is_compared(small_file, monkeypatch, family):
    model, report = small_file(family)
    verify.verify_tflite(model, report.path)
    for wrong in ("log_prob", "conditionals", "sample"):
        method = getattr(export.LiteSampler, wrong)

        def spoiled(self, *args, wrong=wrong, method=method):
            found = method(self, *args)
            if wrong == "conditionals":
                return {name: values * 1.01 + 0.01 for name, values in found.items()}
            return 1 - found if wrong == "sample" else found + 2e-3

        with monkeypatch.context() as patch:
            patch.setattr(export.LiteSampler, wrong, spoiled)
            with pytest.raises(export.ExportError):
                verify.verify_tflite(model, report.path)


def test_a_column_of_small_scale_is_compared_by_its_own_scale(tmp_path, monkeypatch):
    model = made_tf.MADE(2, (8,), made_tf.Normal([0.0, 5.0], [1e6, 1e-3]))
    report = export.to_tflite(model, tmp_path / "made.tflite")
    sample, conditionals = export.LiteSampler.sample, export.LiteSampler.conditionals

    def negated(self, *args):
        rows = sample(self, *args)
        return np.stack([rows[:, 0], 10.0 - rows[:, 1]], axis=1)

    def wide(self, rows):
        found = conditionals(self, rows)
        return {**found, "scale": found["scale"] * [1.0, 1.01]}

    for method, wrong in (("sample", negated), ("conditionals", wide)):
        with monkeypatch.context() as patch:
            patch.setattr(export.LiteSampler, method, wrong)
            with pytest.raises(export.ExportError):
                verify.verify_tflite(model, report.path)


@pytest.mark.parametrize("name", [b"FlexErfinv", b"erf"])
def test_operators_that_are_no_builtins_are_refused(small_file, tmp_path, name):
    model, report = small_file("bernoulli")
    with open(report.path, "rb") as file:
        content = read_model(file.read())
    for code in content.operatorCodes:
        if code.builtinCode == BuiltinOperator.LOG:
            code.builtinCode = code.deprecatedBuiltinCode = BuiltinOperator.CUSTOM
            code.customCode = name
    (tmp_path / "foreign.tflite").write_bytes(seal(write_model(content)))
    with pytest.raises(export.ExportError, match=f"no LiteRT builtins: .*CUSTOM:{name.decode()}"):
        verify.verify_tflite(model, tmp_path / "foreign.tflite")


def test_a_tie_is_no_difference_and_a_wrong_bit_is():
    model = reference.small_model()
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])  # u < 1/2 gives 1
    uniforms = np.full((1, 5), 0.3, np.float32)
    uniforms[0, 1] = 0.5 + 1e-6
    host = Host.of(model, 1)

    def check(rows):
        compare.check_samples(host, np.array(rows, np.float32), uniforms, np.zeros(1, np.int32))

    check([[1, 0, 1, 1, 1]])
    check([[1, 1, 1, 1, 1]])
    with pytest.raises(export.ExportError, match="in 1 of 1 rows, first in row 0, variable 3"):
        check([[1, 0, 1, 0, 1]])


# Columns of two kinds.


@keras.saving.register_keras_serializable(package="made_tf_tests")
class Alternating(made_tf.Conditionals):
    """Every other column is 0 or 1, by a logit; the others are logistic, by centre and scale."""

    name = "alternating"
    support = "0 or 1, or a real number"

    @property
    def is_discrete(self):
        return np.asarray(self.constant("has_points")) > 0

    def states(self):
        return [np.array([0, 1], np.float32) if points else None for points in self.is_discrete]

    def make_layout(self, event_size):
        return Layout.of_sizes(np.ones(event_size), np.full(event_size, 2))

    def make_constants(self, event_size):
        return {"has_points": (np.arange(event_size) % 2 == 0).astype(np.float32)}

    def encode(self, x):
        return x

    def unpack(self, params):
        pairs = self.layout.parameters.pad(params)
        return {"centre": pairs[..., 0], "log_scale": ops.tanh(pairs[..., 1])}

    def noise(self, uniforms):
        return ops.log(uniforms) - ops.log(1.0 - uniforms)

    def transform(self, params, noise):
        named = self.unpack(params)
        point = ops.cast(named["centre"] > noise, "float32")
        real = named["centre"] + ops.exp(named["log_scale"]) * noise
        return ops.where(self.constant("has_points") > 0, point, real)

    def log_prob(self, params, x):
        named = self.unpack(params)
        other = (1.0 - 2.0 * x) * named["centre"]
        point = -ops.relu(other) - ops.log(1.0 + ops.exp(-ops.abs(other)))
        distance = ops.abs(x - named["centre"]) * ops.exp(-named["log_scale"])
        real = -distance - 2.0 * ops.log(1.0 + ops.exp(-distance)) - named["log_scale"]
        return ops.where(self.constant("has_points") > 0, point, real)

    def in_support(self, x):
        is_point = ops.logical_or(ops.equal(x, 0), ops.equal(x, 1))
        return ops.where(self.constant("has_points") > 0, is_point, ops.isfinite(x))

    def distribution(self, params):
        raise NotImplementedError


@pytest.mark.parametrize("num_masks", [1, None], ids=["one order", "any order"])
def test_columns_of_two_kinds_are_exported_and_compared_each_by_its_own(
    tmp_path, monkeypatch, num_masks
):
    model = made_tf.MADE(4, (16,), Alternating(), num_masks=num_masks, seed=2)
    report = export.to_tflite(model, tmp_path / "made.tflite")
    assert report.leak == 0 and report.total_probability is None
    device = export.LiteSampler(report.path)
    rows = device.sample(50, seed=3)
    host = made_tf.MADEDistribution(model).sample(50, seed=3).numpy()
    np.testing.assert_array_equal(rows[:, ::2], host[:, ::2])
    np.testing.assert_allclose(rows[:, 1::2], host[:, 1::2], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(device.log_prob(rows), model.log_prob(rows), atol=1e-4)
    with pytest.raises(ValueError, match="support"):
        device.log_prob(rows + np.float32([0.5, 0, 0, 0]))

    method = "impute" if "impute" in report.signatures else "sample"
    right = getattr(export.LiteSampler, method)
    for column in (2, 1):

        def spoiled(self, given, *args, column=column):
            found = right(self, given, *args)
            changed = np.isnan(given) if method == "impute" else np.ones(found.shape, bool)
            wrong = 1 - found if column == 2 else found + 0.1
            return np.where(changed & (np.arange(4) == column), wrong, found)

        with monkeypatch.context() as patch:
            patch.setattr(export.LiteSampler, method, spoiled)
            with pytest.raises(export.ExportError, match=f"variable {column}: "):
                verify.verify_tflite(model, report.path)


def test_runs_of_one_file_are_compared_exactly_where_values_are_points():
    ours = np.array([[1, 1.0], [0, 2.0]], np.float32)
    near = ours + np.float32([0, 1e-3])
    exact = np.array([True, False])
    assert compare.same_values(ours, near, exact)
    assert not compare.same_values(ours, near, ~exact)
    assert not compare.same_values(ours, near + np.float32(0.1), exact)
    assert not compare.same_values(ours, near[:1], exact)
    assert compare.same_values(ours[:, 0], near[:, 0])
