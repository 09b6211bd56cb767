"""Checks of the rows that a user passes, with errors that say what is wrong where."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from made_tf.conditionals import Conditionals
from made_tf.conditionals.suggestions import hint
from made_tf.portable.rows import merged_by_float32, plain_array

__all__ = [
    "as_rows",
    "check_data",
    "check_partial_rows",
    "check_rows",
    "is_concrete",
    "is_stream",
    "is_target",
    "to_numpy",
]

_CHUNK = 8192  # rows checked at once, so that memory stays bounded


def check_rows(name: str, x, conditionals: Conditionals, may_be_empty: bool = False) -> None:
    """Raises unless `x` is `[rows, D]` with values in the support.

    Args:
        name: the argument's name, for the message.
        x: an array, a nested list or a tensor. Of a symbolic tensor only the
            shape is checked.
        conditionals: the family of the columns, whose support counts.
        may_be_empty: whether there may be no rows.

    Raises:
        ValueError: if the rank, the width, the number of rows, the dtype or a
            value is wrong.

    Warns:
        UserWarning: if float32, in which models compute, cannot tell values of a column apart.
    """
    event_size = conditionals.event_size
    symbolic = keras.ops.is_tensor(x) and not is_concrete(x)
    if not symbolic:
        x = to_numpy(name, x)
    if len(x.shape) != 2 or x.shape[-1] != event_size:
        raise ValueError(
            f"`{name}` must have the shape [rows, {event_size}]. "
            f"Received: {name}.shape={tuple(x.shape)}"
        )
    if symbolic:
        return
    if len(x) == 0 and not may_be_empty:
        raise ValueError(f"`{name}` must have at least one row. Received: {name}.shape={x.shape}")
    for start in range(0, len(x), _CHUNK):
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
            chunk = x[start : start + _CHUNK].astype(np.float32)
        wrong = ~keras.ops.convert_to_numpy(conditionals.in_support(chunk))
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            value = f"{name}[{start + row}, {column}]={x[start + row, column]}"
            refusal = conditionals.refusal(f"`{name}`", column, value)
            raise ValueError(f"{refusal}{hint(x[:, column])}")
    merged = merged_by_float32(x)
    if merged is not None:
        column, distinct, left = merged
        warnings.warn(
            f"`{name}` has values in column {column} that float32 cannot tell apart: {distinct} "
            f"different ones become {left}. Subtract an offset, or count in larger units, first.",
            stacklevel=3,
        )


def check_partial_rows(name: str, x, conditionals: Conditionals) -> tuple[np.ndarray, np.ndarray]:
    """Checks rows of which some values are missing, which NaN stands for.

    Returns:
        The values, float32 `[N, D]` with 0 where they are missing, and where
        they are known, boolean `[N, D]`.

    Raises:
        ValueError: as `check_rows`, of the values that are not NaN.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        x = np.array(to_numpy(name, x), np.float32)
    known = ~np.isnan(x)
    x[~known] = 0.0
    check_rows(name, x, conditionals, may_be_empty=True)
    return x, known


def check_data(
    name: str, x, conditionals: Conditionals, check: Callable[[str, Any], None] | None = None
) -> None:
    """Checks what `fit`, `evaluate` and `predict` accept.

    Arrays are checked whole. Of a `tf.data.Dataset`, a `PyDataset` or a
    `DataLoader` the first batch is, since reading all of it may be costly; a
    generator cannot be looked into without losing what it yields.

    Args:
        name: the argument's name, for the message.
        x: what was given.
        conditionals: the family of the columns, whose support counts.
        check: what checks inputs of a name, where these are more than rows.

    Raises:
        ValueError: as `check_rows`, if `x` is `None`, or if its batches hold
            targets.
    """
    if x is None:
        raise ValueError(
            f"`{name}` must be rows of shape [rows, {conditionals.event_size}]. Received: None"
        )
    if check is None:

        def check(name, rows):
            check_rows(name, rows, conditionals)

    if isinstance(x, keras.utils.PyDataset):
        if x.num_batches == 0:
            raise ValueError(f"`{name}` must have at least one batch. Received: an empty PyDataset")
        first = x[0]
    elif hasattr(x, "element_spec") or type(x).__name__ == "DataLoader":
        batches = list(itertools.islice(iter(x), 1))
        if not batches:
            raise ValueError(f"`{name}` must have at least one batch. Received: an empty dataset")
        first = batches[0]
    elif is_stream(x):
        return
    else:
        check(name, x)
        return
    inputs = first
    if isinstance(first, tuple | list):
        inputs = first[0]
        if len(first) > 1 and is_target(first[1]):
            raise ValueError(
                f"MADE has no targets: `{name}` must give rows alone, not pairs, or of a model "
                "with a context ((x, context),)."
            )
    check(f"{name} (first batch)", inputs)


def is_stream(x) -> bool:
    """Returns whether rows come in batches, one after the other."""
    return (
        isinstance(x, keras.utils.PyDataset)
        or hasattr(x, "element_spec")
        or type(x).__name__ == "DataLoader"
        or hasattr(x, "__next__")
    )


def as_rows(name: str, x):
    """Returns what Keras may take for rows: a plain array, unless `x` is a tensor or a stream.

    Raises:
        ValueError: if a value is no number.
    """
    if x is None or is_stream(x) or keras.ops.is_tensor(x):
        return x
    return to_numpy(name, x)


def is_target(y) -> bool:
    """Returns whether `y` holds targets: `None` does not, nor an array `[rows, 0]`."""
    return y is not None and tuple(np.shape(y) if isinstance(y, list) else y.shape)[1:] != (0,)


def is_concrete(x) -> bool:
    """Returns whether the values of an array or a tensor are known."""
    try:
        np.asarray(x)
    except Exception:  # noqa: BLE001 - each backend has its own error for a symbolic tensor
        return False
    return True


def to_numpy(name: str, x) -> np.ndarray:
    """Returns rows of any kind as a numeric array, see `made_tf.portable.rows`."""
    return keras.ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else plain_array(name, x)
