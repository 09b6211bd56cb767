"""How good synthetic rows of a table are, against real ones that nothing has learned from.

Rows of any generator, as frames: `made_tf.TableModel.quality` draws its own.
"""

from __future__ import annotations

from made_tf.quality.assess import assess
from made_tf.quality.memorisation import Memorisation
from made_tf.quality.report import QualityReport
from made_tf.quality.shapes import ColumnShape, PairTrend
from made_tf.quality.two_sample import TwoSample
from made_tf.quality.utility import Utility

__all__ = [
    "ColumnShape",
    "Memorisation",
    "PairTrend",
    "QualityReport",
    "TwoSample",
    "Utility",
    "assess",
]
