"""How far the paths of a model that answers all questions disagree about the same marginal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf.networks.evidence import drawn
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from made_tf.models.made import MADE

__all__ = ["PathSpread", "path_spread"]

_ROWS = 1000  # that are scored, at most


class PathSpread(NamedTuple):
    """What several paths say of marginals p(x_S).

    Attributes:
        sizes: how many variables each S has, `[num_subsets]`.
        spread: the standard deviation of log p(x_S) over the paths, in nats, the mean over rows;
            `[num_subsets]`.
    """

    sizes: IntArray
    spread: FloatArray


def path_spread(
    model: MADE, x: npt.ArrayLike, num_subsets: int = 16, num_paths: int = 4, seed: int = 0
) -> PathSpread:
    """Returns how far the paths of a model disagree on marginals of random subsets.

    p(x_S) is the product of the conditionals of its variables in any order; of a model that reads
    evidence also p(x_A) p(x_B | x_A) for any parts A and B of S. A network computes a number for
    each, and they are equal only as far as it has learned. The first path is the one that answers
    questions (`MADEDistribution.log_marginal` under one order).

    Args:
        model: a model of all orders, or of `evidence_units`, without a context.
        x: rows `[N, D]`, of which a thousand are looked at.
        num_subsets: how many subsets S are drawn, their size first, uniform in 1 to D.
        num_paths: at least 2.
        seed: of the subsets.

    Raises:
        ValueError: if the model does not answer all questions, has a context, or the rows do not
            suit it.
    """
    if not model.answers_all or model.conditioning is not None:
        raise ValueError(
            "`model` must be one of all orders (num_masks=None), or of `evidence_units`, without a "
            f"context. Received: num_masks={model.mask_sets.num_masks}, "
            f"{'a' if model.conditioning else 'no'} context"
        )
    rows = ops.convert_to_numpy(model.checked(x))[:_ROWS]
    num_paths = integer("num_paths", num_paths, 2)
    generator = np.random.Philox(key=integer("seed", seed, 0))
    sizes, spread = [], []
    for _ in range(integer("num_subsets", num_subsets)):
        subset = drawn(generator.random_raw(model.event_size + 1))
        if not subset.any():
            subset[:] = True
        if model.reads_evidence:
            words = [generator.random_raw(model.event_size + 1) for _ in range(num_paths - 1)]
            parts = [np.zeros_like(subset), *(drawn(each) & subset for each in words)]
            paths = [_log_prob_by_parts(model, rows, part, subset & ~part) for part in parts]
        else:
            first = model.mask_sets.first(num_paths).evidence_first(subset)
            paths = [_log_prob(model, rows, subset, first.at(k)) for k in range(num_paths)]
        sizes.append(int(subset.sum()))
        spread.append(np.std(paths, axis=0, ddof=1).mean())
    return PathSpread(np.array(sizes), np.array(spread, np.float32))


def _log_prob_by_parts(
    model: MADE, rows: npt.NDArray, part: npt.NDArray, rest: npt.NDArray
) -> npt.NDArray:
    """Returns log p(x_A) + log p(x_B | x_A), A being the part and B the rest of a subset."""
    first, then = (flags[None].astype(np.float32) for flags in (part, rest))
    found = (model.log_prob_given(rows, *each) for each in ((0 * first, first), (first, then)))
    return sum(ops.convert_to_numpy(each).astype(np.float64) for each in found)


def _log_prob(model: MADE, rows: npt.NDArray, subset: npt.NDArray, degrees: list) -> npt.NDArray:
    terms = model.conditionals.log_prob(model.parameters(rows, None, degrees), rows)
    return ops.convert_to_numpy(terms)[:, subset].sum(axis=1, dtype=np.float64)
