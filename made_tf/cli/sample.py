"""`made-tf sample`: new rows."""

from __future__ import annotations

import itertools
from pathlib import Path

import click

from made_tf.cli.contexts import CONTEXT, read_contexts
from made_tf.cli.folders import PART_ROWS, WORKERS, check_device_file, is_folder, run_job
from made_tf.cli.opening import open_model
from made_tf.cli.options import MODEL, SEED, Integers, OutputFile, check_outputs
from made_tf.cli.running import quiet
from made_tf.cli.tables import drawn_table, is_table_model, write

__all__ = ["sample"]


@click.command()
@MODEL
@click.option(
    "-n",
    "--num",
    type=click.IntRange(1, 2**31 - 1),
    metavar="INTEGER",
    default=16,
    show_default=True,
    help="How many rows.",
)
@SEED
@click.option(
    "-o",
    "--output",
    type=OutputFile(".npz", ".csv", ".tsv", ".parquet", ".png", standard=True, folder=True),
    required=True,
    help="The rows: of a table as .csv, .tsv or .parquet, or - for stdout; of numbers as .npz "
    "(array x) or .csv, or as pictures in a .png. Of a .tflite also a folder of .parquet, drawn by "
    "all cores.",
)
@click.option(
    "--image-shape",
    type=Integers("8x8", "x", 2),
    help="Height and width of a row's picture, for .png.",
)
@click.option(
    "--given",
    multiple=True,
    metavar="COLUMN=CELL",
    help="A cell that all rows have, for the .keras file of a table; may be given several times.",
)
@CONTEXT
@WORKERS
@PART_ROWS
def sample(
    model: Path,
    num: int,
    seed: int,
    output: Path,
    image_shape: tuple[int, int] | None,
    given: tuple[str, ...],
    context: Path | None,
    num_workers: int | None,
    part_rows: int | None,
) -> None:
    """Draw new rows from MODEL, a .keras or .tflite file.

    The same seed gives the same rows from either file: bit for bit for bits
    and classes, within rounding for real numbers.
    """
    check_outputs([output], [path for path in (model, context) if path])
    if is_folder(output):
        if given or context or image_shape:
            raise click.UsageError("--given, --context and --image-shape do not go with a folder.")
        check_device_file(model)
        from made_tf import batch

        workers = {"num_workers": num_workers, "part_rows": part_rows}
        run_job(batch.sample, model, num, output, seed=seed, **workers)
        return
    if num_workers or part_rows:
        raise click.UsageError("--workers and --part-rows go with a folder as --output.")
    if is_table_model(model):
        write(output, drawn_table(model, num, seed, given))
        return
    if given or output.suffix in (".tsv", ".parquet") or str(output) == "-":
        open_model(model)  # which tells of a file that is no model
        raise click.UsageError(
            "--given and an --output of .tsv, .parquet or - are for the models of tables."
        )
    from made_tf.data.writers import save_stream
    from made_tf.portable.progress import with_progress

    if (image_shape is None) == (output.suffix == ".png"):
        raise click.UsageError("--image-shape and an --output that ends in .png go together.")
    if image_shape is not None:
        from made_tf.plotting.rows import MAX_PICTURES, save_images

        if num > MAX_PICTURES:
            raise click.UsageError(f"--num must be at most {MAX_PICTURES} for pictures.")
    with quiet():
        opened = open_model(model)
        contexts = read_contexts(context, model, opened.context_shape, num)
        drawn = opened.stream(num, seed, contexts)
        first = next(drawn)  # what libraries have to tell, they tell now
    rows = itertools.chain([first], drawn)
    batches = with_progress(rows, num, delay=1, mininterval=0.5)  # a bar after one second
    if image_shape is None:
        save_stream(output, batches, (num, opened.event_size))
    else:
        save_images(output, [row for rows in batches for row in rows], image_shape)
    click.echo(f"{num} rows in {output}")
