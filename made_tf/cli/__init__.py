"""The `made-tf` command."""

from __future__ import annotations

from made_tf.cli.main import main

__all__ = ["main"]
