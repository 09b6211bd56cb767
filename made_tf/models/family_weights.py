"""What a family trains beside the layers, as a layer of the model."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np

from made_tf.conditionals import Conditionals
from made_tf.models.settings import Settings

__all__ = ["FamilyWeights"]


class FamilyWeights(keras.layers.Layer):
    """The variables of a family that has some, such as the vectors of `Embedded`.

    Args:
        family: the family, bound.
        **kwargs: `name`, `dtype`.

    Attributes:
        family: the same family, whose weights are this layer's variables.
    """

    def __init__(self, family: Conditionals, **kwargs):
        super().__init__(**kwargs)
        # `keras.utils.set_random_seed` seeds Python's own generator, too.
        initial = family.initial_weights(np.random.default_rng(random.randrange(2**31)))
        self.named = {
            # Not cast by a half precision policy: what is scored and drawn sees them as they are.
            name: self.add_weight(
                name=name, shape=values.shape, initializer=_given(values), autocast=False
            )
            for name, values in initial.items()
        }
        self.family = family.with_weights(self.named)
        self.built = True

    @property
    def tables(self) -> list[keras.Variable]:
        """The matrices that smaller formats may round, a row at a time; biases are none."""
        return [weight for name, weight in self.named.items() if name.endswith("vectors")]

    @classmethod
    def for_settings(cls, settings: Settings, policy: Any) -> FamilyWeights | None:
        """Gives the family of a model's settings variables, if it trains any.

        Args:
            settings: the record, whose family is replaced.
            policy: the model's dtype policy.
        """
        if not settings.conditionals.weights():
            return None
        layer = cls(settings.conditionals, name="family", dtype=policy.variable_dtype)
        settings.conditionals = layer.family
        return layer

    def save_own_variables(self, store):
        for name, weight in self.named.items():
            store[name] = weight

    def load_own_variables(self, store):
        for name, weight in self.named.items():
            weight.assign(store[name])


def _given(values: np.ndarray):
    return lambda shape, dtype=None: keras.ops.cast(keras.ops.reshape(values, shape), dtype)
