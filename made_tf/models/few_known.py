"""What training for questions learns at every step: each variable alone, and given another one.

Of the sets of known variables those of none and of one are asked for most, and a step's mask is
seldom one of them. They need no mask of their own: without anything known there are biases alone,
and with one variable the few units of degree 1, so that each row can know a variable of its own.

A network that reads evidence from the side learns them from a part of a step's rows, of which no
units are dropped: what is left when nothing is known would have to be right without them. It is a
larger part where they count much (`few_weight`).
"""

from __future__ import annotations

from typing import Any

from keras import ops

from made_tf.networks.assembly import Assembly

__all__ = ["log_prob_of_few_known"]

GIVEN_ONE = 0.5  # of the loss: p(x_k | x_j)
_MUCH = 0.5  # from this weight on networks that read evidence learn few variables from more rows


def log_prob_of_few_known(model: Any, assembly: Assembly, inputs: Any, weights: Any = None) -> Any:
    """Returns the mean over rows of log-probabilities, in nats, by their weight in the loss.

    Args:
        model: a `MADE` that is trained by `"evidence"`, or that reads evidence.
        assembly: its layers.
        inputs: rows as in `MADE.fit`.
        weights: of the rows, `[N]`.
    """
    x, context = model.split(inputs)
    if model.reads_evidence:
        every = 2 if model.few_weight >= _MUCH else 4
        few = model.few_weight * _of_few(model, x[::every])
        weights = None if weights is None else weights[::every]
    else:
        few = _alone_and_given_one(model, assembly, x, model.encode_context(context))
    return ops.mean(few if weights is None else few * weights)


def _of_few(model: Any, x: Any) -> Any:
    known, visible = model.mask_sets.few_at_step(model.mask_step - 1, ops.shape(x)[0])
    return model.row_log_prob(x, model.parameters_given(x, known, visible), known)


def _alone_and_given_one(model: Any, assembly: Assembly, x: Any, vectors: Any) -> Any:
    count = ops.shape(x)[0]
    alone = model.row_log_prob(x, assembly.unconditional(count, vectors))
    known = model.mask_sets.one_known(model.mask_step + 0, count)
    features = model.conditionals.encode(ops.cast(x, "float32"))
    given_one = model.row_log_prob(x, assembly.given_one(features, known, vectors), known)
    return alone + GIVEN_ONE * given_one
