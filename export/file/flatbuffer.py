"""A `.tflite` file as an object to change, and back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

__all__ = ["read_model", "write_model"]


def read_model(content: bytes) -> Any:
    """Returns the schema's `ModelT` of a `.tflite` file."""
    from tensorflow.lite.tools import flatbuffer_utils

    model: Any = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    for buffer in model.buffers:
        if buffer.offset > 1:  # its numbers lie behind the tables
            end = buffer.offset + buffer.size
            buffer.data = np.frombuffer(content[buffer.offset : end], np.uint8)
            buffer.offset = buffer.size = 0
    return model


def write_model(model: Any) -> bytes:
    """Returns the file of a `ModelT`, in which equal parts are stored once.

    Of a sampler's thousands of tensors and operators most are alike: the same
    shapes, the same tensors between operators, the same options. What refers to
    a vector or a table in a flatbuffer may refer to one place.
    """
    import flatbuffers  # with TensorFlow

    class SharingBuilder(flatbuffers.Builder):
        """Stores equal vectors once."""

        def __init__(self):
            super().__init__()
            self._vectors: dict[tuple[str, bytes], int] = {}

        def CreateNumpyVector(self, x):  # noqa: N802 - the name in flatbuffers
            key = x.dtype.str, x.tobytes()
            if key not in self._vectors:
                self._vectors[key] = super().CreateNumpyVector(x)
            return self._vectors[key]

    packed: dict[tuple, int] = {}
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            tensor.quantization = _shared(tensor.quantization, packed)
        for operator in subgraph.operators:
            operator.builtinOptions = _shared(operator.builtinOptions, packed)
        subgraph.tensors = [_shared(tensor, packed) for tensor in subgraph.tensors]
    builder = SharingBuilder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@dataclasses.dataclass(frozen=True)
class _Shared:
    """A table that is written where an equal one was, if there was one."""

    table: Any
    packed: dict[tuple, int]
    key: tuple

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the name in flatbuffers
        """Returns where the table lies."""
        if self.key not in self.packed:
            self.packed[self.key] = self.table.Pack(builder)
        return self.packed[self.key]


def _shared(table: Any, packed: dict[tuple, int]) -> _Shared | None:
    return None if table is None else _Shared(table, packed, _key(table))


def _key(value: Any) -> tuple:
    """Returns what two equal tables have in common and different ones do not."""
    if isinstance(value, _Shared):
        return value.key
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.tobytes()
    if isinstance(value, list | tuple):
        return tuple(map(_key, value))
    if hasattr(value, "Pack"):
        return type(value).__name__, *(_key(part) for _, part in sorted(vars(value).items()))
    return type(value).__name__, repr(value)
