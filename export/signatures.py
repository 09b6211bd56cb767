"""What an exported file can be asked: its named signatures as TensorFlow functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from made_tf import random
from made_tf.arrangement import argsort
from made_tf.given import KnownValues
from made_tf.mixtures import choose_set, each_row_by_its_set, log_mean_exp, sample_mixture
from made_tf.models import MADE
from made_tf.sampling import BlockedNetwork

__all__ = ["Signatures", "make_signatures"]

Signatures = dict[str, tf.types.experimental.PolymorphicFunction]


def make_signatures(
    model: MADE,
    block_length: int | None = None,
    batch_size: int | None = None,
    num_orders: int = 1,
) -> Signatures:
    """Returns the signatures of a model, its weights frozen into them.

    Args:
        model: the model.
        block_length: how many variables the sampler solves at once; `None`
            chooses.
        batch_size: for how many rows at a time `None` chooses.
        num_orders: M, over how many of the model's mask sets the density is
            averaged.

    Returns:
        `sample(seeds int32 [n, 2]) -> x float32 [n, D]`: row i from seeds[i];
        `log_prob(x float32 [n, D]) -> log_prob float32 [n]`, in nats, NaN for
        a row with a value that is no state of its variable;
        `conditionals(x float32 [n, D])` -> the parameters by name, each
        `[n, D, ...]`, under the model's own order; for a model of all orders
        `impute(x float32 [n, D], observed int32 [n, D], seeds int32 [n, 2]) ->
        x float32 [n, D]`: where `observed` is 0, a draw given the rest of the
        row; NaN for a row with an observed value that is no state.
    """
    if num_orders == 1 and not model.any_order:
        network = BlockedNetwork(model, block_length, batch_size, frozen=True)
        functions = _of_one_order(model, network)
    else:
        network = BlockedNetwork(model, block_length, batch_size, frozen=True, any_mask=True)
        functions = _of_many_orders(model, network, num_orders)
    rows = tf.TensorSpec([None, model.event_size], tf.float32, name="x")
    observed = tf.TensorSpec([None, model.event_size], tf.int32, name="observed")
    seeds = tf.TensorSpec([None, 2], tf.int32, name="seeds")
    inputs = {
        "sample": [seeds],
        "log_prob": [rows],
        "conditionals": [rows],
        "impute": [rows, observed, seeds],
    }
    return {
        name: tf.function(function, inputs[name], autograph=False)
        for name, function in functions.items()
    }


def _of_one_order(model: MADE, network: BlockedNetwork) -> dict[str, Callable]:
    family, event_size = model.conditionals, model.event_size

    def sample(seeds):
        return {"x": network.sample(random.uniforms(seeds, event_size))}

    def log_prob(x):
        return {"log_prob": _nan_outside(family, x, network.log_prob(x))}

    def conditionals(x):
        return family.unpack(network.parameters(x))

    return {"sample": sample, "log_prob": log_prob, "conditionals": conditionals}


def _of_many_orders(model: MADE, network: BlockedNetwork, num_orders: int) -> dict[str, Callable]:
    """Signatures that share one copy of the weights, in the model's own layout.

    A set's number is always the variable of a loop: of a constant one the
    converter would fold the sorted weights into a second copy.
    """
    family, event_size = model.conditionals, model.event_size
    tables = model.mask_sets.first(num_orders)

    def sample(seeds):
        uniforms = random.uniforms(seeds, event_size + 1)
        return {"x": sample_mixture(network.sample, uniforms, tables, whole=True)}

    def log_prob(x):
        log_prob = log_mean_exp(
            tables, lambda degrees: network.log_prob(x, degrees), tf.zeros_like(x[:, 0])
        )
        return {"log_prob": _nan_outside(family, x, log_prob)}

    def conditionals(x):
        own = [table[:1] for table in tables]
        index = tf.zeros_like(x[:, 0], tf.int32)
        like = tf.zeros_like(x[:, :1]) + np.zeros(
            family.parameter_sizes(event_size).sum(), np.float32
        )
        (params,) = each_row_by_its_set(
            index, own, lambda _, degrees: (network.parameters(x, degrees),), (like,), whole=True
        )
        return family.unpack(params)

    def impute(x, observed, seeds):
        return {"x": _imputed(model, network, tables, x, observed, seeds)}

    functions = {"sample": sample, "log_prob": log_prob, "conditionals": conditionals}
    return {**functions, "impute": impute} if model.any_order else functions


def _imputed(model: MADE, network: BlockedNetwork, tables: list, x, observed, seeds):
    """Draws what is not observed, group after group of rows that observe the same variables.

    Each pass of the loop draws all rows under the order of the first row that
    is left, and keeps those that share this order: there are as many passes as
    groups.
    """
    event_size = model.event_size
    uniforms = random.uniforms(seeds, event_size + 1)
    number = choose_set(uniforms[:, -1], tables[0].shape[0])
    keys = tf.concat([tf.minimum(tf.abs(observed), 1), number[:, None]], axis=1)  # [n, D + 1]

    def body(left, result):
        key = tf.gather(keys, tf.argmax(left, output_type=tf.int32))
        pattern, chosen = key[:event_size], key[event_size]
        order, *hidden = [tf.gather(table, chosen) for table in tables]
        known = KnownValues(tf.cast(pattern, tf.float32)[None], x)
        order = argsort(argsort(order + event_size * (1 - pattern))) + 1  # the observed first
        drawn = network.sample(uniforms[:, :-1], [order, *hidden], known)
        mine = tf.reduce_all(tf.equal(keys, key[None]), axis=1)
        left = tf.where(mine, tf.zeros_like(left), left)
        return left, tf.where(mine[:, None], drawn, result)

    # A float for each row, 1 while it is left: LiteRT's argmax takes no booleans.
    left = tf.zeros_like(uniforms[:, 0]) + 1.0
    start = left, tf.zeros_like(uniforms[:, :-1])
    _, result = tf.while_loop(lambda left, _: tf.reduce_max(left) > 0, body, start)
    possible = tf.logical_or(model.conditionals.in_support(x), tf.equal(observed, 0))
    return tf.where(tf.reduce_all(possible, axis=1, keepdims=True), result, np.nan)


def _nan_outside(family, x, log_prob):
    if not family.is_discrete:
        return log_prob
    supported = tf.reduce_all(family.in_support(x), axis=1)
    return tf.where(supported, log_prob, np.nan)
