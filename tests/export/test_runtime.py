import concurrent.futures
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import reference

import made_tf
from made_tf import export
from made_tf.export.runtime import LiteSampler

GOLDEN = reference.GOLDEN


@pytest.fixture(scope="module")
def path(small_file):
    return pathlib.Path(small_file()[1].path)


@pytest.fixture(scope="module")
def device(path):
    return LiteSampler(path)


def test_the_runtime_imports_neither_tensorflow_nor_keras(path):
    code = (
        "import sys\n"
        "from made_tf.export.runtime import LiteSampler\n"
        f"device = LiteSampler({str(path)!r})\n"
        "x = device.sample(3, seed=7)\n"
        "print(device.log_prob(x).shape, device.conditionals(x)['logits'].shape)\n"
        "heavy = {'tensorflow', 'keras', 'tf_keras', 'tensorflow_probability', 'jax'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert found.stdout.splitlines() == ["(3,) (3, 5)", "[]"]


def test_rows_do_not_depend_on_how_many_are_drawn_or_how(device):
    rows = device.sample(50, seed=7)
    np.testing.assert_array_equal(device.sample(16, seed=7), rows[:16])
    np.testing.assert_array_equal(device.sample(50, seed=7, batch_size=7), rows)
    pieces = list(device.stream(50, seed=7, batch_size=20))
    assert [len(piece) for piece in pieces] == [20, 20, 10]
    np.testing.assert_array_equal(np.concatenate(pieces), rows)
    np.testing.assert_array_equal(device.sample_from(np.array([[7, 49]], np.int32)), rows[49:])
    assert (device.sample(50, seed=8) != rows).any()
    np.testing.assert_array_equal(device.log_prob(rows, batch_size=7), device.log_prob(rows))


@pytest.fixture(scope="module")
def real_device(tmp_path_factory, unverified):
    """A model of all orders with real columns, whose last bits tell how LiteRT has multiplied."""
    model = reference.small_model("scaled_normal", num_masks=None, hidden_units=(32, 32))
    path = tmp_path_factory.mktemp("real") / "made.tflite"
    with unverified():
        export.to_tflite(model, path)
    return LiteSampler(path)


@pytest.mark.parametrize("size", [1, 3, 7, 33, 1000])
def test_the_bits_of_a_row_do_not_depend_on_how_many_are_asked_at_once(real_device, size):
    rows = real_device.sample(203, seed=7)
    np.testing.assert_array_equal(real_device.sample(203, seed=7, batch_size=size), rows)
    np.testing.assert_array_equal(
        real_device.log_prob(rows, batch_size=size), real_device.log_prob(rows)
    )
    gaps = np.where(np.random.default_rng(0).random(rows.shape) < 0.4, np.nan, rows)
    filled = real_device.impute(gaps, seed=3)
    np.testing.assert_array_equal(real_device.impute(gaps, seed=3, batch_size=size), filled)
    some = np.array([150, 7, 202, 8])
    np.testing.assert_array_equal(real_device.sample_rows(some, 7, batch_size=size), rows[some])
    np.testing.assert_array_equal(
        real_device.impute(gaps[some], 3, batch_size=size, first_row=some), filled[some]
    )
    np.testing.assert_array_equal(real_device.impute(gaps[100:], 3, first_row=100), filled[100:])
    one = real_device.conditionals(rows[5:6])
    for name, values in real_device.conditionals(rows).items():
        np.testing.assert_array_equal(one[name][0], values[5])


@pytest.mark.parametrize("first_row", [-1, 1.5, np.zeros(2), np.zeros(3, int), "3"])
def test_numbers_of_rows_are_checked(real_device, first_row):
    with pytest.raises(ValueError, match="`first_row` must be"):
        real_device.impute(np.zeros((2, real_device.event_size)), first_row=first_row)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.sample_rows(np.array([], int)), "`seeds`.*at least 1"),
        (lambda d: d.sample(0), "`num_samples` must be an integer in"),
        (lambda d: d.sample(2.0), "`num_samples`.*Received: num_samples=2.0"),
        (lambda d: d.sample(True), "`num_samples`"),
        (lambda d: d.sample(2, seed=2**31), "`seed`"),
        (lambda d: d.sample(2, seed=0.5), "`seed`"),
        (lambda d: d.sample(2, batch_size=0), "`batch_size`"),
        (lambda d: d.sample_from(np.zeros((2, 2))), "`seeds` must be int32.*float64"),
        (lambda d: d.sample_from(np.zeros((2, 3), np.int32)), "`seeds`.*(2, 3)"),
        (lambda d: d.sample_from(np.zeros((0, 2), np.int32)), "`seeds`.*at least 1"),
        (lambda d: d.log_prob(np.zeros((2, 4))), r"`x` must have the shape \[n, 5\]"),
        (lambda d: d.log_prob(np.zeros(5)), "`x`"),
        (lambda d: d.log_prob(np.zeros((0, 5))), "`x`.*at least 1"),
        (lambda d: d.conditionals(np.full((2, 5), np.nan)), r"finite. Received: x\[0, 0\]=nan"),
        (lambda d: d.log_prob(np.full((2, 5), np.inf)), r"finite. Received: x\[0, 0\]=inf"),
        (lambda d: d.log_prob([[0, 1, 0, 1, 1], [0, 1, 7, 1, 0]]), r"support.*x\[1\]=\[0. 1. 7."),
        (lambda d: d.log_prob(np.full((2, 5), 0.5)), "support"),
        (lambda d: d.log_prob([["a"] * 5]), "could not convert"),
    ],
)
def test_bad_input_is_refused(device, call, message):
    with pytest.raises(ValueError, match=message):
        call(device)
    assert device.sample(2).shape == (2, 5)  # and the device still works


def test_threads_may_share_a_sampler(device):
    sizes = [3, 50, 200, 700]
    expected = {n: device.sample(n, seed=n) for n in sizes}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for n, rows in pool.map(lambda n: (n, device.sample(n, n)), sizes * 5):
            np.testing.assert_array_equal(rows, expected[n])


def test_a_wrong_number_of_threads_is_refused(path):
    with pytest.raises(ValueError, match="`num_threads` must be a positive integer"):
        LiteSampler(path, num_threads=0)


def test_a_missing_file_is_told():
    with pytest.raises(FileNotFoundError, match="No such file: nowhere.tflite"):
        LiteSampler("nowhere.tflite")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, tmp_path, share):
    content = path.read_bytes()
    short = tmp_path / "short.tflite"
    short.write_bytes(content[: int(share * len(content))])
    for reader in (LiteSampler, export.inspect_tflite):
        with pytest.raises(ValueError, match="complete LiteRT model"):
            reader(short)


def test_a_foreign_file_is_refused(tmp_path):
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(b"PK\x03\x04 no flatbuffer at all" * 100)
    with pytest.raises(ValueError, match="complete LiteRT model"):
        LiteSampler(foreign)


def test_a_model_of_another_kind_is_refused_and_can_be_inspected(tmp_path):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def double(x):
        return {"y": 2 * x}

    tf.saved_model.save(tf.Module(), tmp_path / "saved", signatures={"double": double})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    other = tmp_path / "other.tflite"
    other.write_bytes(converter.convert())
    with pytest.raises(ValueError, match="made_tf exported.*without"):
        LiteSampler(other)
    assert export.inspect_tflite(other)["event_size"] is None


@pytest.mark.parametrize("family", ["bernoulli", "categorical", "normal"])
def test_what_was_exported_by_an_earlier_version_opens(family):
    expected = np.load(GOLDEN / f"tflite-0.1.0-{family}.npz")
    device = LiteSampler(GOLDEN / f"made-0.1.0-{family}.tflite")
    rows = device.sample(len(expected["x"]), seed=7)
    np.testing.assert_allclose(rows, expected["x"], rtol=0 if family != "normal" else 1e-4)
    np.testing.assert_allclose(device.log_prob(rows), expected["log_prob"], atol=1e-4)


def test_lazy_names():
    assert made_tf.export.LiteSampler is LiteSampler
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        made_tf.export.nothing  # noqa: B018
