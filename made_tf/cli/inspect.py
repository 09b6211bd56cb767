"""`made-tf inspect`: what a file holds."""

from __future__ import annotations

import json
from pathlib import Path

import click

from made_tf.cli.opening import load_keras
from made_tf.cli.options import INPUT_FILE, JSON
from made_tf.cli.running import quiet
from made_tf.cli.tables import is_table_model, open_table
from made_tf.cli.texts import keras_facts, keras_text, printable, tflite_text

__all__ = ["inspect"]


@click.command()
@click.argument("file", type=INPUT_FILE)
@JSON
def inspect(file: Path, as_json: bool) -> None:
    """Tell what a .keras or .tflite FILE holds.

    Of a .keras: variables, order, degrees, layers and sizes. Of a .tflite:
    signatures, operators and size.
    """
    if file.suffix == ".tflite":
        with quiet():
            from made_tf.export import inspect_tflite

            facts = inspect_tflite(file)
        text = tflite_text(facts)
        if is_table_model(file):
            from made_tf.export.runtime import LiteTable

            text = f"{LiteTable(file).schema}\n\n{text}"
    elif is_table_model(file):
        table = open_table(file)
        network = table.network_
        count = len(network.members)
        facts = {
            **keras_facts(network.members[0], file),
            **({"members": count} if count > 1 else {}),
            "schema": network.schema.to_dict(),
            "questions": network.questions is not None,
        }
        parts = [str(network.schema), network.joint.describe(), keras_text(facts)]
        text = "\n\n".join(parts)
    else:
        model = load_keras(file, or_ensemble=True)
        members = getattr(model, "members", [])  # of an ensemble
        facts = keras_facts(members[0] if members else model, file)
        if members:
            facts["members"] = len(members)
        text = f"{model.describe()}\n{keras_text(facts)}"
    click.echo(json.dumps(facts) if as_json else printable(text))
