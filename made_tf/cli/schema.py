"""`made-tf schema`: what the columns of a table are taken for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from made_tf.cli.options import TABLE_FILE, OutputFile, check_outputs
from made_tf.cli.running import quiet, warnings_in_lines
from made_tf.cli.tables import is_table_model, open_table, read, reading

__all__ = ["schema"]


@click.command()
@click.argument("data", type=TABLE_FILE)
@click.option(
    "-o",
    "--output",
    type=OutputFile(".toml"),
    help="Also write it, to be edited and given to 'made-tf train --schema'.",
)
@reading
def schema(data: Path, output: Path | None, **options: Any) -> None:
    """Tell what each column of DATA is taken for, a table or the model of one."""
    check_outputs([output], [data])
    if data.suffix in (".keras", ".tflite"):
        if data.suffix == ".tflite" and is_table_model(data):
            from made_tf.export.runtime import LiteTable

            click.echo(str(LiteTable(data).schema))
            return
        found = open_table(data).schema_
    else:
        with quiet():
            from made_tf.data.table_schema import TableSchema
        frame = read(data, options)
        with warnings_in_lines():
            found = TableSchema.infer(frame)
    click.echo(str(found))
    if output is not None:
        found.to_toml(output)
        click.echo(f"\n{output}")
