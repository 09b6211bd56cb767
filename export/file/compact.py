"""Takes out of a converted file what no interpreter reads."""

from __future__ import annotations

from typing import Any

__all__ = ["compact"]

_NOTES = b"CONVERSION_METADATA"


def compact(model: Any) -> None:
    """Removes the names of tensors, empty buffers but one, and the converter's own notes.

    A sampler has thousands of small tensors between its operators. Their names
    (those of TensorFlow's graph), their empty buffers and their shapes, most of
    which are alike, take more room than the operators. Signatures, weights and
    operators stay as they are.

    Args:
        model: the `ModelT` of a file, which is changed.
    """
    tensors = [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors]
    for tensor in tensors:
        tensor.name = None
        if tensor.quantization is not None and tensor.quantization.scale is None:
            tensor.quantization = None
    model.metadata = [entry for entry in model.metadata or [] if entry.name != _NOTES]
    holders = [*tensors, *model.metadata]
    # By the format's rule, buffer 0 is the empty one.
    kept = {0: 0}
    buffers = [model.buffers[0]]
    for holder in holders:
        buffer = model.buffers[holder.buffer]
        if buffer.data is None or len(buffer.data) == 0:
            holder.buffer = 0
            continue
        if holder.buffer not in kept:
            kept[holder.buffer] = len(buffers)
            buffers.append(buffer)
        holder.buffer = kept[holder.buffer]
    model.buffers = buffers
