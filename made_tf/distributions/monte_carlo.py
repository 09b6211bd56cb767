"""What has no closed form, by draws, and how far off it may be."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from made_tf.distributions.base import RowDistribution
from made_tf.portable.arguments import integer
from made_tf.portable.seeds import checked_seed

__all__ = ["MonteCarlo", "entropy_estimate", "kl_divergence_estimate"]

_AT_ONCE = 4096  # draws: bounds the memory


class MonteCarlo(NamedTuple):
    """A mean over independent draws.

    Attributes:
        value: in nats, of the distributions' batch shape.
        standard_error: of the value. It tells nothing of regions that no draw has met.
    """

    value: Any
    standard_error: Any


def kl_divergence_estimate(
    p: tfd.Distribution, q: tfd.Distribution, num_samples: int = 10_000, seed: int = 0
) -> MonteCarlo:
    """Estimates KL(p || q), the mean of log p(x) - log q(x) over draws x of p.

    Args:
        p: what is drawn from: a distribution of made_tf, or any other.
        q: what it is compared with, over the same events.
        num_samples: how many draws, at least 2.
        seed: an integer.

    Returns:
        Float64 nats with their standard error; infinite where q has a draw of p for impossible.

    Raises:
        ValueError: if an argument is out of range, or the events differ.

    Example:
        >>> import tensorflow as tf
        >>> from made_tf import MADE, MADEDistribution
        >>> p = MADEDistribution(MADE(event_size=3, hidden_units=(8,), seed=0))
        >>> q = tfd.Independent(tfd.Bernoulli(logits=tf.zeros(3), dtype=tf.float32), 1)
        >>> bool(kl_divergence_estimate(p, q, num_samples=100).standard_error > 0)
        True
    """
    for name, each in (("p", p), ("q", q)):
        _check(name, each)
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"`q` must have the event shape of `p`, {p.event_shape}. Received: {q.event_shape}"
        )
    return _mean_over_draws(p, lambda x: p.log_prob(x) - q.log_prob(x), num_samples, seed)


def entropy_estimate(p: tfd.Distribution, num_samples: int = 10_000, seed: int = 0) -> MonteCarlo:
    """Estimates the entropy of p, the mean of -log p(x) over its draws.

    Args:
        p: a distribution of made_tf, or any other.
        num_samples: how many draws, at least 2.
        seed: an integer.

    Returns:
        Float64 nats with their standard error; of densities the differential entropy.

    Raises:
        ValueError: if an argument is out of range.
    """
    _check("p", p)
    return _mean_over_draws(p, lambda x: -p.log_prob(x), num_samples, seed)


def _check(name: str, distribution: object) -> None:
    if not isinstance(distribution, tfd.Distribution):
        raise ValueError(
            f"`{name}` must be a tfd.Distribution. Received: {type(distribution).__name__}"
        )


def _mean_over_draws(p: tfd.Distribution, term: Any, num_samples: int, seed: int) -> MonteCarlo:
    num_samples = integer("num_samples", num_samples, 2)
    seed = checked_seed(seed)
    parts = []
    for number, start in enumerate(range(0, num_samples, _AT_ONCE)):
        count = min(_AT_ONCE, num_samples - start)
        # The first piece is `sample(n, seed)`, later ones have streams of their own.
        own = tf.constant([seed, number], tf.int32)
        parts.append(np.asarray(term(p.sample(count, seed=own)), np.float64))
    terms = np.concatenate(parts)
    error = terms.std(axis=0, ddof=1) / np.sqrt(num_samples)
    return MonteCarlo(terms.mean(axis=0), error)


def _no_closed_form(p: tfd.Distribution, q: tfd.Distribution, name: str | None = None) -> Any:
    del name
    raise NotImplementedError(
        f"KL({p.name} || {q.name}) has no closed form. "
        "`made_tf.distributions.kl_divergence_estimate(p, q)` estimates it, with a standard error."
    )


for _kinds in (
    (RowDistribution, tfd.Distribution),
    (tfd.Distribution, RowDistribution),
    (RowDistribution, RowDistribution),
):
    tfd.RegisterKL(*_kinds)(_no_closed_form)
