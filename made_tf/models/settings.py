"""The settings of a `MADE`: checked, serialised, printed and fingerprinted here alone."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any

import keras
import numpy as np

from made_tf import conditionals as families
from made_tf import masks
from made_tf.models.context import Context
from made_tf.networks.activations import elementwise
from made_tf.networks.assembly import are_twins
from made_tf.networks.mask_sets import MaskSets
from made_tf.portable.arguments import boolean, fraction, integer, positive
from made_tf.portable.digests import fingerprint

__all__ = ["FEW_WEIGHT", "Settings", "expose_settings"]

#: Of few variables in the loss: benchmarks/RESULTS.md, "Any question of one network".
FEW_WEIGHT = 0.25
_OPTIONAL = ("context", "evidence_units", "few_weight")  # older versions of the package know none


@dataclasses.dataclass(eq=False)
class Settings:
    """The arguments of `MADE`, which documents them, as they were found to be.

    Every argument is a field, with its default. When the record is made all are checked and put
    into their plain form: orders and degrees become numbers, the family is bound to its columns,
    names become the functions that they stand for. `config` gives arguments that make the same.

    Attributes:
        degrees: of the inputs and the hidden units (`made_tf.masks.Degrees`).
        mask_sets: the mask sets that training takes and densities are averaged over.
        conditioning: what `context` stands for (`made_tf.models.context`).

    Raises:
        ValueError: if an argument is out of range or contradicts another.
    """

    event_size: int
    hidden_units: Any = (500,)
    conditionals: Any = "bernoulli"
    input_order: Any = "natural"
    hidden_degrees: Any = "equal"
    direct_connections: bool = True
    activation: Any = "relu"
    dropout: float = 0.0
    kernel_initializer: Any = "glorot_uniform"
    kernel_regularizer: Any = None
    seed: int | None = None
    num_masks: int | None = 1
    resample: Any = "both"
    masks_per: Any = "batch"
    mask_weights: bool = False
    num_orders: int = 1
    input_dropout: float = 0.0
    order_groups: Any = None
    residual: bool = False
    context: Any = None
    evidence_units: Any = None
    few_weight: float = FEW_WEIGHT

    degrees: masks.Degrees = dataclasses.field(init=False, repr=False)
    mask_sets: MaskSets = dataclasses.field(init=False, repr=False)
    conditioning: Any = dataclasses.field(init=False, repr=False)

    def __post_init__(self):
        given = dict(vars(self))
        self.degrees = masks.make_degrees(
            self.event_size, self.hidden_units, self.input_order, self.hidden_degrees, self.seed
        )
        self.event_size = self.degrees.event_size
        self.conditionals = families.get(self.conditionals, self.event_size)
        self.direct_connections = boolean("direct_connections", self.direct_connections)
        self.residual = boolean("residual", self.residual)
        if self.residual and not are_twins(self.degrees.hidden):
            raise ValueError(
                "`residual` needs several hidden layers of one width and with the same degrees: a "
                "unit must not see more than the unit that it is added to. Received: "
                f"hidden_units={given['hidden_units']!r}, "
                f"hidden_degrees={given['hidden_degrees']!r}"
            )
        self.dropout = fraction("dropout", self.dropout)
        self.input_dropout = fraction("input_dropout", self.input_dropout)
        self.seed = None if self.seed is None else int(self.seed)
        self.evidence_units = _evidence_units(self)
        self.few_weight = _few_weight(self)
        if (self.num_masks != 1 or self.evidence_units) and self.seed is None:
            self.seed = int(np.random.default_rng().integers(2**31))  # for the file to keep
        if self.order_groups is not None and (
            self.num_masks == 1 or self.resample == "connectivity"
        ):
            raise ValueError(
                "`order_groups` must be None where orders do not differ (num_masks=1 or "
                f"resample='connectivity'). Received: order_groups={self.order_groups!r}"
            )
        self.mask_sets = MaskSets(
            self.degrees,
            self.num_masks,
            self.resample,
            self.masks_per,
            self.seed if self.seed is not None else 0,
            self.order_groups,
            self.residual,
        )
        self.mask_weights = boolean("mask_weights", self.mask_weights)
        if self.mask_weights and self.mask_sets.is_fixed:
            raise ValueError(
                "`mask_weights` must be False where `num_masks` is 1: a mask that never changes "
                "tells the layers nothing."
            )
        self.num_orders = self.mask_sets.check_count(self.num_orders)
        self.conditioning = Context.of(self.context)
        self.activation = elementwise(self.activation)
        self.kernel_initializer = keras.initializers.get(self.kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(self.kernel_regularizer)
        if not self.degrees.hidden and not self.direct_connections:
            raise ValueError(
                "`hidden_units` must not be empty where `direct_connections` is False: "
                "nothing would connect inputs to outputs."
            )
        self._make_plain()

    def _make_plain(self) -> None:
        """Degrees, never masks; explicit, so that nothing random is drawn again on loading."""
        self.hidden_units = [len(degrees) for degrees in self.degrees.hidden]
        self.input_order = self.degrees.inputs.tolist()
        self.hidden_degrees = [degrees.tolist() for degrees in self.degrees.hidden]
        self.num_masks = self.mask_sets.num_masks
        groups = self.mask_sets.order_groups
        self.order_groups = None if groups is None else groups.tolist()
        if self.conditioning is not None:
            encoder = self.conditioning.encoder
            self.context = self.conditioning.size if encoder is None else encoder

    @classmethod
    def names(cls) -> list[str]:
        """Returns the names of the arguments."""
        return [field.name for field in dataclasses.fields(cls) if field.init]

    @property
    def context_size(self) -> int:
        """W, the width of the vector that the layers see beside the variables; 0 for none."""
        return 0 if self.conditioning is None else self.conditioning.size

    @property
    def vector_size(self) -> int:
        """How many numbers the layers see beside the variables, of a context or of evidence."""
        return self.evidence_units[-1] if self.evidence_units else self.context_size

    @property
    def encoder(self) -> Any:
        """The Keras model that makes this vector of other inputs, or `None`."""
        return None if self.conditioning is None else self.conditioning.encoder

    @functools.cached_property
    def unreachable(self) -> list[tuple[int, int]]:
        """The dependencies (output, input) that the network is too narrow to express."""
        return masks.unreachable(self.degrees, self.direct_connections)

    def what_is_unreachable(self) -> str:
        """Tells which dependencies are out of reach, and what to do about it."""
        output, variable = self.unreachable[0]
        return (
            f"{len(self.unreachable)} dependencies that the order allows are out of the network's "
            f"reach, the first being that of variable {output} on variable {variable}: use more "
            "`hidden_units`, `hidden_degrees='equal'` or `direct_connections=True` (see "
            "made_tf.masks.unreachable)."
        )

    def config(self) -> dict[str, Any]:
        """Returns the arguments as JSON values and Keras' configs."""
        return {
            **{name: getattr(self, name) for name in self.names() if name not in _OPTIONAL},
            "conditionals": keras.saving.serialize_keras_object(self.conditionals),
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            **({} if self.conditioning is None else {"context": self.conditioning.config()}),
            **({"evidence_units": self.evidence_units} if self.evidence_units else {}),
            **({} if self.few_weight == FEW_WEIGHT else {"few_weight": self.few_weight}),
        }

    def fingerprint(self) -> np.ndarray:
        """A digest of what the layers do not know: 16 bytes, the same on every platform."""
        content = json.dumps(
            [
                self.conditionals.name,
                self.conditionals.get_config(),
                self.direct_connections,
                keras.activations.serialize(self.activation),
                *(["mask_weights"] if self.mask_weights else []),  # older files know neither
                *(["residual"] if self.residual else []),
                *([f"context {self.context_size}"] if self.conditioning else []),
                *([f"evidence {self.evidence_units}"] if self.evidence_units else []),
            ]
        )
        return fingerprint(content.encode())

    def density(self) -> str:
        """Tells in words what `fingerprint` is a digest of."""
        return (
            f"{self.conditionals.describe()}, "
            f"activation={keras.activations.serialize(self.activation)!r}, "
            f"direct_connections={self.direct_connections}, mask_weights={self.mask_weights}, "
            f"residual={self.residual}, "
            f"{'no context' if self.conditioning is None else self.conditioning.describe()}"
            f"{f', evidence_units={self.evidence_units}' if self.evidence_units else ''}"
        )

    def describe(self) -> str:
        """Returns D, the family, the order and the degrees in a few lines of text."""
        lines = [
            f"MADE over D = {self.event_size}, conditionals: {self.conditionals.name}",
            f"input_order (degree of each input): {_abbreviated(self.degrees.inputs)}",
        ]
        for index, degrees in enumerate(self.degrees.hidden):
            lines.append(
                f"hidden layer {index + 1}: {len(degrees)} units, degrees "
                f"{degrees.min()}..{degrees.max()}: {_abbreviated(degrees)}"
            )
        lines.append(
            f"direct connections: {'yes' if self.direct_connections else 'no'}; "
            f"residual: {'yes' if self.residual else 'no'}; "
            f"dependencies out of reach: {len(self.unreachable)}"
        )
        if self.conditioning is not None:
            lines.append(f"p(x | context), with {self.conditioning.describe()}")
        if self.evidence_units:
            widths = ", ".join(map(str, self.evidence_units))
            lines.append(f"evidence: read by layers of {widths} units; any question has one answer")
            if self.few_weight != FEW_WEIGHT:
                lines.append(f"few_weight: {self.few_weight}")
        return "\n".join(lines)


def _evidence_units(settings: Settings) -> list[int] | None:
    """Returns the widths of the layers that read evidence; `None` for a model without such."""
    given = settings.evidence_units
    if given is None or (isinstance(given, list | tuple) and not given):
        return None
    if not isinstance(given, list | tuple):
        raise ValueError(
            "`evidence_units` must be the widths of the layers that read evidence, such as "
            f"(256, 256), or None. Received: evidence_units={given!r}"
        )
    if settings.num_masks != 1 or settings.context is not None:
        raise ValueError(
            "`evidence_units` must be None for a model of several masks, or with a context. "
            f"Received: evidence_units={given!r}, num_masks={settings.num_masks}, context="
            f"{settings.context!r}"
        )
    return [integer("evidence_units", width) for width in given]


def _few_weight(settings: Settings) -> float:
    """Returns what few variables count in training."""
    weight = positive("few_weight", settings.few_weight)
    if weight != FEW_WEIGHT and not settings.evidence_units:
        raise ValueError(
            f"`few_weight` must be left out for a model without `evidence_units`. Received: "
            f"few_weight={weight}"
        )
    return weight


def expose_settings(cls):
    """Gives a model an attribute for each of its settings that it does not define itself."""

    def attribute(name: str) -> property:
        return property(lambda model: getattr(model.settings, name))

    for field in dataclasses.fields(Settings):
        if field.name not in vars(cls):
            setattr(cls, field.name, attribute(field.name))
    return cls


def _abbreviated(values: np.ndarray, shown: int = 8) -> str:
    head = ", ".join(str(value) for value in values[:shown])
    return f"({head}{', ...' if len(values) > shown else ''})"
