"""The whole path on one small table: schema, fit, rows, odd rows, a file for devices.

What `made-tf demo --table` runs: the irises that scikit-learn ships. It needs no download.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from made_tf.data.optional import optional_module
from made_tf.data.table_files import write_table
from made_tf.portable.files import PathLike, replacing
from made_tf.tables.model import TableModel

__all__ = ["run_table_demo"]

_HELD_OUT = 50
_NUM_ROWS = 1000


def run_table_demo(
    output: PathLike,
    seed: int = 0,
    epochs: int = 200,
    echo: Callable[[str], Any] = print,
    quiet: Callable[[], AbstractContextManager] = contextlib.nullcontext,
) -> dict[str, Any]:
    """Fits a `TableModel` to irises and takes it all the way to a device.

    Args:
        output: the folder for `model.keras`, `model.tflite`, `form.tflite` (for `made-tf serve`),
            `drawn.csv` and `report.json`.
        seed: seed of the split, of training and of the rows.
        epochs: at most so many looks at the validation rows.
        echo: prints one line.
        quiet: a context around what writes to stderr by itself.

    Returns:
        The content of `report.json`.

    Raises:
        ModuleNotFoundError: if pandas or scikit-learn is not installed.
        OSError: if the folder cannot be written.
        made_tf.export.ExportError: if the exported file is found wanting.
    """
    from made_tf.training.recipe import Recipe

    datasets = optional_module("sklearn.datasets", "scikit-learn", "tables")
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    irises = datasets.load_iris(as_frame=True)
    frame = irises.data.assign(species=irises.target_names[irises.target])
    frame = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
    held_out, rest = frame[:_HELD_OUT], frame[_HELD_OUT:]
    echo(f"Irises: {len(rest)} rows to learn from, {len(held_out)} held out.")
    with quiet():
        recipes = [Recipe.load(name).overridden(looks=epochs) for name in ("table", "questions")]
        model = TableModel(recipe=recipes[0], questions=recipes[1], seed=seed).fit(rest)
        scores = model.log_prob(held_out)
        right = model.predict(held_out, "species")["species"].to_numpy() == held_out["species"]
        odd = model.anomalies(held_out, top=3)
        model.save(output / "model.keras")
        drawn = model.sample(_NUM_ROWS, seed)
        write_table(output / "drawn.csv", drawn)
        exported = model.to_tflite(output / "model.tflite")
        different = _differing(output / "model.tflite", drawn, seed)
        form = output / "form.tflite"  # any cells given any others, for the page
        model.to_tflite(form, network="questions", signatures="impute", batch_sizes=(16,))
    echo(str(model.schema_))
    echo(f"  held-out NLL {-scores.mean():.3f} nats a row; species right: {right.mean():.2f}")
    for row, why in zip(odd["row"], odd["why"], strict=True):
        echo(f"  odd row {row}: {why or 'nothing that stands out'}")
    echo(str(exported))
    echo(f"Host and device differ in {different} of {_NUM_ROWS:,} rows.")
    report = {
        "held_out_nll": -float(scores.mean()),
        "species_right": float(right.mean()),
        "differing_rows": different,
        "num_rows": _NUM_ROWS,
    }
    with replacing(output / "report.json") as path:
        path.write_text(json.dumps(report, indent=2))
    echo(f"All of it is in {output}. Next:")
    for arguments in (("sample", output / "model.keras", "-n", "5", "-o", "-"), ("serve", form)):
        echo(f"  {shlex.join(['made-tf', *map(str, arguments)])}")
    return report


def _differing(path: Path, drawn: Any, seed: int) -> int:
    from made_tf.export import LiteTable

    cells = LiteTable(path).sample(_NUM_ROWS, seed)
    same = [np.asarray(cells[name]) == drawn[name].to_numpy() for name in drawn]
    return int((~np.logical_and.reduce(same)).sum())
