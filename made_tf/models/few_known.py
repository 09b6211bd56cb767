"""What training for questions learns at every step: each variable alone, and given another one.

Of the sets of known variables those of none and of one are asked for most, and a step's mask is
seldom one of them. They need no mask of their own: without anything known there are biases alone,
and with one variable the few units of degree 1, so that each row can know a variable of its own.

A network that reads evidence from the side learns them from a part of a step's rows, of which no
units are dropped: what is left when nothing is known would have to be right without them.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from made_tf.networks.assembly import Assembly

__all__ = ["log_prob_of_few_known"]

# Of the loss; benchmarks/RESULTS.md has what it is worth ("Any question of one network").
GIVEN_ONE = 0.5  # p(x_k | x_j)
FEW = 0.25  # what networks that read evidence learn of few variables
_ROWS = 4  # and from one row of so many


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
        few = FEW * _of_few(model, x[::_ROWS])
        weights = None if weights is None else weights[::_ROWS]
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
