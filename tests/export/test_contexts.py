"""Files of p(x | context): one more input of every signature, and what reads it."""

import keras
import numpy as np
import pytest

from made_tf import MADE, MADEDistribution, export
from made_tf.scoring import log_prob

SIZE, WIDTH, SEED = 5, 3, 11
CONTEXT = np.random.default_rng(0).normal(size=(40, WIDTH)).astype("float32")


def picture_encoder():
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(3, 2, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
        ]
    )


KINDS = {
    "vector": ({"context": WIDTH}, {"signatures": "all", "batch_sizes": [4]}),
    "all orders": (
        {"context": WIDTH, "num_masks": None, "mask_weights": True},
        {"signatures": ["sample", "log_prob", "impute"], "weights": "float16"},
    ),
    "encoder": ({"hidden_units": (8, 8), "residual": True}, {"weights": "int8"}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Kind -> the model, the file and its report; each written once."""
    made = {}

    def get(kind):
        if kind not in made:
            arguments, options = KINDS[kind]
            keras.utils.set_random_seed(0)
            arguments = (
                {"context": picture_encoder(), **arguments} if kind == "encoder" else arguments
            )
            model = MADE(SIZE, **{"hidden_units": (12,), "seed": 0, **arguments})
            for layer in model.context_layers:
                layer.kernel.assign(2 * np.asarray(layer.kernel))
            path = tmp_path_factory.mktemp("files") / "made.tflite"
            made[kind] = model, export.LiteSampler, export.to_tflite(model, path, **options)
        model, reader, report = made[kind]
        return model, reader(report.path), report

    return get


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_answers_for_each_row_of_the_context(files, kind):
    model, device, report = files(kind)
    assert report.rows_different == 0 and report.max_log_prob_difference < 1e-4
    shape = device.context_shape
    context = np.random.default_rng(1).normal(size=(40, *shape)).astype("float32")
    assert all("context" in device.inputs(name) for name in device.signatures)
    rows = device.sample(40, seed=SEED, context=context, batch_size=16)
    for index in (0, 17):
        one = device.sample(40, seed=SEED, context=context[index])
        np.testing.assert_array_equal(one[index], rows[index])
    scores = device.log_prob(rows, context=context)
    close = {"encoder": 0.5, "all orders": 0.02}.get(kind, 1e-4)  # int8, float16
    np.testing.assert_allclose(scores, log_prob(model, rows, context=context), atol=close)
    assert np.abs(scores - device.log_prob(rows, context=-context)).max() > 0.1


def test_rows_are_those_of_the_host(files):
    model, device, _ = files("vector")
    host = MADEDistribution(model, context=CONTEXT[1]).sample(40, seed=SEED)
    np.testing.assert_array_equal(device.sample(40, seed=SEED, context=CONTEXT[1]), host)
    seeds = np.stack([np.full(40, SEED), np.arange(40)], axis=1).astype(np.int32)
    np.testing.assert_array_equal(device.sample_from(seeds, CONTEXT[1]), host)
    warm = device.sample_at_temperature(seeds, 1.0, context=CONTEXT[1])
    np.testing.assert_array_equal(warm, host)
    x, scores = device.sample_and_log_prob(seeds, context=CONTEXT[1])
    np.testing.assert_array_equal(x, host)
    np.testing.assert_allclose(scores, device.log_prob(x, context=CONTEXT[1]), atol=1e-5)


def test_rows_are_filled_in_as_on_the_host(files):
    model, device, _ = files("all orders")
    rng = np.random.default_rng(2)
    rows = np.where(rng.random((40, SIZE)) < 0.5, np.nan, 1.0).astype("float32")
    filled = device.impute(rows, SEED, context=CONTEXT)
    host = MADEDistribution(model, context=CONTEXT).impute(rows, seed=SEED)
    assert (filled != host).any(axis=1).sum() <= 1  # float16 moves steps of the distributions


def test_the_file_tells_its_context_and_data_are_scored_with_theirs(tmp_path):
    model = MADE(SIZE, (8,), context=WIDTH)
    rows = np.zeros((40, SIZE), np.float32)
    report = export.to_tflite(
        model,
        tmp_path / "made.tflite",
        signatures="log_prob",
        weights="int8",
        data=rows,
        context=CONTEXT,
        context_names=["a", "b", "c"],
    )
    assert report.nll_change == pytest.approx(0, abs=0.1)
    device = export.LiteSampler(report.path)
    assert device.metadata["context"] == {"shape": [WIDTH], "names": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": np.zeros((2, SIZE))}, "`context` must have a row for each of `data`"),
        ({"data": np.zeros((2, SIZE)), "context": CONTEXT}, "40 rows for 2 rows"),
        ({"context": CONTEXT[:, :2]}, r"`context` must be finite, of shape \['rows', 3\]"),
        ({"context_names": ["a"]}, "`context_names` must have a text for each of the 3"),
        ({"weights": "static_int8", "calibration": np.zeros((2, SIZE))}, "with a context"),
    ],
)
def test_contexts_that_do_not_suit_write_no_file(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export.to_tflite(MADE(SIZE, (8,), context=WIDTH), tmp_path / "made.tflite", **options)
    assert not list(tmp_path.iterdir())


def test_encoders_that_a_file_cannot_hold_are_refused(tmp_path):
    a, b = keras.Input((2,)), keras.Input((3,))
    encoder = keras.Model([a, b], keras.layers.Concatenate()([a, b]))
    with pytest.raises(ValueError, match=r"one input of numbers.*\[\(2,\), \(3,\)\]"):
        export.to_tflite(MADE(SIZE, (8,), context=encoder), tmp_path / "made.tflite")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda device: device.sample(3), r"`context` must be given, of shape \[3\] or \[3, 3\]"),
        (lambda device: device.sample(4, context=CONTEXT[:3]), r"\[3\] or \[4, 3\].*\(3, 3\)"),
        (lambda device: device.sample(4, context=np.full(3, np.nan)), "`context` must be finite"),
        (lambda device: device.log_prob(np.zeros((2, SIZE))), "`context` must be given"),
        (lambda device: device.conditionals(np.zeros((2, SIZE))), "`context` must be given"),
    ],
)
def test_the_runtime_refuses_contexts_that_do_not_suit(files, call, message):
    with pytest.raises(ValueError, match=message):
        call(files("vector")[1])
