"""The law of one column of any family, from its config and the mathematics alone, in float64.

Slow to read beside the family is the point: nothing here calls the code under test, apart from the
config. Numbers of a config count as the float32 that the family rounds them to.
"""

import functools

import keras
import numpy as np
import scipy.special
import scipy.stats

from made_tf import conditionals as families

_LARGEST_COUNT = 2**24 - 1
_LARGEST_INDEX = 2**22
UNIT = 2.0**-23  # of float32
LOWEST, HIGHEST = 2.0**-24, 1 - 2.0**-24  # of the uniforms that values are drawn from


@functools.cache
def laws(family):
    """Returns the law of each column of a bound family."""
    described = keras.saving.serialize_keras_object(family)
    found = [_law(described, column) for column in range(family.event_size)]
    for column, law in enumerate(found):
        if isinstance(inner := getattr(law, "inner", law), Embedded):
            inner.vectors, inner.bias = _table(family, column, inner.size)
    return found


def _table(family, column, size):
    """The vectors `[K, E]` and biases `[K]` of an embedded column: what no config has."""
    own = family.select(np.array([column]))
    while inner := own.inner():
        (own,) = inner.values()
    weights = {name: np.asarray(weight, np.float64) for name, weight in own.weights().items()}
    (place,), bias = own.constant("column"), weights["class_bias"]
    first = place * bias.shape[1]
    return weights["vectors"][first : first + size], bias[place][:size]


def random_params(family, count, scale=2.0, seed=0):
    """Random parameters `[count, P]`."""
    shape = count, family.layout.parameters.total
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def random_uniforms(family, count, seed=1):
    """Random uniforms `[count, U]`."""
    shape = count, family.num_uniforms
    return np.random.default_rng(seed).uniform(LOWEST, HIGHEST, shape).astype(np.float32)


def rows(family, count, seed=0):
    """Random rows `[count, D]` in the support, of which some lie at its ends and points."""
    rng = np.random.default_rng(seed)
    return np.stack([law.rows(count, rng) for law in laws(family)], axis=1).astype(np.float32)


def far_rows(family, count, seed=0):
    """Random rows `[count, D]` far in the tails of what has tails."""
    rng = np.random.default_rng(seed)
    columns = [law.rows(count, rng, spread=300.0) for law in laws(family)]
    return np.stack(columns, axis=1).astype(np.float32)


def parameters_of(family, params):
    """Returns the parameters of each column: `[N, P]` -> D times `[N, p]`."""
    sizes = [law.num_params for law in laws(family)]
    assert params.shape[1] == sum(sizes)
    return np.split(np.asarray(params, np.float64), np.cumsum(sizes)[:-1], axis=1)


def log_prob(family, params, x, nudge=0.0):
    """Returns log p of each value, `[N, D]`, see `Law.log_prob`."""
    x = np.asarray(x, np.float64)
    parts = zip(laws(family), parameters_of(family, params), x.T, strict=True)
    return np.stack([law.log_prob(own, values, nudge) for law, own, values in parts], axis=1)


def log_prob_in(family, params, region, nudge=0.0):
    """Returns log P(x_k in its region), `[N, D]`, see `Law.log_in`."""
    parts = zip(laws(family), parameters_of(family, params), family.choices(), strict=True)
    columns = []
    for column, (law, own, choices) in enumerate(parts):
        allowed, low, high = (np.asarray(part, np.float64)[:, column] for part in region)
        allowed = allowed[:, : len(choices)]
        columns.append(law.log_in(own, allowed, low, high, nudge))
    return np.stack(columns, axis=1)


def encode(family, x):
    """Returns the features of each column, D times `[N, f]`."""
    x = np.asarray(x, np.float64)
    return [law.encode(values) for law, values in zip(laws(family), x.T, strict=True)]


def _law(described, column):
    config = described["config"]
    if described["class_name"] == "Mixed":
        return _law(config["families"][column], 0)
    return LAWS[described["class_name"]](config, column)


def _own(values, column):
    """The entry of a column, of an argument that is a number for all or a list."""
    return values[column] if isinstance(values, list) else values


def _float32(values):
    return np.asarray(values, np.float32).astype(np.float64)


class Law:
    """One column, given parameters `[N, p]`."""

    num_params: int
    is_discrete = True

    def log_prob(self, params, x, nudge=0.0):
        """Returns log p(x) in nats, `[N]`.

        `nudge` moves x (or what it is standardised to) by so many units of float32: what then
        changes is what float32 does not resolve.
        """
        raise NotImplementedError

    def cdf(self, params, x):
        """Returns P(X <= x), `[N]`."""
        raise NotImplementedError

    def mass(self, params, x):
        """Returns P(X = x), `[N]`, which is 0 where there is a density."""
        return np.exp(self.log_prob(params, x)) if self.is_discrete else np.zeros(len(x))

    def log_in(self, params, allowed, low, high, nudge=0.0):
        """Returns log P(X in a region), `[N]`: `allowed` `[N, K]` of the choices, ends `[N]`.

        `nudge` as in `log_prob`.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            log_prob = self.log_between(params, low, high, nudge)
        return np.where(low > high, -np.inf, log_prob)

    def log_between(self, params, low, high, nudge):
        """Returns log P(low <= X <= high), `[N]`, whatever where low > high."""
        raise NotImplementedError

    def in_support(self, x):
        return np.isfinite(x)

    def ladder(self, params):
        """Values from the lower to the upper end, of those that take a probability over 1e-9.

        There are 100,000 of them at most; `params` are `[1, p]`.
        """
        raise NotImplementedError

    def mesh(self, params):
        """Values to sum over, their weights, and the probability of what they leave out.

        Of points all are 1; of reals they make an integral. `params` are `[1, p]`.
        """
        if self.is_discrete:
            x = self.ladder(params)
            return (x, np.ones(len(x)), self.outside(params, x[0], x[-1]))
        breaks = np.unique(self.breaks(params))
        nodes, weights = np.polynomial.legendre.leggauss(5)
        half, middle = np.diff(breaks)[:, None] / 2, (breaks[1:] + breaks[:-1])[:, None] / 2
        x = (middle + half * nodes).reshape(-1)
        return x.astype(np.float32), (half * weights).reshape(-1), 0.0

    def outside(self, params, low, high):
        """The probability of less than `low` or more than `high`."""
        low, high = (np.array([float(end)]) for end in (low, high))
        at_low = np.exp(self.log_prob(params, low))
        return (self.cdf(params, low) - at_low + 1 - self.cdf(params, high)).item()

    def breaks(self, params):
        """Reals that the density is smooth between, and below and above of which there is none."""
        raise NotImplementedError


class Bernoulli(Law):
    num_params = num_features = 1

    def __init__(self, config, column):
        pass

    def log_prob(self, params, x, nudge=0.0):
        return scipy.special.log_expit((2 * x - 1) * params[:, 0])

    def log_in(self, params, allowed, low, high, nudge=0.0):
        logs = [self.log_prob(params, np.full(len(params), x)) for x in (0, 1)]
        return log_of_total(np.stack(logs, axis=1), allowed)

    def cdf(self, params, x):
        return np.where(x < 0, 0, np.where(x < 1, scipy.special.expit(-params[:, 0]), 1.0))

    def in_support(self, x):
        return np.isin(x, (0, 1))

    def rows(self, count, rng, spread=1.0):
        return rng.integers(0, 2, count)

    def ladder(self, params):
        return np.arange(2.0)

    def encode(self, x):
        return x[:, None]


class Categorical(Law):
    def __init__(self, config, column):
        self.size = self.num_params = _own(config["num_classes"], column)

    def log_probs(self, params):
        return scipy.special.log_softmax(params, axis=1)

    def log_in(self, params, allowed, low, high, nudge=0.0):
        return log_of_total(self.log_probs(params), allowed)

    def log_prob(self, params, x, nudge=0.0):
        return np.take_along_axis(self.log_probs(params), x.astype(int)[:, None], 1)[:, 0]

    def cdf(self, params, x):
        below = np.arange(self.size) <= np.reshape(x, (-1, 1))
        return (np.exp(self.log_probs(params)) * below).sum(1)

    def in_support(self, x):
        return np.isin(x, np.arange(self.size))

    def rows(self, count, rng, spread=1.0):
        return rng.integers(0, self.size, count)

    def ladder(self, params):
        return np.arange(float(self.size))

    def encode(self, x):
        return np.array([[float(value == k) for k in range(self.size)] for value in x])


class Embedded(Categorical):
    """Logits z . v_k + b_k."""

    def __init__(self, config, column):
        super().__init__(config, column)
        self.num_params = config["embedding_size"]

    def log_probs(self, params):
        return scipy.special.log_softmax(params @ self.vectors.T + self.bias, axis=1)

    def encode(self, x):
        return self.vectors[x.astype(int)]


class Ordinal(Categorical):
    """P(x < k) = sigmoid(c_k - l), the cuts from the counts, half a row more in each class."""

    def __init__(self, config, column):
        super().__init__(config, column)
        self.num_params = self.size - 1
        counts = config["counts"] and config["counts"][column]
        counts = np.array(counts or [1.0] * self.size) + 0.5
        shares = np.array([counts[:k].sum() for k in range(1, self.size)]) / counts.sum()
        self.cuts = scipy.special.logit(shares)

    def log_probs(self, params):
        factors = np.exp(7 * np.tanh(params[:, 1:] / 7))
        widths = np.diff(self.cuts) * factors
        first = self.cuts[0] - params[:, :1]
        cuts = np.concatenate([first, first + np.cumsum(widths, axis=1)], axis=1)
        ends = np.full((len(params), 1), np.inf)
        lowers, uppers = np.hstack([-ends, cuts]), np.hstack([cuts, ends])
        return log_interval(lowers, uppers, np.hstack([ends, widths, ends]))

    def encode(self, x):
        return np.array([[float(value >= k) for k in range(self.size)] for value in x])


def log_interval(lower, upper, width):
    """log(sigmoid(upper) - sigmoid(lower)), given the difference without cancellation."""
    return (
        scipy.special.log_expit(upper)
        + scipy.special.log_expit(-lower)
        + np.log(-np.expm1(-np.asarray(width)))
    )


def log_of_total(logs, weights=1.0):
    """The log of a weighted sum over the last axis, -infinity where there is none."""
    with np.errstate(divide="ignore"):
        return scipy.special.logsumexp(logs, axis=1, b=np.broadcast_to(weights, logs.shape))


def log_mass(law, lower, upper):
    """log P(lower < Z < upper) of a symmetric distribution, from the nearer tail."""
    lower, upper = np.broadcast_arrays(lower, upper)
    is_below = lower + upper < 0
    lower, upper = np.where(is_below, -upper, lower), np.where(is_below, -lower, upper)
    tail = law.logsf(lower)
    return tail + np.log(-np.expm1(np.minimum(law.logsf(upper) - tail, 0.0)))


class Real(Law):
    """What real columns share: the standardised value and the hats."""

    is_discrete = False

    def __init__(self, config, column):
        self.loc, self.scale = (
            float(np.float32(_own(config[name], column))) for name in ("data_loc", "data_scale")
        )
        knots = config.get("knots") and config["knots"][column]
        self.knots = None if knots is None else (np.array(knots) - self.loc) / self.scale
        self.num_hats = config.get("num_hats")

    def standardise(self, x):
        return (x - self.loc) / self.scale

    def rows(self, count, rng, spread=1.0):
        x = self.loc + spread * self.scale * rng.standard_t(4, count)
        if self.knots is not None:  # on the knots, too
            x = np.where(rng.random(count) < 0.2, self.loc + self.scale * rng.choice(self.knots), x)
        return x.astype(np.float32)

    def encode(self, x):
        z = np.clip(self.standardise(x), -1e3, 1e3)
        if self.knots is None:
            return z[:, None]
        count = len(self.knots) if self.num_hats is None else self.num_hats
        knots = self.knots[np.rint(np.linspace(0, len(self.knots) - 1, count)).astype(int)]
        hats = [np.interp(z, knots, peak) for peak in np.eye(count)]
        return np.stack([z, *hats], axis=1)


class Normal(Real):
    num_params = 2

    def _law(self, params):
        return scipy.stats.norm(params[:, 0], np.exp(7 * np.tanh(params[:, 1] / 7)))

    def log_prob(self, params, x, nudge=0.0):
        z = self.standardise(x) * (1 + nudge * UNIT)
        return self._law(params).logpdf(z) - np.log(self.scale)

    def log_between(self, params, low, high, nudge):
        loc, scale = params[:, 0], np.exp(7 * np.tanh(params[:, 1] / 7))
        ends = [(self.standardise(x) * (1 + nudge * UNIT) - loc) / scale for x in (low, high)]
        return log_mass(scipy.stats.norm, *ends)

    def breaks(self, params):
        return self.loc + self.scale * self._law(params).ppf(scipy.stats.norm.cdf(np.arange(-7, 8)))

    def cdf(self, params, x):
        return self._law(params).cdf(self.standardise(x))


class Mixture(Real):
    """K components that start on quantiles of the data, half as wide as the data."""

    def __init__(self, config, column):
        super().__init__(config, column)
        self.count = config["num_components"]
        self.num_params = 3 * self.count
        lowest = _own(config["min_scale"], column)
        ratio = np.clip((lowest or 0.0) / self.scale, np.exp(-7), 0.3)
        self.log_lowest = np.log(ratio)
        shares = (np.arange(self.count) + 0.5) / self.count
        self.starts = scipy.special.logit(shares)
        if self.knots is not None:
            self.starts = np.interp(shares, np.linspace(0, 1, len(self.knots)), self.knots)

    def components(self, params):
        """Log weights, locations and scales of standardised values, `[N, K]`."""
        logits, loc, raw = np.split(params, 3, axis=1)
        raw = raw + np.log(0.5)
        bound = np.where(raw < 0, self.log_lowest, 7.0)
        log_weights = scipy.special.log_softmax(logits, axis=1)
        return log_weights, self.starts + loc, np.exp(bound * np.tanh(raw / bound))

    def log_prob(self, params, x, nudge=0.0):
        log_weights, loc, scale = self.components(params)
        z = (self.standardise(x)[:, None] * (1 + nudge * UNIT) - loc) / scale
        parts = log_weights + self.component.logpdf(z) - np.log(scale)
        return scipy.special.logsumexp(parts, axis=1) - np.log(self.scale)

    def cdf(self, params, x):
        log_weights, loc, scale = self.components(params)
        z = (self.standardise(x)[:, None] - loc) / scale
        return (np.exp(log_weights) * self.component.cdf(z)).sum(axis=1)

    def log_between(self, params, low, high, nudge):
        ends = (self.standardise(x) * (1 + nudge * UNIT) for x in (low, high))
        return self.log_mass(params, *ends)

    def log_mass(self, params, lower, upper):
        """The same of standardised ends."""
        log_weights, loc, scale = self.components(params)
        ends = ((end[:, None] - loc) / scale for end in (lower, upper))
        return log_of_total(log_weights + log_mass(self.component, *ends))

    def breaks(self, params):
        _, loc, scale = self.components(params)
        z = loc.T + scale.T * np.linspace(-24, 24, 193)
        return self.loc + self.scale * z.reshape(-1)


class NormalMixture(Mixture):
    component = scipy.stats.norm


class LogisticMixture(Mixture):
    component = scipy.stats.logistic


class Intervals(Law):
    """Points with the probabilities of intervals of a logistic mixture."""

    def ends(self, x):
        """Where the intervals of the hidden variable begin and end, and how long they are."""
        raise NotImplementedError

    def size(self, x):
        """How large the numbers are that float32 rounds on the way to the intervals."""
        raise NotImplementedError

    def log_prob(self, params, x, nudge=0.0):
        log_weights, loc, scale = self.hidden.components(params)
        lower, upper, width = (part[:, None] / self.hidden.scale for part in self.ends(x))
        moved = nudge * UNIT * self.size(x)[:, None] / self.hidden.scale
        lower, upper = (
            (part - self.hidden.loc / self.hidden.scale + moved - loc) / scale
            for part in (lower, upper)
        )
        parts = log_weights + log_interval(lower, upper, width / scale)
        return scipy.special.logsumexp(parts, axis=1)

    def between(self, low, high):
        """The first and the last point of an interval."""
        raise NotImplementedError

    def log_between(self, params, low, high, nudge):
        first, last = self.between(low, high)
        ends = self.ends(np.minimum(first, last))[0], self.ends(last)[1]
        moves = (nudge * UNIT * self.size(x) for x in (first, last))
        ends = (self.hidden.standardise(end + move) for end, move in zip(ends, moves, strict=True))
        return np.where(first > last, -np.inf, self.hidden.log_mass(params, *ends))

    def cdf(self, params, x):
        x = np.broadcast_to(x, len(params))
        lowest = self.rows(1, np.random.default_rng(0), 1e-9)  # anything that can be
        upper = self.ends(np.where(self.is_below(x), lowest, x))[1]
        return np.where(self.is_below(x), 0.0, self.hidden.cdf(params, upper))

    def is_below(self, x):
        """Whether numbers are less than all that can be."""
        raise NotImplementedError

    def around(self, params):
        """The hidden values that all but 1e-9 of the mixture lies between."""
        _, loc, scale = self.hidden.components(params)
        reach = scale * np.log(1e9)
        ends = (loc - reach).min(), (loc + reach).max()
        return [self.hidden.loc + self.hidden.scale * end for end in ends]


class Discretized(Intervals):
    def __init__(self, config, column):
        self.hidden = LogisticMixture(config["mixture"]["config"], column)
        self.num_params = self.hidden.num_params
        self.step = _own(config["step"], column)
        self.origin = _own(config["origin"], column)
        low, high = (_own(config[name], column) for name in ("low", "high"))
        self.low = -_LARGEST_INDEX if low is None else self.index(low)
        self.high = _LARGEST_INDEX if high is None else self.index(high)

    def index(self, x):
        return np.rint((np.asarray(x, np.float64) - self.origin) / self.step)

    def nearest(self, x):
        """The float32 of the point that is next to x."""
        return self.point(self.index(x))

    def point(self, index):
        return (self.origin + index * self.step).astype(np.float32)

    def between(self, low, high):
        # An end within a hundredth of a step of a point, or in float32, is this point.
        low, high = (np.clip(end, -1e9, 1e9) for end in (low, high))
        near = [0.01 + 2 * UNIT * np.abs(end) / self.step for end in (low, high)]
        first = np.ceil((low - self.origin) / self.step - near[0])
        last = np.floor((high - self.origin) / self.step + near[1])
        first, last = np.maximum(first, self.low), np.minimum(last, self.high)
        return self.origin + first * self.step, self.origin + last * self.step

    def ends(self, x):
        index = self.index(x)
        lower = np.where(index <= self.low, -np.inf, self.origin + (index - 0.5) * self.step)
        upper = np.where(index >= self.high, np.inf, self.origin + (index + 0.5) * self.step)
        inside = (index > self.low) & (index < self.high)
        return lower, upper, np.where(inside, self.step, np.inf)

    def is_below(self, x):
        return self.index(x) < self.low

    def size(self, x):
        return np.abs(x) + np.abs(x - self.hidden.loc)

    def in_support(self, x):
        index = self.index(x)
        near = np.abs(x - self.point(index)) <= 0.01 * self.step
        return near & (index >= self.low) & (index <= self.high)

    def rows(self, count, rng, spread=1.0):
        index = self.index(self.hidden.rows(count, rng, spread))
        return self.point(np.clip(index, self.low, self.high))

    def ladder(self, params):
        low, high = (np.clip(self.index(end), self.low, self.high) for end in self.around(params))
        middle = np.clip(self.index(self.hidden.loc), low, high)
        low, high = max(low, middle - 50_000), min(high, middle + 50_000)
        return self.point(np.arange(low, high + 1))

    def encode(self, x):
        return self.hidden.encode(x)


class Count(Intervals):
    def __init__(self, config, column):
        self.hidden = LogisticMixture(config, column)
        self.num_params = self.hidden.num_params

    def between(self, low, high):
        return np.maximum(np.ceil(low), 0.0), np.minimum(np.floor(high), _LARGEST_COUNT)

    def ends(self, x):
        with np.errstate(divide="ignore"):
            lower, width = np.log(x), np.log1p(1 / x)
        upper = np.where(x >= _LARGEST_COUNT, np.inf, np.log1p(x))
        return lower, upper, np.where(x >= _LARGEST_COUNT, np.inf, width)

    def is_below(self, x):
        return x < 0

    def size(self, x):
        return np.log1p(x) + np.abs(np.log1p(x) - self.hidden.loc)

    def in_support(self, x):
        return (x == np.floor(x)) & (x >= 0) & (x <= _LARGEST_COUNT)

    def rows(self, count, rng, spread=1.0):
        hidden = np.clip(self.hidden.rows(count, rng, spread).astype(np.float64), 0, 18)
        x = np.clip(np.rint(np.expm1(hidden)), 0, _LARGEST_COUNT)
        return np.where(rng.random(count) < 0.1, 0, x)

    def ladder(self, params):
        high = np.expm1(np.clip(self.around(params)[1], 0, 18))
        return np.arange(0.0, min(high + 2, 100_000))

    def encode(self, x):
        return self.hidden.encode(np.log1p(x))


def tail_mass(near, far):
    """log(exp(-near) - exp(-far))."""
    return -near + np.log(-np.expm1(np.minimum(near - far, 0.0)))


class Binned(Real):
    def __init__(self, config, column):
        super().__init__(config, column)
        self.step = _own(config["steps"], column)
        self.edges = np.array(config["edges"][column])
        self.tails = _float32(config["tails"][column])
        self.num_params = len(self.edges) + 1
        self.is_discrete = self.step > 0
        if not self.is_discrete:
            self.edges = _float32(self.edges)

    def bin(self, x):
        return np.searchsorted(self.edges, x, side="left")

    def steps(self, x):
        """Of points of a grid how many others lie between them and the edge of their tail."""
        below = np.rint((self.edges[0] - x) / self.step - 0.5)
        above = np.rint((x - self.edges[-1]) / self.step - 0.5)
        return below, above

    def log_prob(self, params, x, nudge=0.0):
        x = x + nudge * UNIT * np.abs(x) * (not self.is_discrete)
        index = self.bin(x)
        log_weights = scipy.special.log_softmax(params, axis=1)
        chosen = np.take_along_axis(log_weights, index[:, None], 1)[:, 0]
        inner = np.clip(index, 1, max(1, len(self.edges) - 1))
        widths = (self.edges[inner % len(self.edges)] - self.edges[inner - 1]).clip(1e-300)
        if self.is_discrete:
            below, above = self.steps(x)
            falls = [scipy.stats.geom(-np.expm1(-self.step / tail), -1) for tail in self.tails]
            inside = -np.log(np.maximum(np.rint(widths / self.step), 1))
            ends = falls[0].logpmf(below), falls[1].logpmf(above)
        else:
            inside = -np.log(widths)
            distances = self.edges[0] - x, x - self.edges[-1]
            ends = [
                scipy.stats.expon(0, tail).logpdf(np.maximum(distance, 0))
                for tail, distance in zip(self.tails, distances, strict=True)
            ]
        within = np.where(index == 0, ends[0], np.where(index < len(self.edges), inside, ends[1]))
        return chosen + within

    def cdf(self, params, x):
        x = np.broadcast_to(np.asarray(x, np.float64), len(params))
        index = self.bin(x)
        weights = scipy.special.softmax(params, axis=1)
        passed = np.cumsum(weights, axis=1) - weights
        if self.is_discrete:
            below, above = self.steps(x)
            tails = [np.exp(-self.step / tail) for tail in self.tails]
            first, last = tails[0] ** below, 1 - tails[1] ** (above + 1)
            x = x + self.step / 2
        else:
            first = np.exp(-np.maximum(self.edges[0] - x, 0) / self.tails[0])
            last = -np.expm1(-np.maximum(x - self.edges[-1], 0) / self.tails[1])
        bottoms = np.append(self.edges[0], self.edges)[index]
        tops = np.append(self.edges, self.edges[-1])[index]
        inner = (x - bottoms) / np.where(tops > bottoms, tops - bottoms, 1)
        share = np.where(index == 0, first, np.where(index < len(self.edges), inner, last))
        take = (np.arange(len(params)), index)
        return passed[take] + weights[take] * share

    def log_between(self, params, low, high, nudge):
        if self.is_discrete:
            rows = zip(params, low, high, strict=True)
            return np.array([self._log_total(row[None], *ends) for row, *ends in rows])
        bottoms, tops = np.append(-np.inf, self.edges), np.append(self.edges, np.inf)
        low, high = (end[:, None] * (1 + nudge * UNIT) for end in (low, high))
        low, high = np.maximum(low, bottoms), np.minimum(high, tops)  # [N, K]
        logs = np.log(np.maximum(high - low, 0) / (tops - bottoms))
        first, last = (self.edges[0] - high, self.edges[0] - low), (low - tops[-2], high - tops[-2])
        for k, distances in ((0, first), (-1, last)):
            near, far = (each[:, k] / self.tails[k] for each in distances)
            logs[:, k] = np.where(near < far, tail_mass(near, far), -np.inf)
        return log_of_total(scipy.special.log_softmax(params, axis=1) + logs)

    def _log_total(self, params, low, high):
        """Of a grid: point after point, where all that counts is."""
        if low > high:
            return -np.inf
        first, last, (below, above) = self.edges[0], self.edges[-1], self.tails
        low = max(low, min(high, first) - 60 * below)
        high = min(high, max(low, last) + 60 * above)
        start, end = (low - first) / self.step - 0.51, (high - first) / self.step - 0.49
        points = first + self.step * (np.arange(np.ceil(start), np.floor(end) + 1) + 0.5)
        if not len(points):
            return -np.inf
        logs = self.log_prob(np.repeat(params, len(points), axis=0), points)
        return scipy.special.logsumexp(logs)

    def breaks(self, params):
        fall = np.linspace(0, 30, 121)
        below, above = self.edges[0] - self.tails[0] * fall, self.edges[-1] + self.tails[1] * fall
        return np.concatenate([below, self.edges, above])

    def nearest(self, x):
        """The float32 of the point that is next to x."""
        return self.point(x).astype(np.float32)

    def point(self, x):
        """The point of the grid that is next to x."""
        origin = self.edges[0] + self.step / 2
        # Grids of the tests are of few decimals, edges of float32.
        return np.round(origin + np.rint((x - origin) / self.step) * self.step, 6)

    def in_support(self, x):
        if not self.is_discrete:
            return np.isfinite(x)
        near = np.abs(x - self.nearest(x)) <= 0.01 * self.step
        return near & (np.abs(x - self.edges[0]) < _LARGEST_INDEX * self.step)

    def rows(self, count, rng, spread=1.0):
        low, high = self.edges[0] - spread * self.tails[0], self.edges[-1] + spread * self.tails[1]
        x = rng.uniform(low, high, count)
        x = np.where(rng.random(count) < 0.3, rng.choice(self.edges, count), x)
        return (self.point(x) if self.is_discrete else x).astype(np.float32)

    def ladder(self, params):
        low, high = self.edges[0] - 22 * self.tails[0], self.edges[-1] + 22 * self.tails[1]
        low, high = self.point(low - self.step), self.point(high + self.step)
        return np.float32(
            [self.point(low + k * self.step) for k in range(round((high - low) / self.step) + 1)]
        )


class Inflated(Law):
    def __init__(self, config, column):
        points = config["points"]
        self.points = _float32(points[column] if isinstance(points[0], list) else points)
        self.inner = _law(config["family"], column)
        self.is_discrete = self.inner.is_discrete
        self.num_params = len(self.points) + self.inner.num_params

    def split(self, params):
        """Log probabilities of the points and of none, `[N, J + 1]`; the other's parameters."""
        count = len(self.points)
        logits = np.concatenate([params[:, :count], np.zeros((len(params), 1))], axis=1)
        return scipy.special.log_softmax(logits, axis=1), params[:, count:]

    def log_prob(self, params, x, nudge=0.0):
        logs, inner = self.split(params)
        at = x[:, None] == self.points
        has = self.inner.in_support(x) & (self.inner.is_discrete | ~at.any(1))
        some = self.inner.rows(len(x), np.random.default_rng(0))
        elsewhere = self.inner.log_prob(inner, np.where(has, x, some), nudge) + logs[:, -1]
        mass = np.where(at, logs[:, :-1], -np.inf).max(axis=1)
        return np.logaddexp(mass, np.where(has, elsewhere, -np.inf))

    def log_in(self, params, allowed, low, high, nudge=0.0):
        logs, inner = self.split(params)
        count = len(self.points)
        other = self.inner.log_in(inner, allowed[:, count:], low, high, nudge)
        weights = np.hstack([allowed[:, :count], np.ones((len(params), 1))])
        return log_of_total(np.hstack([logs[:, :-1], (logs[:, -1] + other)[:, None]]), weights)

    def cdf(self, params, x):
        logs, inner = self.split(params)
        masses = np.exp(logs)
        below = self.points <= np.reshape(x, (-1, 1))
        return (masses[:, :-1] * below).sum(1) + masses[:, -1] * self.inner.cdf(inner, x)

    def mass(self, params, x):
        has = self.is_discrete | np.isin(x, self.points)
        return np.where(has, np.exp(self.log_prob(params, x)), 0)

    def in_support(self, x):
        return np.isin(x, self.points) | self.inner.in_support(x)

    def rows(self, count, rng, spread=1.0):
        inner = self.inner.rows(count, rng, spread)
        return np.where(rng.random(count) < 0.3, rng.choice(self.points, count), inner)

    def ladder(self, params):
        inner = self.inner.ladder(params[:, len(self.points) :])
        return np.union1d(inner.astype(np.float32), self.points.astype(np.float32))

    def mesh(self, params):
        x, weights, outside = self.inner.mesh(params[:, len(self.points) :])
        points = np.setdiff1d(self.points, x) if self.is_discrete else self.points
        logs, _ = self.split(params)
        x = np.append(x, points).astype(np.float32)
        return x, np.append(weights, np.ones(len(points))), outside * np.exp(logs[0, -1])

    def encode(self, x):
        at = x[:, None] == self.points
        is_point = at.any(axis=1)
        other = np.where(is_point, self.inner.rows(1, np.random.default_rng(0)), x)
        return np.hstack([at, self.inner.encode(other) * ~is_point[:, None]])


LAWS = {
    law.__name__: law
    for law in (
        Bernoulli,
        Categorical,
        Embedded,
        Ordinal,
        Normal,
        NormalMixture,
        LogisticMixture,
        Discretized,
        Count,
        Binned,
        Inflated,
    )
}


def spiked(count=400, seed=3):
    """Data `[count, 3]` with spikes: reals, hundredths, and counts by the dozen."""
    rng = np.random.default_rng(seed)
    real = np.where(rng.random(count) < 0.3, 0.0, rng.normal(5, 2, count))
    grid = np.where(rng.random(count) < 0.4, 0.23, np.round(rng.gamma(2.0, 0.1, count), 2))
    whole = np.where(rng.random(count) < 0.5, 12.0, 12.0 * rng.poisson(3, count))
    return np.stack([real, grid, whole], axis=1)


def _mixed():
    return families.Mixed(
        [
            families.Ordinal(4),
            families.NormalMixture(3),
            families.Count(4),
            families.Bernoulli(),
            families.Discretized(families.LogisticMixture(2, 50.0, 20.0), 1.0, 0.0, 100.0),
            families.NormalMixture(3, data_loc=5.0, data_scale=2.0),
            families.Categorical(3),
            families.Inflated(families.Normal(1.0, 2.0), (0.0, families.MISSING)),
            families.Binned([[-1.0, 0.0, 0.5, 2.0]], [[0.5, 1.0]]),
            families.Ordinal(7, [[5, 1, 0, 2, 9, 1, 1]]),
            families.Normal(-2.0, 0.5),
            families.Categorical(5),
            families.Discretized(families.LogisticMixture(2, 0.5, 0.3), 0.01),
            families.Inflated(families.Count(2), (0.0, 7.0)),
            families.Binned([[0.5, 2.5, 3.5]], [[1.0, 2.0]], 1.0),
            families.LogisticMixture(2, knots=[[-1.0, 0.0, 2.0]]),
        ]
    )


#: Ways to make each new family, bound; those that real columns and grids need take data.
_MAKERS = {
    "ordinal": lambda: families.Ordinal([2, 5, 3]).bind(3),
    "ordinal with counts": lambda: families.Ordinal([4, 2, 6], [[5, 0, 100, 1], [3, 9], None]).bind(
        3
    ),
    "ordinal of two": lambda: families.Ordinal(2).bind(2),
    "normal mixture": lambda: families.NormalMixture(4, [0.0, 50.0], [1.0, 3.0]).bind(2),
    "normal mixture of one": lambda: families.NormalMixture(1).bind(2),
    "normal mixture of data": lambda: families.NormalMixture.from_data(spiked()),
    "logistic mixture": lambda: families.LogisticMixture(
        3, [0.0, -2.0], [1.0, 0.01], min_scale=[None, 0.002]
    ).bind(2),
    "logistic mixture of one": lambda: families.LogisticMixture(
        1, 1.0, 2.0, [[-1.0, 0.5, 3.0]], 0.5
    ).bind(1),
    "discretized": lambda: families.Discretized(
        families.LogisticMixture(3, [3.0, 0.2, 1.5, 0.5], [4.0, 0.3, 1.0, 0.2]),
        [1.0, 0.01, 0.25, 1 / 255],
        [None, 0.0, None, 0.0],
        [None, None, 4.0, 1.0],
    ).bind(4),
    "discretized, one step": lambda: families.Discretized(
        families.LogisticMixture(2, 1.0, 0.5), 0.01, 0.5, 2.0
    ).bind(2),
    "discretized from an origin": lambda: families.Discretized(
        families.LogisticMixture(1, 0.3, 0.3), [0.07, 5.0], [None, -7.0], origin=[0.03, 3.0]
    ).bind(2),
    "discretized of data": lambda: families.Discretized.from_data(spiked()[:, 1:]),
    "count": lambda: families.Count(3, [1.0, 4.0], [1.0, 2.0]).bind(2),
    "count of data": lambda: families.Count.from_data(spiked()[:, 2:]),
    "binned": lambda: families.Binned(
        [[-1.0, 0.0, 0.5, 2.0], [3.0], [10.0, 20.0]], [[0.5, 1.0], [1.0, 0.1], [3.0, 4.0]]
    ).bind(3),
    "binned on grids": lambda: families.Binned(
        [[0.5, 2.5, 3.5], [0.015, 0.225, 0.235]], [[1.0, 2.0], [0.01, 0.2]], [1.0, 0.01]
    ).bind(2),
    "binned of data": lambda: families.Binned.from_data(spiked()),
    "inflated real": lambda: families.Inflated(
        families.Normal([0.0, 3.0], [1.0, 2.0]), (0.0,)
    ).bind(2),
    "inflated mixture": lambda: families.Inflated(
        families.NormalMixture(2), [[0.0, 2.0], [families.MISSING, 1.0]]
    ).bind(2),
    "inflated count": lambda: families.Inflated(families.Count(2), (0.0, families.MISSING)).bind(2),
    "inflated categorical": lambda: families.Inflated(
        families.Categorical([3, 2]), [[1.0], [9.0]]
    ).bind(2),
    "inflated ordinal": lambda: families.Inflated(
        families.Ordinal([3, 5]), [[0.0, families.MISSING], [4.0, 2.5]]
    ).bind(2),
    "inflated grid": lambda: families.Inflated(
        families.Binned([[0.5, 2.5, 3.5]], [[1.0, 2.0]], 1.0), (0.0, 0.5)
    ).bind(1),
    "embedded": lambda: families.Embedded([5, 2, 9], 3).bind(3),
    "embedded, one column": lambda: families.Embedded(12, 2).bind(1),
    "mixed": lambda: _mixed().bind(16),
    "mixed with embedded": lambda: families.Mixed(
        [
            families.Embedded(5, 2),
            families.Normal(1.0, 2.0),
            families.Embedded(7, 2),
            families.Inflated(families.Embedded(3, 2), (0.5, families.MISSING)),
            families.Categorical(5),
            families.Embedded(100, 4),
        ]
    ).bind(6),
}


FAMILIES = tuple(_MAKERS)


@functools.cache
def made(name):
    """Returns the family of a name, bound to its columns."""
    return _MAKERS[name]()
