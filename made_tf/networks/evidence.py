"""Training for questions: what is known first, in one order, then the rest in the same order.

A model of all orders learns each conditional p(x_k | x_S) once for every order of S, and tells them
apart by nothing. Here all orders put some variables E first, the evidence, and keep the model's own
order within E and within the rest, so that each set of known values has one path (Shih, Sadigh and
Ermon 2022, arXiv:2205.13554, section 4.1). Without evidence this is the model's own order: the
joint density is one of the tasks.

Steps are of two kinds:

- *chains*: the rest follows one by one, so that a step trains p(x_E) and p(rest | x_E) as they are
  computed. The size of E is uniform, then E among those of its size (Strauss and Oliva 2021,
  arXiv:2102.04426, section 3.3); some more have no evidence, for whole rows.
- *stars*: each variable of the rest is predicted from E alone, which masks can do as well: the
  degree of these outputs is |E| + 1. One step trains p(x_k | x_E) for all k, where a chain would
  train it for one. Some have few variables, since these are asked about most.

What no variable and one variable tell of the others is learned at every step besides
(`made_tf.models.few_known`).

A network that reads evidence from the side (`made_tf.networks.evidence_encoder`) learns chains and
stars, too, of each row its own, and under one mask (`fresh_parts`), and few variables besides
(`few_parts`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf.portable.arrays import BoolArray

__all__ = [
    "drawn",
    "few_parts",
    "fresh_degrees",
    "fresh_parts",
    "uniforms_of_few",
    "uniforms_of_parts",
    "uniforms_shape",
]

# Parts of the steps: benchmarks/questions.py has what they are worth.
STARS = 0.2  # are stars
WHOLE = 0.1  # have no evidence
_SOME = 0.5  # of the chains of known values show a part of what is left
_FEW = 0.8  # of the rows of few variables have one or more, of networks that read evidence
_SMALL = 0.2  # the part of the stars of few variables; the size of the others is uniform


def drawn(words: npt.NDArray[np.uint64]) -> BoolArray:
    """Draws a set of known variables, its size first: random words `[D + 1]` -> booleans `[D]`."""
    size = len(words) - 1
    count = int(words[-1]) * (size + 1) >> 64
    return np.argsort(np.argsort(words[:-1], kind="stable"), kind="stable") < count


def uniforms_shape(event_size: int, num_rows=None) -> tuple:
    """Returns the shape of what `fresh_degrees` takes, for a step or for each of N rows."""
    own = (event_size + 3,)
    return own if num_rows is None else (num_rows, *own)


def fresh_degrees(order: npt.NDArray[np.int32], uniforms):
    """Returns the degrees of the inputs and of the outputs for one step: int32 `[..., D]` twice.

    Args:
        order: the model's own degrees of the inputs, `[D]`.
        uniforms: float32 `[..., D + 3]` in [0, 1).
    """
    size = len(order)
    sorting, kind, share, small = (
        uniforms[..., :size],
        uniforms[..., size : size + 1],
        uniforms[..., size + 1 : size + 2],
        uniforms[..., size + 2 :],
    )
    is_star = kind < STARS
    few = 1 / ops.maximum(1 - share, 1e-6)  # P(few >= n) = 1 / n
    known = ops.where(is_star & (small < _SMALL), few, share * (size + 1))
    known = ops.where(kind < 1 - WHOLE, known, 0.0)
    known = ops.minimum(ops.cast(known, "int32"), size)
    is_rest = ops.cast(_rank(sorting) >= known, "int32")
    inputs = _rank(is_rest * (size + 1) + ops.convert_to_tensor(order)) + 1
    return inputs, ops.where(is_star, ops.minimum(inputs, known + 1), inputs)


def uniforms_of_parts(event_size: int, num_rows) -> tuple:
    """Returns the shape of what `fresh_parts` takes."""
    return num_rows, 2 * event_size + 4


def fresh_parts(uniforms):
    """Returns what is known of rows, and what their chains show: float32 `[N, D]` twice.

    For networks that read evidence from the side. The size of what is known is uniform, and some
    rows know nothing. A star shows nothing but what is known, a chain all, or a part of it. One
    variable is unknown at least.

    Args:
        uniforms: float32 `[N, 2 D + 4]` in [0, 1).
    """
    size = (uniforms.shape[-1] - 4) // 2
    sorting, choosing, further = (
        uniforms[..., :size],
        uniforms[..., size : 2 * size],
        uniforms[..., 2 * size :],
    )
    kind, share, some, part = (further[..., k : k + 1] for k in range(4))
    is_star, is_whole = kind < STARS, kind >= 1 - WHOLE
    known = _first(sorting, ops.where(is_whole, 0.0, share * size))
    shown = ops.cast((choosing < part) | (some >= _SOME) | is_whole, "float32")
    return known, ops.maximum(known, ops.where(is_star, 0.0, shown))


def uniforms_of_few(event_size: int, num_rows) -> tuple:
    """Returns the shape of what `few_parts` takes."""
    return num_rows, event_size + 2


def few_parts(uniforms):
    """Returns what `fresh_parts` does of rows that know or show few variables, or none.

    Two in five rows have one variable, and n or more are met in a part 0.8 / n of them. Half of the
    rows know these, and show nothing else; of the others the chain shows them, and nothing is
    known: marginals of few variables are asked for most.

    Args:
        uniforms: float32 `[N, D + 2]` in [0, 1).
    """
    size = uniforms.shape[-1] - 2
    share, kind = uniforms[..., size : size + 1], uniforms[..., size + 1 :]
    count = ops.minimum(_FEW / ops.maximum(1 - share, 1e-6), size - 1.0)
    few = _first(uniforms[..., :size], count)
    return ops.where(kind < 0.5, few, 0.0), few


def _first(sorting, count):
    return ops.cast(_rank(sorting) < ops.cast(count, "int32"), "float32")


def _rank(values):
    return ops.cast(ops.argsort(ops.argsort(values, axis=-1), axis=-1), "int32")
