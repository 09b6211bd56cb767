"""Variables with a finite number of classes."""

from __future__ import annotations

import numpy as np
from keras import ops

from made_tf.conditionals.base import as_float32, register
from made_tf.conditionals.classes import IMPOSSIBLE, Classes
from made_tf.conditionals.layout import Layout
from made_tf.conditionals.starts import Start, log_frequencies

__all__ = ["Categorical"]


@register
class Categorical(Classes):
    """Variables with classes 0..K-1, each variable with its own K; K logits each.

    The network's inputs are the one-hot codes of the classes.

    Args:
        num_classes: K for all variables, or a sequence with the K of each; at
            least 2.

    Raises:
        ValueError: if a number of classes is not an integer of at least 2.
    """

    name = "categorical"

    def make_layout(self, event_size):
        sizes = self.check_event_size(event_size)
        return Layout.of_sizes(sizes, sizes)

    def encode(self, x):
        # [N, D] -> [N, F]: feature f is 1 where its variable has its class.
        features = self.layout.features
        classes = features.ranks.astype(np.float32)
        return ops.cast(ops.equal(features.spread(x), classes), "float32")

    def class_logits(self, params):
        (params,) = as_float32(params)
        return self.layout.parameters.pad(params, IMPOSSIBLE)

    def start(self, x):
        return Start(np.concatenate(log_frequencies(x, self.layout.parameters.sizes)), {})
