"""`Training`: how one model is trained, as data."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from made_tf.portable.arguments import integer, shown

__all__ = ["Training"]

_OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamax": keras.optimizers.Adamax,
    "lion": keras.optimizers.Lion,
    "muon": keras.optimizers.Muon,
    "nadam": keras.optimizers.Nadam,
}
_MAY_BE_ZERO = ("steps", "average_steps")
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
        steps: how many batches lie between two looks at the validation rows; 0
            for one pass through the training rows, an epoch.
        average_steps: over about how many steps the weights are averaged; 0 for
            no average.
        patience: training stops after this many looks without improvement, or after three times
            as many that together gained less than a thousandth of a nat.
        looks: the largest number of looks. (A look is one evaluation on the
            validation rows, with a line in the history. Elsewhere that is an
            epoch; here it need not be one pass through the rows.)
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
                        f"Received: {field.name}={shown(value)}"
                    )
            elif field.name in _CHOICES:
                if value not in _CHOICES[field.name]:
                    raise ValueError(
                        f"`{field.name}` must be one of {list(_CHOICES[field.name])}. "
                        f"Received: {field.name}={shown(value)}"
                    )
            else:
                integer(field.name, value, 0 if field.name in _MAY_BE_ZERO else 1)

    def steps_in_look(self, num_rows: int) -> int:
        """Returns how many batches lie between two looks, of so many training rows."""
        return self.steps or -(-num_rows // self.batch_size)

    def make_optimizer(self, num_rows: int = 1) -> keras.optimizers.Optimizer:
        """Returns a new optimizer, with its learning rate and weight decay.

        Args:
            num_rows: how many training rows there are; a schedule over passes
                through them (`steps` of 0) must know.
        """
        rate: Any = self.learning_rate
        if self.schedule == "cosine":
            steps = self.steps_in_look(num_rows) * self.looks
            rate = keras.optimizers.schedules.CosineDecay(rate, steps)
        decay = {"weight_decay": self.weight_decay or None}
        if self.optimizer == "muon":
            decay["adam_weight_decay"] = decay["weight_decay"]  # of biases
        return _OPTIMIZERS[self.optimizer](rate, **decay)
