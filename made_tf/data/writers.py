"""Rows out: to `.npz` and `.csv`, whole or not at all."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from made_tf.data.npz import default_columns
from made_tf.portable.arrays import shortest_decimals
from made_tf.portable.files import PathLike, replacing

__all__ = ["save_history", "save_rows", "save_stream"]


def save_rows(
    path: PathLike,
    x: npt.ArrayLike,
    columns: Sequence[str] | None = None,
    array: str = "x",
) -> None:
    """Writes rows to `.npz` or `.csv`.

    Args:
        path: the file to write; replaced as a whole or left as it was.
        x: values `[rows, D]`.
        columns: D names for the `.csv`; `x0`, `x1`, ... by default.
        array: the array's name in the `.npz`.

    Raises:
        OSError: if the file cannot be written.
        ValueError: if the format is unknown. (Pictures are drawn by
            `made_tf.plotting.save_images`.)
    """
    x = np.asarray(x, np.float32)
    save_stream(path, [x], x.shape, columns, array)


def save_stream(
    path: PathLike,
    batches: Iterable[npt.NDArray[np.float32]],
    shape: tuple[int, ...],
    columns: Sequence[str] | None = None,
    array: str = "x",
) -> None:
    """Writes rows to `.npz` or `.csv` as they come, in bounded memory.

    Args:
        path: the file to write; replaced as a whole or left as it was.
        batches: values `[some rows, D]`, batch after batch.
        shape: of all together, `(rows, D)`.
        columns: D names for the `.csv`; `x0`, `x1`, ... by default.
        array: the array's name in the `.npz`.

    Raises:
        OSError: if the file cannot be written.
        ValueError: if the format is unknown, or the batches have another shape
            together.
    """
    path = Path(path)
    shape = tuple(int(size) for size in shape)
    if path.suffix == ".npz":
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        with (
            replacing(path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open(f"{array}.npy", "w", force_zip64=True) as member,
        ):
            np.lib.format.write_array_header_1_0(member, header)
            for batch in _counted(batches, shape):
                member.write(np.ascontiguousarray(batch, "<f4").tobytes())
    elif path.suffix == ".csv":
        with replacing(path) as temporary, open(temporary, "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(columns or default_columns(shape[1]))
            for batch in _counted(batches, shape):
                np.savetxt(file, shortest_decimals(batch), fmt="%.9g", delimiter=",")
    else:
        pictures = " Pictures are drawn by made_tf.plotting.save_images." * (path.suffix == ".png")
        raise ValueError(
            f"`path` must end in .npz or .csv. Received: path={str(path)!r}.{pictures}"
        )


def _counted(batches: Iterable[npt.NDArray], shape: tuple[int, ...]) -> Iterator[npt.NDArray]:
    """Yields the batches; raises where they are not of that shape together."""
    received = 0
    for batch in batches:
        received += len(batch)
        if batch.shape[1:] != shape[1:] or received > shape[0]:
            raise ValueError(f"`batches` must be rows of {shape}. Received: {batch.shape} or more")
        yield batch
    if received != shape[0]:
        raise ValueError(f"`batches` must have {shape[0]} rows in all. Received: {received}")


def save_history(path: PathLike, history: Sequence[Mapping[str, float]]) -> None:
    """Writes one row of metrics for each epoch to a `.csv`.

    Args:
        path: the file to write; replaced as a whole or left as it was.
        history: rows with the same names.

    Raises:
        OSError: if the file cannot be written.
    """
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]) if history else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
