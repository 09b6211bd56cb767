"""Questions about any variables, given any others."""

from __future__ import annotations

from made_tf.queries.estimate import Estimate
from made_tf.queries.interval import Interval
from made_tf.queries.mixture import MixtureQueries
from made_tf.queries.particles import pick
from made_tf.queries.questions import Questions
from made_tf.queries.subsets import Queries
from made_tf.queries.value_sets import allowed_sets

__all__ = [
    "Estimate",
    "Interval",
    "MixtureQueries",
    "Queries",
    "Questions",
    "allowed_sets",
    "pick",
]
