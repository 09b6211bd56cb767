"""Models as distributions of TensorFlow Probability."""

from __future__ import annotations

from made_tf.distributions.bijector import MADEBijector
from made_tf.distributions.conditional import ConditionalMADE
from made_tf.distributions.conditional_ensemble import ConditionalEnsemble
from made_tf.distributions.ensemble import EnsembleDistribution
from made_tf.distributions.made import DiscreteMADEDistribution, MADEDistribution
from made_tf.distributions.marginal import Marginal
from made_tf.distributions.mixture_marginal import MixtureMarginal
from made_tf.distributions.monte_carlo import MonteCarlo, entropy_estimate, kl_divergence_estimate
from made_tf.distributions.questions import AnswersQuestions

__all__ = [
    "AnswersQuestions",
    "ConditionalEnsemble",
    "ConditionalMADE",
    "DiscreteMADEDistribution",
    "EnsembleDistribution",
    "MADEBijector",
    "MADEDistribution",
    "Marginal",
    "MixtureMarginal",
    "MonteCarlo",
    "entropy_estimate",
    "kl_divergence_estimate",
]
