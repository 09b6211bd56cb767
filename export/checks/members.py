"""An ensemble that a file is compared with: each row with the member that it was drawn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.export.checks.host import AnyHost, Drawn, Host
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE
from made_tf.portable.arrays import BoolArray, FloatArray
from made_tf.sampling.order_mixture import choose_set, choose_weighted

__all__ = ["HostOfMembers", "host_log_prob", "host_of", "members_of"]

_TIE = 1e-4  # a uniform this close to where another member begins can fall on either side of it


def members_of(model: MADE | Ensemble) -> list[MADE]:
    """Returns the members of an ensemble, or a model alone."""
    return model.members if isinstance(model, Ensemble) else [model]


def host_of(model: MADE | Ensemble, num_orders: int) -> AnyHost:
    """Returns a model, or an ensemble, beside its copy in float64."""
    if isinstance(model, Ensemble):
        return HostOfMembers(model, [Host.of(each, each.num_orders) for each in model.members])
    return Host.of(model, num_orders)


def host_log_prob(model: MADE | Ensemble, num_orders: int) -> Callable[..., Any]:
    """Returns a function from rows, and perhaps their `context`, to log-probabilities."""
    if isinstance(model, Ensemble):
        return model.log_prob
    return lambda rows, **given: model.log_prob(rows, num_orders, **given)


@dataclasses.dataclass(frozen=True, eq=False)
class HostOfMembers(AnyHost):
    """An ensemble beside a copy in float64.

    The mask sets of all members are counted on: those of the first one, those of the second one...

    Attributes:
        model: the ensemble.
        members: its members.
    """

    model: Ensemble
    members: list[Host]

    num_choices = 2
    num_orders = 1

    def sample(self, uniforms: Any, context: FloatArray | None = None) -> FloatArray:
        """As `Host.sample`, from one uniform more, which chooses the member."""
        uniforms = np.asarray(uniforms)
        rows = np.zeros((len(uniforms), self.model.event_size), np.float32)
        for member, own, _ in self.by_member(self.sets_of(uniforms)):
            given = None if context is None else context[own]
            rows[own] = member.sample(uniforms[own, :-1], given)
        return rows

    def sets_of(self, uniforms: Any) -> npt.NDArray[np.int32]:
        """As `Host.sets_of`, by the last two uniforms of each row."""
        chosen = choose_set(tf.constant(uniforms)[:, -1], len(self.members)).numpy()
        return self._numbers(chosen, uniforms)

    def sets_given(self, drawn: Drawn, known: BoolArray) -> npt.NDArray[np.int32]:
        """As `Host.sets_given`; -1 where rounding decides which member a row has."""
        log_weights = [self._log_marginal(member, drawn, known) for member in self.members]
        weights = tf.constant(np.stack(log_weights, axis=1).astype(np.float32))
        uniforms = tf.convert_to_tensor(drawn.inputs)
        lower, upper = (
            choose_weighted(weights, uniforms[:, -1] + shift).numpy() for shift in (-_TIE, _TIE)
        )
        return np.where(lower == upper, self._numbers(lower, uniforms), -1)

    def by_member(
        self, sets: npt.NDArray[np.int32]
    ) -> Iterator[tuple[Host, npt.NDArray[np.intp], npt.NDArray[np.int32]]]:
        """Yields members, each with its rows and with the numbers of their mask sets."""
        for member, start in zip(self.members, self._starts(), strict=True):
            own = np.flatnonzero((sets >= start) & (sets < start + member.num_orders))
            if len(own):
                yield member, own, sets[own] - start

    def log_prob(self, rows: FloatArray, context: FloatArray | None = None) -> FloatArray:
        """As `Host.log_prob`."""
        return self._mean([member.log_prob(rows, context) for member in self.members])

    def precise_log_prob(self, rows: FloatArray, context: FloatArray | None = None) -> FloatArray:
        """As `Host.precise_log_prob`."""
        return self._mean([member.precise_log_prob(rows, context) for member in self.members])

    def _log_marginal(self, member: Host, drawn: Drawn, known: BoolArray) -> FloatArray:
        """Returns log p of the known variables under a member, `[n]`."""
        return self._mean(list(member.log_marginal(drawn.rows, known, drawn.context)))

    def _mean(self, log_probs: list[FloatArray]) -> FloatArray:
        return np.logaddexp.reduce(log_probs) - np.float32(np.log(len(log_probs)))

    def _numbers(self, chosen: npt.NDArray[np.int32], uniforms: Any) -> npt.NDArray[np.int32]:
        """Returns the numbers of mask sets of rows, whose members are chosen, `[n]`."""
        counts = np.array([member.num_orders for member in self.members], np.int32)
        order = choose_set(tf.constant(uniforms)[:, -2], counts[chosen]).numpy()
        return self._starts()[chosen] + order

    def _starts(self) -> npt.NDArray[np.int32]:
        counts = [member.num_orders for member in self.members]
        return (np.cumsum(counts) - counts).astype(np.int32)
