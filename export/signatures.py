"""What an exported file can be asked: its named signatures as TensorFlow functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from made_tf.models.made import MADE
from made_tf.portable.arguments import integer
from made_tf.sampling import random
from made_tf.sampling.arrangement import argsort
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.sampling.known import KnownValues
from made_tf.sampling.order_mixture import (
    choose_set,
    each_row_by_its_set,
    log_mean_exp,
    sample_mixture,
)

__all__ = ["SIGNATURES", "Signatures", "choose_signatures", "make_signatures"]

Signatures = dict[str, tf.types.experimental.PolymorphicFunction]

_STANDARD = ("sample", "log_prob", "conditionals", "impute")
#: All signatures; a model has `impute` if it knows all orders.
SIGNATURES = (*_STANDARD, "sample_and_log_prob", "sample_at_temperature", "sample_from_uniforms")


def choose_signatures(
    model: MADE, signatures: str | Sequence[str] | None = None, batch_sizes: Sequence[int] = ()
) -> dict[str, tuple[str, int | None]]:
    """Returns which signatures a file gets: name -> (what it does, its fixed number of rows).

    Args:
        model: the model.
        signatures: names; `None` for `sample`, `log_prob`, `conditionals` and,
            where the model knows all orders, `impute`; `"all"` for all that the
            model can have.
        batch_sizes: numbers of rows n for which each signature but
            `conditionals` exists a second time, as `NAME_n`, with fixed shapes.

    Raises:
        ValueError: if a name is unknown or not to be had, or a size not a
            positive integer.
    """
    possible = [name for name in SIGNATURES if name != "impute" or model.any_order]
    if signatures is None:
        names = [name for name in possible if name in _STANDARD]
    elif isinstance(signatures, str) and signatures == "all":
        names = possible
    else:
        names = [signatures] if isinstance(signatures, str) else list(signatures)
        unknown = [name for name in names if name not in possible]
        if unknown or not names or len(set(names)) < len(names):
            raise ValueError(
                f"`signatures` must be 'all' or different ones of {possible}. "
                f"Received: signatures={signatures!r}"
            )
    sizes = [integer("batch_sizes", size) for size in batch_sizes]
    chosen: dict[str, tuple[str, int | None]] = {name: (name, None) for name in names}
    fixed = [name for name in names if name != "conditionals"]
    return chosen | {f"{name}_{size}": (name, size) for size in sizes for name in fixed}


def make_signatures(
    model: MADE,
    chosen: dict[str, tuple[str, int | None]],
    block_length: int | None = None,
    batch_size: int | None = None,
    num_orders: int = 1,
) -> Signatures:
    """Returns the signatures of a model, its weights frozen into them.

    Args:
        model: the model.
        chosen: which ones, from `choose_signatures`.
        block_length: how many variables the sampler solves at once; `None`
            chooses.
        batch_size: for how many rows at a time `None` chooses.
        num_orders: M, over how many of the model's mask sets the density is
            averaged.

    Returns:
        `sample(seeds int32 [n, 2]) -> x float32 [n, D]`: row i from seeds[i];
        `sample_and_log_prob(seeds) -> x, log_prob float32 [n]`;
        `sample_at_temperature(seeds, temperature float32 [n]) -> x`: from the
        conditionals to the power 1 / temperature;
        `sample_from_uniforms(uniforms float32 [n, U]) -> x`, U being D, or D + 1
        where the last one chooses an order;
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
    width = model.event_size
    inputs: dict[str, dict[str, tuple]] = {
        "sample": {"seeds": (tf.int32, 2)},
        "sample_and_log_prob": {"seeds": (tf.int32, 2)},
        "sample_at_temperature": {"seeds": (tf.int32, 2), "temperature": (tf.float32,)},
        "sample_from_uniforms": {"uniforms": (tf.float32, num_uniforms(model, num_orders))},
        "log_prob": {"x": (tf.float32, width)},
        "conditionals": {"x": (tf.float32, width)},
        "impute": {
            "x": (tf.float32, width),
            "observed": (tf.int32, width),
            "seeds": (tf.int32, 2),
        },
    }

    def signature(kind: str, rows: int | None):
        specs = [
            tf.TensorSpec([rows, *shape], dtype, name)
            for name, (dtype, *shape) in inputs[kind].items()
        ]
        return tf.function(functions[kind], specs, autograph=False)

    return {name: signature(kind, rows) for name, (kind, rows) in chosen.items()}


def num_uniforms(model: MADE, num_orders: int) -> int:
    """Returns U, how many uniforms a row is made from."""
    return model.event_size + (num_orders > 1 or model.any_order)


def _of_one_order(model: MADE, network: BlockedNetwork) -> dict[str, Callable]:
    family, event_size = model.conditionals, model.event_size

    def sample(seeds):
        return {"x": network.sample(random.uniforms(seeds, event_size))}

    def sample_and_log_prob(seeds):
        x, log_prob = network.sample_and_log_prob(random.uniforms(seeds, event_size))
        return {"x": x, "log_prob": log_prob}

    def sample_at_temperature(seeds, temperature):
        uniforms = random.uniforms(seeds, event_size)
        return {"x": network.sample(uniforms, temperature=temperature)}

    def sample_from_uniforms(uniforms):
        return {"x": network.sample(uniforms)}

    def log_prob(x):
        return {"log_prob": _nan_outside(family, x, network.log_prob(x))}

    def conditionals(x):
        return family.unpack(network.parameters(x))

    return {
        function.__name__: function
        for function in (
            sample,
            sample_and_log_prob,
            sample_at_temperature,
            sample_from_uniforms,
            log_prob,
            conditionals,
        )
    }


def _of_many_orders(model: MADE, network: BlockedNetwork, num_orders: int) -> dict[str, Callable]:
    """Signatures that share one copy of the weights, in the model's own layout.

    A set's number is always the variable of a loop: of a constant one the
    converter would fold the sorted weights into a second copy.
    """
    family, event_size = model.conditionals, model.event_size
    tables = model.mask_sets.first(num_orders)

    def sample_from_uniforms(uniforms):
        return {"x": sample_mixture(network.sample, uniforms, tables, whole=True)}

    def sample(seeds):
        return sample_from_uniforms(random.uniforms(seeds, event_size + 1))

    def sample_and_log_prob(seeds):
        x = sample(seeds)["x"]
        return {"x": x, "log_prob": mixed(x)}

    def sample_at_temperature(seeds, temperature):
        def draw(uniforms, degrees):
            return network.sample(uniforms, degrees, temperature=temperature)

        uniforms = random.uniforms(seeds, event_size + 1)
        return {"x": sample_mixture(draw, uniforms, tables, whole=True)}

    def mixed(x):
        return log_mean_exp(
            tables, lambda degrees: network.log_prob(x, degrees), tf.zeros_like(x[:, 0])
        )

    def log_prob(x):
        return {"log_prob": _nan_outside(family, x, mixed(x))}

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

    return {
        function.__name__: function
        for function in (
            sample,
            sample_and_log_prob,
            sample_at_temperature,
            sample_from_uniforms,
            log_prob,
            conditionals,
            impute,
        )
    }


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
