"""Tables in and out: npz, csv, parquet, and the digits that scikit-learn ships.

Rows are float32 arrays `[rows, D]`. Every file is read without running
anything that it contains (no pickle) and written whole or not at all.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from made_tf.files import PathLike, replacing

__all__ = [
    "Splits",
    "check_support",
    "load_digits",
    "load_rows",
    "load_splits",
    "load_table",
    "save_history",
    "save_rows",
    "save_stream",
]

FloatArray = npt.NDArray[np.float32]

#: A pixel of the digits (0..16) is 1 where it is at least this bright.
DIGITS_THRESHOLD = 8

#: More rows than this are not drawn into one picture.
MAX_PICTURES = 1024

# What pandas, pyarrow and the csv module raise for a truncated or foreign file.
_DAMAGED = (EOFError, MemoryError, NotImplementedError, OSError, ValueError, csv.Error)

# Fields beside numbers that a line of data may have, in lower case.
_NO_NAMES = frozenset({"", "true", "false", "na", "n/a", "null", "none"})


class Splits(NamedTuple):
    """Rows for training, validation and testing.

    Attributes:
        train: float32 `[rows, D]`.
        valid: float32 `[rows, D]`.
        test: float32 `[rows, D]`, of no rows where the file has none.
        columns: D names.
    """

    train: FloatArray
    valid: FloatArray
    test: FloatArray
    columns: list[str]


def load_digits(seed: int = 0) -> Splits:
    """Returns the 1797 handwritten digits of scikit-learn, 8x8 pixels, binarized.

    A pixel is 1 where its brightness (0..16) is at least `DIGITS_THRESHOLD`.

    Args:
        seed: seed of the shuffle before the split.

    Returns:
        `Splits` of 1257, 180 and 360 rows, D = 64.

    Raises:
        ModuleNotFoundError: if scikit-learn is not installed.
    """
    images = _needs("sklearn.datasets", "scikit-learn", "demo").load_digits().data
    x = (images >= DIGITS_THRESHOLD).astype(np.float32)
    x = x[np.random.default_rng(seed).permutation(len(x))]
    train, valid, test = np.split(x, [1257, 1437])
    columns = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    return Splits(train, valid, test, columns)


def load_table(
    path: PathLike, array: str | None = None, allow_missing: bool = False
) -> tuple[FloatArray, list[str]]:
    """Reads one table of numbers.

    - `.npz`: the array of the given name, or the only one.
    - `.csv`: comma-separated; the first line that is not blank holds the column
      names unless each of its fields is a number, empty, true or false.
    - `.parquet`, with its index where that has a name.

    Args:
        path: the file.
        array: the array's name in an `.npz` that holds several.
        allow_missing: whether values may be missing: NaN, or in a table an
            empty field, which become NaN. (A `.csv` must have all its commas,
            and `nan` in a line that would otherwise be blank.)

    Returns:
        Float32 values `[rows, D]` and D column names.

    Raises:
        FileNotFoundError: if there is no such file.
        ModuleNotFoundError: if the reader of this format is not installed.
        ValueError: if the file cannot be read, has no rows, or holds anything
            but finite numbers (and missing values, where these are allowed).
    """
    path = _existing(path)
    if path.suffix == ".npz":
        x = _npz_array(path, _read_npz(path), array, allow_missing)
        return x, _names(x.shape[1])
    if array is not None:
        raise ValueError(
            "`array` (on the command line --array, of evaluate --split) is for .npz files only. "
            f"Received: array={array!r} for {path}"
        )
    return _read_frame(path, allow_missing)


def load_rows(path: PathLike, array: str | None = None) -> FloatArray:
    """Reads rows to score: as `load_table`, but of several arrays `test` is the default.

    Returns:
        Float32 values `[rows, D]`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as `load_table`.
    """
    path = _existing(path)
    if path.suffix == ".npz" and array is None:
        arrays = _read_npz(path)
        return _npz_array(path, arrays, "test" if "test" in arrays else None)
    return load_table(path, array)[0]


def load_splits(
    path: PathLike,
    validation_fraction: float = 0.1,
    seed: int = 0,
    array: str | None = None,
    conditionals: str | None = None,
) -> Splits:
    """Reads rows for training and validation, and test rows where there are some.

    An `.npz` with the arrays `train`, `valid` and `test` gives these; where
    `valid` is missing, it is split off `train`. Any other table is split into
    training and validation rows.

    Args:
        path: an `.npz`, `.csv` or `.parquet` file, see `load_table`.
        validation_fraction: the part of the rows that is set aside, in (0, 1).
        seed: seed of the shuffle before the split.
        array: the one array of an `.npz` to split, in place of its own splits.
        conditionals: if given, the name of the family whose support all rows
            must lie in.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as `load_table`; if the arrays differ in width; if a value
            lies outside the support; or if too few rows are left on one side.
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(
            "`validation_fraction` must lie between 0 and 1. "
            f"Received: validation_fraction={validation_fraction}"
        )
    path = _existing(path)
    parts = _npz_splits(path) if path.suffix == ".npz" and array is None else {}
    if parts:
        x, columns = parts["train"], _names(parts["train"].shape[1])
    else:
        x, columns = load_table(path, array)
    if conditionals is not None:
        from made_tf.conditionals import FAMILIES

        for name, part in parts.items() if parts else [(array, x)]:
            check_support(path, part, columns, FAMILIES[conditionals].from_data(part), name)
    test = parts.get("test", x[:0])
    if "valid" in parts:
        return Splits(x, parts["valid"], test, columns)
    held_out = round(len(x) * validation_fraction)
    if not 0 < held_out < len(x):
        raise ValueError(
            f"{path}: `validation_fraction`={validation_fraction} of {len(x)} row(s) leaves no "
            "rows for training or none for validation."
        )
    x = x[np.random.default_rng(seed).permutation(len(x))]
    return Splits(x[held_out:], x[:held_out], test, columns)


def save_rows(
    path: PathLike,
    x: npt.ArrayLike,
    columns: Sequence[str] | None = None,
    image_shape: tuple[int, int] | None = None,
    array: str = "x",
) -> None:
    """Writes rows to `.npz`, `.csv` or, as pictures, to `.png`.

    Args:
        path: the file to write; replaced as a whole or left as it was.
        x: values `[rows, D]`.
        columns: D names for the `.csv`; `x0`, `x1`, ... by default.
        image_shape: height and width of a row's picture, for `.png`.
        array: the array's name in the `.npz`.

    Raises:
        OSError: if the file cannot be written.
        ValueError: if the format is unknown, `image_shape` is missing, or there
            are more than `MAX_PICTURES` rows to draw.
    """
    path = Path(path)
    x = np.asarray(x, np.float32)
    if path.suffix != ".png":
        save_stream(path, [x], x.shape, columns, array)
        return
    from made_tf import plotting

    if image_shape is None:
        raise ValueError("`image_shape` must be given, such as 8x8, to draw rows as pictures.")
    if len(x) > MAX_PICTURES:
        raise ValueError(
            f"`x` must have at most {MAX_PICTURES} rows, to be drawn. Received: {len(x)} rows"
        )
    figure = plotting.plot_images({"samples": x}, image_shape, max_images=len(x))
    plotting.save(figure, path)


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
            csv.writer(file, lineterminator="\n").writerow(columns or _names(shape[1]))
            for batch in _counted(batches, shape):
                np.savetxt(file, _shortest(batch), fmt="%.9g", delimiter=",")
    else:
        raise ValueError(f"`path` must end in .npz or .csv. Received: path={str(path)!r}")


def _shortest(x: npt.NDArray) -> npt.NDArray[np.float64]:
    """Returns the shortest decimals that stand for float32 values: 0.1, not 0.100000001."""
    x = np.asarray(x, np.float32)
    shortest = x.astype(np.float64)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        magnitude = np.floor(np.log10(np.abs(shortest)))
        for digits in (8, 7, 6):
            scale = 10.0 ** (digits - 1 - magnitude)
            rounded = np.rint(x * scale) / scale
            shortest = np.where(rounded.astype(np.float32) == x, rounded, shortest)
    return shortest


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


def _existing(path: PathLike) -> Path:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No such file: {path}")
    if path.suffix not in (".npz", ".csv", ".parquet"):
        raise ValueError(f"`path` must end in .npz, .csv or .parquet. Received: path={str(path)!r}")
    return path


def _needs(module: str, package: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{package} is not installed: pip install 'made-tf[{extra}]'"
        ) from error


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("no zip archive")
        with np.load(path, allow_pickle=False) as file:
            # A member that is no array comes as bytes.
            return {name: value for name, value in file.items() if isinstance(value, np.ndarray)}
    except Exception as error:  # of a damaged file NumPy raises nearly anything
        raise _unreadable(path, error) from error


def _npz_splits(path: Path) -> dict[str, FloatArray]:
    arrays = _read_npz(path)
    if "train" not in arrays:
        return {}
    names = [name for name in ("train", "valid", "test") if name in arrays]
    parts: dict[str, FloatArray] = {name: _npz_array(path, arrays, name) for name in names}
    shapes = {name: part.shape for name, part in parts.items()}
    if len({width for _, width in shapes.values()}) > 1:
        raise ValueError(f"{path}: the splits must have equal widths. Received: {shapes}")
    return parts


def _npz_array(
    path: Path, arrays: dict[str, np.ndarray], name: str | None, allow_missing: bool = False
) -> FloatArray:
    if name is None and len(arrays) == 1:
        (name,) = arrays
    if name is None:
        raise ValueError(
            f"{path} must hold one array or the arrays train, valid and test, or one must be "
            "named (`array`; on the command line --array, of evaluate --split). It holds: "
            f"{sorted(arrays)}"
        )
    if name not in arrays:
        raise ValueError(f"{path} has no array {name!r}. It holds: {sorted(arrays)}")
    values = arrays[name]
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise ValueError(
            f"{path}: array {name!r} must be numeric, of shape [rows, columns]. "
            f"Received: shape {values.shape}, dtype {values.dtype}"
        )
    return _checked(path, values, _names(values.shape[1]), name, allow_missing)


def _read_frame(path: Path, allow_missing: bool = False) -> tuple[FloatArray, list[str]]:
    pandas = _needs("pandas", "pandas", "tables")
    has_names = True
    try:
        if path.suffix == ".parquet":
            _needs("pyarrow", "pyarrow", "tables")
            frame = pandas.read_parquet(path)
            if any(name is not None for name in frame.index.names):
                frame = frame.reset_index()
        else:
            has_names = _has_names(path)
            if allow_missing:
                _check_lines(path)
            header = 0 if has_names else None
            frame = pandas.read_csv(path, header=header, index_col=False, skipinitialspace=True)
    except _DAMAGED as error:
        raise _unreadable(path, error) from error
    columns = [str(name) for name in frame.columns] if has_names else _names(frame.shape[1])
    parts = [
        _numbers(path, frame.iloc[:, index], name)
        for index, name in enumerate(columns if len(frame) else ())
    ]
    values = np.stack(parts, axis=1) if parts else np.empty(frame.shape)
    return _checked(path, values, columns, allow_missing=allow_missing), columns


def _has_names(path: Path) -> bool:
    """Returns whether a csv has a line of names, which must be as long as the next line."""
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file, skipinitialspace=True)
        # As pandas does, blank lines are skipped.
        lines = ((reader.line_num, line) for line in reader if any(line) or len(line) > 1)
        (first_number, first), (number, line) = (next(lines, (0, [])) for _ in range(2))
    if all(_is_data(field) for field in first):
        return False
    if line and len(line) != len(first):
        raise ValueError(
            f"line {first_number} has {len(first)} field(s) and line {number} has {len(line)}. "
            "The first line must hold the column names, and commas must separate the fields."
        )
    return True


def _check_lines(path: Path) -> None:
    """Fails if a line of a csv is cut off: pandas would take its end for missing values."""
    expected = None
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file, skipinitialspace=True)
        for line in reader:
            if not any(line) and len(line) <= 1:  # blank
                continue
            expected = expected or len(line)
            if len(line) < expected:
                raise ValueError(
                    f"line {reader.line_num} has {len(line)} field(s), and the first has "
                    f"{expected}. A missing value must have its comma."
                )


def _is_data(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return field.strip().lower() in _NO_NAMES
    return True


def _numbers(path: Path, column: Any, name: str) -> np.ndarray:
    """Returns a column of a pandas frame as float64, what is missing as NaN."""
    if column.dtype == object:  # big integers, decimals, or true and false beside empty fields
        with contextlib.suppress(TypeError, ValueError):
            column = column.astype("float64")
    kind = getattr(column.dtype, "kind", "O")
    if kind not in "biuf":
        hint = " Commas must separate the fields." if set(name) & set(";\t|") else ""
        raise ValueError(
            f"{path}: column {name!r} is not numeric ({column.dtype}): only numeric columns are "
            f"supported. Drop it, or encode it as numbers.{hint}"
        )
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _checked(
    path: Path,
    values: np.ndarray,
    columns: list[str],
    array: str | None = None,
    allow_missing: bool = False,
) -> FloatArray:
    where = _where(path, array)
    if values.size == 0:
        raise ValueError(f"{where} must have rows and columns. Received: shape {values.shape}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite: told below
        x = values.astype(np.float32)
    right = np.isfinite(x) | (np.isnan(x) & allow_missing)
    _check(f"{where}: all values must be finite numbers", x, right, columns)
    return x


def check_support(
    path: PathLike, x: FloatArray, columns: Sequence[str], family: Any, array: str | None = None
) -> None:
    """Checks that the values of a table that are not NaN lie in a family's support.

    Args:
        path: the table's file, for the message.
        x: its values `[rows, D]`.
        columns: D names.
        family: a `made_tf.conditionals.Conditionals`.
        array: the array's name in an `.npz`.

    Raises:
        ValueError: if one does not, naming its row and column.
    """
    missing = np.isnan(x)
    right = missing | np.asarray(family.in_support(np.where(missing, np.float32(0), x)))
    message = f"{_where(path, array)} must contain, for {family.name} conditionals, "
    _check(f"{message}{family.support} only", x, right, columns)


def _check(message: str, x: FloatArray, right: np.ndarray, columns: Sequence[str]) -> None:
    wrong = np.argwhere(~right)
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f"{message}. Received: {x[row, column]} in row {row + 1} (the first is 1), "
            f"column {columns[column]!r}; {len(wrong)} such value(s)."
        )


def _where(path: PathLike, array: str | None) -> str:
    return f"{path}" if array is None else f"{path}, array {array!r}"


def _names(width: int) -> list[str]:
    return [f"x{index}" for index in range(width)]


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return ValueError(
        f"{path} is not a readable {path.suffix} file (truncated or foreign?): {reason}"
    )
