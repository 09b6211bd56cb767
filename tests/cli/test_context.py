"""The commands on models of p(x | context)."""

import json
import os

import keras
import numpy as np
import pytest
import reference
from command_line import fails, make_rows, run

import made_tf
from made_tf import export, scoring

WIDTH = 3


def small_encoder():
    return keras.Sequential([keras.Input((2, 2)), keras.layers.GlobalMaxPooling1D()], name="pool")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Files of models: with a vector, an ensemble of such, with an encoder, without a context."""
    folder = tmp_path_factory.mktemp("context")
    keras.utils.set_random_seed(0)
    options = {"hidden_units": (16,), "seed": 1}
    vector = made_tf.MADE(6, context=WIDTH, num_masks=None, **options)
    members = [made_tf.MADE(6, context=WIDTH, **options) for _ in range(2)]
    for model in (vector, *members):
        for layer in model.context_layers:
            layer.kernel.assign(3 * layer.kernel)  # to be seen in few rows
    vector.save(folder / "vector.keras")
    made_tf.Ensemble(members).save(folder / "ensemble.keras")
    made_tf.MADE(6, context=small_encoder(), **options).save(folder / "encoder.keras")
    run(
        *("export", folder / "vector.keras", "-o", folder / "vector.tflite"),
        *("--signatures", "sample,log_prob", "--context-names", "a,b,c"),
    )
    reference.small_model("bernoulli", 6).save(folder / "plain.keras")
    return folder


@pytest.fixture
def contexts(tmp_path):
    """Contexts for 40 rows in a `.csv`, one for all in an `.npz` of several arrays."""
    values = np.random.default_rng(0).normal(size=(40, WIDTH)).astype(np.float32)
    lines = ["a,b,c", *(",".join(f"{value:.9g}" for value in row) for row in values)]
    (tmp_path / "each.csv").write_text("\n".join(lines))
    np.savez(tmp_path / "one.npz", other=np.zeros((2, 2)), context=values[:1])
    return values


def drawn(source, tmp_path, context, num=40):
    run("sample", source, "-n", num, "-o", tmp_path / "s.npz", "--seed", 3, "--context", context)
    return np.load(tmp_path / "s.npz")["x"]


def test_sample_given_one_context_or_one_for_each_row(models, tmp_path, contexts, monkeypatch):
    monkeypatch.setattr("made_tf.cli.opening._ROWS", 16)  # fewer than there are
    loaded = keras.saving.load_model(models / "vector.keras")
    device = export.LiteSampler(models / "vector.tflite")
    one = made_tf.MADEDistribution(loaded, context=contexts[0]).sample(40, seed=3)
    each = made_tf.MADEDistribution(loaded, context=contexts).sample(1, seed=3)[0]
    np.testing.assert_array_equal(each, device.sample(40, seed=3, context=contexts))
    assert (one.numpy() != each.numpy()).any()
    for source in (models / "vector.keras", models / "vector.tflite"):
        np.testing.assert_array_equal(drawn(source, tmp_path, tmp_path / "one.npz"), one)
        np.testing.assert_array_equal(drawn(source, tmp_path, tmp_path / "each.csv"), each)


def test_sample_from_an_ensemble(models, tmp_path, contexts):
    source = models / "ensemble.keras"
    ensemble = keras.saving.load_model(source)
    each = made_tf.EnsembleDistribution(ensemble, context=contexts).sample(1, seed=3)[0]
    np.testing.assert_array_equal(drawn(source, tmp_path, tmp_path / "each.csv"), each)


def test_evaluate_given_contexts(models, tmp_path, contexts):
    x = make_rows(40, 5)
    np.savez(tmp_path / "x.npz", x)
    for name in ("vector", "ensemble"):
        loaded = keras.saving.load_model(models / f"{name}.keras")
        for file, given in (("each.csv", contexts), ("one.npz", np.repeat(contexts[:1], 40, 0))):
            expected = scoring.mean_nll(loaded, x, given)[0]
            for kind in (".keras", ".tflite") if name == "vector" else (".keras",):
                command = ("evaluate", models / f"{name}{kind}", tmp_path / "x.npz", "--json")
                found = json.loads(run(*command, "--context", tmp_path / file).stdout)
                assert found["nll"] == pytest.approx(expected, rel=1e-4)


def test_impute_given_contexts(models, tmp_path, contexts, monkeypatch):
    monkeypatch.setattr("made_tf.cli.impute._ROWS", 16)
    x = make_rows(40, 5).astype(np.float32)
    x[np.random.default_rng(1).random(x.shape) < 0.5] = np.nan
    np.savez(tmp_path / "x.npz", x)
    loaded = keras.saving.load_model(models / "vector.keras")
    found = []
    for file, given in (("each.csv", contexts), ("one.npz", contexts[0])):
        command = ("impute", models / "vector.keras", tmp_path / "x.npz", "--seed", 2)
        run(*command, "-o", tmp_path / "f.npz", "--context", tmp_path / file)
        found.append(np.load(tmp_path / "f.npz")["x"])
        expected = made_tf.MADEDistribution(loaded, context=given).impute(x, seed=2)
        np.testing.assert_array_equal(found[-1], expected)
    assert (found[0] != found[1]).any()


def test_a_row_of_a_table_may_be_the_input_of_an_encoder(models, tmp_path):
    source = models / "encoder.keras"
    (tmp_path / "c.csv").write_text("0.5,-1,2,0.25\n")
    loaded = keras.saving.load_model(source)
    context = np.float32([[0.5, -1], [2, 0.25]])
    expected = made_tf.MADEDistribution(loaded, context=context).sample(40, seed=3)
    np.testing.assert_array_equal(drawn(source, tmp_path, tmp_path / "c.csv"), expected)


def test_files_tell_their_context(models):
    facts = json.loads(run("inspect", models / "vector.keras", "--json").stdout)
    assert facts["context"] == {"shape": [3], "size": 3, "encoder": None}
    assert "context: 3 numbers\n" in run("inspect", models / "vector.keras").stdout
    facts = json.loads(run("inspect", models / "encoder.keras", "--json").stdout)
    assert facts["context"] == {"shape": [2, 2], "size": 2, "encoder": "pool"}
    text = run("inspect", models / "encoder.keras").stdout
    assert "context: 2 numbers, which the model 'pool' makes of 2 x 2 numbers" in text
    facts = json.loads(run("inspect", models / "vector.tflite", "--json").stdout)
    assert facts["metadata"]["context"] == {"shape": [3], "names": ["a", "b", "c"]}
    text = run("inspect", models / "vector.tflite").stdout
    assert "context: 3 numbers: a, b, c" in text and "context float32 [n, 3]" in text
    assert json.loads(run("inspect", models / "plain.keras", "--json").stdout)["context"] is None
    assert "context" not in run("inspect", models / "plain.keras").stdout


def test_a_context_that_does_not_suit_is_told(models, tmp_path, contexts):
    del contexts
    np.savez(tmp_path / "x.npz", make_rows(40, 5))
    np.savez(tmp_path / "wide.npz", np.zeros((40, 4)))
    np.savez(tmp_path / "few.npz", np.zeros((5, WIDTH)))
    before = sorted(os.listdir(tmp_path))
    output = ("-o", tmp_path / "f.npz")
    for kind in ("keras", "tflite"):
        source = models / f"vector.{kind}"
        commands = [
            ("sample", source, "-n", 40, *output),
            ("evaluate", source, tmp_path / "x.npz", "--per-row", tmp_path / "f.npz"),
            ("impute", source, tmp_path / "x.npz", *output),
        ]
        for command in commands if kind == "keras" else commands[:2]:
            assert "--context must be given: " in fails(*command)
            message = fails(*command, "--context", tmp_path / "wide.npz")
            assert "must have the 3 column(s) of the context of" in message
            assert message.endswith("Received: 4 columns")
            message = fails(*command, "--context", tmp_path / "few.npz")
            assert "one row for all, or one for each of the 40 rows. Received: 5 rows" in message
            assert "does not exist" in fails(*command, "--context", tmp_path / "no.csv")
    given = ("--context", tmp_path / "one.npz")
    for command in (
        ("sample", models / "plain.keras", *output),
        ("evaluate", models / "plain.keras", tmp_path / "x.npz"),
        ("impute", models / "plain.keras", tmp_path / "x.npz", *output),
    ):
        assert "--context must not be given: " in fails(*command, *given)
    assert sorted(os.listdir(tmp_path)) == before


def test_export_of_a_model_with_a_context(models, tmp_path, contexts):
    del contexts
    np.savez(tmp_path / "x.npz", make_rows(40, 5))
    output = tmp_path / "made.tflite"
    command = ("export", models / "vector.keras", "-o", output)
    assert "--context must be given" in fails(*command, "--data", tmp_path / "x.npz")
    assert "--context goes with --data" in fails(*command, "--context", tmp_path / "each.csv")
    message = fails(*command, "--context-names", "a,b")
    assert "a text for each of the 3 numbers" in message and "--context-names" in message
    micro = fails(*command, "--micro", "--context-names", "a,b,c")
    assert "--micro goes with MODEL, --output, --licence and --card alone" in micro
    assert "`model` must have no context" in fails(*command, "--micro")
    assert not output.exists()
    options = ("--signatures", "log_prob", "--context", tmp_path / "one.npz")
    result = run(*command, "--data", tmp_path / "x.npz", *options)
    assert "NLL" in result.stdout and output.exists()
