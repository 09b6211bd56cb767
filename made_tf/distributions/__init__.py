"""Models as distributions of TensorFlow Probability."""

from __future__ import annotations

from made_tf.distributions.bijector import MADEBijector
from made_tf.distributions.conditional import ConditionalMADE
from made_tf.distributions.ensemble import EnsembleDistribution
from made_tf.distributions.made import DiscreteMADEDistribution, MADEDistribution
from made_tf.distributions.marginal import Marginal
from made_tf.distributions.monte_carlo import MonteCarlo, entropy_estimate, kl_divergence_estimate

__all__ = [
    "ConditionalMADE",
    "DiscreteMADEDistribution",
    "EnsembleDistribution",
    "MADEBijector",
    "MADEDistribution",
    "Marginal",
    "MonteCarlo",
    "entropy_estimate",
    "kl_divergence_estimate",
]
