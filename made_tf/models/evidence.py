"""Models that read evidence: p(x_k | x_E, x_<k) for whatever variables E are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from made_tf.networks.assembly import Assembly
from made_tf.networks.evidence_encoder import EvidenceEncoder
from made_tf.networks.kernel_mask import masked

__all__ = ["ReadsEvidence"]


class ReadsEvidence:
    """What a `MADE` of `evidence_units` has beside its density of whole rows."""

    settings: Any
    conditionals: Any
    mask_sets: Any
    mask_step: Any
    _assembly: Assembly
    row_log_prob: Callable[..., Any]

    @property
    def reads_evidence(self) -> bool:
        """Whether evidence reaches all units from the side (`evidence_units`)."""
        return bool(self.settings.evidence_units)

    @property
    def answers_all(self) -> bool:
        """Whether p(asked | known) is exact for all sets of variables, by whichever way."""
        return self.reads_evidence or self.mask_sets.any_order

    def parameters_given(self, x, known, visible=None, training=False):
        """Returns the parameters of all variables' conditionals given some of them: `[N, P]`.

        Those of variable k are of p(x_k | what is known, what is visible before k in the model's
        order); of known variables they mean nothing.

        Args:
            x: values `[N, D]`; anything finite of what is not visible.
            known: 1 for what is known, float32 `[N, D]`.
            visible: 1 for what is known and for what is asked for, float32 `[N, D]`; `None` for
                all variables.
            training: whether to drop units.
        """
        features = self.conditionals.encode(ops.cast(x, "float32"))
        vectors = self._encoder().vector(features, known, training)
        if visible is not None:
            features = masked(self.conditionals.layout.features.repeat(visible) > 0, features)
        return self._assembly.parameters(features, training, None, vectors)

    def log_prob_given(self, x, known, asked):
        """Returns log p(asked | known) of each row, in nats: `[N]`.

        Args:
            x: values `[N, D]`; anything finite of what is neither known nor asked.
            known: 1 for what is known, float32 `[N, D]`, or `[1, D]` for all rows.
            asked: 1 for what is asked for, and is not known, likewise.
        """
        known, asked = (ops.broadcast_to(flags, ops.shape(x)) for flags in (known, asked))
        params = self.parameters_given(x, known, ops.maximum(known, asked))
        return ops.sum(ops.where(asked > 0, self.conditionals.log_prob(params, x), 0.0), axis=-1)

    def evidence_vectors(self, x, known):
        """Returns what the units see of known values: `[N, D]`, `[N, D]` -> `[N, W]`."""
        features = self.conditionals.encode(ops.cast(x, "float32"))
        return self._encoder().vector(features, known)

    def nothing_known(self):
        """Returns what they see where nothing is known: `[1, W]`; `None` without evidence."""
        return self._encoder().nothing() if self.reads_evidence else None

    def _encoder(self) -> EvidenceEncoder:
        encoder = self._assembly.evidence
        if encoder is None:
            raise ValueError(
                "The model must have `evidence_units`, to read what is known of a row from the "
                "side. Received: evidence_units=None"
            )
        return encoder

    def _parameters_of_step(self, x):
        """Returns the parameters `[N, P]` for the parts of each row that a step trains."""
        known, visible = self.mask_sets.parts_at_step(self.mask_step + 0, ops.shape(x)[0])
        self.mask_step.assign_add(1)
        return self.parameters_given(x, known, visible, training=True)

    def _log_prob_of_step(self, x, params):
        """Returns log p(unknown | known) of each row for the step that has just been: `[N]`."""
        known, _ = self.mask_sets.parts_at_step(self.mask_step - 1, ops.shape(x)[0])
        return self.row_log_prob(x, params, known)
