"""What training for questions learns at every step: each variable alone, and given another one.

Of the sets of known variables those of none and of one are asked for most, and a step's mask is
seldom one of them. They need no mask of their own: without anything known there are biases alone,
and with one variable the few units of degree 1, so that each row can know a variable of its own.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from made_tf.networks.assembly import Assembly

__all__ = ["log_prob_of_few_known"]

GIVEN_ONE = 0.5  # of the loss; benchmarks/questions.py has what it is worth


def log_prob_of_few_known(model: Any, assembly: Assembly, inputs: Any) -> Any:
    """Sums log p(x_k), and a part of log p(x_k | x_j) with a random j for each row: `[N]`, in nats.

    Args:
        model: a `MADE` that is trained by `"evidence"`.
        assembly: its layers.
        inputs: rows as in `MADE.fit`.
    """
    x, context = model.split(inputs)
    vectors = model.encode_context(context)
    count = ops.shape(x)[0]
    alone = model.row_log_prob(x, assembly.unconditional(count, vectors))
    known = model.mask_sets.one_known(model.mask_step + 0, count)
    features = model.conditionals.encode(ops.cast(x, "float32"))
    given_one = model.conditionals.log_prob(assembly.given_one(features, known, vectors), x)
    return alone + GIVEN_ONE * ops.sum(ops.where(known > 0, 0.0, given_one), axis=-1)
