"""What an exported file can be asked: its named signatures as TensorFlow functions."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from made_tf import random
from made_tf.models import MADE
from made_tf.sampling import BlockedNetwork

__all__ = ["SIGNATURES", "make_signatures"]

#: The signatures of every file.
SIGNATURES = ("sample", "log_prob", "conditionals")


def make_signatures(
    model: MADE, block_length: int | None = None, batch_size: int | None = None
) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """Returns the signatures of a model, its weights frozen into them.

    Args:
        model: the model.
        block_length: how many variables the sampler solves at once; `None`
            chooses.
        batch_size: for how many rows at a time `None` chooses.

    Returns:
        `sample(seeds int32 [n, 2]) -> x float32 [n, D]`: row i from seeds[i];
        `log_prob(x float32 [n, D]) -> log_prob float32 [n]`, in nats, NaN for
        a row with a value that is no state of its variable;
        `conditionals(x float32 [n, D])` -> the parameters by name, each
        `[n, D, ...]`.
    """
    network = BlockedNetwork(model, block_length, batch_size, frozen=True)
    event_size, family = model.event_size, model.conditionals
    rows = tf.TensorSpec([None, event_size], tf.float32, name="x")
    seeds_spec = tf.TensorSpec([None, 2], tf.int32, name="seeds")

    def sample(seeds):
        return {"x": network.sample(random.uniforms(seeds, event_size))}

    def log_prob(x):
        log_prob = network.log_prob(x)
        if family.is_discrete:
            supported = tf.reduce_all(family.in_support(x), axis=1)
            log_prob = tf.where(supported, log_prob, np.nan)
        return {"log_prob": log_prob}

    def conditionals(x):
        return family.unpack(network.parameters(x))

    return {
        "sample": tf.function(sample, [seeds_spec], autograph=False),
        "log_prob": tf.function(log_prob, [rows], autograph=False),
        "conditionals": tf.function(conditionals, [rows], autograph=False),
    }
