import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from made_tf import data
from made_tf.cli import main
from made_tf.export.runtime import LiteSampler
from made_tf.reproduction import demo


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    output = tmp_path_factory.mktemp("demo") / "new" / "folder"
    arguments = ["demo", "--output", str(output), "--epochs", "8", "--seed", "1"]
    return CliRunner().invoke(main, arguments, catch_exceptions=False), output


def test_the_folder(result):
    outcome, output = result
    assert outcome.exit_code == 0, outcome.output
    assert sorted(path.name for path in output.iterdir()) == [
        "history.csv",
        "made.tflite",
        "model.keras",
        "report.json",
        "samples.png",
    ]
    assert len((output / "history.csv").read_text().splitlines()) == 9
    assert (output / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_the_report(result):
    outcome, output = result
    report = json.loads((output / "report.json").read_text())
    nll = report["test_nll_nats"]
    independent, mixture, made = nll.values()
    assert independent > mixture
    assert independent > made  # eight epochs are not enough to beat the mixture as well
    test = data.load_digits(1).test
    device = LiteSampler(output / "made.tflite")
    assert -device.log_prob(test).mean() == pytest.approx(made, rel=1e-5)
    assert keras.saving.load_model(output / "model.keras").event_size == 64
    assert report["samples_different_on_device"] == 0
    assert "agree bit for bit in all 10,000 samples" in outcome.stdout
    # The page opens the file as it is, and the command for it is the last line.
    assert {"sample_1", "sample_16"} <= set(device.signatures)
    assert device.metadata["image_shape"] == [8, 8]
    card = device.metadata["card"]
    assert card["metrics"] == {f"NLL of {len(test)} test digits, in nats": round(made, 3)}
    assert f"{len(data.load_digits(1).train)} of the 8x8" in card["data"]
    assert card["intended_use"] and card["limitations"]
    assert outcome.stdout.splitlines()[-1].endswith(f"made-tf serve {output / 'made.tflite'}")
    for value in nll.values():
        assert f"{value:.3f} nats" in outcome.stdout


def test_independent_pixels():
    train = np.array([[0, 1], [0, 1], [1, 1]], np.float32)
    x = np.array([[1, 0]], np.float32)
    assert demo.independent_bernoulli(train, x) == pytest.approx(-np.log(2 / 5 * 1 / 5))


def test_a_mixture_finds_two_clusters():
    rng = np.random.default_rng(0)
    centres = np.repeat([[0.0, 1.0]], 6, axis=0).T  # all zeros, all ones
    x = centres[rng.integers(0, 2, 600)]
    x = np.abs(x - (rng.random(x.shape) < 0.1))
    nll, components = demo.bernoulli_mixture(x[:400], x[400:500], x[500:], components=(1, 2))
    assert components == 2
    p = np.where(centres == 1, 0.9, 0.1)
    exact = [np.log(0.5 * sum(np.prod(np.where(row, q, 1 - q)) for q in p)) for row in x[500:]]
    assert nll == pytest.approx(-np.mean(exact), abs=0.1)


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    outcome = CliRunner().invoke(main, ["demo", "--output", str(tmp_path / "file" / "demo")])
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("Error: ")
    assert outcome.stderr.count("\n") == 1
