"""`survey`: the schema of a table in files and the spread of its numbers, in bounded memory.

A uniform sample of rows says of which kind columns are, which grids their numbers lie on and which
facts seem to hold. With it come the rows in which something occurs for the first time
(`RowSample`). Then one pass turns all rows into numbers under that schema and measures them
(`RowSpread`). A row that does not fit, because a number leaves the grid of the sample or breaks a
fact, joins the sample, and the pass is made anew under the schema that follows: so in the end all
rows fit.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from made_tf.data.constraints import Constraint
from made_tf.data.row_files import RowFiles
from made_tf.data.row_sample import MOST_CLASSES, RowSample
from made_tf.data.row_spread import RowSpread
from made_tf.data.schema_text import DROP, Overrides, checked_overrides
from made_tf.data.table_schema import TableSchema
from made_tf.portable.arrays import FloatArray
from made_tf.portable.files import PathLike, replacing
from made_tf.portable.version import __version__

__all__ = ["Survey", "survey"]

_FILE = "survey.npz"
_SAMPLE = 50_000  # rows: a share of one in a hundred is known to 1 part in 20
_PASSES = 5


class Survey(NamedTuple):
    """What is known of a table in files.

    Attributes:
        schema: what the columns are.
        values: each variable on its own: numbers at evenly spaced ranks, float32 `[M, D]`.
        moments: mean and standard deviation of each variable, without what is missing and points
            of their own, float64 `[D, 2]`; `None` where `values` are all rows.
        validation: the rows that are held out, float32 `[V, D]`.
    """

    schema: TableSchema
    values: FloatArray
    moments: npt.NDArray[np.float64] | None
    validation: FloatArray


def survey(
    files: RowFiles,
    held_out: npt.NDArray[np.int64],
    overrides: Overrides | PathLike | None = None,
    constraints: Sequence[Constraint] = (),
    find_facts: bool = True,
    seed: int = 0,
    folder: Path | None = None,
) -> Survey:
    """Finds the schema of a table in files and the spread of its numbers.

    A table of 50,000 rows or less is taken as it is: schema and numbers are those of
    `TableSchema.infer`. Of a larger one kinds, grids and facts are sought in the sample (and
    `Unique` is checked there); what does not hold in each row is dropped.

    Args:
        files: the table.
        held_out: numbers of the rows to validate by, in order: they are not measured.
        overrides: as of `TableSchema.infer`.
        constraints: likewise.
        find_facts: likewise.
        seed: of the sample.
        folder: keeps what was found, for the next call with the same arguments.

    Raises:
        ValueError: as `TableSchema.infer`; if a file cannot be read; if there is no schema that all
            rows fit, or a column has more than 20,000 different texts.
    """
    known, said = checked_overrides(overrides, files.names)
    constraints = [*constraints, *said]
    if folder is not None:
        asked = [files.identity(), held_out.tolist(), known, list(map(repr, constraints))]
        key = json.dumps([*asked, find_facts, seed, __version__])
        found = _kept(folder / _FILE, key)
        if found is None:
            found = survey(files, held_out, known, constraints, find_facts, seed)
            _keep(folder / _FILE, key, found)
        return found
    dropped = {name for name, own in known.items() if own.get("kind") == DROP}
    sample = RowSample(files, _SAMPLE, seed, dropped)
    known = _row_numbers(files, sample, known) | known
    for _ in range(_PASSES):
        frame = sample.frame()
        schema = TableSchema.infer(frame, known, constraints, find_facts)
        if files.num_rows > _SAMPLE:
            _check_classes(schema, sample.crowded)
        schema.num_rows = files.num_rows
        if files.num_rows <= _SAMPLE:
            x = schema.encode_frame(frame).x
            return Survey(schema, np.delete(x, held_out, axis=0), None, x[held_out])
        spread = RowSpread(files, schema, held_out, sample)
        if not spread.unfit:
            return Survey(schema, spread.values, spread.moments, spread.validation)
    raise ValueError(
        f"No schema was found in {_PASSES} passes that all rows fit. Say by `overrides` what these "
        f"columns are: {sorted(spread.unfit)}"
    )


def _row_numbers(files: RowFiles, sample: RowSample, known: Any) -> dict[str, Any]:
    """Returns the columns that count the rows, which a sample of them does not show."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = {}
    for name in set(files.names) - set(known):
        column = sample.table.column(name)
        if pa.types.is_integer(column.type) and not column.null_count:
            ends = pc.min_max(column).as_py()
            is_gapless = ends["max"] - ends["min"] == files.num_rows - 1
            if is_gapless and len(column.unique()) == len(column):
                found[name] = {"kind": "identifier"}
    return found


def _check_classes(schema: TableSchema, crowded: list[str]) -> None:
    for name in crowded:
        if name in schema.names and schema.column(name).kind == "classes":
            raise ValueError(
                f"column {name!r} has more than {MOST_CLASSES:,} different texts. Say by "
                '`overrides` that it is an "identifier", or "drop" it'
            )


def _keep(path: Path, key: str, found: Survey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "key": np.frombuffer(key.encode(), np.uint8),
        "schema": np.frombuffer(json.dumps(found.schema.to_dict()).encode(), np.uint8),
        "values": found.values,
        "validation": found.validation,
    }
    if found.moments is not None:
        content["moments"] = found.moments
    with replacing(path) as temporary:
        np.savez(temporary, **content)


def _kept(path: Path, key: str) -> Survey | None:
    """Returns what `_keep` has written for the same key; `None` if there is no such file."""
    try:
        with np.load(path) as content:
            if content["key"].tobytes() != key.encode():
                return None
            schema = TableSchema.from_dict(json.loads(content["schema"].tobytes()))
            moments = content.get("moments")
            return Survey(schema, content["values"], moments, content["validation"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # it is found anew
