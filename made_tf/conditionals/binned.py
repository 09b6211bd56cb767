"""Real or integer variables cut into bins: any shape, and cheap on devices."""

from __future__ import annotations

import numpy as np
from keras import ops

from made_tf.conditionals.base import as_float32, register
from made_tf.conditionals.bins import parts_of_bins
from made_tf.conditionals.classes import IMPOSSIBLE, number_of_steps
from made_tf.conditionals.grids import (
    LARGEST_INDEX,
    OnGrids,
    find_step,
    grid_constants,
    is_recorded_on_grid,
)
from made_tf.conditionals.layout import Layout
from made_tf.conditionals.lines import IMPROBABLE
from made_tf.conditionals.numbers_of_columns import check_numbers, spread, spread_lists
from made_tf.conditionals.real_columns import RealColumns, quantile_knots
from made_tf.conditionals.special_functions import log_softmax, log_sum_exp
from made_tf.conditionals.starts import Start, log_frequencies
from made_tf.portable.arguments import integer

__all__ = ["Binned"]

_NUM_BINS = 64
#: Of each bin: the log of its density, where it begins, and how far it reaches.
_TABLES = ("log_height", "begin", "size")


@register
class Binned(RealColumns, OnGrids):
    """Variables cut into K bins, one logit each: a probability for each bin, uniform inside it.

    The first and the last bin are open: there the density falls exponentially, as fast as in the
    data. Where numbers are recorded on a grid (`steps`), bins hold whole intervals around its
    points, and the column has the probabilities of these intervals in place of a density.

    A value is made from two uniforms: one chooses the bin, one the place in it.

    Args:
        edges: for each variable K - 1 increasing numbers, where its bins meet; as many for all or
            not.
        tails: for each variable how far the values of the first bin, and those of the last, lie
            from its edge on average: two positive numbers.
        steps: for each variable the distance of two points of its grid, 0 for a real variable;
            edges then lie halfway between points.
        data_loc: where the data lie, for the network's inputs, a number or one for each variable.
        data_scale: how far they spread, likewise.
        knots: for each variable where the hat functions peak that the network sees.
        num_hats: how many of the knots have hat functions, as in `NormalMixture`; `None` for all.

    Raises:
        ValueError: if edges do not increase or another argument is out of range.
    """

    name = "binned"
    support = "a finite number, on the grid of its variable if it has one"
    per_column = ("edges", "tails", "steps", *RealColumns.per_column)
    has_temperature = False

    def __init__(
        self, edges, tails, steps=0.0, data_loc=0.0, data_scale=1.0, knots=None, num_hats=None
    ):
        super().__init__(data_loc, data_scale, knots, num_hats)
        self.edges = [check_numbers("edges", list(each)) for each in edges]
        self.tails = [check_numbers("tails", list(each)) for each in tails]
        self.steps = check_numbers("steps", steps)
        for each in self.edges:
            if not each or np.any(np.diff(np.asarray(each, np.float32)) <= 0):
                raise ValueError(
                    "`edges` must be increasing numbers, one at least for each variable. "
                    f"Received: {each}"
                )
        if len(self.tails) != len(self.edges) or any(
            len(each) != 2 or min(each) <= 0 for each in self.tails
        ):
            raise ValueError(
                "`tails` must be two positive numbers for each variable. "
                f"Received: tails={self.tails}"
            )
        if np.min(self.steps) < 0:
            raise ValueError(f"`steps` must be 0 or positive. Received: steps={self.steps}")

    def make_layout(self, event_size):
        spread_lists("edges", self.edges, event_size)
        features = np.full(event_size, self.num_features)
        return Layout.of_sizes(features, [len(each) + 1 for each in self.edges])

    def make_constants(self, event_size):
        spread_lists("edges", self.edges, event_size)
        spread("steps", self.steps, event_size)  # has as many entries as columns
        steps = np.broadcast_to(np.asarray(self.steps, np.float64), (event_size,))
        is_grid = steps > 0
        size = max(len(each) for each in self.edges)
        edges = np.full((event_size, size), np.finfo(np.float32).max, np.float32)
        tables = {name: np.zeros((event_size, size + 1)) for name in _TABLES}
        points = []
        for column, (own, tails, step) in enumerate(
            zip(self.edges, self.tails, steps, strict=True)
        ):
            edges[column, : len(own)] = own
            points.append(own[0] + step / 2)
            begins, sizes = np.array([own[0], *own]), np.array([tails[0], *np.diff(own), tails[1]])
            if step:  # in whole steps from the first point above the first edge
                begins = _whole((begins - own[0]) / step, np.abs(own).max() / step)
                sizes = np.array([tails[0] / step, *np.diff(begins[1:]), tails[1] / step])
                begins[0] = -1.0
            log_heights = -np.log(sizes)
            if step:
                log_heights[[0, -1]] = np.log(-np.expm1(-1.0 / sizes[[0, -1]]))
            for name, values in zip(_TABLES, (log_heights, begins, sizes), strict=True):
                tables[name][column, : len(values)] = values
        return {
            **super().make_constants(event_size),
            **grid_constants(np.where(is_grid, steps, 1.0), points),
            **{name: table.reshape(-1).astype(np.float32) for name, table in tables.items()},
            "edges": edges,
            "first_entry": (np.arange(event_size) * (size + 1)).astype(np.int32),
            "is_grid": is_grid.astype(np.float32),
            "half": (steps / 2).astype(np.float32),
            "num_edges": np.array([len(each) for each in self.edges], np.float32),
            "lowest": np.array([each[0] for each in self.edges], np.float32),
            "highest": np.array([each[-1] for each in self.edges], np.float32),
            "tail_below": np.array([each[0] for each in self.tails], np.float32),
            "tail_above": np.array([each[1] for each in self.tails], np.float32),
        }

    def select(self, columns):
        selected = super().select(columns)
        # Entries of the tables are found by `first_entry`, whichever columns there are.
        selected._constants |= {name: self.constant(name) for name in _TABLES}
        return selected

    @property
    def is_discrete(self):
        return self.constant("is_grid") > 0

    @property
    def settles_late(self):
        return np.ones(self.event_size, bool)

    @property
    def channels(self):
        return np.full(self.event_size, 2)

    def unpack(self, params):
        return {"logits": self._logits(params)}

    def log_prob(self, params, x):
        (x,) = as_float32(x)
        log_probs = log_softmax(self._logits(params))
        above = ops.cast(ops.expand_dims(x, -1) > self.constant("edges"), "float32")
        index = ops.sum(above, axis=-1)
        bins = np.arange(log_probs.shape[-1], dtype=np.float32)
        chosen = ops.cast(ops.equal(ops.expand_dims(index, -1), bins), "float32")
        log_prob = ops.sum(chosen * log_probs, axis=-1)
        # On a grid the interval that is nearest to the edge begins at the edge.
        half = self.constant("half")
        below = ops.relu(self.constant("lowest") - half - x) / self.constant("tail_below")
        beyond = ops.relu(x - half - self.constant("highest")) / self.constant("tail_above")
        return log_prob + self._entry("log_height", index) - below - beyond

    def start(self, x):
        bins = [
            np.where(np.isnan(values), np.nan, np.searchsorted(np.float32(own), values))
            for values, own in zip(x.T, self.edges, strict=True)
        ]
        sizes = self.layout.parameters.sizes
        return Start(np.concatenate(log_frequencies(np.stack(bins, axis=1), sizes)), {})

    def noise(self, uniforms):
        size = self.event_size
        return ops.stack([uniforms[:, :size], uniforms[:, size:]], axis=-1)

    def transform(self, params, noise):
        return self._placed(params, noise)

    def transform_nearby(self, params, noise, slack):
        ends = [self._placed(params, noise, 1.0 + moved) for moved in (-slack, slack)]
        return ops.minimum(*ends), ops.maximum(*ends)

    def _placed(self, params, noise, stretch: float = 1.0):
        """Returns `transform`, every value so many times as far from where its bin begins."""
        index = number_of_steps(self._logits(params), noise[..., 0])
        place = noise[..., 1]
        is_first = ops.equal(index, 0.0)
        is_tail = ops.logical_or(is_first, ops.equal(index, self.constant("num_edges")))
        place = ops.where(is_tail, -ops.log(place), place)
        begin, size = self._entry("begin", index), self._entry("size", index)
        away = size * place if stretch == 1.0 else size * place * stretch
        # On a grid: whole steps, less than the bin has.
        steps = ops.minimum(ops.floor(away), ops.where(is_tail, LARGEST_INDEX, size - 1.0))
        sign = ops.where(is_first, -1.0, 1.0)
        on_grid = self.grid_point(begin + sign * steps)
        return ops.where(self.constant("is_grid") > 0, on_grid, begin + sign * away)

    def log_prob_between(self, params, low, high):
        parts = self._parts_between(low, high)
        log_prob = log_sum_exp(log_softmax(self._logits(params)) + parts.log_shares)
        return ops.where(log_prob > 0.5 * IMPROBABLE, log_prob, -np.inf)

    def transform_between(self, params, noise, low, high):
        parts = self._parts_between(low, high)
        log_weights = log_softmax(self._logits(params)) + parts.log_shares
        place = parts.place(number_of_steps(log_weights, noise[..., 0]), noise[..., 1])
        first, last = self.indices_between(low, high)
        point = self.grid_point(ops.maximum(ops.minimum(ops.floor(place), last), first))
        real = ops.maximum(ops.minimum(place, high), low)
        return ops.where(self.constant("is_grid") > 0, point, real)

    def _parts_between(self, low, high):
        """Returns what of each bin lies in intervals.

        On a grid point n, of which the first above the first edge is 0, counts as all that lies
        from n to n + 1: then its bins are like those of reals.
        """
        is_grid = self.constant("is_grid")
        first, last = self.indices_between(low, high)
        low, high = ops.where(is_grid > 0, first, low), ops.where(is_grid > 0, last + 1.0, high)
        entries = np.arange(self.layout.parameters.largest, dtype=np.int32)
        entries = ops.expand_dims(self.constant("first_entry"), -1) + entries  # [D, K]
        begins, sizes = (ops.take(self.constant(name), entries, axis=0) for name in _TABLES[1:])
        top = begins[..., 0] + is_grid  # the table counts the points of the first bin from -1 down
        return parts_of_bins(low, high, begins, sizes, top, self.constant("num_edges"))

    def in_support(self, x):
        is_real = ops.logical_and(self.constant("is_grid") < 1, ops.isfinite(x))
        is_point = ops.logical_and(self.constant("is_grid") > 0, self.is_on_grid(x))
        return ops.logical_or(is_real, is_point)

    @classmethod
    def of_table(cls, x, num_bins=_NUM_BINS, **options):
        """Takes edges between quantiles, at most `num_bins - 1` of them but for repeated values."""
        x = np.asarray(x, np.float64)
        bins = integer("num_bins", num_bins, 2)
        return super().of_table(x, **{**cls.cut(x, bins), **options})

    @staticmethod
    def knots_of(values):
        return quantile_knots(values, recurring=True)

    @classmethod
    def cut(cls, x, num_bins):
        """Returns the arguments that cut data `[N, D]` into about so many bins."""
        columns = [_cut(column, num_bins) for column in x.T]
        edges, tails, steps = (list(each) for each in zip(*columns, strict=True))
        return {"edges": edges, "tails": tails, "steps": steps}

    def get_config(self):
        own = {"edges": self.edges, "tails": self.tails, "steps": self.steps}
        return {**own, **super().get_config()}

    def _logits(self, params):
        (params,) = as_float32(params)
        return self.layout.parameters.pad(params, IMPOSSIBLE)

    def _entry(self, name: str, index):
        """Returns the entries of a table for each column's bin, `[N, D]`."""
        entries = ops.cast(index, "int32") + self.constant("first_entry")
        return ops.take(self.constant(name), entries, axis=0)


def _cut(values, num_bins: int) -> tuple[list[float], list[float], float]:
    """Returns edges, tails and the step (0 for none) of one variable's data."""
    if is_recorded_on_grid(values):
        step, origin = find_step(values)
        edges, tails = _cut_steps(np.rint((values - origin) / step), num_bins, half=0.5)
        return (origin + step * edges).tolist(), (step * tails).tolist(), step
    edges, tails = _cut_steps(values, num_bins, half=0.0)
    return edges.tolist(), tails.tolist(), 0.0


def _cut_steps(values, num_bins: int, half: float):
    """Returns edges and tails: of whole numbers, where `half` is 0.5, or of real ones."""
    distinct = np.unique(values)
    shares = np.arange(1, num_bins) / num_bins
    quantiles = np.quantile(values, shares, method="closest_observation")
    ends, repeats = np.unique(quantiles, return_counts=True)
    spikes = ends[repeats > 1]  # a value that fills more than a bin has one of its own
    edges = np.concatenate([ends + half, spikes - half]) if half else _between(ends, distinct)
    edges = np.unique(edges.astype(np.float32)).astype(np.float64)
    edges = edges[(edges > distinct[0]) & (edges < distinct[-1])]
    if not len(edges):
        edges = np.array([distinct[0] + half])
    tails = []
    for distance in (edges[0] - half - values, values - half - edges[-1]):
        distance = distance[distance > -half if half else distance > 0]
        mean = (distance.sum() + 2 * half) / (len(distance) + 1)
        # Of a geometric distribution in steps, or an exponential one.
        tails.append(1 / np.log1p(1 / mean) if half else mean or 1.0)
    return edges, np.array(tails)


def _whole(steps, largest: float):
    """Returns how many steps edges lie from the first one, as whole numbers.

    Raises:
        ValueError: if they do not, up to the rounding of numbers that are `largest` steps large.
    """
    whole = np.rint(steps)
    if np.any(np.abs(steps - whole) > 1e-2 + 2e-7 * largest):
        raise ValueError(
            "`edges` must lie whole steps apart, halfway between points of the grid. "
            f"Received: {steps[1:].tolist()} steps from the first edge"
        )
    return whole


def _between(ends, distinct):
    """Returns the middle between each value and the next one that occurs."""
    following = np.minimum(np.searchsorted(distinct, ends, side="right"), len(distinct) - 1)
    return (ends + distinct[following]) / 2
