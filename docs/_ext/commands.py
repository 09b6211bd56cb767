"""The directive `commands`: what each command of made-tf says of itself."""

from __future__ import annotations

from typing import Any

import click
from docutils import nodes
from docutils.parsers.rst import Directive

_WIDTH = 76  # what the column of a page holds


class Commands(Directive):
    """A section for each command, with the text of its `--help`."""

    def run(self) -> list[nodes.Node]:
        """Returns the sections."""
        from made_tf.cli import main

        top = click.Context(main, info_name="made-tf")
        return [self._section(top, main, name) for name in main.list_commands(top)]

    def _section(self, top: click.Context, main: Any, name: str) -> nodes.section:
        command = main.get_command(top, name)
        context = click.Context(
            command, info_name=name, parent=top, terminal_width=_WIDTH, max_content_width=_WIDTH
        )
        section = nodes.section(ids=[f"made-tf-{name}"], names=[f"made-tf {name}"])
        section += nodes.title(text=f"made-tf {name}")
        section += nodes.literal_block(text=command.get_help(context), language="none")
        return section


def setup(app: Any) -> dict[str, Any]:
    """Registers the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
