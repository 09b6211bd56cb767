"""Slow and obvious: what the package computes cleverly, in loops, NumPy and SciPy."""

import itertools
import pathlib

import numpy as np
import scipy.special
import scipy.stats

import made_tf
from made_tf import conditionals as families

#: The folder of the tests, for processes that import this module; and files of before.
FOLDER = pathlib.Path(__file__).parent
GOLDEN = FOLDER / "golden"

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "sigmoid": scipy.special.expit,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
}

#: One way at least to make every family for D variables.
FAMILIES = {
    "bernoulli": lambda D: families.Bernoulli().bind(D),
    "categorical": lambda D: families.Categorical(3).bind(D),
    "ragged": lambda D: families.Categorical([2 + (k + 1) % 3 for k in range(D)]).bind(D),
    "normal": lambda D: families.Normal().bind(D),
    "scaled_normal": lambda D: families.Normal(
        [3.0 - k for k in range(D)], [0.5 + k for k in range(D)]
    ).bind(D),
}
DISCRETE = ("bernoulli", "categorical", "ragged")


def mask(in_degrees, out_degrees, strict=False):
    allowed = np.zeros((len(in_degrees), len(out_degrees)), bool)
    for i, below in enumerate(in_degrees):
        for j, above in enumerate(out_degrees):
            allowed[i, j] = below < above or (below == above and not strict)
    return allowed


def masks(input_order, hidden_degrees):
    """The masks of the hidden layers, then of the outputs."""
    layers = [list(input_order), *map(list, hidden_degrees)]
    hidden = [mask(layers[n], layers[n + 1]) for n in range(len(layers) - 1)]
    return [*hidden, mask(layers[-1], input_order, strict=True)]


def paths(input_order, hidden_degrees, direct_connections):
    """Which output `[row]` has a path from which input `[column]`, counted path by path."""
    count = np.eye(len(input_order), dtype=np.int64)
    for allowed in masks(input_order, hidden_degrees):
        count = np.minimum(count @ allowed.astype(np.int64), 1)
    if direct_connections:
        count = count + mask(input_order, input_order, strict=True)
    return count.T > 0


def states(model):
    """All rows that a discrete model can produce, `[S, D]`."""
    return np.array(list(itertools.product(*model.conditionals.finite_states())), np.float32)


def rows(family, count, event_size, seed=0):
    """Random rows in the support of a family."""
    rng = np.random.default_rng(seed)
    if family.is_discrete.all():
        columns = [rng.choice(values, count) for values in family.finite_states()]
        return np.stack(columns, axis=1).astype(np.float32)
    loc = np.broadcast_to(family.data_loc, event_size)
    scale = np.broadcast_to(family.data_scale, event_size)
    return rng.normal(loc, scale, (count, event_size)).astype(np.float32)


def other_rows(family, x, variable):
    """The rows with another value of one variable."""
    x = x.copy()
    if family.is_discrete.all():
        size = len(family.finite_states()[variable])
        x[:, variable] = (x[:, variable] + 1) % size
    else:
        x[:, variable] += 1.5 * np.broadcast_to(family.data_scale, x.shape[1])[variable]
    return x


def owners(sizes):
    """The variable that each parameter (or feature) belongs to."""
    return [variable for variable, size in enumerate(sizes) for _ in range(size)]


def encode(family, x):
    features = []
    for row in np.asarray(x, np.float64):
        line = []
        for variable, value in enumerate(row):
            if isinstance(family, families.Bernoulli):
                line.append(value)
            elif isinstance(family, families.Categorical):
                size = np.broadcast_to(family.num_classes, len(row))[variable]
                line.extend(float(value == klass) for klass in range(size))
            else:
                loc = np.broadcast_to(family.data_loc, len(row))[variable]
                scale = np.broadcast_to(family.data_scale, len(row))[variable]
                line.append((value - loc) / scale)
        features.append(line)
    return np.array(features)


def dense(layer, units, activation="linear"):
    """A masked layer by loops over its allowed connections, in float64."""
    allowed = mask(layer.mask.in_degrees, layer.mask.out_degrees, layer.mask.strict)
    kernel = np.asarray(layer.kernel.numpy(), np.float64)
    outputs = np.zeros((len(units), layer.units))
    for i, j in np.argwhere(allowed):
        outputs[:, j] += units[:, i] * kernel[i, j]
    if layer.bias is not None:
        outputs += np.asarray(layer.bias.numpy(), np.float64)
    return ACTIVATIONS[activation](outputs)


def forward(model, x):
    """The parameters `[N, P]` of a model for rows `[N, D]`."""
    features = encode(model.conditionals, x)
    units = features
    for index, layer in enumerate(model.hidden_layers):
        below, units = units, dense(layer, units, model.activation.__name__)
        if model.residual and index > 0:
            units = units + below
    params = 0.0
    if model.output_layer is not None:
        params = params + dense(model.output_layer, units)
    if model.direct_layer is not None:
        params = params + dense(model.direct_layer, features)
    return params


def conditional(family, params, variable, event_size):
    """The SciPy distribution of one variable, given one row of parameters."""
    start = int(np.sum(family.layout.parameters.sizes[:variable]))
    own = np.asarray(params, np.float64)[start:][: family.layout.parameters.sizes[variable]]
    if isinstance(family, families.Bernoulli):
        return scipy.stats.bernoulli(scipy.special.expit(own[0]))
    if isinstance(family, families.Categorical):
        probs = scipy.special.softmax(own)
        return scipy.stats.rv_discrete(values=(np.arange(len(own)), probs / probs.sum()))
    loc = np.broadcast_to(family.data_loc, event_size)[variable]
    scale = np.broadcast_to(family.data_scale, event_size)[variable]
    return scipy.stats.norm(loc + scale * own[0], scale * np.exp(7.0 * np.tanh(own[1] / 7.0)))


def conditional_log_prob(family, params, x):
    """Log-probabilities `[N, D]` of the conditionals, variable by variable."""
    x, params = np.asarray(x, np.float64), np.asarray(params, np.float64)
    log_probs = np.zeros(x.shape)
    owner = np.array(owners(family.layout.parameters.sizes))
    for variable, values in enumerate(x.T):
        own = params[:, owner == variable]
        if isinstance(family, families.Bernoulli):
            found = scipy.stats.bernoulli.logpmf(values, scipy.special.expit(own[:, 0]))
        elif isinstance(family, families.Categorical):
            probs = scipy.special.softmax(own, axis=1)
            chosen = values[:, None] == np.arange(own.shape[1])
            with np.errstate(divide="ignore"):
                found = np.log((probs * chosen).sum(axis=1))
        else:
            loc = np.broadcast_to(family.data_loc, x.shape[1])[variable]
            scale = np.broadcast_to(family.data_scale, x.shape[1])[variable]
            scales = scale * np.exp(7.0 * np.tanh(own[:, 1] / 7.0))
            found = scipy.stats.norm.logpdf(values, loc + scale * own[:, 0], scales)
        log_probs[:, variable] = found
    return log_probs


def log_prob(model, x):
    """Log-probabilities `[N]` of rows, in nats."""
    return conditional_log_prob(model.conditionals, forward(model, x), x).sum(axis=1)


def sample(model, uniforms, degrees=None, draw=None):
    """The textbook loop: one forward pass for each variable, in generation order.

    `draw` is from parameters, uniforms and a variable to the values of that variable.
    """
    x = np.zeros(np.shape(uniforms), np.float32)
    if not model.conditionals.is_discrete.all():
        x += np.broadcast_to(np.asarray(model.conditionals.data_loc, np.float32), x.shape[1])
    order = model.degrees.inputs if degrees is None else degrees[0]
    for variable in np.argsort(order):
        params = model(x, training=False, degrees=degrees)
        if draw is not None:
            x[:, variable] = draw(params, uniforms, variable)
            continue
        values = model.conditionals.sample(params, np.asarray(uniforms, np.float32))
        x[:, variable] = np.asarray(values)[:, variable]
    return x


def dependencies(model, x=None):
    """Which output `[row]` moves in any bit when an input `[column]` moves, on rows in support."""
    D = model.event_size
    family = model.conditionals
    x = rows(family, 16, D) if x is None else x
    owner = np.array(owners(family.layout.parameters.sizes))
    before = np.asarray(model(x, training=False))
    moved = np.zeros((D, D), bool)
    for j in range(D):
        after = np.asarray(model(other_rows(family, x, j), training=False))
        differs = (before != after).any(axis=0)  # NaN differs from everything
        for i in range(D):
            moved[i, j] = differs[owner == i].any()
    return moved


def allowed(model):
    """Which output `[row]` the order allows to depend on which input `[column]`."""
    return mask(model.degrees.inputs, model.degrees.inputs, strict=True).T


def assert_autoregressive(model, x=None):
    leaks = dependencies(model, x) & ~allowed(model)
    assert not leaks.any(), f"outputs see inputs (output, input): {np.argwhere(leaks).tolist()}"


def off_mask(layer):
    """The stored weights of a layer where no connection is allowed."""
    stored = np.asarray(layer.kernel.numpy(), np.float64)
    return stored[~mask(layer.mask.in_degrees, layer.mask.out_degrees, layer.mask.strict)]


def put_junk(model, value=3.0):
    """Adds to every stored kernel what its mask forbids."""
    for layer in model.masked_layers():
        layer.kernel.assign(junk(layer, value))


def junk(layer, value=3.0):
    forbidden = ~mask(layer.mask.in_degrees, layer.mask.out_degrees, layer.mask.strict)
    return np.where(forbidden, value, layer.kernel.numpy())


def small_model(family="bernoulli", event_size=5, **kwargs):
    """A model in which every allowed path carries a signal."""
    defaults = {"hidden_units": (12, 12), "activation": "tanh", "seed": 1}
    if "input_order" not in kwargs and event_size == 5:
        kwargs["input_order"] = [3, 1, 5, 2, 4]
    return made_tf.MADE(
        event_size, conditionals=FAMILIES[family](event_size), **{**defaults, **kwargs}
    )


def loud(family="bernoulli", event_size=5, scale=2.0, **kwargs):
    """A model whose conditionals depend strongly on what came before."""
    model = small_model(family, event_size, **kwargs)
    for layer in model.masked_layers():
        layer.kernel.assign(layer.kernel * scale)
    return model


def under(model, degrees):
    """The model of one fixed mask set that has another model's weights."""
    order, *hidden = (np.asarray(level).tolist() for level in degrees)
    fixed = made_tf.MADE(
        model.event_size,
        hidden_units=[len(level) for level in hidden],
        conditionals=model.conditionals,
        input_order=order,
        hidden_degrees=hidden,
        activation=model.activation,
        direct_connections=model.direct_connections,
        residual=model.residual,
    )
    for ours, theirs in zip(fixed.masked_layers(), model.masked_layers(), strict=True):
        ours.kernel.assign(theirs.kernel)
        if ours.bias is not None:
            ours.bias.assign(theirs.bias)
    return fixed


def order_of(model, number=0):
    """Mask set `number` of a model, level by level."""
    return [level[number] for level in model.mask_sets.first(number + 1)]


def known_first(order, *groups):
    """The degrees of an order in which some variables come first, by sorting."""
    first = [[not group[k] for group in groups] + [order[k]] for k in range(len(order))]
    variables = sorted(range(len(order)), key=lambda k: first[k])
    return [variables.index(k) + 1 for k in range(len(order))]


class Table:
    """The probabilities of all states of a small model under one mask set."""

    def __init__(self, model, degrees=None):
        self.states = states(model)
        fixed = under(model, order_of(model) if degrees is None else degrees)
        self.probs = np.exp(fixed.log_prob(self.states).numpy().astype(np.float64))

    def __call__(self, *rows):
        """P of what is not NaN in each row, or of all rows at once where they do not clash."""
        agrees = [np.isnan(row) | (self.states == row) for row in rows]
        return self.probs[np.all(agrees, axis=(0, 2))].sum()

    def within(self, allowed):
        """P of the sets of one query `[D, K]`."""
        inside = [allowed[k, self.states[:, k].astype(int)] for k in range(len(allowed))]
        return self.probs @ np.prod(inside, axis=0)

    def given(self, row):
        """The conditional probabilities of all states."""
        agrees = np.all(np.isnan(row) | (self.states == row), axis=1)
        return np.where(agrees, self.probs, 0.0) / self.probs[agrees].sum()

    def counts(self, rows):
        """How often each state occurs in rows `[N, D]`."""
        index = {tuple(state): k for k, state in enumerate(self.states)}
        return np.bincount([index[tuple(row)] for row in rows], minlength=len(self.states))


def chi_squared_pvalue(counts, expected):
    rare = expected < 5  # pooled, as the test asks
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    assert counts[expected == 0].sum() == 0, "what cannot occur has occurred"
    keep = expected > 0
    return scipy.stats.chisquare(counts[keep], expected[keep], sum_check=False).pvalue
