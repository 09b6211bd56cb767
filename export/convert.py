"""From a model to a verified `.tflite` file."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.conditionals.row_checks import check_rows
from made_tf.export.checks.report import ExportReport
from made_tf.export.checks.verify import verify_static, verify_tflite
from made_tf.export.contexts import check_contexts
from made_tf.export.file.compact import compact, share_constants
from made_tf.export.file.flatbuffer import read_model, write_model
from made_tf.export.file.metadata import add_metadata, describe_model, seal
from made_tf.export.file.static import STATIC, quantize_static
from made_tf.export.file.weights import WEIGHTS, members_with_weights, pack_weights
from made_tf.export.networks import has_many_orders
from made_tf.export.signatures import (
    SIGNATURES,
    Signatures,
    choose_signatures,
    make_signatures,
)
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE
from made_tf.portable.files import replacing
from made_tf.portable.interrupts import keeping_interrupts
from made_tf.verification import not_finite

__all__ = ["check_target", "convert", "to_tflite"]


def to_tflite(
    model: MADE | Ensemble,
    path: str | os.PathLike[str],
    block_length: int | None = None,
    batch_size: int | None = None,
    num_orders: int | None = None,
    *,
    weights: str = "float32",
    signatures: str | Sequence[str] | None = None,
    batch_sizes: Sequence[int] = (),
    data: npt.ArrayLike | None = None,
    calibration: npt.ArrayLike | None = None,
    variables: Sequence[Mapping[str, Any]] | None = None,
    image_shape: Sequence[int] | None = None,
    licence: str | None = None,
    context: npt.ArrayLike | None = None,
    context_names: Sequence[str] | None = None,
    schema: Mapping[str, Any] | None = None,
    card: Mapping[str, Any] | None = None,
) -> ExportReport:
    """Writes a model into one `.tflite` file and verifies it.

    The file holds the signatures `sample`, `log_prob` and `conditionals`, and
    for a model that answers all questions `impute` (see `made_tf.export.signatures`), for any
    batch size, with builtin operators alone. A mixture of orders has one copy of
    the weights, which the file sorts for an order when it is asked. A model of
    another precision is exported in float32. The file appears at `path` only
    when it was found to do what the model does; until then, and if anything
    fails, what was at `path` before stays.

    The file of an ensemble holds all its members and has the signatures `sample`
    and `log_prob`, and `impute` if all members answer all questions. Each
    row is drawn from a member of its own, so that a batch costs as many times
    what one of a single model costs as there are members.

    Args:
        model: a `MADE`, or an `Ensemble`.
        path: where to write, ending in `.tflite`.
        block_length: how many variables the sampler solves at once; `None`
            chooses.
        batch_size: for how many rows at a time `None` chooses; the file serves
            any number of rows.
        num_orders: M, over how many of the model's mask sets the density is
            averaged; `None` takes the model's `num_orders`. Of an ensemble
            `None`: each member has its own.
        weights: `"float32"`, `"float16"`, or `"int8"` with a scale for each
            unit. Weights are rounded and products are not, so that the density
            stays normalised and autoregressive exactly. `"static_int8"` rounds
            products, too, by scales that `calibration` sets once: for a single
            model of one order, and for `log_prob` and `conditionals` alone. It needs
            `ai-edge-quantizer`.
        signatures: names of signatures, or `"all"`; `None` for those above.
            There are also `sample_and_log_prob`, `sample_at_temperature` and,
            of a single model, `sample_from_uniforms`.
        batch_sizes: numbers of rows n for which signatures exist once more with
            fixed shapes, as `sample_n`: for runtimes that cannot resize, such
            as LiteRT.js.
        data: rows `[N, D]` to report the change of the NLL on.
        calibration: rows `[N, D]` for `"static_int8"`, like those to come.
        variables: names of the variables, and of their classes, for the file to
            tell: `[{"name": "colour", "categories": ["red", "blue"]}, ...]`.
        image_shape: height and width of a row's picture, for the file to tell.
        licence: the model's licence, for the file to tell.
        context: of a model with a context, what the rows of `data` are
            conditioned on, `[N, ...]`; the file is verified with these, or with
            made-up ones. Every signature has one more input of this name.
        context_names: a name for each number of the context, for the file to tell.
        schema: of the table whose rows these are (`TableSchema.to_dict`), for the file to speak of
            names, categories and dates.
        card: the model card, for the file to tell: texts `data`, `metrics` (or a mapping from
            names to numbers), `intended_use` and `limitations`. Of what is not given, and of a
            licence that is not, readers of the file are told that it is missing.

    Returns:
        What was written and how it compares with the model; `str(report)` is
        readable.

    Raises:
        ValueError: if `model` is neither, has weights that are not finite or
            less than `num_orders` masks, `path` does not end in `.tflite`, or
            another argument is out of range or does not fit the model.
        OSError: if the file cannot be written there.
        ExportError: if the converted file does not do what the model does.

    Example:
        >>> from made_tf import MADE
        >>> report = to_tflite(MADE(4, (8,), seed=0), "made.tflite", weights="int8")
        >>> report.rows_different, report.leak
        (0, 0.0)
    """
    started = time.perf_counter()
    _check_format(weights, calibration)
    path = check_target(model, path)
    num_orders = _checked_orders(model, num_orders)
    if weights == STATIC:
        model, signatures = _check_static(model, num_orders, signatures, batch_sizes)
    chosen = choose_signatures(model, signatures, batch_sizes)
    description = describe_model(
        model, num_orders, weights, variables, image_shape, licence, context_names, schema, card
    )
    if context is not None:
        context = check_contexts(model, context)
    _check_data_and_context(model, data, context)
    for name, rows in (("data", data), ("calibration", calibration)):
        if rows is not None:
            check_rows(name, rows, model.conditionals)
    stored = members_with_weights(model, "float32" if weights == STATIC else weights)
    with keeping_interrupts():
        made = make_signatures(stored, chosen, block_length, batch_size, num_orders)
        content = convert(made, weights, description, calibration)
    with replacing(path) as temporary, keeping_interrupts():
        temporary.write_bytes(content)
        if weights == STATIC:
            rows = calibration if data is None else data
            report = verify_static(stored, temporary, np.asarray(rows, np.float32))
        else:
            report = verify_tflite(stored, temporary, num_orders, chosen, model, data, context)
    return dataclasses.replace(
        report, path=os.fspath(path), seconds=round(time.perf_counter() - started, 3)
    )


def convert(
    signatures: Signatures,
    weights: str = "float32",
    description: dict[str, Any] | None = None,
    calibration: npt.ArrayLike | None = None,
) -> bytes:
    """Returns the file of some signatures.

    Args:
        signatures: TensorFlow functions by name.
        weights: the format of the weights, which they have been rounded to.
        description: what the file tells of the model.
        calibration: rows for the format `"static_int8"`.
    """
    # What `TFLiteConverter.convert` calls in the end. Before, it loads the saved model twice, and
    # afterwards it reads and writes the file again and again: half of the time.
    from tensorflow.lite.python.convert import convert_saved_model, deduplicate_readonly_buffers

    with tempfile.TemporaryDirectory() as directory, _only_warnings():
        # A module without variables: those of a tracked model would stay in the graph as
        # resources, which LiteRT reads as zeros.
        tf.saved_model.save(tf.Module(), directory, signatures=signatures)
        content = convert_saved_model(
            saved_model_dir=directory,
            saved_model_version=1,
            saved_model_tags={tf.saved_model.SERVING},
            saved_model_exported_names=list(signatures),
            target_ops=[tf.lite.OpsSet.TFLITE_BUILTINS],
            allow_custom_ops=False,
            enable_tflite_resource_variables=True,
        )
        if weights == STATIC:
            rows = np.ascontiguousarray(calibration, dtype=np.float32)
            content = quantize_static(deduplicate_readonly_buffers(content), list(signatures), rows)
    model = read_model(content)
    if weights != STATIC:
        share_constants(model)
        pack_weights(model, weights)
    if description is not None:
        add_metadata(model, description)
    compact(model)
    content = write_model(model)
    return content if description is None else seal(content)


def _check_data_and_context(model: MADE | Ensemble, data: Any, context: Any) -> None:
    if model.conditioning is None or data is None:
        return
    if context is None or len(context) != len(data):
        raise ValueError(
            "`context` must have a row for each of `data`: this is a model of p(x | context). "
            f"Received: {'None' if context is None else f'{len(context)} rows'} for "
            f"{len(data)} rows of `data`"
        )


def _check_format(weights: str, calibration: Any) -> None:
    if weights in ("dynamic", "dynamic_int8", "dynamic_range"):
        raise ValueError(
            "`weights` must not be quantized with a dynamic range: there the scale of a layer's "
            "inputs is taken from all variables of a row at once, so that later variables change "
            "the conditionals of earlier ones and the density no longer sums to 1. Use 'int8'. "
            f"Received: weights={weights!r}"
        )
    if weights not in (*WEIGHTS, STATIC):
        raise ValueError(
            f"`weights` must be one of {[*WEIGHTS, STATIC]}. Received: weights={weights!r}"
        )
    if (weights == STATIC) != (calibration is not None):
        raise ValueError(
            f"`calibration` must be rows for weights={STATIC!r}, and None for other formats. "
            f"Received: weights={weights!r}, calibration of type {type(calibration).__name__}"
        )


def _checked_orders(model: MADE | Ensemble, num_orders: int | None) -> int:
    """Returns how many orders a model averages; of an ensemble the most of a member."""
    if not isinstance(model, Ensemble):
        given = model.num_orders if num_orders is None else num_orders
        return model.mask_sets.check_count(given)
    if num_orders is not None:
        raise ValueError(
            "`num_orders` must be None for an ensemble, which averages over as many orders as its "
            f"members do. Received: num_orders={num_orders}"
        )
    return max(member.num_orders for member in model.members)


def _check_static(
    model: MADE | Ensemble, num_orders: int, signatures: Any, batch_sizes: Sequence[int]
) -> tuple[MADE, list[str]]:
    if isinstance(model, Ensemble):
        raise ValueError(f"`weights` must not be {STATIC!r} for an ensemble. Use 'int8'.")
    if model.conditioning is not None:
        raise ValueError(
            f"`weights` must not be {STATIC!r} for a model with a context. Use 'int8'."
        )
    if has_many_orders(model, num_orders):
        raise ValueError(
            f"`weights` must not be {STATIC!r} for a model of several orders: its weights are "
            "sorted when the file is asked, and only constant ones can be quantized so. Use 'int8'."
        )
    possible = [name for name, signature in SIGNATURES.items() if not signature.draws]
    names = possible if signatures is None else signatures
    names = [names] if isinstance(names, str) else list(names)
    if not set(names) <= set(possible) or batch_sizes:
        raise ValueError(
            f"`signatures` must be among {possible}, for any number of rows, with "
            f"weights={STATIC!r}: calibration cannot follow the sampler's loops. Use 'int8' for a "
            f"file that samples. Received: signatures={signatures!r}, batch_sizes={batch_sizes!r}"
        )
    return model, names


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


def check_target(
    model: MADE | Ensemble, path: str | os.PathLike[str], or_ensemble: bool = True
) -> Path:
    """Fails before the work is done, not after it; returns the path.

    Args:
        model: what is to be written.
        path: where.
        or_ensemble: whether it may be an `Ensemble`, too.

    Raises:
        ValueError: if `model` is none or has weights that are not finite,
            or `path` does not end in `.tflite`.
        OSError: if no file can be written there.
    """
    members = model.members if or_ensemble and isinstance(model, Ensemble) else [model]
    if not all(isinstance(member, MADE) for member in members):
        kinds = "a made_tf.MADE or made_tf.Ensemble" if or_ensemble else "a made_tf.MADE"
        raise ValueError(f"`model` must be {kinds}. Received: model={model!r}")
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"`path` must end in .tflite. Received: path={str(path)!r}")
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "`path` must be a file", str(path))
    with tempfile.TemporaryFile(dir=path.parent):
        pass
    for name in itertools.chain.from_iterable(map(not_finite, members)):
        raise ValueError(f"`model` must have finite weights. Received: others in layer {name!r}")
    return path
