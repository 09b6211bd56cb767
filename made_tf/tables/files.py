"""The `.keras` file of a table's model."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from made_tf.models.stored_sizes import check_stored_sizes
from made_tf.portable.files import PathLike, replacing
from made_tf.tables.network import TableNetwork

__all__ = ["load_network", "save_network"]


def save_network(network: TableNetwork, path: PathLike) -> None:
    """Writes what `TableModel.save` does."""
    if Path(path).suffix != ".keras":
        raise ValueError(f"`path` must end in .keras. Received: {os.fspath(path)!r}")
    with replacing(path) as temporary:
        network.save(temporary)


def load_network(path: PathLike) -> TableNetwork:
    """Returns the network of a file, for `TableModel.load`."""
    if not Path(path).exists():
        raise FileNotFoundError(f"No such file: {os.fspath(path)}")
    check_stored_sizes(path)
    try:
        network = keras.saving.load_model(path, compile=False)
    except Exception as error:
        raise ValueError(
            f"`path` must be a complete .keras file. Received: {os.fspath(path)!r} "
            f"({type(error).__name__} in reading it)"
        ) from error
    if not isinstance(network, TableNetwork):
        raise ValueError(
            f"`path` must be a file of a TableModel. Received: {path}, of a "
            f"{type(network).__name__}"
        )
    return network
