"""What a file computes: a network of one order, and one of many, with the same methods.

Each method answers the signature of its name (`made_tf.export.signatures`), from tensors by the
names of the signature's inputs to tensors by the names of its outputs.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from made_tf.export.contexts import encoder_of
from made_tf.export.frozen import frozen
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE
from made_tf.sampling import random
from made_tf.sampling.arrangement import evidence_first
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.sampling.chain_rows import ChainNetwork
from made_tf.sampling.known import KnownValues
from made_tf.sampling.order_mixture import (
    choose_set,
    each_row_by_its_set,
    log_mean_exp,
    sample_mixture,
    set_at,
)

__all__ = [
    "ExportedNetwork",
    "NetworkOfEvidence",
    "NetworkOfManyOrders",
    "NetworkOfOneOrder",
    "has_many_orders",
    "make_network",
    "num_uniforms",
]

Answer = dict[str, tf.Tensor]


def has_many_orders(model: MADE, num_orders: int) -> bool:
    """Returns whether a file of so many orders holds the weights for more than one order."""
    return num_orders > 1 or model.any_order


def num_uniforms(model: MADE | Ensemble, num_orders: int) -> int:
    """Returns U, how many uniforms a row is made from: the family's, and one for the order.

    A row of an ensemble has one for the order and one for the member.
    """
    if isinstance(model, Ensemble):
        return model.conditionals.num_uniforms + 2
    return model.conditionals.num_uniforms + has_many_orders(model, num_orders)


def make_network(
    model: MADE,
    num_orders: int = 1,
    block_length: int | None = None,
    batch_size: int | None = None,
) -> ExportedNetwork:
    """Returns what a file computes, the model's weights frozen into it.

    Args:
        model: the model.
        num_orders: M, over how many of the model's mask sets the density is
            averaged.
        block_length: how many variables the sampler solves at once; `None`
            chooses.
        batch_size: for how many rows at a time `None` chooses.
    """
    if has_many_orders(model, num_orders):
        return NetworkOfManyOrders(model, num_orders, block_length, batch_size)
    if model.reads_evidence:
        return NetworkOfEvidence(model, block_length, batch_size)
    return NetworkOfOneOrder(model, block_length, batch_size)


class ExportedNetwork(abc.ABC):
    """The answers to all signatures; how to draw and score is left to the orders.

    Args:
        model: the model.
        network: its blocks.
        chooses_order: whether one more uniform of a row chooses its order.
    """

    def __init__(self, model: MADE, network: BlockedNetwork, chooses_order: bool):
        self._model = model
        self._network = network
        self._chooses_order = chooses_order
        self._encode = encoder_of(model)

    def sample(self, seeds, context=None) -> Answer:
        """Draws row i from seeds[i]."""
        return {"x": self._draw(self._uniforms(seeds), self._encode(context))}

    @abc.abstractmethod
    def sample_and_log_prob(self, seeds, context=None) -> Answer:
        """Draws rows and scores them."""

    def sample_at_temperature(self, seeds, temperature, context=None) -> Answer:
        """Draws rows from the conditionals to the power 1 / temperature."""
        return {"x": self._draw(self._uniforms(seeds), self._encode(context), temperature)}

    def sample_from_uniforms(self, uniforms, context=None) -> Answer:
        """Draws the rows that uniforms stand for."""
        return {"x": self._draw(uniforms, self._encode(context))}

    def log_prob(self, x, context=None) -> Answer:
        """Scores rows; NaN for one with a value that is no state of its variable."""
        log_prob, family = self._log_prob(x, self._encode(context)), self._network.family
        if not np.any(family.is_discrete):
            return {"log_prob": log_prob}
        supported = tf.reduce_all(family.in_support(x), axis=1)
        return {"log_prob": tf.where(supported, log_prob, np.nan)}

    def conditionals(self, x, context=None) -> Answer:
        """Returns the parameters of the model's own order by name."""
        return self._network.family.unpack(self._parameters(x, self._encode(context)))

    def _uniforms(self, seeds):
        return random.row_uniforms(seeds, self._model.conditionals, int(self._chooses_order))

    @abc.abstractmethod
    def _draw(self, uniforms, vectors, temperature=None):
        """Returns the rows `[n, D]` that uniforms `[n, U]` stand for, given vectors `[n, W]`."""

    @abc.abstractmethod
    def _log_prob(self, x, vectors):
        """Returns the log-probabilities `[n]` of rows in the support."""

    @abc.abstractmethod
    def _parameters(self, x, vectors):
        """Returns the parameters `[n, P]` under the model's own order."""


class NetworkOfOneOrder(ExportedNetwork):
    """The model's own order: the weights lie in the file as the sampler takes them."""

    def __init__(self, model: MADE, block_length: int | None = None, batch_size: int | None = None):
        network = BlockedNetwork(model, block_length, batch_size, frozen=True)
        super().__init__(model, network, chooses_order=False)

    def sample_and_log_prob(self, seeds, context=None) -> Answer:
        """Draws rows and scores them in one pass."""
        uniforms, vectors = self._uniforms(seeds), self._encode(context)
        x, log_prob = self._network.sample_and_log_prob(uniforms, vectors=vectors)
        return {"x": x, "log_prob": log_prob}

    def _draw(self, uniforms, vectors, temperature=None):
        return self._network.sample(uniforms, temperature=temperature, vectors=vectors)

    def _log_prob(self, x, vectors):
        return self._network.log_prob(x, vectors=vectors)

    def _parameters(self, x, vectors):
        return self._network.parameters(x, vectors=vectors)


class NetworkOfEvidence(NetworkOfOneOrder):
    """One order, with evidence beside it: rows that know different variables in one pass."""

    def __init__(self, model: MADE, block_length: int | None = None, batch_size: int | None = None):
        super().__init__(model, block_length, batch_size)
        rows = tf.TensorSpec([None, model.event_size], tf.float32)
        self._vectors = frozen(model.evidence_vectors, [rows, rows], model.settings.vector_size)

    def impute(self, x, observed, seeds, context=None) -> Answer:
        """Draws what is not observed; NaN for a row with an observed value that is no state."""
        del context
        known = tf.cast(_flags(observed), tf.float32)
        vectors = self._vectors(x, known)
        given = KnownValues(known, x)
        rows = self._network.sample(self._uniforms(seeds), given=given, vectors=vectors)
        return {"x": tf.where(_is_possible(self._model, x, observed), rows, np.nan)}

    def log_marginal(self, x, observed, context=None):
        """Returns log p of what is observed of each row, `[n]`, in nats."""
        del context
        chain, family = ChainNetwork(self._model, self._network.weights), self._network.family
        shown = _flags(observed) > 0
        features = family.encode(x)
        features = tf.where(family.layout.features.repeat(shown), features, tf.zeros_like(features))
        params = chain.parameters(features, chain.units(features))
        return tf.reduce_sum(tf.where(shown, family.log_prob(params, x), 0.0), axis=1)


class NetworkOfManyOrders(ExportedNetwork):
    """Orders that share one copy of the weights, in the model's own layout.

    A set's number is always the variable of a loop: of a constant one the
    converter would fold the sorted weights into a second copy.
    """

    def __init__(
        self,
        model: MADE,
        num_orders: int = 1,
        block_length: int | None = None,
        batch_size: int | None = None,
    ):
        network = BlockedNetwork(model, block_length, batch_size, frozen=True, any_mask=True)
        super().__init__(model, network, has_many_orders(model, num_orders))
        self._sets = model.mask_sets.first(num_orders)

    def sample_and_log_prob(self, seeds, context=None) -> Answer:
        """Draws rows, each under its own order, and scores them under all."""
        vectors = self._encode(context)
        x = self._draw(self._uniforms(seeds), vectors)
        return {"x": x, "log_prob": self._log_prob(x, vectors)}

    def impute(self, x, observed, seeds, context=None) -> Answer:
        """Draws what is not observed; NaN for a row with an observed value that is no state.

        There are as many passes as groups of rows that observe the same variables
        under the same order.
        """
        event_size = self._model.event_size
        uniforms, vectors = self._uniforms(seeds), self._encode(context)
        number = choose_set(uniforms[:, -1], self._sets.num_sets)
        keys = tf.concat([_flags(observed), number[:, None]], axis=1)  # [n, D + 1]

        def draw(key):
            pattern, chosen = key[:event_size], key[event_size]
            order, *hidden = set_at(self._sets, chosen)
            known = KnownValues(tf.cast(pattern, tf.float32)[None], x)
            degrees = [evidence_first(order, pattern), *hidden]
            return self._network.sample(uniforms[:, :-1], degrees, known, vectors=vectors)

        result = _group_by_group(keys, draw, tf.zeros_like(x))
        return {"x": tf.where(_is_possible(self._model, x, observed), result, np.nan)}

    def log_marginal(self, x, observed, context=None):
        """Returns log p of what is observed of each row, `[n]`, in nats."""
        vectors, family = self._encode(context), self._network.family

        def score(pattern):
            def under(degrees):
                order, *hidden = degrees
                first = [evidence_first(order, pattern), *hidden]
                terms = family.log_prob(self._network.parameters(x, first, vectors), x)
                return tf.reduce_sum(tf.where(pattern[None] > 0, terms, 0.0), axis=1)

            return log_mean_exp(self._sets, under, tf.zeros_like(x[:, 0]))

        return _group_by_group(_flags(observed), score, tf.zeros_like(x[:, 0]))

    def _draw(self, uniforms, vectors, temperature=None):
        draw = functools.partial(self._network.sample, temperature=temperature)
        return sample_mixture(draw, uniforms, self._sets, whole=True, vectors=vectors)

    def _log_prob(self, x, vectors):
        return log_mean_exp(
            self._sets,
            lambda degrees: self._network.log_prob(x, degrees, vectors),
            tf.zeros_like(x[:, 0]),
        )

    def _parameters(self, x, vectors):
        index = tf.zeros_like(x[:, 0], tf.int32)
        total = self._model.conditionals.layout.parameters.total
        like = tf.zeros_like(x[:, :1]) + np.zeros(total, np.float32)
        (params,) = each_row_by_its_set(
            index,
            self._sets.only(0),
            lambda _, degrees: (self._network.parameters(x, degrees, vectors),),
            (like,),
            whole=True,
        )
        return params


def _is_possible(model: MADE, x, observed):
    """Returns whether all observed values of a row are states of their variables, `[n, 1]`."""
    possible = tf.logical_or(model.conditionals.in_support(x), tf.equal(observed, 0))
    return tf.reduce_all(possible, axis=1, keepdims=True)


def _flags(observed):
    """Returns 1 where something is observed, else 0: int32 `[n, D]`."""
    return tf.minimum(tf.abs(observed), 1)


def _group_by_group(keys, answer: Callable, like):
    """Answers rows that share a key together, one group after the other.

    Each pass of the loop answers all rows by the key of the first row that is left, and keeps
    those that share it.

    Args:
        keys: int32 `[n, K]`.
        answer: from a key `[K]` to answers for all rows.
        like: a tensor of the answers' shape and dtype, `[n, ...]`.
    """

    def body(left, result):
        key = tf.gather(keys, tf.argmax(left, output_type=tf.int32))
        found = answer(key)
        mine = tf.reduce_all(tf.equal(keys, key[None]), axis=1)
        left = tf.where(mine, tf.zeros_like(left), left)
        return left, tf.where(tf.reshape(mine, [-1] + [1] * (len(like.shape) - 1)), found, result)

    # A float for each row, 1 while it is left: LiteRT's argmax takes no booleans.
    left = tf.zeros_like(tf.cast(keys[:, 0], tf.float32)) + 1.0
    return tf.while_loop(lambda left, _: tf.reduce_max(left) > 0, body, (left, like))[1]
