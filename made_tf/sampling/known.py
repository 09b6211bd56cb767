"""What is known about a row before it is drawn: values, sets of them, or intervals.

The sampler draws each variable from its conditional as far as what is known
allows, and the weight of the row is how probable that was:

    weight(x) = product over k of P(x_k is allowed | x_<k).

Averaged over rows, weights estimate the probability (or density) of what is
known; rows in proportion to their weights are rows of the conditional.

Everything has the variables of a row along axis 1, in the order of generation
inside the sampler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from made_tf.conditionals.regions import Region

__all__ = ["KnownRegions", "KnownValues"]


class KnownValues(NamedTuple):
    """Variables with one value each.

    Attributes:
        observed: float32 `[n or 1, D]`, 1 for what is known and 0 for the rest.
        values: float32 `[n or 1, D]`; anything finite where nothing is known.
    """

    observed: Any
    values: Any

    def map(self, function: Callable) -> KnownValues:
        """Applies a function to what has variables along axis 1."""
        return KnownValues(function(self.observed), function(self.values))

    def transform(self, family, params, noise):
        """Returns values `[n, D]`: those that are known, the others drawn."""
        drawn = family.transform(params, noise)
        return tf.where(self.observed > 0, self.values, drawn)

    def log_weight(self, family, params, x):
        """Returns log p of the known values, in nats: `[n, P]`, `[n, D]` -> `[n]`."""
        log_prob = family.log_prob(params, x)
        return tf.reduce_sum(tf.where(self.observed > 0, log_prob, 0.0), axis=1)


class KnownRegions(NamedTuple):
    """Variables with a set of values, or an interval of them, each.

    Attributes:
        region: what each variable may be.
    """

    region: Region

    def map(self, function: Callable) -> KnownRegions:
        """Applies a function to what has variables along axis 1."""
        return KnownRegions(self.region.map(function))

    def transform(self, family, params, noise):
        """Returns values `[n, D]` drawn from the conditionals within the regions."""
        return family.transform_in(params, noise, self.region)

    def log_weight(self, family, params, x):
        """Returns the log of the product of P(region | x_<k): `[n, P]`, `[n, D]` -> `[n]`."""
        del x
        return tf.reduce_sum(family.log_prob_in(params, self.region), axis=1)
