"""Training: schedules, recipes, runs that resume."""

from __future__ import annotations

from made_tf.training.averaging import AveragedWeights
from made_tf.training.callbacks import ProgressBar, ResumableTraining
from made_tf.training.fitting import fit_resumably
from made_tf.training.shuffled_rows import ShuffledRows

__all__ = ["AveragedWeights", "ProgressBar", "ResumableTraining", "ShuffledRows", "fit_resumably"]
