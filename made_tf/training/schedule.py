"""`Training`: how one model is trained, as data."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from made_tf.portable.arguments import integer

__all__ = ["Training"]


_OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamax": keras.optimizers.Adamax,
    "lion": keras.optimizers.Lion,
    "muon": keras.optimizers.Muon,
    "nadam": keras.optimizers.Nadam,
}

_CHOICES = {"optimizer": tuple(_OPTIMIZERS), "schedule": ("constant", "cosine")}


@dataclasses.dataclass(frozen=True)
class Training:
    """How one model is trained.

    Attributes:
        batch_size: rows in a batch.
        optimizer: `"adam"`, `"adamax"`, `"lion"`, `"muon"` or `"nadam"`, as in Keras.
        learning_rate: of the optimizer.
        schedule: `"constant"`, which leaves the averaged weights to settle, or
            `"cosine"`: down to zero over all looks.
        weight_decay: the part of each weight that a step takes away, as a
            multiple of the learning rate.
        steps: how many batches lie between two looks at the validation rows.
        average_steps: over about how many steps the weights are averaged.
        patience: training stops after this many looks without improvement.
        looks: the largest number of looks.
        validation_orders: over how many orders a look averages the density.
    """

    batch_size: int = 50
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    weight_decay: float = 0.0
    steps: int = 100
    average_steps: int = 1000
    patience: int = 15
    looks: int = 3000
    validation_orders: int = 1

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in ("learning_rate", "weight_decay"):
                if not isinstance(value, int | float) or not 0 <= value < 10:
                    raise ValueError(
                        f"`{field.name}` must be a number in [0, 10). "
                        f"Received: {field.name}={value!r}"
                    )
            elif field.name in _CHOICES:
                if value not in _CHOICES[field.name]:
                    raise ValueError(
                        f"`{field.name}` must be one of {list(_CHOICES[field.name])}. "
                        f"Received: {field.name}={value!r}"
                    )
            else:
                integer(field.name, value)

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        """Returns a new optimizer, with its learning rate and weight decay."""
        rate: Any = self.learning_rate
        if self.schedule == "cosine":
            rate = keras.optimizers.schedules.CosineDecay(rate, self.steps * self.looks)
        decay = {"weight_decay": self.weight_decay or None}
        if self.optimizer == "muon":
            decay["adam_weight_decay"] = decay["weight_decay"]  # of biases
        return _OPTIMIZERS[self.optimizer](rate, **decay)
