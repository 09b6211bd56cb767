"""Takes out of a converted file what no interpreter reads."""

from __future__ import annotations

from typing import Any

__all__ = ["compact", "share_constants"]

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


def share_constants(model: Any) -> None:
    """Lets all operators that read equal constants read one buffer.

    As TensorFlow's `deduplicate_readonly_buffers`, on the object instead of the
    bytes of a file.

    Args:
        model: the `ModelT` of a file, which is changed.
    """
    read: set[int] = set()
    for subgraph in model.subgraphs:
        tensors, operators = subgraph.tensors, subgraph.operators
        inputs = {index for index in _numbers(operators, "inputs") if not tensors[index].isVariable}
        written = {*_numbers(operators, "outputs"), *_numbers(operators, "intermediates")}
        ends = _numbers([subgraph], "inputs", "outputs")
        read.update(tensors[index].buffer for index in inputs - written - {*ends})
    first: dict[bytes, int] = {}
    shared: dict[int, int] = {}
    for index in sorted(read):
        data = model.buffers[index].data
        if data is not None and len(data):
            shared[index] = first.setdefault(data.tobytes(), index)
    for subgraph in model.subgraphs:
        for index in _numbers(subgraph.operators, "inputs"):
            tensor = subgraph.tensors[index]
            tensor.buffer = shared.get(tensor.buffer, tensor.buffer)
    for index, kept in shared.items():
        if kept != index:
            model.buffers[index].data = None


def _numbers(tables: Any, *names: str) -> list[int]:
    """Returns the numbers of tensors that tables have under some names."""
    vectors = [getattr(table, name) for table in tables for name in names]
    return [number for vector in vectors if vector is not None for number in vector]
