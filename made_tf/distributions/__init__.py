"""Models as distributions of TensorFlow Probability."""

from __future__ import annotations

from made_tf.distributions.conditional import ConditionalMADE
from made_tf.distributions.ensemble import EnsembleDistribution
from made_tf.distributions.made import DiscreteMADEDistribution, MADEDistribution

__all__ = [
    "ConditionalMADE",
    "DiscreteMADEDistribution",
    "EnsembleDistribution",
    "MADEDistribution",
]
