"""From a model to a verified `.tflite` file."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from made_tf.export.compact import compact_tflite
from made_tf.export.signatures import Signatures, make_signatures
from made_tf.export.verify import ExportReport, verify_tflite, with_dtype
from made_tf.files import replacing
from made_tf.models import MADE
from made_tf.verification import not_finite

__all__ = ["to_tflite"]


def to_tflite(
    model: MADE,
    path: str | os.PathLike[str],
    block_length: int | None = None,
    batch_size: int | None = None,
    num_orders: int | None = None,
) -> ExportReport:
    """Writes a model into one `.tflite` file and verifies it.

    The file holds the signatures `sample`, `log_prob` and `conditionals`, and
    for a model of all orders `impute` (see `made_tf.export.signatures`), for any
    batch size, with builtin operators alone. A mixture of orders has one copy of
    the weights, which the file sorts for an order when it is asked. A model of
    another precision is exported in float32. The file appears at `path` only
    when it was found to do what the model does; until then, and if anything
    fails, what was at `path` before stays.

    Args:
        model: a `MADE`.
        path: where to write, ending in `.tflite`.
        block_length: how many variables the sampler solves at once; `None`
            chooses.
        batch_size: for how many rows at a time `None` chooses; the file serves
            any number of rows.
        num_orders: M, over how many of the model's mask sets the density is
            averaged; `None` takes the model's `num_orders`.

    Returns:
        What was written and how it compares with the model; `str(report)` is
        readable.

    Raises:
        ValueError: if `model` is no `MADE`, has weights that are not finite or
            less than `num_orders` masks, or `path` does not end in `.tflite`.
        OSError: if the file cannot be written there.
        ExportError: if the converted file does not do what the model does.

    Example:
        >>> report = to_tflite(model, "made.tflite")  # doctest: +SKIP
        >>> print(report)  # doctest: +SKIP
    """
    started = time.perf_counter()
    if not isinstance(model, MADE):
        raise ValueError(f"`model` must be a made_tf.MADE. Received: model={model!r}")
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"`path` must end in .tflite. Received: path={str(path)!r}")
    _check_writable(path)
    for name in not_finite(model):
        raise ValueError(f"`model` must have finite weights. Received: others in layer {name!r}")
    model = _in_float32(model)
    num_orders = model.mask_sets.check_count(model.num_orders if num_orders is None else num_orders)
    content = _convert(make_signatures(model, block_length, batch_size, num_orders))
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        report = verify_tflite(model, temporary, num_orders)
    return dataclasses.replace(
        report, path=os.fspath(path), seconds=round(time.perf_counter() - started, 3)
    )


def _convert(signatures: Signatures) -> bytes:
    with tempfile.TemporaryDirectory() as directory, _only_warnings():
        # A module without variables: those of a tracked model would stay in the graph as
        # resources, which LiteRT reads as zeros.
        tf.saved_model.save(tf.Module(), directory, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            directory, signature_keys=list(signatures)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return compact_tflite(converter.convert())


@contextlib.contextmanager
def _only_warnings() -> Iterator[None]:
    """Keeps TensorFlow from telling where it wrote the temporary model."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


def _in_float32(model: MADE) -> MADE:
    policy = model.dtype_policy
    if policy.compute_dtype == policy.variable_dtype == "float32":
        return model
    return with_dtype(model, "float32")


def _check_writable(path: Path) -> None:
    """Fails before the work is done, not after it."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "`path` must be a file", str(path))
    with tempfile.TemporaryFile(dir=path.parent):
        pass
