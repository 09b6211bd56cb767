"""Masked autoencoders for distribution estimation in Keras, TFP and LiteRT.

The public names are loaded when they are first used: `import made_tf` alone
imports neither Keras nor TensorFlow, so that the runtime of an exported file
(`made_tf.export.runtime`) needs NumPy and the LiteRT interpreter only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from made_tf.version import __version__

_HOMES = {
    "Ensemble": "ensembles",
    "EnsembleDistribution": "ensemble_distributions",
    "MADE": "models",
    "MADEDistribution": "distributions",
    "MaskConstraint": "constraints",
    "MaskedDense": "layers",
    "MaskedInitializer": "initializers",
    "Bernoulli": "conditionals",
    "Categorical": "conditionals",
    "Conditionals": "conditionals",
    "Normal": "conditionals",
}
_MODULES = (
    "callbacks",
    "conditionals",
    "constraints",
    "data",
    "distributions",
    "ensembles",
    "export",
    "initializers",
    "layers",
    "masks",
    "models",
    "plotting",
    "queries",
    "random",
    "sampling",
    "verification",
)

__all__ = [*_HOMES, *_MODULES, "__version__"]  # noqa: PLE0604

if TYPE_CHECKING:
    from made_tf import (
        callbacks,
        conditionals,
        constraints,
        data,
        distributions,
        ensembles,
        export,
        initializers,
        layers,
        masks,
        models,
        plotting,
        queries,
        random,
        sampling,
        verification,
    )
    from made_tf.conditionals import Bernoulli, Categorical, Conditionals, Normal
    from made_tf.constraints import MaskConstraint
    from made_tf.distributions import MADEDistribution
    from made_tf.ensemble_distributions import EnsembleDistribution
    from made_tf.ensembles import Ensemble
    from made_tf.initializers import MaskedInitializer
    from made_tf.layers import MaskedDense
    from made_tf.models import MADE


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f"made_tf.{_HOMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"made_tf.{name}")
    raise AttributeError(f"module 'made_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
