"""Writing files that are either complete or not there."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PathLike", "replacing"]

PathLike = str | os.PathLike[str]

_OLD = 24 * 3600  # seconds after which nobody is still writing


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
        _sweep(path)
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.tmp{path.suffix}")
    temporary = Path(temporary)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # the content before the name, should the machine stop
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Removes what killed processes left of earlier tries to write a file: nobody else will."""
    name = re.compile(rf"\.{re.escape(path.stem)}\.[0-9a-f]{{16}}\.tmp{re.escape(path.suffix)}")
    with contextlib.suppress(OSError):  # what cannot be listed or removed stays
        for found in path.parent.iterdir():
            if name.fullmatch(found.name) and time.time() - found.lstat().st_mtime > _OLD:
                found.unlink()


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
