"""Output families: parameters to log densities, uniforms to samples."""

from __future__ import annotations

import keras

from made_tf.conditionals.base import FAMILIES, Conditionals
from made_tf.conditionals.bernoulli import Bernoulli
from made_tf.conditionals.binned import Binned
from made_tf.conditionals.categorical import Categorical
from made_tf.conditionals.count import Count
from made_tf.conditionals.discretized import Discretized
from made_tf.conditionals.embedded import Embedded
from made_tf.conditionals.inflated import MISSING, Inflated
from made_tf.conditionals.mixed import Mixed
from made_tf.conditionals.mixtures import LogisticMixture, NormalMixture
from made_tf.conditionals.normal import Normal
from made_tf.conditionals.ordinal import Ordinal
from made_tf.conditionals.suggestions import suggest

__all__ = [
    "FAMILIES",
    "MISSING",
    "Bernoulli",
    "Binned",
    "Categorical",
    "Conditionals",
    "Count",
    "Discretized",
    "Embedded",
    "Inflated",
    "LogisticMixture",
    "Mixed",
    "Normal",
    "NormalMixture",
    "Ordinal",
    "get",
    "suggest",
]


def get(identifier: str | dict | Conditionals | list, event_size: int) -> Conditionals:
    """Returns the family that a name, a config or a family stands for, bound to its columns.

    Args:
        identifier: a name of `FAMILIES` (for a family without required
            arguments), what `keras.saving.serialize_keras_object` made of a
            family, or a family; or a list of such, one for each column.
        event_size: D, the number of variables that it is for.

    Raises:
        ValueError: if there is no such family, if it needs arguments, or if
            it was made for another number of variables.
    """
    if isinstance(identifier, list | tuple):
        identifier = Mixed([get(each, 1) for each in identifier])
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, str) and identifier in FAMILIES:
        family = FAMILIES[identifier]
        try:
            identifier = family()
        except TypeError as error:
            raise ValueError(
                f"`conditionals` {family.name!r} needs arguments: construct "
                f"made_tf.{family.__name__}(...) yourself, or let its `from_data(x)` find them "
                f"({error})"
            ) from error
    if not isinstance(identifier, Conditionals):
        raise ValueError(
            f"`conditionals` must be one of {sorted(FAMILIES)} or a Conditionals. "
            f"Received: conditionals={identifier!r}"
        )
    try:
        return identifier.bind(event_size)
    except ValueError as error:
        raise ValueError(
            f"`conditionals` must describe event_size={event_size} variables. "
            f"Received: {identifier.describe()}"
        ) from error
