"""`Fitted`: a table's networks, ready to be asked."""

from __future__ import annotations

from functools import cached_property

from made_tf.data.table_schema import TableSchema
from made_tf.distributions.ensemble import EnsembleDistribution
from made_tf.distributions.made import MADEDistribution
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE
from made_tf.queries.evidence_first import EvidenceFirst
from made_tf.queries.questions import Questions
from made_tf.queries.subsets import Queries
from made_tf.tables.network import TableNetwork
from made_tf.tables.spread import spread_of

__all__ = ["Fitted"]

#: Variables at a time. A table's columns are of many kinds, so that the graph of one answer is
#: mostly the same operators again for each block. Blocks of one, which suit thousands of rows best,
#: make the first answer late: 15.7 s for ten variables, where blocks of five take 6.8 s. Later ones
#: take 62 and 170 us a row.
_BLOCK_LENGTH = 5
_DRAWN = 2000  # rows that tell how far numbers lie apart
_MOST_BEHIND = 1.0  # nats a row, of a network of questions that tells how probable conditions are


class Fitted:
    """What the parts of a `TableModel` share: the schema, the networks, and what is traced of them.

    Args:
        network: what was trained.
    """

    def __init__(self, network: TableNetwork):
        self.network = network

    def __reduce__(self):
        return type(self), (self.network,)  # what was traced is made again

    @property
    def schema(self) -> TableSchema:
        """What the columns are."""
        return self.network.schema

    @property
    def joint(self) -> MADE | Ensemble:
        """The density of whole rows."""
        return self.network.joint

    @property
    def members(self) -> list[MADE]:
        """The networks that make it up, one or several."""
        return self.network.members

    @cached_property
    def rows(self) -> MADEDistribution | EnsembleDistribution:
        """The same as a distribution."""
        if isinstance(self.joint, Ensemble):
            return EnsembleDistribution(self.joint)
        return MADEDistribution(self.joint)

    @cached_property
    def in_order(self) -> list[EvidenceFirst]:
        """Each network of whole rows under its own order."""
        return [EvidenceFirst(each, own_order=True) for each in self.members]

    @cached_property
    def spread(self) -> list[float]:
        """How far the numbers of each variable lie apart; by rows that are drawn, of old files."""
        if self.network.spread is not None:
            return self.network.spread
        return spread_of(self.schema, self.rows.sample(_DRAWN, seed=0).numpy())

    @property
    def has_questions(self) -> bool:
        """Whether there is a network of questions; that of whole rows may be one."""
        return self._answering() is not None

    @property
    def questions(self) -> MADE:
        """The network that answers questions about some columns given others.

        Raises:
            ValueError: if there is none.
        """
        network = self._answering()
        if network is None:
            raise ValueError(
                "`questions` must not be None for what is asked of some columns given others: fit "
                "a TableModel with a network of questions."
            )
        return network

    def _answering(self) -> MADE | None:
        whole, own = self.joint, self.network.questions
        if own is None and isinstance(whole, MADE) and whole.answers_all:
            return whole
        return own

    @cached_property
    def queries(self) -> Queries:
        """What asks it.

        Raises:
            ValueError: if there is no network of questions.
        """
        model = self.questions
        return Queries(model, block_length=min(_BLOCK_LENGTH, model.event_size))

    @cached_property
    def marginals(self) -> Questions:
        """What tells how probable some cells are: that, or what has whole rows alone."""
        return self.queries if self.has_questions else self.rows.queries

    @cached_property
    def whole_rows(self) -> Questions:
        """What draws whole rows to tell how probable ranges are."""
        if isinstance(self.joint, MADE) and self.joint.answers_all:
            return Queries(self.joint, of_whole_rows=True)
        return self.rows.queries

    @cached_property
    def conditions(self) -> Questions:
        """What tells how probable ranges are, unless whole rows are asked for.

        The network of questions, whose answers take fewer draws, unless it is far behind that of
        whole rows: some tables are much harder to learn for all questions at once.
        """
        is_far_behind = (self.network.behind or 0.0) > _MOST_BEHIND
        return self.rows.queries if is_far_behind else self.marginals

    def named(self, network: str) -> MADE | Ensemble:
        """Returns the network `"joint"` or `"questions"`.

        Raises:
            ValueError: if it is neither, or there is none of questions.
        """
        if network not in ("joint", "questions"):
            raise ValueError(
                f"`network` must be 'joint' or 'questions'. Received: network={network!r}"
            )
        return self.joint if network == "joint" else self.questions
