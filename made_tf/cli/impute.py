"""`made-tf impute`: missing values filled in."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from made_tf.cli.contexts import CONTEXT, context_shape, read_contexts
from made_tf.cli.folders import PART_ROWS, WORKERS, check_device_file, is_folder, run_job
from made_tf.cli.opening import (
    distribution_of,
    is_ensemble,
    load_keras,
    open_device,
    open_model,
)
from made_tf.cli.options import (
    ARRAY,
    MODEL,
    NUM_ORDERS,
    SEED,
    TABLE_FILE_OR_FOLDER,
    OutputFile,
    check_outputs,
)
from made_tf.cli.running import quiet
from made_tf.cli.tables import imputed_table, is_table_model, reading, write

if TYPE_CHECKING:
    import numpy.typing as npt

    from made_tf.distributions.questions import AnswersQuestions
    from made_tf.export.runtime import LiteSampler
    from made_tf.portable.arrays import FloatArray

__all__ = ["impute"]

_ROWS = 1024  # filled in at once


@click.command()
@MODEL
@click.argument("data", type=TABLE_FILE_OR_FOLDER)
@click.option(
    "-o",
    "--output",
    type=OutputFile(".npz", ".csv", ".tsv", ".parquet", standard=True, folder=True),
    required=True,
    help="The rows, filled in: of a table as .csv, .tsv or .parquet, or - for stdout; of numbers "
    "as .npz (array x) or .csv; of a .tflite a folder of .parquet, by all cores.",
)
@ARRAY
@SEED
@NUM_ORDERS
@click.option(
    "--num-particles",
    type=click.IntRange(2),
    metavar="INTEGER",
    default=1000,
    show_default=True,
    help="How many weighted draws a row takes for which MODEL has no fitting order.",
)
@CONTEXT
@WORKERS
@PART_ROWS
@reading
def impute(
    model: Path,
    data: Path,
    output: Path,
    array: str | None,
    seed: int,
    num_orders: int | None,
    num_particles: int,
    context: Path | None,
    num_workers: int | None,
    part_rows: int | None,
    **options: Any,
) -> None:
    """Fill in the missing values of DATA by draws from MODEL, a .keras or .tflite file.

    A missing value is an empty field of a .csv (or nan), a null of a .parquet
    or a NaN. What is there stays; what is not is drawn, together, given the rest
    of its row. This is exact for a model that was trained with --num-masks
    fresh (and all its orders), and for an ensemble of such. Another one weighs
    draws for rows in which what is missing does not come last in its order, and
    warns where too few of them count. A .tflite file fills in if its model is one
    of all orders (of a table: if it was exported with --network questions); the
    same seed then gives the same rows.

    Where DATA is a folder of .parquet (or one such file), --output a folder and
    MODEL a .tflite with the signature impute, the rows are filled in by all
    cores, in bounded memory; the same command goes on where it was cut off.
    """
    if is_folder(output):
        if array or context or num_orders or any(options.values()):
            raise click.UsageError("A folder as --output goes with --seed alone.")
        check_device_file(model)
        from made_tf import batch

        workers = {"num_workers": num_workers, "part_rows": part_rows}
        run_job(batch.impute, model, data, output, seed=seed, **workers)
        return
    if data.is_dir() or num_workers or part_rows:
        raise click.UsageError(
            "A folder as DATA, --workers and --part-rows go with a folder as --output."
        )
    check_outputs([output], [path for path in (model, data, context) if path])
    if is_table_model(model):
        write(output, imputed_table(model, data, seed, options))
        return
    if output.suffix in (".tsv", ".parquet") or str(output) == "-":
        open_model(model)  # which tells of a file that is no model
        raise click.UsageError("An --output of .tsv, .parquet or - is for the models of tables.")
    import numpy as np

    from made_tf.data.checks import check_support
    from made_tf.data.readers import load_table
    from made_tf.data.writers import save_stream
    from made_tf.portable.progress import with_progress

    x, columns = load_table(data, array, allow_missing=True)
    on_device = model.suffix == ".tflite"
    if on_device and num_orders is not None:
        raise ValueError(f"{model} averages no orders: --num-orders is for files of .keras.")
    loaded = open_device(model) if on_device else load_keras(model, or_ensemble=True)
    if x.shape[1] != loaded.event_size:
        raise ValueError(
            f"{data} must have the {loaded.event_size} columns of {model}. "
            f"Received: {x.shape[1]} columns"
        )
    shape = loaded.context_shape if on_device else context_shape(loaded, model)
    contexts = read_contexts(context, model, shape, len(x))
    warned: list[str] = []
    with quiet():
        if on_device:
            filled = _filled_on_device(loaded, x, contexts, seed)
        else:
            check_support(data, x, columns, loaded.conditionals, array)
            one = None if contexts is None else contexts[0]
            dist = distribution_of(model, loaded, num_orders, num_particles, one)
            filled = _filled(dist, loaded, x, contexts, seed, warned)
        missing = np.isnan(x)
        first = next(filled)  # what libraries have to tell, they tell now
    rows = itertools.chain([first], filled)
    batches = with_progress(rows, len(x), desc="filling in", delay=1, mininterval=0.5)
    save_stream(output, batches, x.shape, columns)
    if warned:
        click.echo(f"Warning: {warned[0]}", err=True)
    click.echo(
        f"{missing.sum():,} values filled in, in {missing.any(axis=1).sum():,} of {len(x):,} rows: "
        f"{output}"
    )


def _filled_on_device(
    device: LiteSampler, x: npt.NDArray, contexts: FloatArray | None, seed: int
) -> Iterator[npt.NDArray]:
    """Yields rows filled in by a `.tflite` file, some at a time."""
    for start in range(0, len(x), _ROWS):
        some = x[start : start + _ROWS]
        own = contexts if contexts is None else contexts[start : start + _ROWS]
        if contexts is not None and len(contexts) == 1:
            own = contexts[0]
        yield device.impute(some, seed, context=own, first_row=start)


def _filled(
    dist: AnswersQuestions,
    model: Any,
    x: npt.NDArray,
    contexts: FloatArray | None,
    seed: int,
    warned: list[str],
) -> Iterator[npt.NDArray]:
    """Yields rows filled in, some at a time; puts into `warned` what the library warns of."""
    for start in range(0, len(x), _ROWS):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            some = x[start : start + _ROWS]
            if contexts is None or len(contexts) == 1:
                rows = dist.impute(some, seed, first_row=start)
            else:
                vectors = model.encode_context(contexts[start : start + _ROWS])
                vectors = [v.numpy() for v in vectors] if is_ensemble(model) else vectors.numpy()
                rows = dist.queries.sample_conditional(some, 1, seed, start, vectors)[0]
        warned.extend(str(w.message) for w in caught if issubclass(w.category, UserWarning))
        yield rows
