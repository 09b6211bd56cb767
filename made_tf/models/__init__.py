"""Densities as Keras models: `MADE`, and an `Ensemble` of several."""

from __future__ import annotations

from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE

__all__ = ["MADE", "Ensemble"]
