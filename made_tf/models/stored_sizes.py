"""Whether a `.keras` file has the weights that its config tells of, before any are made."""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from made_tf.portable.files import PathLike

__all__ = ["check_stored_sizes"]

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_LONGEST_CONFIG = 2**28  # bytes
_DENSEST = 2  # weights in a byte: of four bits each
_TIGHTEST = 64  # by which weights may have been compressed, by another program: Keras does not


def check_stored_sizes(path: PathLike) -> None:
    """Checks that the networks in a file's config are no larger than its weights are.

    A few bytes of a config may ask for any number of units, and Keras makes them before it looks
    at the weights. What cannot be read at all is left to Keras to tell.

    Raises:
        ValueError: if the config asks for more weights than the file holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config, weights = archive.getinfo(_CONFIG), archive.getinfo(_WEIGHTS)
            if config.file_size > _LONGEST_CONFIG:
                raise ValueError(f"{path} has a config of {config.file_size:,} bytes: damaged.")
            content = json.loads(archive.read(config))
    except (KeyError, OSError, RecursionError, NotImplementedError, zipfile.BadZipFile):
        return
    stored = _DENSEST * min(weights.file_size, _TIGHTEST * weights.compress_size)
    asked = sum(map(_least_weights, _networks(content)))
    if asked > stored:
        raise ValueError(
            f"{path} is damaged or forged: its config tells of {asked:,} weights or more, and it "
            f"holds {weights.file_size:,} bytes of them."
        )


def _networks(content: Any) -> Iterator[Mapping[str, Any]]:
    """Yields the configs of all MADE models within a config."""
    if isinstance(content, dict):
        if content.get("class_name") == "MADE" and isinstance(content.get("config"), dict):
            yield content["config"]
        for value in content.values():
            yield from _networks(value)
    elif isinstance(content, list):
        for value in content:
            yield from _networks(value)


def _least_weights(config: Mapping[str, Any]) -> int:
    """Returns how many weights a network has at least; 0 where its sizes are no numbers."""
    size, hidden = config.get("event_size"), config.get("hidden_units")
    if not isinstance(hidden, list) or not all(isinstance(each, int) for each in [size, *hidden]):
        return 0
    outputs = max(int(size or 0), _num_classes(config.get("conditionals")))
    widths = [int(size or 0), *hidden, outputs]
    return sum(max(0, below) * max(0, above) for below, above in itertools.pairwise(widths))


def _num_classes(conditionals: Any) -> int:
    """Returns how many outputs classes take at least."""
    own = conditionals.get("config") if isinstance(conditionals, dict) else None
    counts = own.get("num_classes") if isinstance(own, dict) else None
    is_embedded = isinstance(conditionals, dict) and conditionals.get("class_name") == "Embedded"
    if is_embedded:  # a few outputs for all classes, and a vector for each
        return 0
    counts = counts if isinstance(counts, list) else [counts]
    return sum(each for each in counts if isinstance(each, int))
