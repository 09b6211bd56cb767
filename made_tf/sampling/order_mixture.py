"""A mixture of one model's densities under several mask sets: each row draws its set first."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from made_tf.networks.mask_sets import StackedSets

__all__ = [
    "choose_set",
    "choose_weighted",
    "each_row_by_its_set",
    "log_mean_exp",
    "sample_mixture",
    "set_at",
]


def sample_mixture(draw: Callable, uniforms, sets: StackedSets, whole: bool = False, vectors=None):
    """Draws rows, each under the mask set that its last uniform chooses.

    Args:
        draw: from uniforms `[k, U - 1]` and the degrees of a set to rows `[k, D]`;
            with a context it also takes `vectors`.
        uniforms: float32 `[n, U]`.
        sets: M mask sets.
        whole: as in `each_row_by_its_set`.
        vectors: the rows' encoded context, `[n, W]`.

    Returns:
        float32 `[n, D]`.
    """
    own = uniforms[:, :-1]
    index = choose_set(uniforms[:, -1], sets.num_sets)

    def draw_some(rows, degrees):
        def mine(part):
            return part if rows is None else tf.gather(part, rows)

        given = {} if vectors is None else {"vectors": mine(vectors)}
        return (draw(mine(own), degrees, **given),)

    like = own[:, : sets.inputs.shape[1]]
    return each_row_by_its_set(index, sets, draw_some, (like,), whole)[0]


def choose_set(uniforms, num_sets):
    """Turns uniforms into set numbers, all equally probable: `[n]` -> int32 `[n]`."""
    # A uniform next to 1 times M can round to M.
    scaled = uniforms * tf.cast(num_sets, tf.float32)
    return tf.minimum(tf.cast(scaled, tf.int32), num_sets - 1)


def choose_weighted(log_weights, uniforms):
    """Turns uniforms into numbers of given weights: `[n, M]`, `[n]` -> int32 `[n]`.

    Where a weight is NaN, or all are 0, the first one.
    """
    weights = tf.exp(log_weights - tf.reduce_max(log_weights, axis=1, keepdims=True))
    sums = tf.cumsum(weights, axis=1)
    below = sums[:, :-1] / sums[:, -1:] <= uniforms[:, None]
    return tf.reduce_sum(tf.cast(below, tf.int32), axis=1)


def set_at(sets: StackedSets, number) -> list:
    """Returns `sets.at(number)` of a number in the graph, in one operator a level.

    Keras' `take` has three more, for numbers from the end, and files would carry them.
    """
    return [tf.gather(level, number) for level in sets]


def each_row_by_its_set(index, sets: StackedSets, draw: Callable, like: tuple, whole: bool = False):
    """Draws every row under its own mask set, set after set.

    Args:
        index: the rows' set numbers, int32 `[n]`.
        sets: M mask sets, arrays or tensors.
        draw: from row numbers `[k]` (`None` for all rows) and the degrees of a
            set to a tuple of results, `[k, ...]` each.
        like: tensors of the shapes and dtypes of the results for all rows.
        whole: whether to draw all rows under each set that occurs and keep
            those that belong to it, so that every shape is known beforehand.

    Returns:
        A tuple of tensors as `like`.
    """
    num_sets = tf.shape(sets.inputs)[0]

    def body(number, results):
        mine = tf.equal(index, number)
        degrees = set_at(sets, number)

        def some():
            if whole:
                drawn = draw(None, degrees)
                return tuple(
                    tf.where(tf.reshape(mine, [-1] + [1] * (len(old.shape) - 1)), new, old)
                    for new, old in zip(drawn, results, strict=True)
                )
            rows = tf.where(mine)[:, 0]
            drawn = draw(rows, degrees)
            return tuple(
                tf.tensor_scatter_nd_update(old, rows[:, None], new)
                for new, old in zip(drawn, results, strict=True)
            )

        return number + 1, tf.cond(tf.reduce_any(mine), some, lambda: results)

    _, results = tf.while_loop(
        lambda number, _: number < num_sets, body, (tf.constant(0), tuple(like))
    )
    return results


def log_mean_exp(sets: StackedSets, log_prob: Callable, like):
    """Averages densities over sets: log-probabilities of each set `[n]` -> `[n]`, in nats.

    Args:
        sets: M mask sets.
        log_prob: from the degrees of a set to log-probabilities `[n]`.
        like: a float32 tensor `[n]`.
    """
    num_sets = sets.num_sets

    def body(number, largest, total):
        new = log_prob(set_at(sets, number))
        top = tf.maximum(largest, new)
        total = total * tf.exp(largest - top) + tf.exp(new - top)
        return number + 1, top, total

    start = (tf.constant(0), tf.zeros_like(like) - 1e30, tf.zeros_like(like))
    _, largest, total = tf.while_loop(lambda number, *_: number < num_sets, body, start)
    return largest + tf.math.log(total) - tf.math.log(float(num_sets))
