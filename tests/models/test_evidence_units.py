"""Evidence beside the chain: each question has one exact answer, under one mask."""

import itertools

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from scipy.special import logsumexp

import made_tf
from made_tf import masks
from made_tf.conditionals import FAMILIES
from made_tf.networks.evidence import few_parts, fresh_parts
from made_tf.networks.mask_sets import MaskSets
from made_tf.queries.subsets import Queries
from made_tf.verification import not_finite

NAN = np.nan
ORDER = [2, 4, 1, 3]
D = len(ORDER)
FAMILY = [
    made_tf.Categorical(3),
    made_tf.Bernoulli(tells_unknown=True),
    made_tf.Categorical(2),
    made_tf.Bernoulli(tells_unknown=True),
]


def loud(family=FAMILY, **kwargs):
    """A model whose conditionals depend strongly on everything that they see."""
    defaults = {"residual": True, "evidence_units": (8, 8), "input_order": ORDER, "seed": 1}
    model = made_tf.MADE(D, (9, 9), family, activation="tanh", **{**defaults, **kwargs})
    rng = np.random.default_rng(2)
    for weight in model.trainable_variables:
        weight.assign(weight * 1.5 + 0.3 * rng.normal(size=weight.shape))
    return model


@pytest.fixture(scope="module")
def model():
    return loud()


@pytest.fixture(scope="module")
def dist(model):
    return made_tf.MADEDistribution(model)


def states(model):
    return np.array(list(itertools.product(*model.conditionals.finite_states())), np.float32)


def flags(*variables):
    found = np.zeros(D, np.float32)
    found[list(variables)] = 1
    return found


def slow_terms(model, x, known, visible):
    """Log-probabilities `[N, D]` by loops over connections, in float64."""
    family = model.conditionals
    features = np.asarray(family.encode(x), np.float64)
    owners = reference.owners(family.layout.features.sizes)
    units = np.concatenate([features * known[owners], np.tile(known, (len(x), 1))], axis=1)
    for number, layer in enumerate(model.evidence_layers):
        below, units = units, np.tanh(units @ layer.kernel.numpy() + layer.bias.numpy())
        units = units + below if number else units
    shifts = [units @ layer.kernel.numpy() for layer in model.context_layers]
    shown = units = features * visible[owners]
    for number, layer in enumerate(model.hidden_layers):
        below, units = units, np.tanh(reference.dense(layer, units) + shifts[number])
        units = units + below if number else units
    params = reference.dense(model.output_layer, units) + reference.dense(model.direct_layer, shown)
    return np.asarray(family.log_prob((params + shifts[-1]).astype(np.float32), x))


EVIDENCE = [subset for size in range(D) for subset in itertools.combinations(range(D), size)]


@pytest.mark.parametrize("evidence", EVIDENCE)
def test_conditionals_follow_the_loops_and_sum_to_one(model, evidence):
    x, known = states(model), flags(*evidence)
    given = np.tile(known, (len(x), 1))
    terms = np.asarray(model.conditionals.log_prob(model.parameters_given(x, given), x))
    np.testing.assert_allclose(terms, slow_terms(model, x, known, np.ones(D)), atol=1e-5)
    log_probs = terms[:, known == 0].sum(axis=1)
    for values in np.unique(x[:, known > 0], axis=0):
        agrees = (x[:, known > 0] == values).all(axis=1)
        assert logsumexp(log_probs[agrees]) == pytest.approx(0, abs=1e-5)


def test_without_evidence_it_is_the_density_of_whole_rows(model, dist):
    x = states(model)
    nothing = np.zeros_like(x)
    terms = model.conditionals.log_prob(model.parameters_given(x, nothing), x)
    expected = np.sum(terms, axis=1)
    np.testing.assert_allclose(model.log_prob(x), expected, atol=1e-5)
    assert logsumexp(expected) == pytest.approx(0, abs=1e-5)
    counts = np.zeros(len(x))
    drawn = dist.sample(20_000, seed=4).numpy()
    for row, count in zip(*np.unique(drawn, axis=0, return_counts=True), strict=True):
        counts[(x == row).all(axis=1).argmax()] = count
    assert reference.chi_squared_pvalue(counts, 20_000 * np.exp(expected)) > 1e-3


def test_a_conditional_sees_all_evidence_and_of_the_rest_what_is_shown_before(model):
    x = states(model)
    others = [reference.other_rows(model.conditionals, x, variable) for variable in range(D)]
    owners = reference.owners(model.conditionals.layout.parameters.sizes)
    for evidence, visible in itertools.product(EVIDENCE, EVIDENCE):
        known = np.tile(flags(*evidence), ((1 + D) * len(x), 1))
        shown = np.maximum(known, flags(*visible))
        params = model.parameters_given(np.concatenate([x, *others]), known, shown)
        before, *after = np.split(np.asarray(params), 1 + D)
        for variable in range(D):
            moved = np.zeros(D, bool)
            np.logical_or.at(moved, owners, abs(after[variable] - before).max(axis=0) > 1e-6)
            unknown = flags(*evidence) == 0
            later = np.array(ORDER) > ORDER[variable]
            seen = later if variable in visible else np.zeros(D, bool)
            seen = np.ones(D, bool) if variable in evidence else seen
            np.testing.assert_array_equal(moved[unknown], seen[unknown])


def test_draws_given_evidence_have_its_probabilities(model, dist):
    row = np.array([NAN, 1, NAN, 0], np.float32)
    given = dist.condition(row)
    assert given.is_exact
    own = np.array(list(itertools.product(range(3), range(2))), np.float32)
    probs = np.exp(given.log_prob(own))
    assert probs.sum() == pytest.approx(1, abs=1e-5)
    drawn = given.sample(20_000, seed=3).numpy()
    counts = [(drawn == each).all(axis=1).sum() for each in own]
    assert reference.chi_squared_pvalue(np.array(counts), 20_000 * probs) > 1e-3
    first = np.exp(given.marginal(2).log_prob([0.0, 1.0]))
    asked = [[NAN, NAN, 0, NAN], [NAN, NAN, 1, NAN]]
    alone = dist.conditional_log_prob(asked, np.stack([row, row])).log_prob
    np.testing.assert_allclose(first, np.exp(alone), atol=1e-5)
    drawn = dist.impute(np.tile(row, (100, 1)), seed=5)
    np.testing.assert_array_equal(drawn[:, [1, 3]], np.tile(row[[1, 3]], (100, 1)))


def rows_with_holes(model, count=600, seed=0):
    rng = np.random.default_rng(seed)
    x = states(model)[rng.integers(0, len(states(model)), count)]
    kinds = rng.integers(0, 3, x.shape)
    return np.where(kinds == 0, x, NAN), np.where(kinds == 1, x, NAN)


def test_rows_that_know_different_variables_are_answered_as_one_by_one(model):
    queries = Queries(model)
    evidence, asked = rows_with_holes(model)
    together = queries.conditional_log_prob(asked, evidence)
    drawn = queries.sample_conditional(evidence, 2, seed=3)
    assert (together.standard_error == 0).all()
    for row in range(0, len(asked), 97):
        alone = queries.conditional_log_prob(asked[row : row + 1], evidence[row : row + 1])
        assert together.log_prob[row] == pytest.approx(alone.log_prob[0], abs=1e-5)
    piece = queries.sample_conditional(evidence[50:], seed=3, first_row=50)[0]
    np.testing.assert_array_equal(piece, queries.sample_conditional(evidence, seed=3)[0][50:])
    known = ~np.isnan(evidence)
    assert (drawn[:, known] == evidence[known]).all() and np.isfinite(drawn).all()


def test_marginals_are_products_along_the_chain_of_what_is_asked(model, dist):
    x = states(model)
    asked = np.array([1, NAN, 0, NAN], np.float32)
    own = slow_terms(model, x[(x[:, 0] == 1) & (x[:, 2] == 0)], flags(), flags(0, 2))
    expected = own[0, [0, 2]].sum()
    assert dist.log_marginal(asked[None]).log_prob[0] == pytest.approx(expected, abs=1e-5)
    total = [dist.log_marginal([[a, NAN, c, NAN]]).log_prob[0] for a in range(3) for c in range(2)]
    assert logsumexp(total) == pytest.approx(0, abs=1e-5)


def test_regions_of_one_column_are_exact_and_of_several_sums_of_marginals(dist):
    asked = [{0: [0, 2]}, {0: [0, 2], 3: [1]}, {0: [0, 1], 1: [1], 2: [0], 3: [0]}]
    found = dist.log_prob_in(asked, num_samples=4000, seed=1)
    assert found.standard_error[0] == 0

    def total(*columns):
        values = itertools.product(*(asked[columns[0]][k] for k in columns[1:]))
        rows = np.full((len(values := list(values)), D), NAN, np.float32)
        rows[:, list(columns[1:])] = values
        return logsumexp(dist.log_marginal(rows).log_prob)

    expected = [total(0, 0), total(1, 0, 3), total(2, *range(D))]
    assert found.log_prob[0] == pytest.approx(expected[0], abs=1e-5)
    assert (np.abs(found.log_prob - expected)[1:] < 5 * found.standard_error[1:] + 1e-5).all()


def test_regions_are_of_whole_rows_where_these_are_asked_for(model):
    x = states(model)
    columns = [0, 1, 3]
    values = np.unique(x[:, columns], axis=0)
    asked = [{k: [int(v)] for k, v in zip(columns, row, strict=True)} for row in values]
    dist = made_tf.MADEDistribution(model, of_whole_rows=True)
    found = dist.log_prob_in(asked, num_samples=4000, seed=1)
    log_probs = model.log_prob(x).numpy()
    whole = [logsumexp(log_probs[(x[:, columns] == row).all(axis=1)]) for row in values]
    errors = 5 * found.standard_error + 1e-5
    assert (np.abs(found.log_prob - whole) < errors).all()
    rows = np.full((len(values), D), NAN, np.float32)
    rows[:, columns] = values
    alone = made_tf.MADEDistribution(model).log_marginal(rows).log_prob
    assert (np.abs(alone - whole) > 0.1 + errors).any()


def test_single_passes_propose_for_the_density_of_whole_rows(model):
    x = states(model)
    log_probs = model.log_prob(x).numpy()
    row = np.array([NAN, 1, NAN, 0], np.float32)
    agrees = (x[:, 1] == 1) & (x[:, 3] == 0)
    found = Queries(model, num_particles=4000, of_whole_rows=True).log_marginal(row[None])
    expected = logsumexp(log_probs[agrees])
    assert abs(found.log_prob[0] - expected) < 5 * found.standard_error[0] + 1e-5
    assert found.standard_error[0] > 0
    # What comes first in the order is answered by whole rows exactly, and one column as all.
    row = np.array([NAN, NAN, 1, NAN], np.float32)
    given = made_tf.MADEDistribution(model, of_whole_rows=True).condition(row)
    assert given.is_exact
    own = np.exp(log_probs) * (x[:, 2] == 1)
    expected = [own[x[:, 0] == value].sum() / own.sum() for value in range(3)]
    found = np.exp(given.marginal(0).log_prob([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_there_is_one_order_alone(model):
    with pytest.raises(ValueError, match="`num_orders`"):
        Queries(model, num_orders=3)


@pytest.mark.parametrize(("weight", "every"), [(0.25, 4), (0.5, 2), (1.0, 2)])
def test_a_step_learns_what_is_unknown_of_what_its_rows_show(weight, every):
    model = loud(few_weight=weight)
    x = states(model)
    known, visible = (np.asarray(p) for p in model.mask_sets.parts_at_step(5, len(x)))
    assert 0 < known.mean() < visible.mean() < 1
    terms = [slow_terms(model, x[k : k + 1], known[k], visible[k])[0] for k in range(len(x))]
    expected = -np.where(known > 0, 0.0, terms).sum(axis=1)
    few = x[::every]
    known, visible = (np.asarray(p) for p in model.mask_sets.few_at_step(5, len(few)))
    terms = [slow_terms(model, few[k : k + 1], known[k], visible[k])[0] for k in range(len(few))]
    of_few = -weight * np.where(known > 0, 0.0, terms).sum(axis=1)
    model.mask_step.assign(5)
    params = model(x, training=True)
    assert int(model.mask_step) == 6
    loss = model.compute_loss(x, None, params, training=True)
    np.testing.assert_allclose(loss, expected.mean() + of_few.mean(), rtol=1e-5)
    weights = np.linspace(0.5, 2, len(x)).astype(np.float32)
    loss = model.compute_loss(x, None, params, weights, training=True)
    weighted = np.mean(expected * weights) + np.mean(of_few * weights[::every])
    np.testing.assert_allclose(loss, weighted, rtol=1e-5)


def test_units_that_read_evidence_are_dropped_in_training():
    model = loud(dropout=0.5)
    assert len(model.all_dropout_layers()) == 4  # whose seeds a run fixes
    x, known = states(model), np.tile(flags(0, 1), (len(states(model)), 1))
    vectors = [
        np.asarray(model._assembly.evidence.vector(model.conditionals.encode(x), known, training))
        for training in (False, True)
    ]
    assert (vectors[0] != 0).all() and (vectors[1] != vectors[0]).any()


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float64"])
def test_other_precisions_answer(dtype):
    queries = Queries(loud(dtype=dtype))
    evidence, asked = rows_with_holes(queries.model, 50)
    drawn = queries.sample_conditional(evidence, seed=3)[0]
    assert np.isfinite(drawn).all()
    assert np.isfinite(queries.conditional_log_prob(asked, evidence).log_prob).all()


def test_training_meets_all_sizes_of_evidence():
    sets = MaskSets(masks.make_degrees(D, (6,), ORDER), seed=3)
    known, visible = (np.asarray(part) for part in sets.parts_at_step(7, 4000))
    assert known.shape == visible.shape == (4000, D) and (visible >= known).all()
    sizes = np.bincount(known.sum(axis=1).astype(int), minlength=D + 1)
    assert sizes[D] == 0 and sizes[:D].min() > 0.15 * 4000 and sizes[0] > 0.25 * 4000
    assert np.abs(known.mean(axis=0) - known.mean()).max() < 0.05  # no variable is preferred
    shown = visible.sum(axis=1) - known.sum(axis=1)
    left = D - known.sum(axis=1)
    assert 0.2 < np.mean(shown == 0) < 0.5 and 0.4 < np.mean(shown == left) < 0.8
    again = np.asarray(sets.parts_at_step(7, 4000)[0])
    np.testing.assert_array_equal(again, known)
    assert (np.asarray(sets.parts_at_step(8, 4000)[0]) != known).any()
    for parts, width in ((fresh_parts, 6), (few_parts, 3)):
        largest = np.full((1, width), np.nextafter(np.float32(1), np.float32(0)))
        largest[0, -1] = 0.0  # few variables are known, not shown
        alone = parts(keras.ops.convert_to_tensor(largest))[0]
        np.testing.assert_array_equal(alone, [[0.0]])  # one variable is never known


def test_few_variables_are_known_or_shown():
    sets = MaskSets(masks.make_degrees(D, (6,), ORDER), seed=3)
    known, visible = (np.asarray(part) for part in sets.few_at_step(7, 4000))
    sizes = np.bincount(visible.sum(axis=1).astype(int), minlength=D + 1) / 4000
    np.testing.assert_allclose(sizes, [0.2, 0.4, 0.4 / 3, 0.8 / 3, 0], atol=0.03)
    has_known = known.sum(axis=1) > 0
    assert has_known.mean() == pytest.approx(0.4, abs=0.03)
    np.testing.assert_array_equal(known[has_known], visible[has_known])
    assert np.abs(visible.mean(axis=0) - visible.mean()).max() < 0.05


def test_training_learns_relations_in_both_directions_and_goes_on_after_a_file(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (512, D)).astype("float32")
    x[:, 0] += x[:, 3]
    keras.utils.set_random_seed(0)
    made = made_tf.MADE(D, (16, 16), FAMILY, residual=True, evidence_units=(16, 16), seed=0)
    made.compile(keras.optimizers.Adam(0.01))
    rows = np.tile(x, (30, 1))
    history = made.fit(rows, batch_size=64, verbose=0, validation_data=(x,)).history
    assert int(made.mask_step) == 30 * 8
    # What is validated is the density of whole rows: log 2 for each free bit.
    assert history["val_nll"][-1] == pytest.approx(-made.log_prob(x).numpy().mean(), abs=1e-3)
    assert history["val_nll"][-1] < D * np.log(2) + 0.1
    impossible = [({0: 2}, {3: 0}), ({0: 0}, {3: 1}), ({3: 1}, {0: 0}), ({3: 0}, {0: 2})]
    evidence, asked = np.full((2, len(impossible), D), NAN)
    for number, (known, unknown) in enumerate(impossible):
        for rows, cells in ((evidence, known), (asked, unknown)):
            for variable, value in cells.items():
                rows[number, variable] = value
    assert (Queries(made).conditional_log_prob(asked, evidence).log_prob < np.log(0.05)).all()
    made.save(tmp_path / "made.keras")
    again = keras.saving.load_model(tmp_path / "made.keras")
    assert again.evidence_units == [16, 16] and int(again.mask_step) == 240
    np.testing.assert_array_equal(again.log_prob(x), made.log_prob(x))
    for each in (made, again):  # with their optimizers
        each.fit(x, batch_size=64, epochs=1, verbose=0, shuffle=False)
    np.testing.assert_allclose(again.log_prob(x), made.log_prob(x), atol=1e-5)


def test_checkpoints_and_weights_have_the_layers_that_read_evidence(model, tmp_path):
    x, known = states(model), np.tile(flags(1), (len(states(model)), 1))
    tf.train.Checkpoint(model).write(str(tmp_path / "checkpoint"))
    model.save_weights(tmp_path / "made.weights.h5")
    for load in (
        lambda other: tf.train.Checkpoint(other).read(str(tmp_path / "checkpoint")),
        lambda other: other.load_weights(tmp_path / "made.weights.h5"),
    ):
        other = loud()
        for weight in other.weights:
            weight.assign(weight * 0)
        load(other)
        np.testing.assert_array_equal(
            other.parameters_given(x, known), model.parameters_given(x, known)
        )
    with pytest.raises(ValueError, match="another density"):
        loud(evidence_units=(8, 4)).load_weights(tmp_path / "made.weights.h5")


def test_a_weight_that_is_not_finite_is_found():
    model = loud()
    kernel = model.evidence_layers[1].kernel
    kernel.assign(np.where(np.eye(8), NAN, kernel))
    assert not_finite(model) == ["evidence_2"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="evidence_2"):
        made_tf.MADEDistribution(model).sample(2, seed=0)


@pytest.mark.parametrize("name", ["bernoulli", "binned", "count", "normal_mixture", "ordinal"])
def test_any_family_answers(name):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3 if name != "bernoulli" else 2, (300, D)).astype("float32")
    x = x + rng.normal(size=x.shape) if name.endswith(("normal", "mixture")) else x
    family = FAMILIES[name].from_data(x.astype("float32"))
    queries = Queries(loud(family))
    evidence = np.where(rng.random(x.shape) < 0.5, x, NAN).astype("float32")
    drawn = queries.sample_conditional(evidence, seed=1)[0]
    asked = np.where(np.isnan(evidence), drawn, NAN)
    assert np.isfinite(queries.conditional_log_prob(asked, evidence).log_prob).all()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_masks": None}, "`evidence_units` must be None for a model of several masks"),
        ({"context": 2}, "`evidence_units` must be None for .* a context"),
        ({"evidence_units": 8}, "`evidence_units` must be the widths of the layers"),
        ({"evidence_units": np.array([8, 8])}, "`evidence_units` must be the widths"),
        ({"evidence_units": (8, 0)}, "`evidence_units` must be a positive integer"),
        ({"evidence_units": None, "few_weight": 0.5}, "`few_weight` must be left out"),
        ({"few_weight": 0}, "`few_weight` must be a positive number"),
    ],
)
def test_settings_that_do_not_go_together_get_an_error(kwargs, message):
    with pytest.raises(ValueError, match=message):
        made_tf.MADE(D, (8,), **{"evidence_units": (8,), **kwargs})


def test_a_model_without_such_layers_says_so():
    plain = made_tf.MADE(D, (8,), evidence_units=())
    assert plain.evidence_units is None and not plain.reads_evidence and not plain.answers_all
    with pytest.raises(ValueError, match="`evidence_units`"):
        plain.parameters_given(np.zeros((1, D)), np.zeros((1, D)))
