"""Short digests of bytes and of arrays."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

__all__ = ["digest", "fingerprint"]


def fingerprint(content: bytes) -> np.ndarray:
    """Returns a digest of 16 bytes, as an array that Keras can store beside weights."""
    return np.frombuffer(hashlib.sha256(content).digest()[:16], dtype=np.uint8)


def digest(*arrays: npt.NDArray) -> str:
    """Returns a short digest of arrays: 16 hexadecimal digits."""
    content = hashlib.sha256()
    for array in arrays:
        content.update(repr(array.shape).encode())
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()[:16]
