"""The sets of binary rows that publications report on: found, fetched, checked."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.client
import io
import tomllib
import urllib.request
from importlib import resources
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from made_tf.data.splits import Splits
from made_tf.portable.files import PathLike, replacing

__all__ = ["BenchmarkSet", "load_set", "make_smoke_set", "set_names"]

_PARTS = ("train", "valid", "test")
_TIMEOUT = 30  # seconds without an answer


@dataclasses.dataclass(frozen=True)
class BenchmarkSet:
    """What `sets.toml` says of a set.

    Attributes:
        name: its name, and that of its file, `binary/NAME.npz`.
        rows: how many rows train, valid and test have.
        variables: D.
        sha256: of the three parts' values as uint8, one after the other.
        url: where it can be had; `{part}` stands for the part where each has a
            file of its own.
        published: the best published figure that the project compares with, in
            nats.
        published_by: whose.
        source: where it was published.
    """

    name: str
    rows: list[int]
    variables: int
    sha256: str
    url: str
    published: float
    published_by: str
    source: str

    @classmethod
    def named(cls, name: str) -> BenchmarkSet:
        """Returns a set by its name.

        Raises:
            ValueError: if there is none.
        """
        if name not in _all():
            raise ValueError(
                f"`name` must be one of {', '.join(set_names())}. Received: name={name!r}"
            )
        return cls(name, **_all()[name])


def set_names() -> list[str]:
    """Returns the names of all sets."""
    return list(_all())


def load_set(name: str, data_dir: PathLike) -> Splits:
    """Reads `<data_dir>/binary/NAME.npz`; fetches it, where it is not there.

    Raises:
        ValueError: if there is no such set, the file holds another one, or it
            is not there and cannot be fetched.
    """
    entry = BenchmarkSet.named(name)
    path = Path(data_dir) / "binary" / f"{name}.npz"
    if not path.is_file():
        _fetch(entry, path)
    try:
        with np.load(path) as arrays:
            parts = [arrays[part] for part in _PARTS]
    except Exception as error:
        raise ValueError(f"{path} must hold the arrays train, valid and test: {error}") from error
    _check(entry, parts, str(path))
    train, valid, test = (part.astype(np.float32) for part in parts)
    return Splits(train, valid, test, [f"x{index}" for index in range(entry.variables)])


def make_smoke_set(seed: int = 0) -> Splits:
    """Makes up rows in which each variable mostly repeats the one before: D = 8."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.random((600, 8)) < 0.2, axis=1) % 2
    train, valid, test = np.split(x.astype(np.float32), [400, 500])
    return Splits(train, valid, test, [f"x{index}" for index in range(8)])


@functools.cache
def _all() -> dict:
    return tomllib.loads((resources.files("made_tf.reproduction") / "sets.toml").read_text("utf-8"))


def _check(entry: BenchmarkSet, parts: list[npt.NDArray], where: str) -> None:
    shapes = [part.shape for part in parts]
    expected = [(rows, entry.variables) for rows in entry.rows]
    if shapes != expected:
        raise ValueError(
            f"{where} must hold the set {entry.name}, of shapes {expected}. Received: {shapes}"
        )
    for part in parts:
        # A cast would make 0.9 and 256 zeros, and the digest right.
        if not np.all((part == 0) | (part == 1)):
            raise ValueError(f"{where} must hold the set {entry.name}: zeros and ones alone.")
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part, dtype=np.uint8).data)
    if digest.hexdigest() != entry.sha256:
        raise ValueError(
            f"{where} must hold the set {entry.name}, whose SHA-256 is {entry.sha256}. "
            f"Received other rows: {digest.hexdigest()}"
        )


def _fetch(entry: BenchmarkSet, path: Path) -> None:
    urls = list(dict.fromkeys(entry.url.format(part=part) for part in _PARTS))
    try:
        if len(urls) == 1:
            with _opened(urls[0]) as stream:
                parts = _of_archive(stream)
        else:
            parts = []
            for url in urls:
                with _opened(url) as stream:
                    parts.append(np.loadtxt(stream, delimiter=",", ndmin=2))
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} is not there, and cannot be fetched ({error}). It is made from "
            f"{' and '.join(urls)}: arrays train, valid and test of 0 and 1."
        ) from error
    _check(entry, parts, " and ".join(urls))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        train, valid, test = (values.astype(np.uint8) for values in parts)
        np.savez_compressed(temporary, train=train, valid=valid, test=test)


def _opened(url: str) -> IO[bytes]:
    return urllib.request.urlopen(url, timeout=_TIMEOUT)


def _of_archive(stream: IO[bytes]) -> list[npt.NDArray]:
    with np.load(io.BytesIO(stream.read())) as arrays:
        return [arrays[f"{part}_data"] for part in _PARTS]
