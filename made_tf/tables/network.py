"""`TableNetwork`: what a table's model knows, as one Keras model and one file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import keras

from made_tf.data.table_schema import TableSchema
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE

__all__ = ["TableNetwork"]


@keras.saving.register_keras_serializable(package="made_tf")
class TableNetwork(keras.Model):
    """A schema and the networks over its variables.

    Called with rows `[N, D]` of the schema's numbers it gives their log-probabilities `[N]`.

    Args:
        schema: of the table; a `TableSchema`, or its JSON text.
        joint: the density of whole rows: of one network, or of several.
        questions: a model that answers all questions about the same variables, what is asked of
            some columns given others; `None` for none.
        spread: of each variable how far its numbers lie apart (`made_tf.tables.spread`); `None`
            where nobody knows.
        behind: how many nats a row of validation the network of questions is behind `joint`; `None`
            where nobody knows.
        **kwargs: `name`.
    """

    def __init__(
        self,
        schema: TableSchema | str,
        joint: MADE | Ensemble,
        questions: MADE | None = None,
        spread: Sequence[float] | None = None,
        behind: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)
        self.schema = (
            TableSchema.from_dict(json.loads(schema)) if isinstance(schema, str) else schema
        )
        self.joint = joint
        self.questions = questions
        self.spread = None if spread is None else [float(each) for each in spread]
        self.behind = None if behind is None else float(behind)
        self.built = True

    @property
    def members(self) -> list[MADE]:
        """The networks of whole rows, one or several."""
        return list(self.joint.members) if isinstance(self.joint, Ensemble) else [self.joint]

    def call(self, x, training=None):
        del training  # the networks are trained by themselves
        return self.joint.checked_log_prob(x)

    def get_config(self):
        own = {
            "name": self.name,
            "schema": json.dumps(self.schema.to_dict(), ensure_ascii=False),
            "joint": keras.saving.serialize_keras_object(self.joint),
        }
        if self.spread is not None:
            own["spread"] = list(self.spread)
        if self.behind is not None:
            own["behind"] = self.behind
        if self.questions is not None:
            own["questions"] = keras.saving.serialize_keras_object(self.questions)
        return own

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in {"joint", "questions"} & set(config):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
