"""Folders of Parquet scored, drawn and filled in, by all cores of one machine."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from made_tf.batch.jobs import JobError, run_parts
from made_tf.batch.model import file_digest, open_rows
from made_tf.batch.parts import Part, Work, is_done, record_in
from made_tf.parquet import Piece, Source, UnreadableError, cut, find_sources, numbered_pieces
from made_tf.portable.arguments import boolean, integer
from made_tf.portable.files import PathLike
from made_tf.portable.seeds import checked_seed

__all__ = ["PART_ROWS", "Report", "impute", "sample", "score"]

#: How many rows a part has, or more where the row groups of the input are larger.
PART_ROWS = 1 << 18

_LOCK = ".made_tf.lock"
_LEFT = re.compile(r"\..*\.[0-9a-f]{16}\.tmp\.parquet")  # by killed processes: see `replacing`
_DOING = {"score": "scoring", "sample": "sampling", "impute": "filling in"}


@dataclasses.dataclass(frozen=True)
class Report:
    """What a job did.

    Attributes:
        num_parts: how many files there are.
        num_kept: how many of them were there already.
        num_rows: how many rows were made now.
        seconds: how long it took.
    """

    num_parts: int
    num_kept: int
    num_rows: int
    seconds: float

    def __str__(self) -> str:
        kept = f"; {self.num_kept:,} were there already" if self.num_kept else ""
        rate = self.num_rows / max(self.seconds, 1e-9)
        return f"{self.num_rows:,} rows, {rate:,.0f} a second; {self.num_parts:,} part(s){kept}"


def score(
    model: PathLike,
    rows: PathLike | Iterable[PathLike],
    output: PathLike,
    *,
    keep: bool = False,
    num_workers: int | None = None,
    part_rows: int = PART_ROWS,
    progress: bool = False,
) -> Report:
    """Writes the log-probability of each row of Parquet files.

    Of each input one or several parts are written, `NAME-00000.parquet` and so on, with rows in
    the same order. Parts are complete or not there. What an earlier call with the same model, rows
    and settings has written is kept.

    Args:
        model: a `.tflite` file: of a table's model, for columns with names, categories and dates;
            or of numbers, for the columns that its `variables` name, or all in their order.
        rows: a folder, a pattern such as `rows/*.parquet`, a file, or several of these.
        output: the folder to write to.
        keep: whether to write all columns of the rows, and `log_prob` beside them. Else there are
            `row`, a row's number in its file from 0, and `log_prob`, float32, in nats.
        num_workers: how many processes, of which a single one is the caller's; as many as there
            are cores by default.
        part_rows: how many rows a part has, about: row groups of the input are not cut.
        progress: whether to show a bar.

    Raises:
        FileNotFoundError: if there are no such files.
        ValueError: if an argument is out of range, the model is none, or other Parquet files lie
            in `output`.
        JobError: if parts failed: it says which and why, and what was done stays.
    """
    keep, part_rows = boolean("keep", keep), integer("part_rows", part_rows)
    unread: dict[str, str] = {}

    def parts() -> Iterator[Part]:
        for source in _sources(rows, output):
            try:
                for piece in cut(source, part_rows):
                    yield Part(_name(piece), piece.start, piece.num_rows, piece)
            except UnreadableError as error:
                unread[error.name] = str(error)

    work = Work("score", "", "", os.fspath(output), keep=keep)
    return _run(work, model, parts, num_workers, progress, unread)


def sample(
    model: PathLike,
    num_samples: int,
    output: PathLike,
    seed: int = 0,
    *,
    num_workers: int | None = None,
    part_rows: int = PART_ROWS,
    progress: bool = False,
) -> Report:
    """Writes new rows to Parquet files: row i is drawn from the key (seed, i), whatever the parts.

    Args:
        model: a `.tflite` file, as of `score`.
        num_samples: how many rows, at most 2**31.
        output: as of `score`, like the others.
        seed: a 32-bit integer.
        num_workers: as of `score`.
        part_rows: how many rows a part has.
        progress: as of `score`.

    Raises:
        FileNotFoundError: as `score`, like the others.
        ValueError: likewise.
        JobError: likewise.
    """
    count = integer("num_samples", num_samples, 1, 2**31)
    size = integer("part_rows", part_rows)

    def parts() -> Iterator[Part]:
        width = max(5, len(str((count - 1) // size)))  # so that names sort as numbers do
        for number, start in enumerate(range(0, count, size)):
            yield Part(f"part-{number:0{width}}.parquet", start, min(size, count - start))

    work = Work("sample", "", "", os.fspath(output), checked_seed(seed))
    return _run(work, model, parts, num_workers, progress, {})


def impute(
    model: PathLike,
    rows: PathLike | Iterable[PathLike],
    output: PathLike,
    seed: int = 0,
    *,
    num_workers: int | None = None,
    part_rows: int = PART_ROWS,
    progress: bool = False,
) -> Report:
    """Writes the rows of Parquet files with missing values filled in, together in each row.

    Row i of all files, in the order of their names, is drawn from the key (seed, i). Of a file that
    cannot be read the number of rows is not known: what comes after it waits.

    Args:
        model: a `.tflite` file of a model that answers all questions; of a table's model its
            network of questions (`TableModel.to_tflite(path, network="questions")`).
        rows: as of `score`; null or NaN where a value is missing. Columns that are not the model's
            are kept as they are.
        output: as of `score`.
        seed: a 32-bit integer.
        num_workers: as of `score`, like the others.
        part_rows: likewise.
        progress: likewise.

    Raises:
        FileNotFoundError: as `score`, like the others.
        ValueError: likewise.
        JobError: likewise.
    """
    part_rows = integer("part_rows", part_rows)
    unread: dict[str, str] = {}

    def parts() -> Iterator[Part]:
        try:
            for piece, first in numbered_pieces(_sources(rows, output), part_rows):
                yield Part(_name(piece), first, piece.num_rows, piece)
        except UnreadableError as error:
            unread[error.name] = f"{error}; rows that come after it have no numbers, and wait"

    work = Work("impute", "", "", os.fspath(output), checked_seed(seed))
    return _run(work, model, parts, num_workers, progress, unread)


def _sources(rows: PathLike | Iterable[PathLike], output: PathLike) -> list[Source]:
    """Returns the files to read, none of which lies in the folder to write to."""
    sources, folder = find_sources(rows), Path(output).resolve()
    inside = [each.path for each in sources if Path(each.path).resolve().is_relative_to(folder)]
    if inside:
        raise ValueError(f"`output` must be another folder than that of the rows: {inside[0]}")
    return sources


def _name(piece: Piece) -> str:
    return f"{piece.source.name.removesuffix('.parquet')}-{piece.number:05}.parquet"


def _run(
    work: Work,
    model: PathLike,
    parts: Callable[[], Iterator[Part]],
    num_workers: int | None,
    progress: bool,
    unread: dict[str, str],
) -> Report:
    """Makes the parts that are not there yet; files that cannot be read are in `unread` by then."""
    import tqdm

    started = time.perf_counter()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = integer("num_workers", cores if num_workers is None else num_workers)
    if not open_rows(model).can_impute and work.action == "impute":
        raise ValueError(
            f"`model` must be a file that fills in rows. Received: {os.fspath(model)!r}, without a "
            "signature 'impute': export a model of evidence_units or of all orders, or of the "
            "model of a table its network of questions"
        )
    output = Path(work.output)
    output.mkdir(parents=True, exist_ok=True)
    with _alone(output), tempfile.TemporaryDirectory() as folder:
        state, copy = _state_of(Path(model)), Path(folder, "model.tflite")  # which none replaces
        shutil.copyfile(model, copy)
        work = dataclasses.replace(work, model=str(copy), digest=file_digest(copy))
        planned = list(parts())
        _check_folder(work, planned, bool(unread))
        left = [part for part in planned if not is_done(work, part)]
        rows = sum(part.num_rows for part in left)
        with tqdm.tqdm(
            desc=_DOING[work.action], total=rows, unit="row", unit_scale=True, disable=not progress
        ) as bar:
            check = _Unchanged(Path(model), state, work.digest)
            failures, waiting, why = run_parts(work, left, count, check, bar.update)
    if failures or waiting or unread:
        told = unread | {part.name: reason for part, reason in failures.items()}
        total = len(planned) + len(unread)
        raise JobError(total, told, [part.name for part in waiting], why)
    return Report(len(planned), len(planned) - len(left), rows, time.perf_counter() - started)


def _state_of(path: Path) -> tuple[int, ...]:
    """Returns what changes when a file is written to or replaced.

    Raises:
        ValueError: if it is gone.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise ValueError(f"the model {path} is gone: {error.strerror}") from error
    return state.st_ino, state.st_size, state.st_mtime_ns


class _Unchanged:
    """Looks whether a model's file is still the one that a job began with."""

    def __init__(self, path: Path, state: tuple[int, ...], digest: str):
        self._path, self._state, self._digest = path, state, digest

    def __call__(self) -> None:
        """Looks.

        Raises:
            ValueError: if it is another one, or gone.
        """
        state = _state_of(self._path)
        if state == self._state:
            return
        found = file_digest(self._path)
        if found != self._digest:
            raise ValueError(
                f"the model {self._path} was replaced (SHA-256 {self._digest[:12]}..., now "
                f"{found[:12]}...): with the new one all parts will be done anew"
            )
        self._state = state


@contextlib.contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Keeps other jobs off a folder while the block lasts, and clears what killed processes left.

    Raises:
        ValueError: if another job is at it.
    """
    with open(output / _LOCK, "a") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"`output`: another job is writing to {output}") from error
        except (ImportError, OSError):  # Windows, or a file system without locks
            is_alone = False
        else:
            is_alone = True
            _clear(output)
        try:
            yield
        finally:
            if is_alone:
                _clear(output)


def _clear(output: Path) -> None:
    """Removes what killed processes have begun to write."""
    for path in output.rglob(".*.tmp.parquet"):
        if _LEFT.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _check_folder(work: Work, planned: Sequence[Part], is_partial: bool) -> None:
    """Fails if Parquet files lie in a folder that are no parts of the job: readers read them all.

    Args:
        work: what is done.
        planned: the job's parts.
        is_partial: whether there are more of them, which cannot be told by now.

    Raises:
        ValueError: if there are some, or two parts have one name.
    """
    known = {part.name for part in planned}
    if len(known) < len(planned):
        names = sorted(part.name for part in planned)
        twice = next(name for name, other in itertools.pairwise(names) if name == other)
        raise ValueError(f"`rows` must be files of different names. Two of them make {twice}")
    output = Path(work.output)
    for path in sorted(output.rglob("*.parquet")):
        name = path.relative_to(output).as_posix()
        if path.name.startswith("."):
            continue
        action = (record_in(path) or {}).get("action")
        if action != work.action or not (is_partial or name in known):
            what = "no part of a job" if action is None else f"a part of another job to {action}"
            raise ValueError(
                f"`output` must be a folder of this job alone. It holds {name}, {what}: remove it, "
                "or choose another folder"
            )
