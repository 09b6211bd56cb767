"""Takes out of a converted file what no interpreter reads."""

from __future__ import annotations

from typing import Any

__all__ = ["compact_tflite"]


def compact_tflite(content: bytes) -> bytes:
    """Removes the names of tensors, empty buffers but one, and vectors that repeat.

    A sampler has thousands of small tensors between its operators. Their names
    (those of TensorFlow's graph), their empty buffers and their shapes, most of
    which are alike, take more room than the operators. Signatures, weights and
    operators stay as they are.

    Args:
        content: a `.tflite` file.

    Returns:
        The smaller file.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model: Any = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    tensors = [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors]
    for tensor in tensors:
        tensor.name = None
        if tensor.quantization is not None and tensor.quantization.scale is None:
            tensor.quantization = None
    metadata = model.metadata or []
    holders = [*tensors, *metadata]
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
    return _serialised(model)


def _serialised(model: Any) -> bytes:
    import flatbuffers  # with TensorFlow

    class SharingBuilder(flatbuffers.Builder):
        """Stores equal vectors once: what refers to them may refer to one place."""

        def __init__(self):
            super().__init__()
            self._vectors: dict[tuple[str, bytes], int] = {}

        def CreateNumpyVector(self, x):  # noqa: N802 - the name in flatbuffers
            key = x.dtype.str, x.tobytes()
            if key not in self._vectors:
                self._vectors[key] = super().CreateNumpyVector(x)
            return self._vectors[key]

    builder = SharingBuilder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
