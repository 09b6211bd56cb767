"""Parts made by several processes, of which each may fail alone."""

from __future__ import annotations

import collections
import concurrent.futures
import errno
import multiprocessing
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from made_tf.batch.parts import Part, Work, write_part

__all__ = ["JobError", "run_parts"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_FIRST = concurrent.futures.FIRST_COMPLETED
_KILL = 9
_TOLD = 5  # failures, of which there may be thousands

Failures = dict[Part, str]


class JobError(RuntimeError):
    """Some parts of a job are not done. Those that are stay; the same call does the rest.

    Attributes:
        failures: why, by the name of each part that failed.
        not_begun: the names of parts that were not begun.
    """

    def __init__(
        self, num_parts: int, failures: dict[str, str], not_begun: Sequence[str], why: str
    ):
        self.failures = failures
        self.not_begun = list(not_begun)
        left = len(failures) + len(self.not_begun)
        lines = [f"{left} of {num_parts} parts are not done."]
        lines += [f"{name}: {reason}." for name, reason in list(failures.items())[:_TOLD]]
        if len(failures) > _TOLD:
            lines.append(f"And {len(failures) - _TOLD} more failed.")
        if self.not_begun:
            lines.append(f"{len(self.not_begun)} were not begun{why and f', since {why}'}.")
        lines.append("What is done stays; the same call does the rest.")
        super().__init__("\n".join(lines))

    def __reduce__(self):
        return RuntimeError, (str(self),)


def run_parts(
    work: Work,
    parts: Sequence[Part],
    num_workers: int,
    check: Callable[[], None],
    done: Callable[[int], None],
) -> tuple[Failures, list[Part], str]:
    """Makes parts by so many processes.

    A part that fails does not hinder the others; a process that is killed is replaced. Where no
    part can be written any more (the disk is full), or the check fails, none is begun any more.

    Args:
        work: what is done with each.
        parts: which ones.
        num_workers: how many processes; one is this one.
        check: is called before a part is begun; raises ValueError where none must be.
        done: is called with the number of rows of each part that is done.

    Returns:
        Why parts failed, those that were not begun, and why.
    """
    waiting = collections.deque(parts)
    failures: Failures = {}
    why = ""
    with tempfile.TemporaryDirectory() as notes:
        while waiting and not why:
            count = min(num_workers, len(waiting))
            why = _run_pool(work, waiting, count, Path(notes), check, done, failures)
    return failures, list(waiting), why


def _run_pool(
    work: Work,
    waiting: collections.deque[Part],
    num_workers: int,
    notes: Path,
    check: Callable[[], None],
    done: Callable[[int], None],
    failures: Failures,
) -> str:
    """Makes parts until none waits, a process is killed, or no part should be begun.

    Returns:
        Why none should be begun any more; nothing where that is not so.
    """
    before = set(multiprocessing.active_children())
    workers: set[Any] = set()
    running: dict[concurrent.futures.Future[tuple[int, list[str]]], Part] = {}
    killed: list[Part] = []
    why, is_broken = "", False
    with _pool(num_workers, notes) as pool:
        while True:
            while waiting and len(running) < num_workers and not (why or is_broken):
                try:
                    check()
                    running[pool.submit(_run, work, waiting[0], str(notes))] = waiting[0]
                except ValueError as error:
                    why = str(error)
                except BrokenProcessPool:
                    is_broken = True
                else:
                    waiting.popleft()
                    workers |= set(multiprocessing.active_children()) - before
            if not running:
                break
            for future in concurrent.futures.wait(running, None, _FIRST).done:
                part = running.pop(future)
                try:
                    count, warned = future.result()
                except BrokenProcessPool:
                    is_broken = True
                    killed.append(part)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                    failures[part] = _reason(error)
                    if isinstance(error, OSError) and error.errno in _FULL:
                        why = "no more can be written"
                else:
                    done(count)
                    for text in warned:
                        warnings.warn(f"{part.name}: {text}", stacklevel=5)
    _blame(killed, workers, notes, waiting, failures)
    return why


def _pool(num_workers: int, notes: Path) -> concurrent.futures.Executor:
    if num_workers == 1:
        return _Here()
    spawn = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(num_workers, spawn, _begin, (str(notes),))


class _Here(concurrent.futures.Executor):
    """Runs what is submitted at once, in this process: for one worker no other is needed."""

    def submit(self, fn, /, *args, **kwargs):
        """Runs it."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as of any other process
            future.set_exception(error)
        return future


def _blame(
    killed: list[Part],
    workers: set[Any],
    notes: Path,
    waiting: collections.deque[Part],
    failures: Failures,
) -> None:
    """Finds which process was killed at which part; the other parts wait again."""
    culprits: dict[str, str] = {}
    for process in workers:
        code, note = process.exitcode or 0, notes / str(process.pid)
        if code not in (0, -signal.SIGTERM) and note.exists():  # TERM ends the other processes
            how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            memory = " (perhaps for want of memory)" if code == -_KILL else ""
            said = _said(notes, process.pid).read_text(errors="replace").strip().split("\n")[-1]
            last = f"; it said last: {said}" if said and code != -_KILL else ""
            culprits[note.read_text(encoding="utf-8")] = f"{how}{memory}{last}"
    for part in killed:
        if culprits and part.name not in culprits:
            waiting.appendleft(part)
        else:
            failures[part] = f"its process ended {culprits.get(part.name, 'early')}"


def _reason(error: BaseException) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__


def _begin(notes: str) -> None:
    """Prepares a process: Ctrl-C is for its parent alone, and it ends when that does.

    What LiteRT has to tell goes into a note, which is read should the process be killed.
    """
    with open(_said(Path(notes), os.getpid()), "w") as file:
        os.dup2(file.fileno(), 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def end_with_parent() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=end_with_parent, daemon=True).start()


def _run(work: Work, part: Part, notes: str) -> tuple[int, list[str]]:
    """Makes a part, and tells beforehand which process is at it.

    Returns:
        How many rows it has, and what users are warned of.
    """
    Path(notes, str(os.getpid())).write_text(part.name, encoding="utf-8")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        count = write_part(work, part)
    return count, [str(each.message) for each in caught if each.category is UserWarning]


def _said(notes: Path, pid: int | None) -> Path:
    return notes / f"{pid}.stderr"
