"""Masked autoencoders for distribution estimation in Keras, TFP and LiteRT.

The public names are loaded when they are first used: `import made_tf` alone
imports neither Keras nor TensorFlow, so that the runtime of an exported file
(`made_tf.export.runtime`) needs NumPy and the LiteRT interpreter only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from made_tf import moved, saved_classes
from made_tf.portable.version import __version__

moved.install()
saved_classes.install()

#: The wing that each public class lives in. (Type checkers read the block below.)
_HOMES = {
    "Bernoulli": "conditionals",
    "Binned": "conditionals",
    "Categorical": "conditionals",
    "Conditionals": "conditionals",
    "Count": "conditionals",
    "Discretized": "conditionals",
    "Embedded": "conditionals",
    "Ensemble": "models",
    "EnsembleDistribution": "distributions",
    "Inflated": "conditionals",
    "Interval": "queries",
    "LogisticMixture": "conditionals",
    "MADE": "models",
    "MADEBijector": "distributions",
    "MADEDistribution": "distributions",
    "MaskConstraint": "networks",
    "MaskedDense": "networks",
    "MaskedInitializer": "networks",
    "Mixed": "conditionals",
    "Normal": "conditionals",
    "NormalMixture": "conditionals",
    "Ordinal": "conditionals",
    "TableModel": "tables",
    "TableSchema": "tables",
}
_MODULES = (
    "batch",
    "conditionals",
    "data",
    "distributions",
    "export",
    "masks",
    "models",
    "networks",
    "plotting",
    "quality",
    "queries",
    "sampling",
    "scoring",
    "tables",
    "training",
    "verification",
)
#: Public modules of 0.1.0 that have moved: still found, with a warning.
_MOVED = ("callbacks", "constraints", "ensembles", "initializers", "layers", "random")

__all__ = [*_HOMES, *_MODULES, *_MOVED, "__version__"]  # noqa: PLE0604

if TYPE_CHECKING:
    from made_tf import (
        batch,
        conditionals,
        data,
        distributions,
        export,
        masks,
        models,
        networks,
        plotting,
        quality,
        queries,
        sampling,
        scoring,
        tables,
        training,
        verification,
    )
    from made_tf.conditionals import (
        Bernoulli,
        Binned,
        Categorical,
        Conditionals,
        Count,
        Discretized,
        Embedded,
        Inflated,
        LogisticMixture,
        Mixed,
        Normal,
        NormalMixture,
        Ordinal,
    )
    from made_tf.distributions import EnsembleDistribution, MADEBijector, MADEDistribution
    from made_tf.models import MADE, Ensemble
    from made_tf.networks import MaskConstraint, MaskedDense, MaskedInitializer
    from made_tf.queries import Interval
    from made_tf.tables import TableModel, TableSchema


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f"made_tf.{_HOMES[name]}"), name)
    if name in (*_MODULES, *_MOVED):
        return importlib.import_module(f"made_tf.{name}")
    raise AttributeError(f"module 'made_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
