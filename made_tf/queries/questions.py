"""What can be asked about any subset of the variables: arguments checked, then answered."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import numpy.typing as npt

from made_tf.conditionals.regions import Region
from made_tf.conditionals.row_checks import check_partial_rows
from made_tf.models.density_model import DensityModel
from made_tf.portable.arrays import BoolArray, FloatArray, Rows
from made_tf.portable.seeds import checked_seed
from made_tf.queries.estimate import Estimate
from made_tf.queries.value_sets import Values, written_down

__all__ = ["Questions"]


class Questions(abc.ABC):
    """Questions about any subset of a model's variables; how they are answered is left open.

    NaN stands for what is not known, or not asked for. Of a model with a context, answers need the
    rows' encoded context (the model's `encode_context`), `vectors`.

    Attributes:
        model: the model; its weights are read at each call.
    """

    model: DensityModel

    def log_marginal(self, x: npt.ArrayLike, seed: int = 0, vectors: Any = None) -> Estimate:
        """Returns log p of the values that are not NaN, `[N, D]` -> `[N]`."""
        nothing = np.full(np.shape(x), np.nan, np.float32)
        return self.conditional_log_prob(x, nothing, seed, vectors)

    def conditional_log_prob(
        self, x: npt.ArrayLike, evidence: npt.ArrayLike, seed: int = 0, vectors: Any = None
    ) -> Estimate:
        """Returns log p(x_A | x_B), x_A and x_B being what is not NaN: `[N, D]` twice -> `[N]`."""
        x, asked = self.partial_rows("x", x)
        values, known = self.partial_rows("evidence", evidence)
        seed = checked_seed(seed)
        if x.shape != values.shape:
            raise ValueError(
                "`x` and `evidence` must have equal shapes. Received: "
                f"x.shape={x.shape}, evidence.shape={values.shape}"
            )
        if (asked & known).any():
            row, column = np.argwhere(asked & known)[0]
            raise ValueError(
                "`x` must be NaN where `evidence` is known. Received: values in both of row "
                f"{row}, variable {column}"
            )
        return self.score_rows(np.where(known, values, x), known, asked, seed, vectors=vectors)

    def sample_conditional(
        self,
        evidence: npt.ArrayLike,
        num_samples: int = 1,
        seed: int = 0,
        first_row: int | Rows = 0,
        vectors: Any = None,
    ) -> FloatArray:
        """Draws whole rows that agree with the evidence: `[N, D]` -> `[num_samples, N, D]`.

        Args:
            evidence: NaN where nothing is known.
            num_samples: how many rows each evidence gets.
            seed: a 32-bit integer.
            first_row: the number of the first row, from which on they are
                drawn, so that pieces of a table get what the whole would; or
                the number of each row, `[N]`.
            vectors: the rows' encoded context, `[N, W]`; `None` for a model without one.
        """
        values, known = self.partial_rows("evidence", evidence)
        return self.draw_rows(values, known, num_samples, seed, first_row, vectors, stacklevel=4)

    def log_prob_in(
        self,
        allowed: npt.ArrayLike | Values,
        num_samples: int = 1000,
        seed: int = 0,
        vectors: Any = None,
        tolerance: float = 0.0,
    ) -> Estimate:
        """Estimates the log of P(x_k in its region, for all k) by progressive sampling.

        Each variable is drawn from its conditional within its region, and the
        product of P(region | x_<k) along the way is the draw's weight.

        Args:
            allowed: a list of N mappings, as `MADEDistribution.log_prob_in`
                takes. Or, where all variables have classes, `[N, D, K]`, 1 for
                the values 0..K-1 that a query allows and 0 for the others; K is
                the largest number of states.
            num_samples: how many draws each query gets, at least 2.
            seed: a 32-bit integer.
            vectors: the encoded context of each query, `[N, W]`; `None` for a model without one.
            tolerance: the standard error that is enough, as `MADEDistribution.log_prob_in` has it.

        Returns:
            An `Estimate`, `[N]`.

        References:
            Yang et al. 2019, Deep Unsupervised Cardinality Estimation,
            arXiv:1905.04278, section 5.1.
        """
        regions = written_down(self.model, allowed)
        return self.log_prob_within(regions, num_samples, seed, vectors, tolerance=tolerance)

    def partial_rows(self, name: str, x: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
        """Returns values `[N, D]`, 0 where they are NaN, and where they are not."""
        return check_partial_rows(name, x, self.model.conditionals)

    # The answers, of what was checked before.

    @abc.abstractmethod
    def score_rows(
        self,
        values: FloatArray,
        known: BoolArray,
        asked: BoolArray,
        seed: int = 0,
        first_row: int | Rows = 0,
        vectors: Any = None,
    ) -> Estimate:
        """Returns log p of what is asked given what is known, of values `[N, D]`: `[N]`.

        Args:
            values: anything finite where nothing is asked or known.
            known: where something is.
            asked: where something is asked, and nothing known.
            seed: a 32-bit integer.
            first_row: the number of the first row, by which estimates draw; or that of each.
            vectors: as of `sample_conditional`.
        """

    @abc.abstractmethod
    def draw_rows(
        self,
        values: FloatArray,
        known: BoolArray,
        num_samples: int = 1,
        seed: int = 0,
        first_row: int | Rows = 0,
        vectors: Any = None,
        stacklevel: int = 3,
    ) -> FloatArray:
        """Returns what `sample_conditional` does, of values that were checked before, `[N, D]`.

        Args:
            values: anything finite where nothing is known.
            known: where something is.
            num_samples: as of `sample_conditional`, like the others.
            seed: likewise.
            first_row: likewise.
            vectors: likewise.
            stacklevel: of the warning.
        """

    @abc.abstractmethod
    def log_prob_within(
        self,
        regions: Region,
        num_samples: int,
        seed: int,
        vectors: Any = None,
        apart: bool = False,
        tolerance: float = 0.0,
    ) -> Estimate:
        """Returns what `log_prob_in` does, of N regions; `apart` gives each draws of its own."""
