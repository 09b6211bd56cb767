"""p(x_k | what is known) of one variable: its family with parameters, from which all follows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from made_tf.conditionals import Conditionals
from made_tf.models.made import MADE
from made_tf.portable.arrays import BoolArray, FloatArray
from made_tf.portable.patterns import pieces
from made_tf.queries.evidence_first import ROWS_AT_ONCE
from made_tf.queries.subsets import Queries

__all__ = ["OneVariable", "one_variable"]


class OneVariable(NamedTuple):
    """The conditional of one variable for N rows.

    Attributes:
        family: the variable's family, bound to it alone.
        params: its parameters under each of M orders, `[M, N, P]`.
    """

    family: Conditionals
    params: Any

    def log_prob(self, x: FloatArray) -> FloatArray:
        """Returns the log-probability of a value for each row, in nats: `[N]` -> `[N]`."""
        terms = [
            ops.convert_to_numpy(self.family.log_prob(params, x[:, None]))[:, 0]
            for params in self.params
        ]
        return np.logaddexp.reduce(terms, axis=0) - np.float32(np.log(len(terms)))

    def state_log_probs(self) -> FloatArray:
        """Returns the log-probability of each state of a variable that has such, `[N, K]`."""
        (states,) = self.family.finite_states()
        count = self.params.shape[1]
        return np.stack([self.log_prob(np.full(count, s, np.float32)) for s in states], axis=1)

    def draw(self, uniforms: FloatArray) -> FloatArray:
        """Draws a value for each row under the first order: `[N, U]` -> `[N]`."""
        return ops.convert_to_numpy(self.family.sample(self.params[0], uniforms))[:, 0]

    def draws(self, uniforms: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Draws S values for each row, many at a time: operators are slow to start.

        Args:
            uniforms: `[S, N, U]`.

        Returns:
            The values and their log-probabilities in nats, `[S, N]` each.
        """
        drawn = np.empty(uniforms.shape[:2], np.float32)
        log_probs = np.empty_like(drawn)
        for part in pieces(np.arange(len(uniforms)), max(1, ROWS_AT_ONCE // uniforms.shape[1])):
            together = OneVariable(self.family, np.tile(self.params, (1, len(part), 1)))
            values = together.draw(uniforms[part].reshape(-1, uniforms.shape[2]))
            drawn[part] = values.reshape(len(part), -1)
            log_probs[part] = together.log_prob(values).reshape(len(part), -1)
        return drawn, log_probs


def one_variable(
    queries: Queries,
    values: FloatArray,
    known: BoolArray,
    variable: int,
    vectors: FloatArray | None = None,
) -> OneVariable:
    """Returns the conditional of a variable given others, exactly.

    Args:
        queries: of a model that answers all questions, or of one in whose order the known
            variables come first.
        values: rows `[N, D]`; anything finite where nothing is known.
        known: which variables are known, `[D]`; not the one that is asked for.
        variable: which one that is, from 0.
        vectors: of a model with a context, the encoded context of each row, `[N, W]`.

    Raises:
        ValueError: if no order of the model gives it exactly.
    """
    model: MADE = queries.whole
    asked = np.zeros_like(known)
    asked[variable] = True
    sets = queries.sets_for(known, asked)
    if sets is None:
        raise ValueError(
            "`known` must come first in an order of the model: it was made for one order."
        )
    flags = known.astype(np.float32)

    def parameters(rows, number):
        if queries.evidence_is_beside:
            own = np.broadcast_to(flags, values[rows].shape)
            return model.parameters_given(values[rows], own, own)
        degrees = None if model.mask_sets.is_fixed else sets.at(number)
        return model.parameters(values[rows], None if vectors is None else vectors[rows], degrees)

    entries = model.conditionals.layout.parameters.entries(np.array([variable]))
    found = []
    for number in range(sets.num_sets):
        parts = [
            ops.convert_to_numpy(parameters(part, number))[:, entries]
            for part in pieces(np.arange(len(values)), ROWS_AT_ONCE)
        ]
        found.append(np.concatenate(parts))
    family = model.conditionals.select(np.array([variable], np.int32))
    return OneVariable(family, np.stack(found))
