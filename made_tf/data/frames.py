"""Frames of pandas, polars, pyarrow and others as `Cells`, and the same kind of frame back.

`narwhals` knows the libraries. What a cell is missing by (None, NaN, NA, NaT, null) makes no
difference here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from made_tf.data.frame_cells import read_series
from made_tf.data.frame_columns import arrow_column, narwhals_series, pandas_series
from made_tf.data.optional import optional_module
from made_tf.data.series import Series
from made_tf.portable.schema import Cells, Source

__all__ = ["Series", "frame_of", "library_of", "read_columns", "read_frame", "take_rows"]


def read_frame(name: str, frame: Any) -> dict[str, Series]:
    """Returns the columns of a frame, of a NumPy array (`x0`, `x1`, ...) or of a mapping of lists.

    Args:
        name: the argument's name, for messages.
        frame: the frame.

    Raises:
        ModuleNotFoundError: if `narwhals` is not installed.
        ValueError: if it is none, two columns have one name, or cells are of no kind that is known:
            a line for each column that cannot be read.
    """
    found, refused = read_columns(name, frame)
    if refused:
        lines = [f"column {each!r} {reason}" for each, reason in refused.items()]
        raise ValueError(f"`{name}` has columns that cannot be read:\n  " + "\n  ".join(lines))
    return found


def read_columns(name: str, frame: Any) -> tuple[dict[str, Series], dict[str, str]]:
    """Returns the columns of a frame that can be read, and why others cannot.

    Args:
        name: the argument's name, for messages.
        frame: as of `read_frame`.

    Raises:
        ModuleNotFoundError: if `narwhals` is not installed.
        ValueError: if it is none, or two columns have one name.
    """
    table = _opened(name, _as_frame(name, frame))
    native, labels = table.to_native(), table.columns
    is_pandas = table.implementation.is_pandas()
    if is_pandas:
        labels = [_checked_label(name, label) for label in native.columns]
    names = [str(label) for label in labels]
    if len(set(names)) < len(names):
        twice = sorted({each for each in names if names.count(each) > 1})
        raise ValueError(f"`{name}` must have columns of different names. Received twice: {twice}")
    if is_pandas:
        table = _opened(name, native.set_axis(names, axis=1))
    found, refused = {}, {}
    for place, (own, label) in enumerate(zip(names, labels, strict=True)):
        is_arrow = table.implementation.is_pyarrow()
        nullable = not is_arrow or native.schema.field(place).nullable
        try:
            found[own] = read_series(table[own], nullable)
        except ValueError as error:
            refused[own] = str(error)
        else:
            found[own].source.label = None if isinstance(label, str) else label
    return found, refused


def _checked_label(name: str, label: Any) -> Any:
    """Returns the name of a column of pandas, with plain parts where it has several.

    Raises:
        ValueError: if it is another object.
    """
    if isinstance(label, tuple):
        return tuple(_checked_label(name, part) for part in label)
    label = label.item() if isinstance(label, np.generic) else label
    if not isinstance(label, str | int) or isinstance(label, bool):
        raise ValueError(
            f"`{name}` must have columns whose names are texts or whole numbers. Received: "
            f"{label!r}, a {type(label).__name__}"
        )
    return label


def _as_frame(name: str, frame: Any) -> Any:
    """Returns arrays and mappings as frames of pandas, others as they are.

    Raises:
        ValueError: if the lists of a mapping are not as long as each other.
    """
    if isinstance(frame, np.ndarray) and frame.ndim == 2:
        frame = {f"x{number}": column for number, column in enumerate(frame.T)}
    if not isinstance(frame, Mapping):
        return frame
    pandas = optional_module("pandas", "pandas", "tables")
    try:
        return pandas.DataFrame(dict(frame))
    except ValueError as error:
        lengths = {k: len(v) if hasattr(v, "__len__") else type(v) for k, v in frame.items()}
        raise ValueError(
            f"`{name}` must map names to lists of one length. Received lengths: {lengths}"
        ) from error


def _opened(name: str, frame: Any) -> Any:
    """Returns a frame of narwhals.

    Raises:
        ModuleNotFoundError: if `narwhals` is not installed.
        ValueError: if it is no frame, or two columns have one name.
    """
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    try:
        return narwhals.from_native(frame, eager_only=True)
    except TypeError as error:
        raise ValueError(
            f"`{name}` must be a data frame (pandas, polars, pyarrow or another that narwhals "
            f"knows) in memory. Received: {type(frame).__name__}"
        ) from error
    except narwhals.exceptions.DuplicateError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"`{name}` must have columns of different names. {reason}") from error


def library_of(frame: Any) -> str:
    """Returns whose frame it is; pandas for what is no frame."""
    if isinstance(frame, np.ndarray | Mapping):
        return "pandas"
    return str(_opened("frame", frame).implementation.value)


def take_rows(frame: Any, rows: np.ndarray) -> Any:
    """Returns some rows of a frame, in that order, as the same kind of frame."""
    if isinstance(frame, np.ndarray):
        return frame[rows]
    frame = _as_frame("frame", frame)
    if hasattr(frame, "iloc"):
        return frame.iloc[rows]
    return _opened("frame", frame)[rows.tolist()].to_native()


def frame_of(
    table: Mapping[str, Cells],
    sources: Mapping[str, Source],
    library: str,
    index: Any = None,
) -> Any:
    """Returns cells as a frame of a library.

    Args:
        table: the cells of each column.
        sources: what each column was in that library.
        library: whose frame it is to be.
        index: of a frame of pandas.
    """
    if library == "pandas":
        pandas = optional_module("pandas", "pandas", "tables")
        columns = {name: pandas_series(cells, sources[name]) for name, cells in table.items()}
        frame = pandas.DataFrame(columns)
        labels = [_label_of(name, sources[name].label) for name in table]
        frame.columns = pandas.Index(labels) if labels else frame.columns
        if index is not None:
            frame.index = index
        return frame
    if library == "pyarrow":
        pyarrow = optional_module("pyarrow", "pyarrow", "tables")
        fields, arrays = [], []
        for name, cells in table.items():
            own = arrow_column(cells, sources[name])
            arrays.append(own)
            nullable = not sources[name].dtype.endswith(" not null")
            fields.append(pyarrow.field(name, own.type, nullable))
        return pyarrow.table(arrays, schema=pyarrow.schema(fields))
    narwhals = optional_module("narwhals.stable.v2", "narwhals", "tables")
    parts = [
        narwhals_series(name, cells, sources[name], library).to_frame()
        for name, cells in table.items()
    ]
    return narwhals.concat(parts, how="horizontal").to_native()


def _label_of(name: str, label: Any) -> Any:
    if label is None:
        return name
    return tuple(label) if isinstance(label, list | tuple) else label
