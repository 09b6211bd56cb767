"""Progressive sampling of queries that restrict few variables, whichever these are.

A query's restricted variables come first in an order of its own, and nothing is drawn beyond the
last of them. So all queries go forward together, a variable a step, and the family is asked
variable by variable: a call serves all rows that have come to this variable.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from made_tf.conditionals import Conditionals
from made_tf.conditionals.classes import IMPOSSIBLE
from made_tf.conditionals.regions import Region
from made_tf.models.made import MADE
from made_tf.portable.arrays import BoolArray, FloatArray, IntArray
from made_tf.sampling import random
from made_tf.sampling.chain_rows import ChainNetwork, ChainRows
from made_tf.sampling.growing_rows import GrowingRows, StepNetwork
from made_tf.sampling.sorted_weights import Weights

__all__ = ["FewVariables", "steps_of"]

_ENTRIES = 2**25  # of features, units and parameters, at once


def steps_of(model: MADE, restricted: BoolArray) -> IntArray:
    """Returns the restricted variables of each query in the model's own order, then -1: `[N, S]`.

    Args:
        model: a model that answers all questions.
        restricted: booleans `[N, D]`.
    """
    order = np.argsort(model.degrees.inputs)
    lengths = restricted.sum(axis=1)
    # Of booleans the true ones come first, and in their order.
    first = np.argsort(~restricted[:, order], axis=1, kind="stable")[:, : lengths.max(initial=0)]
    return np.where(np.arange(first.shape[1]) < lengths[:, None], order[first], -1)


class FewVariables:
    """Draws the restricted variables of queries, and nothing else.

    Args:
        model: a model that answers all questions; its weights are read at each call.

    Attributes:
        rows_at_once: how many draws should be made by a call, at most.
    """

    def __init__(self, model: MADE):
        self._model, family = model, model.conditionals
        self._weights = Weights(model)
        layout = family.layout
        entries = layout.features.total + sum(map(len, model.degrees.hidden))
        entries += 4 * layout.parameters.largest  # with what is allowed, and what comes of them
        self.rows_at_once = max(1, _ENTRIES // entries)
        self._columns: dict[int, _Column] = {}
        for columns, own in family.groups():
            asked = _Asked(own)
            for place, column in enumerate(columns):
                self._columns[int(column)] = _Column(asked, place)
        seeds = tf.TensorSpec([None, 2], tf.int32)
        self._noise = tf.function(self._make_noise, [seeds], autograph=False)

    def log_weights(
        self,
        seeds: IntArray,
        regions: Region,
        steps: IntArray,
        vectors: FloatArray | None = None,
    ) -> FloatArray:
        """Returns the logs of the draws' weights, the product of P(region | x_<k): `[N, L]`.

        Args:
            seeds: of the draws, int32 `[N L, 2]`.
            regions: what each query allows: `[N, D, K]`, `[N, D]` and `[N, D]`.
            steps: what `steps_of` gives; each query restricts one variable at least.
            vectors: the encoded context of each query, `[N, W]`; `None` for a model without one.
        """
        weights = np.zeros((len(steps), len(seeds) // len(steps)), np.float32)
        steps = np.pad(steps, [(0, 0), (0, 1)], constant_values=-1)
        noise: Any = self._noise(seeds).numpy() if (steps[:, 1] >= 0).any() else None
        # Until something is drawn, a row stands for all draws of a query, and then for one.
        rows = self._rows(len(steps), vectors)
        draws = np.arange(weights.size).reshape(weights.shape)
        for step in range(steps.shape[1] - 1):
            rows.compute_units(step)
            goes_on = steps[rows.owners, step + 1] >= 0
            further = rows.take(np.repeat(np.flatnonzero(goes_on), draws.shape[1]))
            places = np.full(draws.shape, -1)  # in `further`
            places[goes_on] = np.arange(len(further.owners)).reshape(-1, draws.shape[1])
            for variable in np.unique(steps[rows.owners, step]):
                own = np.flatnonzero(steps[rows.owners, step] == variable)
                column = self._columns[variable]
                params = rows.parameters(own, variable, step)
                region = Region(*(part[rows.owners[own], variable] for part in regions))
                found = column.log_prob_in(params, region)
                weights.reshape(-1)[draws[own]] += found[:, None]
                on = goes_on[own]
                if on.any():
                    features = column.draw(
                        np.repeat(params[on], draws.shape[1], axis=0),
                        Region(*(np.repeat(part[on], draws.shape[1], axis=0) for part in region)),
                        noise[draws[own[on]].reshape(-1), variable],
                    )
                    further.learn(places[own[on]].reshape(-1), variable, features)
            rows, draws = further, draws[goes_on].reshape(-1, 1)
        return weights

    def _rows(self, count: int, vectors: FloatArray | None) -> GrowingRows:
        """Returns rows that know nothing, under the weights as they are now."""
        if self._model.reads_evidence:
            return ChainRows.knowing_nothing(ChainNetwork(self._model, self._weights), count)
        network = StepNetwork(self._model, self._weights, vectors)
        return GrowingRows.knowing_nothing(network, count)

    def _make_noise(self, seeds):
        family = self._model.conditionals
        return family.noise(random.row_uniforms(seeds, family))


class _Asked:
    """The family of columns that are alike, each function traced once for all of them."""

    def __init__(self, family: Conditionals):
        self.family = family
        channels = int(family.channels.max())
        place = tf.TensorSpec([], tf.int32)
        params, allowed, noise = (
            tf.TensorSpec([None, width], tf.float32)
            for width in (family.layout.parameters.largest, None, channels)
        )
        line = tf.TensorSpec([None], tf.float32)
        region = Region(allowed, line, line)
        traced = functools.partial(tf.function, autograph=False)
        self.log_prob_in = traced(self._log_prob_in, [place, params, region])
        self.draw = traced(self._draw, [place, params, region, noise])

    def _log_prob_in(self, place, params, region):
        return self._of(place).log_prob_in(params, _one_column(region))[:, 0]

    def _draw(self, place, params, region, noise):
        family = self._of(place)
        noise = noise if noise.shape[1] == 1 else noise[:, None]
        x = family.transform_in(params, noise, _one_column(region))
        return family.encode(tf.ensure_shape(x, [None, 1]))

    def _of(self, place):
        return self.family.select(tf.reshape(place, [1]))


class _Column:
    """One column of those that are alike.

    Args:
        asked: their family.
        place: the column's number among them.
    """

    def __init__(self, asked: _Asked, place: int):
        self._asked, self._place = asked, place
        self._channels = int(asked.family.channels.max())
        layout = asked.family.layout
        self._missing = layout.parameters.largest - int(layout.parameters.sizes[place])

    def log_prob_in(self, params: FloatArray, region: Region) -> FloatArray:
        """Returns log P(x is in its region), `[m]`."""
        return self._asked.log_prob_in(self._place, self._padded(params), region).numpy()

    def draw(self, params: FloatArray, region: Region, noise: FloatArray) -> FloatArray:
        """Draws within regions by noise `[m]` or `[m, C]`: the features, `[m, entries]`."""
        noise = noise.reshape(len(noise), -1)[:, : self._channels]
        return self._asked.draw(self._place, self._padded(params), region, noise).numpy()

    def _padded(self, params: FloatArray) -> FloatArray:
        """Gives a column as many parameters as the largest: those of no class are impossible."""
        return np.pad(params, [(0, 0), (0, self._missing)], constant_values=IMPOSSIBLE)


def _one_column(region: Region) -> Region:
    return region.map(lambda part: part[:, None])
