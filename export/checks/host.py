"""What a file is compared with: the model on the host, and rows that it draws."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.export.contexts import example_contexts
from made_tf.export.file.weights import with_dtype
from made_tf.export.networks import num_uniforms
from made_tf.models.made import MADE
from made_tf.networks.mask_sets import StackedSets
from made_tf.portable.arrays import BoolArray, FloatArray
from made_tf.sampling import random
from made_tf.sampling.blocked_network import BlockedNetwork
from made_tf.sampling.order_mixture import choose_set, sample_mixture

__all__ = ["SEED", "AnyHost", "Drawn", "Host"]

#: The seed of all that is compared or measured.
SEED = 20150208
_SLACK = 1e-6  # what rounding does to a number that is then put on a grid


class AnyHost(abc.ABC):
    """A model, or an ensemble, on the host.

    Attributes:
        model: it.
        num_orders: M, how many orders are mixed; 1 for an ensemble, whose members have their own.
        num_choices: how many of a row's uniforms choose an order, or a member.
    """

    model: Any
    num_orders: int
    num_choices: int

    @abc.abstractmethod
    def sample(self, uniforms: Any, context: FloatArray | None = None) -> FloatArray:
        """Draws rows from the uniforms of their variables and those that choose, on the host."""

    @abc.abstractmethod
    def sets_of(self, uniforms: Any) -> npt.NDArray[np.int32]:
        """Returns the numbers of the mask sets of rows, by the last uniforms of each, `[n]`."""

    @abc.abstractmethod
    def sets_given(self, drawn: Drawn, known: BoolArray) -> npt.NDArray[np.int32]:
        """Returns the numbers of the mask sets of rows of which some variables are known."""

    @abc.abstractmethod
    def by_member(
        self, sets: npt.NDArray[np.int32]
    ) -> Iterator[tuple[Host, npt.NDArray[np.intp], npt.NDArray[np.int32]]]:
        """Yields models, each with its rows and with the numbers of their mask sets."""

    @abc.abstractmethod
    def log_prob(self, rows: FloatArray, context: FloatArray | None = None) -> FloatArray:
        """Returns the log-probabilities of rows, in nats: `[n, D]` -> `[n]`."""

    @abc.abstractmethod
    def precise_log_prob(self, rows: FloatArray, context: FloatArray | None = None) -> FloatArray:
        """Returns the log-probabilities by a copy in float64, in nats: `[n, D]` -> `[n]`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Host(AnyHost):
    """A model beside a copy in float64.

    What the two differ by is what rounding does in this model, found without
    the sampler's own code.

    Attributes:
        model: the model.
        precise: the copy.
        num_orders: M, how many orders are mixed.
        sets: their mask sets.
    """

    model: MADE
    precise: MADE
    num_orders: int
    sets: StackedSets

    num_choices = 1

    @classmethod
    def of(cls, model: MADE, num_orders: int) -> Host:
        """Returns a model beside its copy."""
        sets = model.mask_sets.first(num_orders)
        return cls(model, with_dtype(model, "float64"), num_orders, sets)

    def sample(self, uniforms, context: FloatArray | None = None) -> FloatArray:
        """Draws rows from the uniforms of their variables and one more, on the host."""
        is_mixture = self.num_orders > 1
        network = BlockedNetwork(self.model, any_mask=is_mixture)

        def draw(uniforms, context):
            vectors = self.model.encode_context(context)
            if is_mixture:
                return sample_mixture(network.sample, uniforms, self.sets, vectors=vectors)
            return network.sample(uniforms[:, :-1], vectors=vectors)

        if is_mixture:  # whose loop over orders is worth a graph
            draw = tf.function(draw, autograph=False)
        return draw(tf.convert_to_tensor(uniforms), context).numpy()

    def sets_of(self, uniforms: Any) -> npt.NDArray[np.int32]:
        """As `AnyHost.sets_of`."""
        return choose_set(uniforms[:, -1], self.num_orders).numpy()

    def sets_given(self, drawn: Drawn, known: BoolArray) -> npt.NDArray[np.int32]:
        """As `AnyHost.sets_given`."""
        del known  # of which the order does not depend
        return drawn.sets

    def by_member(
        self, sets: npt.NDArray[np.int32]
    ) -> Iterator[tuple[Host, npt.NDArray[np.intp], npt.NDArray[np.int32]]]:
        """Yields itself with all rows."""
        yield self, np.arange(len(sets)), sets

    @functools.cached_property
    def nearby(self) -> Callable[[Any, Any], Any]:
        """From parameters `[n, P]` and uniforms `[n, U]` to what rounding may make of a draw.

        The lowest and the highest values, `[n, D]` each.
        """
        family = self.model.conditionals

        def draw(params, uniforms):
            return family.transform_nearby(params, family.noise(uniforms), _SLACK)

        if not np.any(family.channels > 1):
            return draw
        # Of several channels there are many operators, and many draws are compared: started once.
        sizes = int(family.layout.parameters.total), family.num_uniforms
        specs = [tf.TensorSpec([None, size], tf.float32) for size in sizes]
        return tf.function(draw, specs, autograph=False)

    def log_prob(self, rows: FloatArray, context: FloatArray | None = None) -> FloatArray:
        """Returns the log-probabilities of rows, in nats: `[n, D]` -> `[n]`."""
        return self.model.log_prob(rows, self.num_orders, context).numpy()

    def precise_log_prob(self, rows: FloatArray, context: FloatArray | None = None) -> FloatArray:
        """Returns the copy's log-probabilities of rows, in nats: `[n, D]` -> `[n]`."""
        return self.precise.log_prob(rows, self.num_orders, context).numpy()

    def parameters(
        self,
        rows: FloatArray,
        number: int = 0,
        known: BoolArray | None = None,
        context: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Returns the parameters `[n, P]` of both under a set, with what is known first."""
        models, degrees = (self.model, self.precise), None
        if known is not None and self.model.reads_evidence:
            flags = np.broadcast_to(known, rows.shape).astype(np.float32)
            found = [model.parameters_given(rows, flags) for model in models]
        else:
            if not self.model.mask_sets.is_fixed:
                own = self.sets.only(number)
                degrees = (own if known is None else own.evidence_first(known)).at(0)
            found = [
                model.parameters(rows, model.encode_context(context), degrees) for model in models
            ]
        ours, precise = (np.asarray(each, np.float32) for each in found)
        return ours, precise

    def log_marginal(
        self, rows: FloatArray, known: BoolArray, context: FloatArray | None = None
    ) -> FloatArray:
        """Returns log p of the known variables under each mask set: `[n, D]` -> `[M, n]`."""
        if self.model.reads_evidence:
            asked = known[None].astype(np.float32)
            return np.asarray(self.model.log_prob_given(rows, np.zeros_like(asked), asked))[None]
        found = []
        for number in range(self.num_orders):
            params, _ = self.parameters(rows, number, known, context)
            terms = np.asarray(self.model.conditionals.log_prob(params, rows))
            found.append(terms[:, known].sum(axis=1))
        return np.stack(found)


class Drawn(NamedTuple):
    """Rows to compare, and what they were drawn from.

    Attributes:
        rows: float32 `[n, D]`.
        seeds: int32 `[n, 2]`.
        inputs: the uniforms that a row takes, `[n, U]`.
        uniforms: those of its variables, `[n, U]`.
        sets: the numbers of its mask sets, `[n]`.
        context: what it is conditioned on, `[n, ...]`; `None` without a context.
    """

    rows: FloatArray
    seeds: npt.NDArray[np.int32]
    inputs: Any
    uniforms: Any
    sets: npt.NDArray[np.int32]
    context: FloatArray | None = None

    @classmethod
    def of(cls, host: AnyHost, num_rows: int, context: FloatArray | None = None) -> Drawn:
        """Draws so many rows on the host, for contexts that were given or are made up."""
        if context is None:
            context = example_contexts(host.model, num_rows, SEED)
        else:
            context = np.resize(context, (num_rows, *context.shape[1:]))
        seeds = random.row_seeds(tf.constant([SEED, 0], tf.int32), num_rows)
        uniforms = random.row_uniforms(seeds, host.model.conditionals, host.num_choices)
        return cls(
            host.sample(uniforms, context),
            seeds.numpy(),
            uniforms[:, : num_uniforms(host.model, host.num_orders)],
            uniforms[:, : -host.num_choices],
            host.sets_of(uniforms),
            context,
        )

    def some(self, numbers: npt.NDArray[np.intp]) -> Drawn:
        """Returns the rows of these numbers alone."""
        return Drawn(
            self.rows[numbers],
            self.seeds[numbers],
            tf.gather(self.inputs, numbers),
            tf.gather(self.uniforms, numbers),
            self.sets[numbers],
            None if self.context is None else self.context[numbers],
        )

    def given(self, rows: Any = slice(None)) -> dict[str, Any]:
        """Returns the further argument that calls about some of the rows need: none, or context."""
        return {} if self.context is None else {"context": self.context[rows]}
