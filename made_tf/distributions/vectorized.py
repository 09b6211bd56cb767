"""Rows inside TensorFlow's `vectorized_map`, as the `AutoBatched` joints of TFP draw them.

Such a map traces its function and rewrites each operator for all iterations together. A sampler has
thousands of them, and to rewrite them takes seconds at each call. It need not be: the rows of many
iterations are rows, so one call of the same graph draws them all. The calls made here say so, by
the attribute `pfor_converter` that the map looks for at each operator.

An integer seed is another matter. TFP means it for operators that draw other numbers each time they
run, in each iteration, too; ours would draw the same row each time. So rows of an integer that TFP
derives from a user's (`is_integer_of_tfp`) are counted through the iterations: those of one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from made_tf.sampling import random
from made_tf.sampling.seeds import is_integer_of_tfp, seed_pair

__all__ = ["call_by_rows", "seeds_of_rows"]


def seeds_of_rows(seed: Any, num_rows):
    """Returns the seeds of the rows of one sample: int32 `[n, 2]`, see `random.row_seeds`.

    Args:
        seed: as `seed_pair` takes it.
        num_rows: n, an integer or an int32 scalar.
    """
    return _seeds(seed_pair(seed), num_rows, is_integer_of_tfp(seed))


def _seeds(pair, num_rows, counted: bool):
    if tf.executing_eagerly():
        return random.row_seeds(pair, num_rows)

    def row_seeds(pair, num_rows):
        if counted:  # an operator with an effect: a map would not convert a call without one
            tf.debugging.Assert(num_rows >= 0, [num_rows])
        return random.row_seeds(pair, num_rows)

    def convert(length, arguments):
        (pairs, stacked), (count, _) = arguments
        if stacked:
            return [random.row_seeds(pairs, count)], True
        if not counted:
            return [random.row_seeds(pairs, count)], False
        seeds = _seeds(pairs, length * count, counted)
        return [tf.reshape(seeds, tf.stack([length, count, 2]))], True

    graph = tf.function(row_seeds, autograph=False)
    return _convertible(graph, (pair, tf.convert_to_tensor(num_rows)), convert, may_vary=1)


def call_by_rows(graph: Callable, *arguments):
    """Calls a graph of which row i of each result is a function of row i of each argument.

    Args:
        graph: a `tf.function` from tensors `[n, ...]` to one such tensor, or several.
        *arguments: tensors `[n, ...]`, for any n.
    """
    if tf.executing_eagerly():
        return graph(*arguments)

    def convert(length, arguments):
        if not any(stacked for _, stacked in arguments):
            return tf.nest.flatten(call_by_rows(graph, *(each for each, _ in arguments))), False
        num_rows = next(tf.shape(each)[1] for each, stacked in arguments if stacked)

        def flat(each, stacked):
            if not stacked:  # the same rows in each iteration
                return tf.tile(each, tf.stack([length, *([1] * (len(each.shape) - 1))]))
            return tf.reshape(each, tf.concat([[length * num_rows], tf.shape(each)[2:]], 0))

        outputs = tf.nest.flatten(call_by_rows(graph, *(flat(*each) for each in arguments)))
        return [
            tf.reshape(each, tf.concat([[length, num_rows], tf.shape(each)[1:]], 0))
            for each in outputs
        ], True

    return _convertible(graph, arguments, convert, may_vary=len(arguments))


def _convertible(graph: Callable, arguments: Sequence, convert: Callable, may_vary: int):
    """Calls a graph inside a graph; `vectorized_map` converts the call as a whole.

    Args:
        graph: a `tf.function`.
        arguments: its arguments, tensors.
        convert: from the number of iterations and (tensor, whether it has a first axis of
            iterations) for each argument to the list of results and whether these have one.
        may_vary: how many arguments, the first ones, `convert` takes with such an axis.
    """
    results = graph(*arguments)
    outputs = tf.nest.flatten(results)
    call = outputs[0].op

    def converter(pfor_input):
        from tensorflow.python.ops.parallel_for import pfor

        inputs = pfor_input.inputs
        beyond = any(each.is_stacked for each in inputs[may_vary:])
        # For a gradient the call has been given further results.
        if beyond or len(pfor_input.op.outputs) != len(outputs):
            return pfor._pfor_converter_registry[pfor_input.op.type](pfor_input)
        given = [(each.t, each.is_stacked) for each in inputs[: len(arguments)]]
        converted, stacked = convert(pfor_input.pfor.loop_len_vector[0], given)
        return [pfor.wrap(each, stacked) for each in converted]

    call.pfor_converter = converter
    return results
