"""Mutants of files: bytes flipped and cut, entries of JSON and TOML replaced, cells made odd."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator

#: What stands in the place of an entry of JSON or TOML.
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    3,
    10**8,
    10**400,
    -(2**63),
    0.5,
    -1.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../../escaped",
    "a\x1b[31mred",
    "x" * 100_000,
    [],
    [[]],
    [10**8],
    [-1, 0, 1],
    {},
    {"x": 1},
]
_CELLS = ["", "?", "nan", "NaN", "inf", "-inf", "1e999", "1" + "0" * 400, "-0", "0x10", "1,5", '"']
_CELLS += ["\x00", "\ufeff", "é", "2026-13-45", "TRUE", "None", "9" * 30, "=1+1", " 1 ", "1_000"]


def bytes_mutant(content: bytes, rng: Rng) -> bytes:
    """Flips, cuts, repeats or overwrites bytes."""
    changed = bytearray(content)
    place = int(rng.integers(len(content)))
    kind = rng.integers(5)
    if kind == 0:
        for where in rng.integers(0, len(content), int(rng.integers(1, 9))):
            changed[where] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        return bytes(changed[:place])
    elif kind == 2:
        end = place + int(rng.integers(1, 64))
        changed[place:end] = rng.bytes(len(changed[place:end]))
    elif kind == 3:
        changed[place:place] = changed[place : place + int(rng.integers(1, 64))]
    else:
        value = rng.choice(np.array([0, 1, 2**31 - 1, 2**32 - 1], np.uint32))
        changed[place : place + 4] = int(value).to_bytes(4, "little")[: len(changed) - place]
    return bytes(changed)


def entry_mutant(content: Any, rng: Rng) -> Any:
    """Replaces, removes or repeats an entry of nested mappings and lists."""
    changed = copy.deepcopy(content)
    places = list(_places(changed))
    if not places:
        return ODD[int(rng.integers(len(ODD)))]
    holder, key = places[int(rng.integers(len(places)))]
    kind = rng.integers(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif kind == 2 and isinstance(holder[key], int) and not isinstance(holder[key], bool):
        holder[key] += int(rng.choice([-1, 1]))
    else:
        holder[key] = ODD[int(rng.integers(len(ODD)))]
    return changed


def _places(content: Any):
    """Yields (container, key) of all entries; of long lists the first ones alone."""
    keys = list(content) if isinstance(content, dict) else range(min(len(content), 8))
    for key in keys:
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key])


def config_mutant(content: bytes, rng: Rng) -> bytes:
    """Changes an entry of a `.keras` file's config, in an archive that is whole again."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "config.json":
                part = json.dumps(entry_mutant(json.loads(part), rng)).encode()
            new.writestr(name, part)
    return changed.getvalue()


def archive_mutant(content: bytes, rng: Rng) -> bytes:
    """Damages one part of an archive, which is whole again."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        names = old.namelist()
        chosen = names[int(rng.integers(len(names)))]
        for name in names:
            part = old.read(name)
            if name == chosen:
                if rng.integers(8) == 0:
                    continue
                part = bytes_mutant(part, rng)
            new.writestr(name, part)
    return changed.getvalue()


def array_mutant(content: bytes, rng: Rng) -> bytes:
    """Replaces an array of an `.npz` by one of another type, shape or value."""
    with np.load(io.BytesIO(content)) as archive:
        arrays = dict(archive)
    name = list(arrays)[int(rng.integers(len(arrays)))]
    x = arrays[name]
    forms: list[Callable[[], Any]] = [
        lambda: x.astype(str),
        lambda: x.astype(complex),
        lambda: x.astype(object),
        lambda: x[0],
        lambda: x[:, :, None],
        lambda: x[:0],
        lambda: x[:, :0],
        lambda: x.astype(float) * np.nan,
        lambda: x.astype(float) + 0.5,
        lambda: x.astype(float) * 1e300,
        lambda: np.array(x.tolist()[0], dtype="datetime64[s]"),
        lambda: x.astype("S3"),
        lambda: np.zeros(len(x), [("a", int), ("b", float)]),
        lambda: -x.astype(int),
        lambda: x.astype(np.float16),
        lambda: x[:, ::-1],
    ]
    arrays[name] = forms[int(rng.integers(len(forms)))]()
    if rng.integers(4) == 0:
        arrays[["val", "x", "../x", "test "][int(rng.integers(4))]] = arrays.pop(name)
    changed = io.BytesIO()
    np.savez(changed, allow_pickle=True, **arrays)
    return changed.getvalue()


def text_mutant(content: bytes, rng: Rng) -> bytes:
    """Replaces, adds or removes cells and lines of a `.csv`."""
    lines = content.decode().split("\n")
    row = int(rng.integers(len(lines)))
    cells = lines[row].split(",")
    kind = rng.integers(6)
    if kind <= 2:
        cells[int(rng.integers(len(cells)))] = _CELLS[int(rng.integers(len(_CELLS)))]
    elif kind == 3:
        del cells[int(rng.integers(len(cells)))]
    elif kind == 4:
        cells.append(_CELLS[int(rng.integers(len(_CELLS)))])
    lines[row] = ",".join(cells)
    if kind == 5:
        lines.insert(row, lines[int(rng.integers(len(lines)))])
    return "\n".join(lines).encode("utf-8", "surrogatepass")
