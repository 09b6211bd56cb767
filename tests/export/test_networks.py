"""Files of models of many masks: mixtures with one copy of the weights, and `impute`."""

import functools

import keras
import numpy as np
import pytest
import reference

import made_tf
from made_tf import export
from made_tf.export.checks import verify
from made_tf.export.runtime import LiteSampler

CASES = {
    "one order": ("categorical", {"num_masks": None, "resample": "order"}, 1),
    "ragged": ("ragged", {"num_masks": None, "mask_weights": True, "input_order": "random"}, 3),
    "scaled_normal": ("scaled_normal", {"num_masks": None, "hidden_degrees": "random"}, 2),
    "three masks": ("bernoulli", {"num_masks": 3}, 3),
    "residual": (
        "bernoulli",
        {"num_masks": None, "residual": True, "resample": "evidence", "mask_weights": True},
        2,
    ),
    "evidence": ("ragged", {"evidence_units": (7, 7), "residual": True}, 1),
}


@pytest.fixture(scope="module")
def export_case(tmp_path_factory):
    """Exports a case once: (model, num_orders, report, device)."""

    @functools.cache
    def get(case):
        family, kwargs, num_orders = CASES[case]
        keras.utils.set_random_seed(0)
        model = reference.small_model(family, **kwargs)
        rng = np.random.default_rng(0)
        for weight in model.trainable_variables if model.conditionals.is_discrete.all() else ():
            # (Of real values, one unit in the last place would then move densities by 0.01 nats.)
            weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
        path = tmp_path_factory.mktemp("orders") / "made.tflite"
        report = export.to_tflite(model, path, num_orders=num_orders)
        return model, num_orders, report, LiteSampler(path)

    return get


@pytest.fixture(params=CASES)
def exported(request, export_case):
    return export_case(request.param)


@pytest.fixture(scope="module")
def of_two_orders(export_case):
    """A model of all orders, and a file that mixes two of them."""
    model, num_orders, report, _ = export_case("residual")
    assert num_orders == 2
    return model, report.path


def assert_same(ours, theirs, model):
    if model.conditionals.is_discrete.all():
        np.testing.assert_array_equal(ours, theirs)
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def with_gaps(rows, seed=0):
    """The rows with NaN: the first half lack the same values, the others their own."""
    known = np.random.default_rng(seed).random(rows.shape) < 0.5
    known[: len(rows) // 2] = known[0]
    known[-1] = True
    known[-2] = False
    return np.where(known, rows, np.nan)


def test_host_and_device_draw_and_score_alike(exported):
    model, num_orders, _, device = exported
    dist = made_tf.MADEDistribution(model, num_orders=num_orders)
    rows = device.sample(500, seed=7)
    assert_same(rows, dist.sample(500, seed=7).numpy(), model)
    np.testing.assert_array_equal(device.sample(16, seed=7), rows[:16])
    expected = model.log_prob(rows, num_orders).numpy()
    tolerance = 1e-4
    if (
        not model.conditionals.is_discrete.all()
    ):  # what the last place of a value does to its density
        moved = [model.log_prob(rows + sign * np.spacing(rows), num_orders) for sign in (-1, 1)]
        tolerance = 1e-4 + 8 * np.abs(np.stack(moved) - expected).max(axis=0)
    assert (np.abs(device.log_prob(rows) - expected) <= tolerance).all()
    own = model.conditionals.unpack(model(rows[:9]))
    for name, values in device.conditionals(rows[:9]).items():
        np.testing.assert_allclose(values, own[name], rtol=1e-4, atol=1e-4)


def test_the_file_is_normalised(exported):
    model, _, _, device = exported
    if not model.conditionals.is_discrete.all():
        pytest.skip("infinitely many states")
    log_probs = device.log_prob(reference.states(model))
    assert np.exp(log_probs.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


def test_host_and_device_fill_in_the_same_values(exported):
    model, num_orders, report, device = exported
    rows = with_gaps(device.sample(40, seed=1))
    if not model.answers_all:
        assert "impute" not in report.signatures
        with pytest.raises(
            ValueError, match="no signature .impute.: export it of a model of all orders"
        ):
            device.impute(rows)
        return
    filled = device.impute(rows, seed=5)
    assert not np.isnan(filled).any()
    known = ~np.isnan(rows)
    np.testing.assert_array_equal(filled[known], rows[known].astype(np.float32))
    dist = made_tf.MADEDistribution(model, num_orders=num_orders)
    assert_same(filled, dist.impute(rows, seed=5), model)
    # Neither the other rows nor the batches matter.
    assert_same(device.impute(rows, seed=5, batch_size=3), filled, model)
    assert_same(device.impute(rows[:7], seed=5), filled[:7], model)


def test_patterns_may_be_mixed_within_one_call(exported):
    # The runtime groups rows before it calls; other callers of the signature need not.
    model, _, _, device = exported
    if not model.answers_all:
        pytest.skip("a fixed set of orders")
    rows = with_gaps(device.sample(12, seed=1))
    known = ~np.isnan(rows)
    seeds = np.stack([np.full(12, 5), np.arange(12)], axis=1).astype(np.int32)
    filled = device.run(
        "impute",
        x=np.where(known, rows, 0).astype(np.float32),
        observed=known.astype(np.int32),
        seeds=seeds,
    )["x"]
    assert_same(filled, device.impute(rows, seed=5), model)


def test_values_are_filled_in_from_their_conditional(tmp_path, unchecked):
    model = reference.small_model(num_masks=None)
    model.compile("adam")
    x = reference.rows(model.conditionals, 300, 5)
    x[:, 4] = x[:, 0]
    model.fit(x, epochs=15, verbose=0)
    export.to_tflite(model, tmp_path / "made.tflite", signatures="impute")
    row = np.array([[np.nan, 1, np.nan, np.nan, 1]])  # later evidence counts
    count = 4000
    drawn = LiteSampler(tmp_path / "made.tflite").impute(np.repeat(row, count, axis=0), seed=3)
    missing = np.isnan(row[0])
    dist = made_tf.MADEDistribution(model).condition(row[0])
    values = np.array(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), np.float32).reshape(3, -1).T
    expected = count * np.exp(dist.log_prob(values).numpy().astype(np.float64))
    found = np.bincount(drawn[:, missing].astype(int) @ [4, 2, 1], minlength=8)
    assert ((found - expected) ** 2 / expected).sum() < 26.0  # chi-squared, 7: p = 5e-4


def test_orders_share_one_copy_of_the_weights(tmp_path, unchecked):
    model = made_tf.MADE(200, (200,), num_masks=None, seed=0)
    for count in (1, 16):
        path = tmp_path / f"{count}.tflite"
        export.to_tflite(model, path, block_length=100, num_orders=count)
    few, many = (export.inspect_tflite(tmp_path / f"{count}.tflite") for count in (1, 16))
    weights = 4 * model.count_params()
    assert weights < few["size_bytes"] < many["size_bytes"] < 1.6 * weights
    # Degrees, 4 bytes a unit and order.
    assert many["size_bytes"] - few["size_bytes"] < 0.4 * weights
    assert not [name for name in many["ops"] if "CUSTOM" in name or "FLEX" in name.upper()]


@pytest.mark.parametrize("wrong", ["sample", "log_prob", "impute", "impute observed"])
def test_each_signature_is_compared(of_two_orders, monkeypatch, wrong):
    model, path = of_two_orders
    name, _, part = wrong.partition(" ")
    method = getattr(LiteSampler, name)

    def spoiled(self, x, *args):
        found = method(self, x, *args)
        if name != "impute":
            return 1 - found if name == "sample" else found + 2e-3
        changed = ~np.isnan(x) if part == "observed" else np.isnan(x)
        return np.where(changed, 1 - found, found)

    monkeypatch.setattr(LiteSampler, name, spoiled)
    with pytest.raises(export.ExportError):
        verify.verify_tflite(model, path, num_orders=2)


def test_a_file_of_other_orders_is_not_the_model(of_two_orders):
    model, path = of_two_orders
    verify.verify_tflite(model, path, num_orders=2)
    with pytest.raises(export.ExportError):
        verify.verify_tflite(model, path, num_orders=3)


def test_bad_input_is_refused(tmp_path, export_case):
    model = reference.small_model("ragged", num_masks=None)
    with pytest.raises(ValueError, match="`num_orders` must be a positive integer"):
        export.to_tflite(model, tmp_path / "made.tflite", num_orders=0)
    with pytest.raises(ValueError, match="`num_orders` must be at most"):
        export.to_tflite(reference.small_model(), tmp_path / "made.tflite", num_orders=2)
    assert list(tmp_path.iterdir()) == []
    *_, device = export_case("ragged")
    row = np.full((2, 5), np.nan)
    for call, message in [
        (lambda: device.impute(row[:, :4]), "`x` must have the shape"),
        (lambda: device.impute(row[0]), "`x` must have the shape"),
        (lambda: device.impute(np.where(row > 0, row, np.inf)), "must be finite"),
        (lambda: device.impute([[0, 0, 0, 0, 0], [9, *[np.nan] * 4]]), r"support.*x\[1\]=\[9"),
        (lambda: device.impute(row, seed=2**31), "`seed` must be an integer"),
        (lambda: device.impute(row, batch_size=0), "`batch_size`"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    assert not np.isnan(device.impute(row)).any()  # and the device still works
