"""Writing files that are either complete or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PathLike", "replacing"]

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(path: PathLike, temporary: PathLike | None = None) -> Iterator[Path]:
    """Yields a temporary path whose file takes the place of `path` at the end.

    If the body fails, or the process is killed, `path` is what it was before. Of
    a symbolic link the file that it leads to is replaced.

    Args:
        path: the file to write.
        temporary: where to write it, on the same file system; beside `path` by
            default.

    Raises:
        OSError: if the file cannot be written.
    """
    path = Path(os.path.realpath(path))
    if temporary is None:
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    temporary = Path(temporary)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # the content before the name, should the machine stop
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
