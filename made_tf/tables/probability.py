"""How probable conditions on the columns of a table are, with error bars."""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from made_tf.conditionals.regions import Region
from made_tf.queries.estimate import Estimate
from made_tf.queries.questions import Questions
from made_tf.tables.boxes import Boxes
from made_tf.tables.conditions import AllOf, Condition, Test, parse
from made_tf.tables.fitted import Fitted

__all__ = ["Probability", "probability"]

_MOST_TERMS = 4096  # of one condition
_FEW = 3  # variables, of which single passes know most (RESULTS.md, "Conditions in SQL")
_MISSING_CELLS = ("nan", "NaT", "<NA>")  # as texts


@dataclasses.dataclass(frozen=True)
class Probability:
    """The probability of one condition, or of several as arrays.

    Attributes:
        probability: of a row to meet the condition.
        standard_error: of this number as an estimate of what the model says: 0 where it is exact.
            How far the model is from the data it does not tell, nor how far it is from another way
            to compute the same (`made_tf.models.paths.path_spread`).
        num_rows: how many rows the table had that the model has seen.
    """

    probability: Any
    standard_error: Any
    num_rows: int

    @property
    def count(self) -> Any:
        """How many rows of such a table meet the condition."""
        return self.probability * self.num_rows


def probability(
    fitted: Fitted,
    where: Any,
    given: Any,
    num_samples: int,
    seed: int,
    tolerance: float,
    of_whole_rows: bool | None,
) -> Probability:
    """Returns what `TableModel.probability` does."""
    if not isinstance(of_whole_rows, bool | None):
        raise ValueError(
            f"`of_whole_rows` must be True, False or None. Received: {of_whole_rows!r}"
        )
    several = not isinstance(where, str)
    if several and not isinstance(where, Sequence):
        raise ValueError(f"`where` must be a condition or a list of such. Received: {where!r}")
    conditions = [parse("where", text) for text in (where if several else [where])]
    boxes = Boxes(fitted.schema, fitted.joint, "where")  # all networks have the same variables
    asked = [boxes.of(condition) for condition in conditions]
    known = None
    if given is not None:
        known = Boxes(fitted.schema, fitted.joint, "given").of(_given(given))
    found, error = np.zeros((2, len(conditions)))
    for queries, own in _by_network(fitted, boxes, asked, known or [], of_whole_rows):
        unions = [asked[number] for number in own]
        if known is not None:
            unions = [[box for part in one for box in boxes.met(part, known)] for one in unions]
            unions.append(known)
        each, errors = _of_unions(queries, boxes, unions, num_samples, seed, tolerance)
        if known is not None:
            each, errors = _ratios(each, errors, given)
        found[own], error[own] = np.clip(each, 0.0, 1.0), errors
    num_rows = fitted.schema.num_rows
    if several:
        return Probability(found, error, num_rows)
    return Probability(float(found[0]), float(error[0]), num_rows)


def _by_network(
    fitted: Fitted,
    boxes: Boxes,
    asked: list[list[Region]],
    known: list[Region],
    of_whole_rows: bool | None,
) -> list[tuple[Questions, list[int]]]:
    """Returns what answers conditions, and the numbers of those that it answers.

    How many variables a question restricts decides, and a negation restricts the same: what should
    add up to 1 does. What holds anyway, or follows from another column, is none more.
    """
    numbers = list(range(len(asked)))
    if of_whole_rows is not None:
        return [(fitted.whole_rows if of_whole_rows else fitted.conditions, numbers)]
    whole = [int(boxes.restricted([*one, *known]).sum()) > _FEW for one in asked]
    few = [number for number in numbers if not whole[number]]
    many = [number for number in numbers if whole[number]]
    parts = [(fitted.conditions, few)] if few or not many else []
    return [*parts, (fitted.whole_rows, many)] if many else parts


def _ratios(shares: Any, errors: Any, given: Any) -> tuple[Any, Any]:
    """Returns the shares but the last one, as parts of that, and their standard errors."""
    *found, below = shares
    *error, below_error = errors
    if below <= 0:
        raise ValueError(
            f"`given` must be possible. Received: {given!r}, which the model gives the "
            "probability 0"
        )
    ratio = np.array(found) / below
    # To first order, of two independent estimates.
    return ratio, np.hypot(np.array(error), ratio * below_error) / below


def _given(given: Any) -> Condition:
    """Returns a condition of a text, or of cells by the column's name."""
    if not isinstance(given, Mapping):
        return parse("given", given)
    tests = [
        Test(str(name), "is null") if cell is None else Test(str(name), "=", (cell,))
        for name, cell in ((name, _plain(cell)) for name, cell in given.items())
    ]
    return AllOf(tuple(tests))


def _plain(cell: Any) -> Any:
    """Returns a number, a truth value or a text; `None` for a missing cell of any library."""
    if isinstance(cell, np.generic) and not isinstance(cell, np.datetime64):  # ns would be integers
        cell = cell.item()
    if cell is None or (not isinstance(cell, str) and str(cell) in _MISSING_CELLS):
        return None
    if isinstance(cell, decimal.Decimal):
        return float(cell)
    return cell if isinstance(cell, bool | int | float) else str(cell)


def _of_unions(
    queries: Questions,
    boxes: Boxes,
    unions: list[list[Region]],
    num_samples: int,
    seed: int,
    tolerance: float,
) -> tuple[Any, Any]:
    """Returns the probabilities of unions of boxes, and their standard errors, `[N]` each."""
    terms = [_inclusion_and_exclusion(boxes, union) for union in unions]
    signs = np.array([sign for union in terms for sign, _ in union], np.float64)
    owners = np.repeat(np.arange(len(unions)), [len(union) for union in terms])
    if not len(signs):
        return np.zeros(len(unions)), np.zeros(len(unions))
    regions = [region for union in terms for _, region in union]
    whole = Region(*(np.concatenate(part) for part in zip(*regions, strict=True)))
    estimate: Estimate = queries.log_prob_within(
        whole, num_samples, seed, apart=True, tolerance=tolerance
    )
    each = np.exp(np.asarray(estimate.log_prob, np.float64))
    # Of a logarithm the error is relative.
    errors = each * np.where(each > 0, estimate.standard_error, 0.0)
    found = np.bincount(owners, signs * each, len(unions))
    return found, np.sqrt(np.bincount(owners, errors**2, len(unions)))


def _inclusion_and_exclusion(boxes: Boxes, union: list[Region]) -> list[tuple[int, Region]]:
    """Returns signed boxes whose probabilities add up to that of a union."""
    terms: list[tuple[int, Region]] = []
    for box in _largest(union):
        shared = [(-sign, common) for sign, term in terms for common in boxes.met(box, [term])]
        terms += [(1, box), *shared]
        if len(terms) > _MOST_TERMS:
            raise ValueError(
                "`where`, with `given`, has too many alternatives that overlap (OR): ask for less "
                "at once."
            )
    return terms


def _largest(union: list[Region]) -> list[Region]:
    """Returns the boxes that lie in no other one."""
    if len(union) < 2:
        return union
    allowed, low, high = (np.concatenate(part) for part in zip(*union, strict=True))
    nothing = low > high  # on the line
    low, high = np.where(nothing, np.inf, low), np.where(nothing, -np.inf, high)
    within = np.stack(  # [i, j]: whether i lies in j
        [
            (allowed[number] <= allowed).all(axis=(1, 2))
            & ((low[number] >= low) & (high[number] <= high)).all(axis=1)
            for number in range(len(union))
        ]
    )
    # Of equal boxes the first is left.
    is_dropped = (within & (~within.T | np.tri(len(union), k=-1, dtype=bool))).any(axis=1)
    return [box for box, dropped in zip(union, is_dropped, strict=True) if not dropped]
