"""Digests of bytes, of arrays, and of files that hold their own."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

__all__ = ["CONTENT_DIGITS", "content_digest", "digest", "fingerprint"]

#: The length of a `content_digest`.
CONTENT_DIGITS = 64


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


def content_digest(content: bytes, start: int) -> bytes:
    """Returns the SHA-256 of a file whose digest at `start` counts as zeros, in hexadecimal."""
    found = hashlib.sha256(content[:start])
    found.update(b"0" * CONTENT_DIGITS)
    found.update(content[start + CONTENT_DIGITS :])
    return found.hexdigest().encode()
