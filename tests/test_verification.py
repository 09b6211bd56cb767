import keras
import numpy as np
import pytest
import reference

from made_tf import verification


@pytest.mark.parametrize("family", reference.FAMILIES)
def test_a_model_is_autoregressive_and_its_dependencies_are_the_allowed_ones(family):
    report = verification.check_autoregressive(reference.small_model(family))
    assert report and report.holds and report.violations == []
    np.testing.assert_array_equal(report.depends, reference.allowed(reference.small_model(family)))
    np.testing.assert_array_equal(report.allowed, report.connected)
    assert "10 dependencies" in str(report)


def unmask(model, layer):
    """Takes the mask out of one layer's forward pass, and fills what it forbade."""
    layer.mask.apply = lambda kernel: kernel
    layer.kernel.assign(np.random.default_rng(0).normal(size=layer.kernel.shape))


@pytest.mark.parametrize("family", ["bernoulli", "ragged", "normal"])
def test_a_leak_is_found_and_named(family):
    model = reference.small_model(family)
    unmask(model, model.direct_layer)
    report = verification.check_autoregressive(model)
    assert not report
    expected = {(i, j) for i in range(5) for j in range(5)} - {
        (i, j) for i, j in np.argwhere(reference.allowed(model))
    }
    assert set(report.violations) == expected
    assert "NOT autoregressive, 15 violations: output 0 sees input 0" in str(report)


def test_a_leak_that_no_row_shows_is_found_by_structure():
    model = reference.small_model(activation="relu")
    layer = model.hidden_layers[0]
    layer.mask.apply = lambda kernel: kernel
    layer.kernel.assign(np.ones(layer.kernel.shape))
    layer.bias.assign(np.full(layer.units, -50.0))  # off in every row
    report = verification.check_autoregressive(model)
    assert not report and not (report.depends & ~report.allowed).any()


def test_residual_connections_alone_are_seen():
    kwargs = {"hidden_units": (12, 12), "residual": True, "direct_connections": False}
    model = reference.small_model(**kwargs)
    model.hidden_layers[1].kernel.assign(np.zeros((12, 12)))
    report = verification.check_autoregressive(model)
    assert report and np.array_equal(report.depends, report.allowed)


def test_what_cannot_be_checked_is_refused():
    model = reference.small_model()
    with pytest.raises(ValueError, match="`num_rows` must be a positive integer"):
        verification.check_autoregressive(model, num_rows=0)
    with pytest.raises(ValueError, match="must be a made_tf.MADE"):
        verification.check_autoregressive("x")
    model.output_layer.bias.assign([np.nan] * 5)
    with pytest.raises(ValueError, match="finite parameters"):
        verification.check_autoregressive(model)


@pytest.mark.parametrize("family", reference.DISCRETE)
def test_all_states_together_have_probability_one(family):
    model = reference.small_model(family)
    assert verification.total_probability(model) == pytest.approx(1, abs=1e-6)
    exact = np.exp(reference.log_prob(model, reference.states(model))).sum()
    assert exact == pytest.approx(1, abs=1e-12)


def test_a_leaking_model_is_not_normalised():
    model = reference.small_model("bernoulli")
    unmask(model, model.direct_layer)
    assert abs(verification.total_probability(model) - 1) > 0.01


def test_more_states_than_one_chunk():
    model = reference.small_model("bernoulli", event_size=14)
    assert verification.total_probability(model) == pytest.approx(1, abs=1e-5)


def test_what_cannot_be_enumerated_is_refused():
    with pytest.raises(ValueError, match="at most 20 variables.*event_size=21"):
        verification.total_probability(reference.small_model(event_size=21))
    with pytest.raises(ValueError, match="at most 1048576 states"):
        verification.total_probability(reference.small_model("categorical", event_size=13))
    with pytest.raises(ValueError, match="must be discrete"):
        verification.total_probability(reference.small_model("normal"))


def test_stored_weights_off_the_mask_are_counted():
    model = reference.small_model()
    names = ["hidden_1", "hidden_2", "output", "direct"]
    assert verification.mask_violations(model) == dict.fromkeys(names, 0)
    kernel = np.array(model.direct_layer.kernel)
    kernel[0, 0] = kernel[4, 4] = np.nan
    model.direct_layer.kernel.assign(kernel)
    assert verification.mask_violations(model) == {**dict.fromkeys(names, 0), "direct": 2}
    assert verification.check_autoregressive(model)  # the forward pass masks them
    model.direct_layer.project()
    assert verification.mask_violations(model)["direct"] == 0
    assert verification.mask_violations(reference.small_model(num_masks=2)) == {}


def small_encoder():
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(6, activation="relu"), keras.layers.Dense(3)]
    )


@pytest.mark.parametrize("family", reference.DISCRETE)
def test_a_model_with_a_context_is_checked_at_one(family):
    model = reference.small_model(family, context=3)
    report = verification.check_autoregressive(model)
    assert report and report.depends.sum() == 10
    context = np.array([1.0, -2.0, 0.5])
    at_one = verification.check_autoregressive(model, context=context)
    np.testing.assert_array_equal(at_one.depends, report.depends)
    assert verification.total_probability(model, context) == pytest.approx(1, abs=1e-5)
    unmask(model, model.direct_layer)
    assert not verification.check_autoregressive(model, context=context)
    assert abs(verification.total_probability(model, context) - 1) > 0.01


def test_a_model_with_an_encoder_is_checked_at_one_input():
    model = reference.small_model(context=small_encoder())
    context = np.array([[1.0, -2.0, 0.5, 3.0]])
    assert verification.check_autoregressive(model, context=context)
    assert verification.total_probability(model, context) == pytest.approx(1, abs=1e-5)
    for wrong in (context[0], np.repeat(context, 2, axis=0)):
        with pytest.raises(ValueError, match="with one row. Received: parts of shapes"):
            verification.total_probability(model, wrong)
    for check in (verification.check_autoregressive, verification.total_probability):
        with pytest.raises(ValueError, match="`context` must be given"):
            check(model)


def test_a_context_that_does_not_suit_is_refused():
    for check in (verification.check_autoregressive, verification.total_probability):
        with pytest.raises(ValueError, match="`context` must be None"):
            check(reference.small_model(), context=np.zeros(3))
        for wrong in (np.zeros(2), np.zeros((1, 3)), [0.0, np.nan, 0.0]):
            with pytest.raises(ValueError, match=r"`context` must be finite, of shape \[3\]"):
                check(reference.small_model(context=3), context=wrong)
    with pytest.raises(ValueError, match="`context` must be given"):
        verification.total_probability(reference.small_model(context=3))


def test_weights_that_are_not_finite_are_found_in_what_reads_a_context():
    model = reference.small_model(context=small_encoder())
    assert verification.not_finite(model) == []
    layer, (first, second) = model.context_layers[-1], model.context_encoder.layers
    layer.kernel.assign(np.full(layer.kernel.shape, np.inf))
    second.bias.assign(np.full(3, np.nan))
    name = f"{model.context_encoder.name}/{second.name}"
    assert verification.not_finite(model) == ["context_output", name]
    first.kernel.assign(np.full(first.kernel.shape, np.nan))
    assert len(verification.not_finite(model)) == 3
