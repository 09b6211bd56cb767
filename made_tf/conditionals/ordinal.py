"""Ordered classes, of which neighbours share strength."""

from __future__ import annotations

import itertools

import numpy as np
from keras import ops

from made_tf.conditionals.base import as_float32, register
from made_tf.conditionals.classes import IMPOSSIBLE, Classes, number_of_steps_at
from made_tf.conditionals.layout import Layout
from made_tf.conditionals.special_functions import bounded, log_of_difference, softplus

__all__ = ["Ordinal"]

_LOG_WIDTH_BOUND = 7.0  # an interval is at most e^7 times as wide as at the start, or as narrow


@register
class Ordinal(Classes):
    """Ordered classes 0..K-1: grades, Likert scales, small integers; K - 1 parameters each.

    A logistic variable is cut into intervals, one for each class: P(x < k) = sigmoid(c_k - l). One
    parameter, l, moves all classes together; the others make single intervals wider or narrower,
    so that every distribution over the classes can be had. The network sees, for each k, whether
    x is at least k; from 0 on, so that class 0 differs from an unknown value.

    Args:
        num_classes: K for all variables, or a sequence with the K of each; at least 2.
        counts: for each variable how often its classes occurred; where the network gives zeros,
            these are its proportions, with half a row more in each class. `None`, for all or for
            one, for equal ones.

    Raises:
        ValueError: if a number of classes is not an integer of at least 2, or `counts` are not K
            numbers of at least 0 for each variable.

    References:
        McCullagh 1980, Regression models for ordinal data (JRSS B 42, 109-142): the proportional
        odds model, here with cuts that move, too.
    """

    name = "ordinal"
    per_column = ("num_classes", "counts")

    def __init__(self, num_classes, counts=None):
        super().__init__(num_classes)
        self.counts = None if counts is None else [_checked(column) for column in counts]
        if self.counts is not None:
            sizes = self.num_classes
            sizes = sizes if isinstance(sizes, list) else [sizes] * len(self.counts)
            given = [
                size if column is None else len(column)
                for column, size in itertools.zip_longest(self.counts, sizes)
            ]
            if given != sizes:
                raise ValueError(
                    "`counts` must have num_classes numbers for each variable. "
                    f"Received: {given} numbers, num_classes={sizes}"
                )

    def make_layout(self, event_size):
        sizes = self.check_event_size(event_size)
        return Layout.of_sizes(sizes, sizes - 1)

    def make_constants(self, event_size):
        constants = super().make_constants(event_size)
        sizes = constants["num_classes"].astype(int)
        if self.counts is not None and len(self.counts) != event_size:
            raise ValueError(
                f"`counts` must have one entry for each of {event_size} variables. "
                f"Received: {len(self.counts)} entries"
            )
        first = np.zeros(event_size, np.float32)
        log_widths = np.zeros((event_size, sizes.max() - 1), np.float32)
        for column, size in enumerate(sizes):
            known = self.counts[column] if self.counts is not None else None
            counts = 0.5 + (np.ones(size) if known is None else np.asarray(known))
            below, above = counts.cumsum(), counts[::-1].cumsum()[::-1]  # and the class itself
            first[column] = np.log(below[0]) - np.log(above[1])
            own = counts[1:-1]
            widths = np.log1p(own / below[:-2]) + np.log1p(own / above[2:])
            log_widths[column, : size - 2] = np.log(widths)
        return {**constants, "first": first, "log_widths": log_widths[:, :-1]}

    def encode(self, x):
        features = self.layout.features
        cuts = features.ranks.astype(np.float32) - 0.5
        return ops.cast(features.spread(x) > cuts, "float32")

    def class_logits(self, params):
        (params,) = as_float32(params)
        params = self.layout.parameters.pad(params)  # [N, D, K - 1]
        cuts = ops.expand_dims(self.constant("first") - params[..., 0], -1)
        if params.shape[-1] == 1:
            return ops.concatenate([-softplus(-cuts), -softplus(cuts)], axis=-1)
        # Columns that are not selected may have more classes.
        log_widths = self.constant("log_widths")[..., : params.shape[-1] - 1]
        log_widths = log_widths + bounded(params[..., 1:], _LOG_WIDTH_BOUND)
        widths = ops.exp(log_widths)
        uppers = cuts + ops.cumsum(widths, axis=-1)  # of the classes 1 to K - 2
        lowers = ops.concatenate([cuts, uppers], axis=-1)  # of the classes 1 to K - 1
        not_above = softplus(-lowers)
        below = -not_above[..., :1]  # of class 0: all that lies below the first cut
        ended = log_of_difference(widths) - not_above[..., 1:]
        ended = ops.concatenate([ended, ops.zeros_like(cuts)], axis=-1)
        # A variable with less classes than others ends sooner.
        classes = np.arange(1, params.shape[-1] + 1, dtype=np.float32)
        count = ops.expand_dims(self.constant("num_classes"), -1)
        above = ops.where(classes < count - 1, ended, 0.0) - softplus(lowers)
        above = ops.where(classes < count, above, IMPOSSIBLE)
        return ops.concatenate([below, above], axis=-1)

    def transform_at(self, params, noise, temperature):
        return number_of_steps_at(self.class_logits(params), noise, temperature)

    @classmethod
    def of_table(cls, x, num_classes=None, **options):
        """Takes each variable's number of classes from its largest value, and their counts."""
        sizes = super().of_table(x, num_classes).listed("num_classes")
        columns = zip(x.T.astype(np.int64), sizes, strict=True)
        counts = [np.bincount(np.maximum(values, 0), minlength=size) for values, size in columns]
        known = {"counts": [each.tolist() for each in counts], **options}
        return cls(sizes, **known).bind(len(sizes))

    def get_config(self):
        return {"num_classes": self.num_classes, "counts": self.counts}


def _checked(counts) -> list[float] | None:
    if counts is None:
        return None
    values = [float(count) for count in counts]
    if not all(0 <= value < np.inf for value in values):
        raise ValueError(f"`counts` must be numbers of at least 0. Received: counts={counts!r}")
    return values
