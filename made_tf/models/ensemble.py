"""`Ensemble`: several models, trained one by one, as one normalised density."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from made_tf.conditionals.row_checks import is_target
from made_tf.models.context import number_of_rows
from made_tf.models.density_model import DensityModel
from made_tf.models.made import MADE

__all__ = ["Ensemble"]

_AROUND = 60  # characters before and after the first one that differs


@keras.saving.register_keras_serializable(package="made_tf")
class Ensemble(DensityModel):
    """The mixture of models in equal parts: p(x) is the mean of the members' p(x).

    The members may differ in everything but the variables and the family: in
    weights, order, width, number of orders. Each is trained by itself, before;
    the ensemble is for `log_prob`, `evaluate` and files. To draw from it and to
    ask it questions, `made_tf.EnsembleDistribution(ensemble)`; to take it to a
    device, `made_tf.export.to_tflite`. Members with a context take the same one.

    Args:
        members: `MADE` models.
        **kwargs: `name`.

    Raises:
        ValueError: if there is no member, or they are over other variables or
            families.

    Example:
        >>> members = [MADE(3, (16,), input_order="random", seed=seed) for seed in range(2)]
        >>> ensemble = Ensemble(members)
        >>> ensemble.log_prob([[0, 1, 1], [1, 0, 0]]).shape
        TensorShape([2])
    """

    def __init__(self, members: Sequence[MADE], **kwargs):
        super().__init__(**kwargs)
        if (
            not isinstance(members, list | tuple)
            or not members
            or not all(isinstance(member, MADE) for member in members)
        ):
            raise ValueError(
                f"`members` must be a list of at least one MADE. Received: members={members!r}"
            )
        first, *others = map(_density, members)
        for number, other in enumerate(others, start=1):
            if other != first:
                raise ValueError(
                    "`members` must be over the same variables, with the same conditionals. "
                    f"Received: members[0] of {_part(first, other)} and members[{number}] of "
                    f"{_part(other, first)}"
                )
        self.members = list(members)
        self.track_each("model", self.members)
        self.event_size = members[0].event_size
        self.conditionals = members[0].conditionals
        self.conditioning = members[0].conditioning
        self.built = True

    def call(self, x, training=None, context=None):
        """Returns the log-probability of each row: `[N, D]` -> `[N]`, in nats."""
        del training  # the members are trained by themselves
        inputs = x if context is None else (x, context)
        log_probs = [member.checked_log_prob(inputs) for member in self.members]
        return ops.logsumexp(ops.stack(log_probs), axis=0) - math.log(len(log_probs))

    def checked_log_prob(self, inputs):
        return self.call(inputs)

    @property
    def any_order(self) -> bool:
        """Whether all members are models of all orders."""
        return all(member.any_order for member in self.members)

    @property
    def answers_all(self) -> bool:
        """Whether all members answer any question exactly."""
        return all(member.answers_all for member in self.members)

    def encode_context(self, context, training=False):
        """Returns the vectors that each member's layers see: a list of float32 `[N, W]`."""
        if self.conditioning is None:
            return None
        return [member.encode_context(context, training) for member in self.members]

    def compute_output_shape(self, input_shape):
        return (number_of_rows(input_shape),)

    def compile(self, *args, **kwargs):
        """Configures `evaluate`: there is nothing to train."""
        keras.Model.compile(self, *args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if is_target(y):
            raise ValueError("An Ensemble has no targets: pass `x` alone. Received a `y`.")
        return self.mean_loss(ops.negative(y_pred), sample_weight)

    def fit(self, *args, **kwargs):
        """Refuses: the members are trained one by one, by `MADE.fit`."""
        raise ValueError("An Ensemble is not trained: fit its members one by one, before.")

    def evaluate(self, *args, **kwargs):
        """Returns the mean NLL: `keras.Model.evaluate` with the data checked first."""
        if not self.compiled:
            self.compile()
        return super().evaluate(*args, **kwargs)

    def get_compile_config(self):
        return None  # there is nothing to train

    def describe(self) -> str:
        """Returns the number of members and what each of them is, in a few lines of text."""
        lines = [f"mixture of {len(self.members)} models in equal parts, the first being"]
        return "\n".join([*lines, self.members[0].describe()])

    def get_config(self):
        members = [keras.saving.serialize_keras_object(member) for member in self.members]
        config = {"name": self.name, "members": members}
        encoders = [member.context_encoder for member in self.members]
        # Of each member the first one with the same encoder, whose weights Keras saves once.
        owners = [next(i for i, other in enumerate(encoders) if other is own) for own in encoders]
        shared = None not in encoders and len(set(owners)) < len(owners)
        return {**config, "encoder_owners": owners} if shared else config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        owners = config.pop("encoder_owners", range(len(config["members"])))
        members: list[MADE] = []
        for number, (each, owner) in enumerate(zip(config["members"], owners, strict=True)):
            if owner == number:
                members.append(keras.saving.deserialize_keras_object(each))
            else:
                encoder = members[owner].context_encoder
                members.append(MADE.from_config({**each["config"], "context": encoder}))
                if each.get("compile_config"):
                    members[-1].compile_from_config(each["compile_config"])
        return cls(**{**config, "members": members})


def _density(member: MADE) -> str:
    family = member.conditionals
    config = _without_ids(family.get_config())
    text = f"{member.event_size} variables, {family.name} {config or ''}".rstrip()
    if member.conditioning is None:
        return text
    text = f"{text}, a context of {member.conditioning.size} numbers"
    if member.conditioning.encoder is None:
        return text
    inputs = [(each.dtype, tuple(each.shape)) for each in member.conditioning.encoder.inputs]
    return f"{text} by a Keras model of inputs {inputs}"


def _part(text: str, other: str) -> str:
    """Returns a text as far as it tells two apart: tables have hundreds of numbers in it."""
    pairs = enumerate(zip(text, other, strict=False))
    differs = next((at for at, (a, b) in pairs if a != b), min(len(text), len(other)))
    start = max(0, differs - _AROUND)
    part = text[start : start + 2 * _AROUND]
    return f"{'...' if start else ''}{part}{'...' if start + 2 * _AROUND < len(text) else ''}"


def _without_ids(config: Any) -> Any:
    """Leaves out the numbers that Keras gives to parts of a family while a file is read."""
    if isinstance(config, dict):
        return {k: _without_ids(v) for k, v in config.items() if k != "shared_object_id"}
    return [_without_ids(each) for each in config] if isinstance(config, list) else config
