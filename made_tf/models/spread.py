"""Evaluation that also says how far a model's orders disagree, which a training step cannot."""

from __future__ import annotations

import contextlib
from typing import Any

import keras

__all__ = ["ReportsSpread"]


class ReportsSpread(keras.Model):
    """A model whose metric `order_spread` exists in evaluation alone.

    Of one order, which is all that a training step has, there is no spread.
    """

    spread_tracker: Any = None
    _evaluating = False

    def evaluate(self, *args, **kwargs):
        """Returns the loss and metrics: `keras.Model.evaluate` with the data checked first."""
        with self._reporting_spread():
            return super().evaluate(*args, **kwargs)

    def test_on_batch(self, *args, **kwargs):
        with self._reporting_spread():
            return super().test_on_batch(*args, **kwargs)

    @contextlib.contextmanager
    def _reporting_spread(self):
        self._evaluating = True
        try:
            yield
        finally:
            self._evaluating = False

    @property
    def metrics(self):
        if self.spread_tracker is None or self._evaluating:
            return super().metrics
        return [metric for metric in super().metrics if metric is not self.spread_tracker]
