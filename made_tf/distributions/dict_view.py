"""Rows as dicts of columns, for TFP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

__all__ = ["as_dict"]


def as_dict(distribution: Any, names: Sequence[str] | None = None) -> tfd.TransformedDistribution:
    """Returns the same distribution over dicts: the name of each column -> a scalar event.

    Probabilities and densities stay: the columns are taken apart, and nothing else.

    Args:
        distribution: one over rows `[..., D]`.
        names: of the D columns; `x0`, `x1`, ... by default.

    Raises:
        ValueError: if there are not D different names.
    """
    size = distribution.event_shape[-1]
    names = [f"x{column}" for column in range(size)] if names is None else list(names)
    if len(names) != size or len(set(names)) != size or not all(isinstance(n, str) for n in names):
        raise ValueError(f"`names` must be {size} different texts. Received: names={names!r}")
    scalars = tfb.JointMap([tfb.Reshape([], event_shape_in=[1]) for _ in names])
    named = tfb.Restructure({name: column for column, name in enumerate(names)})
    return tfd.TransformedDistribution(
        distribution,
        tfb.Chain([named, scalars, tfb.Split([1] * size)]),
        name=f"{distribution.name}AsDict",
    )
