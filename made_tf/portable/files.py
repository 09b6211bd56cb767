"""Writing files that are either complete or not there."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PathLike", "replacing"]

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(path: PathLike, temporary: PathLike | None = None) -> Iterator[Path]:
    """Yields a temporary path whose file takes the place of `path` at the end.

    If the body fails, or the process is killed, `path` is what it was before. Of
    a symbolic link the file that it leads to is replaced. What is no file (a device, a pipe) is
    never replaced: what was written goes through it.

    Args:
        path: the file to write.
        temporary: where to write it, on the same file system; beside `path`, under a name that
            nobody can know beforehand, by default.

    Raises:
        OSError: if the file cannot be written.
    """
    path = Path(os.path.realpath(path))
    if _is_special(path):
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / f"whole{path.suffix}"
            yield whole
            with open(whole, "rb") as source, open(path, "wb") as target:
                shutil.copyfileobj(source, target)
        return
    if temporary is None:
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.tmp{path.suffix}")
    temporary = Path(temporary)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # the content before the name, should the machine stop
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
