"""Training: schedules, recipes, runs that resume."""

from __future__ import annotations

from made_tf.training.averaging import AveragedWeights
from made_tf.training.by_recipe import train_ensemble
from made_tf.training.callbacks import ProgressBar, ResumableTraining
from made_tf.training.distributed import data_parallel
from made_tf.training.fitting import fit_resumably
from made_tf.training.recipe import Recipe, recipe_names
from made_tf.training.schedule import Training
from made_tf.training.shuffled_rows import ShuffledRows

__all__ = [
    "AveragedWeights",
    "ProgressBar",
    "Recipe",
    "ResumableTraining",
    "ShuffledRows",
    "Training",
    "data_parallel",
    "fit_resumably",
    "recipe_names",
    "train_ensemble",
]
