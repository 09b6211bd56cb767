"""What of bins lies in an interval: the inner bins are uniform, the outermost ones fall off."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from made_tf.conditionals.lines import log_of_share
from made_tf.conditionals.special_functions import log_of_difference

__all__ = ["Parts", "parts_of_bins"]

_FAR = 1e30  # where the outermost bins end
_SMALLEST = float(np.finfo(np.float32).tiny)


class Parts(NamedTuple):
    """What lies in an interval, of each bin: `[N or 1, D, K]`, where it is not said otherwise.

    Attributes:
        begins: where it begins, of the first bin: where it ends, since there values fall downwards.
        lengths: how long it is, 0 where there is none.
        sizes: the sizes of the bins, of the outermost ones the mean of the exponential distribution
            inside.
        log_shares: the log of the share of the bin's probability that it has.
        is_first: which is the first bin, `[K]`.
        is_last: which is the last one, `[D, K]`.
    """

    begins: Any
    lengths: Any
    sizes: Any
    log_shares: Any
    is_first: Any
    is_last: Any

    def place(self, index, uniforms):
        """Returns where uniforms lie in the parts of the bins `index`: `[N, D]` each."""
        bins = np.arange(self.lengths.shape[-1], dtype=np.float32)
        chosen = ops.equal(ops.expand_dims(index, -1), bins)
        begin, length, size, is_last = (
            ops.sum(ops.where(chosen, part, 0.0), axis=-1)
            for part in (self.begins, self.lengths, self.sizes, ops.cast(self.is_last, "float32"))
        )
        is_first = ops.equal(index, 0.0)
        fallen = -size * ops.log1p(uniforms * ops.expm1(-length / ops.maximum(size, _SMALLEST)))
        is_tail = ops.logical_or(is_first, is_last > 0)
        away = ops.minimum(ops.where(is_tail, fallen, length * uniforms), length)
        return begin + ops.where(is_first, -away, away)


def parts_of_bins(low, high, begins, sizes, top, num_edges) -> Parts:
    """Returns what of each bin lies from `low` to `high`.

    Args:
        low: `[N or 1, D]`.
        high: `[N or 1, D]`.
        begins: where the bins begin, `[D, K]`; whatever for the first one.
        sizes: how long they are, `[D, K]`; of the first and the last one the mean of the
            exponential distribution inside.
        top: where the first bin ends, `[D]`.
        num_edges: how many edges there are between bins, `[D]`; further bins do not exist.
    """
    low, high = (ops.expand_dims(ops.clip(end, -_FAR, _FAR), -1) for end in (low, high))
    top, num_edges = (ops.expand_dims(each, -1) for each in (top, num_edges))
    bins = np.arange(begins.shape[-1], dtype=np.float32)
    is_first, is_last = bins == 0.0, ops.equal(bins, num_edges)
    ends = ops.concatenate([begins[..., 1:], begins[..., -1:]], axis=-1)
    bottoms = ops.where(is_first, -_FAR, begins)
    tops = ops.where(is_first, top, ops.where(is_last, _FAR, ends))
    lower, upper = ops.maximum(low, bottoms), ops.minimum(high, tops)
    lengths = ops.where(bins <= num_edges, ops.maximum(upper - lower, 0.0), 0.0)
    sizes_or_1 = ops.maximum(sizes, _SMALLEST)
    relative = lengths / sizes_or_1
    passed = ops.where(is_first, tops - upper, lower - bottoms) / sizes_or_1
    tail = log_of_difference(ops.maximum(relative, _SMALLEST)) - passed
    log_share = log_of_share(ops.minimum(relative, 1.0))
    is_tail = ops.logical_and(ops.logical_or(is_first, is_last), lengths > 0)
    log_shares = ops.where(is_tail, tail, log_share)
    return Parts(ops.where(is_first, upper, lower), lengths, sizes, log_shares, is_first, is_last)
