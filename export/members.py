"""What the file of an ensemble computes: the networks of its members, of which each row has one.

A row's member is drawn by a uniform of its own, the one behind those of its values and of its
order, as on the host. All members lie in the file. Each one that some row has draws all rows, and
a select takes from it those that are its own: many rows cost as many times what one of a member
costs, a single one costs it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from made_tf.export.networks import (
    Answer,
    ExportedNetwork,
    NetworkOfEvidence,
    NetworkOfManyOrders,
    make_network,
)
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE
from made_tf.sampling import random
from made_tf.sampling.order_mixture import choose_set, choose_weighted

__all__ = ["NetworkOfMembers", "network_of"]

_LOWEST = -1e30  # so that no infinity is taken from another


def network_of(
    model: MADE | Ensemble,
    num_orders: int = 1,
    block_length: int | None = None,
    batch_size: int | None = None,
) -> ExportedNetwork | NetworkOfMembers:
    """Returns what a file computes, the weights frozen into it.

    Args:
        model: the model, or an ensemble, each of whose members averages over its own orders.
        num_orders: as in `make_network`, of a model.
        block_length: likewise.
        batch_size: likewise.
    """
    if not isinstance(model, Ensemble):
        return make_network(model, num_orders, block_length, batch_size)
    members = [
        make_network(each, each.num_orders, block_length, batch_size) for each in model.members
    ]
    return NetworkOfMembers(members, model.event_size)


class NetworkOfMembers:
    """The answers of an ensemble to those signatures that a mixture has.

    Args:
        members: the networks of its members.
        event_size: D, the number of variables.
    """

    def __init__(self, members: Sequence[ExportedNetwork], event_size: int):
        self._members = list(members)
        self._event_size = event_size

    def sample(self, seeds, context=None) -> Answer:
        """Draws row i from seeds[i]."""
        return self._each_from_its_own(
            self._members_of(seeds), lambda member: member.sample(seeds, context)
        )

    def sample_and_log_prob(self, seeds, context=None) -> Answer:
        """Draws rows, each from its member, and scores them under all."""
        x = self.sample(seeds, context)["x"]
        return {"x": x, **self.log_prob(x, context)}

    def sample_at_temperature(self, seeds, temperature, context=None) -> Answer:
        """Draws rows from their members' conditionals to the power 1 / temperature."""
        return self._each_from_its_own(
            self._members_of(seeds),
            lambda member: member.sample_at_temperature(seeds, temperature, context),
        )

    def log_prob(self, x, context=None) -> Answer:
        """Scores rows by the mean of the members' densities; NaN as `ExportedNetwork`."""
        log_probs = tf.stack([member.log_prob(x, context)["log_prob"] for member in self._members])
        largest = tf.maximum(tf.reduce_max(log_probs, axis=0), _LOWEST)
        total = tf.reduce_sum(tf.exp(log_probs - largest[None]), axis=0)
        return {"log_prob": largest + tf.math.log(total / np.float32(len(self._members)))}

    def impute(self, x, observed, seeds, context=None) -> Answer:
        """Draws what is not observed, from members by how probable the rest is under them."""
        kinds = NetworkOfEvidence, NetworkOfManyOrders
        members = [each for each in self._members if isinstance(each, kinds)]
        log_weights = tf.stack(
            [member.log_marginal(x, observed, context) for member in members], axis=1
        )
        chosen = choose_weighted(log_weights, random.member_uniforms(seeds, self._event_size))
        return self._each_from_its_own(
            chosen, lambda member: member.impute(x, observed, seeds, context)
        )

    def _members_of(self, seeds):
        """Returns the members' numbers, `[n]`, all equally probable."""
        return choose_set(random.member_uniforms(seeds, self._event_size), len(self._members))

    def _each_from_its_own(self, chosen, draw: Callable) -> Answer:
        """Returns the rows `[n, D]` that members draw, each from the one that was chosen for it."""
        x = tf.zeros_like(tf.cast(chosen, tf.float32))[:, None] + np.zeros(
            self._event_size, np.float32
        )
        for number, member in enumerate(self._members):
            mine = tf.equal(chosen, number)

            def body(left, x, member=member, mine=mine):
                drawn = tf.where(mine[:, None], draw(member)["x"], x)
                return tf.logical_and(left, False), drawn

            # One pass, or none. Of a loop LiteRT knows the shape beforehand, of a condition not.
            start = tf.reduce_any(mine), x
            x = tf.while_loop(lambda left, _: left, body, start)[1]
        return {"x": x}
