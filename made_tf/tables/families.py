"""For each variable of a table the family of conditionals that its column asks for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from made_tf import conditionals as families
from made_tf.portable.arrays import FloatArray
from made_tf.portable.schema import Column, Schema
from made_tf.portable.schema.classes import Classes
from made_tf.portable.schema.columns import MISSING
from made_tf.portable.schema.combined import Combined
from made_tf.portable.schema.facts import AtLeast
from made_tf.portable.schema.moments import Moments
from made_tf.portable.schema.numbers import Numbers

__all__ = ["families_of"]

_MANY_CLASSES = 100
_NUM_BINS = 256
_ROWS_OF_A_BIN = 5
_ROWS_OF_HATS = 750  # those of fewer rows are learned by heart
_ROWS_OF_SPIKES = 5000  # of a table, for hats on all quantiles of columns with spikes


def families_of(
    schema: Schema, x: FloatArray, moments: npt.NDArray[np.float64] | None = None
) -> families.Mixed:
    """Returns the family of a table's variables, found in the rows to learn from.

    Args:
        schema: of the table.
        x: rows `[N, D]`, as the schema encodes them; or each variable on its own, as `Survey` has
            them.
        moments: mean and standard deviation of the numbers of each variable, `[D, 2]`, where x does
            not tell them.
    """
    found: list[families.Conditionals] = []
    for column in schema.columns:
        own = x[:, schema.place(column.name)]
        found.extend(_of_column(column, own))
    if moments is not None:
        found = [_spread(each, *own) for each, own in zip(found, moments.tolist(), strict=True)]
    return families.Mixed(found).bind(len(found))


def _of_column(column: Column, x: npt.NDArray) -> Iterator[families.Conditionals]:
    if isinstance(column, Classes):
        yield _of_classes(column, x[:, 0])
    elif isinstance(column, Combined) and column.variables:
        yield _unordered(column.num_classes)
    elif isinstance(column, Moments):
        for values, part in zip(x.T, column.parts, strict=True):
            yield _of_numbers(*column.family_of(part), values, [], column.missing)
    elif isinstance(column, AtLeast):
        yield from _of_column(column.difference, x)
    elif isinstance(column, Numbers):
        yield _of_numbers(
            column.family, column.largest_code, x[:, 0], column.points, column.missing
        )


def _of_classes(column: Classes, values: npt.NDArray) -> families.Conditionals:
    count = column.num_classes
    if column.ordered:
        given = values[values != MISSING].astype(np.int64)
        family = families.Ordinal(count, counts=[np.bincount(given, minlength=count).tolist()])
        return families.Inflated(family, [MISSING]) if column.missing else family
    return _unordered(count)


def _unordered(count: int) -> families.Conditionals:
    if count == 2:
        return families.Bernoulli(tells_unknown=True)
    many = count > _MANY_CLASSES
    return families.Embedded(count) if many else families.Categorical(max(2, count))


def _of_numbers(
    name: str, largest_code: int, values: npt.NDArray, points: list[float], missing: bool
) -> families.Conditionals:
    points = [*points, *([MISSING] if missing else [])]
    is_point = np.isin(values, np.asarray(points, np.float32))
    given = values[~is_point][:, None]
    if not len(given):
        given = np.zeros((1, 1), np.float32)
    if name == "ordinal":
        codes = given[:, 0].astype(np.int64)
        counts = np.bincount(codes, minlength=max(1, largest_code) + 1)
        family: families.Conditionals = families.Ordinal(len(counts), counts=[counts.tolist()])
    elif name == "binned":
        bins = int(np.clip(len(given) // _ROWS_OF_A_BIN, 16, _NUM_BINS))
        # Where values recur, what follows from one need not follow from the next.
        hats = {"num_hats": None} if len(values) >= _ROWS_OF_SPIKES else {}
        family = families.Binned.from_data(given, num_bins=bins, **hats)
    else:
        family = families.FAMILIES[name].from_data(given)
    if len(given) < _ROWS_OF_HATS:
        family = _without_hats(family)
    return families.Inflated(family, points) if points else family


def _without_hats(family: families.Conditionals) -> families.Conditionals:
    """Returns a family whose network sees numbers alone, without hat functions."""
    config = family.get_config()
    if isinstance(family, families.Discretized):
        config["mixture"] = _without_hats(family.mixture)
    elif "num_hats" in config:
        config["num_hats"] = 0
    else:
        return family
    return type(family)(**config)


def _spread(family: families.Conditionals, loc: float, scale: float) -> families.Conditionals:
    """Returns a family that standardises what the network sees by these numbers."""
    config = family.get_config()
    if isinstance(family, families.Inflated):
        config["family"] = _spread(family.family, loc, scale)
    elif isinstance(family, families.Discretized):
        config["mixture"] = _spread(family.mixture, loc, scale)
    elif "data_scale" in config:
        config |= {"data_loc": [loc], "data_scale": [scale or 1.0]}
    else:
        return family
    return type(family)(**config).bind(1)
